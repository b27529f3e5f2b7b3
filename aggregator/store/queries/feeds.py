"""Feeds for people: their state and statistics, and what may be changed by hand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, select, update

from aggregator.core.errors import NotFound
from aggregator.core.model import TROUBLE, FeedSummary, Health, HostLimit, Undo
from aggregator.store import mappers
from aggregator.store.column_types import micros
from aggregator.store.counts import count_each
from aggregator.store.queries.base import Days, QueryBase, day_of, days, first_day, limited
from aggregator.store.schema import ALWAYS, NEVER, entries, feeds, hosts
from aggregator.store.undo import undoable

# A pause covers whatever health lies under it.
SHOWN: ColumnElement[str] = case((feeds.c.paused_at.is_not(None), Health.PAUSED.value), else_=feeds.c.health)
WORST_FIRST = case({word.value: rank for rank, word in enumerate(TROUBLE)}, value=SHOWN, else_=len(TROUBLE))


class FeedQueries(QueryBase):
    """The catalog's feeds."""

    async def feeds(
        self, ids: Sequence[str] | None = None, *, after: str = "", limit: int = 0, counted: bool = True
    ) -> tuple[FeedSummary, ...]:
        query = limited(select(*mappers.state_columns()).where(feeds.c.id > after).order_by(feeds.c.id), limit)
        return await self._reader.read(lambda connection: self._summaries(connection, query, ids, counted=counted))

    async def feed_page(
        self, *, health: Health | None = None, offset: int = 0, limit: int = 50, counted: bool = True
    ) -> tuple[FeedSummary, ...]:
        query = limited(
            select(*mappers.state_columns()).where(feeds.c.configured).order_by(WORST_FIRST, feeds.c.id), limit
        ).offset(offset)
        if health is not None:
            query = query.where(SHOWN.in_([health.value]))
        return await self._reader.read(
            lambda connection: self._counted(connection, connection.execute(query).all(), counted)
        )

    async def health(self) -> Mapping[Health, int]:
        query = select(SHOWN, func.count()).where(feeds.c.configured).group_by(SHOWN)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return {Health(word): count for word, count in found}

    def _summaries(
        self, connection: Connection, query: Select[Any], ids: Sequence[str] | None, *, counted: bool
    ) -> tuple[FeedSummary, ...]:
        if ids is None:
            found = connection.execute(query.where(feeds.c.configured)).all()
        else:
            bound = {"ids": self._dialect.list_param(ids)}
            found = connection.execute(query.where(self._dialect.is_in(feeds.c.id, "ids")), bound).all()
            for missing in [feed for feed in ids if feed not in {row.id for row in found}]:
                raise unknown_feed(connection, missing)
        return self._counted(connection, found, counted)

    def _counted(self, connection: Connection, found: Sequence[Row[Any]], counted: bool) -> tuple[FeedSummary, ...]:
        wanted = [row.id for row in found] if counted else []
        published = count_each(connection, self._dialect, "entries", wanted) if wanted else {}
        matched = count_each(connection, self._dialect, "hits", wanted) if wanted else {}
        return tuple(
            FeedSummary(state=state, entries=published.get(state.id, 0), hits=matched.get(state.id, 0))
            for state in mappers.feed_states(found)
        )

    async def feed_days(self, ids: Sequence[str], now: datetime) -> Mapping[str, Days]:
        query = (
            select(entries.c.feed, day_of(entries.c.dated_at, now), func.count())
            .where(self._dialect.is_in(entries.c.feed, "ids"), entries.c.dated_at >= first_day(now))
            .group_by(entries.c.feed, day_of(entries.c.dated_at, now))
        )
        bound = {"ids": self._dialect.list_param(ids)}
        found = await self._reader.read(lambda connection: connection.execute(query, bound).all())
        counted: dict[str, list[tuple[int, int]]] = {feed: [] for feed in ids}
        for feed, day, count in found:
            counted[feed].append((day, count))
        return {feed: days(of_feed, now) for feed, of_feed in counted.items()}

    async def hosts(self) -> tuple[HostLimit, ...]:
        query = select(hosts).order_by(hosts.c.not_before.desc(), hosts.c.host)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(map(mappers.host_limit, found))

    async def pause(self, feed: str, paused: bool, now: datetime, *, undo: Undo | None = None) -> None:
        """Pause or resume a feed; resuming one that was gone gives it another chance."""
        another_chance = feeds.c.health.in_([Health.GONE.value, Health.PAUSED.value])
        change = (
            {"paused_at": func.coalesce(feeds.c.paused_at, micros(now))}
            if paused
            else {
                "paused_at": None,
                "health": case((another_chance, Health.NEW.value), else_=feeds.c.health),
                "next_poll_at": case((feeds.c.next_poll_at == NEVER, ALWAYS), else_=feeds.c.next_poll_at),
            }
        )
        await self._change_feed(feed, change, undo)

    async def poll_soon(self, feed: str, now: datetime) -> None:
        await self._change_feed(feed, {"next_poll_at": micros(now)})

    async def _change_feed(self, feed: str, values: Mapping[str, object], undo: Undo | None = None) -> None:
        chosen = feeds.c.id == feed

        def apply(connection: Connection) -> None:
            with undoable(connection, undo, [(feeds, chosen)]):
                if not connection.execute(update(feeds).where(chosen).values(**values)).rowcount:
                    raise unknown_feed(connection, feed)

        await self._writer.execute(apply)


def unknown_feed(connection: Connection, feed: str) -> NotFound:
    return NotFound("feed", feed, list(connection.execute(select(feeds.c.id)).scalars()))
