"""Polling: which feeds are polled, and when it ends; ingest.py is what a poll does."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from aggregator.core.errors import AggregatorError, Conflict, DatabaseFault, NotHere, StoreError
from aggregator.core.model import FeedState
from aggregator.core.polling.health import is_proven
from aggregator.core.polling.hosts import GAP_S, host_key, interleaved
from aggregator.pipeline.context import Context
from aggregator.pipeline.ingest import Ingestor
from aggregator.pipeline.polled import PolledFeed
from aggregator.ports import Feeds
from aggregator.ports.cluster import Lane

log = logging.getLogger(__name__)

LEASE_S = 300.0
CLAIM_SIZE = 500
CLAIMS = 8  # in one tick: hosts with many due feeds hide the others from a claim, one after the other
SHARE = 4
LOOK_S = 0.5  # how soon the end of a lane's time is noticed
KEPT_FOR_PROVEN = 16  # of the concurrent places
WAITING = 4  # polls that are fetched for each one that waits to be stored, when servers take a moment to answer
FIRST_STORE_REST_S, STORE_REST_S = 2.0, 30.0  # nothing is fetched while it could not be stored


class Places:
    """How many polls of this process are under way; pollers share them."""

    __slots__ = ("taken",)

    def __init__(self) -> None:
        self.taken = 0


class _Place:
    """One poll's place, which is left once."""

    __slots__ = ("_places",)

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places: asyncio.Semaphore | None = places

    def leave(self) -> None:
        if self._places is not None:
            self._places.release()
            self._places = None


