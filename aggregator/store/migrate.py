"""Migration of a database's schema to the newest, by one process at a time."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, inspect

from aggregator import __version__
from aggregator.core.errors import SchemaOutOfDate, StoreError
from aggregator.core.versions import oldest_program
from aggregator.store.backup import back_up
from aggregator.store.dialect import POSTGRES, SQLITE, UPGRADE_LOCK, Dialect
from aggregator.store.engine import make_engine, read_revision, require_usable
from aggregator.store.files import BEFORE_UPGRADE, PRIVATE_FOLDER, create_private
from aggregator.store.location import DatabaseLocation
from aggregator.store.migrations import REVISIONS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """The result of an upgrade: the revision now and `before` (None: there were no tables), and the copy kept."""

    revision: str
    before: str | None
    copy: Path | None = None


ENGINE_TABLE = "procrastinate_jobs"
EngineSteps = Sequence[tuple[str, str]]  # (version, SQL) in order, behind ("", SQL that makes the newest)


def upgrade(place: DatabaseLocation, *, make_dirs: bool, backup: bool = True, engine: EngineSteps = ()) -> Upgraded:
    """Create or upgrade the database, with `engine` the engine's tables too. Raises StoreError, SchemaOutOfDate.

    The whole upgrade is one transaction: a crash in its midst leaves the old schema. A process
    that comes second waits, and finds nothing left to do. With `backup`, an SQLite database is
    copied beside itself first; the copy of the upgrade before goes.
    """
    copy = None
    if place.path is not None:
        _prepare_file(place.path, place, make_dirs)
    database = make_engine(place, writing=True, create=True)
    dialect = SQLITE if place.is_sqlite else POSTGRES
    try:
        with place.translate_errors(), database.begin() as connection:
            dialect.advisory_lock(connection, UPGRADE_LOCK)
            before = read_revision(connection, place)
            if before in REVISIONS[:-1] and place.path is not None and backup:
                copy = _keep(place, place.path)  # nobody writes meanwhile: the lock is ours
            if before is None or before in REVISIONS[:-1]:
                declared = _run(connection)
                if not place.is_sqlite:
                    _let_in(connection, dialect, declared)
                log.info("%s %s: schema %s", "created" if before is None else "upgraded", place, REVISIONS[-1])
            if copy:
                log.warning("the database from before the upgrade (schema %s) is kept in %s", before, copy)
            require_usable(connection, place)
            revision = read_revision(connection, place) or ""
            if engine and not place.is_sqlite:
                _upgrade_engine(connection, dialect, place, engine)
    finally:
        database.dispose()
    return Upgraded(revision=revision, before=before, copy=copy)


def engine_is_current(connection: Connection, engine: EngineSteps) -> bool:
    """Tell whether the engine's tables are those of its newest step."""
    from aggregator.store.cluster import get_value
    from aggregator.store.cluster_schema import ENGINE

    return get_value(connection, ENGINE) == engine[-1][0] and inspect(connection).has_table(ENGINE_TABLE)


def _upgrade_engine(connection: Connection, dialect: Dialect, place: DatabaseLocation, engine: EngineSteps) -> None:
    """Make or upgrade the engine's tables, in the same transaction. Raises StoreError, SchemaOutOfDate."""
    from aggregator.store.cluster import get_value, put_value
    from aggregator.store.cluster_schema import ENGINE

    (_, new), *steps = engine
    newest, current = steps[-1][0], get_value(connection, ENGINE)
    exists = inspect(connection).has_table(ENGINE_TABLE)
    if current > newest:
        raise SchemaOutOfDate(
            f"{place} has the engine's schema {current}, newer than {newest} of the installed procrastinate; "
            "install the program that the other nodes have"
        )
    if exists and not current:
        raise StoreError(f"{place} has jobs of another program that uses the same engine; name a database of its own")
    for sql in [sql for version, sql in steps if version > current] if exists else [new]:
        # Several statements at once, and percent signs that are no parameters: past SQLAlchemy.
        connection.connection.cursor().execute(sql)
    if current and current != newest:  # old workers would speak to the new tables
        _let_in(connection, dialect, [__version__])
    if current != newest or not exists:
        put_value(connection, dialect, ENGINE, newest)
        log.info("%s: the engine's schema is %s", place, newest)


def _let_in(connection: Connection, dialect: Dialect, declared: Iterable[str]) -> None:
    """Record which programs may go on beside this one; older ones drain and end at their next heartbeat."""
    from aggregator.store.cluster import get_value, put_value
    from aggregator.store.cluster_schema import OLDEST_PROGRAM

    before = get_value(connection, OLDEST_PROGRAM)
    oldest = oldest_program(declared, __version__, before)
    if oldest != before:
        put_value(connection, dialect, OLDEST_PROGRAM, oldest)
        log.info("from now on this database needs aggregator %s or newer", oldest)


def _keep(place: DatabaseLocation, path: Path) -> Path:
    """Copy the database beside itself."""
    copy = path.with_name(path.name + BEFORE_UPGRADE)
    try:
        back_up(place, str(copy), replace=True)
    except StoreError as error:
        raise StoreError(
            f"{place} was not upgraded because it cannot be backed up first: {error}; "
            "fix that, or upgrade without a backup: `aggregator db upgrade --no-backup`"
        ) from error
    return copy


def _prepare_file(path: Path, place: DatabaseLocation, make_dirs: bool) -> None:
    """Make the directory of a new file: the last one of its path, or all of them if it is our own choice."""
    if path.exists():
        return
    try:
        path.parent.mkdir(PRIVATE_FOLDER, parents=make_dirs, exist_ok=True)
        with suppress(FileExistsError):  # another process was faster
            create_private(path)  # an empty file is an empty database; and an OSError says more than SQLite does
    except (FileExistsError, NotADirectoryError) as error:
        file = next(above for above in path.parents if above.is_file())
        remedy = "move it away, or change settings.database"
        raise StoreError(f"{place} cannot be created: {file} is a file, not a directory; {remedy}") from error
    except FileNotFoundError as error:
        missing = path.parent.parent
        raise StoreError(f"{place} cannot be created: there is no directory {missing}; create it") from error
    except OSError as error:
        raise StoreError(
            f"{place} cannot be created ({error.strerror}); give this user write permission on {path.parent}"
        ) from error


def _run(connection: Connection) -> Sequence[str]:
    """Run the migrations; return the oldest programs that they declare."""
    # Alembic takes a tenth of a second to import: only those who upgrade pay for it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    for name, value in alembic_options().items():
        config.set_main_option(name, value.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return [
        getattr(script.module, "oldest_program", "") for script in ScriptDirectory.from_config(config).walk_revisions()
    ]


def alembic_options() -> dict[str, str]:
    """Return where the migrations are."""
    return {"script_location": str(files("aggregator.store.migrations"))}
