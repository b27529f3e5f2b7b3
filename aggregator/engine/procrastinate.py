"""`ports.jobs.Jobs` over Procrastinate 3: the only module that knows it.

The traps of the library are closed here, once. Its worker ends, with success, where the database drops: so it runs in
a loop. Its side tasks are watched only while none of them ends, and the one for periodic tasks ends if there are none:
so every process has one, the rescue. Jobs of a process that died stay at work until that rescue comes. A database
that refuses LISTEN ends the worker each time: there it is not asked for, and jobs are found by looking.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from typing import Any
from uuid import uuid4

import procrastinate
import psycopg
from procrastinate import exceptions
from procrastinate.jobs import Job as EngineJob
from procrastinate.jobs import Status
from procrastinate.worker import Worker

from aggregator.core.errors import AggregatorError, DatabaseFault, StoreError
from aggregator.core.jobs import HEARTBEAT_S, STALLED_S, UPKEEP, queue_of
from aggregator.core.model import Job, Queue, QueuedJob
from aggregator.ports.jobs import Handle, Share

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks for jobs: notifications make most of them needless, and may be lost
RESCUE = "* * * * * */5"
CLEAR = "17 * * * *"
GRACE_S = 6.0
PLACE_S = 5.0  # for a connection of the pool: all that are used here are short
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0)
KEEP_FAILED_H = 24
WORK = "aggregator"
EVER = datetime(1970, 1, 1, tzinfo=UTC)

LIVE = "SELECT lock FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND lock IS NOT NULL"
WAITING = """
SELECT j.lock, j.queue_name, j.status, j.attempts, j.worker_id,
       extract(epoch FROM clock_timestamp() - (
           SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = j.id AND e.type <> 'scheduled'
       ))::float8 AS age,
       CASE WHEN j.status = 'doing' THEN
           extract(epoch FROM clock_timestamp() - COALESCE(w.last_heartbeat, 'epoch'))::float8
       END AS silent
FROM procrastinate_jobs j LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
WHERE j.status IN ('todo', 'doing') ORDER BY j.id
"""
HELD = """
SELECT id FROM procrastinate_jobs
WHERE id = %(job)s AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker)s
"""
FAILED = "SELECT count(*) AS failed FROM procrastinate_jobs WHERE status IN ('failed', 'aborted')"
WORKERS = """
SELECT count(*) AS workers FROM procrastinate_workers
WHERE last_heartbeat > clock_timestamp() - make_interval(secs => %(stalled)s)
"""
# What is left of the tables where somebody dropped some of them: jobs are made anew from what is due.
REMAINS = r"""
DO $remains$
DECLARE found text;
BEGIN
    FOR found IN SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = current_schema() AND p.proname LIKE 'procrastinate\_%'
    LOOP EXECUTE 'DROP FUNCTION IF EXISTS ' || found || ' CASCADE'; END LOOP;
    FOR found IN SELECT quote_ident(tablename) FROM pg_tables
        WHERE schemaname = current_schema() AND tablename LIKE 'procrastinate\_%'
    LOOP EXECUTE 'DROP TABLE IF EXISTS ' || found || ' CASCADE'; END LOOP;
    FOR found IN SELECT t.oid::regtype FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname = current_schema() AND t.typname LIKE 'procrastinate\_%'
    LOOP EXECUTE 'DROP TYPE IF EXISTS ' || found || ' CASCADE'; END LOOP;
