"""Short reads that wait at the same time share a transaction, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from aggregator.core.errors import StoreError
from aggregator.store import upgrade_store
from aggregator.store.engine import Database
from aggregator.store.location import parse_location
from aggregator.store.reader import ReadPool

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The service speaks asyncio."""
    return "asyncio"


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[ReadPool]:
    """Readers of an empty database."""
    url = f"sqlite:///{tmp_path}/db.sqlite"
    await upgrade_store(url)
    database = Database(parse_location(url))
    pool = ReadPool(database)
    yield pool
    await pool.close()
    database.close()


def number(connection: Connection, value: int) -> tuple[int, int]:
    """A value by way of the database, and the connection that gave it."""
    return connection.execute(text("SELECT :value"), {"value": value}).scalar_one(), id(connection)


async def test_reads_that_wait_share_a_transaction(pool: ReadPool) -> None:
    """What is asked at once is one group; what is asked while it is read is the next one; each has its own answer."""
    asked = [asyncio.create_task(pool.read_batched(lambda c, n=n: number(c, n))) for n in range(100)]  # type: ignore[misc]
    await asyncio.sleep(0)
    found = await asyncio.gather(*asked)
    assert [value for value, _ in found] == [*range(100)]
    assert len({connection for _, connection in found}) <= 2


async def test_one_read_after_another(pool: ReadPool) -> None:
    """Who asks again as soon as it has its answer gets the next one."""

    async def ask(first: int) -> list[int]:
        return [(await pool.read_batched(lambda c, n=n: number(c, n)))[0] for n in range(first, first + 20)]  # type: ignore[misc]

    async with asyncio.timeout(30):
        assert await asyncio.gather(*map(ask, range(3))) == [[*range(first, first + 20)] for first in range(3)]
        assert await ask(5) == [*range(5, 25)]


async def test_an_error_is_its_own_callers(pool: ReadPool) -> None:
    """A step that fails, in Python or in the database, leaves the others of its group their answers."""

    def bug(_: Connection) -> tuple[int, int]:
        raise KeyError("bug")

    def fault(connection: Connection) -> tuple[int, int]:
        connection.execute(text("SELECT * FROM nowhere"))
        raise AssertionError

    steps = [lambda connection: number(connection, 1), bug, fault, lambda connection: number(connection, 2)]
    found = await asyncio.gather(*map(pool.read_batched, steps), return_exceptions=True)
    assert isinstance(found[1], KeyError)
    assert isinstance(found[2], StoreError)
    assert [one[0] for one in found if isinstance(one, tuple)] == [1, 2]


async def test_who_goes_takes_nobody_along(pool: ReadPool) -> None:
    """A caller that is cancelled while its group is read is missed by none of the others."""
    asked = [asyncio.create_task(pool.read_batched(lambda c, n=n: number(c, n))) for n in range(3)]  # type: ignore[misc]
    await asyncio.sleep(0)
    asked[0].cancel()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert [one[0] for one in found if isinstance(one, tuple)] == [1, 2]
