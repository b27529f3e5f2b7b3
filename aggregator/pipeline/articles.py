"""Full text: the articles behind new entries are read after the alerts on their summaries went out.

claim requests → page → article → the entry's next version → match → commit (and route, inside it).
A request is a row: it outlives a restart, and is dropped after three attempts.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from aggregator.core.errors import AggregatorError, FetchError, ParseError, StoreError
from aggregator.core.model import ArticleRequest, Entry, UnroutedPoll
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.schedule import host_limits
from aggregator.core.routing import describe
from aggregator.pipeline.context import ActiveConfig, Context
from aggregator.pipeline.matching import match
from aggregator.pipeline.routing import decide
from aggregator.ports import ArticleQueue, ArticleReader, Pages

if TYPE_CHECKING:
    from aggregator.core.settings import Feed

log = logging.getLogger(__name__)

CONCURRENCY = 8
LEASE_S = 300.0
MAX_ATTEMPTS = 3
PAUSE = timedelta(minutes=10)  # times the number of attempts so far

ArticleOutcome = Literal["read", "nothing new", "later", "given up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleResult:
    """The outcome of one request."""

    feed: str
    outcome: ArticleOutcome
    hits: int = 0


class ArticleFetcher:
    """Reads articles, a bounded number at a time; nothing that goes wrong here touches a poll."""

    def __init__(
        self,
        context: Context,
        *,
        texts: ArticleQueue,
        pages: Pages,
        reader: ArticleReader,
        observe: Callable[[ArticleResult], None] = lambda _: None,
    ) -> None:
        self._context = context
        self._texts = texts
        self._pages = pages
        self._reader = reader
        self._observe = observe
        self._under_way: set[asyncio.Task[None]] = set()

    async def tick(self) -> int:
        """Begin with the requests that are due, as far as there is room; return how many there were."""
        free = CONCURRENCY - len(self._under_way)
        requests = await self._texts.due(self._context.now(), lease_s=LEASE_S, limit=free) if free > 0 else ()
        for request in requests:
            task = asyncio.create_task(self._work(request), name=f"article of {request.entry.feed}")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(requests)

    async def once(self) -> int:
        """Process everything that is due, to its end; return how many requests there were."""
        total = 0
        while begun := await self.tick():
            total += begun
            await asyncio.gather(*self._under_way)
        return total

    async def drain(self, grace_s: float) -> None:
        """Give work under way `grace_s` seconds; the other requests stay."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _work(self, request: ArticleRequest) -> None:
        try:
            self._observe(await self._fulfil(request))
        except Exception as error:  # a bug stops one article, which counts as an attempt
            log.exception("reading an article failed", extra={"feed": request.entry.feed})
            try:
                self._observe(await self._failed(request, ParseError(f"{type(error).__name__}: {error}")))
            except Exception:  # its lease runs out
                log.exception("an article could not be rescheduled", extra={"feed": request.entry.feed})

    async def _fulfil(self, request: ArticleRequest) -> ArticleResult:
        active, entry = self._context.active, request.entry
        feed = active.feeds.get(entry.feed)
        try:
            if feed is None or not feed.full_text or not entry.link:
                return await self._give_up(entry)
            page = await self._pages.page(feed, entry.link)
            try:
                text = await self._reader.article(page)
            finally:
                if page.held is not None:
                    page.held.release()
            return await self._take(active, feed, entry, text)
        except (FetchError, ParseError) as error:
            return await self._failed(request, error)
        except StoreError as error:  # the request stays, and is due again when its lease runs out
            log.warning("article text could not be stored: %s", error, extra={"feed": entry.feed})
            return ArticleResult(feed=entry.feed, outcome="later")

    async def _take(self, active: ActiveConfig, feed: "Feed", entry: Entry, text: str) -> ArticleResult:
        """Write the entry with its article, and the new matches of its rules."""
        if len(text) <= max(len(entry.content), len(entry.summary)):
            await self._texts.drop([_number(entry)])
            return ArticleResult(feed=entry.feed, outcome="nothing new")
        now = self._context.now()
        updated = replace(entry, content=text, version=entry.version + 1)
        # Hits keep the ids that they had before the text arrived, so that known hits do not alert again.
        found = match(active, feed, [replace(updated, version=entry.version)], now)
        hits = tuple(replace(hit, entry_version=updated.version) for hit in found)
        stories = active.router.settings.stories
        vocabulary = await self._context.vocabulary.of([entry.feed] if hits else [], stories)
        known, number = describe([updated], hits, now, vocabulary), active.number
        asked = UnroutedPoll(feed=feed.id, at=now, config=number, hits=hits, entries=(updated,), reports=known)
        question, route = decide(active.router, vocabulary.frequencies, asked)
        stored = await self._texts.fill(updated, now, question=question, route=route, later=asked)
        return ArticleResult(feed=entry.feed, outcome="read", hits=stored)

    async def _failed(self, request: ArticleRequest, error: FetchError | ParseError) -> ArticleResult:
        """Try again later if that may help; a host that asks for rest gets it."""
        entry, now = request.entry, self._context.now()
        log.info("article extraction failed: %s", error, extra={"feed": entry.feed, "link": entry.link})
        if request.attempts >= MAX_ATTEMPTS or not error.transient:
            return await self._give_up(entry)
        asked_s = error.retry_after_s if isinstance(error, FetchError) else None
        limits = host_limits(host_key(entry.link or ""), asked_s, now, "Retry-After")
        again_at = max([now + PAUSE * request.attempts, *(limit.not_before for limit in limits)])
        await self._texts.put_off(_number(entry), again_at, limits)
        return ArticleResult(feed=entry.feed, outcome="later")

    async def _give_up(self, entry: Entry) -> ArticleResult:
        await self._texts.drop([_number(entry)])
        return ArticleResult(feed=entry.feed, outcome="given up")


def _number(entry: Entry) -> int:
    if entry.id is None:
        raise AggregatorError("a wish is always about a stored entry")
    return entry.id
