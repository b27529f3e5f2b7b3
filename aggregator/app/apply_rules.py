"""Running rules over what is stored, and telling what they find as one digest each."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from aggregator.app.application import House
from aggregator.core.model import Entry, Hit, Reason, Routed, Surroundings
from aggregator.core.routing import question, route
from aggregator.core.rules import Rule, RuleIndex
from aggregator.notify import recipients
from aggregator.pipeline.matching import match


async def find(
    house: House, rules: Sequence[Rule], since: datetime, step: Callable[[int], object]
) -> tuple[tuple[Entry, ...], tuple[Hit, ...]]:
    """The stored entries that these rules match, and the hits."""
    setup, now = replace(house.current, index=RuleIndex(rules)), house.clock.now()
    entries: list[Entry] = []
    hits: list[Hit] = []
    async for batch in house.store.catalog.scan(since=since):
        for entry in batch:
            feed = setup.feeds.get(entry.feed)
            if feed and (found := match(setup, feed, [entry], now)):
                entries.append(replace(entry, reason=Reason.APPLIED))
                hits += found
        step(len(batch))
    return tuple(entries), tuple(hits)


async def record(house: House, entries: Sequence[Entry], hits: Sequence[Hit]) -> int:
    """Store those hits that are not known yet and make their alerts; gives how many were new."""
    setup, now = house.current, house.clock.now()
    by_key = {(entry.feed, entry.key): entry for entry in entries}
    new = 0
    for feed in dict.fromkeys(entry.feed for entry in entries):
        mine = {key: entry for (owner, key), entry in by_key.items() if owner == feed}
        chosen = [hit for hit in hits if hit.feed == feed]
        asked = question(chosen, mine, setup.rule_configs, setup.config.settings, now)
        if asked:
            new += await house.store.feeds.record(asked, partial(_route, house, chosen, mine, now), now)
    return new


def _route(house: House, hits: Sequence[Hit], entries: dict[str, Entry], now: datetime, around: Surroundings) -> Routed:
    setup = house.current
    return route(
        hits,
        entries,
        setup.rule_configs,
        setup.config.channels,
        setup.config.settings,
        around,
        now,
        recipients=recipients,
    )
