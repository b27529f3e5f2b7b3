"""The location of a database, and its problems in one sentence that shows no secret."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage
from typing import Any, Literal

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from aggregator.core.errors import DatabaseFault, FaultKind, SchemaOutOfDate, StoreError

# What a driver says, what kind of fault that is ("": the fault of one statement or of the settings), and the remedy.
Words = tuple[FaultKind | Literal[""], str]

PAGE_BYTES = 4096  # of SQLite

LOCKED: Words = ("locked", "is locked by another process; end that process, or try again when it is done")
CLOSED: Words = ("", "cannot be opened; give this user read and write permission")
SQLITE: dict[str, Words] = {
    "SQLITE_NOTADB": ("damaged", "is not an SQLite database; specify another file, or restore a backup"),
    "SQLITE_CORRUPT": ("damaged", "is damaged; restore the latest backup"),
    "SQLITE_FULL": ("full", "cannot grow because the disk is full; free some space, nothing was lost"),
    "SQLITE_READONLY": (
        "read-only",
        "is read-only; give this user write permission on the file and its directory",
    ),
    "SQLITE_PERM": CLOSED,
    "SQLITE_AUTH": CLOSED,
    "SQLITE_BUSY": LOCKED,
    "SQLITE_LOCKED": LOCKED,
    "SQLITE_IOERR": ("io", "cannot be read or written; check the disk and the system log"),
    "SQLITE_TOOBIG": ("", "was given a text that is too large"),
}

# The same for PostgreSQL, by SQLSTATE or its class.
POSTGRES: dict[str, Words] = {
    "28": ("unreachable", "rejects this user or password; check settings.database"),
    "3D": ("unreachable", "does not exist; create it with createdb"),
    "42501": ("", "denies this user permission; grant the rights on the database"),
    "25006": ("read-only", "is read-only; use the primary server"),
    "53100": ("full", "cannot grow because the disk is full; free some space, nothing was lost"),
    "53300": ("unreachable", "accepts no more connections; raise max_connections or run fewer processes"),
    "55P03": ("locked", "is locked by another process; try again when it is done"),
    "57": ("unreachable", "is starting or stopping; try again when the server is up"),
    "XX001": ("damaged", "is damaged; restore the latest backup"),
    "XX002": ("damaged", "has a damaged index; rebuild it with REINDEX, or restore the latest backup"),
}

# A connection that fails carries no SQLSTATE, only the server's words.
POSTGRES_WORDS = {
    "authentication failed": POSTGRES["28"],
    "does not exist": POSTGRES["3D"],
    "too many": POSTGRES["53300"],
    "starting up": POSTGRES["57"],
    "shutting down": POSTGRES["57"],
}


@dataclass(frozen=True, slots=True)
class DatabaseLocation:
    """A database's address."""

    url: URL

    @property
    def path(self) -> Path | None:
        """Return the file, if there is one."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def __str__(self) -> str:
        if self.is_sqlite:
            return f"database {self.url.database}"
        host = self.url.host or self.url.query.get("host") or "localhost"
        return f"database {self.url.database} on {host}"

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Translate what SQLAlchemy raises; StoreErrors pass."""
        try:
            yield
        except DBAPIError as error:
            raise self.translate(error.orig or error) from error
        except SQLAlchemyError as error:
            raise StoreError(f"{self}: {first_line(error)}") from error

    def translate(self, cause: BaseException) -> StoreError:
        """Return a driver's exception as a StoreError."""
        if self.is_sqlite:
            return self._translate_sqlite(cause)
        return self._translate_postgres(cause)

    def _translate_sqlite(self, cause: BaseException) -> StoreError:
        code = str(getattr(cause, "sqlite_errorname", ""))
        # Beside the file there are others, which it says only that it cannot read, write or make.
        if code.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR")) and self.path and _is_full(self.path):
            return self._say(SQLITE["SQLITE_FULL"])
        if code.startswith("SQLITE_CANTOPEN"):
            return self.cannot_open()
        for known, words in SQLITE.items():
            if code.startswith(known):
                return self._say(words)
        if first_line(cause).startswith("no such table"):
            return no_schema(self)
        return StoreError(f"{self}: {first_line(cause)}")

    def _translate_postgres(self, cause: BaseException) -> StoreError:
        state = str(getattr(cause, "sqlstate", None) or "")
        if state == "42P01":
            return no_schema(self)
        for known, words in POSTGRES.items():
            if state.startswith(known):
                return self._say(words)
        if not state:
            for known, words in POSTGRES_WORDS.items():
                if known in str(cause):
                    return self._say(words)
            return DatabaseFault(f"{self} cannot be reached: {first_line(cause)}", kind="unreachable")
        return StoreError(f"{self}: {first_line(cause)}")

    def _say(self, words: Words) -> StoreError:
        kind, said = words
        return DatabaseFault(f"{self} {said}", kind=kind) if kind else StoreError(f"{self} {said}")

    def cannot_open(self) -> StoreError:
        """Return why the file could not be opened: SQLite itself does not say."""
        path = self.path
        if path is None or path.is_dir():
            return DatabaseFault(f"{self} is a directory; specify a file in it", kind="unreachable")
        if not path.parent.is_dir():
            return DatabaseFault(
                f"{self} cannot be opened: there is no directory {path.parent}; create it", kind="unreachable"
            )
        if not path.exists():
            return DatabaseFault(
                f"{self} does not exist; create it with `aggregator db upgrade` or `aggregator run`",
                kind="unreachable",
            )
        if os.access(path, os.R_OK) and not os.access(path.parent, os.W_OK):
            return DatabaseFault(
                f"{self} is read-only: its directory is not writable; remount the disk read-write, or give this user "
                "write permission on the file and its directory",
                kind="read-only",
            )
        return DatabaseFault(
            f"{self} cannot be opened; give this user read and write permission on it and its directory",
            kind="unreachable",
        )


def parse_location(url: str, name: str = "settings.database") -> DatabaseLocation:
    """Parse a URL; `name` is what people call the URL. Raises StoreError."""
    try:
        address = make_url(url)
        backend = address.get_backend_name()
        address.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        # The URL itself is not shown: it may hold a password.
        raise StoreError(f"{name} is not a database URL; write sqlite:///var/aggregator.db") from error
    if backend == "postgresql":
        return DatabaseLocation(address.set(drivername="postgresql+psycopg"))
    if backend != "sqlite":
        raise StoreError(f"{name} is a {backend} URL; only sqlite and postgresql are supported")
    if not address.database or address.database == ":memory:":
        raise StoreError(
            f"{name} is not a valid SQLite URL (expected sqlite:///path); write sqlite:///var/aggregator.db"
        )
    return DatabaseLocation(address)


def no_schema(place: DatabaseLocation) -> SchemaOutOfDate:
    return SchemaOutOfDate(f"{place} has no tables yet; run `aggregator db upgrade`")


def first_line(error: Any) -> str:
    """Return the first line of an exception's words."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _is_full(path: Path) -> bool:
    """Tell whether a file could not grow by one page more."""
    try:
        return disk_usage(path.absolute().parent).free < PAGE_BYTES
    except OSError:
        return False
