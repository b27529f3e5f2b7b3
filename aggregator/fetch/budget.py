"""One budget for the bytes of documents that are held at the same time, from the first byte to the last use.

A small document takes what it needs of a share that is kept for it, and never waits. A larger one takes a
place that has room for the largest; if none is free it waits, with its sender held back, and a sender
that holds a place for long without having sent everything loses it. So nobody waits for a place while
holding one (no deadlock), and dripping senders delay large documents only.
"""

import asyncio
import ctypes
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakSet

from aggregator.core.errors import Busy

INCOMING_S = 20.0  # for a place and the whole body of a document that is sent to us
BUDGET_BYTES = 128 * 2**20
SMALL_BYTES = 256 * 1024
HELD_S = 5.0  # the longest that an unfinished document may keep a place while others wait
TRIM_AT = 3  # places that were held at once
TRIM_BYTES = 16 * 2**20


class Hold:
    """The share of one document in the budget; returned by `release`, or when nothing refers to it any more."""

    __slots__ = ("__weakref__", "_budget", "_evict", "has_place", "since")

    def __init__(self, budget: "Budget", evict: Callable[[], object]) -> None:
        self._budget = budget
        self._evict: Callable[[], object] | None = evict
        self.has_place = False
        self.since = 0.0

    def needs_place(self, size_bytes: int) -> bool:
        return not self.has_place and size_bytes > self._budget.small_bytes

    async def take_place(self) -> None:
        """Wait for a place. The caller's deadline is the only limit."""
        await self._budget.take(self)

    def complete(self) -> None:
        """Mark the document as complete: from now on only its readers hold it, and nobody can hurry them."""
        self._evict = None

    def evict(self) -> bool:
        """Make a sender give up; return whether there was one."""
        evict, self._evict = self._evict, None
        if evict is not None:
            evict()
        return evict is not None

    def release(self) -> None:
        if self.has_place:
            self.has_place = False
            self._budget.give_back(self)

    def __del__(self) -> None:
        self.release()


class Budget:
    """Places for large documents: `total_bytes`, less the shares of `concurrency` small ones."""

    def __init__(self, concurrency: int, max_body_bytes: int, total_bytes: int = BUDGET_BYTES) -> None:
        self._total_bytes = total_bytes
        self.reconfigure(concurrency, max_body_bytes)
        self._holders: WeakSet[Hold] = WeakSet()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._most_taken = 0

    def reconfigure(self, concurrency: int, max_body_bytes: int) -> None:
        """Apply other settings; holders of a place keep it."""
        self.small_bytes = min(SMALL_BYTES, self._total_bytes // 4 // concurrency)
        self._max_body_bytes = max_body_bytes
        # A body is there twice for a moment, when its pieces are joined; that moment is nobody else's.
        left = self._total_bytes - self.small_bytes * concurrency - max_body_bytes
        self.places = max(1, left // max_body_bytes)

    @property
    def taken(self) -> int:
        """Count the places that are held."""
        return len(self._holders)

    def hold(self, evict: Callable[[], object]) -> Hold:
        """Return a hold for a document that begins to arrive; `evict` ends it if others wait for too long."""
        return Hold(self, evict)

    async def take(self, hold: Hold) -> None:
        loop = asyncio.get_running_loop()
        while len(self._holders) >= self.places:
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append(turn)
            self._hurry(loop)
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._wake()  # the turn goes to the next one
                raise
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)
        hold.has_place, hold.since = True, loop.time()
        self._holders.add(hold)
        self._most_taken = max(self._most_taken, len(self._holders))

    def give_back(self, hold: Hold) -> None:
        self._holders.discard(hold)
        self._wake()
        if not self._holders and self._most_taken >= TRIM_AT:
            self._most_taken = 0
            _trim()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done() and not turn.get_loop().is_closed():
                turn.set_result(None)
                return

    def _hurry(self, loop: asyncio.AbstractEventLoop) -> None:
        """Free a place: that of the longest holder, as soon as its minimum time is over."""
        if self._timer is not None:
            return
        since = min((hold.since for hold in self._holders), default=loop.time())
        self._timer = loop.call_at(max(since + HELD_S, loop.time()), self._make_room, loop)

    def _make_room(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if not self._waiting:
            return
        slowest = sorted(self._holders, key=lambda hold: hold.since)
        wanted = len(self._waiting)
        for hold in slowest:
            if wanted and loop.time() - hold.since >= HELD_S and hold.evict():
                wanted -= 1
        self._timer = loop.call_later(HELD_S / 5, self._make_room, loop)


@asynccontextmanager
async def incoming(
    budget: Budget, size_bytes: int | None, read: Callable[[], Awaitable[bytes]]
) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """Read a document that somebody sends to us (`size_bytes`: how large he says it is) within the budget.

    Its place is held until the context ends. The given function raises Busy where there is no place, or the sender
    keeps it for too long: then he should come again.
    """
    holds: list[Hold] = []

    async def reading() -> bytes:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(INCOMING_S) as deadline:
                hold = budget.hold(lambda: deadline.reschedule(loop.time()))
                holds.append(hold)
                if size_bytes is None or hold.needs_place(size_bytes):
                    await hold.take_place()
                body = await read()
        except TimeoutError:
            for each in holds:
                each.release()
            raise Busy("too many large documents are on their way; send it again in a moment") from None
        hold.complete()
        return body

    try:
        yield reading
    finally:
        for hold in holds:
            hold.release()


def _trim() -> None:
    """Return freed memory to the system, which the C library keeps otherwise; only with glibc."""
    try:
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(TRIM_BYTES))
    except (AttributeError, OSError):
        return
