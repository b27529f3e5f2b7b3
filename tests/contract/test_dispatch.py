"""What is due is done, whoever hands it out: one process on SQLite, or the jobs of a cluster on PostgreSQL."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.app.clock import SystemClock
from aggregator.core.jobs import DELIVER, POLL, ROUTE, channel_queue
from aggregator.core.model import FeedState, Fetched, Health, Job, NotModified
from aggregator.core.polling.lanes import slot_of
from aggregator.core.rules import compile_rule
from aggregator.core.settings import Config, Feed, RuleConfig
from aggregator.engine.procrastinate import ProcrastinateJobs
from aggregator.pipeline.context import Context, activate
from aggregator.pipeline.deliver import Deliver
from aggregator.pipeline.ingest import Ingestor
from aggregator.pipeline.lanes import LaneWorker, Planner
from aggregator.pipeline.poll import LOOK_S, Poller
from aggregator.ports.jobs import Share
from aggregator.store import Store, open_store
from tests.support.engine import engine_url, execute, wiped
from tests.support.fake_fetcher import FakeFetcher, FakePage
from tests.support.fake_notifier import FakeNotifier
from tests.support.inline_parser import inline_parser
from tests.support.memory_jobs import MemoryJobs, MemoryQueue
from tests.support.postgres import postgres

__all__ = ["engine_url", "postgres"]

pytestmark = pytest.mark.anyio

PATIENCE_S = 30.0
as_jobs = pytest.mark.parametrize("database", [pytest.param("as jobs", marks=pytest.mark.postgres)], indirect=True)
FEEDS = [f"f{number}" for number in range(24)]
ITEM = "<item><title>S-400 of {0}</title><guid isPermaLink='false'>{0}</guid><link>https://x.example/{0}</link></item>"


def page(feed: str) -> FakePage:
    return FakePage(body=f"<rss version='2.0'><channel><title>x</title>{ITEM.format(feed)}</channel></rss>".encode())


def _open() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class SlowFetcher(FakeFetcher):
    """Takes a moment; notes a feed that is fetched twice at once."""

    at_work: Counter[str] = field(default_factory=Counter)
    goes_on: asyncio.Event = field(default_factory=_open)
    twice: list[str] = field(default_factory=list)
    most_at_work: int = 0

    async def fetch(self, feed: Feed, state: FeedState) -> Fetched | NotModified:
        self.at_work[feed.id] += 1
        self.most_at_work = max(self.most_at_work, self.at_work.total())
        if self.at_work[feed.id] > 1:
            self.twice.append(feed.id)
        try:
            await asyncio.sleep(0.01)
            await self.goes_on.wait()
            return await super(SlowFetcher, self).fetch(feed, state)
        finally:
            self.at_work[feed.id] -= 1


@dataclass
class Dispatch:
    """Feeds on six hosts, a rule, two channels, and whatever hands the work out."""

    store: Store
    url: str
    context: Context
    fetcher: SlowFetcher = field(default_factory=SlowFetcher)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)

    def asked(self) -> Counter[str]:
        return Counter(url.rpartition("/")[2] for url in self.fetcher.asked)

    async def until(self, truth: Callable[[], object]) -> None:
        """Hand work out until something is so."""
        running = asyncio.create_task(self._in_process() if self.store.cluster is None else self._as_jobs())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not truth():
                    if running.done():
                        await running
                    await asyncio.sleep(0.02)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _ingestor(self, context: Context) -> Ingestor:
        return Ingestor(context, feeds=self.store.feeds, fetcher=self.fetcher, parser=inline_parser())

    def worker(
        self, context: Context, rest_s: Callable[[Iterable[str]], float] = lambda _: 0.0, **common: Any
    ) -> LaneWorker:
        return LaneWorker(context, ingestor=self._ingestor(context), rest_s=rest_s, **common)

    def lone_worker(self, *, rest_s: Callable[[Iterable[str]], float] = lambda _: 0.0, **settings: Any) -> LaneWorker:
        """A worker whose jobs a test hands out; `settings` are sections, with what differs in them."""
        config = self.context.active.config
        changed = {
            name: getattr(config.settings, name).model_copy(update=section) for name, section in settings.items()
        }
        config = config.model_copy(update={"settings": config.settings.model_copy(update=changed)})
        active = activate(config, ())
        return self.worker(
            replace(self.context, config=lambda: active),
            rest_s,
            cluster=self.store.cluster,
            feeds=self.store.feeds,
            deliver=Deliver(self.context, self.store.outbox, self.notifier),
            jobs=MemoryJobs(MemoryQueue()),
        )

    async def _in_process(self) -> None:
        poller = Poller(self.context, self._ingestor(self.context), self.store.feeds)
        deliver = Deliver(self.context, self.store.outbox, self.notifier)
        try:
            while True:
                await poller.tick()
                await deliver.tick(self.context.now(), wait_s=0.05)
                await asyncio.sleep(0.02)
        finally:
            await poller.drain(1.0)
            await deliver.stop(1.0)

    async def _as_jobs(self) -> None:
        """Two processes that work, one of which plans too."""
        processes = [self._process(name) for name in ("one", "other")]
        try:
            async with asyncio.TaskGroup() as group:
                for _, _, serving in processes:
                    group.create_task(serving)
                while True:
                    await processes[0][1].tick()
                    await asyncio.sleep(0.1)
        finally:
            for jobs, _, _ in processes:
                await jobs.close()

    def _process(self, name: str) -> tuple[ProcrastinateJobs, Planner, Any]:
        assert self.store.cluster is not None
        context = replace(self.context, owner=name)
        jobs, deliver = ProcrastinateJobs(self.url, 8), Deliver(context, self.store.outbox, self.notifier)
        common: dict[str, Any] = {
            "cluster": self.store.cluster,
            "feeds": self.store.feeds,
            "deliver": deliver,
            "jobs": jobs,
        }
        worker = self.worker(context, **common)

        async def handle(job: Job, token: str) -> None:
            if job.kind == ROUTE:
                await worker.route()
            elif job.kind == POLL:
                await worker.poll(int(job.subject), token)
            elif job.kind == DELIVER:
                await worker.send(job.subject, token)

        queues = [channel_queue(channel) for channel in self.context.active.config.channels]
        shares = [Share(lambda: (POLL,), 4), Share(lambda: queues, 2), Share(lambda: (ROUTE,), 1)]
        return jobs, Planner(context, **common), jobs.serve(shares, handle, {})


@pytest.fixture(params=["in process", pytest.param("as jobs", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "in process":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "a.db")
        return f"sqlite:///{tmp_path}/a.db"
    return wiped(request.getfixturevalue("engine_url"))


@pytest.fixture
async def dispatch(database: str) -> AsyncIterator[Dispatch]:
    feeds = [
        Feed.model_validate({"id": name, "url": f"https://h{n % 6}.example/{name}", "first_poll": "alert"})
        for n, name in enumerate(FEEDS)
    ]
    rule = RuleConfig.model_validate({"id": "watch", "any": ["S-400"], "notify": ["one", "two"]})
    channels = {name: {"name": name, "service": "console"} for name in ("one", "two")}
    settings = {"default_channels": ["one"], "stories": {"collapse": False}}
    config = Config.model_validate({"feeds": feeds, "rules": [rule], "channels": channels, "settings": settings})
    active = activate(config, [compile_rule(rule, {})])
    async with AsyncExitStack() as closing:
        store = await closing.enter_async_context(open_store(database, index_text=lambda entry: entry.title))
        clock = SystemClock()
        await store.feeds.sync(config.feeds, clock.now())
        found = Dispatch(store, database, Context(config=lambda: active, clock=clock, owner="me"))
        found.fetcher.pages = {feed.url: page(feed.id) for feed in feeds}
        yield found


def titles(dispatch: Dispatch, channel: str) -> Counter[str]:
    return Counter(
        entry.rpartition(" ")[2]
        for name, alert, _ in dispatch.notifier.said
        if name == channel
        for entry in words(alert)
    )


def words(alert: Any) -> list[str]:
    return [hit.entry.title for hit in alert.hits] or [alert.title]


async def test_everything_due_is_done_once(dispatch: Dispatch) -> None:
    """Every feed is polled once, none twice at once; each hit is sent once on each channel; then all is quiet."""
    await dispatch.until(lambda: all(titles(dispatch, name).keys() == set(FEEDS) for name in ("one", "two")))
    assert dispatch.asked() == Counter(FEEDS)
    assert dispatch.fetcher.twice == []
    assert titles(dispatch, "one") == titles(dispatch, "two") == Counter(FEEDS)
    summaries = await dispatch.store.catalog.feeds()
    assert {(one.state.health, one.state.lease_owner) for one in summaries} == {(Health.OK, None)}


async def test_a_feed_that_fails_delays_no_other(dispatch: Dispatch) -> None:
    """It is tried once and rests; all others arrive."""
    dispatch.fetcher.pages = {url: one for url, one in dispatch.fetcher.pages.items() if not url.endswith("/f3")}
    others = set(FEEDS) - {"f3"}
    await dispatch.until(lambda: titles(dispatch, "one").keys() == others and "f3" in dispatch.asked())
    assert dispatch.asked() == Counter(FEEDS)
    (failed,) = await dispatch.store.catalog.feeds(["f3"])
    assert (failed.state.failures, failed.state.lease_owner) == (1, None)


async def test_a_channel_that_hangs_delays_no_other(dispatch: Dispatch) -> None:
    """What waits for it is sent once it answers, and once only."""
    dispatch.notifier.waits["one"] = asyncio.Event()

    def arrived(*channels: str) -> bool:
        return all(titles(dispatch, name).keys() == set(FEEDS) for name in channels)

    def opened() -> bool:
        if arrived("two") and not dispatch.notifier.waits["one"].is_set():
            assert titles(dispatch, "one") == Counter()
            dispatch.notifier.waits["one"].set()
        return arrived("one", "two")

    await dispatch.until(opened)
    assert titles(dispatch, "one") == titles(dispatch, "two") == Counter(FEEDS)


async def test_what_was_interrupted_goes_on(dispatch: Dispatch) -> None:
    """Stopped in the midst of it, and what waited in the engine is lost: nothing else is."""
    await dispatch.until(lambda: len(dispatch.asked()) >= 5)
    if dispatch.store.cluster is not None:
        execute(dispatch.url, "TRUNCATE procrastinate_jobs CASCADE")
    await dispatch.until(lambda: titles(dispatch, "one").keys() == set(FEEDS))
    assert titles(dispatch, "one") == Counter(FEEDS)
    assert dispatch.fetcher.twice == []


@as_jobs
async def test_one_job_polls_everything_in_its_lane(dispatch: Dispatch) -> None:
    """However few places there are: what ends makes room for the next, between two looks of who plans."""
    assert dispatch.store.cluster is not None
    await dispatch.store.cluster.agree("lanes", "1")
    await asyncio.wait_for(dispatch.lone_worker(polling={"concurrency": 2}).poll(0, "1.0"), PATIENCE_S)
    assert dispatch.asked() == Counter(FEEDS)
    assert dispatch.fetcher.most_at_work == 2


@as_jobs
async def test_a_lane_is_given_back_when_its_hosts_have_rested(dispatch: Dispatch) -> None:
    """Whoever has it next knows nothing of these requests."""
    assert dispatch.store.cluster is not None
    await dispatch.store.cluster.agree("lanes", "1")
    asked, loop = list[tuple[float, set[str]]](), asyncio.get_running_loop()

    def rest_s(hosts: Iterable[str]) -> float:
        asked.append((loop.time(), set(hosts)))
        return 0.3

    await asyncio.wait_for(dispatch.lone_worker(rest_s=rest_s).poll(0, "1.0"), PATIENCE_S)
    ((ended_at, hosts),) = asked
    assert hosts == {f"h{number}.example" for number in range(6)}
    assert loop.time() - ended_at >= 0.3


@as_jobs
async def test_lanes_are_left_to_a_process_that_comes_later(dispatch: Dispatch) -> None:
    """Of two lanes, the one that was taken last is given back with the feeds of it that were not begun."""
    assert dispatch.store.cluster is not None
    await dispatch.store.cluster.agree("lanes", "2")
    worker = dispatch.lone_worker(http={"timeout_s": 149.0})  # so that of each host one is claimed at a time
    dispatch.fetcher.goes_on.clear()
    polling = []
    for lane in (0, 1):
        polling.append(asyncio.create_task(worker.poll(lane, f"{lane}.0")))
        async with asyncio.timeout(PATIENCE_S):
            while dispatch.fetcher.at_work.total() < 3 * (lane + 1):  # noqa: ASYNC110 - it counts, and tells nobody
                await asyncio.sleep(0.02)
    worker.share = 1
    await asyncio.sleep(2 * LOOK_S)
    dispatch.fetcher.goes_on.set()
    await asyncio.wait_for(asyncio.gather(*polling), PATIENCE_S)
    polled = Counter(slot_of(f"h{FEEDS.index(name) % 6}.example") % 2 for name in dispatch.asked())
    assert polled == {0: 12, 1: 3}
