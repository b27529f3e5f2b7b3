"""A process as a node of a cluster: it lives visibly, plans, and works on jobs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import monotonic

from aggregator import __version__
from aggregator.app.application import Application
from aggregator.app.cluster_config import node_name
from aggregator.app.metrics import observe_deliveries, observe_routing
from aggregator.app.runtime import Runtime
from aggregator.core.cluster_findings import is_alive, present
from aggregator.core.errors import AggregatorError, Conflict, SchemaOutOfDate
from aggregator.core.jobs import DELIVER, HEARTBEAT_S, POLL, ROUTE, STALLED_S, channel_queue
from aggregator.core.model import Job, Node
from aggregator.core.polling.lanes import fair_share
from aggregator.core.versions import is_older
from aggregator.pipeline.lanes import LaneWorker, Planner
from aggregator.ports.cluster import Cluster
from aggregator.ports.jobs import Handle, Jobs, Share
from aggregator.store import SCHEMA

log = logging.getLogger(__name__)

LANES, CHANNELS = 16, 8  # jobs of one process at a time
SURE_S = STALLED_S - HEARTBEAT_S / 2  # after a heartbeat: so long nobody takes us for dead

Upkeep = Mapping[str, tuple[str, Callable[[], Awaitable[object]]]]


class ClusterNode:
    """Runs the roles of one process in a cluster. Closed with `close`."""

    def __init__(self, app: Application, runtime: Runtime, cluster: Cluster, roles: frozenset[str]) -> None:
        self._app, self._runtime, self._cluster, self._roles = app, runtime, cluster, roles
        self.jobs: Jobs = app.jobs(LANES + CHANNELS)
        self._deliver = runtime.deliverer()
        feeds = app.store.feeds
        self._planner = Planner(app.context, cluster=cluster, feeds=feeds, jobs=self.jobs, deliver=self._deliver)
        self._worker = LaneWorker(
            app.context,
            cluster=cluster,
            feeds=feeds,
            ingestor=runtime.ingestor(),
            deliver=self._deliver,
            jobs=self.jobs,
            rest_s=runtime.fetcher.politeness.rest_s,
            observe=partial(observe_routing, runtime.metrics),
        )
        self._sure_until = monotonic() + SURE_S
        self._started_at = app.clock.now()
        self._behind: set[int] = set()
        self.outdated: SchemaOutOfDate | None = None  # why this program has no part in the cluster any more
        self._offering: asyncio.Task[None] | None = None
        self._more_hits = False
        runtime.fetcher.politeness.permit = self._permit
        runtime.on_hits = self._offer_hits

    # --- being there -----------------------------------------------------------------------------

    async def beat(self) -> bool:
        """Record that this process lives; return whether it may go on (else see `outdated`). Raises StoreError."""
        began = monotonic()
        heard = await self._cluster.beat(self._self())
        # Stopped, or cut off: what it held may have been given to others.
        if monotonic() > self._sure_until and (lanes := await self._worker.abandon()):
            log.warning("this process was away for too long; its %d lanes are polled elsewhere", lanes)
        self._sure_until = began + SURE_S
        self._worker.share = fair_share(heard.lanes, heard.pollers)
        if is_older(__version__, heard.oldest_program) and self.outdated is None:
            needed = f"the cluster needs aggregator {heard.oldest_program} or newer"
            self.outdated = SchemaOutOfDate(f"{needed}, this is {__version__}: upgrade this machine")
            log.error("%s; finishing what is under way", self.outdated)
        return self.outdated is None

    def _self(self) -> Node:
        faults = [str(fault) for fault in self._app.loaded.faults if fault.severity == "error"]
        return Node(
            id=self._app.owner,
            name=node_name(),
            roles=tuple(sorted(self._roles)),
            version=__version__,
            schema=SCHEMA,
            config=self._app.current.number,
            lacks="; ".join(faults[:3]),
            started_at=self._started_at,
            heartbeat_at=self._app.clock.now(),
        )

    def _permit(self) -> None:
        """Raise Conflict before a request if others may take this process for dead."""
        if monotonic() > self._sure_until:
            raise Conflict("this process could not reach the database for a while; what it held is left to others")

    async def measure(self) -> None:
        """Update the gauges of the cluster."""
        nodes, queue = present(await self._cluster.nodes()), await self.jobs.waiting()
        self._runtime.metrics.observe_cluster(nodes, queue, alive=frozenset(filter(is_alive, nodes)))

    # --- planning and working --------------------------------------------------------------------

    async def plan(self) -> None:
        await self._planner.tick()

    async def serve(self, upkeep: Upkeep) -> None:
        """Work on jobs until cancelled."""
        shares = [Share(self._channels, CHANNELS)] if "deliver" in self._roles else []
        if "poll" in self._roles:
            shares.append(Share(lambda: (POLL,), LANES, self._worker.has_enough))
        if "route" in self._roles:
            shares.append(Share(lambda: (ROUTE,), 1))
        periodic: dict[str, tuple[str, Handle]] = {}
        if "plan" in self._roles:
            periodic = {name: (cron, _upkeep(work)) for name, (cron, work) in upkeep.items()}
        await self.jobs.serve(shares, self._handle, periodic)
        await asyncio.Event().wait()  # it was stopped: to end now would pass for a failure

    def _channels(self) -> Sequence[str]:
        """Return the queues of the channels that can be used here."""
        channels = self._app.current.config.channels
        return [channel_queue(name) for name, channel in channels.items() if channel.available]

    async def _handle(self, job: Job, token: str) -> None:
        known = await self._knows(job.config)
        if job.kind == ROUTE:  # what another configuration found is left to those who know it
            await self._worker.route()
        elif not known:
            return
        elif job.kind == POLL:
            await self._worker.poll(int(job.subject), token)
        elif job.kind == DELIVER:
            observe_deliveries(self._runtime.metrics, await self._worker.send(job.subject, token))

    def _offer_hits(self) -> None:
        """Have hits routed that were just stored; the node that plans would do so within a second."""
        if self._offering is None:
            self._offering = asyncio.create_task(self._offer_routing(), name="offer routing")
        else:
            self._more_hits = True

    async def _offer_routing(self) -> None:
        try:
            self._more_hits = True
            while self._more_hits:
                self._more_hits = False
                await self.jobs.offer([Job(kind=ROUTE, config=self._app.current.number)])
        except AggregatorError as error:
            log.info("routing is left to the node that plans: %s", error)
        finally:
            self._offering = None

    async def _knows(self, number: int) -> bool:
        """Follow the configuration that a job needs; return whether that worked."""
        follower = self._app.follower
        if follower is None or number <= self._app.current.number:
            return True
        try:
            await follower.follow(at_least=number)
        except AggregatorError as error:
            if number not in self._behind:
                self._behind.add(number)
                log.error("configuration %d cannot be followed here: %s", number, error)
        return number <= self._app.current.number

    async def drain(self, grace_s: float) -> None:
        """Take nothing more, let what is under way end, and say good-bye."""
        self._worker.stop()
        await self._deliver.stop(0)
        await self.jobs.stop(grace_s)
        try:
            async with asyncio.timeout(2):
                await self._cluster.leave(self._app.owner)
        except (AggregatorError, TimeoutError) as error:
            log.info("this node is left in the list of nodes: %s", error)

    async def close(self) -> None:
        await self.jobs.close()


def _upkeep(work: Callable[[], Awaitable[object]]) -> Handle:
    async def handle(_: Job, __: str) -> None:
        await work()

    return handle
