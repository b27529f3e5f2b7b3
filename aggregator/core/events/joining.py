"""The decision: which story a report joins, as what, and why; or why it does not."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from heapq import nlargest
from itertools import pairwise
from math import fsum, sqrt
from typing import Any

import msgspec

from aggregator.core.events.features import written_anchors
from aggregator.core.events.frequencies import LOGS, idf, length, weights
from aggregator.core.model import Because, Features, Fingerprint, Frequencies, JoinKind, NearMiss, Report, Story
from aggregator.core.stories import SIMILARITY, contradiction, hides_names, names, numbers, similarity, twin
from aggregator.core.text.facts import is_sign
from aggregator.core.text.language import common_words, root

EVENT_AGE = timedelta(days=7)  # of a story's first report, beyond which nothing joins it
MAX_REPORTS = 24  # of each story: the opener and the latest

DECAY = 0.005  # of likeness for every hour between two reports
RETELLING, FOLLOW_UP = 0.30, 0.26  # least likeness to the nearest report
SPREAD = 0.05  # by which the mean of the reports of one alert may lie below that
STRICT = 0.08  # more of each with `strictness: strict`
RARE = 2.0  # idf of a word that fewer than one document in seven has
RARE_WORDS, DOUBTFUL_WORDS, REASON = 3, 2, 3  # shared: rare ones of a retelling, of a follow-up; words of any join
NAMES, NUMBERS = 0.36, 0.1  # what it adds to a likeness that names agree, that numbers do
SURE_RETELLING, SURE_FOLLOW_UP = 0.72, 0.65  # least likeness with what the facts add
LIKE_THE_ALERT = 0.25  # least likeness of a retelling to what people read, so that small steps lead nowhere
ENOUGH_NAMES = 12.0  # length of the vector of shared names that is no longer little: two or three rare ones
SHORT_NUMBER = 2  # digits
ALIKE, SAME_HEADLINE = 0.2, 0.6  # of the shingles of texts or pairs of words of headlines: worded alike
SLOT, SMALL_SLOT, SAME_WORDS = 4, 2, 4  # words in which two headlines of one template differ; that they share
HEADLINE_ANCHORS = 3  # shared by headlines in two languages
TITLE_ANCHORS, TEXT_ANCHORS = 2, 4  # or this many in the headlines and in all of both
TRANSLATED_WITHIN = timedelta(hours=12)
MARGIN = 1e-9  # for the rounding of a bound
_YEAR = re.compile(r"(?:19|20)\d\d")
MAX_WORDS, MAX_MISSES = 6, 3  # of a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings of stories that decide here.

    `fold_for` is how long after the last alert about an event a retelling needs none; `events` False joins
    nothing.
    """

    fold_for: timedelta = timedelta(hours=12)
    strict: bool = False
    events: bool = True


@dataclass(frozen=True, slots=True)
class _Likeness:
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
        self._known: dict[str, tuple[Features, dict[str, int], float]] = {}
        self._facts: dict[str, tuple[Fingerprint, frozenset[str], frozenset[str]]] = {}

    def of(self, report: Report) -> tuple[dict[str, int], float]:
        """Return how often each stem of a report occurs, and the length of the vector of their weights.

        A report that was written again has its id, but other features.
        """
        known = self._known.get(report.id)
        if known is None or known[0] is not report.features:
            found = report.features
            counts = dict(zip(found.stems, found.counts, strict=True))
            known = self._known[report.id] = found, counts, length(found, self.frequencies)
        return known[1], known[2]

    def facts_of(self, report: Report) -> tuple[frozenset[str], frozenset[str]]:
        """Return the names of a report, without common words, and its numbers."""
        known = self._facts.get(report.id)
        if known is None or known[0] is not report.fingerprint:
            named = frozenset(names(report.fingerprint) - common_words(report.features.lang))
            known = self._facts[report.id] = report.fingerprint, named, _figures(report)
        return known[1], known[2]


