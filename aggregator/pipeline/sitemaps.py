"""Sitemaps of an index: read one after the other through the same fetcher as the index, bounded in number and depth."""

import asyncio
import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aggregator.core.errors import AggregatorError, FetchError, ParseError
from aggregator.core.model import FeedState, Fetched, ParsedFeed, SitemapPart
from aggregator.core.polling.sitemaps import MAX_DEPTH, PER_POLL, choose, joined, memory_of, remembered
from aggregator.ports import Fetcher, Parser, Recall

if TYPE_CHECKING:
    from aggregator.core.settings import Feed

log = logging.getLogger(__name__)

MAX_DURATION_S = 120.0  # well within the lease of the poll


class SitemapReader:
    """A reader of the sitemaps that an index names."""

    def __init__(self, fetcher: Fetcher, parser: Parser) -> None:
        self._fetcher = fetcher
        self._parser = parser

    async def read(
        self, feed: "Feed", state: FeedState, document: Fetched, index: ParsedFeed, recall: Recall | None
    ) -> tuple[Fetched, ParsedFeed]:
        """Return the index with the entries of its sitemaps; what is no index is returned as it is.

        One that cannot be read now is read at a later poll: until all were read, the index keeps no validators.
        Raises FetchError or ParseError if none could be read.
        """
        if not index.parts:
            return document, index
        before = remembered(await recall() if recall else None)
        chosen = choose(index.parts, before)
        complete = chosen.complete
        waiting = [(part, 1) for part in chosen.parts]
        asked = {document.url, state.url}
        read: list[ParsedFeed] = []
        done: list[SitemapPart] = []
        problem: AggregatorError | None = None
        try:
            async with asyncio.timeout(MAX_DURATION_S):
                while waiting and len(done) < PER_POLL:
                    part, depth = waiting.pop(0)
                    if part.url in asked:
                        continue
                    asked.add(part.url)
                    try:
                        found = await self._one(feed, state, part)
                    except (FetchError, ParseError) as error:
                        log.info("a sitemap could not be read: %s", error, extra={"feed": state.id, "link": part.url})
                        problem = error
                        complete = complete and not error.transient
                        continue
                    done.append(part)
                    read.append(found)
                    if found.parts and depth < MAX_DEPTH:
                        below = choose(found.parts, before)
                        complete = complete and below.complete
                        waiting = [*((one, depth + 1) for one in below.parts), *waiting]
        except TimeoutError:
            complete = False
        complete = complete and not waiting
        if problem is not None and not read:
            raise problem
        if not complete:
            document = replace(document, validators=None)
        memory = memory_of(before, index.parts, done)
        return document, joined(index, read, memory, complete=complete)

    async def _one(self, feed: "Feed", state: FeedState, part: SitemapPart) -> ParsedFeed:
        """Read one sitemap, as a document that nobody remembers."""
        blank = FeedState(id=state.id, url=part.url, configured_url=state.configured_url)
        page = await self._fetcher.fetch(feed, blank)
        if not isinstance(page, Fetched):
            raise FetchError("the sitemap was not sent", url=part.url)
        try:
            return await self._parser.parse(page, blank, reading=feed.reading)
        finally:
            if page.held is not None:
                page.held.release()
