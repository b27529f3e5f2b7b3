"""What is wrong with a database, in words."""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, select, text

from aggregator.core.model import DeliveryState
from aggregator.store.counts import false_counts
from aggregator.store.files import create_private
from aggregator.store.location import DatabaseLocation
from aggregator.store.schema import deliveries, feeds

INDEX = "entry_text"
SENDING = DeliveryState.SENDING.value
PART = 2  # the index with its texts is less than half of a database


def rows_at_fault(connection: Connection, place: DatabaseLocation) -> list[str]:
    """Return the database's own findings, then what no constraint can check."""
    wrong: list[str] = []
    if place.is_sqlite:
        lines = connection.execute(text("PRAGMA integrity_check(20)")).scalars().all()
        wrong += [f"damaged: {line}" for line in lines if line != "ok"]
        loose = connection.execute(text("PRAGMA foreign_key_check")).all()
        wrong += [f"a row of {row[0]} refers to a missing row of {row[2]}" for row in loose[:20]]
    orphans = (
        (feeds, feeds.c.lease_owner.is_not(None) & feeds.c.lease_until.is_(None), "a lease without an expiry"),
        (feeds, feeds.c.lease_owner.is_not(None) & ~feeds.c.configured, "a lease, but is no longer configured"),
        (
            deliveries,
            (deliveries.c.state == SENDING) & deliveries.c.lease_until.is_(None),
            "is being sent without a lease",
        ),
    )
    for table, condition, words in orphans:
        found = connection.execute(select(table.c.id).where(condition).order_by(table.c.id).limit(20)).scalars()
        wrong += [f"{table.name} {row}: {words}" for row in found]
    for name, there, counted in false_counts(connection):
        wrong.append(f"{counted} {name} are counted, but there are {there}; a copy (`aggregator db copy`) counts anew")
    return wrong


def index_at_fault(place: DatabaseLocation) -> list[str]:
    """Compare the full-text index of an SQLite database with its texts, in a copy of both beside the database.

    To SQLite, checking an index is writing: done in place, nobody else could write for as long, which are seconds for a
    million entries.
    """
    path = place.path
    assert path is not None
    copy = path.with_name(f"{path.name}.check")
    try:
        copy.unlink(missing_ok=True)  # of a check that was killed
        needed, free = path.stat().st_size // PART, shutil.disk_usage(path.parent).free
        if free < needed:
            room = f"its copy may take {needed // 10**6:,} MB in {path.parent}, where {free // 10**6:,} MB are free"
            return [f"full-text index: not checked; {room}"]
        create_private(copy)
        _copy_index(path, copy)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute(f"INSERT INTO {INDEX} ({INDEX}) VALUES ('integrity-check')")  # noqa: S608
    except OSError as error:
        return [f"full-text index: not checked; it cannot be copied to {copy}: {error.strerror}"]
    except sqlite3.Error as error:
        return [f"full-text index: {place.translate(error)}"]
    finally:
        for ending in ("", "-journal"):
            with suppress(OSError):
                copy.with_name(copy.name + ending).unlink(missing_ok=True)
    return []


def _copy_index(path: Path, copy: Path) -> None:
    """Copy the tables of the index, as they are at one instant, to an empty file. Raises sqlite3.Error."""
    with closing(sqlite3.connect(copy, isolation_level=None, uri=True)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("ATTACH ? AS stored", (f"file:{quote(str(path))}?mode=ro",))
        connection.execute("BEGIN")
        tables = dict(
            connection.execute(
                "SELECT name, sql FROM stored.sqlite_master WHERE name GLOB ?", (f"{INDEX}*",)
            ).fetchall()
        )
        connection.execute(tables.pop(INDEX))
        for name in tables:
            connection.execute(f"DELETE FROM main.{name}")  # noqa: S608 - our own tables
            connection.execute(f"INSERT INTO main.{name} SELECT * FROM stored.{name}")  # noqa: S608
        connection.execute("COMMIT")
