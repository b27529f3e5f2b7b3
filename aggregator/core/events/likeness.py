"""How like a new report is to those that are known: in its words, and in its names and numbers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import compress
from math import fsum, sqrt

from aggregator.core.events.encoder import likeness
from aggregator.core.events.features import headline_stems
from aggregator.core.events.frequencies import LOGS, squares
from aggregator.core.model import Features, Fingerprint, Frequencies, Report
from aggregator.core.stories import names, numbers
from aggregator.core.text.computed import computed
from aggregator.core.text.facts import lacking
from aggregator.core.text.language import common_words, root

DECAY = 0.005  # of likeness for every hour between two reports
RARE = 2.0  # idf of a word that fewer than one document in seven has
DOUBTFUL_WORDS, REASON = 2, 3  # shared: rare ones, and words in all, of any join
NAMES, NUMBERS = 0.36, 0.1  # what it adds to a likeness that names agree, that numbers do
ENOUGH_NAMES = 12.0  # length of the vector of shared names that is no longer little: two or three rare ones
SHORT_NUMBER = 2  # digits
MAX_WORDS = 6  # of a reason
FIRST = 16  # stems of a report, from which it often shows that it is too unlike
FEW = 6  # stems in common that may be names alone
MARGIN = 1e-9  # for the rounding of a bound
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like a new report is to one that is known: `score` is `cosine`, less for the time between them."""

    score: float
    cosine: float
    hours: float
    report: Report
    shared: tuple[tuple[float, float, str], ...]  # weight, idf and written form of each shared word

    def counts(self, least: float) -> bool:
        """Tell whether the two are alike enough to be compared at all."""
        return self.score >= least and len(self.shared) >= REASON and self.rare >= DOUBTFUL_WORDS

    @property
    def rare(self) -> int:
        """How many of the shared words are rare."""
        return sum(1 for _, rarity, _ in self.shared if rarity >= RARE)

    @property
    def words(self) -> tuple[str, ...]:
        """The heaviest shared words."""
        return tuple(word for _, _, word in nlargest(MAX_WORDS, self.shared))


class Weights:
    """What the reports of one poll weigh by `frequencies`, each computed once however often it is compared."""

    def __init__(self, frequencies: Frequencies) -> None:
        self.frequencies = frequencies
        self._counts: dict[str, tuple[Features, dict[str, int]]] = {}
        self._norms: dict[str, tuple[Features, float]] = {}
        self._facts: dict[str, tuple[Fingerprint, frozenset[str], frozenset[str]]] = {}

    def counts_of(self, report: Report) -> dict[str, int]:
        """Return how often each stem of a report occurs; one that was written again has its id, but other features."""
        found = report.features
        known = self._counts.get(report.id)
        if known is None or known[0] is not found:
            known = self._counts[report.id] = found, dict(zip(found.stems, found.counts, strict=True))
        return known[1]

    def norm_of(self, report: Report) -> float:
        """Return the length of the vector of what a report's stems weigh."""
        found = report.features
        known = self._norms.get(report.id)
        if known is None or known[0] is not found:
            known = self._norms[report.id] = found, sqrt(fsum(squares(found, self.frequencies)))
        return known[1]

    def facts_of(self, report: Report) -> tuple[frozenset[str], frozenset[str]]:
        """Return the names of a report, without common words, and its numbers."""
        known = self._facts.get(report.id)
        if known is None or known[0] is not report.fingerprint:
            named = frozenset(names(report.fingerprint) - common_words(report.features.lang))
            known = self._facts[report.id] = report.fingerprint, named, _figures(report)
        return known[1], known[2]


