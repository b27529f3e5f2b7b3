"""A small pool of parse workers: started when needed, killed when stuck, ended when idle.

Jobs wait in one queue. Each lane owns at most one process and sends it several waiting jobs at once. When a
process dies, its jobs are tried again one by one, so that only the guilty document is refused. A process that
somebody else killed (the kernel for want of memory, a person) proves nothing against a document: each is tried
once more in a new process.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aggregator
from aggregator.parse.workers import protocol
from aggregator.parse.workers.protocol import Reply, Request

log = logging.getLogger(__name__)

BATCH = 8
BATCH_BYTES = 512 * 1024
START_S = 30.0
GONE_S = 5.0

_ENDINGS: dict[int, str] = {
    signal.SIGXCPU: "took too much processor time",
    signal.SIGKILL: "exceeded this machine's resources",
    signal.SIGSEGV: "crashed the parser",
    signal.SIGABRT: "crashed the parser",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """Limits of one document, the idle time of a worker, and its priority."""

    max_body_bytes: int
    memory_bytes: int
    cpu_s: int
    wall_s: float
    idle_s: float
    nice: int = 0


class WorkerDied(Exception):
    """The process ended before it answered; the text says why, as the end of a sentence.

    `killed`: from outside, and not by one of the limits that a document can reach.
    """

    def __init__(self, why: str, *, killed: bool = False) -> None:
        super().__init__(why)
        self.killed = killed

    @property
    def refusal(self) -> protocol.Refusal:
        """Return the refusal of the document."""
        return protocol.Refusal(f"The document {self}; it was not read.", "hostile", False)


class WorkerUnusable(Exception):
    """No process could do the work: nothing that a document did."""


class Pool:
    """Up to `workers` processes that answer jobs."""

    def __init__(self, workers: int, limits: WorkerLimits) -> None:
        self._workers = workers
        self._limits = limits
        self._queue: asyncio.Queue[tuple[Request, asyncio.Future[Reply]]] = asyncio.Queue()
        self._lanes: set[asyncio.Task[None]] = set()
        self._waiting = 0  # lanes that rest with or without a process

    @property
    def is_open(self) -> bool:
        """Tell whether it has a process, or is about to start one."""
        return bool(self._lanes)

    async def ask(self, job: Request) -> Reply:
        """Return the answer to one job. Raises WorkerDied if this very document is to blame, WorkerUnusable."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((job, future))
        if self._queue.qsize() > self._waiting and len(self._lanes) < self._workers:
            lane = asyncio.create_task(self._lane(), name="parse lane")
            self._lanes.add(lane)
            lane.add_done_callback(self._lane_ended)
        return await future

    async def close(self) -> None:
        """End every process; jobs that wait are cancelled."""
        lanes = tuple(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()[1].cancel()

    def _lane_ended(self, lane: asyncio.Task[None]) -> None:
        """Fail waiting jobs if the last lane ended by a bug: nobody would serve them."""
        self._lanes.discard(lane)
        if lane.cancelled() or (error := lane.exception()) is None:
            return
        log.error("a parser worker's queue ended unexpectedly", exc_info=error)
        while not self._lanes and not self._queue.empty():
            _fail([self._queue.get_nowait()], WorkerUnusable(f"The parser failed unexpectedly ({error})."))

    async def _lane(self) -> None:
        """Serve the queue with one process until there has been no work for a while."""
        worker = Worker(self._limits)
        try:
            while batch := await self._batch():
                try:
                    await self._serve(worker, batch)
                except Exception as error:  # a bug costs these jobs this attempt, and nobody waits for it
                    log.exception("a parser worker's queue failed; its documents will be read at a later poll")
                    _fail(batch, WorkerUnusable(f"The parser failed unexpectedly ({type(error).__name__}: {error})."))
                    await worker.end()
                finally:
                    for _, future in batch:
                        future.cancel()  # no effect on those that were answered
        finally:
            self._lanes.discard(asyncio.current_task())
            await worker.end()

    async def _batch(self) -> list[tuple[Request, asyncio.Future[Reply]]]:
        """Return this lane's share of what is waiting, or nothing after a rest."""
        if self._queue.empty():
            self._waiting += 1
            try:
                batch = [await asyncio.wait_for(self._queue.get(), self._limits.idle_s)]
            except TimeoutError:
                if self._queue.empty():
                    return []
                batch = [self._queue.get_nowait()]
            finally:
                self._waiting -= 1
        else:
            batch = [self._queue.get_nowait()]
        share = min(BATCH, -(-self._queue.qsize() // self._workers))
        size = len(batch[0][0].body)
        while len(batch) < share and size < BATCH_BYTES and not self._queue.empty():
            batch.append(self._queue.get_nowait())
            size += len(batch[-1][0].body)
        return batch

    async def _serve(
        self, worker: "Worker", batch: Sequence[tuple[Request, asyncio.Future[Reply]]], *, again: bool = False
    ) -> None:
        """Answer a batch; `again`: its one job is tried for the second time after a worker was killed."""
        wanted = [pair for pair in batch if not pair[1].done()]
        if not wanted:
            return
        try:
            replies = await worker.ask([job for job, _ in wanted])
        except WorkerDied as death:
            if death.killed and not again:
                log.warning("a parser worker was killed from outside; its documents go to a new one")
            if len(wanted) > 1 or (death.killed and not again):
                for pair in wanted:
                    await self._serve(worker, [pair], again=len(wanted) == 1)
                return
            _fail(wanted, death)
            return
        except WorkerUnusable as error:
            _fail(wanted, error)
            return
        for (_, future), reply in zip(wanted, replies, strict=True):
            if not future.done():
                future.set_result(reply)


def _fail(jobs: Sequence[tuple[Request, asyncio.Future[Reply]]], error: Exception) -> None:
    for _, future in jobs:
        if not future.done():
            future.set_exception(error)


class Worker:
    """One process, started with its first job and again after each death."""

    def __init__(self, limits: WorkerLimits) -> None:
        self._limits = limits
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, jobs: Sequence[Request]) -> list[Reply]:
        """Return one reply for each job. Raises WorkerDied and WorkerUnusable."""
        if self._process is not None and _has_ended(self._process):
            await self.end()
        process = self._process or await self._start()
        answered = False
        try:
            async with asyncio.timeout(self._limits.wall_s):
                answer = await _exchange(process, jobs)
            if len(answer.replies) != len(jobs):
                raise protocol.InvalidMessage("not one reply for each job")
            answered = not answer.leaving
        except TimeoutError:
            raise WorkerDied(f"took longer than {self._limits.wall_s:g} s") from None
        except (asyncio.IncompleteReadError, OSError, RuntimeError):  # RuntimeError: uvloop's for a closed pipe
            code = await self._exit_code(process)
            raise WorkerDied(_ending(code), killed=code == -signal.SIGKILL) from None
        except protocol.InvalidMessage:
            raise WorkerDied("crashed the parser") from None
        finally:
            if not answered:
                await self.end()
        return answer.replies

    async def _exit_code(self, process: asyncio.subprocess.Process) -> int:
        """Return the exit code of a process that closed its pipe; one that lives on is killed and counts as broken."""
        try:
            async with asyncio.timeout(GONE_S):
                return await process.wait()
        except TimeoutError:
            await self.end()
            return 1

    async def end(self) -> None:
        """Kill the process, if there is one, and wait for it."""
        process, self._process = self._process, None
        if process and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        limits = self._limits
        numbers = (limits.memory_bytes, limits.cpu_s, limits.max_body_bytes, limits.nice)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "aggregator.parse.workers.worker",
                *map(str, numbers),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(),
                limit=2**20,
                start_new_session=True,  # Ctrl-C at a terminal is for the service, which ends its workers
            )
        except OSError as error:  # no memory, no room for processes, no descriptors
            raise WorkerUnusable(f"The parser worker cannot be started: {error.strerror or error}.") from error
        self._process = process
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                await process.stdout.readuntil(protocol.HELLO)
        except (TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            await self.end()
            raise WorkerUnusable("The parser worker does not start; see its error output.") from error
        return process


def _has_ended(process: asyncio.subprocess.Process) -> bool:
    """Tell whether an idle process is gone; the loop may notice its closed pipes before its end."""
    assert process.stdin is not None
    assert process.stdout is not None
    return process.returncode is not None or process.stdin.is_closing() or process.stdout.at_eof()


async def _exchange(process: asyncio.subprocess.Process, jobs: Sequence[Request]) -> protocol.Answer:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(protocol.frame(list(jobs)))
    await process.stdin.drain()
    (length,) = protocol.HEADER.unpack(await process.stdout.readexactly(protocol.HEADER.size))
    if length > protocol.MAX_FRAME:
        raise protocol.InvalidMessage("a frame beyond every limit")
    return protocol.decode_answer(await process.stdout.readexactly(length))


def _ending(code: int) -> str:
    return _ENDINGS.get(-code, "terminated the parser")


def _environment() -> dict[str, str]:
    """Return the worker's environment: where to find this package, and nothing else: it needs no secrets."""
    home = str(Path(aggregator.__file__).parent.parent)
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {"PYTHONPATH": home}
