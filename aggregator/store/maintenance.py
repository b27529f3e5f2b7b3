"""Upkeep of the database: schema, backups, checks, and pruning."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)

from aggregator.core.errors import DatabaseFault, StoreError
from aggregator.core.model import DeliveryState
from aggregator.store.backup import back_up
from aggregator.store.column_types import EPOCH, Instant, micros
from aggregator.store.counts import add_up, false_counts
from aggregator.store.dialect import Dialect
from aggregator.store.engine import Database
from aggregator.store.files import tighten
from aggregator.store.idle import AHEAD, NEXT_POLL_AHEAD, OWNERS
from aggregator.store.migrate import EngineSteps, engine_is_current, upgrade
from aggregator.store.migrations import REVISIONS
from aggregator.store.reader import ReadPool
from aggregator.store.schema import (
    NEVER,
    attempts,
    deliveries,
    entries,
    feeds,
    hits,
    hosts,
    quarantined,
    silences,
    stories,
    story_keys,
    undo_log,
    unindexed,
    wanted_texts,
)
from aggregator.store.search_index import SearchIndex
from aggregator.store.sent import SLACK
from aggregator.store.writer import Writer

log = logging.getLogger(__name__)

SENDING = DeliveryState.SENDING.value
SQLITE_NOW = text("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")
NEWEST_SENT = select(func.max(deliveries.c.sent_at))
WAITING = [state.value for state in (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.RETRY)]

FAR_AHEAD = timedelta(days=3)  # no server's request for rest is obeyed for longer
LEASE_AHEAD = timedelta(hours=1)  # no lease is longer
UNDO_KEPT = timedelta(days=30)

# Rows removed in one transaction: few enough that a poll's commit never waits long.
STEP = 500
ENTRIES_STEP = 200  # each goes with its hits, alerts and text
KEYS_STEP = 10_000
TEXTS_STEP = 5_000
FIRST: tuple[datetime, int] | None = (EPOCH, 0)
UNMATCHED = ~select(hits.c.id).where(hits.c.entry == entries.c.id).exists()


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

    async def upgrade(self, *, backup: bool = True, engine: EngineSteps = ()) -> str:
        return await asyncio.to_thread(self._upgrade, backup, engine)

    def _upgrade(self, backup: bool, engine: EngineSteps) -> str:
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
            upgrade(place, make_dirs=self._make_dirs, backup=backup, engine=engine)
        self._notice_older()
        return REVISIONS[-1]

    def _engine_is_current(self, engine: EngineSteps) -> bool:
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
        await asyncio.to_thread(self._database.check_schema)  # never a copy of what is not ours
        return await asyncio.to_thread(back_up, self._database.place, path)

    async def check(self) -> tuple[str, ...]:
        try:
            found = await self._reader.read(self._look)
        except StoreError as error:
            return (str(error),)
        if self._database.place.is_sqlite:
            found = [*found, *await self._check_index()]
        return tuple(found)

    def _look(self, connection: Connection) -> list[str]:
        """Return the database's own findings, then what no constraint can check."""
        wrong: list[str] = []
        if self._database.place.is_sqlite:
            lines = connection.execute(text("PRAGMA integrity_check(20)")).scalars().all()
            wrong += [f"damaged: {line}" for line in lines if line != "ok"]
            loose = connection.execute(text("PRAGMA foreign_key_check")).all()
            wrong += [f"a row of {row[0]} refers to a missing row of {row[2]}" for row in loose[:20]]
        orphans = (
            (feeds, feeds.c.lease_owner.is_not(None) & feeds.c.lease_until.is_(None), "a lease without an expiry"),
            (feeds, feeds.c.lease_owner.is_not(None) & ~feeds.c.configured, "a lease, but is no longer configured"),
            (
                deliveries,
                (deliveries.c.state == SENDING) & deliveries.c.lease_until.is_(None),
                "is being sent without a lease",
            ),
        )
        for table, condition, words in orphans:
            found = connection.execute(select(table.c.id).where(condition).order_by(table.c.id).limit(20)).scalars()
            wrong += [f"{table.name} {row}: {words}" for row in found]
        for name, there, counted in false_counts(connection):
            wrong.append(
                f"{counted} {name} are counted, but there are {there}; a copy (`aggregator db copy`) counts anew"
            )
        return wrong

    async def _check_index(self) -> list[str]:
        verify = text("INSERT INTO entry_text (entry_text) VALUES ('integrity-check')")
        try:
            await self._writer.execute(lambda connection: connection.execute(verify))
        except StoreError as error:
            return [f"full-text index: {error}"]
        return []

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
        oldest = now - timedelta(seconds=entries_s)
        fullest = now - timedelta(seconds=content_s)
        removed = await self._in_steps(lambda connection: self._remove_entries(connection, oldest))
        emptied = await self._empty_entries(fullest)
        settled = deliveries.c.wake_at.is_(None) & (deliveries.c.created_at < oldest)
        for table, condition in (
            (deliveries, settled),
            (stories, stories.c.last_at < oldest),
            (quarantined, quarantined.c.seen_at < fullest),
            (silences, silences.c.until_at < fullest),
            (undo_log, undo_log.c.made_at < now - UNDO_KEPT),
        ):
            await self._in_steps(partial(_remove, table=table, condition=condition))
        start: str | None = ""
        while start is not None:
            start = await self._writer.execute(partial(_remove_keys, start=start, oldest=oldest))
        await self._writer.execute(add_up)
        await self._writer.execute(
            lambda connection: connection.execute(delete(hosts).where(hosts.c.not_before <= now))
        )
        if self._database.sent.mark().sent_at is not None:  # what is pruned is not missing
            newest_at = await self._reader.read(lambda connection: connection.execute(NEWEST_SENT).scalar())
            self._database.sent.reset(newest_at, self._database.sent.unsure_until)
        return removed, emptied

    async def _in_steps(self, step: Callable[[Connection], int]) -> int:
        total = 0
        while done := await self._writer.execute(step):
            total += done
        return total

    def _remove_entries(self, connection: Connection, oldest: datetime) -> int:
        """Remove entries with their hits and their place in the index; their keys stay."""
        query = select(entries.c.id).where(entries.c.seen_at < oldest).order_by(entries.c.seen_at).limit(ENTRIES_STEP)
        old = list(connection.execute(query).scalars())
        if old:
            self._indexing.search.remove(connection, old)
            connection.execute(delete(entries).where(entries.c.id.in_(old)))
        return len(old)

    async def _empty_entries(self, fullest: datetime) -> int:
        """Empty texts that nothing matched; their titles stay, and are all that the index keeps.

        Those that something matched keep theirs for a year and are passed each time: by a reader, for which no poll
        waits, and once.
        """
        total, place = 0, FIRST
        while place is not None:
            found, place = await self._reader.read(partial(_find_unmatched, fullest=fullest, after=place))
            for start in range(0, len(found), ENTRIES_STEP):
                total += await self._writer.execute(partial(self._empty, old=found[start : start + ENTRIES_STEP]))
        return total

    def _empty(self, connection: Connection, old: Sequence[int]) -> int:
        empty = update(entries).where(entries.c.id.in_(old), UNMATCHED).values(summary="", content="", has_text=False)
        done = list(connection.execute(empty.returning(entries.c.id)).scalars())
        if done:
            connection.execute(self._dialect.insert_ignore(unindexed), [{"entry": entry} for entry in done])
        return len(done)


