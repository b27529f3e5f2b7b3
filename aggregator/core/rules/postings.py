"""Postings: which rules a document could match, by the keys that it has.

A key is a word, a pair of adjacent words, two words anywhere, the beginning of a word or a pattern's literals. Postings
say "maybe" or "no"; they are plain data and need no compiled rule, so they can be kept while the rules are not at hand.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from aggregator.core.rules.match_context import MatchContext, vocabulary
from aggregator.core.rules.regex import Pattern, Prefilter, pattern
from aggregator.core.text.tokens import MAX_TEXT, TokenizedText, is_wide, spread, without_wide, words

if TYPE_CHECKING:  # clauses are for those who have rules
    from aggregator.core.rules.clauses import Key

_MAX_CHUNKS, _MAX_CHUNK = 120_000, 24  # words between blanks known by heart: 12 MB, at worst 50
_MAX_LEARNT = 1000  # of one text, at once
_LATELY = 1000  # texts


class PlainPostings(NamedTuple):
    """Postings as plain data: each row is a key, then the ids of its rules. `always`: rules that have no key."""

    fields: tuple[str, ...]
    always: tuple[str, ...]
    words: tuple[tuple[str, tuple[str, ...]], ...]
    beginnings: tuple[tuple[str, tuple[str, ...]], ...]
    adjacent: tuple[tuple[str, str, tuple[str, ...]], ...]
    together: tuple[tuple[str, str, tuple[str, ...]], ...]
    patterns: tuple[tuple[str, bool, tuple[str, ...]], ...]  # source, whether case matters


class Postings:
    """The keys of many rules, and the fields in which these look. Postings never change."""

    def __init__(
        self,
        rules: "Mapping[Key, tuple[str, ...]]",
        always: Iterable[str],
        fields: tuple[str, ...],
        before: "Postings | None" = None,
    ) -> None:
        """`rules`: by key, the ids of those that it triggers; `always` have none, and may match any document.

        The pattern filter of `before` is shared where it holds the same patterns.
        """
        self.fields = fields
        self._rules, self._always = rules, tuple(always)
        self._known = frozenset(rules)
        self._listener = _Listener(self._known)
        self._patterns = frozenset(key for key in self._known if isinstance(key, Pattern))
        same = before is not None and before._patterns == self._patterns
        self._prefilter: Prefilter = before._prefilter if before and same else Prefilter(tuple(self._patterns))
        self._texts = tuple(name for name in fields if name != "lang")  # which no key asks for

    @classmethod
    def of(cls, plain: PlainPostings) -> "Postings":
        """Build postings from plain data. Raises BadPattern."""
        rules: dict[Key, tuple[str, ...]] = dict(plain.words)
        rules.update([((start,), ids) for start, ids in plain.beginnings])
        rules.update([((one, other), ids) for one, other, ids in plain.adjacent])
        rules.update([(frozenset((one, other)), ids) for one, other, ids in plain.together])
        rules.update([(pattern(source, exact), ids) for source, exact, ids in plain.patterns])
        return cls(rules, plain.always, plain.fields)

    def plain(self) -> PlainPostings:
        """Return the postings as plain data."""
        rows = self._rules.items()
        return PlainPostings(
            fields=self.fields,
            always=self._always,
            words=tuple((key, ids) for key, ids in rows if isinstance(key, str)),
            beginnings=tuple((key[0], ids) for key, ids in rows if isinstance(key, tuple) and len(key) == 1),
            adjacent=tuple((key[0], key[1], ids) for key, ids in rows if isinstance(key, tuple) and len(key) == 2),
            together=tuple((min(key), max(key), ids) for key, ids in rows if isinstance(key, frozenset)),
            patterns=tuple((key.source, key.exact, ids) for key, ids in rows if isinstance(key, Pattern)),
        )

    def candidates(self, context: MatchContext) -> set[str]:
        """Return the ids of the rules that a document could match; no other rule does."""
        found = set(self._always)
        text = "\n".join([context.document.field(name)[:MAX_TEXT] for name in self._texts])
        listener = self._listener
        present = listener.keys(text) if listener.is_worthwhile else listener.keys_among(context.vocabulary)
        if present and (pairs := listener.pairs(present)):
            present.update(self._known.intersection(map(frozenset, pairs)))
            if not self._known.isdisjoint(pairs):
                present.update({*pairwise(context.words), *context.elided}.intersection(pairs))
        for key in self._known.intersection(present):
            found.update(self._rules[key])
        if self._patterns:
            for key in self._prefilter.candidates(text):
                found.update(self._rules[key])
        listener.record(was_read=bool(found))
        return found


class _Listener:
    """Hears the keys of an index in a text, of which most texts have none.

    It knows by heart which words between blanks, as they are written, say nothing: what is left of a text without
    them is all that has to be folded and cut into tokens.
    """

    def __init__(self, keys: "Iterable[Key]") -> None:
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

    def keys(self, text: str) -> "set[Key]":
        """Return the words and the beginnings that `text` has."""
        found: set[Key] = set()
        new: list[str] = []
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

    def pairs(self, present: "set[Key]") -> list[tuple[str, str]]:
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

    def keys_among(self, present: Iterable[str]) -> "set[Key]":
        """Return the words and the beginnings that these words have."""
        found: set[Key] = set(self._words.intersection(present))
        for size, known in self._beginnings:
            found.update([(beginning,) for beginning in known.intersection([word[:size] for word in present])])
        return found

    def _keys_in(self, text: str) -> "set[Key]":
        if text.isascii():
            return self.keys_among(words(text))
        return self.keys_among(vocabulary(TokenizedText(text if self._has_wide else without_wide(text), whole=True)))
