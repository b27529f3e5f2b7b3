"""Silences that people make and end."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, insert

from aggregator.core.errors import NotFound
from aggregator.core.model import Silence
from aggregator.store.queries.base import QueryBase
from aggregator.store.routing import live_silences
from aggregator.store.schema import silences


class SilenceQueries(QueryBase):
    """The catalog's silences."""

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        return await self._reader.read(lambda connection: live_silences(connection, now))

    async def add_silence(self, silence: Silence) -> Silence:
        columns = ("rule", "feed", "story", "until_at", "reason", "created_at")
        add = insert(silences).values({name: getattr(silence, name) for name in columns}).returning(silences.c.id)
        added = await self._writer.execute(lambda connection: connection.execute(add).scalar_one())
        return replace(silence, id=added)

    async def remove_silence(self, silence_id: int) -> None:
        def remove(connection: Connection) -> None:
            if not connection.execute(delete(silences).where(silences.c.id == silence_id)).rowcount:
                raise NotFound("silence", str(silence_id))

        await self._writer.execute(remove)