def _find_unmatched(
    connection: Connection, fullest: datetime, after: tuple[datetime, int]
) -> tuple[list[int], tuple[datetime, int] | None]:
    """Return which of the next few thousand old texts nothing matched, and the place of the last; None: no more."""
    place = tuple_(entries.c.seen_at, entries.c.id)
    query = (
        select(entries.c.id, entries.c.seen_at, UNMATCHED)
        .where(entries.c.has_text.is_(True), entries.c.seen_at < fullest, entries.c.seen_at >= after[0])
        .where(place > tuple_(literal(after[0], Instant), literal(after[1])))
        .order_by(entries.c.seen_at, entries.c.id)
        .limit(TEXTS_STEP)
    )
    rows = connection.execute(query).all()
    found = [number for number, _, unmatched in rows if unmatched]
    return found, (rows[-1].seen_at, rows[-1].id) if len(rows) == TEXTS_STEP else None


def _remove(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    some = select(table.c.id).where(condition).limit(STEP)
    return connection.execute(delete(table).where(table.c.id.in_(some.scalar_subquery()))).rowcount


def _remove_keys(connection: Connection, start: str, oldest: datetime) -> str | None:
    """Remove old keys of stories among the next few thousand after `start`; return the last of these, None at the end.

    They are stored by key, not by age: everything is read once, but no step holds up other writes.
    """
    after = story_keys.c.key > start
    last = select(story_keys.c.key).where(after).order_by(story_keys.c.key).offset(KEYS_STEP).limit(1)
    end = connection.execute(last).scalar()
    old = delete(story_keys).where(after, story_keys.c.at < oldest)
    connection.execute(old if end is None else old.where(story_keys.c.key <= end))
    return end
