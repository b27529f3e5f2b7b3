"""The decision: which story a report joins, as what, and why; or why it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import sqrt
from typing import Any

import msgspec

from aggregator.core.events.frequencies import idf, weighing, weight
from aggregator.core.model import Because, Frequencies, JoinKind, NearMiss, Report, Story
from aggregator.core.stories import contradiction, similarity, twin

EVENT_AGE = timedelta(days=7)  # of a story's first report, beyond which nothing joins it
CANDIDATES, MAX_REPORTS = 48, 24  # stories that a report is compared with; reports of each: the opener, the latest
DECAY = 0.002  # of likeness for every hour between two reports
RETELLING, FOLLOW_UP = 0.38, 0.30  # least likeness to the nearest report
SPREAD = 0.05  # by which the mean of all reports may lie below that
STRICT = 0.08  # more of each with `strictness: strict`
RARE, RARE_WORDS, REASON = 2.0, 3, 3  # idf of a rare word; shared ones of a retelling; shared words of any join
DOUBTFUL_WORDS = 2  # rare words that a follow-up shares
ALIKE = 0.2  # of the shingles of headlines or texts, from which wording counts as alike
HEADLINE_ANCHORS, TEXT_ANCHORS = 3, 4  # shared across languages: in the headlines, or with the texts
TRANSLATED_WITHIN = timedelta(hours=12)
MAX_MISSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings of stories that decide here.

    `fold_for` is how long after the last alert about an event a retelling needs none; `events` False joins
    nothing, `model` uses sentence embeddings where reports have them.
    """

    fold_for: timedelta = timedelta(hours=12)
    strict: bool = False
    events: bool = True
    model: bool = False


@dataclass(frozen=True, slots=True)
class _Likeness:
    """How like a new report is to one that is known: `score` is `cosine`, less for the time between them."""

    score: float
    cosine: float
    hours: float
    report: Report
    shared: tuple[tuple[float, float, str], ...]  # weight, idf and written form of each shared word, heaviest first

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(word for _, _, word in self.shared)


class _Comparison:
    """The words of a new report, ready to be compared with many."""

    def __init__(self, new: Report, frequencies: Frequencies) -> None:
        self._new, self._frequencies = new, frequencies
        self._rarity: dict[str, float] = {}
        known = new.features
        self._shown = dict(zip(known.stems, known.shown, strict=True))
        self._weights = {stem: weight(count, self._idf(stem)) for stem, count in weighing(known)}
        self._norm = sqrt(sum(weight * weight for weight in self._weights.values()))

    def with_report(self, report: Report) -> _Likeness:
        hours = abs((self._new.at - report.at).total_seconds()) / 3600
        known, mine = report.features, self._weights
        weights = {stem: count for stem, count in zip(known.stems, known.counts, strict=True) if count and stem in mine}
        if len(weights) < DOUBTFUL_WORDS or not self._norm:
            return _Likeness(0.0, 0.0, hours, report, ())
        norm = sqrt(sum(weight(count, self._idf(stem)) ** 2 for stem, count in weighing(known)))
        products = {stem: mine[stem] * weight(count, self._idf(stem)) for stem, count in weights.items()}
        cosine = sum(products.values()) / (self._norm * norm) if norm else 0.0
        shared = sorted(((product, self._idf(s), self._shown[s]) for s, product in products.items()), reverse=True)
        return _Likeness(cosine - DECAY * hours, cosine, hours, report, tuple(shared))

    def _idf(self, stem: str) -> float:
        found = self._rarity.get(stem)
        if found is None:
            found = self._rarity[stem] = idf(self._frequencies, stem)
        return found


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
) -> tuple[Story | None, Because]:
    """Return the story that a new report belongs to, if any, and why.

    `candidates` are recent stories that share a key with it, `apart` those that a person has set apart from
    this very entry. RETELLING: the alert of `Because.origin` stands for it; FOLLOW_UP and TRANSLATION: it is to
    be alerted as an update.
    """
    if not policy.events:
        return None, Because()
    comparison = _Comparison(new, frequencies)
    verdicts = [v for story in candidates if story.reports and (v := _verdict(new, story, comparison, policy, apart))]
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
    near = _Comparison(new, Frequencies()).with_report(report)
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
        words=near.words[:6],
        similarity=round(min(1.0, near.cosine), 3),
        hours=round(near.hours, 1),
    )