class Comparison:
    """The words of a new report, ready to be compared with many."""

    def __init__(self, new: Report, known: Weights) -> None:
        self._new, self._known = new, known
        found = new.features
        weighed = squares(found, known.frequencies)
        self._norm = sqrt(fsum(weighed))
        self._squares = dict(zip(found.stems, weighed, strict=True))
        self._counts = dict(zip(found.stems, found.counts, strict=True))
        self._stems = frozenset(compress(found.stems, found.counts))

    @computed
    def _shown(self) -> Mapping[str, str]:
        return dict(zip(self._new.features.stems, self._new.features.shown, strict=True))

    def may_count(self, report: Report, least: float) -> bool:
        """Tell, at a fraction of the cost, whether `with_report` may find the two alike: by bounds of their cosine.

        It is no more than the share that the words in common have in the length of the new vector (Cauchy and Schwarz),
        nor than what it would be if the other one had no words but its first.
        """
        found = report.features
        shared = self._stems.intersection(found.stems)
        if len(shared) < REASON or not self._norm:
            return False
        wanted = (least - MARGIN + DECAY * self._hours(report)) * self._norm
        if fsum(map(self._squares.__getitem__, shared)) < wanted * wanted:
            return False
        first = squares(found, self._known.frequencies, FIRST)
        product = fsum(self._products(shared, self._known.counts_of(report)))
        return product * product >= wanted * wanted * fsum(first)

    def _hours(self, report: Report) -> float:
        return abs((self._new.at - report.at).total_seconds()) / 3600

    def with_report(self, report: Report) -> Likeness:
        """Compare with one report: the cosine of the two vectors of weights."""
        hours, rarities, norm = self._hours(report), self._known.frequencies.rarities, self._known.norm_of(report)
        counts = self._known.counts_of(report)
        words = [stem for stem in self._stems.intersection(counts) if counts[stem]]
        if len(words) < REASON or not self._norm or not norm:
            return Likeness(0.0, 0.0, hours, report, ())
        products = self._products(words, counts)
        # An exact sum, since one that is rounded depends on the order of a set, and so on how strings are hashed.
        cosine = fsum(products) / (self._norm * norm)
        shared = tuple([(p, rarities[stem], self._shown[stem]) for p, stem in zip(products, words, strict=True)])
        return Likeness(cosine - DECAY * hours, cosine, hours, report, shared)

    def _products(self, shared: Iterable[str], counts: Mapping[str, int]) -> list[float]:
        """Return what each of the words in common adds to the product of two vectors."""
        mine, rarities = self._counts, self._known.frequencies.rarities
        return [LOGS[mine[stem]] * LOGS[counts[stem]] * rarities[stem] for stem in shared]

    def headlines_said(self, report: Report) -> tuple[float, float]:
        """Return how much of each headline, by the rarity of its words, the other report says: the lesser, the greater.

        1.0 both where that is no sign: many words are in common, or one is a headline alone, of which nothing else is
        known. Of few, most are names, which two reports on one topic share whatever happened.
        """
        one, other = self._new.features, report.features
        if len({*one.stems}.intersection(other.stems)) > FEW:
            return 1.0, 1.0
        shares = []
        for known, text in ((one, other.stems), (other, one.stems)):
            headline = headline_stems(known)
            if len(headline) == len(known.stems):
                return 1.0, 1.0
            rarities = {stem: self._idf(stem) for stem in headline}
            shares.append(fsum(rarities[stem] for stem in headline if stem in text) / (fsum(rarities.values()) or 1.0))
        return min(shares), max(shares)

    def meaning(self, report: Report) -> float | None:
        """Compare what the two mean, from -1.0 to 1.0; None where that is not known of both."""
        mine, other = self._new.features.vector, report.features.vector
        return likeness(mine, other) if mine and other else None

    def agreement(self, reports: Sequence[Report]) -> "Agreement":
        """Compare the facts with those of the reports that one alert stands for, taken together.

        Names weigh by the square of their rarity: everybody names the president. They say nothing in German, which
        writes every noun as a name.
        """
        mine, figures = self._known.facts_of(self._new)
        known = [self._known.facts_of(report) for report in reports]
        theirs = frozenset[str]().union(*(named for named, _ in known))
        others = frozenset[str]().union(*(numbered for _, numbered in known))
        can, lang = min(ENOUGH_NAMES, self._length(mine), self._length(theirs)), self._new.features.lang
        alone = lacking(mine, theirs, lang), lacking(theirs, mine, lang)
        return Agreement(
            names=self._length(mine - alone[0]) / can if can and lang != "de" else 1.0,
            numbers=_common_numbers(figures, others),
            differing=(frozenset(alone[0]), frozenset(alone[1])),
            figures=(figures, others),
        )

    def _length(self, found: Iterable[str]) -> float:
        lang = self._new.features.lang
        return sqrt(sum(sorted(self._idf(root(name, lang)) ** 2 for name in found)))

    def _idf(self, stem: str) -> float:
        return self._known.frequencies.rarities[stem]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far facts agree: `names` 1.0 if as many are shared as can be, more if many are; `numbers` from -1 to 1."""

    names: float
    numbers: float
    differing: tuple[frozenset[str], frozenset[str]]
    figures: tuple[frozenset[str], frozenset[str]]

    @property
    def worth(self) -> float:
        """What that adds to a likeness in words."""
        return NAMES * self.names + NUMBERS * self.numbers

    @property
    def doubt(self) -> str:
        """What speaks most against one event."""
        mine, others = self.figures if self.numbers < 0 else self.differing
        if not mine or not others:
            return "in rather different words"
        return f"{'numbers' if self.numbers < 0 else 'names'} differ ({_some(mine)} / {_some(others)})"


def _figures(report: Report) -> frozenset[str]:
    """Return the numbers of a report, but for single digits, which are many, and years, which are all events' own."""
    return frozenset(n for n in numbers(report.fingerprint) if len(n) > 1 and not _YEAR.fullmatch(n))


def _common_numbers(one: frozenset[str], other: frozenset[str]) -> float:
    """Return how far numbers agree: -1.0 if none do, 0.5 for a short one, which may be a day or an hour, else 1.0."""
    if not one or not other:
        return 0.0
    return min(1.0, sum(1.0 if len(number) > SHORT_NUMBER else 0.5 for number in one & other)) or -1.0


def _some(found: Iterable[str]) -> str:
    return ", ".join(sorted(found)[:2])
