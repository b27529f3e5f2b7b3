"""`db check` of SQLite: it finds damage of the full-text index, and holds up nobody who writes."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from aggregator.store import open_store
from tests.support.records import entry, stored

pytestmark = pytest.mark.anyio


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A database with a few entries in its index, in a folder whose name means more in a URI."""
    folder = tmp_path / "a #b%41"
    folder.mkdir()
    async with open_store(f"sqlite:///{quote(str(folder / 'aggregator.db'))}", index_text=lambda e: e.title) as store:
        await store.maintenance.upgrade()
        await stored(store, *(entry(str(n), title=f"sanctions {n}") for n in range(5)))
        await store.maintenance.index_text()
    return folder / "aggregator.db"


async def checked(path: Path) -> tuple[str, ...]:
    async with open_store(f"sqlite:///{quote(str(path))}", index_text=lambda e: e.title) as store:
        return await store.maintenance.check()


async def test_a_check_needs_nothing_that_a_writer_holds(path: Path) -> None:
    """Though somebody else writes all the time, the index is checked; its copy is gone afterwards."""
    before = {file.name for file in path.parent.iterdir()}
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await checked(path) == ()
        other.execute("ROLLBACK")
    assert {file.name for file in path.parent.iterdir()} - {"aggregator.db-wal", "aggregator.db-shm"} <= before


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM entry_text_content WHERE id = 2",
        "UPDATE entry_text_content SET c0 = 'other words' WHERE id = 2",
        "DELETE FROM entry_text_data WHERE id > 10",
    ],
)
async def test_an_index_that_differs_from_its_texts_is_found(path: Path, damage: str) -> None:
    """A word too many or too few is damage, even where every page is sound."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    (found,) = await checked(path)
    assert found.startswith("full-text index: ")
    assert "not checked" not in found


async def test_no_disk_is_filled_by_a_check(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the copy might not fit, the finding says how much room it takes, and nothing is written."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    (found,) = await checked(path)
    assert found.startswith("full-text index: not checked; its copy may take")
    assert not path.with_name("aggregator.db.check").exists()