END $remains$;
"""
LEFT = "SELECT id FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = ANY(%(workers)s)"


def schema_steps() -> Sequence[tuple[str, str]]:
    """Return (version, SQL) of the engine's migrations in order, behind ("", SQL that makes it new)."""
    folder = resources.files("procrastinate.sql")
    migrations = [file for file in (folder / "migrations").iterdir() if file.name.endswith(".sql")]
    steps = [(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in migrations]
    return [("", REMAINS + (folder / "schema.sql").read_text("utf-8")), *sorted(steps)]


class ProcrastinateJobs:
    """`ports.jobs.Jobs` over one database."""

    def __init__(self, url: str, places: int) -> None:
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # each job's beginning and end, at several levels
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # each attempt to connect again
        self._url = url.replace("+psycopg", "", 1)
        connector = procrastinate.PsycopgConnector(
            conninfo=self._url,
            min_size=1,
            max_size=max(4, places // 2),
            timeout=PLACE_S,
            configure=_without_preparing_through_a_pooler,
            kwargs={"connect_timeout": 10, "application_name": "aggregator-jobs", "client_encoding": "UTF8"},
        )
        self._app = procrastinate.App(connector=connector)
        self._opening = asyncio.Lock()
        self._open = False
        self._workers: list[Worker] = []
        self._listens = True
        self._lost: set[int] = set()  # our workers that ended without a word to the database
        self._stopping = False
        self._handle: Handle | None = None
        self._at_work: set[asyncio.Task[Any]] = set()
        self._app.task(name=WORK, pass_context=True)(self._work)

    # --- offering --------------------------------------------------------------------------------

    async def offer(self, jobs: Sequence[Job]) -> int:
        if not jobs:
            return 0
        made = [_engine_job(job) for job in jobs]
        with _translated():
            await self._opened()
            try:
                await self._app.job_manager.batch_defer_jobs_async(made)
            except exceptions.AlreadyEnqueued:  # one of them: another planner was faster
                return sum([await self._offer_one(job) for job in made])
        return len(made)

    async def _offer_one(self, job: EngineJob) -> bool:
        try:
            await self._app.job_manager.defer_job_async(job)
        except exceptions.AlreadyEnqueued:
            return False
        return True

    async def live(self) -> frozenset[str]:
        return frozenset(row["lock"] for row in await self._rows(LIVE))

    async def waiting(self) -> Queue:
        rows = await self._rows(WAITING)
        (failed,), (workers,) = await self._rows(FAILED), await self._rows(WORKERS, stalled=STALLED_S)
        jobs = tuple(
            QueuedJob(
                name=row["lock"] or row["queue_name"],
                queue=row["queue_name"],
                running=row["status"] == "doing",
                age_s=max(0.0, row["age"] or 0.0),
                attempts=row["attempts"],
                worker=row["worker_id"],
                silent_s=max(0.0, row["silent"] or 0.0),
            )
            for row in rows
        )
        return Queue(jobs=jobs, failed=failed["failed"], workers=workers["workers"])

    async def receives_notifications(self, within_s: float) -> bool:
        channel = f"aggregator_{uuid4().hex[:12]}"
        with _translated():
            async with await self._connect() as ear, await self._connect() as mouth:
                if not await _listen(ear, channel):
                    return False
                await mouth.execute("SELECT pg_notify(%s, '')", (channel,))
                async for _ in ear.notifies(timeout=within_s, stop_after=1):
                    return True
        return False

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=10, prepare_threshold=None
        )

    async def _find_out_whether_it_listens(self) -> None:
        async with await self._connect() as ear:
            listens = await _listen(ear, "aggregator_probe")
        if self._listens and not listens:
            log.warning("the database refuses LISTEN; jobs are found by looking once a second")
        self._listens = listens

    # --- working ---------------------------------------------------------------------------------

    async def serve(self, shares: Sequence[Share], handle: Handle, upkeep: Mapping[str, tuple[str, Handle]]) -> None:
        self._handle = handle
        self._periodic("rescue", RESCUE, self._rescue, alone=False)
        self._periodic("clear", CLEAR, self._clear_failed)
        for name, (cron, work) in upkeep.items():
            self._periodic(name, cron, partial(work, Job(kind=UPKEEP, subject=name), name))
        served = [*shares, Share(lambda: [*map(_upkeep_queue, ("rescue", "clear", *upkeep))], 2)]
        failures = 0
        while not self._stopping:
            began = asyncio.get_running_loop().time()
            try:
                with _translated():
                    await self._find_out_whether_it_listens()
                    if failures:
                        await self._close_pool()
                    await self._opened()
                    await self._take_back()
                    await self._run_workers(served)
                ended = "the engine's worker ended"
            except Exception as error:  # noqa: BLE001  the library's, the pool's, the driver's: all end a worker
                ended = str(error) if isinstance(error, AggregatorError) else _words(error)
            if self._stopping:
                return
            failures = 0 if asyncio.get_running_loop().time() - began > 30 else failures + 1
            pause = BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1]
            log.warning("jobs are not taken for a moment: %s; trying again in %g s", ended, pause)
            await asyncio.sleep(pause)

    async def _run_workers(self, shares: Sequence[Share]) -> None:
        """Run a worker for each share until one of them ends."""
        self._workers = [self._worker(share) for share in shares]
        running = [
            asyncio.create_task(worker.run(), name="jobs")  # type: ignore[no-untyped-call]
            for worker in self._workers
        ]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for worker in self._workers:
                worker.stop()  # type: ignore[no-untyped-call]
            await asyncio.wait(running, timeout=GRACE_S + 4)
            for task in done:
                task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self._lost |= {worker.worker_id for worker in self._workers if worker.worker_id is not None}

    def _worker(self, share: Share) -> Worker:
        return _ShareWorker(
            share,
            self._app,
            name=None,
            concurrency=share.places,
            fetch_job_polling_interval=LOOK_S,
            abort_job_polling_interval=60.0,
            shutdown_graceful_timeout=GRACE_S,
            listen_notify=self._listens,
            delete_jobs="successful",
            install_signal_handlers=False,
            update_heartbeat_interval=HEARTBEAT_S,
            stalled_worker_timeout=4 * STALLED_S,
        )

    async def stop(self, grace_s: float) -> None:
        self._stopping = True
        for worker in self._workers:
            worker.stop()  # type: ignore[no-untyped-call]
        if self._at_work:
            _, late = await asyncio.wait(self._at_work, timeout=grace_s)
            for task in late:
                task.cancel()

    async def close(self) -> None:
        await self._close_pool()

    async def _close_pool(self) -> None:
        """Close the connections: a pool that could not connect for a while waits ever longer before it tries again."""
        async with self._opening:
            if self._open:
                self._open = False
                with suppress(Exception):
                    await asyncio.wait_for(self._app.close_async(), 5)

    async def _work(self, context: procrastinate.JobContext, kind: str, subject: str = "", config: int = 0) -> None:
        """Do one job. What fails is offered again by who plans it, so it ends here either way."""
        assert self._handle is not None
        task = asyncio.current_task()
        assert task is not None
        self._at_work.add(task)
        try:
            await self._handle(
                Job(kind=kind, subject=subject, config=config), f"{context.job.id}.{context.job.attempts}"
            )
        except AggregatorError as error:
            log.error("job %s failed: %s", kind if not subject else f"{kind}:{subject}", error)
        except Exception:
            log.exception("job %s failed", kind if not subject else f"{kind}:{subject}")
        finally:
            self._at_work.discard(task)

    def _periodic(self, name: str, cron: str, work: Callable[[], Awaitable[object]], *, alone: bool = True) -> None:
        """Schedule periodic work; `alone`: never twice at once, so the job of a dead process has to be rescued first.

        The rescue itself runs without a lock: a process that was killed during it would block it in all the others.
        """
        if f"{UPKEEP}:{name}" in self._app.tasks:
            return
        lock = f"{UPKEEP}:{name}"

        async def run(timestamp: int) -> None:  # noqa: ARG001 - the library passes it
            try:
                await work()
            except AggregatorError as error:
                log.error("%s failed: %s", name, error)
            except Exception:
                log.exception("%s failed", name)

        held = lock if alone else None
        task = self._app.task(name=lock, queue=_upkeep_queue(name), lock=held, queueing_lock=lock)(run)
        self._app.periodic(cron=cron)(task)

    async def _rescue(self) -> None:
        """Give the jobs of dead workers to others."""
        for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S):
            held = await self._rows(HELD, job=job.id, worker=job.worker_id)  # another rescue may have been here
            if job.id is not None and held and await self._offer_again(job.id):
                log.warning("job %s was left by a process that died; it is offered again", job.lock)

    async def _take_back(self) -> None:
        """Offer again what our own workers had in hand when the database dropped: nobody else does that at once."""
        if not self._lost:
            return
        for row in await self._rows(LEFT, workers=sorted(self._lost)):
            await self._offer_again(row["id"])
        self._lost.clear()

    async def _offer_again(self, job_id: int) -> bool:
        """Offer a job again that nobody works on any more; return False if it has just ended.

        Where another one with its name waits already, it goes instead: it would block that one.
        """
        manager = self._app.job_manager
        try:
            await manager.retry_job_by_id_async(job_id, retry_at=EVER)  # whatever our own clock says
        except exceptions.UniqueViolation:
            with suppress(exceptions.ConnectorException):
                await manager.finish_job_by_id_async(job_id, Status.ABORTED, delete_job=True)
        except exceptions.ConnectorException:
            return False
        return True

    async def _clear_failed(self) -> None:
        """Forget jobs that failed, or were cut off, long ago."""
        await self._app.job_manager.delete_old_jobs(KEEP_FAILED_H, include_failed=True, include_aborted=True)

    # --- the database ----------------------------------------------------------------------------

    async def _opened(self) -> None:
        async with self._opening:
            if not self._open:
                try:
                    await self._app.open_async()
                except BaseException:
                    with suppress(Exception):
                        await self._app.close_async()
                    raise
                self._open = True

    async def _rows(self, query: str, **bound: Any) -> list[dict[str, Any]]:
        with _translated():
            await self._opened()
            return await self._app.connector.execute_query_all_async(query, **bound)


