"""Separate queues for parsing: slow or hostile feeds wait in their own, so that no other feed waits for them.

A document gets a short while from a quick worker. One that takes more time or memory than that, or kills
the worker, is read again apart: by a single worker of low priority, with all that a document may cost.
Later documents of the same feed go there at once, and so do those of a feed whose last
document was refused as hostile, until one of its documents is quick and harmless again.

One quick worker is kept for feeds whose last poll went well: however many unproven feeds come at once,
with documents that each take all that a quick worker gives, such a feed waits for none of them. Without unproven
ones, the other quick worker is started for them only if there is much to read: a process costs as much as a hundred
documents of which little is new.
"""

import asyncio
from dataclasses import replace

from aggregator.parse.workers.pool import Pool, WorkerDied, WorkerLimits
from aggregator.parse.workers.protocol import TOO_MUCH_MEMORY, Refusal, Reply, Request

QUICK_CPU_S = 1
QUICK_MEMORY_BYTES = 96 * 2**20
HARMLESS_S = 1.0
LOW_PRIORITY = 19
MUCH = 16 * 2**20  # bytes: what a worker reads in a third of a second, if most of it is known
MAX_WAITING = 8  # apart, each for as long as a document may take: well within the lease of a poll

BUSY = Refusal("The document is queued behind other slow ones; it will be read at a later poll.", "broken", True)


class ParserQueues:
    """Two pools for jobs: quick workers for nearly everything, one patient worker for the rest."""

    def __init__(self, workers: int, limits: WorkerLimits) -> None:
        quick = replace(
            limits,
            cpu_s=min(limits.cpu_s, QUICK_CPU_S),
            memory_bytes=min(limits.memory_bytes, QUICK_MEMORY_BYTES),
        )
        self._kept = Pool(1, quick)
        self._quick = Pool(workers - 1, quick) if workers > 1 else self._kept
        self._asked = {self._kept: 0, self._quick: 0}  # bytes under way
        self._strangers = 0  # jobs under way from feeds that are not proven
        self._patient = Pool(1, replace(limits, nice=LOW_PRIORITY))
        self._suspects: set[str] = set()
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def ask(self, job: Request, source: str = "", *, proven: bool = False) -> Reply:
        """Return the answer to one job; `source` identifies its feed. Raises WorkerUnusable.

        `proven`: the last poll of the source went well.
        """
        if source not in self._suspects:
            reply = await self._ask_quick(job, proven)
            if not _is_hostile(reply):
                return reply
            self._suspects.add(source)
            if reply != TOO_MUCH_MEMORY:
                return reply
        return await self._ask_apart(job, source)

    async def close(self) -> None:
        """End every process; jobs that wait are cancelled."""
        await asyncio.gather(self._kept.close(), self._quick.close(), self._patient.close())

    async def _ask_quick(self, job: Request, proven: bool) -> Reply:
        pool = self._kept if proven and not self._is_overflow() else self._quick
        self._asked[pool] += len(job.body)
        self._strangers += not proven
        try:
            return await pool.ask(job)
        except WorkerDied:
            return TOO_MUCH_MEMORY
        finally:
            self._asked[pool] -= len(job.body)
            self._strangers -= not proven

    def _is_overflow(self) -> bool:
        """Tell whether a document of a proven feed goes to the worker that is not kept for such feeds."""
        waiting = self._asked[self._kept]
        if self._strangers or waiting <= self._asked[self._quick]:
            return False
        return self._quick.is_open or waiting > MUCH

    async def _ask_apart(self, job: Request, source: str) -> Reply:
        if self._waiting >= MAX_WAITING:
            return BUSY
        self._waiting += 1
        try:
            async with self._turn:
                began = asyncio.get_running_loop().time()
                try:
                    reply = await self._patient.ask(job)
                except WorkerDied as death:
                    return death.refusal
                if not _is_hostile(reply) and asyncio.get_running_loop().time() - began < HARMLESS_S:
                    self._suspects.discard(source)
                return reply
        finally:
            self._waiting -= 1


def _is_hostile(reply: Reply) -> bool:
    return isinstance(reply, Refusal) and reply.found == "hostile"
