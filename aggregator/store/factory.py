"""The factory of the store."""

from collections.abc import Callable

from aggregator.core.model import Entry
from aggregator.ports import Cluster
from aggregator.store.articles import SqlArticleQueue
from aggregator.store.engine import Database
from aggregator.store.feeds import SqlFeeds
from aggregator.store.location import parse_location
from aggregator.store.maintenance import SqlMaintenance
from aggregator.store.outbox import SqlOutbox
from aggregator.store.queries import SqlCatalog
from aggregator.store.reader import ReadPool
from aggregator.store.search_index import SearchIndex
from aggregator.store.store import Store
from aggregator.store.subscriptions import SqlSubscriptions
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
        articles=SqlArticleQueue(database, writer, reader),
        subscriptions=SqlSubscriptions(database, writer, reader),
        outbox=SqlOutbox(database, writer, reader),
        catalog=SqlCatalog(database, writer, reader, indexing),
        maintenance=SqlMaintenance(database, writer, reader, indexing, make_dirs=make_dirs),
        close=close,
        cluster=None if database.place.is_sqlite else _cluster(database, writer, reader),
    )


def _cluster(database: Database, writer: Writer, reader: ReadPool) -> Cluster:
    from aggregator.store.cluster import SqlCluster  # SQLite has none

    return SqlCluster(database, writer, reader)
