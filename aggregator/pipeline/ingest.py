"""Ingestion of one document, step by step: fetch → parse → news → match → next poll → commit (and route, inside it).

Nothing is decided here, and a crash before the commit costs nothing."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Literal

from aggregator.core.delivery.notices import health_channels, notice_deliveries
from aggregator.core.errors import (
    AggregatorError,
    Conflict,
    DatabaseFault,
    FetchError,
    NotHere,
    ParseError,
    StoreError,
    brief,
)
from aggregator.core.model import (
    AlertKind,
    Delivery,
    Entry,
    FeedState,
    Fetched,
    Hit,
    NotModified,
    ParsedFeed,
    ParseLevel,
    PollResult,
    Reason,
    Report,
    UnroutedPoll,
)
from aggregator.core.polling import outage, quota
from aggregator.core.polling.archive import with_archive
from aggregator.core.polling.health import gap_notice, transition
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.new_entries import NewEntries, dated_changes, find_new_entries, names, with_articles
from aggregator.core.polling.parts import parts_of
from aggregator.core.polling.schedule import after_failure, after_success
from aggregator.core.routing import describe
from aggregator.core.settings import Feed
from aggregator.pipeline.archive import ArchiveReader, ArchiveResult
from aggregator.pipeline.connectivity import OutageDetector
from aggregator.pipeline.context import ActiveConfig, Context
from aggregator.pipeline.matching import breathing, match_all
from aggregator.pipeline.routing import commit_poll
from aggregator.pipeline.sitemaps import SitemapReader
from aggregator.ports import Feeds, Fetcher, Parser, Recall

log = logging.getLogger(__name__)

MAX_PAUSE_S = 2.0  # after each part: others have half of the writer's time


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledFeed:
    """The result of one poll. `match_s` and `elapsed_s` are seconds; `error` is why it failed.

    `gap`: entries came and went between two polls; "closed" if the feed's archive had them. `first`: nothing of the
    feed was known before. `outcomes`: what became of its hits, in words, and how many.
    """

    feed: str
    parse_level: ParseLevel | None = None
    entries: tuple[Entry, ...] = ()
    hits: int = 0
    first: bool = False
    outcomes: Mapping[str, int] = field(default_factory=dict)
    gap: Literal["open", "closed"] | None = None
    error: AggregatorError | None = None
    elapsed_s: float = 0.0
    match_s: float = 0.0

    @property
    def new(self) -> int:
        return sum(entry.reason is not Reason.CHANGED for entry in self.entries)

    @property
    def updated(self) -> int:
        return sum(entry.reason is Reason.CHANGED for entry in self.entries)


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
        self._archive = ArchiveReader(feeds, fetcher, parser)
        self._sitemaps = SitemapReader(fetcher, parser)
        self._context = context
        self._observe = observe
        self._network = OutageDetector(context.clock)
        self._store_faults: dict[str, int] = {}  # by feed: polls in a row that the database did not take

    async def poll(self, state: FeedState) -> PolledFeed:
        """Poll one leased feed; its failures are data, and never leave."""
        return await self._watched(state, self._poll, counts=True)

    async def receive(self, state: FeedState, document: Fetched) -> PolledFeed:
        """Ingest a pushed document of a leased feed; one that cannot be read changes nothing."""

        async def read(active: ActiveConfig, feed: Feed, state: FeedState) -> PolledFeed:
            try:
                parsed = await self._parsed(feed, state, document)
                return await self._taken(active, feed, state, document, parsed)
            except ParseError as error:
                return await self._abandon(state, error)

        return await self._watched(state, read, counts=False)

    async def _watched(
        self, state: FeedState, work: Callable[[ActiveConfig, Feed, FeedState], Awaitable[PolledFeed]], *, counts: bool
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
        except Conflict as error:
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
        polled = replace(polled, elapsed_s=perf_counter() - began, first=state.first_polled_at is None)
        try:
            self._observe(polled)
        except Exception:  # figures are no reason to lose a poll
            log.exception("a poll could not be counted", extra={"feed": state.id})
        return polled

    async def _counted(self, active: ActiveConfig, feed: Feed, state: FeedState, error: AggregatorError) -> PolledFeed:
        """Record an internal error as a failure of the feed, which backs off; that ends the lease, too."""
        now = self._context.now()
        after, hosts = after_failure(state, feed, active.config.settings.polling, error, ours=True, now=now)
        poll = PollResult(state=after, hosts=hosts, notices=self._health_news(active, state, after, now))
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

    async def _poll(self, active: ActiveConfig, feed: Feed, state: FeedState) -> PolledFeed:
        host = host_key(state.url)
        try:
            self._network.begin(host)
            try:
                response = await self._fetcher.fetch(feed, state)
            finally:
                self._network.end(host)
            self._network.record_outcome(host, None)
            if isinstance(response, NotModified):
                return await self._unchanged(active, feed, state, response, None)
            parsed = await self._parsed(feed, state, response)
            response, parsed = await self._sitemaps.read(feed, state, response, parsed, self._recall(state))
            response = replace(response, body=b"", held=None)  # what was read need not be kept until all is stored
            return await self._taken(active, feed, state, response, parsed)
        except (FetchError, ParseError) as error:
            return await self._failed(active, feed, state, error)

    async def _parsed(self, feed: Feed, state: FeedState, response: Fetched) -> ParsedFeed:
        """Parse a document; its bytes count as held until here. Raises ParseError."""
        begin = partial(self._feeds.begin, state.id, self._context.now(), owner=self._context.owner_of(state))
        try:
            parsed = await self._parser.parse(response, state, self._recall(state), begin, feed.reading)
            return dated_changes(parsed, response.url, self._context.now()) if feed.kind == "watch" else parsed
        finally:
            if response.held is not None:
                response.held.release()

    async def _taken(
        self, active: ActiveConfig, feed: Feed, state: FeedState, response: Fetched, parsed: ParsedFeed
    ) -> PolledFeed:
        if not parsed.entries:
            return await self._unchanged(active, feed, state, response, parsed)
        return await self.take(active, feed, state, response, parsed)

    def _recall(self, state: FeedState) -> Recall | None:
        return partial(self._feeds.memory, state.id) if state.first_polled_at else None

    async def take(
        self,
        active: ActiveConfig,
        feed: Feed,
        state: FeedState,
        response: Fetched,
        parsed: ParsedFeed,
    ) -> PolledFeed:
        """Store and match a document's entries, route their hits, and commit it all at once."""
        now, settings = self._context.now(), active.config.settings
        found = await self._news(active, feed, state, response, parsed, now)
        archive = (
            await self._archive.read(feed, state, response, parsed, now) if found.gap else ArchiveResult(closed=True)
        )
        if archive.entries:
            found = with_archive(found, archive.entries, settings.polling.flood_limit)
        if feed.full_text:
            found = replace(found, entries=await self._with_articles(state, found.entries))
        began = perf_counter()
        hits = await match_all(active, feed, found.entries, now)
        match_s = perf_counter() - began
        on_update = {hit.entry_key for hit in hits if active.rule_configs[hit.rule].on_update}
        matched = {hit.entry_key for hit in hits}
        needed = {e.key for e in found.entries if e.key in matched and quota.is_needed(e, on_update=e.key in on_update)}
        kept, today = quota.limited(found.entries, needed, state, settings.polling, now)
        if len(kept) < len(found.entries):
            keys = {entry.key for entry in kept}
            hits = tuple(hit for hit in hits if hit.entry_key in keys)
            log.info("%d entries exceed the daily budget", len(found.entries) - len(kept), extra={"feed": state.id})
        new_entries = [entry for entry in found.entries if entry.reason not in (Reason.CHANGED, Reason.TOO_OLD)]
        after, hosts = after_success(
            replace(state, distrust_guid=found.distrust_guid, volatile=found.volatile, stored_today=today),
            feed,
            settings.polling,
            response=response,
            parsed=parsed,
            new_entries=len(new_entries),
            published=[entry.dated_at for entry in new_entries if entry.published_at],
            silent_after=settings.health.silent_after,
            pushed=state.hub_until is not None and state.hub_until > now,
            gap=found.gap,
            now=now,
        )
        poll = PollResult(
            state=after,
            entries=kept,
            hits=hits,
            hosts=(*hosts, *archive.hosts),
            notices=self._health_news(active, state, after, now, missed=not archive.closed),
            memory=parsed.memory,
            quarantined=() if today.left_out else (*parsed.quarantined, *archive.quarantined),
            articles_wanted=with_articles(kept) if feed.full_text and self._full_text else (),
        )
        stored, outcomes = await self._commit(active, poll, now)
        return PolledFeed(
            feed=state.id,
            parse_level=parsed.parse_level,
            entries=stored,
            hits=len(hits),
            outcomes=outcomes,
            gap=("closed" if archive.closed else "open") if found.gap else None,
            match_s=match_s,
        )

    async def _news(
        self, active: ActiveConfig, feed: Feed, state: FeedState, response: Fetched, parsed: ParsedFeed, now: datetime
    ) -> NewEntries:
        """Return the entries of a document that the store does not know yet."""
        polling = active.config.settings.polling
        named = names(parsed.entries, state)
        known, known_aliases = await self._feeds.known(state.id, named.keys, named.aliases)
        return find_new_entries(
            parsed,
            named,
            known,
            known_aliases,
            state=state,
            first_poll=feed.first_poll if feed.first_poll is not None else polling.first_poll,
            flood_limit=polling.flood_limit,
            now=now,
            partial=response.delta,
        )

    async def _with_articles(self, state: FeedState, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Keep the article that was read when a teaser is edited: the longer content stays."""
        changed = [entry.key for entry in entries if entry.reason is Reason.CHANGED]
        articles = await self._feeds.contents(state.id, changed) if changed else {}
        return tuple(
            replace(entry, content=max(entry.content, articles.get(entry.key, ""), key=len)) for entry in entries
        )

    async def _commit(
        self, active: ActiveConfig, poll: PollResult, now: datetime
    ) -> tuple[tuple[Entry, ...], Mapping[str, int]]:
        """Write a poll, a large one in parts, and route its hits: return what became of them.

        Each part holds entries with their own hits, so a crash between two of them loses nothing: what is
        not stored yet is as new on the next poll as it was on this one.
        """
        matched: dict[str, list[Hit]] = {}
        for hit in poll.hits:
            matched.setdefault(hit.entry_key, []).append(hit)
        vocabulary = await self._context.vocabulary.of([poll.state.id] if matched else [])
        reports: dict[tuple[str, str], Report] = {}
        async for some in breathing([entry for entry in poll.entries if entry.key in matched]):
            reports |= describe(some, [hit for entry in some for hit in matched[entry.key]], now, vocabulary)
        stored, outcomes = list[Entry](), Counter[str]()
        for number, part in enumerate(parts_of(poll)):
            hit_keys = {hit.entry_key for hit in part.hits}
            entries = [entry for entry in part.entries if entry.key in hit_keys]
            known = {ref: reports[ref] for e in entries if (ref := (e.feed, e.key)) in reports}
            asked = UnroutedPoll(
                feed=poll.state.id,
                at=now,
                part=number,
                config=active.number,
                hits=part.hits,
                entries=tuple(entries),
                reports=known,
            )
            began, owner = perf_counter(), self._context.owner_of(part.state)
            written, what = await commit_poll(self._feeds, part, owner, asked, active.router, vocabulary.frequencies)
            stored += written
            outcomes.update(what)
            if part.unfinished:  # an alert takes six writes, each of which would wait for one of these parts
                await asyncio.sleep(min(perf_counter() - began, MAX_PAUSE_S))
        self._context.vocabulary.note(reports.values())
        if not self._feeds.routes_later:
            self._context.vocabulary.learn(reports.values())
        return tuple(stored), outcomes

    async def _unchanged(
        self,
        active: ActiveConfig,
        feed: Feed,
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
            notices=self._health_news(active, state, after, now),
            memory=parsed.memory if parsed else None,
            quarantined=parsed.quarantined if parsed else (),
        )
        await self._feeds.commit(poll, owner=self._context.owner_of(poll.state))
        return PolledFeed(feed=state.id, parse_level=parsed.parse_level if parsed else ParseLevel.NOT_MODIFIED)

    async def _failed(
        self, active: ActiveConfig, feed: Feed, state: FeedState, error: FetchError | ParseError
    ) -> PolledFeed:
        settings, now = active.config.settings, self._context.now()
        if self._network.record_outcome(host_key(state.url), error):
            poll = PollResult(state=outage.postpone(state, now))
        else:
            log.info("poll failed: %s", error, extra={"feed": state.id})
            after, hosts = after_failure(state, feed, settings.polling, error, now=now)
            poll = PollResult(state=after, hosts=hosts, notices=self._health_news(active, state, after, now))
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

    def _health_news(
        self, active: ActiveConfig, before: FeedState, after: FeedState, now: datetime, *, missed: bool = False
    ) -> tuple[Delivery, ...]:
        """Build notices about the feed itself; a gap that stayed open is reported once a day."""
        settings, detail = active.config.settings, list[Delivery]()
        changed = transition(before, after, settings.health, now)
        gap = gap_notice(after) if missed else None
        budget = quota.notice(before, after, settings.polling, now)
        if changed is gap is budget is None:  # as after nearly every poll
            return ()
        day = f"{now:%Y-%m-%d}"
        news = ((changed, (after.health.value, now.isoformat())), (gap, ("gap", day)), (budget, ("budget", day)))
        for said, occasion in news:
            if said is not None:
                detail += notice_deliveries(
                    said,
                    ("feed", after.id, *occasion),
                    health_channels(settings),
                    active.config.channels,
                    now,
                    kind=AlertKind.HEALTH,
                    recipients=active.recipients.of,
                )
        return tuple(detail)


def _is_being_ended() -> bool:
    """Tell whether this task was cancelled, as opposed to something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _in_words(error: BaseException) -> str:
    """Describe an unknown error in one line that every database stores."""
    text = f"{type(error).__name__}: {error}".replace("\0", "").encode("utf-8", "backslashreplace").decode()
    return brief(text, 300)
