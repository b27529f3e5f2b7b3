"""Unexpected errors: one that no adapter names fails one poll, visibly, and backs off."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from aggregator.core.errors import ConfigError, ConfigErrors, Conflict, DatabaseFault, StoreError
from aggregator.core.model import Entry, Fetched, Health, NotModified, PollResult
from aggregator.pipeline.ingest import Ingestor
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.polled import PolledFeed
from tests.support.fake_fetcher import FakeFetcher, FakePage
from tests.support.memory_store import MemoryFeeds
from tests.unit.pipeline.builders import URL, PollFixture, item, poll_fixture, rss

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The service speaks asyncio."""
    return "asyncio"


class Broken(FakeFetcher):
    """A fetcher that raises what no fetcher should."""

    def __init__(self, error: Callable[[], BaseException]) -> None:
        super().__init__()
        self.error = error

    async def fetch(self, feed: Any, state: Any) -> Fetched | NotModified:
        self.asked.append(state.url)
        raise self.error()


async def ticks(fixture: PollFixture, seconds: int) -> list[PolledFeed]:
    """Tick once a second; gives the polls."""
    polled: list[PolledFeed] = []
    poller = fixture.poller
    poller._ingestor._observe = polled.append
    for _ in range(seconds):
        await poller.tick()
        while poller._under_way or poller._beside:
            await asyncio.gather(*poller._under_way, *poller._beside, return_exceptions=True)
            await asyncio.sleep(0)
        fixture.clock.move(seconds=1)
    return polled


@pytest.mark.parametrize(
    "error",
    [
        lambda: RuntimeError("unable to perform operation; the handler is closed"),
        lambda: UnicodeError("label empty or too long"),
        lambda: KeyError("x"),
        lambda: asyncio.CancelledError(),
        lambda: MemoryError(),
        lambda: ValueError("\ud800 and \0 in it"),
        lambda: StoreError("value out of range"),
    ],
)
async def test_an_unexpected_error_counts_and_backs_off(
    error: Callable[[], BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """In ten minutes of ticks there are a handful of polls, health says so, one traceback at most is logged."""
    fixture = await poll_fixture()
    fixture.fetcher = Broken(error)
    polled = await ticks(fixture, 600)
    assert 3 <= len(polled) <= 5
    assert all(one.error is not None for one in polled)
    assert fixture.state.failures == len(polled)
    assert fixture.state.health is Health.FAILING
    assert fixture.state.last_error
    fixture.state.last_error.encode()
    assert "\0" not in fixture.state.last_error
    assert caplog.text.count("Traceback") <= 1


async def test_after_a_bug_the_feed_recovers() -> None:
    """The first good poll ends it."""
    fixture = await poll_fixture()
    fixture.fetcher = Broken(lambda: RuntimeError("x"))
    await ticks(fixture, 300)
    fixture.fetcher = FakeFetcher({URL: FakePage(body=rss(item(1)))})
    polled = await fixture.poll()
    assert polled.error is None
    assert (fixture.state.failures, fixture.state.last_error) == (0, None)


class Unwritable(MemoryFeeds):
    """A store that takes no poll with entries, or none at all."""

    refuse_all = False
    error: Callable[[str], StoreError] = StoreError

    async def commit(self, poll: PollResult, **more: Any) -> tuple[Entry, ...]:
        if poll.entries or self.refuse_all:
            raise self.error("the value is out of range")
        return await super().commit(poll, **more)


async def test_entries_that_cannot_be_stored_do_not_make_us_hurry() -> None:
    """The publisher is asked a handful of times in ten minutes, and the feed's error says why."""
    fixture = await poll_fixture()
    fixture.store.feeds = Unwritable(fixture.store.tables)
    fixture.fetcher.pages[URL] = FakePage(body=rss(item(1)))
    polled = await ticks(fixture, 600)
    assert 3 <= len(polled) <= 5
    assert "out of range" in (fixture.state.last_error or "")


@pytest.mark.parametrize("refuse_all", [False, True])
@pytest.mark.parametrize("kind", ["full", "read-only", "io", "damaged", "locked", "unreachable"])
async def test_an_outage_of_the_database_is_no_failure_of_a_feed(kind: Any, refuse_all: bool) -> None:
    """No count, no back-off, no notice, no hurry; within a minute of its end all is polled and stored."""
    fixture = await poll_fixture()
    feeds = Unwritable(fixture.store.tables)
    feeds.error, feeds.refuse_all = partial(DatabaseFault, kind=kind), refuse_all
    healthy, fixture.store.feeds = fixture.store.feeds, feeds
    fixture.fetcher.pages[URL] = FakePage(body=rss(item(1)))
    polled = await ticks(fixture, 600)
    assert 10 <= len(polled) <= 30
    assert all(isinstance(one.error, DatabaseFault) for one in polled)
    assert (fixture.state.failures, fixture.state.health, fixture.notices()) == (0, Health.NEW, [])
    assert fixture.state.validators is None, "what was not stored is vouched for by nothing"
    fixture.store.feeds = healthy
    [stored, *_] = await ticks(fixture, 60)
    assert stored.error is None
    assert fixture.titles() == ["Entry 1"]


async def test_a_lost_lease_is_no_failure() -> None:
    """A Conflict counts nothing: whoever took the feed over writes its state."""
    fixture = await poll_fixture()
    fixture.store.feeds = feeds = Unwritable(fixture.store.tables)
    feeds.error = Conflict
    fixture.fetcher.pages[URL] = FakePage(body=rss(item(1)))
    polled = await fixture.poll()
    assert isinstance(polled.error, Conflict)
    assert fixture.state.failures == 0


async def test_a_poll_that_ends_without_a_result_frees_its_feed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where the last line of defence fails, nobody waits for the lease."""
    fixture = await poll_fixture()
    poller = fixture.poller

    async def poll(ingestor: Ingestor, state: Any) -> PolledFeed:
        raise SystemError("a bug in the defence")

    monkeypatch.setattr(Ingestor, "poll", poll)
    await poller.tick()
    await asyncio.gather(*poller._under_way, return_exceptions=True)
    await asyncio.sleep(0)
    await asyncio.gather(*poller._beside)
    claimed = await fixture.store.feeds.claim_due(
        fixture.clock.now() + timedelta(seconds=1), owner="other", lease_s=1, limit=1, ids=["news"], force=True
    )
    assert [state.id for state in claimed] == ["news"]
    assert "a bug in the defence" in caplog.text


async def test_a_cancelled_poll_is_cancelled() -> None:
    """A stop is a stop: nothing is counted, and the lease is freed by the drain."""
    fixture = await poll_fixture()

    class Slow(FakeFetcher):
        async def fetch(self, feed: Any, state: Any) -> Fetched | NotModified:
            await asyncio.sleep(60)
            raise AssertionError

    fixture.fetcher = Slow()
    poller: Poller = fixture.poller
    await poller.tick()
    await asyncio.sleep(0)
    await poller.drain(0.01)
    assert fixture.state.failures == 0
    assert fixture.state.lease_owner is None


async def test_a_part_of_the_configuration_that_is_gone_is_no_failure() -> None:
    """A pass that cannot load the rules any more leaves the feed as it was, with its old validators, and says why."""
    fixture = await poll_fixture()
    wrong = ConfigError(file="names.txt", line=1, column=1, message="cannot be read")
    fixture.fetcher = Broken(lambda: ConfigErrors([wrong]))
    polled = await fixture.poll()
    assert str(polled.error) == str(wrong)
    assert (fixture.state.failures, fixture.state.lease_owner, fixture.state.last_polled_at) == (0, None, None)
