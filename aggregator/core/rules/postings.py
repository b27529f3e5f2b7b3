"""Postings: which rules a document could match, by the keys that it has.

A key is a word, a pair of adjacent words, two words anywhere, the beginning of a word or a pattern's literals. Postings
say "maybe" or "no"; they are plain data and need no compiled rule, so they can be kept while the rules are not at hand.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from aggregator.core.rules.entry_document import DocumentWords, vocabulary
from aggregator.core.text.tokens import MAX_TEXT, TokenizedText, spread, without_wide, words

if TYPE_CHECKING:  # clauses are for those who have rules
    from aggregator.core.rules.clauses import Key
    from aggregator.core.rules.regex import Prefilter

_MAX_CHUNKS, _MAX_CHUNK = 120_000, 24  # words between blanks known by heart: 12 MB, at worst 50
_MAX_LEARNT = 1000  # of one text, at once
_LATELY = 1000  # texts


Ids = tuple[str, ...]  # of rules
Heard = str | tuple[str]  # a word, a beginning


class Keys(NamedTuple):
    """The keys of many rules, with the ids of those that each triggers: plain data.

    Pairs are by their first word and then by the other; those that may stand anywhere, by the lesser word. Patterns
    are RE2's, without regard to boundaries, with whether case matters. `always` are rules that have no key.
    """

    words: Mapping[str, Ids]
    beginnings: Mapping[str, Ids]
    adjacent: Mapping[str, Mapping[str, Ids]]
    together: Mapping[str, Mapping[str, Ids]]
    patterns: tuple[tuple[str, bool, Ids], ...]
    always: Ids


def sort_keys(rules: "Mapping[Key, Ids]", always: Iterable[str]) -> Keys:
    """Sort keys by their kind."""
    from aggregator.core.rules.regex import Pattern

    words: dict[str, Ids] = {}
    beginnings: dict[str, Ids] = {}
    adjacent: dict[str, dict[str, Ids]] = {}
    together: dict[str, dict[str, Ids]] = {}
    patterns: list[tuple[str, bool, Ids]] = []
    for key, ids in rules.items():
        if isinstance(key, str):
            words[key] = ids
        elif isinstance(key, Pattern):
            patterns.append((key.wide, key.exact, ids))
        elif isinstance(key, frozenset):
            together.setdefault(min(key), {})[max(key)] = ids
        elif len(key) == 1:
            beginnings[key[0]] = ids
        else:
            adjacent.setdefault(key[0], {})[key[1]] = ids
    return Keys(words, beginnings, adjacent, together, tuple(sorted(patterns)), tuple(always))


class Postings:
    """Keys as they are looked for in documents, in the fields that their rules read. The keys never change.

    The pattern filter of `before` is shared where it holds the same patterns.
    """

    def __init__(self, keys: Keys, fields: Sequence[str], before: "Postings | None" = None) -> None:
        self.keys, self.fields = keys, tuple(fields)
        self._texts = tuple(name for name in fields if name != "lang")  # which no key asks for
        self._listener = _Listener(keys)
        self._patterns = tuple((source, exact) for source, exact, _ in keys.patterns)
        same = before is not None and before._patterns == self._patterns
        self._prefilter: Prefilter | None = before._prefilter if before and same else _prefilter(self._patterns)

    def candidates(self, context: DocumentWords) -> set[str]:
        """Return the ids of the rules that a document could match; no other rule does."""
        keys, listener, found = self.keys, self._listener, set(self.keys.always)
        text = "\n".join([context.document.field(name)[:MAX_TEXT] for name in self._texts])
        listens = listener.is_worthwhile
        present = listener.keys(text) if listens else listener.keys_among(context.vocabulary, context.prefix_ranges)
        if present:
            for word in keys.words.keys() & present:
                found.update(keys.words[word])
            for ids in [keys.beginnings[key[0]] for key in present if isinstance(key, tuple)]:
                found.update(ids)
            for one, other in _pairs(keys.together, present):
                found.update(keys.together[one][other])
            for one, other in self._adjacent(context, text, present, listens=listens):
                found.update(keys.adjacent[one][other])
        if self._prefilter:
            for place in self._prefilter.candidates(text):
                found.update(keys.patterns[place][2])
        listener.record(was_read=bool(found))
        return found

    def _adjacent(
        self, context: DocumentWords, text: str, present: set[Heard], *, listens: bool
    ) -> Iterable[tuple[str, str]]:
        """Return the pairs that stand beside each other; without listening, all words are at hand already."""
        adjacent = self.keys.adjacent
        if listens:
            pairs = _pairs(adjacent, present)
            return {*pairwise(context.words), *context.elided}.intersection(pairs) if pairs else ()
        firsts = adjacent.keys() & present
        near = [pair for pair in pairwise(context.words) if pair[0] in firsts and pair[1] in adjacent[pair[0]]]
        if "/" in text:
            near += [(one, other) for one, other in context.elided if other in adjacent.get(one, ())]
        return near


def _prefilter(patterns: Sequence[tuple[str, bool]]) -> "Prefilter | None":
    if not patterns:
        return None
    from aggregator.core.rules.regex import Prefilter

    return Prefilter(patterns)


def _pairs(keys: Mapping[str, Mapping[str, Ids]], present: set[Heard]) -> list[tuple[str, str]]:
    """Return the pairs of which a text has both words."""
    return [(one, other) for one in keys.keys() & present for other in keys[one].keys() & present]


class _Listener:
    """Hears the keys of an index in a text, of which most texts have none.

    It knows by heart which words between blanks, as they are written, say nothing: what is left of a text without
    them is all that has to be folded and cut into tokens.
    """

    def __init__(self, keys: Keys) -> None:
        pairs = (*keys.adjacent.values(), *keys.together.values())
        self._words = frozenset(keys.words).union(keys.adjacent, keys.together, *pairs)
        self._has_wide = (together := " ".join(self._words)) != without_wide(together)
        sizes = {len(beginning) for beginning in keys.beginnings}
        self._beginnings = [(size, frozenset(b for b in keys.beginnings if len(b) == size)) for size in sizes]
        self._silent: set[str] = set()
        self._speaking: dict[str, set[Heard]] = {}
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

    def keys(self, text: str) -> set[Heard]:
        """Return the words and the beginnings that `text` has."""
        found: set[Heard] = set()
        new: list[str] = []
        for chunk in {*spread(text).split()}.difference(self._silent):
            said = self._speaking.get(chunk)
            if said is None:
                new.append(chunk)
            else:
                found |= said
        if new:
            heard = self._keys_in(" ".join(new))
            self._learn(new[:_MAX_LEARNT], heard)
            found |= heard
        return found

    def _learn(self, chunks: list[str], heard: set[Heard]) -> None:
        """Learn what each chunk says of all that was heard in them."""
        if len(self._silent) + len(self._speaking) > _MAX_CHUNKS:
            self._silent.clear()
            self._speaking.clear()
        chunks = [chunk for chunk in chunks if len(chunk) <= _MAX_CHUNK]  # what has no blanks will not come again
        audible = [key if isinstance(key, str) else key[0] for key in heard]
        for chunk in chunks if heard else ():
            # Tokens of ASCII are parts of it in lower case, and most chunks have none that was heard.
            if chunk.isascii() and not any(map(chunk.lower().__contains__, audible)):
                continue
            if said := self._keys_in(chunk):
                self._speaking[chunk] = said
        self._silent.update(chunk for chunk in chunks if chunk not in self._speaking)

    def keys_among(self, present: Iterable[str], beginnings: Callable[[int], Iterable[str]]) -> set[Heard]:
        """Return the words and the beginnings that these words have; `beginnings` gives their first characters."""
        found: set[Heard] = set(self._words.intersection(present))
        for size, known in self._beginnings:
            found.update([(beginning,) for beginning in known.intersection(beginnings(size))])
        return found

    def _keys_in(self, text: str) -> set[Heard]:
        present: Iterable[str]
        if text.isascii():
            present = words(text)
        else:
            present = vocabulary([TokenizedText(text if self._has_wide else without_wide(text), whole=True)])
        return self.keys_among(present, lambda size: [word[:size] for word in present])
