"""Synchronisation of feed rows with the configuration; an edit of YAML never removes what was stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from aggregator.core.model import FeedState
from aggregator.core.settings import Feed
from aggregator.store import mappers
from aggregator.store.column_types import Values
from aggregator.store.dialect import Dialect
from aggregator.store.schema import feeds, memories

CONFIGURED = (
    feeds.c.id,
    feeds.c.configured_url,
    feeds.c.configured_title,
    feeds.c.reading,
    feeds.c.configured,
    feeds.c.enabled,
)


def sync_feeds(connection: Connection, dialect: Dialect, wanted: Sequence[Feed], now: datetime) -> None:
    """Add feeds, record their edits, disable removed ones; those that return go on where they were.

    Rows are locked, added and edited in the order of their ids, so that two processes never wait for each other.
    """
    wanted = sorted(wanted, key=lambda feed: feed.id)
    stored = {row.id: row for row in connection.execute(select(*CONFIGURED).order_by(feeds.c.id).with_for_update())}
    new = [_new(feed, now) for feed in wanted if feed.id not in stored]
    edited = [feed for feed in wanted if feed.id in stored and _differs(feed, stored[feed.id])]
    moved = [
        feed
        for feed in edited
        if (feed.url, feed.reading.text) != (stored[feed.id].configured_url, stored[feed.id].reading)
    ]
    gone = stored.keys() - {feed.id for feed in wanted}

    if new:
        connection.execute(dialect.insert_ignore(feeds), new)
    if edited:
        edit = update(feeds).where(feeds.c.id == bindparam("feed_id"))
        connection.execute(edit, [{"feed_id": feed.id, **_configured(feed)} for feed in edited])
    if moved:
        _start_over(connection, dialect, moved, now)
    leave = update(feeds).where(dialect.is_in(feeds.c.id, "ids"), feeds.c.configured)
    if gone:
        connection.execute(leave.values(configured=False, enabled=False), {"ids": dialect.list_param(sorted(gone))})


def _differs(feed: Feed, row: Any) -> bool:
    return any(getattr(row, column) != value for column, value in _configured(feed).items())


def _configured(feed: Feed) -> Values:
    return {
        "configured_url": str(feed.url),
        "configured_title": feed.title,
        "reading": feed.reading.text,
        "configured": True,
        "enabled": feed.enabled,
    }


def _fresh(feed: Feed, now: datetime) -> FeedState:
    return FeedState(id=feed.id, url=str(feed.url), configured_url=str(feed.url), health_since=now)


def _new(feed: Feed, now: datetime) -> Values:
    return {"id": feed.id, **mappers.feed_values(_fresh(feed, now)), **_configured(feed)}


def _start_over(connection: Connection, dialect: Dialect, moved: Sequence[Feed], now: datetime) -> None:
    """Reset a feed that is read elsewhere or otherwise: forget facts, but not its entries nor its first poll.

    The lease goes too, so that a poll of the old address that is under way cannot be written.
    """
    kept = {"title", "first_polled_at", "last_new_at", "newest_at", "gap_s", "rungs"}
    restart = (
        update(feeds)
        .where(feeds.c.id == bindparam("feed_id"))
        .values(lease_owner=None, lease_until=None, begun_at=None)
    )
    states = [mappers.feed_values(_fresh(feed, now)) for feed in moved]
    connection.execute(
        restart,
        [
            {"feed_id": feed.id, **{name: value for name, value in values.items() if name not in kept}}
            for feed, values in zip(moved, states, strict=True)
        ],
    )
    forget = delete(memories).where(dialect.is_in(memories.c.feed, "ids"))
    connection.execute(forget, {"ids": dialect.list_param([feed.id for feed in moved])})
