"""Inspection of a database from outside, which changes nothing: no upgrade, no repair, no file is made."""

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from aggregator import __version__
from aggregator.core.errors import StoreError
from aggregator.core.versions import is_older
from aggregator.store.engine import Database
from aggregator.store.location import DatabaseLocation, parse_location
from aggregator.store.migrations import REVISIONS

# Above this a damage check takes longer than somebody who asks a quick question waits.
CHECKED_BYTES = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """The visible condition of a database.

    `revision` is None without tables; `newest` is what this program wants. `path` and `bytes` are
    SQLite's. `admitted`: a newer program made the schema, which this one may use. `checked` is False
    if the database is too large to be read whole; then `damage` says nothing.
    """

    name: str
    newest: str
    path: Path | None = None
    exists: bool = True
    bytes: int = 0
    writable: bool = True
    revision: str | None = None
    error: str | None = None
    admitted: bool = False
    damage: tuple[str, ...] = ()
    checked: bool = False

    @property
    def is_current(self) -> bool:
        return self.error is None and (self.revision == self.newest or self.admitted)

    @property
    def is_newer(self) -> bool:
        """Tell whether a later version of the program wrote it."""
        return self.revision is not None and self.revision not in REVISIONS and not self.admitted


def inspect_database(url: str) -> DatabaseState:
    """Return the condition of the database behind a URL of the settings. Raises StoreError for an invalid URL."""
    place = parse_location(url)
    path = place.path
    if path is not None and not path.exists():
        return DatabaseState(name=str(place), newest=REVISIONS[-1], path=path, exists=False, writable=_writable(path))
    database = Database(place)
    try:
        return _condition(database, place, path)
    except StoreError as error:
        return DatabaseState(name=str(place), newest=REVISIONS[-1], path=path, error=str(error))
    finally:
        database.close()


def _condition(database: Database, place: DatabaseLocation, path: Path | None) -> DatabaseState:
    revision, oldest = database.revision(), database.oldest_program()
    size = path.stat().st_size if path else 0
    checked = path is not None and revision == REVISIONS[-1] and size <= CHECKED_BYTES
    return DatabaseState(
        name=str(place),
        newest=REVISIONS[-1],
        path=path,
        bytes=size,
        writable=path is None or _writable(path),
        revision=revision,
        admitted=bool(oldest) and not is_older(__version__, oldest),
        damage=_damage(database) if checked else (),
        checked=checked,
    )


def _damage(database: Database) -> tuple[str, ...]:
    with database.reading() as connection:
        lines = connection.execute(text("PRAGMA quick_check(5)")).scalars().all()
    return tuple(line for line in lines if line != "ok")


def _writable(path: Path) -> bool:
    """Tell whether this user may write the file and, for the write-ahead log beside it, its directory."""
    if not path.exists():
        return next(os.access(above, os.W_OK) for above in path.absolute().parents if above.exists())
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)


def size_bytes(connection: Connection, place: DatabaseLocation) -> int:
    """Return the bytes on disk, the write-ahead log of SQLite included."""
    if place.path is None:
        return int(connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one())
    files = (place.path, Path(f"{place.path}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
