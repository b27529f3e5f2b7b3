"""Pruning: what is older than the retention goes, in steps for which no poll waits long.

What is removed is found by its age, so that the work grows with it, not with what stays. Two kinds of rows are not all
to go when they are old: texts that something matched, and keys of stories, which are stored by key. Of these, each
pruning looks through some, from where the last one ended.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Connection, Table, delete, func, literal, select, tuple_, update

from aggregator.store.column_types import EPOCH, Instant, instant, micros
from aggregator.store.counts import add_up
from aggregator.store.engine import Database
from aggregator.store.reader import ReadPool
from aggregator.store.schema import (
    deliveries,
    entries,
    hits,
    hosts,
    learned,
    quarantined,
    silences,
    stories,
    story_keys,
    undo_log,
    unindexed,
)
from aggregator.store.search_index import SearchIndex
from aggregator.store.writer import Writer

UNDO_KEPT = timedelta(days=30)

# Rows removed in one transaction: few enough that a poll's commit never waits long.
STEP = 500
ENTRIES_STEP = 200  # each goes with its hits, alerts and text
# Rows looked through in one step.
KEYS_STEP = 10_000
TEXTS_STEP = 1_000
# Steps of a pruning; further ones follow as long as a tenth of what is looked through was to go.
STEPS = 5
WORTHWHILE = 10

NEWEST_SENT = select(func.max(deliveries.c.sent_at))
UNMATCHED = ~select(hits.c.id).where(hits.c.entry == entries.c.id).exists()
PROGRESS = "pruning"  # its name among what is learnt

Place = tuple[datetime, int]  # of an entry: when it was seen, and its id
FIRST: Place = (EPOCH, 0)


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far earlier prunings came.

    texts: entries seen before were looked through; again: a second time, up to here; key: the last key looked at.
    """

    texts: datetime = EPOCH
    again: Place = FIRST
    key: str = ""


class Pruning:
    """Removes what is too old."""

    def __init__(self, database: Database, writer: Writer, reader: ReadPool, indexing: SearchIndex) -> None:
        self._database = database
        self._dialect = database.dialect
        self._writer = writer
        self._reader = reader
        self._indexing = indexing

    async def run(self, now: datetime, *, entries_s: float, content_s: float) -> tuple[int, int]:
        """Return (entries removed, texts emptied)."""
        oldest = now - timedelta(seconds=entries_s)
        fullest = now - timedelta(seconds=content_s)
        before = await self._reader.read(_progress)
        removed = await self._in_steps(lambda connection: self._remove_entries(connection, oldest))
        emptied, progress = await self._empty_entries(before, fullest)
        settled = deliveries.c.wake_at.is_(None) & (deliveries.c.created_at < oldest)
        for table, condition in (
            (deliveries, settled),
            (stories, stories.c.last_at < oldest),
            (quarantined, quarantined.c.seen_at < fullest),
            (silences, silences.c.until_at < fullest),
            (undo_log, undo_log.c.made_at < now - UNDO_KEPT),
        ):
            await self._in_steps(partial(_remove, table=table, condition=condition))
        progress = replace(progress, key=await self._remove_keys(before.key, oldest))

        def finish(connection: Connection) -> None:
            add_up(connection)
            connection.execute(delete(hosts).where(hosts.c.not_before <= now))
            if progress != before:
                connection.execute(self._dialect.upsert(learned), {"name": PROGRESS, "data": _stored(progress)})

        await self._writer.execute(finish)
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

    async def _empty_entries(self, before: _Progress, fullest: datetime) -> tuple[int, _Progress]:
        """Empty texts that nothing matched; their titles stay, and are all that the index keeps.

        Those that something matched keep theirs as long as the entry, so only what has become old since the last
        pruning is looked through; and, some at a time, what was before, of which some may have been edited.
        """
        looked = min(before.texts, fullest)
        new, _ = await self._empty_between((looked, 0), fullest)
        old, again = await self._empty_between(before.again, looked, steps=STEPS)
        return new + old, _Progress(texts=fullest, again=again)

    async def _empty_between(self, after: Place, end: datetime, steps: int | None = None) -> tuple[int, Place]:
        """Empty texts of entries seen until `end`; return how many, and the place of the last (FIRST: of all).

        Found by a reader, for which no poll waits. After `steps` of them, go on as long as that is worthwhile.
        """
        total, number, emptied = 0, 0, 0
        while steps is None or number < steps or emptied * WORTHWHILE >= TEXTS_STEP:
            found, last = await self._reader.read(partial(_find_unmatched, after=after, end=end))
            emptied, number = 0, number + 1
            for start in range(0, len(found), ENTRIES_STEP):
                emptied += await self._writer.execute(partial(self._empty, old=found[start : start + ENTRIES_STEP]))
            total += emptied
            if last is None:
                return total, FIRST
            after = last
        return total, after

    def _empty(self, connection: Connection, old: Sequence[int]) -> int:
        empty = update(entries).where(entries.c.id.in_(old), UNMATCHED).values(summary="", content="", has_text=False)
        done = list(connection.execute(empty.returning(entries.c.id)).scalars())
        if done:
            connection.execute(self._dialect.insert_ignore(unindexed), [{"entry": entry} for entry in done])
        return len(done)

    async def _remove_keys(self, after: str, oldest: datetime) -> str:
        """Remove old keys of stories; return the last one that was looked at (none: of all)."""
        number, removed = 0, 0
        while number < STEPS or removed * WORTHWHILE >= KEYS_STEP:
            last, removed = await self._writer.execute(partial(_remove_keys, after=after, oldest=oldest))
            if last is None:
                return ""
            after, number = last, number + 1
        return after


def _find_unmatched(connection: Connection, after: Place, end: datetime) -> tuple[list[int], Place | None]:
    """Return which of the next thousand old texts nothing matched, and the place of the last; None: no more."""
    place = tuple_(entries.c.seen_at, entries.c.id)
    query = (
        select(entries.c.id, entries.c.seen_at, UNMATCHED)
        .where(entries.c.has_text.is_(True), entries.c.seen_at < end, entries.c.seen_at >= after[0])
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


def _remove_keys(connection: Connection, after: str, oldest: datetime) -> tuple[str | None, int]:
    """Remove old ones of the next few thousand keys; return the last key, None at the end, and how many went."""
    here = story_keys.c.key > after
    last = select(story_keys.c.key).where(here).order_by(story_keys.c.key).offset(KEYS_STEP).limit(1)
    end = connection.execute(last).scalar()
    old = delete(story_keys).where(here, story_keys.c.at < oldest)
    return end, connection.execute(old if end is None else old.where(story_keys.c.key <= end)).rowcount


def _progress(connection: Connection) -> _Progress:
    found = connection.execute(select(learned.c.data).where(learned.c.name == PROGRESS)).scalar()
    if found is None:
        return _Progress()
    texts, seen, number, key = json.loads(found)
    return _Progress(instant(texts), (instant(seen), number), key)


def _stored(progress: _Progress) -> bytes:
    return json.dumps([micros(progress.texts), micros(progress.again[0]), progress.again[1], progress.key]).encode()