class _Comparison:
    """The words of a new report, ready to be compared with many."""

    def __init__(self, new: Report, known: Weights) -> None:
        self._new, self._known = new, known
        self._weights = weights(new.features, known.frequencies)
        self._stems = frozenset(self._weights)
        self._norm = sqrt(fsum(weight * weight for weight in self._weights.values()))

    @cached_property
    def _shown(self) -> Mapping[str, str]:
        return dict(zip(self._new.features.stems, self._new.features.shown, strict=True))

    @cached_property
    def _shares(self) -> Mapping[str, float]:
        """What each stem adds to the square of the vector's length, which is 1.0."""
        return {stem: (weight / self._norm) ** 2 for stem, weight in self._weights.items() if self._norm}

    def may_count(self, report: Report, least: float) -> bool:
        """Tell, at a tenth of the cost, whether `with_report` may find the two alike: the bound of Cauchy and Schwarz.

        A cosine is no more than the length of that part of a unit vector which the other one shares.
        """
        shared = self._stems.intersection(report.features.stems)
        if len(shared) < REASON or not self._shares:
            return False
        wanted = least - MARGIN + DECAY * self._hours(report)
        return fsum(map(self._shares.__getitem__, shared)) >= wanted * wanted

    def _hours(self, report: Report) -> float:
        return abs((self._new.at - report.at).total_seconds()) / 3600

    def with_report(self, report: Report) -> _Likeness:
        """Compare with one report: the cosine of the two vectors of weights."""
        hours, mine, rarities = self._hours(report), self._weights, self._known.frequencies.rarities
        counts, norm = self._known.of(report)
        words = [
            (mine[stem] * LOGS[count] * sqrt(rarities[stem]), stem)
            for stem in self._stems.intersection(counts)
            if (count := counts[stem])
        ]
        if len(words) < REASON or not self._norm or not norm:
            return _Likeness(0.0, 0.0, hours, report, ())
        # An exact sum, since one that is rounded depends on the order of a set, and so on how strings are hashed.
        cosine = fsum(product for product, _ in words) / (self._norm * norm)
        shared = tuple((product, rarities[stem], self._shown[stem]) for product, stem in words)
        return _Likeness(cosine - DECAY * hours, cosine, hours, report, shared)

    def agreement(self, reports: Sequence[Report]) -> "_Agreement":
        """Compare the facts with those of the reports that one alert stands for, taken together.

        Names weigh by the square of their rarity: everybody names the president. They say nothing in German, which
        writes every noun as a name.
        """
        mine, figures = self._known.facts_of(self._new)
        known = [self._known.facts_of(report) for report in reports]
        theirs = frozenset[str]().union(*(named for named, _ in known))
        others = frozenset[str]().union(*(numbered for _, numbered in known))
        can = min(ENOUGH_NAMES, self._length(mine), self._length(theirs))
        return _Agreement(
            names=self._length(mine & theirs) / can if can and self._new.features.lang != "de" else 1.0,
            numbers=_common_numbers(figures, others),
            differing=(mine - theirs, theirs - mine),
            figures=(figures, others),
        )

    def _length(self, found: Iterable[str]) -> float:
        lang = self._new.features.lang
        return sqrt(sum(sorted(self._idf(root(name, lang)) ** 2 for name in found)))

    def _idf(self, stem: str) -> float:
        return idf(self._known.frequencies, stem)


@dataclass(frozen=True, slots=True)
class _Agreement:
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
        return f"{'numbers' if self.numbers < 0 else 'names'} differ ({_shown(mine)} / {_shown(others)})"


def _figures(report: Report) -> frozenset[str]:
    """Return the numbers of a report, but for single digits, which are many, and years, which are all events' own."""
    return frozenset(n for n in numbers(report.fingerprint) if len(n) > 1 and not _YEAR.fullmatch(n))


