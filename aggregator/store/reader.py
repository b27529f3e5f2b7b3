"""Threads that read, each in a transaction of its own; readers and writers do not wait for each other."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from aggregator.store.engine import READERS, Database

T = TypeVar("T")


class ReadPool:
    """Runs reading steps off the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    async def read(self, step: Callable[[Connection], T]) -> T:
        """Return the result of `step`. Raises StoreError, and what `step` raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, step)

    def _run(self, step: Callable[[Connection], T]) -> T:
        with self._database.reading() as connection:
            return step(connection)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
