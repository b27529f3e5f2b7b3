"""The factory of the store."""

from collections.abc import Callable
from typing import Any, cast

from aggregator.core.model import Entry
from aggregator.ports import Catalog, Cluster, Subscriptions
from aggregator.store.articles import SqlArticleQueue
from aggregator.store.engine import Database
from aggregator.store.feeds import SqlFeeds
from aggregator.store.location import parse_location
from aggregator.store.maintenance import SqlMaintenance
from aggregator.store.outbox import SqlOutbox
from aggregator.store.reader import ReadPool
from aggregator.store.search_index import SearchIndex
from aggregator.store.store import Store
from aggregator.store.writer import Writer


def open_store(url: str, *, index_text: Callable[[Entry], str], make_dirs: bool) -> Store:
    """See `aggregator.store.open_store`."""
    database = Database(parse_location(url))
    writer, reader = Writer(database), ReadPool(database)
    # PostgreSQL lets two write at once: commits that are routed wait for other processes, the rest need not.
    routing = writer if database.place.is_sqlite else Writer(database, "store-router")
    indexing = SearchIndex(database, writer, reader, index_text)

    async def close() -> None:
        await writer.close()
        await routing.close()
        await reader.close()
        database.sent.flush()
        database.close()

    return Store(
        feeds=SqlFeeds(database, writer, routing, reader),
        articles=SqlArticleQueue(database, writer, routing, reader),
        subscriptions=cast(Subscriptions, _Later(lambda: _subscriptions(database, writer, reader))),
        outbox=SqlOutbox(database, writer, reader),
        catalog=cast(Catalog, _Later(lambda: _catalog(database, writer, routing, reader, indexing))),
        maintenance=SqlMaintenance(database, writer, reader, indexing, make_dirs=make_dirs),
        close=close,
        cluster=None if database.place.is_sqlite else _cluster(database, writer, reader),
    )


class _Later:
    """A port that is loaded when something is asked of it for the first time: a pass asks nothing of some."""

    def __init__(self, load: Callable[[], object]) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        port = self.__dict__.get("_port")
        if port is None:
            port = self._port = self._load()
        return getattr(port, name)


def _catalog(database: Database, writer: Writer, routing: Writer, reader: ReadPool, indexing: SearchIndex) -> Catalog:
    from aggregator.store.queries import SqlCatalog

    return SqlCatalog(database, writer, routing, reader, indexing)


def _subscriptions(database: Database, writer: Writer, reader: ReadPool) -> Subscriptions:
    from aggregator.store.subscriptions import SqlSubscriptions

    return SqlSubscriptions(database, writer, reader)


def _cluster(database: Database, writer: Writer, reader: ReadPool) -> Cluster:
    from aggregator.store.cluster import SqlCluster  # SQLite has none

    return SqlCluster(database, writer, reader)
