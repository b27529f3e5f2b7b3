"""A database with the engine's tables, and what only tests do in it."""

import asyncio
from typing import Any

import psycopg
import pytest

from aggregator.engine import schema_steps
from aggregator.store import open_store
from tests.support.postgres import PostgresServer


async def migrate(url: str) -> None:
    """Make all tables, ours and the engine's."""
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        await store.maintenance.upgrade(engine=schema_steps())


@pytest.fixture(scope="session")
def engine_url(postgres: PostgresServer) -> str:
    """A database with all tables; `wiped` empties it."""
    url = postgres.create()
    asyncio.run(migrate(url))
    return url


def execute(url: str, query: str, *bound: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(query.encode(), bound or None)
        return cursor.fetchall() if cursor.description else []


def wiped(url: str) -> str:
    """The database, with every table empty."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        connection.execute("SET session_replication_role = replica")  # no foreign keys: any order will do
        names = [name for (name,) in found if name not in ("alembic_version", "cluster")]
        connection.execute("; ".join(f'DELETE FROM "{name}"' for name in names).encode())
        connection.execute("DELETE FROM cluster WHERE name <> 'engine'")
    return url
