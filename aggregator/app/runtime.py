"""The runtime: transport, parsers, notifiers, and the pipeline over them.

Opened when it is first needed, since most commands only read the database.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex, token_urlsafe
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from aggregator import __version__
from aggregator.core.errors import AggregatorError, FetchError, ParseError
from aggregator.core.model import (
    Alert,
    AlertKind,
    DeliveryState,
    FeedState,
    Fetched,
    Health,
    Notice,
    ParsedFeed,
    ParseLevel,
    Receipt,
)
from aggregator.fetch import HttpFetcher, MailFetcher, open_fetcher
from aggregator.notify import open_notifier
from aggregator.parse import can_read_articles, open_parser, open_reader
from aggregator.pipeline.context import Context
from aggregator.pipeline.delivery_counts import DeliveryCounts
from aggregator.pipeline.ingest import Ingestor
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.polled import PolledFeed
from aggregator.pipeline.sources import SourceFetcher
from aggregator.ports import ArticleReader, Notifier, Parser

if TYPE_CHECKING:  # what a pass may do without is loaded by the methods that make it
    from aggregator.core.settings import Channel, Feed, Settings
    from aggregator.pipeline.articles import ArticleFetcher, ArticleResult
    from aggregator.pipeline.deliver import Deliver
    from aggregator.pipeline.routing import HitRouter
    from aggregator.pipeline.websub import WebSub
    from aggregator.store import Store
    from aggregator.telemetry.metrics import Metrics

COUNTING_PAUSE = 100  # times what it took to count the feeds by health, at least, until they are counted again


@dataclass(slots=True, kw_only=True)
class Runtime:
    """The adapters with outside connections; makes the pipeline parts that poll and deliver."""

    context: Context
    store: "Store"
    fetcher: HttpFetcher
    mail: MailFetcher
    sources: SourceFetcher
    parser: Parser
    reader: ArticleReader
    notifier: Notifier
    _metrics: "Metrics | None" = None
    on_hits: Callable[[], None] = lambda: None  # who learns that hits may wait for their routing
    on_poll: Callable[[PolledFeed], None] = lambda _: None  # what else learns of each poll
    _count_feeds_at: float = 0.0

    @property
    def metrics(self) -> "Metrics":
        """Return the figures for others, which count from the first time that somebody asks for them."""
        if self._metrics is None:
            from aggregator.telemetry.metrics import Metrics

            self._metrics = Metrics(__version__)
        return self._metrics

    def _observe(self, polled: PolledFeed) -> None:
        if self._metrics is not None:
            from aggregator.app.metrics import observe_poll

            observe_poll(self._metrics, polled)
        if polled.hits:
            self.on_hits()
        self.on_poll(polled)

    def _observe_reading(self, reading: "ArticleResult") -> None:
        if self._metrics is not None:
            from aggregator.app.metrics import observe_reading

            observe_reading(self._metrics, reading)
        if reading.hits:
            self.on_hits()

    def _observe_routing(self, outcomes: Mapping[str, int]) -> None:
        if self._metrics is not None:
            from aggregator.app.metrics import observe_routing

            observe_routing(self._metrics, outcomes)

    def ingestor(self) -> Ingestor:
        return Ingestor(
            self.context,
            feeds=self.store.feeds,
            fetcher=self.sources,
            parser=self.parser,
            observe=self._observe,
            full_text=can_read_articles(),
        )

    def poller(self) -> Poller:
        return Poller(self.context, self.ingestor(), self.store.feeds)

    def websub(self) -> "WebSub":
        from aggregator.pipeline.websub import WebSub

        return WebSub(
            self.context,
            subscriptions=self.store.subscriptions,
            hub=self.fetcher,
            feeds=self.store.feeds,
            catalog=self.store.catalog,
            ingestor=self.ingestor(),
            secret=lambda: token_urlsafe(24),
        )

    def article_fetcher(self) -> "ArticleFetcher":
        from aggregator.pipeline.articles import ArticleFetcher

        return ArticleFetcher(
            self.context,
            texts=self.store.articles,
            pages=self.fetcher,
            reader=self.reader,
            observe=self._observe_reading,
        )

    def router(self) -> "HitRouter":
        from aggregator.pipeline.routing import HitRouter

        return HitRouter(self.context, self.store.feeds, observe=self._observe_routing)

    def deliverer(self) -> "Deliver":
        from aggregator.pipeline.deliver import Deliver

        return Deliver(self.context, self.store.outbox, self.notifier)

    async def route_waiting(self) -> Mapping[str, int]:
        """Route hits that wait: on PostgreSQL all; else those of a cluster that was copied into one file.

        Return what became of them in words, and how many.
        """
        outcomes = Counter[str]()
        if (await self.store.feeds.unrouted(self.context.now())).due:
            from aggregator.pipeline.routing import HitRouter

            await HitRouter(self.context, self.store.feeds, observe=outcomes.update).run()
            self._observe_routing(outcomes)
        return outcomes

    async def read_articles(self) -> int:
        """Read the articles that are due, once; return how many there were."""
        return await self.article_fetcher().once() if self._is_due(await self.store.articles.next_due_at()) else 0

    def _is_due(self, at: datetime | None) -> bool:
        return at is not None and at <= self.context.now()

    async def deliver_due(self) -> DeliveryCounts:
        """Send what is due now, once, and the reports of dead deliveries; what fails waits for its retry."""
        if not self._is_due(await self.store.outbox.next_due_at()):
            return DeliveryCounts()
        deliverer = self.deliverer()
        counts = await deliverer.tick(self.context.now())
        if counts.dead:
            counts.add(await deliverer.tick(self.context.now()))
        return counts

    async def measure(self) -> None:
        """Update the gauges."""
        from aggregator.app.metrics import lag_s

        now, store = self.context.now(), self.store
        due_at = await store.feeds.next_due_at()
        outbox = await store.catalog.outbox()
        if (began := monotonic()) >= self._count_feeds_at:  # which takes the longer, the more there are
            feeds = await store.catalog.health()
            self.metrics.observe_feeds({health.value: feeds.get(health, 0) for health in Health})
            self._count_feeds_at = began + COUNTING_PAUSE * (monotonic() - began)
        self.metrics.observe_outbox({state.value: outbox.get(state, 0) for state in DeliveryState})
        self.metrics.lag.set(lag_s(due_at, now))
        backlog = await store.catalog.backlog(now, brief=True)
        self.metrics.observe_oldest_due(
            feed_s=lag_s(backlog.oldest_feed_due_at, now), delivery_s=lag_s(backlog.oldest_delivery_due_at, now)
        )
        self.metrics.splits.set(backlog.splits)
        self.metrics.rules.set(sum(rule.config.enabled for rule in self.context.active.rules.values()))

    async def read(self, document: Fetched) -> ParsedFeed | None:
        """Parse a document as a feed, or return None if it is none."""
        blank = FeedState(id="", url=document.url, configured_url=document.url)
        try:
            return await self.parser.parse(document, blank, None)
        except ParseError:
            return None

    async def try_feeds(self, feeds: Sequence["Feed"], step: Callable[[], object]) -> dict[str, AggregatorError | None]:
        """Fetch and parse each feed once, without storing anything; return the errors, None: it works."""
        fixture = asyncio.Semaphore(self.context.active.config.settings.polling.concurrency)
        outcomes: dict[str, AggregatorError | None] = {}

        async def attempt(feed: "Feed") -> None:
            async with fixture:
                outcomes[feed.id] = await self._try(feed)
            step()

        await asyncio.gather(*map(attempt, feeds))
        return outcomes

    async def _try(self, feed: "Feed") -> AggregatorError | None:
        try:
            found = await self.look(feed)
        except (FetchError, ParseError) as error:
            return error
        return ParseError(found.nothing, found="empty") if found.nothing else None

    async def look(self, feed: "Feed") -> ParsedFeed:
        """Fetch and read a source once, as its first poll would. Raises FetchError, ParseError."""
        state = FeedState(id=feed.id, url=feed.url, configured_url=feed.url)
        answer = await self.sources.fetch(feed, state)
        if not isinstance(answer, Fetched):
            return ParsedFeed(parse_level=ParseLevel.NOT_MODIFIED)
        try:
            found = await self.parser.parse(answer, state, reading=feed.reading)
        finally:
            if answer.held is not None:
                answer.held.release()
        from aggregator.pipeline.sitemaps import SitemapReader

        return (await SitemapReader(self.sources, self.parser).read(feed, state, answer, found, None))[1]

    async def test_channel(self, channel: "Channel") -> list[tuple[str, Receipt | AggregatorError]]:
        """Send a test alert; return what each recipient of a channel answers."""
        words = Notice(title="Test alert from aggregator", body=f"If you can read this, channel {channel.name} works.")
        answers: list[tuple[str, Receipt | AggregatorError]] = []
        for recipient in self.context.active.recipients.of(channel.name):
            alert = Alert(
                id=token_hex(10),
                kind=AlertKind.TEST,
                title=words.title,
                notice=words,
                time_zone=channel.time_zone,
                created_at=self.context.now(),
            )
            try:
                answers.append((recipient, await self.notifier.send(channel, alert, recipient=recipient)))
            except AggregatorError as error:
                answers.append((recipient, error))
        return answers


def _own_ports(settings: "Settings") -> tuple[int, ...]:
    """Return the ports on which we listen ourselves: no feed may lead there, whatever else is allowed."""
    places = (settings.web.listen if settings.web.enabled else None, settings.metrics.listen)
    ports = [int(place.rpartition(":")[2]) for place in places if place]
    return tuple(port for port in ports if port)


@asynccontextmanager
async def open_runtime(context: Context, store: "Store", *, console: TextIO | None = None) -> AsyncIterator[Runtime]:
    """Open the runtime; closing it ends transport and parsers, which start when first needed.

    `console` is where console channels print; default: stdout.
    """
    settings = context.active.config.settings
    async with AsyncExitStack() as stack:
        fetcher = await stack.enter_async_context(
            open_fetcher(
                settings.http,
                settings.polling,
                version=__version__,
                about=settings.web.public_url if settings.web.enabled else None,
                own_ports=_own_ports(settings),
                clock=context.clock,
            )
        )
        mail = MailFetcher(settings.http, _own_ports(settings))
        yield Runtime(
            context=context,
            store=store,
            fetcher=fetcher,
            mail=mail,
            sources=SourceFetcher(fetcher, fetcher, mail, context.clock),
            parser=await stack.enter_async_context(open_parser(max_body_bytes=settings.http.max_body_bytes)),
            reader=await stack.enter_async_context(open_reader(max_body_bytes=settings.http.max_body_bytes)),
            notifier=open_notifier(context.clock, console),
        )
