"""A small pool of parse workers: started when needed, killed when stuck, ended when idle.

Jobs wait in one queue. Each lane owns at most one process and sends it several waiting jobs at once. When a
process dies, its jobs are tried again one by one, so that only the guilty document is refused.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aggregator
from aggregator.parse import wire

BATCH = 8
BATCH_BYTES = 512 * 1024
START_S = 30.0

Reply = tuple[Any, ...]  # a wire.Answer or wire.Article, or a wire.Refusal
Asked = wire.Job | wire.Page

_ENDINGS: dict[int, str] = {
    signal.SIGXCPU: "took too much processor time",
    signal.SIGKILL: "was too much for this machine",
    signal.SIGSEGV: "broke the parser",
    signal.SIGABRT: "broke the parser",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may cost, how long a worker waits for work, and how far it stands back for other programs."""

    max_body_bytes: int
    memory_bytes: int
    cpu_s: int
    wall_s: float
    idle_s: float
    nice: int = 0


class WorkerDied(Exception):
    """The process ended before it answered; the text says why, as the end of a sentence."""

    @property
    def refusal(self) -> wire.Refusal:
        """What becomes of the document."""
        return f"The document {self}; it was not read.", "hostile", False


class WorkerUnusable(Exception):
    """The process does not even start: nothing that a document did."""


class Pool:
    """Up to `workers` processes that answer jobs."""

    def __init__(self, workers: int, limits: Limits) -> None:
        self._workers = workers
        self._limits = limits
        self._queue: asyncio.Queue[tuple[Asked, asyncio.Future[Reply]]] = asyncio.Queue()
        self._lanes: set[asyncio.Task[None]] = set()
        self._waiting = 0  # lanes that rest with or without a process

    async def ask(self, job: Asked) -> Reply:
        """The answer to one job. Raises WorkerDied where this very document is to blame, WorkerUnusable."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((job, future))
        if self._queue.qsize() > self._waiting and len(self._lanes) < self._workers:
            lane = asyncio.create_task(self._lane(), name="parse lane")
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return await future

    async def close(self) -> None:
        """End every process; jobs that wait are cancelled."""
        lanes = tuple(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()[1].cancel()

    async def _lane(self) -> None:
        """Serve the queue with one process until there has been no work for a while."""
        worker = Worker(self._limits)
        try:
            while batch := await self._batch():
                try:
                    await self._serve(worker, batch)
                finally:
                    for _, future in batch:
                        future.cancel()  # no effect on those that were answered
        finally:
            self._lanes.discard(asyncio.current_task())
            await worker.end()

    async def _batch(self) -> list[tuple[Asked, asyncio.Future[Reply]]]:
        """This lane's share of what is waiting, or nothing after a rest."""
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
        size = len(batch[0][0][0])
        while len(batch) < share and size < BATCH_BYTES and not self._queue.empty():
            batch.append(self._queue.get_nowait())
            size += len(batch[-1][0][0])
        return batch

    async def _serve(self, worker: "Worker", batch: Sequence[tuple[Asked, asyncio.Future[Reply]]]) -> None:
        wanted = [pair for pair in batch if not pair[1].done()]
        if not wanted:
            return
        try:
            replies = await worker.ask([job for job, _ in wanted])
        except WorkerDied as death:
            if len(wanted) > 1:
                for pair in wanted:
                    await self._serve(worker, [pair])
                return
            _fail(wanted, death)
            return
        except WorkerUnusable as error:
            _fail(wanted, error)
            return
        for (_, future), reply in zip(wanted, replies, strict=True):
            if not future.done():
                future.set_result(reply)


def _fail(jobs: Sequence[tuple[Asked, asyncio.Future[Reply]]], error: Exception) -> None:
    for _, future in jobs:
        if not future.done():
            future.set_exception(error)


class Worker:
    """One process, started with its first job and again after each death."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, jobs: Sequence[Asked]) -> list[Reply]:
        """One reply for each job. Raises WorkerDied and WorkerUnusable."""
        process = self._process or await self._start()
        answered = False
        try:
            async with asyncio.timeout(self._limits.wall_s):
                leaving, replies = await _exchange(process, jobs)
            answered = len(replies) == len(jobs) and not leaving
        except TimeoutError:
            raise WorkerDied(f"took longer than {self._limits.wall_s:g} s") from None
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
            raise WorkerDied(_ending(await process.wait())) from None
        except (ValueError, EOFError, TypeError):
            raise WorkerDied("broke the parser") from None
        finally:
            if not answered:
                await self.end()
        return list(replies)

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
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "aggregator.parse.worker",
            *map(str, numbers),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
            limit=2**20,
        )
        self._process = process
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                await process.stdout.readuntil(wire.HELLO)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            await self.end()
            raise WorkerUnusable("The parse worker does not start; its error output says why.") from error
        return process


async def _exchange(process: asyncio.subprocess.Process, jobs: Sequence[Asked]) -> tuple[bool, list[Reply]]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(wire.frame(list(jobs)))
    await process.stdin.drain()
    (length,) = wire.HEADER.unpack(await process.stdout.readexactly(wire.HEADER.size))
    if length > wire.MAX_FRAME:
        raise ValueError("a frame beyond every limit")
    leaving, replies = wire.unframe(await process.stdout.readexactly(length))
    return leaving, replies


def _ending(code: int) -> str:
    return _ENDINGS.get(-code, "ended the parser")


def _environment() -> dict[str, str]:
    """Where to find this package, and nothing else: a worker needs no secrets."""
    home = str(Path(aggregator.__file__).parent.parent)
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {"PYTHONPATH": home}
