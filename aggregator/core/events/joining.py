"""The decision: which story a report joins, as what, and why; or why it does not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

from msgspec import structs

from aggregator.core.events.features import written_anchors
from aggregator.core.events.likeness import Comparison, Likeness, Weights
from aggregator.core.events.turns import turn
from aggregator.core.model import Because, Frequencies, JoinKind, NearMiss, Report, Story
from aggregator.core.stories import (
    SIMILARITY,
    contradiction,
    hides_names,
    numbers,
    said,
    said_in_both,
    similarity,
    strangers,
    twin,
)
from aggregator.core.text.facts import is_sign

EVENT_AGE = timedelta(days=7)  # of a story's first report, beyond which nothing joins it
MAX_REPORTS = 24  # of each story: the opener and the latest

RETELLING, FOLLOW_UP = 0.30, 0.26  # least likeness to the nearest report
SPREAD = 0.05  # by which the mean of the reports of one alert may lie below that
STRICT = 0.08  # more of each with `strictness: strict`
RARE_WORDS = 3  # that a retelling shares
LESSER_SAID, GREATER_SAID = 0.4, 0.6  # of either headline of short retellings that the other report says
SURE_RETELLING, SURE_FOLLOW_UP = 0.72, 0.65  # least likeness with what the facts add
NAMES_OF_FOLLOW_UP = 0.55  # least agreement of the names of what is no retelling
LIKE_THE_ALERT = 0.25  # least likeness of a retelling to what people read, so that small steps lead nowhere
ALIKE, SAME_HEADLINE = 0.2, 0.6  # of the shingles of texts or pairs of words of headlines: worded alike
HIDDEN_ALIKE, HIDDEN_NAMES = (
    0.3,
    2,
)  # the same of headlines that hide names; words that each has alone, as names would be
SLOT, SMALL_SLOT, SAME_WORDS = 4, 2, 4  # words in which two headlines of one template differ; that they share
FRAME = 3.0  # words that two headlines of one template share, for each in which they differ, if they show their names
HEADLINE_ANCHORS = 3  # shared by headlines in two languages
TITLE_ANCHORS, TEXT_ANCHORS = 2, 4  # or this many in the headlines and in all of both
TRANSLATED_WITHIN = timedelta(hours=12)
SAME_MEANING, SURE_MEANING = 0.6, 0.65  # least likeness in meaning, where it is known; with one anchor in common
MAX_MISSES = 3  # of a reason


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
class _Verdict:
    """What one story is to a new report: a join of a kind, or (None) a near miss for a reason."""

    story: Story
    near: Likeness
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
    comparison = Comparison(new, known or Weights(frequencies))
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
    return joined.story, structs.replace(because, doubt=joined.reason, misses=misses)


def continues(edited: Report, stored: Report) -> bool:
    """Tell whether an edited entry still is the news that it was: it has most of the words that one of the two has.

    An article has those of its teaser, and a text that was cut down had its own before. A live page that goes on to
    the next news has few of them, however it is headed.
    """
    one, other = set(edited.features.stems), set(stored.features.stems)
    return 2 * len(one & other) >= min(len(one), len(other))


def copy_because(new: Report, story: Story, report: Report) -> Because:
    """Return the reason of a copy: the words that it shares with the report that it is a copy of."""
    near = Comparison(new, Weights(Frequencies())).with_report(report)
    near = replace(near, cosine=max(near.cosine, similarity(new.fingerprint, report.fingerprint)))
    return _because(JoinKind.COPY, story, near)


def _because(kind: JoinKind, story: Story, near: Likeness) -> Because:
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
    new: Report, story: Story, comparison: Comparison, policy: Policy, apart: frozenset[str]
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
        doubt = _doubt(new, story, near, mean, comparison, policy) or _turned(new, alerted, group)
    if doubt and agreement.names < NAMES_OF_FOLLOW_UP:
        return _Verdict(story, near, None, agreement.doubt)
    return _Verdict(story, near, JoinKind.FOLLOW_UP if doubt else JoinKind.RETELLING, doubt)


def _nearness(one: Likeness) -> tuple[float, datetime, str]:
    return one.score, one.report.at, one.report.id


def _doubt(new: Report, story: Story, near: Likeness, mean: float, comparison: Comparison, policy: Policy) -> str:
    """Return why a report that is close to an event is not taken for a retelling; "" if it is."""
    least = RETELLING + (STRICT if policy.strict else 0.0)
    if near.score < least or mean < least - SPREAD or near.rare < RARE_WORDS:
        return "in rather different words"
    same = twin(new.fingerprint, near.report.fingerprint, lang=new.features.lang)
    if reason := same or _slot(new, near.report):
        return reason
    lesser, greater = comparison.headlines_said(near.report)
    if lesser < LESSER_SAID or greater < GREATER_SAID:
        return "the headlines say different things"
    opener = next((r for r in story.reports if r.id == near.report.origin), near.report)
    if new.feed in (opener.feed, story.reports[0].feed):
        return "from the same source"
    if story.alerted_at is None:
        return "nothing of it was alerted yet"
    waited = abs(new.at - story.alerted_at)
    return f"{waited.total_seconds() / 3600:.0f} h after the last alert" if waited > policy.fold_for else ""


def _turned(new: Report, alerted: Likeness, group: Sequence[Likeness]) -> str:
    """Return what a report says that is news to those who were alerted; "" if nothing."""
    word = turn(new, alerted.report, [one.report for one in group])
    if word:
        return f"says something new ({word})"
    if _overlap(new.features.headline, alerted.report.features.headline) < HIDDEN_ALIKE:
        return ""
    mine, others = strangers(new.fingerprint, alerted.report.fingerprint, new.features.lang)
    return f"names differ ({', '.join(sorted(mine)[:2])} / {', '.join(sorted(others)[:2])})" if mine and others else ""


def _twins(new: Report, report: Report) -> str:
    """Return in what two reports differ that are worded alike; "" if nothing, or if they are not."""
    one, other = new.features.headline, report.features.headline
    overlap, like = _overlap(one, other), similarity(new.fingerprint, report.fingerprint)
    lang = new.features.lang
    if one != other and sorted(one) == sorted(other):
        return "the same words in another order"
    if like >= ALIKE or overlap >= SAME_HEADLINE:
        reason = contradiction(new.fingerprint, report.fingerprint, alike=True, verbatim=like >= SIMILARITY, lang=lang)
    else:
        reason = twin(new.fingerprint, report.fingerprint, lang=lang) if overlap >= ALIKE else ""
    return reason or _hidden_names(new, report, overlap)


def _hidden_names(new: Report, report: Report, overlap: float) -> str:
    """Return what may be names in headlines in a script without capitals, each named by one report alone.

    They recur in the text of their report, as what it is about does; other words for the same thing seldom do so on
    both sides. Where the numbers differ, too, one such word on each side is enough, however the headlines are worded.
    """
    if _has_capitals(new.title) or _has_capitals(report.title):
        return ""
    one, other = numbers(new.fingerprint), numbers(report.fingerprint)
    conflict = bool(one) and bool(other) and not one & other
    if overlap < HIDDEN_ALIKE and not conflict:
        return ""
    mine = said_in_both(new.fingerprint) - said(report.fingerprint) - {*report.features.stems}
    others = said_in_both(report.fingerprint) - said(new.fingerprint) - {*new.features.stems}
    if min(_length([word[0] for word in words]) for words in (mine, others)) < (
        1 if conflict else HIDDEN_NAMES
    ):  # pairs of signs are halves
        return ""
    return f"names differ ({', '.join(sorted(mine)[:2])} / {', '.join(sorted(others)[:2])})"


@lru_cache(maxsize=1 << 12)
def _has_capitals(title: str) -> bool:
    """Tell whether a title is mostly in a script that has capitals."""
    alphabetic = [sign for sign in title if sign.isalpha()]
    return 2 * sum(sign.lower() != sign.upper() for sign in alphabetic) > len(alphabetic)


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
    if mine and others and template:
        return f"words differ ({' '.join(mine)} / {' '.join(others)})"
    return _slots(one, other, 1.0 if hidden else FRAME)


def _slots(one: Sequence[str], other: Sequence[str], frame: float) -> str:
    """Return the words in which two headlines differ in several places and are the same, in order, in all others.

    These are at least `frame` times as many.
    """
    steps = SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    differing = [(one[a:b], other[c:d]) for kind, a, b, c, d in steps if kind != "equal"]
    same = sum(_length(one[a:b]) for kind, a, b, *_ in steps if kind == "equal")
    pure = all(mine and others and max(_length(mine), _length(others)) <= SLOT for mine, others in differing)
    if not differing or not pure or frame * sum(max(_length(a), _length(b)) for a, b in differing) > same:
        return ""
    sides = (" … ".join(" ".join(words) for words in side) for side in zip(*differing, strict=True))
    return f"words differ ({' / '.join(sides)})"


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
    comparison: Comparison,
    least: float,
    apart: frozenset[str],
) -> _Verdict | None:
    """Return the verdict on a story's reports in other languages: by names and numbers, words in common, or meaning."""
    if not others:
        return None
    mine, found = new.features, list[tuple[Likeness, str]]()
    titles, texts = {*mine.anchors}, {*mine.anchors, *mine.text_anchors}
    for report in others:
        if abs(new.at - report.at) > TRANSLATED_WITHIN:
            continue
        known = report.features
        headline, meaning = titles.intersection(known.anchors), comparison.meaning(report)
        if meaning is None and len(headline) < TITLE_ANCHORS and not comparison.may_count(report, least):
            continue
        text = texts.intersection((*known.anchors, *known.text_anchors))
        named = len(headline) >= HEADLINE_ANCHORS or (len(headline) >= TITLE_ANCHORS and len(text) >= TEXT_ANCHORS)
        one = comparison.with_report(report)
        if meaning is not None and not _means_the_same(meaning, len(text), named or one.counts(least)):
            continue
        if one.counts(least):
            found.append((one, ""))
        elif named or meaning is not None:
            share = len(text) / max(1, min(len(mine.anchors), len(known.anchors))) if meaning is None else meaning
            words = tuple((1.0, 0.0, word) for word in written_anchors(mine, text))
            by_anchors = replace(one, cosine=min(1.0, share), score=share * least, shared=words)
            found.append((by_anchors, "" if named else f"alike in meaning ({meaning:.2f})"))
    near, by_meaning = max(found, key=lambda one: _nearness(one[0]), default=(None, ""))
    if near is None:
        return None
    if story.id in apart:
        return _Verdict(story, near, None, "set apart by a person")
    if (reason := twin(new.fingerprint, near.report.fingerprint)) and reason.startswith("numbers"):
        return _Verdict(story, near, None, reason)
    return _Verdict(story, near, JoinKind.TRANSLATION, by_meaning)


def _means_the_same(meaning: float, anchors: int, alike: bool) -> bool:
    """Tell whether reports in two languages are of one event, by their likeness in meaning and anchors in common.

    Meaning alone is not enough: two strikes, two floods mean nearly the same. `alike`: they are by names or words.
    """
    return anchors > 0 and meaning >= (SAME_MEANING if alike or anchors > 1 else SURE_MEANING)


def _crosses(chosen: _Verdict, verdicts: Sequence[_Verdict]) -> bool:
    """Tell whether another story that a person has set apart from the chosen one is at least as near."""
    return any(
        v.near.score >= chosen.near.score
        for v in verdicts
        if v is not chosen and (v.story.id in chosen.story.apart or chosen.story.id in v.story.apart)
    )
