"""The first verb: poll. A feed's way reads from top to bottom; nothing is decided here.

fetch → parse → news → match → next poll → commit (and route, inside the commit). Up to the commit
a crash costs nothing; after it nothing can be lost.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from time import perf_counter

from aggregator.core.delivery.notices import health_channels, tell
from aggregator.core.errors import AggregatorError, FetchError, ParseError, StoreError
from aggregator.core.model import (
    Delivery,
    Entry,
    FeedState,
    Fetched,
    Hit,
    Kind,
    NotModified,
    ParsedFeed,
    Poll,
    Reason,
    Routed,
    Rung,
    Surroundings,
)
from aggregator.core.polling import outage
from aggregator.core.polling.health import transition
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.identity import identify
from aggregator.core.polling.news import News, news
from aggregator.core.polling.schedule import after_failure, after_success
from aggregator.core.routing import question, route
from aggregator.core.settings import Channel, Feed
from aggregator.pipeline.matching import match
from aggregator.pipeline.setup import CurrentSetup, Setup
from aggregator.ports import Clock, Feeds, Fetcher, Parser, Recall

log = logging.getLogger(__name__)

LEASE_S = 300.0
CLAIM_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What one poll brought. `match_s` and `elapsed_s` are seconds; `error` is why it gave nothing."""

    feed: str
    rung: Rung | None = None
    entries: tuple[Entry, ...] = ()
    hits: int = 0
    error: AggregatorError | None = None
    elapsed_s: float = 0.0
    match_s: float = 0.0

    @property
    def new(self) -> int:
        return sum(entry.reason is not Reason.CHANGED for entry in self.entries)

    @property
    def updated(self) -> int:
        return sum(entry.reason is Reason.CHANGED for entry in self.entries)


