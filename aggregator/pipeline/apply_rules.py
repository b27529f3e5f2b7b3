"""Application of rules to stored entries, with one digest per rule."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from aggregator.core.model import Entry, Hit, Reason
from aggregator.core.rules import Rule, RuleIndex
from aggregator.pipeline.context import Context
from aggregator.pipeline.matching import match
from aggregator.ports import Catalog, Feeds


async def find_hits(
    context: Context, catalog: Catalog, rules: Sequence[Rule], since: datetime, step: Callable[[int], object]
) -> tuple[tuple[Entry, ...], tuple[Hit, ...]]:
    """Return the stored entries that these rules match, and the hits."""
    active, now = replace(context.active, index=RuleIndex(rules)), context.now()
    entries: list[Entry] = []
    hits: list[Hit] = []
    async for batch in catalog.scan(since=since):
        for entry in batch:
            feed = active.feeds.get(entry.feed)
            if feed and (found := match(active, feed, [entry], now)):
                entries.append(replace(entry, reason=Reason.APPLIED))
                hits += found
        step(len(batch))
    return tuple(entries), tuple(hits)


async def record_hits(context: Context, feeds: Feeds, entries: Sequence[Entry], hits: Sequence[Hit]) -> int:
    """Store those hits that are not known yet and make their alerts; return how many were new."""
    router, now = context.active.router, context.now()
    by_key = {(entry.feed, entry.key): entry for entry in entries}
    new = 0
    for feed in dict.fromkeys(entry.feed for entry in entries):
        feed_entries = {key: entry for (owner, key), entry in by_key.items() if owner == feed}
        chosen = [hit for hit in hits if hit.feed == feed]
        asked = router.query(chosen, feed_entries, now)
        if asked:
            new += await feeds.record(asked, partial(router.route, chosen, feed_entries, now), now)
    return new
