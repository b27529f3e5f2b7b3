"""The running service: its loops, its signals, its end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Protocol, TextIO

from aggregator.app.application import Application
from aggregator.app.backend import AppBackend, metrics_server, web_server
from aggregator.app.extras import missing
from aggregator.app.first_polls import FirstPolls
from aggregator.app.list_updates import ListUpdates
from aggregator.app.metrics import observe_deliveries
from aggregator.app.nodes import make_node
from aggregator.app.paths import default_config_path
from aggregator.app.processes import register, registry_folder, this_process
from aggregator.app.runtime import Runtime
from aggregator.config import digest as digest_of
from aggregator.core.errors import AggregatorError, ConfigErrors, DatabaseFault
from aggregator.core.jobs import HEARTBEAT_S, PLAN_S
from aggregator.core.model import Health, LoopStatus
from aggregator.pipeline.delivery_counts import DeliveryCounts
from aggregator.pipeline.polled import PolledFeed
from aggregator.scheduler import Scheduler, kept_alive
from aggregator.telemetry.heartbeat import HeartbeatMonitor
from aggregator.telemetry.systemd import notify, watchdog_s

log = logging.getLogger(__name__)

DRAIN_S = 6.0
LOOP_TIMEOUT_S = 45.0
PRUNE_TIMEOUT_S = 1800.0  # a year's worth at once, after a change of settings.retention, is no hang
DELIVER_S = 1.0
DELIVER_WAIT_S = 0.5
CLOCK_S = 5.0
FOLLOW_S = 5.0
FAULT_LASTS_S = 60.0  # a full disk, a restart of the server: reported if it lasts longer
CLOCK_JUMP = timedelta(seconds=2)

SOON_S = 0.05  # from a hit to the turn of its channel: polls that end together wake it once

Ready = Callable[[str | None], None]


class Watch(Protocol):
    """What a terminal shows while the service runs; `stderr` and `stdout` are where everything else is printed."""

    stderr: TextIO
    stdout: TextIO

    def polled(self, polled: PolledFeed) -> None: ...

    def delivered(self, counts: DeliveryCounts) -> None: ...

    def due(self, at: datetime | None, now: datetime) -> None: ...

    def say(self, sentence: str) -> None: ...

    def close(self) -> None: ...


class Service:
    """Run the roles of one process until it is asked to stop."""

    def __init__(
        self,
        app: Application,
        runtime: Runtime,
        config_path: Path | None,
        roles: frozenset[str],
        *,
        metrics: str | None = None,
        watch: Watch | None = None,
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        """`metrics`: where figures are served, whatever settings.metrics.listen says and beside a page too.

        `config_path`: None where this process has no files, and follows the configuration in the database.
        `on_stop` is called with the first signal to end.
        """
        self.app = app
        self.works = runtime
        self.path = config_path
        cluster = app.store.cluster
        self.roles = roles if cluster else roles - {"plan", "route"}  # of which there is nothing without a cluster
        self.metrics = metrics
        self.heart = HeartbeatMonitor()
        self.schedule = Scheduler(self._beat, self._failed)
        self.poller = runtime.poller()
        self.full_texts = runtime.article_fetcher()
        self.deliverer = runtime.deliverer()
        self.maintainer = app.maintainer()
        self.lists = ListUpdates(app)
        self.backend = AppBackend(
            app,
            config_path or default_config_path(),
            reloading=self.reload,
            loop_statuses=self._loop_statuses,
            metrics_source=runtime.metrics.text,
            started_at=app.clock.now(),
            fault=lambda: self._fault,
        )
        self.node = make_node(app, runtime, roles)
        self._fault: ConfigErrors | None = None
        self._database_fault: DatabaseFault | None = None
        self._fault_since: float | None = None
        self._fault_reported: str | None = None
        self._fault_logged = False
        self._logged_at: dict[str, float] = {}
        self._on_stop = on_stop
        self._watch = watch
        say = watch.say if watch else partial(log.info, "%s")
        self._first_polls = FirstPolls(say, lambda: sum(rule.enabled for rule in app.current.config.rules))
        self._delivery_timer: asyncio.TimerHandle | None = None
        runtime.on_poll = self._polled
        if self.node is None and "deliver" in roles:
            runtime.on_hits = self._deliver_soon
        self._stop = asyncio.Event()
        self._reloading: set[asyncio.Task[ConfigErrors | None]] = set()
        self._seen_digest: str = app.loaded.digest
        self._looked_at_digest = app.loaded.digest

    async def run(self, *, ready: Ready | None = None, span: timedelta | None = None) -> None:
        """Start the loops, say READY, wait for the end, drain. Raises DatabaseFault where the database is gone."""
        self._listen()
        self._warn_of_extras()
        await asyncio.to_thread(self.app.current.recipients.resolve)  # loads Apprise, for which no commit should wait
        await self.app.store.maintenance.repair_future_dates(self.app.clock.now())
        async with contextlib.AsyncExitStack() as stack:
            self.heart.expect("clock", CLOCK_S + LOOP_TIMEOUT_S, self.app.clock.now())
            clock = asyncio.create_task(kept_alive("clock", self._watch_clock, self._failed), name="clock")
            stack.callback(clock.cancel)
            page = await stack.enter_async_context(contextlib.AsyncExitStack())
            self._first_polls.page = address = await self._open_page(page)
            started_at = self.backend.started_at or self.app.clock.now()
            folder = registry_folder(self.app.current.config)
            process = this_process(started_at, self.roles, address)
            stack.enter_context(register(folder, process, self.app.owner))
            self._first_polls.expected = (await self.app.store.catalog.health()).get(Health.NEW, 0)
            await self._join(stack)
            self._plan()
            self.schedule.start()
            if self.app.follower is not None:
                heard = partial(self.app.follower.hear, lambda: self.schedule.soon("follow", self.app.clock.now()))
                stack.callback(asyncio.create_task(kept_alive("pushes", heard), name="pushes").cancel)
            log.info(
                "ready",
                extra={"feeds": len(self.app.current.feeds), "rules": len(self.app.current.rules), "page": address},
            )
            notify("READY=1")
            if "plan" in self.roles and not self.app.current.feeds:
                self._first_polls.end()
            if ready:
                ready(address)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), span.total_seconds() if span else None)
            notify("STOPPING=1")
            log.info("shutting down; waiting for in-flight work")
            await asyncio.gather(self._drain(), page.aclose())
        if self._database_fault and self._database_fault.kind == "gone":
            raise self._database_fault  # an exit code that the supervisor takes for a failure
        if self.node is not None and self.node.outdated:
            raise self.node.outdated

    async def _join(self, stack: contextlib.AsyncExitStack) -> None:
        """Be a node of the cluster, if there is one."""
        if self.node is None:
            await self.works.route_waiting()
            return
        stack.push_async_callback(self.node.close)
        await self._beat_node()
        upkeep: dict[str, tuple[str, Callable[[], Awaitable[object]]]] = {
            "articles": ("* * * * * */2", self._read_articles),
            "index": ("* * * * * */5", self.app.store.maintenance.index_text),
            "deaths": ("* * * * * */10", self.maintainer.report_deaths),
            "hubs": ("* * * * *", self.works.websub().tick),
            "prune": ("0 * * * *", self.maintainer.prune),
        }
        serving = kept_alive("jobs", partial(self.node.serve, upkeep), self._failed)
        stack.callback(asyncio.create_task(serving, name="jobs").cancel)

    async def _beat_node(self) -> None:
        """Live on in the cluster, or end where it needs a newer program."""
        assert self.node is not None
        if not await self.node.beat() and not self._stop.is_set():
            self._stop_requested()

    def _warn_of_extras(self) -> None:
        for what, extra in missing(self.app.current.config):
            log.warning("%s is disabled: it requires the extra %s, which is not installed", what, extra)

    async def _open_page(self, stack: contextlib.AsyncExitStack) -> str | None:
        """Open the page and return its address; None without a page, when metrics alone may have an address."""
        settings = self.app.current.config.settings
        shown = "web" in self.roles and settings.web.enabled
        listen = self.metrics or (None if shown else settings.metrics.listen)
        if listen:
            await stack.enter_async_context(metrics_server(self.backend, listen))
        return await stack.enter_async_context(web_server(self.backend, settings.web.listen)) if shown else None

    async def _drain(self) -> None:
        """Stop claiming, let what is under way end, free the leases of the rest."""
        await asyncio.gather(
            self.poller.drain(DRAIN_S),
            self.full_texts.drain(DRAIN_S),
            self.node.drain(DRAIN_S) if self.node else self.deliverer.stop(DRAIN_S),
            self.schedule.stop(DRAIN_S),
        )

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_requested)
        loop.add_signal_handler(signal.SIGHUP, self._request_reload)

    def _request_reload(self) -> None:
        """Reload now; what goes wrong in a way that `reload` does not know is logged."""
        task = asyncio.get_running_loop().create_task(self.reload(), name="reload")
        self._reloading.add(task)

        def ended(task: asyncio.Task[ConfigErrors | None]) -> None:
            self._reloading.discard(task)
            if not task.cancelled() and (error := task.exception()):
                log.error("the configuration could not be reloaded: %r", error, exc_info=error)

        task.add_done_callback(ended)

    def _stop_requested(self) -> None:
        if self._stop.is_set():  # the second time, a person is impatient
            raise SystemExit(1)
        self._stop.set()
        self._on_stop()

    # --- loops -----------------------------------------------------------------------------------

    def _plan(self) -> None:
        if self.node is not None:
            self._every("node", HEARTBEAT_S, self._beat_node)
            self._every("cluster", 10.0, self.node.measure)
            if "plan" in self.roles:
                self._every("plan", PLAN_S, self.node.plan)
        elif "poll" in self.roles:
            self._every("poll", 1.0, self.poller.tick)
            self._every("hubs", 60.0, self.works.websub().tick)
            self._every("articles", 2.0, self._read_articles)
            self._every("index", 5.0, self.app.store.maintenance.index_text)
        if self.node is None and "deliver" in self.roles:
            self._every("deliver", DELIVER_S, self._deliver)
        self._every("database", 1.0, self._mind_database)
        if self.path is not None:
            self._every("config", 2.0, self._watch_config)
        if self.app.follower is not None:
            self._every("follow", FOLLOW_S, self._follow)
        self._every("lists", 5.0, self.lists.tick)
        if self.node is None or "plan" in self.roles:
            self._every("figures", 10.0, self.works.measure)
        if self.node is None:
            self._every("deaths", 10.0, self.maintainer.report_deaths)
            self._every("prune", 3600.0, self.maintainer.prune, timeout_s=PRUNE_TIMEOUT_S)
        if self._watch:
            self._every("terminal", 1.0, self._show)
        if watchdog_s():
            self._every("watchdog", watchdog_s() or 1.0, self._ping_watchdog)
        self._plan_heartbeat()

    def _every(
        self, name: str, seconds: float, tick: Callable[[], Awaitable[object]], *, timeout_s: float = LOOP_TIMEOUT_S
    ) -> None:
        now = self.app.clock.now()
        self.heart.expect(name, seconds + timeout_s, now)
        self.works.metrics.expect(name)
        self.schedule.every(name, seconds, tick, now=now)

    def _plan_heartbeat(self) -> None:
        """Plan one tick for each time zone whose channels receive heartbeats."""
        rhythm = self.app.current.config.settings.health.heartbeat
        ours = "deliver" in self.roles if self.node is None else "plan" in self.roles
        zones = self.maintainer.heartbeat_zones() if rhythm and ours else ()
        planned = {f"heartbeat {zone}": zone for zone in zones}
        for name in self.schedule.names("heartbeat ") - planned.keys():
            self.schedule.forget(name)
        for name, zone in planned.items():
            self.schedule.rhythm(name, rhythm or "", zone, partial(self.maintainer.heartbeat, zone))

    def _beat(self, name: str) -> None:
        now = self.app.clock.now()
        self.heart.beat(name, now)
        self.works.metrics.beat(name, now.timestamp())

    def _failed(self, name: str, error: BaseException) -> None:
        if isinstance(error, DatabaseFault):  # it is alive: /readyz reports the database; a restart would not help
            self.heart.beat(name, self.app.clock.now())
        self.heart.failed(name, error)
        self.works.metrics.tick_failures.labels(name).inc()

    def _loop_statuses(self) -> tuple[LoopStatus, ...]:
        return self.heart.statuses(self.app.clock.now())

    async def _read_articles(self) -> None:
        if any(feed.full_text for feed in self.app.current.config.feeds):
            await self.full_texts.tick()

    def _polled(self, polled: PolledFeed) -> None:
        """Tell a terminal of a poll, and people of the first look at feeds once it is over."""
        if self._watch:
            self._watch.polled(polled)
        if polled.first:
            self._first_polls.add(polled)

    async def _show(self) -> None:
        assert self._watch is not None
        self._watch.due(await self.app.store.feeds.next_due_at(), self.app.clock.now())

    async def _deliver(self) -> None:
        counts = await self.deliverer.tick(self.app.clock.now(), wait_s=DELIVER_WAIT_S)
        if self._watch:
            self._watch.delivered(counts)
        observe_deliveries(self.works.metrics, counts)

    def _deliver_soon(self) -> None:
        """Send what a poll has queued, which would wait for its second otherwise."""
        if self._delivery_timer is None:
            self._delivery_timer = asyncio.get_running_loop().call_later(SOON_S, self._wake_delivery)

    def _wake_delivery(self) -> None:
        self._delivery_timer = None
        self.schedule.soon("deliver", self.app.clock.now())

    async def _ping_watchdog(self) -> None:
        late = [loop.name for loop in self.heart.statuses(self.app.clock.now()) if loop.late]
        if late:
            log.error("loops stalled; skipping watchdog ping", extra={"loops": late})
        else:
            notify("WATCHDOG=1")

    async def _mind_database(self) -> None:
        """Report a fault of the database: to people at once where it is damaged or gone, else once it has lasted.

        The log says it at once and once a minute. A database that is gone ends the service: started again, it opens
        what has that name then.
        """
        fault, known = self.app.store.maintenance.fault(), self._database_fault
        self._database_fault = fault
        self.works.metrics.database_up.set(fault is None)
        if fault is None:
            if known is not None:
                notify("STATUS=")
            if self._fault_logged:
                log.warning("the database is writable again")
            self._fault_since, self._fault_reported, self._fault_logged = None, None, False
            return
        if known is None or known.kind != fault.kind:
            notify(f"STATUS={fault}")
        if monotonic() - self._logged_at.get(fault.kind, -FAULT_LASTS_S) >= FAULT_LASTS_S:  # it may come and go
            self._logged_at[fault.kind], self._fault_logged = monotonic(), True
            log.critical("%s", fault)
        self._fault_since = self._fault_since or monotonic()
        lasts = fault.kind in ("damaged", "gone") or monotonic() - self._fault_since > FAULT_LASTS_S
        if lasts and fault.kind != self._fault_reported and "deliver" in self.roles:
            self._fault_reported = fault.kind
            await self.maintainer.warn_of_database(fault, self.works.notifier)
        if fault.kind == "gone":
            self._stop.set()

    async def _watch_clock(self) -> None:
        """Ticks and due times go by the clock on the wall: set back, it would keep them all waiting."""
        while True:
            wall, steady = self.app.clock.now(), monotonic()
            self._beat("clock")
            await asyncio.sleep(CLOCK_S)
            expected = wall + timedelta(seconds=monotonic() - steady)
            if expected - self.app.clock.now() > CLOCK_JUMP:
                await self._clock_set_back(expected - self.app.clock.now())

    async def _clock_set_back(self, by: timedelta) -> None:
        now = self.app.clock.now()
        self.schedule.resume(now)
        self.heart.restart(now)
        try:
            count = await self.app.store.maintenance.repair_future_dates(now)
        except AggregatorError as error:
            log.error("the clock was set back by %s; schedules could not be adjusted: %s", by, error)
        else:
            log.warning("the clock was set back by %s; %d feeds and alerts are now due", by, count)

    # --- reload ----------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Take over what another node has put in force."""
        assert self.app.follower is not None
        if await self.app.follower.follow():
            self._fault = None
            self._plan_heartbeat()

    async def _watch_config(self) -> None:
        """Take over an edit that two looks agree on: what is still being written is no configuration yet."""
        assert self.path is not None
        digest = await asyncio.to_thread(digest_of, self.path)
        still, self._looked_at_digest = digest == self._looked_at_digest, digest
        if still and digest != self._seen_digest:
            await self._take_over(digest)

    async def reload(self, before: str | None = None) -> ConfigErrors | None:
        """Apply the configuration on disk; if it is faulty, the old one stays and a notice is sent.

        `before`: the digest of what a page edited; if another file is being written, the next looks take over both."""
        try:
            if before not in (None, self._seen_digest, self._looked_at_digest, self.app.loaded.digest):
                return None
            if self.path is None:
                await self._follow()
                return None
            return await self._take_over(None)
        except AggregatorError as error:
            log.error("the configuration could not be reloaded: %s", error)
            return None

    async def _take_over(self, digest: str | None) -> ConfigErrors | None:
        """Take over what is on disk, if it still has `digest`. Raises AggregatorError; the next look tries again."""
        assert self.path is not None
        self._seen_digest = await asyncio.to_thread(digest_of, self.path) if digest is None else digest
        try:
            taken = await self.app.reload(self.path, digest=digest)
        except ConfigErrors as errors:
            if digest not in (None, await asyncio.to_thread(digest_of, self.path)):
                return None  # it was written to meanwhile
            log.error("invalid configuration; keeping the running one\n%s", errors)
            self.works.metrics.reloads.labels("refused").inc()
            self._fault = errors
            await self.maintainer.notice_faulty_config(errors, self._seen_digest)
            return errors
        except AggregatorError:
            self._seen_digest = self.app.loaded.digest
            self.works.metrics.reloads.labels("failed").inc()
            raise
        if not taken:  # the next looks see what it has become
            self._seen_digest = self.app.loaded.digest
            return None
        self._fault = None
        self.works.metrics.reloads.labels("taken").inc()
        self._plan_heartbeat()
        current = self.app.current
        log.info("configuration reloaded", extra={"feeds": len(current.feeds), "rules": len(current.rules)})
        return None
