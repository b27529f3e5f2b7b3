"""How frequent words are in the stream, and what that makes them weigh."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from math import log, sqrt

import msgspec

from aggregator.core.events.features import MAX_COUNT
from aggregator.core.model import Features, Frequencies

PRIOR = 400  # documents that are taken for seen before the first: one word in few texts is not yet a frequent word
HORIZON = 20_000  # documents after which all counts are halved, so that old news wears off
REFRESH = 0.02  # of the documents must be new before frequencies are frozen anew
STEM_KEYS, ANCHOR_KEYS = 12, 8
LOGS = (0.0, *(1 + log(count) for count in range(1, MAX_COUNT + 1)))  # what a stem's count makes of its weight


def idf(frequencies: Frequencies, stem: str) -> float:
    """Return how rare a stem is: the logarithm of the inverse share of documents, at least 0."""
    rarity = frequencies.rarities.get(stem)
    if rarity is None:
        rarity = max(0.0, log((frequencies.documents + PRIOR) / (frequencies.counts.get(stem, 0) + 1)))
        frequencies.rarities[stem] = rarity
    return rarity


class FrequencyModel:
    """Counts documents as they come, and hands out frozen counts: the same until enough has changed."""

    def __init__(self, frequencies: Frequencies | None = None) -> None:
        self._frozen = frequencies or Frequencies()
        self._waiting: list[Features] = []

    def add(self, rows: Iterable[Features]) -> None:
        """Count the features of entries that were stored."""
        self._waiting += rows

    def frozen(self) -> Frequencies:
        """Return frequencies that nothing changes any more."""
        if len(self._waiting) > REFRESH * self._frozen.documents:
            self._frozen = counted(self._frozen, self._waiting)
            self._waiting = []
        return self._frozen


def counted(frequencies: Frequencies, rows: Sequence[Features]) -> Frequencies:
    """Return frequencies with more documents; all are halved when there are too many."""
    counts = dict(frequencies.counts)
    for row in rows:
        for stem in (*row.stems, *(f"a:{anchor}" for anchor in row.anchors)):
            counts[stem] = counts.get(stem, 0) + 1
    documents = frequencies.documents + len(rows)
    if documents > HORIZON:
        documents, counts = documents // 2, {stem: count // 2 for stem, count in counts.items() if count > 1}
    return Frequencies(documents=documents, counts=counts)


def dump_frequencies(frequencies: Frequencies) -> bytes:
    """Serialise frequencies; of many documents, without what occurred once."""
    least = 2 if frequencies.documents > PRIOR else 1
    counts = {stem: count for stem, count in frequencies.counts.items() if count >= least}
    return msgspec.json.encode([frequencies.documents, counts])


def load_frequencies(data: bytes) -> Frequencies:
    """Read what `dump_frequencies` wrote. Raises ValueError."""
    documents, counts = msgspec.json.decode(data, type=tuple[int, dict[str, int]])
    return Frequencies(documents=documents, counts=counts)


def keys(known: Features, frequencies: Frequencies) -> list[str]:
    """Return the keys under which a report is looked up: its heaviest stems (w:) and its anchors (a:)."""
    weighted = [(weight(count, idf(frequencies, stem)), stem) for stem, count in weighing(known)]
    heaviest = [f"w:{stem}" for heavy, stem in nlargest(STEM_KEYS, weighted) if heavy]
    rarest = nlargest(ANCHOR_KEYS, ((idf(frequencies, f"a:{anchor}"), anchor) for anchor in known.anchors))
    return heaviest + [f"a:{anchor}" for _, anchor in rarest]


def weighing(known: Features) -> Iterator[tuple[str, int]]:
    """Yield the stems of features that weigh anything, with their counts."""
    return ((stem, count) for stem, count in zip(known.stems, known.counts, strict=True) if count)


def weight(count: int, rarity: float) -> float:
    """Return what a stem weighs in a report in which it occurs `count` times."""
    # The square root keeps one odd word from deciding alone: with plain idf, a third fewer retellings are found.
    return LOGS[count] * sqrt(rarity)