class Poller:
    """Polls what is due, a bounded number of feeds at a time."""

    def __init__(
        self,
        *,
        feeds: Feeds,
        fetcher: Fetcher,
        parser: Parser,
        setup: CurrentSetup,
        clock: Clock,
        owner: str,
        recipients: Callable[[Channel], Sequence[str]],
        observe: Callable[[Polled], None] = lambda _: None,
    ) -> None:
        self._feeds = feeds
        self._fetcher = fetcher
        self._parser = parser
        self._setup = setup
        self._clock = clock
        self._owner = owner
        self._recipients = recipients
        self._observe = observe
        self._under_way: dict[asyncio.Task[Polled], str] = {}
        self._draining = False
        self._outcomes: deque[outage.Outcome] = deque(maxlen=2000)

    # --- who is polled ---------------------------------------------------------------------------

    async def tick(self) -> int:
        """Start polls of what is due, as far as there is room; gives how many were started."""
        if self._draining:
            return 0
        free = self._setup().config.settings.polling.concurrency - len(self._under_way)
        return len(await self._start(free)) if free > 0 else 0

    async def once(
        self, ids: Sequence[str] | None = None, *, force: bool = False, done: Callable[[Polled], None] = lambda _: None
    ) -> tuple[Polled, ...]:
        """One pass over what is due (`ids`: of these; `force`: due or not), to its end."""
        wanted = list(self._setup().feeds) if ids is None else ids
        queue, turn, results = self._claimed(wanted, force), asyncio.Lock(), list[Polled]()

        async def work() -> None:
            while True:
                async with turn:
                    state = await anext(queue, None)
                if state is None:
                    return
                results.append(polled := await self.poll(state))
                done(polled)

        room = self._setup().config.settings.polling.concurrency
        await asyncio.gather(*(work() for _ in range(min(room, len(wanted)))))
        return tuple(results)

    async def _claimed(self, ids: Sequence[str], force: bool) -> AsyncIterator[FeedState]:
        """Those of `ids` that may be polled, claimed a chunk at a time and each once."""
        for start in range(0, len(ids), CLAIM_AT_ONCE):
            chunk = ids[start : start + CLAIM_AT_ONCE]
            for state in await self._claim(len(chunk), ids=chunk, force=force):
                yield state

    async def drain(self, grace_s: float) -> None:
        """Start nothing more; what is under way gets `grace_s` seconds, then its leases are freed."""
        self._draining = True
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=grace_s)
        left = [self._under_way[task] for task in late]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if left:
            await self._feeds.release(left, owner=self._owner)

    async def _claim(
        self, limit: int, *, ids: Sequence[str] | None = None, force: bool = False
    ) -> tuple[FeedState, ...]:
        return await self._feeds.claim_due(
            self._clock.now(), owner=self._owner, lease_s=LEASE_S, limit=limit, ids=ids, force=force
        )

    async def _start(self, limit: int) -> tuple[FeedState, ...]:
        states = await self._claim(limit)
        for state in states:
            task = asyncio.create_task(self.poll(state), name=f"poll {state.id}")
            self._under_way[task] = state.id
            task.add_done_callback(self._under_way.pop)
        return states

    # --- one feed --------------------------------------------------------------------------------

    async def poll(self, state: FeedState) -> Polled:
        """Poll one leased feed; what goes wrong with it is data, and never leaves."""
        began = perf_counter()
        setup = self._setup()
        try:
            polled = await self._poll(setup, setup.feeds[state.id], state)
        except (StoreError, KeyError) as error:
            polled = await self._abandon(state, error)
        except Exception as error:  # a bug stops one feed, not the house
            log.exception("polling failed", extra={"feed": state.id})
            polled = await self._abandon(state, error)
        polled = replace(polled, elapsed_s=perf_counter() - began)
        self._observe(polled)
        return polled

    async def _poll(self, setup: Setup, feed: Feed, state: FeedState) -> Polled:
        try:
            response = await self._fetcher.fetch(feed, state)
            self._outcomes.append(outage.outcome(host_key(state.url), None, self._clock.now()))
            if isinstance(response, NotModified):
                return await self._unchanged(setup, feed, state, response, None)
            parsed = await self._parser.parse(response, state, self._recall(state))
        except (FetchError, ParseError) as error:
            return await self._failed(setup, feed, state, error)
        if not parsed.entries:
            return await self._unchanged(setup, feed, state, response, parsed)
        return await self.take(setup, feed, state, response, parsed)

    def _recall(self, state: FeedState) -> Recall | None:
        return partial(self._feeds.memory, state.id) if state.first_polled_at else None

    async def take(self, setup: Setup, feed: Feed, state: FeedState, response: Fetched, parsed: ParsedFeed) -> Polled:
        """Store and match a document's entries, decide who is told, and commit it all at once."""
        now = self._clock.now()
        settings = setup.config.settings
        identified = identify(parsed.entries, state.distrust_guid)
        keys = [key for key, _ in identified]
        known, known_aliases = await self._feeds.known(
            state.id, keys, [alias for _, aliases in identified for alias in aliases]
        )
        found: News = news(
            parsed,
            identified,
            known,
            known_aliases,
            state=state,
            first_poll=feed.first_poll if feed.first_poll is not None else settings.polling.first_poll,
            flood_limit=settings.polling.flood_limit,
            now=now,
            partial=response.delta,
        )
        began = perf_counter()
        hits = match(setup, feed, found.entries, now)
        match_s = perf_counter() - began
        fresh = [entry for entry in found.entries if entry.reason is not Reason.CHANGED]
        after, hosts = after_success(
            replace(state, distrust_guid=found.distrust_guid),
            feed,
            settings.polling,
            response=response,
            parsed=parsed,
            new_entries=len(fresh),
            published=[entry.published_at for entry in fresh if entry.published_at],
            silent_after=settings.health.silent_after,
            now=now,
        )
        poll = Poll(
            state=after,
            entries=found.entries,
            hits=hits,
            hosts=hosts,
            notices=self._health_news(setup, state, after, now),
            memory=parsed.memory,
            quarantined=parsed.quarantined,
        )
        matched = {hit.entry_key for hit in hits}
        entries = {entry.key: entry for entry in found.entries if entry.key in matched}
        asked = question(hits, entries, setup.rule_configs, settings, now)
        answer = partial(self._route, setup, hits, entries, now) if asked else None
        stored = await self._feeds.commit(poll, owner=self._owner, question=asked, route=answer)
        return Polled(feed=state.id, rung=parsed.rung, entries=stored, hits=len(hits), match_s=match_s)

    def _route(
        self, setup: Setup, hits: Sequence[Hit], entries: Mapping[str, Entry], now: datetime, around: Surroundings
    ) -> Routed:
        channels, settings = setup.config.channels, setup.config.settings
        return route(hits, entries, setup.rule_configs, channels, settings, around, now, recipients=self._recipients)

    async def _unchanged(
        self, setup: Setup, feed: Feed, state: FeedState, response: Fetched | NotModified, parsed: ParsedFeed | None
    ) -> Polled:
        settings, now = setup.config.settings, self._clock.now()
        after, hosts = after_success(
            state,
            feed,
            settings.polling,
            response=response,
            parsed=parsed,
            silent_after=settings.health.silent_after,
            now=now,
        )
        poll = Poll(
            state=after,
            hosts=hosts,
            notices=self._health_news(setup, state, after, now),
            memory=parsed.memory if parsed else None,
        )
        await self._feeds.commit(poll, owner=self._owner)
        return Polled(feed=state.id, rung=parsed.rung if parsed else Rung.NOT_MODIFIED)

    async def _failed(self, setup: Setup, feed: Feed, state: FeedState, error: FetchError | ParseError) -> Polled:
        settings, now = setup.config.settings, self._clock.now()
        self._outcomes.append(outage.outcome(host_key(state.url), error, now))
        if not self._outcomes[-1].connected and outage.network_is_down(tuple(self._outcomes), now):
            poll = Poll(state=outage.postponed(state, now))
        else:
            after, hosts = after_failure(state, feed, settings.polling, error, now=now)
            poll = Poll(state=after, hosts=hosts, notices=self._health_news(setup, state, after, now))
        log.info("poll gave nothing: %s", error, extra={"feed": state.id})
        await self._feeds.commit(poll, owner=self._owner)
        return Polled(feed=state.id, error=error)

    async def _abandon(self, state: FeedState, error: Exception) -> Polled:
        """Nothing could be written: free the lease, so that the feed comes up again soon."""
        if isinstance(error, StoreError):
            log.error("poll could not be stored: %s", error, extra={"feed": state.id})
        try:
            await self._feeds.release([state.id], owner=self._owner)
        except StoreError as second:
            log.warning("the lease could not be freed, it runs out by itself: %s", second, extra={"feed": state.id})
        known = error if isinstance(error, AggregatorError) else AggregatorError(f"{type(error).__name__}: {error}")
        return Polled(feed=state.id, error=known)

    def _health_news(self, setup: Setup, before: FeedState, after: FeedState, now: datetime) -> tuple[Delivery, ...]:
        settings = setup.config.settings
        notice = transition(before, after, settings.health, now)
        if notice is None:
            return ()
        subject = ("feed", after.id, after.health.value, now.isoformat())
        return tell(
            notice,
            subject,
            health_channels(settings),
            setup.config.channels,
            now,
            kind=Kind.HEALTH,
            recipients=self._recipients,
        )
