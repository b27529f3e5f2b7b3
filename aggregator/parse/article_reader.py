"""The port ArticleReader: pages to articles, in separate workers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aggregator.core.errors import ParseError
from aggregator.core.model import Fetched
from aggregator.core.text.sanitize import clean_lines, clean_text
from aggregator.parse.workers.pool import Pool, WorkerDied, WorkerLimits
from aggregator.parse.workers.protocol import Article, ArticlePage, Refusal, Reply


class PooledArticleReader:
    """A reader that lets a worker extract the article of a page."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def article(self, page: Fetched) -> str:
        """Return the article's text. Raises ParseError."""
        try:
            reply: Reply = await self._pool.ask(ArticlePage(page.body, page.url, page.content_type))
        except WorkerDied as death:
            reply = death.refusal
        if isinstance(reply, Refusal):
            raise ParseError(clean_text(reply.message), found=reply.found, transient=reply.transient)
        if not isinstance(reply, Article):
            raise ParseError("The parser answered with something else.")
        return clean_lines(reply.text)


@asynccontextmanager
async def open_article_reader(workers: int, limits: WorkerLimits) -> AsyncIterator[PooledArticleReader]:
    """Open the reader with its pool, which ends with the context."""
    pool = Pool(workers, limits)
    try:
        yield PooledArticleReader(pool)
    finally:
        await pool.close()
