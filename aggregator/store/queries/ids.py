"""Short ids: what people read in an alert and type into a command."""

from typing import Literal

from sqlalchemy import select

from aggregator.core.errors import NotFound
from aggregator.store.queries.base import QueryBase
from aggregator.store.schema import deliveries, hits

TABLES = {"hit": hits, "delivery": deliveries}


class IdQueries(QueryBase):
    """The catalog's whole ids."""

    async def resolve_id(self, kind: Literal["hit", "delivery"], beginning: str) -> str:
        ids = TABLES[kind].c.id
        query = select(ids).where(ids.startswith(beginning, autoescape=True)).order_by(ids).limit(2)
        found = await self._reader.read(lambda connection: connection.execute(query).scalars().all())
        if beginning in found or len(found) == 1:
            return str(found[0])
        raise NotFound(kind, beginning, why="ambiguous; give more characters" if found else "")
