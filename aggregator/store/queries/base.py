"""Common parts of the catalog's queries."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Select,
    Table,
    literal,
    literal_column,
    tuple_,
    type_coerce,
)

from aggregator.store.column_types import EPOCH, Instant
from aggregator.store.engine import Database
from aggregator.store.reader import ReadPool
from aggregator.store.search_index import SearchIndex
from aggregator.store.writer import Writer

DAYS = 30
DAY = timedelta(days=1)
# Written out, because PostgreSQL does not see that two parameters in a GROUP BY are the same.
DAY_MICROS = literal_column("86400000000", BigInteger)

Days = tuple[tuple[str, int], ...]


class QueryBase:
    """A part of the catalog: reads in the reader's threads, writes through the writer."""

    def __init__(self, database: Database, writer: Writer, reader: ReadPool, indexing: SearchIndex) -> None:
        self._database = database
        self._dialect = database.dialect
        self._writer = writer
        self._reader = reader
        self._indexing = indexing


def limited(query: Select[Any], limit: int) -> Select[Any]:
    """Limit a statement; 0 means all."""
    return query.limit(limit) if limit else query


def earlier(table: Table, at: datetime, name: str) -> ColumnElement[bool]:
    """Select what comes after the row (created_at, id) in a listing that is newest first."""
    return tuple_(table.c.created_at, table.c.id) < tuple_(literal(at, Instant), literal(name))


def day_of(column: Column[datetime]) -> ColumnElement[int]:
    """Return the day of an instant, counted from 1970 in UTC."""
    return type_coerce(column, BigInteger) // DAY_MICROS


def first_day(now: datetime) -> datetime:
    """Return the midnight with which the last 30 days begin."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - (DAYS - 1) * DAY


def days(counted: Sequence[tuple[int, int]], now: datetime) -> Days:
    """Return (day, count) of the last 30 days, oldest first; days that were not counted have 0."""
    counts = dict(counted)
    start = (first_day(now) - EPOCH).days
    return tuple(((EPOCH + n * DAY).date().isoformat(), counts.get(n, 0)) for n in range(start, start + DAYS))
