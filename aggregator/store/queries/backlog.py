"""Overdue work, and the work that was under way when a process died."""

from datetime import datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Row, Text, and_, case, func, literal_column, or_, select, type_coerce

from aggregator.core.findings import ASSUMED_INTERVAL_S, FEED_INTERVALS, MIN_INTERVAL_S, SUSPECT_DEATHS
from aggregator.core.model import (
    TROUBLE,
    Backlog,
    ChannelTest,
    Delivery,
    DeliveryState,
    Health,
    Overdue,
    Suspect,
    last_tried_at,
)
from aggregator.store import mappers
from aggregator.store.column_types import Instant, instant, micros
from aggregator.store.queries.base import QueryBase
from aggregator.store.queries.deliveries import UNSENT, last_unsent, read_channel_tests
from aggregator.store.queries.feeds import WORST_FIRST
from aggregator.store.schema import ALWAYS, SPLIT_OUT, deliveries, feeds, hits, hosts
from aggregator.store.stories import find_unfolding
from aggregator.store.unrouted import unrouted_polls

MAX_LISTED = 10
NONE: ColumnElement[int] = literal_column("0")  # written out, as the partial indexes are
INTERVAL_S: ColumnElement[float] = case(
    (feeds.c.interval_s.is_(None), ASSUMED_INTERVAL_S),
    (feeds.c.interval_s < MIN_INTERVAL_S, MIN_INTERVAL_S),
    else_=feeds.c.interval_s,
)


class BacklogPages(QueryBase):
    """The catalog's view of what is stuck."""

    async def backlog(self, now: datetime, *, brief: bool = False) -> Backlog:
        return await self._reader.read(lambda connection: (_brief if brief else _backlog)(connection, now))


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        feeds.c.configured,
        feeds.c.enabled,
        feeds.c.paused_at.is_(None),
        feeds.c.health != Health.GONE.value,
        feeds.c.next_poll_at > ALWAYS,
        feeds.c.next_poll_at <= micros(now),
        feeds.c.host.not_in(select(hosts.c.host).where(hosts.c.not_before > now)),
    )


def _brief(connection: Connection, now: datetime) -> Backlog:
    """Ask indexes only."""
    oldest = connection.execute(select(func.min(feeds.c.next_poll_at)).where(*_due(now))).scalar()
    # What is not a column plainly has no index: SQLite would rather read all deliveries in order than sort a few.
    channel, name = deliveries.c.channel + literal_column("''"), deliveries.c.id + literal_column("''")
    waits_since = func.min(deliveries.c.due_at, type_=Instant).label("due_at")
    waiting = (
        select(channel.label("channel"), func.count().label("rows"), waits_since)
        .where(deliveries.c.wake_at.is_not(None), deliveries.c.due_at <= now)
        .group_by(channel)
        .order_by(waits_since, channel)
    )
    suspected = select(feeds.c.id, feeds.c.deaths, feeds.c.next_poll_at).where(
        feeds.c.configured, feeds.c.deaths > NONE, feeds.c.deaths >= SUSPECT_DEATHS
    )
    doubtful = select(deliveries.c.id, deliveries.c.deaths, deliveries.c.due_at).where(
        deliveries.c.wake_at.is_not(None), deliveries.c.deaths > NONE, deliveries.c.deaths >= SUSPECT_DEATHS
    )
    suspects = [
        *(
            Suspect(kind="feed", name=row.id, deaths=row.deaths, until=instant(row.next_poll_at))
            for row in connection.execute(suspected.order_by(feeds.c.id).limit(MAX_LISTED))
        ),
        *(
            Suspect(kind="delivery", name=row.id, deaths=row.deaths, until=row.due_at)
            for row in connection.execute(doubtful.order_by(name).limit(MAX_LISTED))
        ),
    ]
    return Backlog(
        splits=connection.execute(select(func.count()).select_from(hits).where(SPLIT_OUT)).scalar_one(),
        suspects=tuple(suspects),
        oldest_feed_due_at=None if oldest is None else instant(oldest),
        channels=tuple(
            Overdue(name=row.channel, due_at=row.due_at, count=row.rows) for row in connection.execute(waiting)
        ),
    )


