"""Silences that people make and end."""

from datetime import datetime

from msgspec.structs import replace
from sqlalchemy import Connection, delete, func, insert, select

from aggregator.core.errors import NotFound
from aggregator.core.model import Silence, Undo
from aggregator.store.queries.base import QueryBase
from aggregator.store.routing import live_silences
from aggregator.store.schema import silences
from aggregator.store.undo import undoable


class SilenceQueries(QueryBase):
    """The catalog's silences."""

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        return await self._reader.read(lambda connection: live_silences(connection, now))

    async def add_silence(self, silence: Silence, *, undo: Undo | None = None) -> Silence:
        columns = ("rule", "feed", "story", "until_at", "reason", "created_at")
        add = insert(silences).values({name: getattr(silence, name) for name in columns}).returning(silences.c.id)
        last = select(func.coalesce(func.max(silences.c.id), 0))

        def apply(connection: Connection) -> int:
            with undoable(connection, undo, [(silences, silences.c.id > connection.execute(last).scalar_one())]):
                added: int = connection.execute(add).scalar_one()
            return added

        return replace(silence, id=await self._writer.execute(apply))

    async def remove_silence(self, silence_id: int, *, undo: Undo | None = None) -> None:
        chosen = silences.c.id == silence_id

        def remove(connection: Connection) -> None:
            with undoable(connection, undo, [(silences, chosen)]):
                if not connection.execute(delete(silences).where(chosen)).rowcount:
                    raise NotFound("silence", str(silence_id))

        await self._writer.execute(remove)
