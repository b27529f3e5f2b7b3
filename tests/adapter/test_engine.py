"""The engine on PostgreSQL: what its library does not do by itself when processes die or the database drops."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aggregator.core.errors import DatabaseFault, StoreError
from aggregator.core.jobs import POLL
from aggregator.core.model import Job
from aggregator.engine import procrastinate as module
from aggregator.engine.procrastinate import ProcrastinateJobs
from aggregator.ports.jobs import Share
from aggregator.store import open_store
from tests.support.engine import engine_url, execute, migrate, wiped
from tests.support.pooler import Pooler
from tests.support.postgres import PostgresServer, postgres

__all__ = ["engine_url", "postgres"]

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

LANE = Job(kind=POLL, subject="1")
AWAY = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '20 seconds'"


@pytest.fixture
def url(engine_url: str) -> str:
    return wiped(engine_url)


@pytest.fixture
def pooler(url: str, request: pytest.FixtureRequest) -> Iterator[Pooler]:
    made = Pooler(url, refusing=request.param)
    yield made
    made.close()


class Process:
    """One that works, and notes what it did."""

    def __init__(self, url: str) -> None:
        self.jobs, self.done = ProcrastinateJobs(url, 4), list[str]()
        self.tokens = list[str]()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def handle(self, job: Job, token: str) -> None:
        self.tokens.append(token)
        await self.goes_on.wait()
        self.done.append(job.name)

    async def has_done(self, count: int) -> None:
        await eventually(lambda: len(self.done) >= count)


@asynccontextmanager
async def working(url: str) -> AsyncIterator[Process]:
    process = Process(url)
    task = asyncio.create_task(process.jobs.serve([Share(lambda: (POLL,), 4)], process.handle, {}))
    try:
        yield process
    finally:
        await process.jobs.stop(1)
        await asyncio.wait_for(task, 20)
        await process.jobs.close()


async def eventually(truth: Callable[[], object | Awaitable[object]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not truth():  # noqa: ASYNC110 - it may be the database that knows
            await asyncio.sleep(0.05)


def left_by_a_dead_process(url: str) -> None:
    """A job that is at work, in a process that was killed 20 seconds ago."""
    execute(url, "INSERT INTO procrastinate_workers DEFAULT VALUES")
    execute(url, AWAY)
    execute(url, "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM procrastinate_workers)")


async def test_jobs_of_a_dead_process_are_given_to_others(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Though its clock is ahead: the job is due at once, and the log says so."""
    offering = ProcrastinateJobs(url, 2)
    await offering.offer([LANE])
    left_by_a_dead_process(url)
    (job,) = (await offering.waiting()).jobs
    assert (job.running, job.silent_s > 15) == (True, True)
    async with working(url) as process:
        await process.has_done(1)
    assert "poll:1 was left by a process that died; it is offered again" in caplog.text
    await offering.close()


async def test_what_waits_behind_a_dead_process_is_not_kept_waiting(url: str) -> None:
    """The dead one's job and a second one of its name: the lane would never be polled again."""
    offering = ProcrastinateJobs(url, 2)
    await offering.offer([LANE])
    left_by_a_dead_process(url)
    assert await offering.offer([LANE]) == 1
    async with working(url) as process:
        await process.has_done(1)
        await eventually(lambda: execute(url, "SELECT 1 FROM procrastinate_jobs WHERE lock = 'poll:1'") == [])
    assert process.done == ["poll:1"]
    await offering.close()


