"""Parsing of bytes to entries: `open_parser` opens the port Parser over killable worker processes."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a worker process imports this package too, and needs none of these
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from aggregator.core.model import Fetched
    from aggregator.parse.workers.pool import WorkerLimits
    from aggregator.ports import ArticleReader, Parser

__all__ = ["can_read_articles", "open_parser", "open_reader"]


def can_read_articles() -> bool:
    """Tell whether the extra `fulltext` is installed; nothing is imported."""
    return find_spec("trafilatura") is not None


def open_parser(
    workers: int = 2,
    *,
    max_body_bytes: int = 10 * 2**20,
    memory_bytes: int = 288 * 2**20,
    cpu_s: int = 10,
    wall_s: float = 30.0,
    idle_s: float = 20.0,
) -> AbstractAsyncContextManager[Parser]:
    """Open a parser with up to `workers` processes, and one more for slow documents (see queues.py).

    Workers start when they are first needed and end after `idle_s` of rest. A document may take `cpu_s` of
    processor time, `wall_s` in all and `memory_bytes` of address space; `max_body_bytes` bounds what a
    gzipped document may unpack to.
    """
    from aggregator.parse.parser import parser

    def limits() -> WorkerLimits:
        from aggregator.parse.workers.pool import WorkerLimits

        return WorkerLimits(
            max_body_bytes=max_body_bytes, memory_bytes=memory_bytes, cpu_s=cpu_s, wall_s=wall_s, idle_s=idle_s
        )

    return parser(workers, limits)


class _Reader:
    """A reader of articles that is loaded with the first page."""

    def __init__(
        self, open_: Callable[[], AbstractAsyncContextManager[ArticleReader]], closing: AsyncExitStack
    ) -> None:
        self._open, self._closing = open_, closing
        self._opened: ArticleReader | None = None

    async def article(self, page: Fetched) -> str:
        if self._opened is None:
            self._opened = await self._closing.enter_async_context(self._open())
        return await self._opened.article(page)


@asynccontextmanager
async def open_reader(
    workers: int = 1, *, max_body_bytes: int = 10 * 2**20, cpu_s: int = 20, wall_s: float = 30.0, idle_s: float = 60.0
) -> AsyncIterator[ArticleReader]:
    """Open a reader of articles with processes of its own, so that no feed waits for a page."""

    def opened() -> AbstractAsyncContextManager[ArticleReader]:
        from aggregator.parse.article_reader import open_article_reader
        from aggregator.parse.workers.pool import WorkerLimits

        limits = WorkerLimits(
            max_body_bytes=max_body_bytes, memory_bytes=1024 * 2**20, cpu_s=cpu_s, wall_s=wall_s, idle_s=idle_s
        )
        return open_article_reader(workers, limits)

    async with AsyncExitStack() as closing:
        yield _Reader(opened, closing)
