"""Entries for people: one, the newest, all of them in turn, and those that have certain words."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Select, func, select

from aggregator.core.errors import NotFound
from aggregator.core.model import Entry, Stats
from aggregator.store import mappers
from aggregator.store.column_types import storable
from aggregator.store.inspect import size_bytes
from aggregator.store.queries.base import QueryBase, limited
from aggregator.store.schema import deliveries, entries, feeds, hits

ARRIVAL_SLACK = 1000  # entries that polls may have stored in another order than they saw them

NEWEST = (entries.c.seen_at.desc(), entries.c.id.desc())


class EntryQueries(QueryBase):
    """The catalog's entries."""

    async def entry(self, entry_id: int) -> Entry:
        query = select(entries).where(entries.c.id == entry_id)
        found = await self._reader.read(lambda connection: connection.execute(query).one_or_none())
        if found is None:
            raise NotFound("entry", str(entry_id))
        return mappers.entry(found)

    async def entries(
        self, *, feed: str | None = None, since: datetime | None = None, limit: int = 50
    ) -> tuple[Entry, ...]:
        query = limited(select(entries).order_by(*NEWEST), limit)
        if feed is not None:
            query = query.where(entries.c.feed == feed)
        if since is not None:
            query = query.where(entries.c.seen_at >= since)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(map(mappers.entry, found))

    async def scan(self, *, since: datetime | None = None, batch: int = 500) -> AsyncIterator[tuple[Entry, ...]]:
        """Yield batches, each in a transaction of its own, so that a long scan holds nothing up."""
        query = select(entries).where(entries.c.has_text).order_by(entries.c.id).limit(batch)
        if since is not None:
            query = query.where(entries.c.seen_at >= since)
        last = 0
        while True:
            found = await self._reader.read(partial(_fetch, query=query.where(entries.c.id > last)))
            if not found:
                return
            last = found[-1].id
            yield tuple(map(mappers.entry, found))

    async def count_entries(self, since: datetime | None = None) -> int:
        query = select(func.count()).select_from(entries)
        if since is not None:
            query = query.where(entries.c.seen_at >= since)
        return await self._reader.read(lambda connection: connection.execute(query).scalar_one())

    async def search(
        self,
        words: Sequence[Sequence[str]],
        *,
        since: datetime | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> tuple[Entry, ...]:
        groups = [[storable(term) for term in group if term.strip("* ")] for group in words]
        if not all(groups):
            return ()
        await self._indexing.before_search()
        search = self._indexing.search
        query = search.matching(groups) if groups else select(entries).order_by(entries.c.id.desc())
        number: ColumnElement[int] = search.ENTRY if groups else entries.c.id
        if since is not None:
            query = query.where(entries.c.seen_at >= since, number >= _first_since(since))
        if before is not None:
            query = query.where(number < before)
        found = await self._reader.read(lambda connection: connection.execute(limited(query, limit)).all())
        return tuple(map(mappers.entry, found))

    async def stats(self) -> Stats:
        tables = (feeds, entries, hits, deliveries)
        query = select(*(select(func.count()).select_from(table).scalar_subquery() for table in tables))
        counted = await self._reader.read(lambda connection: tuple(connection.execute(query).one()))
        size = await self._reader.read(lambda connection: size_bytes(connection, self._database.place))
        return Stats(feeds=counted[0], entries=counted[1], hits=counted[2], deliveries=counted[3], bytes=size)


def _first_since(since: datetime) -> ScalarSelect[int]:
    """Return the id with which the entries since an instant begin, so that no search reads on into older ones.

    Ids follow `seen_at` but for polls that were committed side by side: the least of many is taken.
    """
    oldest = select(entries.c.id).where(entries.c.seen_at >= since).order_by(entries.c.seen_at).limit(ARRIVAL_SLACK)
    return select(func.min(oldest.subquery().c.id)).scalar_subquery()


def _fetch(connection: Connection, query: Select[Any]) -> Sequence[Row[Any]]:
    return connection.execute(query).all()
