"""The percolator: one index over all rules, queried once per entry.

A rule is evaluated only if a document has one of its trigger keys: a word, a pair of adjacent
words, the beginning of a word or a pattern's literals. The cost of a document therefore does not
grow with the number of rules that do not match. An index never changes; an edit makes a new one
that shares everything else, so that a reload is an assignment.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from aggregator.core.model import Span
from aggregator.core.rules.clauses import MAX_SPANS, Clause, Key
from aggregator.core.rules.compile import Rule
from aggregator.core.rules.entry_document import Document
from aggregator.core.rules.match_context import BASIC_FIELDS, MatchContext
from aggregator.core.rules.postings import Postings, sort_keys

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

    _postings: Postings

    def __init__(self, rules: Iterable[Rule], frequencies: Mapping[str, int] | None = None) -> None:
        self._weight = _weight(frequencies)
        self._enabled: list[Rule] | None = [rule for rule in rules if rule.config.enabled]
        self._rules: dict[str, Rule] = {}
        self._triggered: dict[Key, tuple[str, ...]] = {}
        self._always: dict[str, None] = {}

    def prepare(self) -> None:
        """Build the index now, where nobody waits."""
        if self._enabled is not None:
            enabled, self._enabled = self._enabled, None
            for rule in enabled:
                self._add(rule)
            self._settle(enabled)

    @property
    def postings(self) -> Postings | None:
        """The keys of all rules, if the index was built."""
        return None if self._enabled is not None else self._postings

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
        context = MatchContext(document, self._postings.fields)
        candidates = self._postings.candidates(context)
        if not candidates:
            return ()
        return matches([self._rules[rule_id] for rule_id in sorted(candidates, key=self._order.__getitem__)], context)

    def replace(self, rules: Iterable[Rule]) -> "RuleIndex":
        """Return an index over `rules`; what did not change in meaning is shared with this one."""
        self.prepare()
        new = object.__new__(RuleIndex)
        new._enabled = None
        new._weight = self._weight
        new._rules = dict(self._rules)
        new._triggered, new._always = dict(self._triggered), dict(self._always)
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

    # --- building -------------------------------------------------------------------------------

    def _add(self, rule: Rule) -> None:
        self._rules[rule.id] = rule
        triggers = rule.plan.keys(self._weight)
        if triggers is None:
            self._always[rule.id] = None
            return
        for key in triggers[1]:
            self._triggered[key] = (*self._triggered.get(key, ()), rule.id)

    def _remove(self, rule_id: str) -> None:
        triggers = self._rules.pop(rule_id).plan.keys(self._weight)
        if triggers is None:
            del self._always[rule_id]
            return
        for key in triggers[1]:
            rest = tuple(other for other in self._triggered[key] if other != rule_id)
            if rest:
                self._triggered[key] = rest
            else:
                del self._triggered[key]

    def _settle(self, enabled: list[Rule], before: "RuleIndex | None" = None) -> None:
        """Precompute what lookups need to know of all rules together."""
        self._order = {rule.id: place for place, rule in enumerate(enabled)}
        used = frozenset[str]().union(*{rule.fields for rule in enabled})
        fields = tuple(name for name in _PLACE if name in used)
        self._postings = Postings(
            sort_keys(self._triggered, self._always), fields, before._postings if before else None
        )


def matches(rules: Iterable[Rule], context: MatchContext) -> tuple[RuleMatch, ...]:
    """Return those of a document's candidates that match it, in their order."""
    return tuple(
        RuleMatch(rule=rule.id, spans=spans(rule.plan, context))
        for rule in rules
        if rule.plan.matches(context) and rule.admits(context.document, context)
    )


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
