"""The store, in a database: SQLite by default, PostgreSQL at scale.

`open_store` opens the ports over one database, `copy_store` fills another with it. SQLAlchemy is imported when they
are called, not before: commands that need no database do not wait for it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from aggregator.store.migrations import REVISIONS

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.core.model import Entry, StoredConfig
    from aggregator.store.migrate import Upgraded
    from aggregator.store.store import Store

SCHEMA = REVISIONS[-1]

__all__ = [
    "SCHEMA",
    "Store",
    "copy_store",
    "count_rows",
    "open_store",
    "read_stored_config",
    "restore_store",
    "upgrade_store",
]


def open_store(url: str, *, index_text: Callable[["Entry"], str], make_dirs: bool = False) -> "Store":
    """Return the store behind a SQLAlchemy URL; nothing is opened or created yet. Raises StoreError.

    `index_text` returns an entry's folded words, separated by spaces, for the full-text index.
    Only `maintenance.upgrade` ever creates a database. It makes the last directory of the path too, and
    with `make_dirs` all of them.
    """
    from aggregator.store.factory import open_store

    return open_store(url, index_text=index_text, make_dirs=make_dirs)


def read_stored_config(url: str, *, feeds: bool) -> "StoredConfig | None":
    """Return the configuration in force in a PostgreSQL database, with all its files (`feeds`) or without.

    None: none was ever pushed. Raises StoreError, SchemaOutOfDate.
    """
    from aggregator.store.cluster import read_config
    from aggregator.store.engine import make_engine, read_revision, require_usable
    from aggregator.store.location import parse_location

    place = parse_location(url, "the address")
    engine = make_engine(place, writing=False)
    try:
        with place.translate_errors(), engine.connect() as connection:
            if read_revision(connection, place) is None:  # who pushes the first one makes the tables
                return None
            require_usable(connection, place)
            return read_config(connection, None, feeds=feeds)
    finally:
        engine.dispose()


async def upgrade_store(
    url: str, *, make_dirs: bool = False, backup: bool = True, engine: Sequence[tuple[str, str]] = ()
) -> "Upgraded":
    """Create the database or migrate it; return what was done. Raises StoreError, SchemaOutOfDate.

    `engine`: the steps of the engine's own tables, on PostgreSQL.
    """
    import asyncio

    from aggregator.store.files import tighten
    from aggregator.store.location import parse_location
    from aggregator.store.migrate import upgrade

    place = parse_location(url)
    if place.path is not None:
        tighten(place.path)
    return await asyncio.to_thread(upgrade, place, make_dirs=make_dirs, backup=backup, engine=engine)


async def restore_store(url: str, path: str) -> "Path | None":
    """Replace an SQLite database by a backup; return where the old one is kept. Raises StoreError."""
    import asyncio

    from aggregator.store.backup import restore
    from aggregator.store.location import parse_location

    return await asyncio.to_thread(restore, parse_location(url), path)


async def count_rows(url: str) -> int:
    """Count the rows that `copy_store` has to copy. Raises StoreError, SchemaOutOfDate."""
    import asyncio

    from aggregator.store.copy import count_rows
    from aggregator.store.location import parse_location

    return await asyncio.to_thread(count_rows, parse_location(url))


async def copy_store(source: str, target: str, *, step: Callable[[int], None] = lambda _: None) -> Mapping[str, int]:
    """Copy a whole database into an empty one; return the number of rows of each table.

    `step` is called after every batch. Interrupted, it leaves the target as empty as it was.
    Raises StoreError, SchemaOutOfDate.
    """
    import asyncio

    from aggregator.store.copy import copy_database
    from aggregator.store.location import parse_location

    given_up = False

    def go_on(rows: int) -> None:
        if given_up:
            raise InterruptedError
        step(rows)

    try:
        return await asyncio.to_thread(
            copy_database, parse_location(source), parse_location(target, "the target"), go_on
        )
    except asyncio.CancelledError:
        given_up = True  # the thread sees it at its next batch, and rolls back
        raise


def __getattr__(name: str) -> object:
    if name != "Store":
        raise AttributeError(name)
    from aggregator.store.store import Store

    return Store