def _backlog(connection: Connection, now: datetime) -> Backlog:
    brief = _brief(connection, now)
    is_overdue = micros(now) - feeds.c.next_poll_at > INTERVAL_S * (FEED_INTERVALS * 1e6)
    late = (
        select(feeds.c.id, feeds.c.next_poll_at, feeds.c.interval_s, func.count().over().label("all"))
        .where(*_due(now), is_overdue)
        .order_by(feeds.c.next_poll_at, feeds.c.id)
        .limit(MAX_LISTED)
    )
    found = connection.execute(late).all() if brief.oldest_feed_due_at is not None else []
    today = type_coerce(feeds.c.stored_today, Text)  # ["2026-03-02",entries,bytes,left out]
    capped = select(feeds.c.id, feeds.c.stored_today).where(
        feeds.c.configured, today.like(f'["{now.date().isoformat()}",%'), today.not_like("%,0]")
    )
    unwell = (
        feeds.c.configured,
        feeds.c.enabled,
        feeds.c.paused_at.is_(None),
        or_(
            feeds.c.health.in_([word.value for word in TROUBLE]),
            and_(feeds.c.failures > 0, feeds.c.last_ok_at.is_(None)),
            and_(feeds.c.last_ok_at.is_not(None), feeds.c["items"] == 0, feeds.c.newest_at.is_(None)),
        ),
    )
    sick = select(*mappers.state_columns()).where(*unwell).order_by(WORST_FIRST, feeds.c.id).limit(MAX_LISTED)
    how_many = select(func.count()).select_from(feeds).where(*unwell)
    given_up = select(func.count()).where(
        deliveries.c.state == DeliveryState.DEAD.value, deliveries.c.acknowledged_at.is_(None)
    )
    broken, failed_tests = _broken(connection)
    newest = select(func.max(feeds.c.last_polled_at, type_=Instant)).where(feeds.c.configured)
    return replace(
        brief,
        unrouted=unrouted_polls(connection, now),
        unfolding=tuple(sorted(find_unfolding(connection, now))),
        unwell=tuple(map(mappers.feed_state, connection.execute(sick))),
        feeds_unwell=connection.execute(how_many).scalar_one(),
        broken=broken,
        failed_tests=failed_tests,
        dead=connection.execute(given_up).scalar_one(),
        newest_poll_at=connection.execute(newest).scalar(),
        over_budget=tuple(
            (row.id, row.stored_today[3]) for row in connection.execute(capped.order_by(feeds.c.id).limit(MAX_LISTED))
        ),
        feeds=tuple(map(_feed, found)),
        feeds_overdue=found[0].all if found else 0,
    )


def _broken(connection: Connection) -> tuple[tuple[Delivery, ...], tuple[ChannelTest, ...]]:
    """Return, of each channel whose last attempt failed, the delivery that it was for, or the test alert."""
    failed = (deliveries.c.attempts > 0, deliveries.c.acknowledged_at.is_(None))
    unsent = select(deliveries.c.channel).where(deliveries.c.state.in_(UNSENT), *failed)
    names = set(connection.execute(unsent).scalars())
    tests = {test.channel: test for test in read_channel_tests(connection)}
    broken, failed_tests = [], []
    for name in sorted(names | {name for name, test in tests.items() if not test.ok})[:MAX_LISTED]:
        rows = last_unsent(connection, deliveries.c.channel == name, *failed, limit=1)
        row = max(rows, key=lambda row: row.created_at, default=None)
        sent = select(func.max(deliveries.c.sent_at, type_=Instant)).where(deliveries.c.channel == name)
        sent_at, last, test = connection.execute(sent).scalar(), mappers.delivery(row) if row else None, tests.get(name)
        if test and (sent_at is None or test.at >= sent_at) and (last is None or test.at >= last_tried_at(last)):
            failed_tests += [] if test.ok else [test]
        elif last and (sent_at is None or last_tried_at(last) > sent_at):
            broken.append(last)
    return tuple(broken), tuple(failed_tests)


def _feed(row: Row[Any]) -> Overdue:
    return Overdue(name=row.id, due_at=instant(row.next_poll_at), interval_s=row.interval_s)
