"""Engines and connections: how a database is opened, and the check that its schema is ours."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.pool import QueuePool

from aggregator import __version__
from aggregator.core.errors import DatabaseFault, SchemaOutOfDate, StoreError
from aggregator.core.versions import is_older
from aggregator.store.dialect import POSTGRES, SQLITE, Dialect
from aggregator.store.location import DatabaseLocation, no_schema
from aggregator.store.migrations import REVISIONS
from aggregator.store.sent import SentMark

log = logging.getLogger(__name__)

BUSY_MS = 10_000
CONNECT_S = 10
LOCK_S = 20  # PostgreSQL: what others hold for longer is not ours, or is stuck
# A server that vanished without a word (its machine, the network) is noticed within a minute, not within two hours.
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
READERS = 4
WRITERS = 2  # of PostgreSQL: what is routed, and the rest
LASTING = frozenset({"damaged", "gone"})  # a write that works elsewhere in the file heals neither
GONE = "restore it if this was unintended; the service stops, and opens the file of that name when it is started again"
SIDE_FILES = ("-wal", "-shm")  # SQLite keeps them for as long as a connection is open
NO_LOG = "never remove it; the service stops, which writes what was in it into the database"


class Database:
    """One engine for the writer, one for readers. Nothing is opened before it is needed."""

    def __init__(self, place: DatabaseLocation) -> None:
        self.place = place
        self.dialect: Dialect = SQLITE if place.is_sqlite else POSTGRES
        self._writing = make_engine(place, writing=True)
        self._reading = make_engine(place, writing=False)
        self.sent = SentMark(place.path)
        self.fault: DatabaseFault | None = None  # the last one, until something is written again
        self._known_good = False
        self._identity: tuple[int, int] | None = None
        self._side_files: dict[Path, tuple[int, int] | None] = {}  # as they were after the first write
        self._lock = threading.Lock()
        if place.path is not None:
            event.listen(self._writing, "connect", lambda *_: self._side_files.clear())

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that may write; it commits at the end. Raises StoreError."""
        with self._noting(), self.place.translate_errors():
            self.check_schema()
            self.check_identity()
            with self._writing.begin() as connection:
                yield connection
        if self.place.path is not None and not self._side_files:
            with suppress(OSError):
                self._side_files = {file: _identity(file) for file in map(self._beside, SIDE_FILES)}
        if self.fault and self.fault.kind not in LASTING:
            self.fault = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads. Raises StoreError."""
        with self._noting(), self.place.translate_errors():
            self.check_schema()
            self.check_identity()
            with self._reading.connect() as connection:
                yield connection

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Remember what is wrong with the database as a whole; the worst stays."""
        try:
            yield
        except DatabaseFault as fault:
            self._note(fault)
            raise
        except SchemaOutOfDate as error:
            if not self._known_good:
                raise
            gone = DatabaseFault(f"the tables of {self.place} are gone; {GONE}", kind="gone")
            self._note(gone)
            raise gone from error

    def _note(self, fault: DatabaseFault) -> None:
        if self.fault is None or self.fault.kind not in LASTING:
            self.fault = fault

    def look(self) -> None:
        """Notice a file that was deleted or replaced, though nobody uses it now; see `fault`."""
        if self._known_good:
            with suppress(DatabaseFault), self._noting():
                self.check_identity()

    def check_identity(self) -> None:
        """Raise DatabaseFault if the path no longer leads to the file that was opened.

        What is written into a file without a name is lost at the end, and what is written into two files at once
        is in neither.
        """
        if self.place.path is None or self._identity is None:
            return
        try:
            found = _identity(self.place.path)
        except OSError:  # not to be looked at now, which the use itself explains better
            return
        if found != self._identity:
            what = "was deleted" if found is None else "was replaced by another file"
            raise DatabaseFault(f"{self.place} {what} while it was in use; {GONE}", kind="gone")
        for file, known in self._side_files.items():
            # Others would begin a new one: two logs of one database, neither of which has all of it.
            with suppress(OSError):
                if known != (found := _identity(file)):
                    what = "was deleted" if found is None else "was replaced by another file"
                    message = f"{file.name}, a part of {self.place}, {what} while it was in use; {NO_LOG}"
                    raise DatabaseFault(message, kind="gone")

    def _beside(self, ending: str) -> Path:
        """Return a file that SQLite keeps beside the database."""
        return Path(f"{self.place.path}{ending}")

    def revision(self) -> str | None:
        """Return the schema's revision; None: it has no tables. Raises StoreError."""
        with self.place.translate_errors(), self._reading.connect() as connection:
            return read_revision(connection, self.place)

    def oldest_program(self) -> str:
        """Return the oldest program that may use a schema newer than ours. Raises StoreError."""
        with self.place.translate_errors(), self._reading.connect() as connection:
            return read_oldest_program(connection, self.place, read_revision(connection, self.place))

    def close(self) -> None:
        self._writing.dispose()
        self._reading.dispose()

    def check_schema(self) -> None:
        """Check the schema once, before the first use. Raises SchemaOutOfDate, StoreError."""
        if self._known_good:
            return
        with self._lock:
            if self.place.path is not None:
                with suppress(OSError):  # opening it says why
                    self._identity = _identity(self.place.path)
            with self.place.translate_errors(), self._reading.connect() as connection:
                require_usable(connection, self.place)
            self._known_good = True


