"""The engine of a cluster in memory: one queue, the processes that share it, and no database."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aggregator.core.errors import AggregatorError
from aggregator.core.jobs import UPKEEP, queue_of
from aggregator.core.model import Job, Queue, QueuedJob
from aggregator.ports.jobs import Handle, Share

LOOK_S = 0.01
UPKEEP_S = 0.3  # whatever the cron expression says


@dataclass(eq=False)
class Entry:
    """A job in the queue."""

    number: int
    job: Job
    queue: str
    since: float
    attempts: int = 0
    worker: "MemoryJobs | None" = None


@dataclass
class MemoryQueue:
    """What the processes of a cluster share."""

    entries: list[Entry] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))
    working: set["MemoryJobs"] = field(default_factory=set)
    ticks: dict[str, float] = field(default_factory=dict)
    failed: int = 0


class MemoryJobs:
    """`ports.jobs.Jobs` over a queue in memory."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue
        self._stopping = asyncio.Event()
        self._at_work: set[asyncio.Task[None]] = set()

    async def offer(self, jobs: Sequence[Job]) -> int:
        return sum([self._offer(job, queue_of(job)) for job in jobs])

    def _offer(self, job: Job, queue: str) -> bool:
        entries = self._queue.entries
        if any(entry.job.name == job.name and entry.worker is None for entry in entries):
            return False
        entries.append(Entry(next(self._queue.numbers), job, queue, _now()))
        return True

    async def live(self) -> frozenset[str]:
        return frozenset(entry.job.name for entry in self._queue.entries)

    async def serve(self, shares: Sequence[Share], handle: Handle, upkeep: Mapping[str, tuple[str, Handle]]) -> None:
        handlers = {f"{UPKEEP}:{name}": work for name, (_, work) in upkeep.items()}
        served = [*shares, Share(lambda: tuple(handlers), 2)]
        busy = [0] * len(served)
        self._queue.working.add(self)
        try:
            while not self._stopping.is_set():
                for name in upkeep:
                    if _now() - self._queue.ticks.get(name, 0.0) >= UPKEEP_S:
                        self._queue.ticks[name] = _now()
                        self._offer(Job(kind=UPKEEP, subject=name), f"{UPKEEP}:{name}")
                for number, share in enumerate(served):
                    while (
                        busy[number] < share.places
                        and not share.enough(busy[number])
                        and (entry := self._next(share.queues()))
                    ):
                        busy[number] += 1
                        entry.worker, entry.since = self, _now()
                        work = handlers.get(entry.queue, handle)
                        task = asyncio.create_task(self._work(entry, work, busy, number))
                        self._at_work.add(task)
                        task.add_done_callback(self._at_work.discard)
                await asyncio.sleep(LOOK_S)
        finally:
            self._queue.working.discard(self)

    def _next(self, queues: Sequence[str]) -> Entry | None:
        entries = self._queue.entries
        held = {entry.job.name for entry in entries if entry.worker}
        waiting = (one for one in entries if one.worker is None and one.queue in queues and one.job.name not in held)
        return next(waiting, None)

    async def _work(self, entry: Entry, handle: Handle, busy: list[int], share: int) -> None:
        try:
            await handle(entry.job, f"{entry.number}.{entry.attempts}")
        except asyncio.CancelledError:
            self._queue.failed += 1
        except (AggregatorError, RuntimeError):
            pass
        finally:
            busy[share] -= 1
            self._queue.entries.remove(entry)

    async def stop(self, grace_s: float) -> None:
        self._stopping.set()
        if self._at_work:
            _, late = await asyncio.wait(self._at_work, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def waiting(self) -> Queue:
        jobs = tuple(
            QueuedJob(
                name=entry.job.name,
                queue=entry.queue,
                running=entry.worker is not None,
                age_s=_now() - entry.since,
                attempts=entry.attempts,
            )
            for entry in self._queue.entries
        )
        return Queue(jobs=jobs, failed=self._queue.failed, workers=len(self._queue.working))

    async def receives_notifications(self, within_s: float) -> bool:
        return within_s >= 0

    async def close(self) -> None: ...


def _now() -> float:
    return asyncio.get_running_loop().time()
