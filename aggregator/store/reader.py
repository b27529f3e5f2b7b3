"""Threads that read, each in a transaction of its own; readers and writers do not wait for each other."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import Connection

from aggregator.store.engine import READERS, Database

GROUPS = {"sqlite": 1}  # at a time; else as many as there are threads, for an answer may take its time on the way

T = TypeVar("T")


class QueuedRead(NamedTuple):
    """One caller's share of a group."""

    step: Callable[[Connection], Any]
    future: asyncio.Future[Any]


class ReadPool:
    """Runs reading steps off the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._waiting: list[QueuedRead] = []
        self._groups: set[asyncio.Task[None]] = set()  # which nobody else holds
        self._reading = 0
        self._most = GROUPS.get(database.dialect.name, READERS)

    async def read(self, step: Callable[[Connection], T]) -> T:
        """Return the result of `step`. Raises StoreError, and what `step` raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, step)

    async def read_batched(self, step: Callable[[Connection], T]) -> T:
        """Return the result of a short step, which is run with whatever else waits: a transaction costs far more.

        Raises StoreError, and what `step` raises. All callers are of one event loop.
        """
        waiting = QueuedRead(step, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._reading < self._most:
            self._reading += 1
            group = asyncio.create_task(self._read_waiting(), name="read group")
            self._groups.add(group)
            group.add_done_callback(self._groups.discard)
        return cast(T, await waiting.future)

    async def _read_waiting(self) -> None:
        """Read what waits until nothing does."""
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._read_group(group)
        finally:
            self._reading -= 1  # here, for the next question may do so before this task counts as done

    async def _read_group(self, group: Sequence[QueuedRead]) -> None:
        try:
            found = await self.read(partial(_read_all, group))
        except Exception:  # noqa: BLE001 -- of one step or of the database: nobody has the error of another
            await asyncio.gather(*map(self._read_alone, group))
            return
        for each, result in zip(group, found, strict=True):
            if not each.future.done():  # who asked may have gone
                each.future.set_result(result)

    async def _read_alone(self, asked: QueuedRead) -> None:
        try:
            result = await self.read(asked.step)
        except Exception as error:  # noqa: BLE001 -- it is the caller's, whatever it is
            if not asked.future.done():
                asked.future.set_exception(error)
        else:
            if not asked.future.done():
                asked.future.set_result(result)

    def _run(self, step: Callable[[Connection], T]) -> T:
        with self._database.reading() as connection:
            return step(connection)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)


def _read_all(group: Sequence[QueuedRead], connection: Connection) -> list[Any]:
    return [each.step(connection) for each in group]
