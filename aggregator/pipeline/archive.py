"""The gap guard: if a feed moved on by more than its window, its archive is read."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import structs

from aggregator.core.errors import AggregatorError, FetchError
from aggregator.core.model import Entry, FeedState, Fetched, HostLimit, ParsedFeed
from aggregator.core.polling.archive import PAGES, may_follow, unseen_entries
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.new_entries import find_new_entries, names
from aggregator.core.polling.schedule import host_limits
from aggregator.ports import Feeds, Fetcher, Parser

if TYPE_CHECKING:
    from aggregator.core.settings import Feed

log = logging.getLogger(__name__)

MAX_DURATION_S = 120.0  # well within the lease of the poll


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveResult:
    """The result of an archive; `closed`: it led back to what is known, or to its own end."""

    entries: tuple[Entry, ...] = ()
    quarantined: tuple[tuple[bytes, str], ...] = ()
    hosts: tuple[HostLimit, ...] = ()
    closed: bool = False


class ArchiveReader:
    """A reader of archive documents, polite and bounded."""

    def __init__(self, feeds: Feeds, fetcher: Fetcher, parser: Parser) -> None:
        self._feeds = feeds
        self._fetcher = fetcher
        self._parser = parser

    async def read(
        self, feed: "Feed", state: FeedState, document: Fetched, parsed: ParsedFeed, now: datetime
    ) -> ArchiveResult:
        """Return the unseen entries of up to ten archive pages. Whatever fails only ends the walk."""
        result, seen = ArchiveResult(), {document.url}
        where, following = document.url, parsed.prev_archive
        try:
            async with asyncio.timeout(MAX_DURATION_S):
                while following and may_follow(where, following) and following not in seen and len(seen) <= PAGES:
                    seen.add(following)
                    page, read = await self._read_page(feed, state, following)
                    entries, known = await self._unseen(state, read, now)
                    result = replace(
                        result,
                        entries=(*result.entries, *entries),
                        quarantined=(*result.quarantined, *read.quarantined),
                        closed=known or read.prev_archive is None,
                    )
                    where, following = page.url, None if known else read.prev_archive
        except (AggregatorError, TimeoutError) as error:
            log.info("the archive could not be read completely: %s", error, extra={"feed": state.id})
            asked_s = error.retry_after_s if isinstance(error, FetchError) else None
            limits = host_limits(host_key(following or where), asked_s, now, "Retry-After")
            return replace(result, hosts=limits, closed=False)
        return result

    async def _read_page(self, feed: "Feed", state: FeedState, url: str) -> tuple[Fetched, ParsedFeed]:
        """Read one page, as a document that nobody remembers."""
        blank = FeedState(id=state.id, url=url, configured_url=state.configured_url)
        page = await self._fetcher.fetch(feed, blank)
        if not isinstance(page, Fetched) or not may_follow(url, page.url):
            raise FetchError("the archive links to another site", url=url)
        try:
            return structs.replace(page, body=b"", held=None), await self._parser.parse(page, blank)
        finally:
            if page.held is not None:
                page.held.release()

    async def _unseen(self, state: FeedState, read: ParsedFeed, now: datetime) -> tuple[Sequence[Entry], bool]:
        """Return the page's unseen entries, and whether some of it is known."""
        named = names(read.entries, state)
        known, aliases = await self._feeds.known(state.id, named.keys, named.aliases)
        found = find_new_entries(
            read, named, known, aliases, state=state, first_poll="silent", flood_limit=len(named.identified), now=now,
            partial=True,
        )  # fmt: skip
        return unseen_entries(found.entries, state), bool(known)
