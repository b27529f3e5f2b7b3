"""What people change about stories: one entry leaves, or two become one; planned as values, which the store writes."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from aggregator.core.delivery import delivery_id
from aggregator.core.errors import Conflict
from aggregator.core.model import (
    SPLIT_FROM,
    AlertKind,
    Because,
    Delivery,
    Frequencies,
    Hit,
    HitDetail,
    HitState,
    JoinKind,
    Report,
    Story,
    StoryEdit,
    StoryKeys,
    StoryLink,
    StoryMerge,
)
from aggregator.core.routing.deliveries import PlannedAlert, deliveries
from aggregator.core.routing.router import Router
from aggregator.core.routing.story_index import joined_stories, lookup, notified, story_ids
from aggregator.core.stories import reports_of

UNALERTED = (HitState.FOLDED, HitState.COLLAPSED)  # for the sake of the story


def plan_split(
    router: Router,
    story: Story,
    details: Sequence[HitDetail],
    chosen: HitDetail,
    described: Report,
    frequencies: Frequencies,
    now: datetime,
    by: str,
) -> StoryEdit:
    """Plan that an entry leaves its story with its copies, for a story of its own; who was not alerted is, now.

    `details` are all hits of the story, `described` describes the entry as it is now. The two stories are set apart
    for good. Raises Conflict if the story has nothing else.
    """
    ids = story_ids(chosen.entry)
    own = next((report for report in reports_of(story) if report.id in ids), None)
    report = own or described
    leaving = [d for d in details if _leaves(d, chosen, report if own else None)]
    left = [d for d in details if d not in leaving]
    if not left:
        raise Conflict(f"story {story.id} has nothing else than this entry and its copies")
    name = report.id if report.id != story.id else delivery_id("split", report.id)
    moved = tuple(_moved(detail, chosen, name, story) for detail in leaving)
    heard = tuple(dict.fromkeys(h.rule for h in moved if h.state is HitState.ALERTED))
    report = replace(report, origin=report.id, alerted_rules=heard)
    new = Story(
        id=name,
        title=report.title,
        fingerprint=report.fingerprint,
        feeds=_feeds(leaving),
        alerted_rules=heard,
        first_at=report.at,
        last_at=max(max(d.hit.created_at for d in leaving), report.at),
        alerted_at=now if heard else None,
    )
    rest = tuple(known for known in reports_of(story) if known.id != report.id)
    kept = replace(story, feeds=_feeds(left), reports=())
    if own is not None and own.id == story.id and rest:  # its first report left
        kept = replace(kept, title=rest[0].title, fingerprint=rest[0].fingerprint)
    keys = (StoryKeys(name, report.at, lookup(report, frequencies, router.settings.stories)),)
    return StoryEdit(
        link=StoryLink(story.id, name, apart=True, by=by, at=now),
        stories=(kept, new),
        reports=((name, report),),
        keys=keys,
        hits=moved,
        deliveries=_alerts(router, [d.hit for d in leaving], moved, new, now),
    )


def plan_join(one: Story, other: Story, details: Sequence[HitDetail], now: datetime, by: str) -> StoryEdit:
    """Plan that everything of `other` goes into `one`; `details` are the hits of `other`. Raises Conflict."""
    if one.id == other.id:
        raise Conflict(f"{one.id} and {other.id} are one story already")
    because = Because(
        kind=JoinKind.PERSON, story=one.id, report=one.id, title=one.title, feed=one.feeds[0], at=now, by=by
    )
    into, gone = joined_stories(one, other)
    openers = tuple(
        replace(d.hit, story=one.id, because=because)
        for d in details
        if d.hit.because is None or d.hit.because.kind is None
    )
    return StoryEdit(
        link=StoryLink(one.id, other.id, apart=False, by=by, at=now),
        stories=(gone, into),
        merged=(StoryMerge(other.id, one.id),),
        hits=openers,
    )


def _leaves(detail: HitDetail, chosen: HitDetail, report: Report | None) -> bool:
    """Tell whether a hit leaves with the chosen one: of the same entry, or of a copy of its report."""
    because = detail.hit.because
    copy = report is not None and because is not None and because.kind is JoinKind.COPY and because.report == report.id
    return copy or (detail.hit.feed, detail.hit.entry_key) == (chosen.hit.feed, chosen.hit.entry_key)


def _moved(detail: HitDetail, chosen: HitDetail, name: str, story: Story) -> Hit:
    hit = detail.hit
    if hit.entry_id == chosen.hit.entry_id:
        state = HitState.ALERTED if hit.state in UNALERTED else hit.state
        reason = f"{SPLIT_FROM}{story.title}" if hit.state is HitState.FOLDED else hit.reason
        reason = f"no copy of: {story.title}" if hit.state is HitState.COLLAPSED else reason
        return replace(hit, story=name, state=state, reason=reason, because=None)
    because = hit.because and replace(hit.because, story=name)
    return replace(hit, story=name, because=because)


def _alerts(
    router: Router, before: Sequence[Hit], after: Sequence[Hit], story: Story, now: datetime
) -> tuple[Delivery, ...]:
    known: Mapping[str, HitState] = {hit.id: hit.state for hit in before}
    details = [
        PlannedAlert(
            subject=("split", hit.feed, hit.entry_key, now.isoformat()),
            kind=AlertKind.HIT,
            rule=router.rules[hit.rule],
            hits=(hit.id,),
            channels=notified(router.rules[hit.rule], router.settings),
            title=story.title or router.rules[hit.rule].title or hit.rule,
            story=story.id,
        )
        for hit in after
        if hit.state is HitState.ALERTED and known[hit.id] in UNALERTED and hit.rule in router.rules
    ]
    return deliveries(details, router.channels, now, router.recipients)


def _feeds(details: Sequence[HitDetail]) -> tuple[str, ...]:
    ordered = sorted(details, key=lambda d: (d.hit.created_at, d.hit.id))
    return tuple(dict.fromkeys(d.hit.feed for d in ordered))
