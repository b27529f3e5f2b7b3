"""The percolator: one index over all rules, queried once per entry.

A rule is evaluated only if a document has one of its trigger keys: a word, a pair of adjacent
words, the beginning of a word or a pattern's literals. The cost of a document therefore does not
grow with the number of rules that do not match. An index never changes; an edit makes a new one
that shares everything else, so that a reload is an assignment.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise

from aggregator.core.model import Span
from aggregator.core.rules.clauses import MAX_SPANS, Clause, Key
from aggregator.core.rules.compile import Rule
from aggregator.core.rules.entry_document import Document
from aggregator.core.rules.match_context import BASIC_FIELDS, MatchContext, vocabulary
from aggregator.core.rules.regex import Pattern, Prefilter
from aggregator.core.text.tokens import MAX_TEXT, TokenizedText, is_wide, spread, without_wide, words

_MAX_CHUNKS, _MAX_CHUNK = 120_000, 24  # words between blanks known by heart: 12 MB, at worst 50
_MAX_LEARNT = 1000  # of one text, at once
_LATELY = 1000  # texts
_PLACE = {name: n for n, name in enumerate((*BASIC_FIELDS, "author", "category", "link", "feed", "lang"))}
_EVERYWHERE = """
a al and are as at av be by da das de del den der det di die du e ein el en er es et for from het i il in is it
la le les na o of og on os per pour que se som the to un und une van ve von w with y за и на не по с что bir bu
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMatch:
    """A rule that a document matches, and the places of its terms: by field, then by place; capped."""

    rule: str
    spans: tuple[Span, ...]


class RuleIndex:
    """An index of all enabled rules; it is built when it is first asked.

    `frequencies` says in how many stored entries a folded word occurs; without it, rarity is
    guessed. It only decides which words trigger a rule, never what matches.
    """

    def __init__(self, rules: Iterable[Rule], frequencies: Mapping[str, int] | None = None) -> None:
        self._weight = _weight(frequencies)
        self._enabled: list[Rule] | None = [rule for rule in rules if rule.config.enabled]
        self._rules: dict[str, Rule] = {}
        self._keys: dict[str, frozenset[Key] | None] = {}
        self._postings: dict[Key, tuple[str, ...]] = {}
        self._always: dict[str, None] = {}

    def prepare(self) -> None:
        """Build the index now, where nobody waits."""
        if self._enabled is not None:
            enabled, self._enabled = self._enabled, None
            for rule in enabled:
                self._add(rule)
            self._settle(enabled)

    def __len__(self) -> int:
        self.prepare()
        return len(self._rules)

    def rule(self, rule_id: str) -> Rule | None:
        """Return the rule of that id, or None."""
        self.prepare()
        return self._rules.get(rule_id)

    def match(self, document: Document) -> tuple[RuleMatch, ...]:
        """Return every rule that `document` matches, in the order of the rules."""
        if self._enabled is not None:
            self.prepare()
        context = MatchContext(document, self._fields)
        candidates = self._candidates(context)
        if not candidates:
            return ()
        rules = [self._rules[rule_id] for rule_id in sorted(candidates, key=self._order.__getitem__)]
        return tuple(
            RuleMatch(rule=rule.id, spans=spans(rule.plan, context))
            for rule in rules
            if rule.plan.matches(context) and rule.admits(document, context)
        )

    def replace(self, rules: Iterable[Rule]) -> "RuleIndex":
        """Return an index over `rules`; what did not change in meaning is shared with this one."""
        self.prepare()
        new = object.__new__(RuleIndex)
        new._enabled = None
        new._weight = self._weight
        new._rules, new._keys = dict(self._rules), dict(self._keys)
        new._postings, new._always = dict(self._postings), dict(self._always)
        enabled = [rule for rule in rules if rule.config.enabled]
        staying = {rule.id for rule in enabled}
        for gone in [rule_id for rule_id in self._rules if rule_id not in staying]:
            new._remove(gone)
        for rule in enabled:
            old = self._rules.get(rule.id)
            if old is not rule and (old is None or old.version != rule.version):
                if old is not None:
                    new._remove(rule.id)
                new._add(rule)
            new._rules[rule.id] = rule
        new._settle(enabled, before=self)
        return new

    # --- looking --------------------------------------------------------------------------------

    def _candidates(self, context: MatchContext) -> set[str]:
        found = set(self._always)
        text = "\n".join([context.document.field(name)[:MAX_TEXT] for name in self._texts])
        listener = self._listener
        present = listener.keys(text) if listener.is_worthwhile else listener.keys_among(context.vocabulary)
        if present and (pairs := listener.pairs(present)):
            present.update(self._known.intersection(map(frozenset, pairs)))
            if not self._known.isdisjoint(pairs):
                present.update({*pairwise(context.words), *context.elided}.intersection(pairs))
        for key in self._known.intersection(present):
            found.update(self._postings[key])
        if self._patterns:
            for pattern in self._prefilter.candidates(text):
                found.update(self._postings[pattern])
        listener.record(was_read=bool(found))
        return found

    # --- building -------------------------------------------------------------------------------

    def _add(self, rule: Rule) -> None:
        self._rules[rule.id] = rule
        triggers = rule.plan.keys(self._weight)
        if triggers is None:
            self._keys[rule.id] = None
            self._always[rule.id] = None
            return
        keys = self._keys[rule.id] = triggers[1]
        for key in keys:
            self._postings[key] = (*self._postings.get(key, ()), rule.id)

    def _remove(self, rule_id: str) -> None:
        keys = self._keys.pop(rule_id)
        del self._rules[rule_id]
        if keys is None:
            del self._always[rule_id]
            return
        for key in keys:
            rest = tuple(other for other in self._postings[key] if other != rule_id)
            if rest:
                self._postings[key] = rest
            else:
                del self._postings[key]

    def _settle(self, enabled: list[Rule], before: "RuleIndex | None" = None) -> None:
        """Precompute what lookups need to know of all rules together."""
        self._order = {rule.id: place for place, rule in enumerate(enabled)}
        self._known = frozenset(self._postings)
        self._listener = _Listener(self._known)
        self._patterns = frozenset(key for key in self._known if isinstance(key, Pattern))
        same = before is not None and before._patterns == self._patterns
        self._prefilter: Prefilter = before._prefilter if before and same else Prefilter(tuple(self._patterns))
        used = frozenset[str]().union(*{rule.fields for rule in enabled})
        self._fields = tuple(name for name in _PLACE if name in used)
        self._texts = tuple(name for name in self._fields if name != "lang")  # which no key asks for


