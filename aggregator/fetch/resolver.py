"""Threads for the system's name resolution, which cannot be interrupted.

They are daemons, unlike those of concurrent.futures: a resolver that hangs must not keep the
process from ending.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Generic, NamedTuple, TypeVar

Resolved = TypeVar("Resolved")


class _Lookup(NamedTuple, Generic[Resolved]):
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Resolved]
    host: str
    port: int


class ResolverPool(Generic[Resolved]):
    """Up to `most` threads that call `look_up`, started as they are needed."""

    def __init__(self, most: int, look_up: Callable[[str, int], Resolved]) -> None:
        self._most = most
        self._look_up = look_up
        self._questions: SimpleQueue[_Lookup[Resolved] | None] = SimpleQueue()
        self._threads = self._open = 0

    async def ask(self, host: str, port: int) -> Resolved:
        """Return the result of `look_up`, or raise its exception."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Resolved] = loop.create_future()
        self._open += 1
        if self._threads < min(self._open, self._most):
            self._threads += 1
            Thread(target=self._work, name=f"dns {self._threads}", daemon=True).start()
        self._questions.put(_Lookup(loop, answer, host, port))
        return await answer

    def close(self) -> None:
        """Let idle threads end; nobody waits for the others."""
        while not self._questions.empty():
            self._questions.get()
        for _ in range(self._threads):
            self._questions.put(None)

    def _work(self) -> None:
        while question := self._questions.get():
            answer = question.answer
            settle: Callable[[], object] = answer.cancel
            if not answer.cancelled():
                try:
                    settle = partial(answer.set_result, self._look_up(question.host, question.port))
                except Exception as error:  # noqa: BLE001 -- raised again where the answer is awaited
                    settle = partial(answer.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed, so nothing waits for the result
                question.loop.call_soon_threadsafe(self._settle, answer, settle)

    def _settle(self, answer: asyncio.Future[Resolved], settle: Callable[[], object]) -> None:
        self._open -= 1
        if not answer.cancelled():
            settle()
