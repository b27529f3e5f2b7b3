"""What is known, in a database: SQLite by default, PostgreSQL at scale.

`open_store` gives the four ports over one database. SQLAlchemy is imported when it is called,
not before: commands that need no database do not wait for it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aggregator.core.model import Entry
from aggregator.ports import Catalog, Feeds, Outbox, Subscriptions, Texts, Upkeep

__all__ = ["Store", "open_store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The database's faces. `close`, or the end of `async with`, writes what waits."""

    feeds: Feeds
    texts: Texts
    subscriptions: Subscriptions
    outbox: Outbox
    catalog: Catalog
    upkeep: Upkeep
    close: Callable[[], Awaitable[None]]

    async def __aenter__(self) -> "Store":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def open_store(url: str, *, index_text: Callable[[Entry], str], make_dirs: bool = False) -> Store:
    """The store behind a SQLAlchemy URL; nothing is opened or created yet. Raises StoreError.

    `index_text` gives an entry's folded words, separated by spaces, for the full-text index.
    Only `upkeep.upgrade` ever creates a database. It makes the last directory of the path too, and
    with `make_dirs` all of them.
    """
    from aggregator.store.opening import open_store

    return open_store(url, index_text=index_text, make_dirs=make_dirs)
