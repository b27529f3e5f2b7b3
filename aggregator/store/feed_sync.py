"""Synchronisation of feed rows with the configuration; an edit of YAML never removes what was stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, select, update

from aggregator.core.model import FeedState
from aggregator.store import mappers
from aggregator.store.column_types import Values
from aggregator.store.dialect import CONFIG_LOCK, Dialect
from aggregator.store.schema import feeds, memories

if TYPE_CHECKING:
    from aggregator.core.settings import Feed

CONFIGURED = (
    feeds.c.id,
    feeds.c.configured_url,
    feeds.c.configured_title,
    feeds.c.reading,
    feeds.c.configured,
    feeds.c.enabled,
    feeds.c.options,
)
NONE: Mapping[str, str] = MappingProxyType({})


def sync_feeds(
    connection: Connection,
    dialect: Dialect,
    wanted: Sequence["Feed"],
    now: datetime,
    options: Mapping[str, str] = NONE,
) -> None:
    """Add feeds, record their edits, disable removed ones; those that return go on where they were.

    `options`: each feed as it is written, where the configuration is kept in the database. One process at a time;
    only rows that change are locked, in the order of their ids, as commits of polls lock theirs.
    """
    dialect.advisory_lock(connection, CONFIG_LOCK)
    wanted = sorted(wanted, key=lambda feed: feed.id)
    stored = {row.id: row for row in connection.execute(select(*CONFIGURED))}
    written = {feed.id: _configured(feed, options.get(feed.id)) for feed in wanted}
    new = [{"id": feed.id, **_new(feed, now), **written[feed.id]} for feed in wanted if feed.id not in stored]
    edited = [feed for feed in wanted if feed.id in stored and _differs(written[feed.id], stored[feed.id])]
    moved = [
        feed
        for feed in edited
        if (feed.url, feed.reading.text) != (stored[feed.id].configured_url, stored[feed.id].reading)
    ]
    gone = {row.id for row in stored.values() if row.configured} - written.keys()
    if changing := sorted(gone | {feed.id for feed in edited}):
        lock = select(feeds.c.id).where(dialect.is_in(feeds.c.id, "ids")).order_by(feeds.c.id).with_for_update()
        connection.execute(lock, {"ids": dialect.list_param(changing)}).all()

    if new:
        connection.execute(dialect.insert_ignore(feeds), new)
    if edited:
        edit = update(feeds).where(feeds.c.id == bindparam("feed_id"))
        connection.execute(edit, [{"feed_id": feed.id, **written[feed.id]} for feed in edited])
    if moved:
        _start_over(connection, dialect, moved, now)
    leave = update(feeds).where(dialect.is_in(feeds.c.id, "ids"), feeds.c.configured)
    if gone:
        connection.execute(leave.values(configured=False, enabled=False), {"ids": dialect.list_param(sorted(gone))})


def _differs(written: Values, row: Any) -> bool:
    return any(getattr(row, column) != value for column, value in written.items())


def _configured(feed: "Feed", options: str | None) -> Values:
    return {
        "configured_url": str(feed.url),
        "configured_title": feed.title,
        "reading": feed.reading.text,
        "configured": True,
        "enabled": feed.enabled,
        "options": options,
    }


def _fresh(feed: "Feed", now: datetime) -> FeedState:
    return FeedState(id=feed.id, url=str(feed.url), configured_url=str(feed.url), health_since=now)


def _new(feed: "Feed", now: datetime) -> Values:
    return mappers.feed_values(_fresh(feed, now))


def _start_over(connection: Connection, dialect: Dialect, moved: Sequence["Feed"], now: datetime) -> None:
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
