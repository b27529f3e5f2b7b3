"""A poller with everything around it, none of which uses the network: store, fetcher and parser are the fakes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aggregator.core.model import Delivery, Entry, FeedState, HitState
from aggregator.core.rules import compile_rule
from aggregator.core.settings import Config, Feed, RuleConfig
from aggregator.pipeline.context import ActiveConfig, Context, activate
from aggregator.pipeline.ingest import Ingestor
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.polled import PolledFeed
from tests.support.fake_fetcher import FakeFetcher, FakePage
from tests.support.inline_parser import inline_parser
from tests.support.memory_store import MemoryStore

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
URL = "https://news.example/feed"


@dataclass
class FakeClock:
    """A clock that is set."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class PollFixture:
    """One feed, its rules, and the verb that polls it."""

    setup: ActiveConfig
    store: MemoryStore = field(default_factory=lambda: MemoryStore(index_text=lambda entry: entry.title))
    fetcher: FakeFetcher = field(default_factory=FakeFetcher)
    clock: FakeClock = field(default_factory=FakeClock)
    full_text: bool = False

    @property
    def context(self) -> Context:
        return Context(config=lambda: self.setup, clock=self.clock, owner="me")

    @property
    def poller(self) -> Poller:
        ingestor = Ingestor(
            self.context,
            feeds=self.store.feeds,
            fetcher=self.fetcher,
            parser=inline_parser(),
            full_text=self.full_text,
        )
        return Poller(self.context, ingestor, self.store.feeds)

    async def poll(self, page: FakePage | None = None) -> PolledFeed:
        """Poll the feed, ten minutes after the last time, with `page` at its address."""
        if page is not None:
            self.fetcher.pages[URL] = page
        self.clock.move(minutes=10)
        polled: list[PolledFeed] = []
        await self.poller.once(force=True, done=polled.append)
        return polled[0]

    @property
    def state(self) -> FeedState:
        return self.store.tables.feeds["news"].state

    def titles(self) -> list[str]:
        return sorted(entry.title for entry in self.store.tables.entries.values())

    def entry(self, title: str) -> Entry:
        return next(entry for entry in self.store.tables.entries.values() if entry.title == title)

    def alerted(self) -> list[str]:
        """Titles of the entries whose hits alerted."""
        hits = [hit for hit in self.store.tables.hits.values() if hit.state is HitState.ALERTED]
        return sorted(self.store.tables.entries[hit.entry_id or 0].title for hit in hits)

    def notices(self) -> list[Delivery]:
        return [delivery for delivery in self.store.tables.deliveries.values() if delivery.notice]


async def poll_fixture(*rules: dict[str, Any], feed: dict[str, Any] | None = None, **settings: Any) -> PollFixture:
    """A room that watches one feed; rules are given as in YAML."""
    made = Feed.model_validate({"id": "news", "url": URL, **(feed or {})})
    configs = tuple(RuleConfig.model_validate(rule) for rule in rules)
    config = Config.model_validate(
        {
            "feeds": [made],
            "rules": configs,
            "channels": {"desk": {"name": "desk", "service": "console"}},
            "settings": {"default_channels": ["desk"], "stories": {"collapse": False}, **settings},
        }
    )
    fixture = PollFixture(setup=activate(config, [compile_rule(one, {}) for one in configs]))
    await fixture.store.feeds.sync(config.feeds, fixture.clock.now())
    return fixture


def item(key: object, text: str = "", at: datetime | None = None) -> str:
    """An RSS entry."""
    date = f"<pubDate>{at:%a, %d %b %Y %H:%M:%S +0000}</pubDate>" if at else ""
    return (
        f"<item><title>Entry {key}</title><guid isPermaLink='false'>{key}</guid>"
        f"<link>https://news.example/{key}</link><description>{text}</description>{date}</item>"
    )


def rss(*items: str, head: str = "") -> bytes:
    """An RSS document with these entries."""
    start = "<rss version='2.0' xmlns:atom='http://www.w3.org/2005/Atom'><channel><title>News</title>"
    return f"{start}{head}{''.join(items)}</channel></rss>".encode()
