"""The engine of a cluster: a job exists once, and one process at a time works on it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from aggregator.core.errors import StoreError
from aggregator.core.jobs import DELIVER, POLL, UPKEEP
from aggregator.core.model import Job
from aggregator.engine.procrastinate import ProcrastinateJobs
from aggregator.ports.jobs import Handle, Jobs, Share
from tests.support.engine import engine_url, wiped
from tests.support.memory_jobs import MemoryJobs, MemoryQueue
from tests.support.postgres import postgres

__all__ = ["engine_url", "postgres"]

pytestmark = pytest.mark.anyio

PATIENCE_S = 20.0
LANE = Job(kind=POLL, subject="1", config=7)


@dataclass
class Engine:
    """Makes processes on one queue."""

    make: Callable[[], Jobs]
    made: list[Jobs] = field(default_factory=list)

    def process(self) -> Jobs:
        self.made.append(self.make())
        return self.made[-1]


@pytest.fixture(params=["memory", pytest.param("procrastinate", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str | None:
    """The engine's database; None: in memory."""
    return wiped(request.getfixturevalue("engine_url")) if request.param == "procrastinate" else None


@pytest.fixture
async def engine(url: str | None) -> AsyncIterator[Engine]:
    queue = MemoryQueue()
    found = Engine(lambda: ProcrastinateJobs(url, 4) if url else MemoryJobs(queue))
    yield found
    for jobs in found.made:
        await jobs.close()


@asynccontextmanager
async def working(
    jobs: Jobs, handle: Handle, *, queues: Any = (POLL,), places: int = 4, most: int = 4, **upkeep: Any
) -> AsyncIterator[None]:
    """A process at work."""
    named = queues if callable(queues) else lambda: queues
    share = Share(named, places, lambda held: held >= most)
    task = asyncio.create_task(jobs.serve([share], handle, upkeep))
    try:
        yield
    finally:
        await jobs.stop(5)
        await asyncio.wait_for(task, PATIENCE_S)


async def eventually(truth: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await truth():  # noqa: ASYNC110 - it may be the database that knows
            await asyncio.sleep(0.02)


async def live(jobs: Jobs) -> set[str]:
    """The live jobs but for the upkeep of the engine itself."""
    return {name for name in await jobs.live() if not name.startswith(UPKEEP)}


@dataclass
class Worker:
    """Holds each job until it is told to go on; says who is at work."""

    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[tuple[str, str]] = field(default_factory=list)
    at_work: set[str] = field(default_factory=set)
    twice: list[str] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)

    async def __call__(self, job: Job, token: str) -> None:
        if job.name in self.at_work:
            self.twice.append(job.name)
        self.begun.append((job.name, token))
        self.at_work.add(job.name)
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            self.cut_off.append(job.name)
            raise
        finally:
            self.at_work.discard(job.name)

    async def has_begun(self, count: int) -> None:
        async def enough() -> bool:
            return len(self.begun) >= count

        await eventually(enough)


async def test_a_name_waits_once(engine: Engine) -> None:
    """Whoever offers a job that waits already adds nothing; what else was offered with it is queued."""
    one, other = engine.process(), engine.process()
    assert await one.offer([LANE]) == 1
    assert await other.offer([LANE, Job(kind=POLL, subject="2")]) == 1
    assert await other.offer([]) == 0
    assert await live(one) == {"poll:1", "poll:2"}
    found = await one.waiting()
    assert [(job.name, job.queue, job.running, job.attempts) for job in found.jobs] == [
        ("poll:1", "poll", False, 0),
        ("poll:2", "poll", False, 0),
    ]
    assert all(0 <= job.age_s < PATIENCE_S for job in found.jobs)
    assert (found.workers, found.failed) == (0, 0)


async def test_a_process_with_enough_leaves_the_rest_to_others(engine: Engine) -> None:
    """Though it has places left; once it has ended something it takes more."""
    one, other, first, second = engine.process(), engine.process(), Worker(), Worker()
    jobs = [Job(kind=POLL, subject=name) for name in "abcd"]
    async with working(one, first, most=1):
        await one.offer(jobs)
        await first.has_begun(1)
        async with working(other, second, most=2):
            await second.has_begun(2)
            assert (len(first.begun), len(second.begun)) == (1, 2)
            first.goes_on.set()
            await first.has_begun(2)
            second.goes_on.set()
    assert {name for name, _ in (*first.begun, *second.begun)} == {job.name for job in jobs}