def require_usable(connection: Connection, place: DatabaseLocation) -> None:
    """Raise SchemaOutOfDate, with the remedy, unless this program may use the database.

    It may use a newer schema too where the newer program left it usable: in a cluster, one node after the other is
    upgraded.
    """
    revision = read_revision(connection, place)
    oldest = read_oldest_program(connection, place, revision)
    if not oldest:
        require_current(revision, place)
    elif is_older(__version__, oldest):
        raise SchemaOutOfDate(
            f"{place} has schema {revision}, newer than {REVISIONS[-1]} of this program, and needs aggregator {oldest} "
            f"or newer; this is {__version__}: upgrade this machine"
        )
    else:
        log.warning("%s has schema %s, newer than %s of this program, which may use it", place, revision, REVISIONS[-1])


def read_oldest_program(connection: Connection, place: DatabaseLocation, revision: str | None) -> str:
    """Return the oldest program that may use a newer schema; empty: none may, or the schema is not newer."""
    if place.is_sqlite or revision is None or revision in REVISIONS:
        return ""
    from aggregator.store.cluster_schema import OLDEST_PROGRAM, cluster  # only a cluster has programs side by side

    return connection.execute(select(cluster.c.value).where(cluster.c.name == OLDEST_PROGRAM)).scalar() or ""


def require_current(revision: str | None, place: DatabaseLocation) -> None:
    """Raise SchemaOutOfDate, with the remedy, unless the schema is the one that we know."""
    if revision is None:
        raise no_schema(place)
    if revision not in REVISIONS:
        raise SchemaOutOfDate(
            f"{place} has schema {revision}, newer than {REVISIONS[-1]} of this program; "
            "use the newer program, or restore a backup made before the upgrade"
        )
    if revision != REVISIONS[-1]:
        raise SchemaOutOfDate(
            f"{place} has schema {revision}, this program needs {REVISIONS[-1]}; run `aggregator db upgrade`"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and number of a file; None: there is none. Raises OSError if that cannot be determined."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def read_revision(connection: Connection, place: DatabaseLocation) -> str | None:
    """Return the revision that alembic wrote; None: no tables yet.

    Raises StoreError if the file is not ours, or if not every script can be stored.
    """
    if not place.is_sqlite and (encoding := connection.execute(text("SHOW server_encoding")).scalar()) != "UTF8":
        raise StoreError(
            f"{place} is in {encoding}, in which most scripts cannot be written; make one in UTF-8 "
            f"(createdb -E UTF8 -T template0 NAME) and name it in settings.database"
        )
    tables = inspect(connection).get_table_names()
    if "feeds" in tables and "alembic_version" in tables:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if tables and place.is_sqlite:
        raise StoreError(f"{place} belongs to another program; set settings.database to another file")
    return None


def make_engine(place: DatabaseLocation, *, writing: bool, create: bool = False) -> Engine:
    """Make an engine whose transactions begin as they should; `create` may make the SQLite file."""
    writers = 1 if place.is_sqlite else WRITERS
    shared: dict[str, Any] = {"hide_parameters": True, "pool_size": writers if writing else READERS, "max_overflow": 0}
    if not place.is_sqlite:
        # The encoding, because $PGCLIENTENCODING or the database's own would stand in its place.
        options = {"connect_timeout": CONNECT_S, "application_name": "aggregator", "client_encoding": "UTF8"} | {
            name: value for name, value in KEEPALIVE.items() if name not in place.url.query
        }
        engine = create_engine(place.url, connect_args=options, pool_pre_ping=True, **shared)
        event.listen(engine, "connect", partial(_configure_session, waits=create))
        return engine
    connect = partial(open_file, place, writing=writing, create=create)
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, **shared)
    begin = "BEGIN IMMEDIATE" if writing else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _configure_session(connection: Any, _: object, *, waits: bool) -> None:
    """Wait for no lock without end, but those that an upgrade `waits` for.

    Where a pooler answers, nothing is set, and no statement prepared: the next transaction may be another server
    process's. (As an option of the connection, a pooler would refuse it.)
    """
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    if pid != connection.info.backend_pid:
        connection.prepare_threshold = None
    elif not waits:  # who set another one in the URL keeps it
        ours = "SELECT set_config('lock_timeout', %s, false) WHERE current_setting('lock_timeout') = '0'"
        connection.execute(ours, (f"{LOCK_S}s",))
        connection.commit()


def open_file(place: DatabaseLocation, *, writing: bool, create: bool) -> sqlite3.Connection:
    """Open a connection that syncs every commit. Only `create` ever makes a file."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"file:{quote(str(place.path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_MS / 1000,
        cached_statements=256,
    )
    try:
        set_pragmas(connection, place, writing=writing)
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> str:
    """Switch to WAL, and return the mode that SQLite kept.

    Of two processes that switch a new file at the same moment, SQLite refuses one at once, without its busy timeout.
    """
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return str(mode)


def set_pragmas(connection: sqlite3.Connection, place: DatabaseLocation, *, writing: bool) -> None:
    """Verify WAL: SQLite answers with the mode that it kept, and raises nothing."""
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    if not writing:
        connection.execute("PRAGMA cache_size = -4096")
        connection.execute("PRAGMA query_only = ON")
        return
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA synchronous = FULL")
    mode = _write_ahead(connection)
    if mode != "wal":
        raise StoreError(f"{place} cannot use a write-ahead log on this file system ({mode}); put it on a local disk")
