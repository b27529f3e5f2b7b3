"""A consistent copy of a running SQLite database."""

import logging
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import URL

from aggregator.core.errors import Conflict, StoreError
from aggregator.store.column_types import instant
from aggregator.store.engine import open_file, require_current
from aggregator.store.files import BEFORE_RESTORE, create_private
from aggregator.store.location import DatabaseLocation
from aggregator.store.migrations import REVISIONS
from aggregator.store.sent import SentMark

log = logging.getLogger(__name__)


def back_up(place: DatabaseLocation, path: str, *, replace: bool = False) -> int:
    """Copy the database to a new file that only its owner may read; return its size. Raises StoreError.

    The copy is made under a temporary name and renamed when complete: a file with the final name is a backup.
    """
    if not place.is_sqlite:
        raise StoreError(f"use pg_dump to back up {place}: pg_dump --format=custom --file={path} …")
    target, partial = Path(path), Path(f"{path}.part")
    if target.exists() and not replace:
        raise StoreError(f"{target} already exists; choose another file, or remove it")
    if not target.parent.is_dir():
        raise StoreError(f"cannot write {target}: there is no directory {target.parent}; create it")
    try:
        partial.unlink(missing_ok=True)  # of a copy that was killed
        create_private(partial)
        _copy(place, partial)
        partial.rename(target)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return target.stat().st_size


def restore(place: DatabaseLocation, path: str) -> Path | None:
    """Replace the database by a backup; return where the old one is kept. Raises StoreError, SchemaOutOfDate.

    The backup is copied and checked first; the swap is one rename. When the last alert was sent is kept
    (store/sent.py), so that the next start marks what may be a repeat. No process may have the database open.
    """
    if place.path is None:
        raise StoreError(f"use pg_restore to restore {place}")
    backup, target = Path(path), place.path
    partial = target.with_name(f"{target.name}.part")
    if not backup.is_file():
        raise StoreError(f"no backup {backup}; specify a file written by `aggregator db backup`")
    if target.exists() and backup.samefile(target):
        raise StoreError(f"{backup} is the database itself; specify a backup of it")
    try:
        _bring(backup, partial)
        _look_through(partial, backup)
        kept = _set_aside(place, target)
        partial.replace(target)
    except OSError as error:
        raise StoreError(f"cannot restore {target}: {error.strerror}") from error
    finally:
        for ending in ("", "-wal", "-shm"):
            with suppress(OSError):
                partial.with_name(partial.name + ending).unlink(missing_ok=True)
    return kept


def _bring(backup: Path, partial: Path) -> None:
    """Copy a backup, with the log beside it if it has one, next to the database."""
    for ending in ("", "-wal"):
        source, copy = backup.with_name(backup.name + ending), partial.with_name(partial.name + ending)
        copy.unlink(missing_ok=True)
        if source.exists():
            create_private(copy)
            shutil.copyfile(source, copy)


def _look_through(partial: Path, backup: Path) -> None:
    """Raise StoreError unless the copy is intact and ours; its log is written into it."""
    named = DatabaseLocation(URL.create("sqlite", database=str(backup)))
    try:
        with closing(
            open_file(DatabaseLocation(URL.create("sqlite", database=str(partial))), writing=True, create=False)
        ) as copy:
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            revision = _revision(copy) if {"feeds", "alembic_version"} <= tables else None
            copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise named.translate(error) from error
    if verdict != "ok":
        raise StoreError(f"{backup} is damaged: {' '.join(verdict.split())}; restore an older backup")
    if revision is None:
        raise StoreError(f"{backup} is not an aggregator database; specify a file written by `aggregator db backup`")
    if revision not in REVISIONS:
        require_current(revision, named)


def _revision(copy: sqlite3.Connection) -> str | None:
    found = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else None


def _set_aside(place: DatabaseLocation, target: Path) -> Path | None:
    """Keep the old database beside the new one, with the log that belongs to it and to no other."""
    if not target.exists():
        return None
    _remember_last_send(place, target)
    kept = target.with_name(target.name + BEFORE_RESTORE)
    for ending in ("", "-wal", "-shm"):
        old, new = target.with_name(target.name + ending), kept.with_name(kept.name + ending)
        new.unlink(missing_ok=True)
        if ending and old.exists():
            old.rename(new)
    os.link(target, kept)  # the name itself is never without a database
    return kept


def _remember_last_send(place: DatabaseLocation, target: Path) -> None:
    """Record the last send, also of an older version, after writing its log into it; skip a damaged database.

    Raises Conflict if another process has it open, such as a pass that cron started: its log would lie beside the
    restored file.
    """
    sent = SentMark(target)
    try:
        with closing(open_file(place, writing=True, create=False)) as old:
            (newest,) = old.execute("SELECT max(sent_at) FROM deliveries").fetchone()
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            old.execute("PRAGMA journal_mode = DELETE")  # which only who has it alone can do
    except (sqlite3.Error, StoreError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise Conflict(f"another process uses {place}; run this again when it has ended") from error
        log.warning("cannot read from %s when the last alert was sent: %s", place, error)
        return
    if newest is not None:
        sent.note(instant(newest))
        sent.flush()


def _copy(place: DatabaseLocation, partial: Path) -> None:
    copy = DatabaseLocation(URL.create("sqlite", database=str(partial)))
    try:
        with (
            closing(open_file(place, writing=False, create=False)) as source,
            closing(sqlite3.connect(partial)) as target,
        ):
            source.backup(target)
            (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise copy.translate(error) from error
    if verdict != "ok":
        raise StoreError(
            f"{place} is damaged, so its copy is too: {' '.join(verdict.split())}; restore an older backup"
        )
