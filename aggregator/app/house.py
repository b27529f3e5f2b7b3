"""The composition root: opens every adapter and joins them to the verbs. All names meet here."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from aggregator import __version__
from aggregator.app.clock import SystemClock
from aggregator.app.owner import dead_owners, new_owner
from aggregator.app.places import database_url
from aggregator.app.watching import observe_poll
from aggregator.config import Loaded, load
from aggregator.core.errors import AggregatorError, FetchError, ParseError
from aggregator.core.model import Alert, FeedState, Fetched, Kind, Notice, ParsedFeed, Receipt
from aggregator.core.rules import index_text
from aggregator.core.settings import Channel, Feed
from aggregator.fetch import HttpFetcher, open_fetcher
from aggregator.notify import open_notifier, recipients
from aggregator.observe.logs import redact
from aggregator.observe.metrics import Metrics
from aggregator.parse import open_parser
from aggregator.pipeline.deliver import Deliver
from aggregator.pipeline.maintain import Maintainer
from aggregator.pipeline.outgoing import Counts
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.setup import Setup, prepare
from aggregator.ports import Notifier, Parser
from aggregator.store import Store, open_store


@dataclass(slots=True, kw_only=True)
class House:
    """The open adapters and the setup that holds now; makes verbs over them."""

    loaded: Loaded
    current: Setup
    store: Store
    fetcher: HttpFetcher
    parser: Parser
    notifier: Notifier
    metrics: Metrics
    clock: SystemClock = field(default_factory=SystemClock)
    owner: str = field(default_factory=new_owner)

    def setup(self) -> Setup:
        return self.current

    def poller(self) -> Poller:
        return Poller(
            feeds=self.store.feeds,
            fetcher=self.fetcher,
            parser=self.parser,
            setup=self.setup,
            clock=self.clock,
            owner=self.owner,
            recipients=recipients,
            observe=lambda polled: observe_poll(self.metrics, polled),
        )

    def deliverer(self) -> Deliver:
        return Deliver(
            self.store.outbox,
            self.notifier,
            lambda: self.current.config,
            self.clock,
            owner=self.owner,
            recipients=recipients,
        )

    def maintainer(self) -> Maintainer:
        return Maintainer(
            catalog=self.store.catalog,
            outbox=self.store.outbox,
            upkeep=self.store.upkeep,
            setup=self.setup,
            clock=self.clock,
            recipients=recipients,
        )

    async def deliver_due(self) -> Counts:
        """Send what is due now, once; what fails waits for its retry."""
        return await self.deliverer().tick(self.clock.now())

    async def reload(self, path: Path) -> None:
        """Take over the configuration at `path`. Raises ConfigErrors; then nothing has changed."""
        loaded = load(path, os.environ)
        current = prepare(loaded.config, loaded.rules, loaded.digest, before=self.current)
        await self.store.feeds.sync(loaded.config.feeds, self.clock.now())
        redact.know(loaded.secrets | self.loaded.secrets)
        self.loaded, self.current = loaded, current

    async def read(self, document: Fetched) -> ParsedFeed | None:
        """A document as a feed, or None where it is none."""
        blank = FeedState(id="", url=document.url, configured_url=document.url)
        try:
            return await self.parser.parse(document, blank, None)
        except ParseError:
            return None

    async def try_feeds(self, feeds: Sequence[Feed], step: Callable[[], object]) -> dict[str, AggregatorError | None]:
        """What fetching and parsing each feed once gives, without storing anything; None: it works."""
        room = asyncio.Semaphore(self.current.config.settings.polling.concurrency)
        outcomes: dict[str, AggregatorError | None] = {}

        async def attempt(feed: Feed) -> None:
            state = FeedState(id=feed.id, url=feed.url, configured_url=feed.url)
            async with room:
                try:
                    answer = await self.fetcher.fetch(feed, state)
                    if isinstance(answer, Fetched):
                        await self.parser.parse(answer, state, None)
                    outcomes[feed.id] = None
                except (FetchError, ParseError) as error:
                    outcomes[feed.id] = error
            step()

        await asyncio.gather(*map(attempt, feeds))
        return outcomes

    async def measure(self) -> None:
        """Bring the gauges up to date."""
        now = self.clock.now()
        feeds = [f.state for f in await self.store.catalog.feeds() if f.state.id in self.current.feeds]
        outbox = await self.store.catalog.outbox()
        due = [(now - s.next_poll_at).total_seconds() for s in feeds if s.next_poll_at and s.lease_owner is None]
        self.metrics.observe_feeds(Counter(state.health.value for state in feeds))
        self.metrics.observe_outbox({state.value: count for state, count in outbox.items()})
        self.metrics.lag.set(max([0.0, *due]))
        self.metrics.rules.set(sum(rule.config.enabled for rule in self.current.rules.values()))

    async def test_channel(self, channel: Channel) -> list[tuple[str, Receipt | AggregatorError]]:
        """What each recipient of a channel answers to a test alert."""
        now = self.clock.now()
        notice = Notice(
            title="Test alert from aggregator", body=f"If you can read this, the channel {channel.name} works."
        )
        answers: list[tuple[str, Receipt | AggregatorError]] = []
        for recipient in recipients(channel):
            alert = Alert(
                id=token_hex(10),
                kind=Kind.TEST,
                title=notice.title,
                notice=notice,
                time_zone=channel.time_zone,
                created_at=now,
            )
            try:
                answers.append((recipient, await self.notifier.send(channel, alert, recipient=recipient)))
            except AggregatorError as error:
                answers.append((recipient, error))
        return answers


@asynccontextmanager
async def open_house(loaded: Loaded) -> AsyncIterator[House]:
    """Open the database (upgraded), the transport and the notifier; workers start when needed."""
    redact.know(loaded.secrets)
    clock = SystemClock()
    settings = loaded.config.settings
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            open_store(database_url(loaded.config), index_text=index_text, make_dirs=settings.database is None)
        )
        await store.upkeep.upgrade()
        await store.upkeep.free(dead_owners(await store.upkeep.owners()), clock.now())
        await store.feeds.sync(loaded.config.feeds, clock.now())
        house = House(
            loaded=loaded,
            current=prepare(loaded.config, loaded.rules, loaded.digest),
            store=store,
            fetcher=await stack.enter_async_context(
                open_fetcher(settings.http, settings.polling, version=__version__, clock=clock)
            ),
            parser=await stack.enter_async_context(open_parser(max_body_bytes=settings.http.max_body_bytes)),
            notifier=open_notifier(),
            metrics=Metrics(__version__),
            clock=clock,
        )
        yield house
