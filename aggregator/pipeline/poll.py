"""The first verb: poll. Who is polled and when it ends; intake.py is what a poll does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from aggregator.core.model import FeedState
from aggregator.pipeline.intake import Intake, Polled
from aggregator.pipeline.setup import CurrentSetup
from aggregator.ports import Clock, Feeds

LEASE_S = 300.0
CLAIM_AT_ONCE = 500


class Poller:
    """Polls what is due, a bounded number of feeds at a time; `intake` does each of the polls."""

    def __init__(self, intake: Intake, *, feeds: Feeds, setup: CurrentSetup, clock: Clock, owner: str) -> None:
        self._intake = intake
        self._feeds = feeds
        self._setup = setup
        self._clock = clock
        self._owner = owner
        self._under_way: dict[asyncio.Task[Polled], str] = {}
        self._draining = False

    # --- who is polled ---------------------------------------------------------------------------

    async def tick(self) -> int:
        """Start polls of what is due, as far as there is room; gives how many were started."""
        if self._draining:
            return 0
        free = self._setup().config.settings.polling.concurrency - len(self._under_way)
        return len(await self._start(free)) if free > 0 else 0

    async def once(
        self, ids: Sequence[str] | None = None, *, force: bool = False, done: Callable[[Polled], object]
    ) -> None:
        """One pass over what is due (`ids`: of these; `force`: due or not), to its end; `done` hears of each poll."""
        wanted = list(self._setup().feeds) if ids is None else ids
        queue, turn = self._claimed(wanted, force), asyncio.Lock()

        async def work() -> None:
            while True:
                async with turn:
                    state = await anext(queue, None)
                if state is None:
                    return
                done(await self._intake.poll(state))

        room = self._setup().config.settings.polling.concurrency
        await asyncio.gather(*(work() for _ in range(min(room, len(wanted)))))

    async def _claimed(self, ids: Sequence[str], force: bool) -> AsyncIterator[FeedState]:
        """Those of `ids` that may be polled, claimed a chunk at a time and each once."""
        for start in range(0, len(ids), CLAIM_AT_ONCE):
            chunk = ids[start : start + CLAIM_AT_ONCE]
            for state in await self._claim(len(chunk), ids=chunk, force=force):
                yield state

    async def drain(self, grace_s: float) -> None:
        """Start nothing more; what is under way gets `grace_s` seconds, then its leases are freed."""
        self._draining = True
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=grace_s)
        left = [self._under_way[task] for task in late]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if left:
            await self._feeds.release(left, owner=self._owner)

    async def _claim(
        self, limit: int, *, ids: Sequence[str] | None = None, force: bool = False
    ) -> tuple[FeedState, ...]:
        return await self._feeds.claim_due(
            self._clock.now(), owner=self._owner, lease_s=LEASE_S, limit=limit, ids=ids, force=force
        )

    async def _start(self, limit: int) -> tuple[FeedState, ...]:
        states = await self._claim(limit)
        for state in states:
            task = asyncio.create_task(self._intake.poll(state), name=f"poll {state.id}")
            self._under_way[task] = state.id
            task.add_done_callback(self._under_way.pop)
        return states