class _ShareWorker(Worker):
    """A worker that asks before each job from which queues it may be: channels come and go with the configuration."""

    def __init__(self, share: Share, app: procrastinate.App, **options: Any) -> None:
        self._share = share
        super().__init__(app, **options)

    @property
    def queues(self) -> list[str]:
        return [] if self._share.enough(len(self._running_jobs)) else list(self._share.queues())

    @queues.setter
    def queues(self, _: object) -> None:
        """Ignore what the library sets."""


def _engine_job(job: Job) -> EngineJob:
    return EngineJob(
        id=None,
        queue=queue_of(job),
        lock=job.name,
        queueing_lock=job.name,
        task_name=WORK,
        task_kwargs={"kind": job.kind, "subject": job.subject, "config": job.config},
    )


async def _without_preparing_through_a_pooler(connection: psycopg.AsyncConnection[Any]) -> None:
    """Prepare no statements where a pooler answers: the next transaction may be another server process's."""
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    await connection.commit()
    if row is None or row[0] != connection.info.backend_pid:
        connection.prepare_threshold = None


async def _listen(connection: psycopg.AsyncConnection[Any], channel: str) -> bool:
    """Ask for notifications; return False if that is refused."""
    try:
        await connection.execute(f"LISTEN {channel}".encode())
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        return False
    return True


def _upkeep_queue(name: str) -> str:
    return f"{UPKEEP}:{name}"


@contextmanager
def _translated() -> Iterator[None]:
    """Translate the library's errors and those of its pool."""
    try:
        yield
    except exceptions.ConnectorException as error:
        words = _words(error)
        if "does not exist" in words and "procrastinate" in words:
            raise StoreError(
                f"the database lacks the engine's tables ({words}); run `aggregator db upgrade`"
            ) from error
        raise DatabaseFault(f"the engine cannot use the database: {words}", kind="unreachable") from error
    except AggregatorError:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("psycopg", "psycopg_pool"):
            raise DatabaseFault(f"the engine cannot use the database: {_words(error)}", kind="unreachable") from error
        raise


def _words(error: BaseException) -> str:
    """Return the first line of what the driver says."""
    cause = error.__cause__ or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
