"""The runtime: transport, parsers, notifiers, and the pipeline over them.

Opened when it is first needed, since most commands only read the database.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from secrets import token_hex, token_urlsafe
from time import monotonic
from typing import TextIO

from aggregator import __version__
from aggregator.app.metrics import lag_s, observe_poll, observe_reading, observe_routing
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
from aggregator.core.settings import Channel, Feed, Settings
from aggregator.fetch import HttpFetcher, MailFetcher, open_fetcher
from aggregator.notify import open_notifier
from aggregator.parse import open_parser, open_reader
from aggregator.parse.article import is_available as articles_can_be_read
from aggregator.pipeline.articles import ArticleFetcher
from aggregator.pipeline.context import Context
from aggregator.pipeline.deliver import Deliver
from aggregator.pipeline.delivery_batch import DeliveryCounts
from aggregator.pipeline.ingest import Ingestor, PolledFeed
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.routing import HitRouter
from aggregator.pipeline.sitemaps import SitemapReader
from aggregator.pipeline.sources import SourceFetcher
from aggregator.pipeline.websub import WebSub
from aggregator.ports import ArticleReader, Notifier, Parser
from aggregator.store import Store
from aggregator.telemetry.metrics import Metrics

COUNTING_PAUSE = 100  # times what it took to count the feeds by health, at least, until they are counted again


@dataclass(slots=True, kw_only=True)
class Runtime:
    """The adapters with outside connections; makes the pipeline parts that poll and deliver."""

    context: Context
    store: Store
    fetcher: HttpFetcher
    mail: MailFetcher
    sources: SourceFetcher
    parser: Parser
    reader: ArticleReader
    notifier: Notifier
    metrics: Metrics
    on_hits: Callable[[], None] = lambda: None  # who learns that hits may wait for their routing
    on_poll: Callable[[PolledFeed], None] = lambda _: None  # what else learns of each poll
    _count_feeds_at: float = 0.0

    def _observe(self, polled: PolledFeed) -> None:
        observe_poll(self.metrics, polled)
        if polled.hits:
            self.on_hits()
        self.on_poll(polled)

    def ingestor(self) -> Ingestor:
        return Ingestor(
            self.context,
            feeds=self.store.feeds,
            fetcher=self.sources,
            parser=self.parser,
            observe=self._observe,
            full_text=articles_can_be_read(),
        )

    def poller(self) -> Poller:
        return Poller(self.context, self.ingestor(), self.store.feeds)

    def websub(self) -> WebSub:
        return WebSub(
            self.context,
            subscriptions=self.store.subscriptions,
            hub=self.fetcher,
            feeds=self.store.feeds,
            catalog=self.store.catalog,
            ingestor=self.ingestor(),
            secret=lambda: token_urlsafe(24),
        )

    def article_fetcher(self) -> ArticleFetcher:
        return ArticleFetcher(
            self.context,
            texts=self.store.articles,
            pages=self.fetcher,
            reader=self.reader,
            observe=lambda reading: observe_reading(self.metrics, reading),
        )

    def router(self) -> HitRouter:
        return HitRouter(self.context, self.store.feeds, observe=partial(observe_routing, self.metrics))

    def deliverer(self) -> Deliver:
        return Deliver(self.context, self.store.outbox, self.notifier)

    async def deliver_due(self) -> DeliveryCounts:
        """Send what is due now, once, and the reports of dead deliveries; what fails waits for its retry."""
        deliverer = self.deliverer()
        counts = await deliverer.tick(self.context.now())
        if counts.dead:
            counts.add(await deliverer.tick(self.context.now()))
        return counts

    async def measure(self) -> None:
        """Update the gauges."""
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

    async def try_feeds(self, feeds: Sequence[Feed], step: Callable[[], object]) -> dict[str, AggregatorError | None]:
        """Fetch and parse each feed once, without storing anything; return the errors, None: it works."""
        fixture = asyncio.Semaphore(self.context.active.config.settings.polling.concurrency)
        outcomes: dict[str, AggregatorError | None] = {}

        async def attempt(feed: Feed) -> None:
            async with fixture:
                outcomes[feed.id] = await self._try(feed)
            step()

        await asyncio.gather(*map(attempt, feeds))
        return outcomes

    async def _try(self, feed: Feed) -> AggregatorError | None:
        try:
            found = await self.look(feed)
        except (FetchError, ParseError) as error:
            return error
        return ParseError(found.nothing, found="empty") if found.nothing else None

    async def look(self, feed: Feed) -> ParsedFeed:
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
        return (await SitemapReader(self.sources, self.parser).read(feed, state, answer, found, None))[1]

    async def test_channel(self, channel: Channel) -> list[tuple[str, Receipt | AggregatorError]]:
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


def _own_ports(settings: Settings) -> tuple[int, ...]:
    """Return the ports on which we listen ourselves: no feed may lead there, whatever else is allowed."""
    places = (settings.web.listen if settings.web.enabled else None, settings.metrics.listen)
    ports = [int(place.rpartition(":")[2]) for place in places if place]
    return tuple(port for port in ports if port)


@asynccontextmanager
async def open_runtime(context: Context, store: Store, *, console: TextIO | None = None) -> AsyncIterator[Runtime]:
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
            metrics=Metrics(__version__),
        )
