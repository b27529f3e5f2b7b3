"""A consistent copy of a running SQLite database."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import URL

from aggregator.core.errors import StoreError
from aggregator.store.engine import open_file
from aggregator.store.files import create_private
from aggregator.store.place import Place


def back_up(place: Place, path: str, *, replace: bool = False) -> int:
    """Copy the database to a new file that only its owner may read; gives its bytes. Raises StoreError.

    The copy is made beside its name and renamed when it is whole: what has the name is a backup.
    """
    if not place.is_sqlite:
        raise StoreError(f"{place} is backed up with pg_dump: pg_dump --format=custom --file={path} …")
    target, partial = Path(path), Path(f"{path}.part")
    if target.exists() and not replace:
        raise StoreError(f"{target} exists already; name another file, or remove it")
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


def _copy(place: Place, partial: Path) -> None:
    copy = Place(URL.create("sqlite", database=str(partial)))
    try:
        with (
            closing(open_file(place, writing=False, create=False)) as source,
            closing(sqlite3.connect(partial)) as target,
        ):
            source.backup(target)
            (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise copy.explain(error) from error
    if verdict != "ok":
        raise StoreError(f"{place} is damaged, so its copy is too: {verdict}; restore an older backup")
