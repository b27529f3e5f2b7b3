"""Common parts of the catalog's queries."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    case,
    literal,
    literal_column,
    tuple_,
    type_coerce,
)

from aggregator.store.column_types import EPOCH, MICROSECOND, Instant, micros
from aggregator.store.engine import Database
from aggregator.store.reader import ReadPool
from aggregator.store.search_index import SearchIndex
from aggregator.store.writer import Writer

DAYS = 30
DAY = timedelta(days=1)
DAY_MICROS = literal_column("86400000000", BigInteger)

Days = tuple[tuple[str, int], ...]


class QueryBase:
    """A part of the catalog: reads in the reader's threads, writes through the writer."""

    def __init__(
        self, database: Database, writer: Writer, routing: Writer, reader: ReadPool, indexing: SearchIndex
    ) -> None:
        self._database = database
        self._dialect = database.dialect
        self._writer = writer
        self._routing = routing  # for what waits for ROUTING_LOCK
        self._reader = reader
        self._indexing = indexing


def limited(query: Select[Any], limit: int) -> Select[Any]:
    """Limit a statement; 0 means all."""
    return query.limit(limit) if limit else query


def earlier(
    at: ColumnElement[datetime], name: ColumnElement[Any], place: tuple[datetime, object]
) -> ColumnElement[bool]:
    """Select what comes after a row (instant, id) in a listing that is newest first."""
    return tuple_(at, name) < tuple_(literal(place[0], Instant), literal(place[1]))


def within(at: ColumnElement[datetime], since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Return the conditions of a span of time: from `since`, before `until`; None: open."""
    begin = [] if since is None else [at >= since]
    return begin if until is None else [*begin, at < until]


def day_of(column: ColumnElement[datetime], now: datetime) -> ColumnElement[int]:
    """Return the day of an instant, counted from 1970, as the clocks of `now`'s zone have it in the last 30 days."""
    at, (*changes, (_, offset)) = type_coerce(column, BigInteger), _clocks(first_day(now), now.tzinfo)
    local: ColumnElement[int] = at + _number(offset)
    for end, earlier_offset in reversed(changes):
        local = case((at < _number(end), at + _number(earlier_offset)), else_=local)
    return local // DAY_MICROS


@lru_cache(maxsize=16)
def _clocks(begin: datetime, zone: tzinfo | None) -> list[tuple[int, int]]:
    """Return (end, offset from UTC) of each span of 30 days in which clocks run evenly, in microseconds."""
    hour = timedelta(hours=1)
    hours = [(begin + n * hour).astimezone(zone) for n in range((DAYS + 1) * 24)]
    offsets = [(micros(at), (at.utcoffset() or timedelta()) // MICROSECOND) for at in hours]
    changes = [(end, offset) for (_, offset), (end, other) in pairwise(offsets) if offset != other]
    return [*changes, offsets[-1]]


def _number(value: int) -> ColumnElement[int]:
    """Write a number out: PostgreSQL does not see that two parameters in a GROUP BY are the same."""
    return literal_column(str(value), BigInteger)


def first_day(now: datetime) -> datetime:
    """Return the midnight, in the zone of `now`, with which the last 30 days begin, in UTC."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return (today - (DAYS - 1) * DAY).astimezone(UTC)  # of the wall clock: a day may have 23 hours


def days(counted: Sequence[tuple[int, int]], now: datetime) -> Days:
    """Return (day, count) of the last 30 days, oldest first; days that were not counted have 0."""
    counts = dict(counted)
    return tuple((day, counts.get(number, 0)) for number, day in _numbered(now.date()))


@lru_cache(maxsize=16)
def _numbered(last: date) -> tuple[tuple[int, str], ...]:
    """Return the last 30 days, each with its number since 1970; they are the same for each of a hundred rows."""
    shown = [last - n * DAY for n in range(DAYS - 1, -1, -1)]
    return tuple(((day - EPOCH.date()).days, day.isoformat()) for day in shown)
