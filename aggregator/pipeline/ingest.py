"""Ingestion of one document, step by step: fetch → parse → news → match → next poll → commit (and route, inside it).

Nothing is decided here, and a crash before the commit costs nothing. What only new entries need is in
ingest_entries.py and loaded with the first of them: a pass that finds nothing does without rules.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec import structs

from aggregator.core.errors import (
    AggregatorError,
    ConfigErrors,
    Conflict,
    DatabaseFault,
    FetchError,
    NotHere,
    ParseError,
    StoreError,
    brief,
)
from aggregator.core.model import (
    FeedState,
    Fetched,
    NotModified,
    ParsedFeed,
    ParseLevel,
    PollResult,
)
from aggregator.core.polling import outage
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.schedule import after_failure, after_success
from aggregator.pipeline.connectivity import OutageDetector
from aggregator.pipeline.context import ActiveConfig, Context
from aggregator.pipeline.polled import PolledFeed, health_news
from aggregator.ports import Feeds, Fetcher, Parser, Recall

if TYPE_CHECKING:
    from aggregator.core.settings import Feed
    from aggregator.pipeline.ingest_entries import EntryIngestor

log = logging.getLogger(__name__)


class Ingestor:
    """Ingests documents of leased feeds: fetched ones, and pushed ones.

    `full_text`: articles can be read here, so those of feeds that want it are queued.
    """

    def __init__(
        self,
        context: Context,
        *,
        feeds: Feeds,
        fetcher: Fetcher,
        parser: Parser,
        observe: Callable[[PolledFeed], None] = lambda _: None,
        full_text: bool = False,
    ) -> None:
        self._full_text = full_text
        self._feeds = feeds
        self._fetcher = fetcher
        self._parser = parser
        self._context = context
        self._observe = observe
        self._network = OutageDetector(context.clock)
        self._store_faults: dict[str, int] = {}  # by feed: polls in a row that the database did not take
        self._entries: EntryIngestor | None = None

    async def poll(self, state: FeedState, read: Callable[[], object] = lambda: None) -> PolledFeed:
        """Poll one leased feed; its failures are data, and never leave. `read` is called once its document is read."""
        return await self._watched(state, partial(self._poll, read=read), counts=True)

    async def receive(self, state: FeedState, document: Fetched) -> PolledFeed:
        """Ingest a pushed document of a leased feed; one that cannot be read changes nothing."""

        async def read(active: ActiveConfig, feed: "Feed", state: FeedState) -> PolledFeed:
            try:
                parsed = await self._parsed(feed, state, document)
                return await self._taken(active, feed, state, document, parsed)
            except ParseError as error:
                return await self._abandon(state, error)

        return await self._watched(state, read, counts=False)

    async def _watched(
        self,
        state: FeedState,
        work: Callable[[ActiveConfig, "Feed", FeedState], Awaitable[PolledFeed]],
        *,
        counts: bool,
    ) -> PolledFeed:
        """Do the work; a bug stops one feed, not the service. `counts`: its errors are failures of the feed."""
        began = perf_counter()
        active = self._context.active
        try:
            feed = active.feed(state)
        except NotHere as error:
            return await self._abandon(state, error)
        if feed is None:  # it left the configuration after it was claimed
            return await self._abandon(state, AggregatorError(f"{state.id} is no longer configured"))
        try:
            polled = await work(active, feed, state)
            self._store_faults.pop(state.id, None)
        except (Conflict, ConfigErrors) as error:  # ConfigErrors: of a part of the configuration that was read just now
            polled = await self._abandon(state, error)
        except DatabaseFault as error:
            log.error("poll could not be stored: %s", error, extra={"feed": state.id})
            polled = await (self._postpone(state, error) if counts else self._abandon(state, error))
        except StoreError as error:
            log.error("poll could not be stored: %s", error, extra={"feed": state.id})
            polled = await (self._counted(active, feed, state, error) if counts else self._abandon(state, error))
        except (Exception, asyncio.CancelledError) as error:
            if _is_being_ended():
                raise
            words = _in_words(error)
            log.error("poll failed unexpectedly: %s", words, exc_info=not state.failures, extra={"feed": state.id})
            known = AggregatorError(f"the poll failed unexpectedly ({words})")
            polled = await (self._counted(active, feed, state, known) if counts else self._abandon(state, known))
        polled = structs.replace(polled, elapsed_s=perf_counter() - began, first=state.first_polled_at is None)
        try:
            self._observe(polled)
        except Exception:  # figures are no reason to lose a poll
            log.exception("a poll could not be counted", extra={"feed": state.id})
        return polled

    async def _counted(
        self, active: ActiveConfig, feed: "Feed", state: FeedState, error: AggregatorError
    ) -> PolledFeed:
        """Record an internal error as a failure of the feed, which backs off; that ends the lease, too."""
        now = self._context.now()
        after, hosts = after_failure(state, feed, active.config.settings.polling, error, ours=True, now=now)
        poll = PollResult(state=after, hosts=hosts, notices=health_news(active, state, after, now))
        try:
            await self._feeds.commit(poll, owner=self._context.owner_of(poll.state))
        except StoreError:  # not even that can be written
            return await self._abandon(state, error)
        return PolledFeed(feed=state.id, error=error)

    async def _postpone(self, state: FeedState, error: DatabaseFault) -> PolledFeed:
        """Postpone a feed by up to a minute while the database takes no poll, for which no feed is to blame."""
        faults = self._store_faults[state.id] = self._store_faults.get(state.id, 0) + 1
        poll = PollResult(state=outage.postpone(state, self._context.now(), outage.store_probe_s(faults)))
        try:
            await self._feeds.commit(poll, owner=self._context.owner_of(poll.state))
        except StoreError:  # not even that can be written
            return await self._abandon(state, error)
        return PolledFeed(feed=state.id, error=error)

    async def _poll(
        self, active: ActiveConfig, feed: "Feed", state: FeedState, *, read: Callable[[], object]
    ) -> PolledFeed:
        host = host_key(state.url)
        try:
            self._network.begin(host)
            try:
                response = await self._fetcher.fetch(feed, state)
            finally:
                self._network.end(host)
            self._network.record_outcome(host, None)
            if isinstance(response, NotModified):
                read()
                return await self._unchanged(active, feed, state, response, None)
            parsed = await self._parsed(feed, state, response)
            if parsed.parts:
                from aggregator.pipeline.sitemaps import SitemapReader  # few sources are indexes

                sitemaps = SitemapReader(self._fetcher, self._parser)
                response, parsed = await sitemaps.read(feed, state, response, parsed, self._recall(state))
            # What was read need not be kept until all is stored.
            response = structs.replace(response, body=b"", held=None)
            read()
            return await self._taken(active, feed, state, response, parsed)
        except (FetchError, ParseError) as error:
            return await self._failed(active, feed, state, error)

    async def _parsed(self, feed: "Feed", state: FeedState, response: Fetched) -> ParsedFeed:
        """Parse a document; its bytes count as held until here. Raises ParseError."""
        begin = partial(self._feeds.begin, state.id, self._context.now(), owner=self._context.owner_of(state))
        try:
            parsed = await self._parser.parse(response, state, self._recall(state), begin, feed.reading)
            if feed.kind != "watch":
                return parsed
            from aggregator.core.polling.new_entries import dated_changes

            return dated_changes(parsed, response.url, self._context.now())
        finally:
            if response.held is not None:
                response.held.release()

    async def _taken(
        self, active: ActiveConfig, feed: "Feed", state: FeedState, response: Fetched, parsed: ParsedFeed
    ) -> PolledFeed:
        if not parsed.entries:
            return await self._unchanged(active, feed, state, response, parsed)
        if self._entries is None:
            from aggregator.pipeline.ingest_entries import EntryIngestor

            self._entries = EntryIngestor(
                self._context, feeds=self._feeds, fetcher=self._fetcher, parser=self._parser, full_text=self._full_text
            )
        return await self._entries.take(active, feed, state, response, parsed)

    def _recall(self, state: FeedState) -> Recall | None:
        return partial(self._feeds.memory, state.id) if state.first_polled_at else None

    async def _unchanged(
        self,
        active: ActiveConfig,
        feed: "Feed",
        state: FeedState,
        response: Fetched | NotModified,
        parsed: ParsedFeed | None,
    ) -> PolledFeed:
        settings, now = active.config.settings, self._context.now()
        after, hosts = after_success(
            state,
            feed,
            settings.polling,
            response=response,
            parsed=parsed,
            silent_after=settings.health.silent_after,
            pushed=state.hub_until is not None and state.hub_until > now,
            now=now,
        )
        poll = PollResult(
            state=after,
            before=state,
            hosts=hosts,
            notices=health_news(active, state, after, now),
            memory=parsed.memory if parsed else None,
            quarantined=parsed.quarantined if parsed else (),
        )
        await self._feeds.commit(poll, owner=self._context.owner_of(poll.state))
        return PolledFeed(feed=state.id, parse_level=parsed.parse_level if parsed else ParseLevel.NOT_MODIFIED)

    async def _failed(
        self, active: ActiveConfig, feed: "Feed", state: FeedState, error: FetchError | ParseError
    ) -> PolledFeed:
        settings, now = active.config.settings, self._context.now()
        if self._network.record_outcome(host_key(state.url), error):
            poll = PollResult(state=outage.postpone(state, now))
        else:
            log.info("poll failed: %s", error, extra={"feed": state.id})
            after, hosts = after_failure(state, feed, settings.polling, error, now=now)
            poll = PollResult(state=after, hosts=hosts, notices=health_news(active, state, after, now))
        await self._feeds.commit(poll, owner=self._context.owner_of(poll.state))
        return PolledFeed(feed=state.id, error=error.with_traceback(None))  # whose frames hold the document

    async def _abandon(self, state: FeedState, error: AggregatorError) -> PolledFeed:
        """Free the lease without writing anything, so that the feed comes up again soon."""
        if isinstance(error, Conflict):
            log.error("poll could not be stored: %s", error, extra={"feed": state.id})
        try:
            await self._feeds.release([state.id], owner=self._context.owner_of(state))
        except StoreError as second:
            log.warning("the lease could not be freed yet: %s", second, extra={"feed": state.id})
        return PolledFeed(feed=state.id, error=error)


def _is_being_ended() -> bool:
    """Tell whether this task was cancelled, as opposed to something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _in_words(error: BaseException) -> str:
    """Describe an unknown error in one line that every database stores."""
    text = f"{type(error).__name__}: {error}".replace("\0", "").encode("utf-8", "backslashreplace").decode()
    return brief(text, 300)
