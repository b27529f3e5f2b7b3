"""Copying of a database into another, empty one: from SQLite to PostgreSQL, or back.

Rows travel as they are stored, table after table, in batches. The source is read as of one instant,
and the target is written in one transaction: a copy that does not reach its end leaves nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    Select,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.types import TypeEngine

from aggregator.core.errors import Conflict, StoreError
from aggregator.store.column_types import DigestList, FreeText, Instant, JsonList
from aggregator.store.counts import add_up
from aggregator.store.engine import make_engine, read_revision, require_current
from aggregator.store.location import DatabaseLocation
from aggregator.store.migrate import upgrade
from aggregator.store.schema import STORED, counts, unrouted
from aggregator.store.search_index import search_of

BATCH = 1000
INDEX = "entry_text"

Step = Callable[[int], None]


def count_rows(place: DatabaseLocation) -> int:
    """Count the rows that a copy has to carry. Raises StoreError, SchemaOutOfDate."""
    engine = make_engine(place, writing=False)
    try:
        with place.translate_errors(), engine.connect() as connection:
            require_current(read_revision(connection, place), place)
            queries = [*map(select, STORED), search_of(place).EVERY]
            return sum(connection.execute(select(func.count()).select_from(q.subquery())).scalar_one() for q in queries)
    finally:
        engine.dispose()


def copy_database(source: DatabaseLocation, target: DatabaseLocation, step: Step) -> Mapping[str, int]:
    """Copy everything and compare what arrived; return the number of rows of each table.

    The target's tables are made if it has none. `step` is called after each batch; what it raises ends
    the copy. Raises StoreError (for example, if the target is not empty), SchemaOutOfDate.
    """
    reading, writing = make_engine(source, writing=False), make_engine(target, writing=True)
    if not source.is_sqlite:
        reading = reading.execution_options(isolation_level="REPEATABLE READ")
    try:
        with source.translate_errors():
            connection = reading.connect()
        with connection as there:
            require_current(read_revision(there, source), source)
            _require_no_nodes(there, source, "the copy will miss what they store")
            upgrade(target, make_dirs=False)
            with target.translate_errors(), writing.begin() as target_connection:
                _require_no_nodes(target_connection, target, "they work on what is copied before it is whole")
                return _CopyRun(there, target_connection, source, target, step).run()
    finally:
        reading.dispose()
        writing.dispose()


def _require_no_nodes(connection: Connection, place: DatabaseLocation, why: str) -> None:
    """Raise Conflict if processes use the database, on whatever machine; those of SQLite are known by their notes."""
    if place.is_sqlite:
        return
    from aggregator.store.cluster import living_nodes  # SQLite has none

    if names := living_nodes(connection):
        raise Conflict(f"{place} is in use by {', '.join(names)}; stop these nodes first, or {why}")


@dataclass(frozen=True, slots=True)
class _CopyRun:
    """One copy under way, between two open transactions."""

    there: Connection
    here: Connection
    source: DatabaseLocation
    target: DatabaseLocation
    step: Step

    def run(self) -> Mapping[str, int]:
        tables = [_as_stored(table) for table in STORED]
        for table in tables:
            if self.here.execute(select(table).limit(1)).first():
                raise StoreError(f"{self.target} is not empty: {table.name} has rows; specify an empty database")
        self.here.execute(delete(counts))  # what was truncated is still counted
        copied = {table.name: self._table(table) for table in tables}
        copied[INDEX] = self._index()
        self.here.execute(update(unrouted).values(config=0))  # configurations stay behind, and numbers begin anew
        add_up(self.here)
        if not self.target.is_sqlite:
            self._advance_sequences()
        self.here.execute(text("ANALYZE"))
        return copied

    def _table(self, table: Table) -> int:
        sent = _Checksum()
        for batch in self._read(select(table)):
            self.here.execute(insert(table), [row._asdict() for row in batch])
            sent.add(batch)
            self.step(len(batch))
        arrived = _Checksum()
        for batch in self.here.execute(_streamed(select(table))).partitions():
            arrived.add(batch)
        if arrived != sent:
            raise StoreError(f"{self.target}: {table.name} differs after copying; nothing was copied")
        return sent.rows

    def _index(self) -> int:
        """Copy the folded texts; each database builds its own index over them."""
        search, rows = search_of(self.target), 0
        for batch in self._read(search_of(self.source).EVERY):
            search.add(self.here, [(entry, folded.strip()) for entry, folded in batch])
            rows += len(batch)
            self.step(len(batch))
        return rows

    def _read(self, query: Select[Any]) -> Iterator[Sequence[Any]]:
        """Yield batches of the source, whose errors are reported as its own."""
        with self.source.translate_errors():
            batches = self.there.execute(_streamed(query)).partitions()
        while True:
            with self.source.translate_errors():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _advance_sequences(self) -> None:
        """Set sequences so that new rows get numbers behind the copied ones (`setval` ignores NULL: an empty table)."""
        for table in STORED:
            column = table.autoincrement_column
            if column is not None:
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                self.here.execute(select(func.setval(sequence, func.max(column))))


@dataclass(slots=True)
class _Checksum:
    """The number of rows, and a sum over their contents that does not depend on their order."""

    rows: int = 0
    content: int = 0

    def add(self, batch: Sequence[Any]) -> None:
        self.rows += len(batch)
        self.content += sum(hash(tuple(row)) for row in batch)


def _streamed(query: Select[Any]) -> Select[Any]:
    return query.execution_options(yield_per=BATCH)


def _as_stored(table: Table) -> Table:
    """Return the table with plain columns, but those that the database works out: nothing is converted that passes."""
    stored = (column for column in table.columns if column.computed is None)
    return Table(table.name, MetaData(), *(Column(column.name, _plain(column.type)) for column in stored))


def _plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(kind, Instant):
        return BigInteger()
    return Text() if isinstance(kind, FreeText | JsonList | DigestList) else kind
