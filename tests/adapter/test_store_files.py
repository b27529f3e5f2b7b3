"""The files that a database leaves: who may read them, and the copy before an upgrade."""

import asyncio
import multiprocessing
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from aggregator.app.processes import register, this_process
from aggregator.core.errors import Conflict, StoreError
from aggregator.store import open_store, restore_store, upgrade_store
from aggregator.store.engine import open_file
from aggregator.store.location import parse_location
from aggregator.store.migrations import REVISIONS
from tests.support.records import NOW, feed

pytestmark = pytest.mark.anyio

COPY = "aggregator.db.before-upgrade"


@pytest.fixture(params=[0o022, 0o000], ids=["umask 022", "umask 000"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.usefixtures("umask")
async def test_the_database_is_private(tmp_path: Path) -> None:
    """Database, log, index, backup and note are 0600 and the new folder 0700, whatever the umask."""
    folder = tmp_path / "state" / "aggregator"
    path = folder / "aggregator.db"
    async with open_store(f"sqlite:///{path}", index_text=lambda entry: entry.title, make_dirs=True) as store:
        await store.maintenance.upgrade()
        await store.feeds.sync([feed()], NOW)
        await store.maintenance.backup(str(folder / "copy.db"))
        with register(folder, this_process(datetime(2026, 5, 1, tzinfo=UTC), frozenset({"web"}), None)):
            found = modes(folder)
    assert {"aggregator.db", "aggregator.db-wal", "aggregator.db-shm", "copy.db"} < set(found)
    assert len(found) == 5
    assert set(found.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_database_that_is_open_elsewhere_is_not_replaced(tmp_path: Path) -> None:
    """A pass that cron started leaves no note as a service does: both files stay as they are until it has ended."""
    path, copy = tmp_path / "aggregator.db", tmp_path / "copy.db"
    url = f"sqlite:///{path}"
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        await store.maintenance.upgrade()
        await store.maintenance.backup(str(copy))
        await store.feeds.sync([feed()], NOW)
        with pytest.raises(Conflict, match=r"another process uses .*aggregator\.db; run this again when it has ended"):
            await restore_store(url, str(copy))
        await store.feeds.sync([feed(), feed("b")], NOW)
        assert [one.state.id for one in await store.catalog.feeds()] == ["a", "b"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["aggregator.db", "copy.db"]
    kept = await restore_store(url, str(copy))
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        assert await store.catalog.feeds() == ()
    async with open_store(f"sqlite:///{kept}", index_text=lambda entry: entry.title) as store:
        assert [one.state.id for one in await store.catalog.feeds()] == ["a", "b"]


async def test_files_that_stand_open_are_closed_at_the_start(tmp_path: Path) -> None:
    """What an older version left at 0644 is tightened, its log too; the right of the owner stays as it is."""
    path = tmp_path / "aggregator.db"
    async with open_store(f"sqlite:///{path}", index_text=lambda entry: entry.title) as store:
        await store.maintenance.upgrade()
        await store.feeds.sync([feed()], NOW)
        for file in tmp_path.iterdir():
            file.chmod(0o644)
        async with open_store(f"sqlite:///{path}", index_text=lambda entry: entry.title) as again:
            await again.maintenance.upgrade()
            assert set(modes(tmp_path).values()) == {0o600}


def old(path: Path, revision: str) -> None:
    """A database as an older version left it."""
    config = Config()
    config.set_main_option("script_location", "aggregator:store/migrations")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def test_an_upgrade_keeps_a_copy_until_the_next(tmp_path: Path) -> None:
    """The copy has the old schema and is private; the next upgrade replaces it, and none is made without need."""
    path, copy = tmp_path / "aggregator.db", tmp_path / COPY
    old(path, REVISIONS[0])
    done = asyncio.run(upgrade_store(f"sqlite:///{path}"))
    assert (done.revision, done.before, done.copy) == (REVISIONS[-1], REVISIONS[0], copy)
    assert (revision_of(copy), revision_of(path)) == (REVISIONS[0], REVISIONS[-1])
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert asyncio.run(upgrade_store(f"sqlite:///{path}")).copy is None
    path.unlink()
    old(path, REVISIONS[1])
    asyncio.run(upgrade_store(f"sqlite:///{path}"))
    assert revision_of(copy) == REVISIONS[1]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["aggregator.db", COPY]


def test_an_upgrade_keeps_the_keys_of_stories(tmp_path: Path) -> None:
    """What an older version found stories by is in the new table, the latest of a key last."""
    path = tmp_path / "aggregator.db"
    old(path, "0024")
    with closing(sqlite3.connect(path)) as database:
        for name, at in (("s1", 2), ("s2", 1)):
            values = (name, "T", "[]", "[]", "[]", 0, 0)
            database.execute(f"INSERT INTO stories VALUES ({', '.join('?' * 7)}, NULL, NULL, NULL)", values)
            database.execute("INSERT INTO story_keys (key, story, at) VALUES ('u:1', ?, ?)", (name, at))
        database.commit()
    asyncio.run(upgrade_store(f"sqlite:///{path}"))
    with closing(sqlite3.connect(path)) as database:
        assert [*database.execute("SELECT * FROM story_keys")] == [("u:1", 1, "s2"), ("u:1", 2, "s1")]


def test_a_new_file_is_opened_by_several_at_once(tmp_path: Path) -> None:
    """Each process switches it to WAL; SQLite refuses some at once, without its busy timeout (about one in 25)."""
    apart = multiprocessing.get_context("spawn")
    with apart.Manager() as manager, ProcessPoolExecutor(3, apart) as pool:
        start = manager.Barrier(3)
        opened = [pool.submit(open_new_files, tmp_path, start) for _ in range(3)]
        assert [one.result() for one in opened] == [100] * 3


def open_new_files(folder: Path, start: threading.Barrier) -> int:
    """Open a hundred new files, each at the moment at which the others do."""
    for number in range(100):
        start.wait(30)
        open_file(parse_location(f"sqlite:///{folder / f'{number}.db'}"), writing=True, create=True).close()
    return 100


def test_an_upgrade_without_a_copy(tmp_path: Path) -> None:
    """--no-backup; and a new database has nothing to be copied."""
    path = tmp_path / "aggregator.db"
    assert asyncio.run(upgrade_store(f"sqlite:///{path}")).copy is None
    path.unlink()
    old(path, REVISIONS[0])
    assert asyncio.run(upgrade_store(f"sqlite:///{path}", backup=False)).copy is None
    assert not (tmp_path / COPY).exists()


def test_what_cannot_be_copied_is_not_upgraded(tmp_path: Path) -> None:
    """The sentence names the way without a copy, and the old schema is as it was."""
    path = tmp_path / "aggregator.db"
    old(path, REVISIONS[0])
    (tmp_path / f"{COPY}.part").mkdir()
    with pytest.raises(StoreError, match="--no-backup"):
        asyncio.run(upgrade_store(f"sqlite:///{path}"))
    assert revision_of(path) == REVISIONS[0]