def _common_numbers(one: frozenset[str], other: frozenset[str]) -> float:
    """Return how far numbers agree: -1.0 if none do, 0.5 for a short one, which may be a day or an hour, else 1.0."""
    if not one or not other:
        return 0.0
    return min(1.0, sum(1.0 if len(number) > SHORT_NUMBER else 0.5 for number in one & other)) or -1.0


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one story is to a new report: a join of a kind, or (None) a near miss for a reason."""

    story: Story
    near: _Likeness
    kind: JoinKind | None
    reason: str = ""

    @property
    def rank(self) -> tuple[float, datetime, str]:
        return self.near.score, self.near.report.at, self.story.id


def join(
    new: Report,
    candidates: Sequence[Story],
    frequencies: Frequencies,
    policy: Policy = Policy(),
    *,
    apart: frozenset[str] = frozenset(),
    known: Weights | None = None,
) -> tuple[Story | None, Because]:
    """Return the story that a new report belongs to, if any, and why.

    `candidates` are recent stories that share a key with it, `apart` those that a person has set apart from
    this very entry. RETELLING: the alert of `Because.origin` stands for it; FOLLOW_UP and TRANSLATION: it is to
    be alerted as an update. `known`, by the same frequencies, spare those who compare many reports a good deal.
    """
    if not policy.events:
        return None, Because()
    candidates = [story for story in candidates if story.reports]
    if not candidates:
        return None, Because()
    comparison = _Comparison(new, known or Weights(frequencies))
    verdicts = [v for story in candidates if (v := _verdict(new, story, comparison, policy, apart))]
    verdicts.sort(key=lambda v: v.rank, reverse=True)
    joined = next((v for v in verdicts if v.kind and not _crosses(v, verdicts)), None)
    misses = tuple(
        NearMiss(story=v.story.id, title=v.near.report.title, feed=v.near.report.feed, reason=v.reason)
        for v in verdicts
        if v is not joined and v.reason and not v.kind
    )[:MAX_MISSES]
    if joined is None or joined.kind is None:
        return None, Because(misses=misses)
    because = _because(joined.kind, joined.story, joined.near)
    return joined.story, replace(because, doubt=joined.reason, misses=misses)


def copy_because(new: Report, story: Story, report: Report) -> Because:
    """Return the reason of a copy: the words that it shares with the report that it is a copy of."""
    near = _Comparison(new, Weights(Frequencies())).with_report(report)
    near = replace(near, cosine=max(near.cosine, similarity(new.fingerprint, report.fingerprint)))
    return _because(JoinKind.COPY, story, near)


def _because(kind: JoinKind, story: Story, near: _Likeness) -> Because:
    report = near.report
    return Because(
        kind=kind,
        story=story.id,
        report=report.id,
        origin=report.origin or report.id if kind is JoinKind.RETELLING else "",
        title=report.title,
        feed=report.feed,
        at=report.at,
        words=near.words,
        similarity=round(min(1.0, near.cosine), 3),
        hours=round(near.hours, 1),
    )


def _verdict(
    new: Report, story: Story, comparison: _Comparison, policy: Policy, apart: frozenset[str]
) -> _Verdict | None:
    reports = story.reports
    if len(reports) > MAX_REPORTS:
        reports = (reports[0], *reports[1 - MAX_REPORTS :])
    strict = STRICT if policy.strict else 0.0
    least = FOLLOW_UP + strict
    groups: dict[str, list[Report]] = {}
    others = list[Report]()
    for report in reports:
        spoken = report.features.lang == new.features.lang
        (groups.setdefault(report.origin or report.id, []) if spoken else others).append(report)
    found = []
    for known in groups.values():
        likely = {report.id: comparison.with_report(report) for report in known if comparison.may_count(report, least)}
        near = max(likely.values(), key=_nearness, default=None)
        if near is not None and near.counts(least):
            group = [likely.get(report.id) or comparison.with_report(report) for report in known]
            agreement = comparison.agreement(known)
            found.append((near.score + agreement.worth, near, agreement, group))
    if not found:
        return _translated(new, story, others, comparison, least, apart)
    sure, near, agreement, group = max(found, key=lambda one: (one[0], _nearness(one[1])))
    if story.id in apart:
        return _Verdict(story, near, None, "set apart by a person")
    if reason := next((r for one in group if (r := _twins(new, one.report))), ""):
        return _Verdict(story, near, None, reason)
    mean = sum(one.cosine for one in group) / len(group)
    if mean < least - SPREAD:
        return _Verdict(story, near, None, "too unlike the event's other reports")
    if sure < SURE_FOLLOW_UP + strict:
        return _Verdict(story, near, None, agreement.doubt)
    alerted = next((one for one in group if one.report.id == near.report.origin), near)
    if sure < SURE_RETELLING + strict:
        doubt = agreement.doubt
    elif alerted.cosine < LIKE_THE_ALERT:
        doubt = "unlike the report that was alerted"
    else:
        doubt = _doubt(new, story, near, mean, policy)
    return _Verdict(story, near, JoinKind.FOLLOW_UP if doubt else JoinKind.RETELLING, doubt)


def _nearness(one: _Likeness) -> tuple[float, datetime, str]:
    return one.score, one.report.at, one.report.id


def _doubt(new: Report, story: Story, near: _Likeness, mean: float, policy: Policy) -> str:
    """Return why a report that is close to an event is not taken for a retelling; "" if it is."""
    least = RETELLING + (STRICT if policy.strict else 0.0)
    if near.score < least or mean < least - SPREAD or near.rare < RARE_WORDS:
        return "in rather different words"
    if reason := twin(new.fingerprint, near.report.fingerprint) or _slot(new, near.report):
        return reason
    opener = next((r for r in story.reports if r.id == near.report.origin), near.report)
    if new.feed in (opener.feed, story.reports[0].feed):
        return "from the same source"
    if story.alerted_at is None:
        return "nothing of it was alerted yet"
    waited = abs(new.at - story.alerted_at)
    return f"{waited.total_seconds() / 3600:.0f} h after the last alert" if waited > policy.fold_for else ""


def _twins(new: Report, report: Report) -> str:
    """Return in what two reports differ that are worded alike; "" if nothing, or if they are not."""
    one, other = new.features.headline, report.features.headline
    overlap, like = _overlap(one, other), similarity(new.fingerprint, report.fingerprint)
    if one != other and sorted(one) == sorted(other):
        return "the same words in another order"
    if like >= ALIKE or overlap >= SAME_HEADLINE:
        return contradiction(new.fingerprint, report.fingerprint, alike=True, verbatim=like >= SIMILARITY)
    return twin(new.fingerprint, report.fingerprint) if overlap >= ALIKE else ""


def _shown(found: Iterable[str]) -> str:
    return ", ".join(sorted(found)[:2])


def _slot(new: Report, report: Report) -> str:
    """Return the words that two headlines of one template have in one place, "words differ (curl / kernel)"; else "".

    A few words could be names where the headlines do not show which are; a word or two, what a series is about.
    """
    one, other = new.features.headline, report.features.headline
    size = min(len(one), len(other))
    before = next((at for at in range(size) if one[at] != other[at]), size)
    after = next((at for at in range(size - before) if one[-1 - at] != other[-1 - at]), size - before)
    mine, others = one[before : len(one) - after], other[before : len(other) - after]
    hidden = hides_names(new.fingerprint) or hides_names(report.fingerprint)
    most, same = max(_length(mine), _length(others)), _length(one[:before]) + _length(one[len(one) - after :])
    template = most <= same and (most <= SLOT if hidden else most <= SMALL_SLOT and same >= SAME_WORDS)
    return f"words differ ({' '.join(mine)} / {' '.join(others)})" if mine and others and template else ""


def _length(words: Sequence[str]) -> float:
    """Count words; two signs of a script without spaces are about one."""
    return sum(0.5 if is_sign(word) else 1.0 for word in words)


def _overlap(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the share of pairs of neighbouring words that two headlines have in common."""
    first, second = set(pairwise(one)), set(pairwise(other))
    union = len(first | second)
    return len(first & second) / union if union else 0.0


