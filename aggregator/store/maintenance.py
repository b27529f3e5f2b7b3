"""Upkeep of the database: schema, backups, checks, and pruning."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import (
    Connection,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from aggregator.core.errors import DatabaseFault, StoreError
from aggregator.core.model import DeliveryState
from aggregator.store.check import SENDING, index_at_fault, rows_at_fault
from aggregator.store.column_types import micros
from aggregator.store.dialect import Dialect
from aggregator.store.engine import Database
from aggregator.store.files import tighten
from aggregator.store.idle import AHEAD, NEXT_POLL_AHEAD, OWNERS
from aggregator.store.migrations import REVISIONS
from aggregator.store.prune import NEWEST_SENT, Pruning
from aggregator.store.reader import ReadPool
from aggregator.store.schema import (
    NEVER,
    attempts,
    deliveries,
    feeds,
    hosts,
    stories,
    wanted_texts,
)
from aggregator.store.search_index import SearchIndex
from aggregator.store.sent import SLACK
from aggregator.store.writer import Writer

if TYPE_CHECKING:
    from aggregator.store.migrate import EngineSteps

log = logging.getLogger(__name__)

SQLITE_NOW = text("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")
WAITING = [state.value for state in (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.RETRY)]

FAR_AHEAD = timedelta(days=3)  # no server's request for rest is obeyed for longer
LEASE_AHEAD = timedelta(hours=1)  # no lease is longer


class SqlMaintenance:
    """`ports.Maintenance` over SQL."""

    def __init__(
        self, database: Database, writer: Writer, reader: ReadPool, indexing: SearchIndex, *, make_dirs: bool
    ) -> None:
        self._database = database
        self._dialect: Dialect = database.dialect
        self._writer = writer
        self._reader = reader
        self._indexing = indexing
        self._make_dirs = make_dirs
        self._pruning = Pruning(database, writer, reader, indexing)

    async def upgrade(self, *, backup: bool = True, engine: "EngineSteps" = ()) -> str:
        return await asyncio.to_thread(self._upgrade, backup, engine)

    def _upgrade(self, backup: bool, engine: "EngineSteps") -> str:
        """Upgrade if necessary; mostly there is nothing to do, and then a start needs no write lock."""
        place = self._database.place
        if place.path is not None:
            tighten(place.path)
        try:
            self._database.check_schema()
            current = not engine or self._engine_is_current(engine)
        except StoreError:  # the upgrade repairs or reports it
            current = False
        if not current:
            from aggregator.store.migrate import upgrade  # passes find the schema as they left it

            upgrade(place, make_dirs=self._make_dirs, backup=backup, engine=engine)
        self._notice_older()
        return REVISIONS[-1]

    def _engine_is_current(self, engine: "EngineSteps") -> bool:
        from aggregator.store.migrate import engine_is_current

        with self._database.reading() as connection:
            return engine_is_current(connection, engine)

    def _notice_older(self) -> None:
        """Mark possible repeats if alerts were sent that this file does not know of: a backup was restored."""
        sent = self._database.sent
        known = sent.mark()  # before the database is asked: a process that sends writes there first
        if known.sent_at is None:
            return
        with self._database.reading() as connection:
            newest_at = connection.execute(NEWEST_SENT).scalar()
            now = datetime.fromisoformat(connection.execute(SQLITE_NOW).scalar_one())
        if newest_at is not None and newest_at >= known.sent_at:
            return
        # Who sent them has ended: whatever is sent from now on is known.
        until = max(known.sent_at, min(known.sent_at + SLACK, now))
        until = max(until, known.unsure_until or until)
        unsure = (
            update(deliveries)
            .where(deliveries.c.state.in_([*WAITING, SENDING]), deliveries.c.created_at <= until)
            .values(repeat=True)
        )
        with self._database.writing() as connection:
            count = connection.execute(unsure).rowcount
        sent.reset(newest_at, until)
        log.warning(
            "%s is older than the last alert sent (%s): a backup was restored; alerts from before then are "
            "marked as possible repeats (%d of those waiting)",
            self._database.place,
            f"{known.sent_at:%Y-%m-%d %H:%M:%S} UTC",
            count,
        )

    def fault(self) -> DatabaseFault | None:
        self._database.look()
        return self._database.fault

    async def backup(self, path: str) -> int:
        from aggregator.store.backup import back_up

        await asyncio.to_thread(self._database.check_schema)  # never a copy of what is not ours
        return await asyncio.to_thread(back_up, self._database.place, path)

    async def check(self) -> tuple[str, ...]:
        place = self._database.place
        try:
            found = await self._reader.read(partial(rows_at_fault, place=place))
        except StoreError as error:
            return (str(error),)
        if place.is_sqlite:
            found += await asyncio.to_thread(index_at_fault, place)
        return tuple(found)

    async def owners(self) -> tuple[str, ...]:
        found = await self._reader.read(lambda connection: connection.execute(text(OWNERS)).scalars().all())
        return tuple(sorted(found))

    async def release_leases_of(self, owners: Sequence[str], now: datetime) -> int:
        bound = {"owners": self._dialect.list_param(owners)}
        idle = (
            update(feeds)
            .where(self._dialect.is_in(feeds.c.lease_owner, "owners"), feeds.c.begun_at.is_(None))
            .values(lease_owner=None, lease_until=None)
        )
        # A document that was being worked on counts against its feed: the next claim brings it back.
        begun = (
            update(feeds)
            .where(self._dialect.is_in(feeds.c.lease_owner, "owners"), feeds.c.begun_at.is_not(None))
            .values(lease_until=now)
        )
        # A delivery keeps its owner: only a lease that ran out is claimed as a possible repeat.
        lapsed = (
            update(deliveries)
            .where(deliveries.c.state == SENDING, self._dialect.is_in(deliveries.c.lease_owner, "owners"))
            .values(lease_until=now, wake_at=now)
        )

        def free(connection: Connection) -> int:
            return sum(connection.execute(step, bound).rowcount for step in (idle, begun, lapsed))

        return await self._writer.execute(free)

    async def repair_future_dates(self, now: datetime) -> int:
        future = now + AHEAD
        # A feed that was put off because the network was down has not been polled: only its next poll lies ahead.
        latest = micros(now + NEXT_POLL_AHEAD) + func.coalesce(feeds.c.interval_s, 0.0) * 2_000_000
        dated_ahead = or_(feeds.c.last_polled_at > future, feeds.c.next_poll_at > latest)
        ahead = (dated_ahead, feeds.c.next_poll_at > micros(now), feeds.c.next_poll_at < NEVER)
        put_off = update(feeds).where(*ahead).values(next_poll_at=micros(now))
        tried = exists().where(attempts.c.delivery == deliveries.c.id, attempts.c.started_at > future)
        waiting = (
            update(deliveries)
            .where(
                deliveries.c.state.in_(WAITING),
                deliveries.c.wake_at > now,
                or_(deliveries.c.created_at > future, tried),
            )
            .values(due_at=now, wake_at=now)
        )
        # What goes with those: rests of their hosts, leases that nobody lives to end, and stories and articles that
        # would wait for a time that lies years ahead.
        asides = (
            delete(hosts).where(
                or_(
                    hosts.c.not_before > now + FAR_AHEAD,
                    hosts.c.host.in_(select(feeds.c.host).where(*ahead)),
                )
            ),
            update(feeds).where(feeds.c.lease_until > now + LEASE_AHEAD).values(lease_until=now),
            update(deliveries)
            .where(deliveries.c.state == SENDING, deliveries.c.lease_until > now + LEASE_AHEAD)
            .values(lease_until=now, wake_at=now),
            update(stories).where(stories.c.last_at > future).values(last_at=now),
            update(wanted_texts).where(wanted_texts.c.next_at > now + FAR_AHEAD).values(next_at=now),
        )

        def repair(connection: Connection) -> int:
            for step in asides:
                connection.execute(step)
            return sum(connection.execute(step).rowcount for step in (put_off, waiting))

        return await self._writer.execute(repair)

    async def index_text(self, limit: int = 1000) -> int:
        return await self._indexing.bring_up_to_date(limit)

    async def prune(self, now: datetime, *, entries_s: float, content_s: float) -> tuple[int, int]:
        return await self._pruning.run(now, entries_s=entries_s, content_s=content_s)
