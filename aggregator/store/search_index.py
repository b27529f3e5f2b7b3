"""Updates of the full-text index: after the commit, so that polls never wait for it."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select

from aggregator.core.model import Entry
from aggregator.store import mappers
from aggregator.store.column_types import storable
from aggregator.store.engine import Database
from aggregator.store.location import DatabaseLocation
from aggregator.store.reader import ReadPool
from aggregator.store.schema import entries, unindexed
from aggregator.store.writer import Writer

log = logging.getLogger(__name__)

BATCH = 200
SEARCH_BOUND = 5000

IndexText = Callable[[Entry], str]

# (entry id, version that was folded, folded text)
Folded = tuple[int, int, str]

DONE = delete(unindexed).where(
    unindexed.c.entry == bindparam("entry_id"),
    select(entries.c.id)
    .where(entries.c.id == bindparam("entry_id"), entries.c.version == bindparam("version"))
    .exists(),
)


def search_of(place: DatabaseLocation) -> ModuleType:
    """Return the full-text index of that database; only one of the two is ever imported."""
    if place.is_sqlite:
        from aggregator.store import search_sqlite

        return search_sqlite
    from aggregator.store import search_postgres

    return search_postgres


class SearchIndex:
    """Folds entries in a reader's thread and writes them in the writer's."""

    def __init__(self, database: Database, writer: Writer, reader: ReadPool, index_text: IndexText) -> None:
        self._dialect = database.dialect
        self._writer = writer
        self._reader = reader
        self._index_text = index_text
        self.search = search_of(database.place)

    async def bring_up_to_date(self, limit: int) -> int:
        """Index up to `limit` entries that wait; return how many there were."""
        done = 0
        while done < limit:
            folded = await self._reader.read(partial(self._fold, limit=min(BATCH, limit - done)))
            if not folded:
                break
            await self._writer.execute(partial(self._write, folded=folded))
            done += len(folded)
        return done

    async def before_search(self) -> None:
        """Index what waits, within reason."""
        if await self.bring_up_to_date(SEARCH_BOUND) == SEARCH_BOUND:
            log.warning(
                "more than %d entries are waiting for the full-text index; searches may miss some", SEARCH_BOUND
            )

    def _fold(self, connection: Connection, limit: int) -> list[Folded]:
        query = (
            select(entries)
            .join_from(unindexed, entries, entries.c.id == unindexed.c.entry)
            .order_by(unindexed.c.entry)
            .limit(limit)
        )
        waiting: Sequence[Row[Any]] = connection.execute(query).all()
        return [(row.id, row.version, storable(self._index_text(mappers.entry(row)))) for row in waiting]

    def _write(self, connection: Connection, folded: Sequence[Folded]) -> None:
        """Write only what still waits: another process may have been faster, or an entry been removed."""
        query = (
            select(unindexed.c.entry)
            .where(unindexed.c.entry.in_([entry for entry, _, _ in folded]))
            .with_for_update(skip_locked=True)
        )
        waiting = set(connection.execute(query).scalars())
        still_waiting = [(entry, version, text) for entry, version, text in folded if entry in waiting]
        if still_waiting:
            self.search.add(connection, [(entry, text) for entry, _, text in still_waiting])
            connection.execute(DONE, [{"entry_id": entry, "version": version} for entry, version, _ in still_waiting])