class _Listener:
    """Hears the keys of an index in a text, of which most texts have none.

    It knows by heart which words between blanks, as they are written, say nothing: what is left of a text without
    them is all that has to be folded and cut into tokens.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        several = [key for key in keys if isinstance(key, tuple | frozenset)]
        self._partners: dict[str, set[str]] = {}  # of a word of a pair: the other ones
        for one, other in (key for key in several if len(key) == 2):
            self._partners.setdefault(one, set()).add(other)
        self._words = frozenset(key for key in keys if isinstance(key, str)).union(
            self._partners, *self._partners.values()
        )
        self._has_wide = any(map(is_wide, self._words))
        beginnings = {key[0] for key in several if isinstance(key, tuple) and len(key) == 1}
        sizes = {len(beginning) for beginning in beginnings}
        self._beginnings = [(size, frozenset(b for b in beginnings if len(b) == size)) for size in sizes]
        self._silent: set[str] = set()
        self._speaking: dict[str, set[Key]] = {}
        self._heard = self._read = 0  # lately: texts, and those that had to be read in full after all

    @property
    def is_worthwhile(self) -> bool:
        """Tell whether most texts need not be read in full; else to listen first is work done twice."""
        return 2 * self._read <= self._heard

    def record(self, *, was_read: bool) -> None:
        """Count a text, read in full or not."""
        self._heard += 1
        self._read += was_read
        if self._heard > _LATELY:
            self._heard //= 2
            self._read //= 2

    def keys(self, text: str) -> set[Key]:
        """Return the words and the beginnings that `text` has."""
        found, new = set[Key](), list[str]()
        for chunk in {*spread(text).split()}.difference(self._silent):
            said = self._speaking.get(chunk)
            if said is None:
                new.append(chunk)
            else:
                found |= said
        if new:
            heard = self._keys_in(" ".join(new))
            self._learn(new[:_MAX_LEARNT], silent=not heard)
            found |= heard
        return found

    def pairs(self, present: set[Key]) -> list[tuple[str, str]]:
        """Return the pairs of which a text has both words, in either order."""
        return [(one, other) for one in self._partners.keys() & present for other in self._partners[one] & present]

    def _learn(self, chunks: list[str], *, silent: bool) -> None:
        if len(self._silent) + len(self._speaking) > _MAX_CHUNKS:
            self._silent.clear()
            self._speaking.clear()
        for chunk in chunks:
            if len(chunk) > _MAX_CHUNK:  # as in scripts without blanks: it will not come again
                continue
            if not silent and (said := self._keys_in(chunk)):
                self._speaking[chunk] = said
            else:
                self._silent.add(chunk)

    def keys_among(self, present: Iterable[str]) -> set[Key]:
        """Return the words and the beginnings that these words have."""
        found: set[Key] = set(self._words.intersection(present))
        for size, known in self._beginnings:
            found.update([(beginning,) for beginning in known.intersection([word[:size] for word in present])])
        return found

    def _keys_in(self, text: str) -> set[Key]:
        if text.isascii():
            return self.keys_among(words(text))
        return self.keys_among(vocabulary(TokenizedText(text if self._has_wide else without_wide(text), whole=True)))


def spans(plan: Clause, context: MatchContext) -> tuple[Span, ...]:
    """Return the evidence of a plan that matches: no span twice, by field and place, at most MAX_SPANS."""
    found = {(span.field, span.start, span.end): span for span in islice(plan.spans(context), 8 * MAX_SPANS)}
    return tuple(sorted(found.values(), key=_by_place)[:MAX_SPANS])


def _by_place(span: Span) -> tuple[int, int, int]:
    return _PLACE[span.field], span.start, span.end


def _weight(frequencies: Mapping[str, int] | None) -> Callable[[str], float]:
    if frequencies:
        return lambda word: 1.0 + frequencies.get(word, 0)

    everywhere = frozenset(_EVERYWHERE.split())

    def guess(word: str) -> float:
        if word in everywhere:
            return 100_000.0
        return 1000.0 / (1 + len(word) ** 2)

    return guess
