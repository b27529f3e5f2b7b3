"""Entries for people: one, the newest, all of them in turn, and those that have certain words."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from aggregator.core.errors import NotFound
from aggregator.core.model import By, Entry, SearchOrder, Stats
from aggregator.store import mappers
from aggregator.store.column_types import storable
from aggregator.store.counts import count_all
from aggregator.store.inspect import size_bytes
from aggregator.store.queries.base import QueryBase, earlier, limited, within
from aggregator.store.schema import entries, feeds, ids_since

TIMES = {"published": entries.c.dated_at, "recorded": entries.c.seen_at}


class EntryQueries(QueryBase):
    """The catalog's entries."""

    async def entry(self, entry_id: int) -> Entry:
        query = select(entries).where(entries.c.id == entry_id)
        found = await self._reader.read(lambda connection: connection.execute(query).one_or_none())
        if found is None:
            raise NotFound("entry", str(entry_id))
        return mappers.entry(found)

    async def entries(
        self,
        *,
        feed: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "published",
        limit: int = 50,
    ) -> tuple[Entry, ...]:
        query = select(entries).where(*within(TIMES[by], since, until))
        query = limited(query.order_by(TIMES[by].desc(), entries.c.id.desc()), limit)
        if feed is not None:
            query = query.where(entries.c.feed == feed)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(map(mappers.entry, found))

    async def scan(
        self, *, since: datetime | None = None, until: datetime | None = None, by: By = "published", batch: int = 500
    ) -> AsyncIterator[tuple[Entry, ...]]:
        """Yield batches, each in a transaction of its own, so that a long scan holds nothing up."""
        wanted = (entries.c.has_text, *within(TIMES[by], since, until), *ids_since(since))
        query = select(entries).where(*wanted).order_by(entries.c.id).limit(batch)
        last = 0
        while True:
            found = await self._reader.read(partial(_fetch, query=query.where(entries.c.id > last)))
            if not found:
                return
            last = found[-1].id
            yield tuple(map(mappers.entry, found))

    async def count_entries(
        self, since: datetime | None = None, until: datetime | None = None, by: By = "published"
    ) -> int:
        query = select(func.count()).select_from(entries).where(*within(TIMES[by], since, until))
        return await self._reader.read(lambda connection: connection.execute(query).scalar_one())

    async def search(
        self,
        words: Sequence[Sequence[str]],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by: SearchOrder = "published",
        limit: int = 50,
        before: int | None = None,
    ) -> tuple[Entry, ...]:
        groups = [[storable(term) for term in group if term.strip("* ")] for group in words]
        if not all(groups):
            return ()
        await self._indexing.before_search()
        search: Any = self._indexing.search
        time = TIMES["recorded" if by == "recorded" else "published"]

        def read(connection: Connection) -> Sequence[Row[Any]]:
            wanted = within(time, since, until)
            if before is not None:
                place = connection.execute(select(time, entries.c.id).where(entries.c.id == before)).one_or_none()
                if place is None:
                    raise NotFound("entry", str(before), why="it was removed meanwhile, so begin the search again")
                wanted.append(earlier(time, entries.c.id, (place[0], place[1])))
            if groups:
                found: Sequence[Row[Any]] = search.find(connection, groups, wanted, since=since, by=by, limit=limit)
                return found
            query = select(entries).where(*wanted).order_by(time.desc(), entries.c.id.desc())
            return connection.execute(limited(query, limit)).all()

        return tuple(map(mappers.entry, await self._reader.read(read)))

    async def stats(self) -> Stats:
        def read(connection: Connection) -> Stats:
            return Stats(
                feeds=connection.execute(select(func.count()).select_from(feeds)).scalar_one(),
                entries=count_all(connection, "entries"),
                hits=count_all(connection, "hits"),
                deliveries=count_all(connection, "deliveries"),
                bytes=size_bytes(connection, self._database.place),
            )

        return await self._reader.read(read)


def _fetch(connection: Connection, query: Select[Any]) -> Sequence[Row[Any]]:
    return connection.execute(query).all()
