"""How frequent words are in the stream, and what that makes them weigh."""

from collections.abc import Iterable, Sequence
from math import log
from operator import mul

import msgspec

from aggregator.core.events.features import MAX_COUNT
from aggregator.core.model import Features, Frequencies, Report

HORIZON = 20_000  # documents after which all counts are halved, so that old news wears off
REFRESH = 0.02  # of the documents must be new before frequencies are frozen anew
MANY = 100  # reports of one poll, from which their own words are learnt first
STEM_KEYS, ANCHOR_KEYS = 12, 8
LOGS = (0.0, *(1 + log(count) for count in range(1, MAX_COUNT + 1)))  # what a stem's count makes of its weight
SQUARES = tuple(each * each for each in LOGS)


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


def with_poll(frequencies: Frequencies, reports: Sequence[Report]) -> Frequencies:
    """Return frequencies that know the words of a poll that brings very many reports, before they are compared.

    As long as little is learnt, every word that they have in common seems rare: all look like one event, and each is
    compared with all the others.
    """
    many = len(reports) >= MANY and len(reports) > REFRESH * frequencies.documents
    return counted(frequencies, [report.features for report in reports]) if many else frequencies


def dump_frequencies(frequencies: Frequencies) -> bytes:
    """Serialise frequencies; of many documents, without what occurred once."""
    least = 2 if frequencies.documents > Frequencies.PRIOR else 1
    counts = {stem: count for stem, count in frequencies.counts.items() if count >= least}
    return msgspec.json.encode([frequencies.documents, counts])


def load_frequencies(data: bytes) -> Frequencies:
    """Read what `dump_frequencies` wrote. Raises ValueError."""
    documents, counts = msgspec.json.decode(data, type=tuple[int, dict[str, int]])
    return Frequencies(documents=documents, counts=counts)


def keys(known: Features, frequencies: Frequencies) -> list[str]:
    """Return the keys under which a report is looked up: its heaviest stems (w:) and its anchors (a:).

    Where its meaning is known, the anchors of its text are keys, too: fewer in common are enough then.
    """
    heaviest = sorted(zip(squares(known, frequencies), known.stems, strict=True), reverse=True)
    named = (*known.anchors, *known.text_anchors) if known.vector else known.anchors
    rarest = sorted([(frequencies.rarities[f"a:{anchor}"], anchor) for anchor in named], reverse=True)
    stems = [f"w:{stem}" for heavy, stem in heaviest[:STEM_KEYS] if heavy]
    return stems + [f"a:{anchor}" for _, anchor in rarest[:ANCHOR_KEYS]]


def squares(known: Features, frequencies: Frequencies, most: int | None = None) -> list[float]:
    """Return the square of what each stem of a report weighs: the logarithm of its count by the root of its rarity.

    Of the first `most`, or all. Stems that count for nothing, since they recur in the feed, weigh nothing.
    """
    # The square root keeps one odd word from deciding alone: with plain idf, a third fewer retellings are found.
    # In C, since this is most of what it costs to compare an entry with many reports.
    rarities = map(frequencies.rarities.__getitem__, known.stems[:most])
    return [*map(mul, map(SQUARES.__getitem__, known.counts), rarities)]
