"""Short ids: what people read in an alert and type into a command."""

from typing import Literal

from sqlalchemy import select

from aggregator.core.errors import NotFound
from aggregator.core.model import MIN_ID_CHARS
from aggregator.store.queries.base import QueryBase
from aggregator.store.schema import deliveries, hits, stories

TABLES = {"hit": hits, "delivery": deliveries, "story": stories}


class IdQueries(QueryBase):
    """The catalog's whole ids."""

    async def resolve_id(self, kind: Literal["hit", "delivery", "story"], beginning: str) -> str:
        ids = TABLES[kind].c.id
        query = select(ids).where(ids.startswith(beginning, autoescape=True)).order_by(ids).limit(2)
        found = await self._reader.read(lambda connection: connection.execute(query).scalars().all())
        if beginning in found or (len(found) == 1 and len(beginning) >= MIN_ID_CHARS):
            return str(found[0])
        if found and len(beginning) < MIN_ID_CHARS:
            raise NotFound(kind, beginning, why=f"write at least {MIN_ID_CHARS} characters of its id")
        raise NotFound(kind, beginning, why="ambiguous; give more characters" if found else "")
