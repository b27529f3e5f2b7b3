"""Hits that were there at a feed's first poll and were not reported; and which hits are recorded at all."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, func, select, update

from aggregator.core.errors import Conflict
from aggregator.core.model import REPORTED, Delivery, HitDetail, Undo
from aggregator.store import mappers
from aggregator.store.hit_details import HIT_DETAILS, details_of
from aggregator.store.queries.base import QueryBase
from aggregator.store.schema import FROM_FIRST_POLL, deliveries, hits
from aggregator.store.undo import undoable

MAX_UNDONE = 5000  # hits whose earlier state is kept; a larger digest can be cancelled, but not taken back


class BaselineQueries(QueryBase):
    """The catalog's hits of first polls."""

    async def count_baseline(self, rule: str | None = None) -> int:
        query = select(func.count()).select_from(hits).where(*_unreported(rule))
        return await self._reader.read(lambda connection: connection.execute(query).scalar_one())

    async def baseline(self, rule: str | None = None) -> tuple[HitDetail, ...]:
        query = HIT_DETAILS.where(*_unreported(rule)).order_by(hits.c.dated_at.desc(), hits.c.id.desc())
        return await self._reader.read(lambda c: details_of(c, self._dialect, c.execute(query).all()))

    async def report_baseline(self, ids: Sequence[str], made: Sequence[Delivery], *, undo: Undo | None = None) -> None:
        watched = [(hits, hits.c.id.in_(ids)), (deliveries, deliveries.c.id.in_([one.id for one in made]))]
        change = update(hits).where(*_unreported(None), self._dialect.is_in(hits.c.id, "ids")).values(reason=REPORTED)

        def apply(connection: Connection) -> None:
            with undoable(connection, undo if len(ids) <= MAX_UNDONE else None, watched):
                if connection.execute(change, {"ids": self._dialect.list_param(list(ids))}).rowcount != len(set(ids)):
                    raise Conflict("these hits were sent meanwhile; nothing was sent twice")
                connection.execute(self._dialect.insert_ignore(deliveries), [mappers.delivery_values(d) for d in made])

        await self._writer.execute(apply)

    async def recorded(self, ids: Sequence[str]) -> frozenset[str]:
        query = select(hits.c.id).where(self._dialect.is_in(hits.c.id, "ids"))
        bound = {"ids": self._dialect.list_param(list(ids))}
        return await self._reader.read(lambda connection: frozenset(connection.execute(query, bound).scalars()))


def _unreported(rule: str | None) -> list[ColumnElement[bool]]:
    return [FROM_FIRST_POLL] if rule is None else [FROM_FIRST_POLL, hits.c.rule == rule]
