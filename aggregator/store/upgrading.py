"""Bringing a database's schema to the newest, by one process at a time."""

import logging
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection

from aggregator.core.errors import StoreError
from aggregator.store.dialect import POSTGRES, SQLITE, UPGRADE_LOCK
from aggregator.store.engine import make_engine, read_revision, require_current
from aggregator.store.migrations import REVISIONS
from aggregator.store.place import Place

log = logging.getLogger(__name__)


def upgrade(place: Place, *, make_dirs: bool) -> str:
    """Create or upgrade the database; gives its revision. Raises StoreError, SchemaOutOfDate.

    The whole upgrade is one transaction: a crash in its midst leaves the old schema. A process
    that comes second waits, and finds nothing left to do.
    """
    if place.path is not None:
        _prepare_file(place.path, place, make_dirs)
    engine = make_engine(place, writing=True, create=True)
    dialect = SQLITE if place.is_sqlite else POSTGRES
    try:
        with place.speaking(), engine.begin() as connection:
            dialect.take_turns(connection, UPGRADE_LOCK)
            before = read_revision(connection, place)
            if before is None or before in REVISIONS[:-1]:
                _run(connection)
                log.info("%s %s: schema %s", "created" if before is None else "upgraded", place, REVISIONS[-1])
            require_current(read_revision(connection, place), place)
    finally:
        engine.dispose()
    return REVISIONS[-1]


def _prepare_file(path: Path, place: Place, make_dirs: bool) -> None:
    """A directory for a new file: the last one of its path, or all of them where it is our own choice."""
    if path.exists():
        return
    try:
        path.parent.mkdir(parents=make_dirs, exist_ok=True)
        path.touch()  # an empty file is an empty database; and an OSError says more than SQLite does
    except (FileExistsError, NotADirectoryError) as error:
        file = next(above for above in path.parents if above.is_file())
        remedy = "move it away, or name another place in settings.database"
        raise StoreError(f"{place} cannot be created: {file} is a file, not a directory; {remedy}") from error
    except FileNotFoundError as error:
        missing = path.parent.parent
        raise StoreError(f"{place} cannot be created: there is no directory {missing}; create it") from error
    except OSError as error:
        raise StoreError(
            f"{place} cannot be created ({error.strerror}); give this user the right to write to {path.parent}"
        ) from error


def _run(connection: Connection) -> None:
    # Alembic takes a tenth of a second to import: only those who upgrade pay for it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("aggregator.store.migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