async def test_a_name_is_worked_on_once_at_a_time(engine: Engine) -> None:
    """Two processes with room: others run beside it, the second job of a name waits for the end of the first."""
    one, other, work = engine.process(), engine.process(), Worker()
    async with working(one, work), working(other, work):
        await one.offer([LANE, Job(kind=POLL, subject="2")])
        await work.has_begun(2)
        assert work.at_work == {"poll:1", "poll:2"}
        assert await other.offer([LANE]) == 1
        await asyncio.sleep(1.2)  # longer than any look for jobs
        assert len(work.begun) == 2
        found = await other.waiting()
        assert sorted((job.name, job.running) for job in found.jobs if job.queue == POLL) == [
            ("poll:1", False),
            ("poll:1", True),
            ("poll:2", True),
        ]
        assert found.workers >= 2
        work.goes_on.set()
        await work.has_begun(3)
    assert work.twice == []
    assert len({token for _, token in work.begun}) == 3
    assert await live(one) == set()  # what was done is gone


async def test_a_job_carries_what_it_was_offered_with(engine: Engine) -> None:
    """Kind, subject and the number of the configuration, whatever characters the subject has."""
    jobs, got = engine.process(), list[Job]()
    offered = [LANE, Job(kind=POLL, subject="a: 'b' %s \N{SNOWMAN}", config=2**31)]

    async def handle(job: Job, _: str) -> None:
        got.append(job)

    async def all_got() -> bool:
        return len(got) == 2

    async with working(jobs, handle):
        await jobs.offer(offered)
        await eventually(all_got)
    assert sorted(got, key=str) == sorted(offered, key=str)


async def test_queues_of_others_are_left_alone(engine: Engine) -> None:
    """A channel is sent on only by who serves its queue; a queue that is added later is served from then on."""
    jobs, work, queues = engine.process(), Worker(), ["deliver:one"]
    work.goes_on.set()
    async with working(jobs, work, queues=lambda: tuple(queues)):
        await jobs.offer([Job(kind=DELIVER, subject="two"), Job(kind=DELIVER, subject="one"), LANE])
        await work.has_begun(1)
        assert [name for name, _ in work.begun] == ["deliver:one"]
        queues.append("deliver:two")
        await work.has_begun(2)
    assert [name for name, _ in work.begun] == ["deliver:one", "deliver:two"]
    assert await live(jobs) == {"poll:1"}


@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError("unexpected")])
async def test_a_job_that_fails_is_over(engine: Engine, error: Exception) -> None:
    """The worker goes on; the same name can be offered and done at once."""
    jobs, begun = engine.process(), list[str]()

    async def handle(job: Job, token: str) -> None:
        begun.append(token)
        if len(begun) == 1:
            raise error

    async def nothing_lives() -> bool:
        return bool(begun) and not await live(jobs)

    async def again() -> bool:
        return len(begun) == 2

    async with working(jobs, handle):
        await jobs.offer([LANE])
        await eventually(nothing_lives)
        await jobs.offer([LANE])
        await eventually(again)


async def test_who_stops_lets_work_end(engine: Engine) -> None:
    """Nothing more is taken; what is under way ends by itself within the grace."""
    jobs, work = engine.process(), Worker()
    async with working(jobs, work, places=1):
        await jobs.offer([LANE])
        await work.has_begun(1)
        await jobs.offer([Job(kind=POLL, subject="2")])
        asyncio.get_running_loop().call_later(0.3, work.goes_on.set)
    assert (len(work.begun), work.cut_off) == (1, [])
    assert await live(engine.process()) == {"poll:2"}


async def test_who_stops_cuts_off_what_takes_too_long(engine: Engine) -> None:
    """After the grace a job is cancelled, and is no longer live: who plans offers it again."""
    jobs, work = engine.process(), Worker()
    async with working(jobs, work):
        await jobs.offer([LANE])
        await work.has_begun(1)
        await jobs.stop(0.1)
    assert work.cut_off == ["poll:1"]
    assert await live(engine.process()) == set()
    assert (await engine.process().waiting()).failed == 1


async def test_upkeep_is_done_once_in_the_whole_cluster(engine: Engine) -> None:
    """Two processes with the same upkeep, every second: no two at once, and not twice as often."""
    one, other, ran, at_once = engine.process(), engine.process(), list[str](), list[int]()

    async def tidy(job: Job, _: str) -> None:
        at_once.append(1)
        ran.append(job.name)
        await asyncio.sleep(0.1)
        at_once.pop()

    async def thrice() -> bool:
        assert len(at_once) < 2
        return len(ran) >= 3

    began = asyncio.get_running_loop().time()
    given: Any = {"tidy": ("* * * * * *", tidy)}
    async with working(one, Worker(), **given), working(other, Worker(), **given):
        await eventually(thrice)
        seconds = asyncio.get_running_loop().time() - began
    assert set(ran) == {"upkeep:tidy"}
    assert len(ran) <= seconds + 3  # of the second before the first, and of the one that has just begun


async def test_notifications_arrive(engine: Engine) -> None:
    """With nothing in between they do."""
    assert await engine.process().receives_notifications(5.0)