class Poller:
    """Polls what is due, a bounded number of feeds at a time; `ingestor` does each of the polls.

    A host gets few of the places: its feeds take turns, and a feed that waits for a slow one holds a
    place and a lease.
    """

    def __init__(
        self,
        context: Context,
        ingestor: Ingestor,
        feeds: Feeds,
        *,
        lane: Lane | None = None,
        places: Places | None = None,
    ) -> None:
        """`lane`: poll its feeds only; `places` are shared with other pollers of this process."""
        self._context = context
        self._ingestor = ingestor
        self._feeds = feeds
        self._lane = lane
        self._places = places or Places()
        self.hosts: set[str] = set()  # that were asked for something
        self._ended_some = asyncio.Event()
        self._wake_at = 0  # polls under way, or fewer, at which there is room for a further claim
        self._full = False  # the last claim took as much as it could: there may be more
        self._closed = False
        self._under_way: dict[asyncio.Task[PolledFeed], FeedState] = {}
        self._at_hosts: Counter[str] = Counter()
        self._crowded: set[str] = set()
        self._beside: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._store_failed_at: datetime | None = None
        self._store_rest_s = 0.0
        self._draining = False

    # --- who is polled ---------------------------------------------------------------------------

    async def tick(self) -> int:
        """Start polls of what is due, as far as there is room; return how many were started."""
        started = 0
        if self._store_rests():
            return 0
        async with self._turn:
            for _ in range(CLAIMS):
                states, trimmed = await self._start()
                started += len(states)
                if not trimmed:
                    break
        return started

    async def run(self, over: Callable[[], bool]) -> None:
        """Poll what is due, and again while something is, until `over()`; then let what is under way end."""
        await self._fill()
        while self._under_way or self._beside or (self._full and not self._closed):
            self._ended_some.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._ended_some.wait()
            if over():
                self._closed = True
            elif self._full and len(self._under_way) <= self._wake_at:
                await self._fill()

    async def _fill(self) -> None:
        try:
            await self.tick()
        except Conflict as error:  # another process has the lane: what is under way may end
            log.info("%s", error)
            self._closed = True
        self._wake_at = len(self._under_way) // 2

    async def once(
        self, ids: Sequence[str] | None = None, *, force: bool = False, done: Callable[[PolledFeed], object]
    ) -> None:
        """Poll once what is due (`ids`: of these; `force`: due or not), to its end; `done` receives each poll."""
        wanted = list(self._context.active.feeds) if ids is None else ids
        chunks, claimed, turn = self._claimed(wanted, force), deque[FeedState](), asyncio.Lock()
        fixture = self._context.active.config.settings.polling.concurrency
        places = asyncio.Semaphore(fixture)

        async def work() -> None:
            while True:
                if not claimed:
                    async with turn:  # one claims for all
                        while not claimed:
                            if (chunk := await anext(chunks, None)) is None:
                                return
                            claimed.extend(chunk)
                state = claimed.popleft()
                await places.acquire()
                place = _Place(places)
                try:
                    done(await self._ingestor.poll(state, place.leave))
                finally:
                    place.leave()

        # A poll that only waits to be stored takes no place: others are fetched meanwhile.
        await asyncio.gather(*(work() for _ in range(min(fixture + -(-fixture // WAITING), len(wanted)))))

    async def _claimed(self, ids: Sequence[str], force: bool) -> AsyncIterator[Sequence[FeedState]]:
        """Yield those of `ids` that may be polled, claimed a chunk at a time and each once."""
        for start in range(0, len(ids), CLAIM_SIZE):
            chunk = ids[start : start + CLAIM_SIZE]
            yield interleaved(await self._claim(len(chunk), ids=chunk, force=force))

    async def drain(self, grace_s: float) -> None:
        """Start nothing more; what is under way gets `grace_s` seconds, then its leases are freed."""
        self._draining = self._closed = True
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=grace_s)
        left = [self._under_way[task].id for task in late]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await asyncio.gather(*self._beside, return_exceptions=True)
        if left:
            await self._feeds.release(left, owner=self._context.owner)

    async def _claim(self, limit: int, **more: Any) -> tuple[FeedState, ...]:
        if self._lane is not None:
            more["lane"] = self._lane
        return await self._feeds.claim_due(
            self._context.now(), owner=self._context.owner, lease_s=LEASE_S, limit=limit, **more
        )

    def _share(self) -> int:
        """Return how many feeds of one host are claimed at a time: half of what is served within half a lease."""
        settings = self._context.active.config.settings
        in_time = int(LEASE_S / 2 / (settings.http.timeout_s + GAP_S))
        return max(1, min(SHARE, in_time)) * settings.polling.per_host

    async def _start(self) -> tuple[tuple[FeedState, ...], bool]:
        """Claim and begin once, as far as there is room; tell whether a host may have more that is due."""
        free = self._context.active.config.settings.polling.concurrency - self._places.taken
        if free <= 0 or self._draining or self._closed:
            self._full = free <= 0
            return (), False
        share = self._share()
        busy = [host for host, count in self._at_hosts.items() if count >= share]
        fixture = min(free, self._room_for_strangers())
        states = await self._claim(fixture, per_host=share, busy=busy) if fixture > 0 else ()
        if len(states) >= fixture and fixture < free:
            busy += [host for host, count in Counter(host_key(s.url) for s in states).items() if count >= share]
            states += await self._claim(free - len(states), per_host=share, busy=busy, proven=True)
        self._full = len(states) >= free
        self._places.taken += len(states)
        for state in states:
            task = asyncio.create_task(self._ingestor.poll(state), name=f"poll {state.id}")
            self._under_way[task] = state
            self._at_hosts[host_key(state.url)] += 1
            task.add_done_callback(self._ended)
        claimed = Counter(host_key(state.url) for state in states)
        self.hosts |= claimed.keys()
        crowded = {host for host, count in claimed.items() if count >= share}
        self._crowded |= crowded
        return states, bool(crowded)

    def _store_rests(self) -> bool:
        """Tell whether a poll could not be stored a moment ago; ignore rests from before the clock was set back."""
        if self._store_failed_at is None:
            return False
        return timedelta() <= self._context.now() - self._store_failed_at < timedelta(seconds=self._store_rest_s)

    def _note_store(self, error: AggregatorError | None) -> None:
        """Rest longer with each round of polls that could not be stored; the first that can ends it."""
        if not isinstance(error, DatabaseFault):
            self._store_failed_at, self._store_rest_s = None, 0.0
        elif not self._store_rests():
            self._store_failed_at = self._context.now()
            self._store_rest_s = min(max(FIRST_STORE_REST_S, 2 * self._store_rest_s), STORE_REST_S)

    def _room_for_strangers(self) -> int:
        """Return the places for feeds that are new or failed last: an eighth of all is kept for the others."""
        places = self._context.active.config.settings.polling.concurrency
        return (
            places - 2 * (places // KEPT_FOR_PROVEN) - sum(not is_proven(state) for state in self._under_way.values())
        )

    def _ended(self, task: asyncio.Task[PolledFeed]) -> None:
        """Free a place; a host that had and served its full share is asked for more without waiting for the tick."""
        state = self._under_way.pop(task)
        self._places.taken -= 1
        if len(self._under_way) <= self._wake_at:
            self._ended_some.set()
        if not self._draining and (task.cancelled() or task.exception()):
            self._do_beside(self._lost(state, None if task.cancelled() else task.exception()), f"release {state.id}")
        elif not task.cancelled() and not task.exception():
            error = task.result().error
            self._note_store(error)
            if isinstance(error, NotHere):  # claimed again, it would only be given back again
                self._closed = True
        host = host_key(state.url)
        self._at_hosts[host] -= 1
        if self._at_hosts[host] > 0:
            return
        del self._at_hosts[host]
        if host in self._crowded and not self._draining and not self._closed:
            self._crowded.discard(host)
            self._do_beside(self._refill(), "refill")

    def _do_beside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._beside.add(task)
        task.add_done_callback(self._did_beside)

    def _did_beside(self, task: asyncio.Task[None]) -> None:
        self._beside.discard(task)
        self._ended_some.set()

    async def _refill(self) -> None:
        try:
            await self._fill()
        except StoreError as error:
            log.info("claiming feeds between two ticks failed: %s", error)
        except Exception:  # the next tick claims again
            log.exception("claiming between two ticks failed")

    async def _lost(self, state: FeedState, error: BaseException | None) -> None:
        """Handle a poll that ended with an unexpected error: free its feed at once, and log it."""
        log.error("a poll ended without a result: %r", error, exc_info=error, extra={"feed": state.id})
        try:
            await self._feeds.release([state.id], owner=self._context.owner)
        except AggregatorError as second:
            log.warning("the lease could not be released; it will expire: %s", second, extra={"feed": state.id})
