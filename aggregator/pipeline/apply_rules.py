"""Application of rules to stored entries, with one digest per rule."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from msgspec import structs

from aggregator.core.errors import NotFound
from aggregator.core.model import Entry, Frequencies, Hit, Period, Reason, Report, RoutingContext, RoutingResult, Undo
from aggregator.core.results import BaselineSent
from aggregator.core.routing import Router, describe
from aggregator.core.rules import Rule, RuleIndex
from aggregator.pipeline.context import Context
from aggregator.pipeline.matching import breathing, match
from aggregator.ports import Catalog, Feeds

PART = 500  # entries in one transaction: others that want to write wait no longer than these take


async def find_hits(
    context: Context, catalog: Catalog, rules: Sequence[Rule], asked: Period, step: Callable[[int], object]
) -> AsyncIterator[tuple[list[Entry], list[Hit]]]:
    """Yield the stored entries of a span of time that these rules match, and the hits, some hundreds at a time."""
    active, now = replace(context.active, index=RuleIndex(rules)), context.now()
    async for batch in catalog.scan(since=asked.since, until=asked.until):
        entries, hits = list[Entry](), list[Hit]()
        for entry in batch:
            feed = active.feeds.get(entry.feed)
            if feed and (found := match(active, feed, [entry], now)):
                entries.append(structs.replace(entry, reason=Reason.APPLIED))
                hits += found
        step(len(batch))
        if hits:
            yield entries, hits


async def send_baseline(
    context: Context, catalog: Catalog, rule: str | None, *, wait_s: float = 0.0, undo: Undo | None = None
) -> BaselineSent:
    """Queue one digest of the hits that were there at first polls (of one rule), to leave after `wait_s`.

    Raises NotFound, Conflict.
    """
    active = context.active
    if rule is not None and rule not in active.rules:
        raise NotFound("rule", rule, list(active.rules))
    details = await catalog.baseline(rule)
    now = context.now()
    earliest = now + timedelta(seconds=wait_s)
    made = tuple(
        structs.replace(one, due_at=max(one.due_at, earliest)) for one in active.router.digest_baseline(details, now)
    )
    named = {hit for delivery in made for hit in delivery.hits}
    if named:
        await catalog.report_baseline(sorted(named), made, undo=undo)
    return BaselineSent(hits=len(named), deliveries=made, unsent=len(details) - len(named))


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of applying rules: hits that are new, and those of them that an alert was made about."""

    recorded: int = 0
    queued: int = 0


async def record_hits(context: Context, feeds: Feeds, entries: Sequence[Entry], hits: Sequence[Hit]) -> Applied:
    """Store those hits that are not known yet and make their alerts, some hundreds in one transaction."""
    of_entry: dict[tuple[str, str], list[Hit]] = {}
    for hit in hits:
        of_entry.setdefault((hit.feed, hit.entry_key), []).append(hit)
    ordered = sorted(entries, key=lambda entry: (entry.dated_at, entry.feed, entry.key))
    vocabulary = await context.vocabulary.of({entry.feed for entry in entries}, context.active.router.settings.stories)
    now, done = context.now(), Applied()
    for number, start in enumerate(range(0, len(ordered), PART)):
        chosen = ordered[start : start + PART]
        found, reports = list[Hit](), dict[tuple[str, str], Report]()
        async for some in breathing(chosen):
            hits_of_some = [hit for entry in some for hit in of_entry.get((entry.feed, entry.key), ())]
            reports |= describe(some, hits_of_some, now, vocabulary)
            found += hits_of_some
        router = context.active.router
        part = await _record_part(router, feeds, chosen, found, now, reports, vocabulary.frequencies, number)
        done = Applied(done.recorded + part.recorded, done.queued + part.queued)
    return done


async def _record_part(
    router: Router,
    feeds: Feeds,
    entries: Sequence[Entry],
    hits: Sequence[Hit],
    now: datetime,
    reports: Mapping[tuple[str, str], Report],
    words: Frequencies,
    part: int,
) -> Applied:
    asked = router.query(hits, entries, now, reports, words)
    if asked is None:
        return Applied()
    routed = RoutingResult()

    def route(context: RoutingContext) -> RoutingResult:
        nonlocal routed  # a transaction may be tried again: the last one was written
        routed = router.route(
            hits, entries, now, context, reports=reports, frequencies=words, question=asked, part=part
        )
        return routed

    recorded = await feeds.record(asked, route, now)
    return Applied(recorded, len({hit for delivery in routed.deliveries for hit in delivery.hits}))
