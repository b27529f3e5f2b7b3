"""The database as its callers see it; `open_store` opens one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aggregator.ports import ArticleQueue, Catalog, Cluster, Feeds, Maintenance, Outbox, Subscriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The ports over one database; `cluster` on PostgreSQL only.

    `close`, or the end of `async with`, writes what waits.
    """

    feeds: Feeds
    articles: ArticleQueue
    subscriptions: Subscriptions
    outbox: Outbox
    catalog: Catalog
    maintenance: Maintenance
    close: Callable[[], Awaitable[None]]
    cluster: Cluster | None = None

    async def __aenter__(self) -> "Store":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
