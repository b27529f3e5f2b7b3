"""Indexes of some of the rows; the schema is complete with them.

Apart from the tables, since their options load the dialect of PostgreSQL, for which no command needs to wait. A partial
index serves only a query that says the same words, such as `has_text.is_(True)`.
"""

from sqlalchemy import Column, ColumnElement, Index

from aggregator.store.schema import FROM_FIRST_POLL, SPLIT_OUT, deliveries, entries, feeds, hits, metadata

__all__ = ["metadata"]


def _partial(name: str, column: Column[object], condition: ColumnElement[bool]) -> None:
    Index(name, column, sqlite_where=condition, postgresql_where=condition)


_partial("feeds_begun_at", feeds.c.begun_at, feeds.c.begun_at.is_not(None))
_partial("feeds_deaths", feeds.c.deaths, feeds.c.deaths > 0)
_partial("entries_text", entries.c.seen_at, entries.c.has_text.is_(True))
_partial("hits_baseline", hits.c.rule, FROM_FIRST_POLL)
_partial("hits_split", hits.c.rule, SPLIT_OUT)
_partial("deliveries_deaths", deliveries.c.deaths, deliveries.c.deaths > 0)
_partial("deliveries_wake", deliveries.c.wake_at, deliveries.c.wake_at.is_not(None))
