"""Requests for full texts: which entries still wait for their article, and the outcome."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, select, text, update

from aggregator.core.errors import Conflict
from aggregator.core.model import ArticleRequest, Entry, HostLimit, RoutingQuery, UnroutedPoll
from aggregator.ports import Route
from aggregator.store import mappers
from aggregator.store.column_types import instant
from aggregator.store.commit import PollWriter
from aggregator.store.engine import Database
from aggregator.store.idle import NEXT_ARTICLE
from aggregator.store.reader import ReadPool
from aggregator.store.schema import entries, feeds, hosts, wanted_texts
from aggregator.store.writer import Writer


class SqlArticleQueue:
    """`ports.ArticleQueue` over SQL."""

    def __init__(self, database: Database, writer: Writer, routing: Writer, reader: ReadPool) -> None:
        self._dialect = database.dialect
        self._polls = PollWriter(database.dialect, database.sent)
        self._writer = writer
        self._routes_later = routing is not writer
        self._reader = reader

    async def due(self, now: datetime, *, lease_s: float, limit: int) -> tuple[ArticleRequest, ...]:
        resting = select(hosts.c.host).where(hosts.c.not_before > now)
        chosen = (
            select(wanted_texts.c.entry)
            .join(entries, entries.c.id == wanted_texts.c.entry)
            .join(feeds, feeds.c.id == entries.c.feed)
            .where(wanted_texts.c.next_at <= now, feeds.c.host.not_in(resting))
            .order_by(wanted_texts.c.next_at, wanted_texts.c.entry)
            .limit(limit)
            .with_for_update(of=wanted_texts, skip_locked=True)
            .cte("chosen")
        )
        take = (
            update(wanted_texts)
            .where(wanted_texts.c.entry.in_(select(chosen.c.entry)))
            .values(tries=wanted_texts.c.tries + 1, next_at=now + timedelta(seconds=lease_s))
            .returning(wanted_texts.c.entry, wanted_texts.c.tries)
        )

        def taken(connection: Connection) -> tuple[ArticleRequest, ...]:
            attempts = {row.entry: row.tries for row in connection.execute(take)}
            if not attempts:
                return ()
            found = connection.execute(select(entries).where(entries.c.id.in_(attempts)).order_by(entries.c.id))
            return tuple(ArticleRequest(entry=mappers.entry(row), attempts=attempts[row.id]) for row in found)

        return await self._writer.execute(taken)

    async def next_due_at(self) -> datetime | None:
        due_at = await self._reader.read(lambda connection: connection.execute(text(NEXT_ARTICLE)).scalar())
        return None if due_at is None else instant(due_at)

    async def put_off(self, entry: int, until: datetime, hosts: Sequence[HostLimit] = ()) -> None:
        later = update(wanted_texts).where(wanted_texts.c.entry == entry).values(next_at=until)

        def write(connection: Connection) -> None:
            connection.execute(later)
            self._polls.write_hosts(connection, hosts)

        await self._writer.execute(write)

    async def drop(self, wanted: Sequence[int]) -> None:
        forget = delete(wanted_texts).where(wanted_texts.c.entry.in_(wanted))
        await self._writer.execute(lambda connection: connection.execute(forget))

    async def fill(
        self,
        entry: Entry,
        now: datetime,
        *,
        question: RoutingQuery | None,
        route: Route,
        later: UnroutedPoll,
    ) -> int:
        forget = delete(wanted_texts).where(wanted_texts.c.entry == bindparam("wanted"))
        stored = select(entries.c.version).where(entries.c.id == entry.id).with_for_update()

        def write(connection: Connection) -> int:
            if connection.execute(stored).scalar() != entry.version - 1:
                raise Conflict(f"feed {entry.feed}: the entry was edited while its article was read")
            ids = self._polls.write_entries(connection, [entry])
            connection.execute(forget, {"wanted": entry.id})
            if question is None:
                return 0
            from aggregator.store.routing import answer, known_hits, write_routed

            if self._routes_later:
                from aggregator.store.unrouted import put_aside

                known = known_hits(connection, self._dialect, [hit.id for hit in later.hits])
                put_aside(connection, self._dialect, [later], ids)
                return len(later.hits) - len(known)
            routed = route(answer(connection, self._dialect, question, now))
            write_routed(connection, self._dialect, routed, ids)
            return len(routed.hits)

        return await self._writer.execute(write)
