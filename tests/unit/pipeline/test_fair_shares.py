"""A slow host with many feeds keeps neither the others' places nor leases that it cannot use."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from msgspec import structs

from aggregator.core.model import FeedState, Fetched, PollResult
from aggregator.core.settings import Config, Feed
from aggregator.pipeline.context import Context, activate
from aggregator.pipeline.ingest import Ingestor
from aggregator.pipeline.poll import Poller
from aggregator.ports import Feeds
from tests.support.inline_parser import inline_parser
from tests.support.memory_store import MemoryStore
from tests.unit.pipeline.builders import NOW, FakeClock, item, rss

pytestmark = pytest.mark.anyio

SLOW, OTHERS = 200, 20


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


@dataclass
class Gate:
    """A fetcher whose slow host answers when it is opened, one request for each permit."""

    permits: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    waiting: Counter[str] = field(default_factory=Counter)
    most: int = 0
    polled: list[str] = field(default_factory=list)

    async def fetch(self, feed: Feed, state: FeedState) -> Fetched:
        host = "slow" if feed.id.startswith("a") else "other"
        self.waiting[host] += 1
        self.most = max(self.most, self.waiting["slow"])
        if host == "slow":
            await self.permits.acquire()
        self.waiting[host] -= 1
        self.polled.append(feed.id)
        return Fetched(url=state.url, status=200, body=rss(item(1)))


async def poller_over(gate: Gate, *, slow: str = "https://slow.example/{}", **settings: Any) -> Poller:
    """A poller of 200 feeds at a slow host, the first in every order, and of 20 at hosts of their own."""
    feeds = [{"id": f"a{n}", "url": slow.format(n)} for n in range(SLOW)]
    feeds += [{"id": f"b{n}", "url": f"https://other{n}.example/"} for n in range(OTHERS)]
    config = Config.model_validate({"feeds": feeds, "settings": settings})
    active, store, clock = activate(config, ()), MemoryStore(index_text=lambda entry: entry.title), FakeClock()
    await store.feeds.sync(config.feeds, clock.now())
    context = Context(config=lambda: active, clock=clock, owner="me")
    return Poller(context, Ingestor(context, feeds=store.feeds, fetcher=gate, parser=inline_parser()), store.feeds)


async def settled(gate: Gate) -> None:
    """Let everything run that can run."""
    before = -1
    while before != len(gate.polled):
        before = len(gate.polled)
        for _ in range(200):
            await asyncio.sleep(0)


@pytest.mark.parametrize("concurrency", [8, 128])
async def test_the_others_are_polled_on_time(concurrency: int) -> None:
    """One tick reaches them all, as long as the slow host does not answer; it has four places of eight."""
    gate = Gate()
    poller = await poller_over(gate, polling={"concurrency": concurrency})
    await poller.tick()
    await settled(gate)
    if concurrency < OTHERS:
        assert gate.waiting["slow"] == 4
        for _ in range(OTHERS // 4):
            await poller.tick()
            await settled(gate)
    assert sorted(gate.polled) == sorted(f"b{n}" for n in range(OTHERS))
    assert gate.most < 8
    await poller.drain(0)


async def test_a_host_that_answers_waits_for_no_tick() -> None:
    """What is due there is claimed as soon as its share was served; never more than was its due."""
    gate = Gate()
    poller = await poller_over(gate)
    await poller.tick()
    for _ in range(SLOW):
        gate.permits.release()
        await settled(gate)
    assert len(gate.polled) == SLOW + OTHERS
    assert gate.most < 8
    await poller.drain(0)


async def test_long_time_outs_mean_small_shares() -> None:
    """Whoever waits for a turn must not outlast the lease of five minutes."""
    gate = Gate()
    poller = await poller_over(gate, http={"timeout": "2m"})
    await poller.tick()
    await settled(gate)
    assert gate.waiting["slow"] == 1
    await poller.drain(0)


async def test_a_single_pass_begins_everywhere() -> None:
    """`poll` as a command asks each host once before it asks one twice."""
    gate = Gate()
    poller = await poller_over(gate, polling={"concurrency": 40})
    once = asyncio.create_task(poller.once(done=lambda _: None))
    await settled(gate)
    assert sorted(gate.polled) == sorted(f"b{n}" for n in range(OTHERS))
    gate.permits = asyncio.Semaphore(0)
    once.cancel()
    await asyncio.gather(once, return_exceptions=True)


class SlowStore:
    """Feeds of a store that writes nothing until it may."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds, self.may_write = feeds, asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feeds, name)

    async def commit(self, poll: PollResult, **more: Any) -> Any:
        await self.may_write.wait()
        return await self._feeds.commit(poll, **more)


async def test_a_poll_that_waits_to_be_stored_takes_no_place() -> None:
    """Others are fetched meanwhile, never more at once than there are places, and few wait."""
    gate = Gate()
    poller = await poller_over(gate, polling={"concurrency": 4})
    store = SlowStore(poller._feeds)
    poller._ingestor._feeds = cast("Feeds", store)
    ids, polled = [*(f"b{n}" for n in range(OTHERS)), *(f"a{n}" for n in range(9))], list[str]()
    once = asyncio.create_task(poller.once(ids, done=lambda one: polled.append(one.feed)))
    await settled(gate)
    assert (len(gate.polled) + gate.waiting["slow"], polled) == (5, [])
    store.may_write.set()
    await settled(gate)
    assert sorted(polled) == sorted(gate.polled) == sorted(f"b{n}" for n in range(OTHERS))
    assert gate.most == 4
    for _ in range(9):
        gate.permits.release()
    await once
    assert sorted(polled) == sorted(ids)
    assert gate.most == 4


async def test_places_are_kept_for_feeds_that_did_well() -> None:
    """Two hundred new feeds that hang, each at a host of its own, leave an eighth of the places to proven ones."""
    gate = Gate()
    poller = await poller_over(gate, slow="https://slow{}.example/", polling={"concurrency": 16})
    for row in poller._feeds._tables.feeds.values():  # type: ignore[attr-defined]
        if row.state.id.startswith("b"):
            row.state = structs.replace(row.state, last_ok_at=NOW, next_poll_at=NOW)
    for _ in range(OTHERS):
        await poller.tick()
        await settled(gate)
    assert sorted(gate.polled) == sorted(f"b{n}" for n in range(OTHERS))
    assert gate.waiting["slow"] == 14
    await poller.drain(0)
