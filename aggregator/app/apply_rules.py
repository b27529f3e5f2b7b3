"""Running rules over what is stored, and telling what they find as one digest each."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from aggregator.app.application import Application
from aggregator.core.model import Entry, Hit, Reason, RoutingContext, RoutingResult
from aggregator.core.routing import route, routing_query
from aggregator.core.rules import Rule, RuleIndex
from aggregator.notify import recipients
from aggregator.pipeline.matching import match


async def find_hits(
    app: Application, rules: Sequence[Rule], since: datetime, step: Callable[[int], object]
) -> tuple[tuple[Entry, ...], tuple[Hit, ...]]:
    """The stored entries that these rules match, and the hits."""
    active, now = replace(app.current, index=RuleIndex(rules)), app.clock.now()
    entries: list[Entry] = []
    hits: list[Hit] = []
    async for batch in app.store.catalog.scan(since=since):
        for entry in batch:
            feed = active.feeds.get(entry.feed)
            if feed and (found := match(active, feed, [entry], now)):
                entries.append(replace(entry, reason=Reason.APPLIED))
                hits += found
        step(len(batch))
    return tuple(entries), tuple(hits)


async def record_hits(app: Application, entries: Sequence[Entry], hits: Sequence[Hit]) -> int:
    """Store those hits that are not known yet and make their alerts; gives how many were new."""
    active, now = app.current, app.clock.now()
    by_key = {(entry.feed, entry.key): entry for entry in entries}
    new = 0
    for feed in dict.fromkeys(entry.feed for entry in entries):
        feed_entries = {key: entry for (owner, key), entry in by_key.items() if owner == feed}
        chosen = [hit for hit in hits if hit.feed == feed]
        asked = routing_query(chosen, feed_entries, active.rule_configs, active.config.settings, now)
        if asked:
            new += await app.store.feeds.record(asked, partial(_route, app, chosen, feed_entries, now), now)
    return new


def _route(
    app: Application, hits: Sequence[Hit], entries: dict[str, Entry], now: datetime, context: RoutingContext
) -> RoutingResult:
    active = app.current
    return route(
        hits,
        entries,
        active.rule_configs,
        active.config.channels,
        active.config.settings,
        context,
        now,
        recipients=recipients,
    )
