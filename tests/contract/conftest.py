"""The stores over which every contract of the store runs."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aggregator.core.model import Entry
from aggregator.store import Store, open_store
from tests.support.memory_store import MemoryStore
from tests.support.postgres import PostgresServer, postgres

__all__ = ["postgres"]


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the service runs on."""
    return "asyncio"


def index_text(entry: Entry) -> str:
    """A fold that is simple enough to be seen through: lower case, cut at spaces."""
    return f"{entry.title} {entry.summary} {entry.content}".lower()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"

    async def migrate() -> None:
        async with open_store(f"sqlite:///{path}", index_text=index_text) as store:
            await store.maintenance.upgrade()

    asyncio.run(migrate())
    return path


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """The URL of a fresh database; None: no database at all."""
    if request.param == "sqlite":
        path = tmp_path / "aggregator.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.emptied()
    return None


@pytest.fixture
async def store(database: str | None) -> AsyncIterator[Store | MemoryStore]:
    """Each store in turn: in memory, on SQLite, on PostgreSQL."""
    made = MemoryStore(index_text=index_text) if database is None else open_store(database, index_text=index_text)
    async with made as opened:
        yield opened
