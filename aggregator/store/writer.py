"""The writer thread. What waits is written together, in one transaction; each caller awaits its own.

A database has one; PostgreSQL has a second one, for what waits for the routing of other processes.
A transaction costs a sync of the disk, a statement far less, and a row in a batch almost nothing:
so steps of one kind receive their members all at once. A step that fails affects nobody else: the
transaction is rolled back and every member is written again on its own.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from msgspec import Struct
from sqlalchemy import Connection

from aggregator.core.errors import StoreError
from aggregator.store.engine import Database

LINGER_S = 0.02
GROUP = 512

T = TypeVar("T")
M = TypeVar("M")

# Takes the waiting members of one kind; returns for each its result, or its own error.
Step = Callable[[Connection, Sequence[M]], Sequence[T | StoreError]]


class QueuedWrite(Struct, frozen=True):
    """One caller's share of a group."""

    step: Step[Any, Any]
    member: Any
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


WriteOutcome = tuple[QueuedWrite, Any]


class Writer:
    """The only way to write. Starts its thread at the first write."""

    def __init__(self, database: Database, name: str = "store-writer") -> None:
        self._database = database
        self._name = name
        self._gathered: list[QueuedWrite] = []
        self._timer: asyncio.TimerHandle | None = None
        self._inbox: SimpleQueue[list[QueuedWrite] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.transactions = 0

    async def submit_batched(self, step: Step[M, T], member: M, *, batched: bool = False) -> T:
        """Write `member` with whatever else waits; `batched` lets a group gather for 20 ms.

        Raises StoreError: its own, or that of the whole group where the database failed.
        """
        if self._closed:
            raise StoreError(f"{self._database.place} is closed")
        loop = asyncio.get_running_loop()
        waiting = QueuedWrite(step, member, loop, loop.create_future())
        self._gathered.append(waiting)
        if not batched or len(self._gathered) >= GROUP or self._gathered[0].loop is not loop:
            self._hand_over()
        elif self._timer is None:
            self._timer = loop.call_later(LINGER_S, self._hand_over)
        return cast(T, await waiting.future)

    async def execute(self, step: Callable[[Connection], T]) -> T:
        """Write something that cannot be batched."""
        return cast(T, await self.submit_batched(_one_by_one, step))

    async def close(self) -> None:
        """Write what waits, then end the thread."""
        self._closed = True
        self._hand_over()
        if self._thread is not None:
            self._inbox.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._gathered:
            return
        gathered, self._gathered = self._gathered, []
        self._inbox.put(gathered)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    # --- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while (group := self._inbox.get()) is not None:
            ending = self._drain(group)
            _report(self._write(group))
            if ending:
                return

    def _drain(self, group: list[QueuedWrite]) -> bool:
        """Add what arrived meanwhile; True: the end was requested."""
        while len(group) < GROUP:
            try:
                more = self._inbox.get_nowait()
            except Empty:
                return False
            if more is None:
                return True
            group.extend(more)
        return False

    def _write(self, group: Sequence[QueuedWrite]) -> list[WriteOutcome]:
        """Write together; if a member fails, each alone; if the database fails, all fail."""
        outcomes, error, spoilt = self._transact(group)
        if error is None:
            return outcomes
        if not spoilt or len(group) == 1:
            return [(waiting, error) for waiting in group]
        return self._write_apart(group)

    def _write_apart(self, group: Sequence[QueuedWrite]) -> list[WriteOutcome]:
        outcomes: list[WriteOutcome] = []
        for index, waiting in enumerate(group):
            written, error, spoilt = self._transact([waiting])
            if error is not None and not spoilt:
                return [*outcomes, *((late, error) for late in group[index:])]
            outcomes.extend(written if error is None else [(waiting, error)])
        return outcomes

    def _transact(self, group: Sequence[QueuedWrite]) -> tuple[list[WriteOutcome], Exception | None, bool]:
        """Return the outcomes; or the error, and whether a step raised it (not the begin or the commit)."""
        outcomes: list[WriteOutcome] = []
        stepping = False
        try:
            with self._database.writing() as connection:
                stepping = True
                for step, members in _kinds(group):
                    results = step(connection, [waiting.member for waiting in members])
                    outcomes.extend(zip(members, results, strict=True))
                stepping = False
        except Exception as error:  # noqa: BLE001  handed to the callers, each of whom awaits it
            return [], error, stepping
        self.transactions += 1
        return outcomes, None, False


def _one_by_one(connection: Connection, steps: Sequence[Callable[[Connection], T]]) -> list[T | StoreError]:
    return [step(connection) for step in steps]


def _kinds(group: Iterable[QueuedWrite]) -> Iterable[tuple[Step[Any, Any], list[QueuedWrite]]]:
    kinds: dict[Step[Any, Any], list[QueuedWrite]] = {}
    for waiting in group:
        kinds.setdefault(waiting.step, []).append(waiting)
    return kinds.items()


def _report(outcomes: Iterable[WriteOutcome]) -> None:
    """Wake the callers: once for each loop, however many wait there."""
    loops: dict[asyncio.AbstractEventLoop, list[WriteOutcome]] = {}
    for waiting, result in outcomes:
        loops.setdefault(waiting.loop, []).append((waiting, result))
    for loop, share in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_wake, share)


def _wake(outcomes: Iterable[WriteOutcome]) -> None:
    for waiting, result in outcomes:
        if waiting.future.done():  # its caller was cancelled; what is written stays written
            continue
        if isinstance(result, BaseException):
            waiting.future.set_exception(result)
        else:
            waiting.future.set_result(result)
