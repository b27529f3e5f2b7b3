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
    """The database without jobs, workers and nodes."""
    execute(url, "TRUNCATE procrastinate_jobs, procrastinate_workers, procrastinate_periodic_defers, nodes CASCADE")
    return url