async def test_a_rescue_that_died_keeps_no_other_from_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process that was killed in the midst of a rescue leaves: every job of the dead would stay theirs."""
    monkeypatch.setattr(module, "RESCUE", "* * * * * */1")
    at_work = "WHERE task_name = 'upkeep:rescue' AND status = 'doing'"
    as_offered = f"SELECT COALESCE(quote_literal(lock), 'NULL'), args::text FROM procrastinate_jobs {at_work}"
    seen: list[tuple[Any, ...]] = []

    async def noting(_: ProcrastinateJobs) -> None:
        seen.extend(execute(url, as_offered))

    with monkeypatch.context() as patched:
        patched.setattr(ProcrastinateJobs, "_rescue", noting)
        async with working(url):
            await eventually(lambda: seen)
    (lock, args), *_ = seen
    offering = ProcrastinateJobs(url, 2)
    await offering.offer([LANE])
    execute(
        url,
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args) "
        f"VALUES ('upkeep:rescue', 'upkeep:rescue', {lock}, 'upkeep:rescue', '{args}')",
    )
    execute(url, "DELETE FROM procrastinate_workers")
    left_by_a_dead_process(url)
    async with working(url) as process:
        await process.has_done(1)
    await offering.close()


async def test_work_goes_on_when_the_database_comes_back(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's worker ends with success; here it begins anew, and takes back what it had in hand at once."""
    monkeypatch.setattr(module, "PLACE_S", 0.5)
    monkeypatch.setattr(module, "GRACE_S", 0.5)
    name = url.partition("?")[0].rpartition("/")[2]
    admin = url.replace(f"/{name}", "/postgres")
    async with working(url) as process:
        await process.jobs.offer([LANE, Job(kind=POLL, subject="2")])
        await process.has_done(2)
        process.goes_on.clear()
        await process.jobs.offer([LANE])
        await eventually(lambda: len(process.tokens) == 3)
        execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        execute(admin, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await eventually(lambda: "jobs are not taken for a moment" in caplog.text)
        with pytest.raises(DatabaseFault, match="the engine cannot use the database"):
            await asyncio.wait_for(process.jobs.live(), 20)
        process.goes_on.set()
        execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await eventually(lambda: process.done.count("poll:1") >= 2 and not busy(url))
        await process.jobs.offer([Job(kind=POLL, subject="3")])
        await eventually(lambda: "poll:3" in process.done)
    assert len(set(process.tokens)) == len(process.tokens)


def busy(url: str) -> list[Any]:
    return execute(url, "SELECT 1 FROM procrastinate_jobs WHERE queue_name = 'poll'")


async def test_only_failures_are_kept_and_not_for_ever(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done goes at once; what was cut off is counted for a day."""
    monkeypatch.setattr(module, "CLEAR", "* * * * * *")
    offering = ProcrastinateJobs(url, 2)
    await offering.offer([LANE])
    execute(url, "UPDATE procrastinate_jobs SET status = 'doing'")
    execute(url, "UPDATE procrastinate_jobs SET status = 'aborted'")
    await offering.offer([Job(kind=POLL, subject="2")])
    async with working(url) as process:
        await process.has_done(1)
        await eventually(lambda: not execute(url, "SELECT 1 FROM procrastinate_jobs WHERE lock = 'poll:2'"))
        assert (await offering.waiting()).failed == 1
        execute(url, "UPDATE procrastinate_events SET at = at - interval '25 hours'")
        await eventually(lambda: not execute(url, "SELECT 1 FROM procrastinate_jobs WHERE status = 'aborted'"))
    assert (await offering.waiting()).failed == 0
    await offering.close()


async def test_missing_tables_are_named_with_the_remedy(
    postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever offers or looks is told; whoever works waits for them, and then works."""
    url = postgres.create()
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        await store.maintenance.upgrade()
    async with working(url) as process:
        for ask in (process.jobs.offer([LANE]), process.jobs.live(), process.jobs.waiting()):
            with pytest.raises(StoreError, match=r"lacks the engine's tables.*run `aggregator db upgrade`"):
                await ask
        await eventually(lambda: "lacks the engine's tables" in caplog.text)
        await migrate(url)
        await process.jobs.offer([LANE])
        await process.has_done(1)


async def test_tables_that_were_dropped_are_made_again(postgres: PostgresServer) -> None:
    """Whatever is left of them: an upgrade makes them, as each start does; a second program's are left alone."""
    url = postgres.create()
    await migrate(url)
    execute(url, "DROP TABLE procrastinate_jobs CASCADE")
    await migrate(url)
    async with working(url) as process:
        await process.jobs.offer([LANE])
        await process.has_done(1)
    execute(url, "DELETE FROM cluster WHERE name = 'engine'")
    with pytest.raises(StoreError, match="jobs of another program that uses the same engine"):
        await migrate(url)


async def test_an_engine_that_is_newer_is_refused(postgres: PostgresServer) -> None:
    """Its tables may not be what this program expects: it says what to install, and changes nothing."""
    url = postgres.create()
    await migrate(url)
    execute(url, "UPDATE cluster SET value = '99.00.00_01_later' WHERE name = 'engine'")
    with pytest.raises(StoreError, match=r"engine's schema 99.00.00_01_later, newer than .*; install the program"):
        await migrate(url)
    assert execute(url, "SELECT value FROM cluster WHERE name = 'engine'") == [("99.00.00_01_later",)]


@pytest.mark.parametrize("pooler", [False, True], indirect=True, ids=["swallows", "refuses"])
async def test_jobs_are_found_by_looking_where_notifications_do_not_arrive(
    pooler: Pooler, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind a pooler in transaction mode: nothing is prepared there, and the worker does not end again and again."""
    async with working(pooler.url) as process:
        assert not await process.jobs.receives_notifications(0.5)
        for number in range(12):
            await process.jobs.offer([Job(kind=POLL, subject=str(number))])
        await process.has_done(12)
    assert pooler.prepared == 0
    assert "jobs are not taken for a moment" not in caplog.text
    refused = [record for record in caplog.records if "refuses LISTEN" in record.message]
    assert [record.levelno for record in refused] == ([logging.WARNING] if pooler._refusing else [])


@pytest.mark.parametrize("pooler", [False], indirect=True, ids=["swallows"])
async def test_the_store_prepares_nothing_behind_a_pooler(pooler: Pooler) -> None:
    """A statement that another client's connection prepared under the same name would be executed instead."""
    async with open_store(pooler.url, index_text=lambda entry: entry.title) as store:
        assert store.cluster is not None
        for _ in range(12):
            await store.cluster.agreed("lanes")
            await store.cluster.turn("plan", 0.0, by="me")
    assert pooler.prepared == 0