def _translated(
    new: Report,
    story: Story,
    others: Sequence[Report],
    comparison: _Comparison,
    least: float,
    apart: frozenset[str],
) -> _Verdict | None:
    """Return the verdict on a story's reports in other languages: by names and numbers, or words that they share."""
    if not others:
        return None
    mine, found = new.features, list[_Likeness]()
    titles, texts = {*mine.anchors}, {*mine.anchors, *mine.text_anchors}
    for report in others:
        if abs(new.at - report.at) > TRANSLATED_WITHIN:
            continue
        known = report.features
        headline = titles.intersection(known.anchors)
        if len(headline) < TITLE_ANCHORS and not comparison.may_count(report, least):
            continue
        text = texts.intersection((*known.anchors, *known.text_anchors))
        enough = len(headline) >= HEADLINE_ANCHORS or (len(headline) >= TITLE_ANCHORS and len(text) >= TEXT_ANCHORS)
        one = comparison.with_report(report)
        if enough or one.counts(least):
            share = len(text) / max(1, min(len(mine.anchors), len(known.anchors)))
            words = tuple((1.0, 0.0, word) for word in written_anchors(mine, text))
            by_anchors = replace(one, cosine=min(1.0, share), score=share * least, shared=words)
            found.append(one if one.counts(least) else by_anchors)
    near = max(found, key=_nearness, default=None)
    if near is None:
        return None
    if story.id in apart:
        return _Verdict(story, near, None, "set apart by a person")
    if (reason := twin(new.fingerprint, near.report.fingerprint)) and reason.startswith("numbers"):
        return _Verdict(story, near, None, reason)
    return _Verdict(story, near, JoinKind.TRANSLATION)


def _crosses(chosen: _Verdict, verdicts: Sequence[_Verdict]) -> bool:
    """Tell whether another story that a person has set apart from the chosen one is at least as near."""
    return any(
        v.near.score >= chosen.near.score
        for v in verdicts
        if v is not chosen and (v.story.id in chosen.story.apart or chosen.story.id in v.story.apart)
    )


def dump_because(because: Because) -> dict[str, Any]:
    """Return a reason as values of JSON."""
    found: dict[str, Any] = msgspec.to_builtins(because)
    return found


def load_because(row: Mapping[str, Any]) -> Because:
    """Read what `dump_because` returned."""
    return msgspec.convert(row, Because)
