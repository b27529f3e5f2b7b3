"""The polling half of the service on loopback: real fetcher, real database, a clock that the test sets."""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

from aggregator.core.model import Entry, FeedState, Fetched, HostLimit
from aggregator.core.rules import index_text
from aggregator.core.settings import Config, Feed, Settings
from aggregator.fetch import HttpFetcher, open_fetcher
from aggregator.pipeline.context import Context, activate
from aggregator.pipeline.ingest import Ingestor
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.polled import PolledFeed
from aggregator.store import Store, open_store
from tests.support.inline_parser import inline_parser

START = datetime(2026, 1, 5, 9, 17, 23, tzinfo=UTC)
HTTP = {"allow": ["127.0.0.0/8"], "timeout": "2s", "connect_timeout": "1s"}


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def move(self, **by: float) -> None:
        self._now += timedelta(**by)

    def move_to(self, at: datetime) -> None:
        self._now = max(self._now, at)


class PollHarness:
    """Polls `feeds` as the service would; closing and opening it again is a restart."""

    def __init__(
        self, *feeds: Feed, clock: ManualClock | None = None, database: Path | None = None, **polling: Any
    ) -> None:
        self.clock = clock or ManualClock()
        self.database = database or _fresh_database()
        self.config = Config.model_validate({"feeds": feeds, "settings": {"polling": polling, "http": HTTP}})
        self._stack = AsyncExitStack()
        self.fetcher: HttpFetcher
        self.store: Store
        self.intake: Ingestor
        self.poller: Poller

    async def __aenter__(self) -> Self:
        settings = self.config.settings
        self.store = await self._stack.enter_async_context(
            open_store(f"sqlite:///{self.database}", index_text=index_text)
        )
        self.fetcher = await self._stack.enter_async_context(
            open_fetcher(
                settings.http, settings.polling, version="1.2.3", about="https://desk.example/", clock=self.clock
            )
        )
        await self.store.feeds.sync(self.config.feeds, self.clock.now())
        context = self.context(self.config.settings)
        self.intake = Ingestor(context, feeds=self.store.feeds, fetcher=self.fetcher, parser=inline_parser())
        self.poller = Poller(context, self.intake, self.store.feeds)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def context(self, settings: Settings) -> Context:
        """The context of the service, with other settings."""
        active = activate(self.config.model_copy(update={"settings": settings}))
        return Context(config=lambda: active, clock=self.clock, owner="test")

    async def poll(self) -> tuple[PolledFeed, ...]:
        """Poll what is due at this moment."""
        return await self._pass()

    async def force(self) -> tuple[PolledFeed, ...]:
        """Poll everything, due or not, as a person can ask for."""
        return await self._pass(force=True)

    async def _pass(self, *, force: bool = False) -> tuple[PolledFeed, ...]:
        polled: list[PolledFeed] = []
        await self.poller.once(force=force, done=polled.append)
        return tuple(polled)

    async def push(self, feed: Feed, document: Fetched) -> None:
        """Take in a document that came by itself."""
        (state,) = await self.store.feeds.claim_due(
            self.clock.now(), owner="test", lease_s=60, limit=1, ids=[feed.id], force=True
        )
        await self.intake.receive(state, document)

    async def poll_next(self, feed: str) -> FeedState:
        """Let time pass until the feed is due, and poll what is due then; gives its new state."""
        due = (await self.state(feed)).next_poll_at
        if due is not None:
            self.clock.move_to(due)
        await self.poll()
        return await self.state(feed)

    async def wait_s(self, feed: str) -> float:
        """Seconds until the feed's next poll."""
        due = (await self.state(feed)).next_poll_at
        assert due is not None
        return (due - self.clock.now()).total_seconds()

    async def state(self, feed: str) -> FeedState:
        (summary,) = await self.store.catalog.feeds([feed])
        return summary.state

    async def entries(self, feed: str) -> tuple[Entry, ...]:
        return await self.store.catalog.entries(feed=feed, limit=0)

    async def hosts(self) -> tuple[HostLimit, ...]:
        return await self.store.catalog.hosts()


@cache
def _template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="aggregator-test-")) / "template.db"

    async def make() -> None:
        async with open_store(f"sqlite:///{path}", index_text=index_text) as store:
            await store.maintenance.upgrade()

    maker = Thread(target=lambda: asyncio.run(make()))  # the caller's own loop is running
    maker.start()
    maker.join()
    return path


def _fresh_database() -> Path:
    """A migrated, empty database: migrating takes a second, copying none."""
    template = _template()
    path = Path(tempfile.mkdtemp(prefix="test-", dir=template.parent)) / "feeds.db"
    shutil.copy(template, path)
    return path