def _verdict(
    new: Report, story: Story, comparison: _Comparison, policy: Policy, apart: frozenset[str]
) -> _Verdict | None:
    reports = (
        story.reports if len(story.reports) <= MAX_REPORTS else (story.reports[0], *story.reports[1 - MAX_REPORTS :])
    )
    likenesses = [comparison.with_report(report) for report in reports]
    near = max(likenesses, key=lambda one: (one.score, one.report.at, one.report.id))
    more = STRICT if policy.strict else 0.0
    rare = sum(1 for _, rarity, _ in near.shared if rarity >= RARE)
    if near.score < FOLLOW_UP + more or len(near.shared) < REASON or rare < DOUBTFUL_WORDS:
        return _translated(new, story, reports, apart)
    if story.id in apart:
        return _Verdict(story, near, None, "set apart by a person")
    origin = near.report.origin or near.report.id
    group = [one for one in likenesses if (one.report.origin or one.report.id) == origin]
    if reason := next((r for one in group if (r := _twins(new, one.report))), ""):
        return _Verdict(story, near, None, reason)
    mean = sum(one.cosine for one in group) / len(group)
    if mean < FOLLOW_UP + more - SPREAD:
        return _Verdict(story, near, None, "too unlike the event's other reports")
    doubt = _doubt(new, story, near, mean, rare, policy, more)
    return _Verdict(story, near, JoinKind.FOLLOW_UP if doubt else JoinKind.RETELLING, doubt)


def _doubt(new: Report, story: Story, near: _Likeness, mean: float, rare: int, policy: Policy, more: float) -> str:
    """Return why a report that is close to an event is not taken for a retelling; "" if it is."""
    if near.score < RETELLING + more or mean < RETELLING + more - SPREAD or rare < RARE_WORDS:
        return "in rather different words"
    if reason := contradiction(new.fingerprint, near.report.fingerprint):
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
    reason = twin(new.fingerprint, report.fingerprint)
    if not reason:
        return ""
    alike = max(
        similarity(new.fingerprint, report.fingerprint), _overlap(new.features.headline, report.features.headline)
    )
    return reason if alike >= ALIKE else ""


def _overlap(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the share of pairs of neighbouring words that two headlines have in common."""
    first, second = set(pairwise(one)), set(pairwise(other))
    union = len(first | second)
    return len(first & second) / union if union else 0.0


def _translated(new: Report, story: Story, reports: Sequence[Report], apart: frozenset[str]) -> _Verdict | None:
    """Return the verdict by names and numbers alone, for reports in other languages."""
    best: tuple[int, datetime, str, tuple[str, ...], Report] | None = None
    mine, mine_too = set(new.features.anchors), {*new.features.anchors, *new.features.text_anchors}
    for report in reports:
        known = report.features
        if known.lang == new.features.lang or abs(new.at - report.at) > TRANSLATED_WITHIN:
            continue
        headline = mine.intersection(known.anchors)
        text = mine_too.intersection((*known.anchors, *known.text_anchors))
        if len(headline) >= HEADLINE_ANCHORS or (len(headline) >= 2 and len(text) >= TEXT_ANCHORS):
            found = (len(text), report.at, report.id, tuple(sorted(text)), report)
            best = max(best, found, key=lambda one: one[:3]) if best else found
    if best is None:
        return None
    _, _, _, anchors, report = best
    hours = abs((new.at - report.at).total_seconds()) / 3600
    shared = tuple((1.0, 0.0, anchor.lstrip("#")) for anchor in anchors)
    size = max(1, min(len(mine_too), len({*report.features.anchors, *report.features.text_anchors})))
    near = _Likeness(0.0, len(anchors) / size, hours, report, shared)
    if story.id in apart:
        return _Verdict(story, near, None, "set apart by a person")
    if (reason := twin(new.fingerprint, report.fingerprint)) and reason.startswith("numbers"):
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
