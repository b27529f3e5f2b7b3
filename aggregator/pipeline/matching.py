"""Matching of entries and rules to hits, with their evidence; many entries leave room for others in between."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from aggregator.core.model import Entry, Hit
from aggregator.core.rules import document
from aggregator.pipeline.context import ActiveConfig

if TYPE_CHECKING:
    from aggregator.core.rules import Document, RuleMatch
    from aggregator.core.settings import Feed, RuleConfig

CONCURRENCY = 20  # entries that are worked on without a break: some milliseconds

T = TypeVar("T")


def match(active: ActiveConfig, feed: "Feed", entries: Sequence[Entry], now: datetime) -> tuple[Hit, ...]:
    """Return every hit of every rule on these entries of one feed."""
    hits = []
    for entry in entries:
        text = document(entry, feed.tags)
        hits += [_hit(active, entry, text, found, now) for found in active.index.match(text)]
    return tuple(hits)


def _hit(active: ActiveConfig, entry: Entry, text: "Document", found: "RuleMatch", now: datetime) -> Hit:
    from aggregator.core.rules.snippet import snippet  # most polls have no hit

    return Hit(
        id=hit_id(active.rule_configs[found.rule], entry),
        rule=found.rule,
        feed=entry.feed,
        entry_key=entry.key,
        entry_id=entry.id,
        entry_version=entry.version,
        spans=found.spans,
        snippet=snippet(text, found.spans),
        created_at=now,
    )


async def match_all(active: ActiveConfig, feed: "Feed", entries: Sequence[Entry], now: datetime) -> tuple[Hit, ...]:
    """Match many entries, yielding to the event loop in between."""
    return tuple([hit async for some in breathing(entries) for hit in match(active, feed, some, now)])


async def breathing(many: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Yield a few of `many` at a time; in between, the event loop has its turn."""
    for start in range(0, len(many), CONCURRENCY):
        if start:
            await asyncio.sleep(0)
        yield many[start : start + CONCURRENCY]


def hit_id(rule: "RuleConfig", entry: Entry) -> str:
    """Return one id for each rule and entry; one for each version too, if the rule alerts on updates."""
    from aggregator.core.delivery import delivery_id

    version = [str(entry.version)] if rule.on_update and entry.version > 1 else []
    return delivery_id("hit", rule.id, entry.feed, entry.key, *version)
