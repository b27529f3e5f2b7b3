"""Dispatch in a cluster: who is due is offered as jobs, and jobs are worked on; any number of processes do either.

Nothing is known here that is not in the tables: a lost job is offered again, and a job without work ends at once.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from aggregator.core.jobs import DELIVER, PLAN_S, POLL, ROUTE
from aggregator.core.model import Job
from aggregator.core.polling.lanes import SLOTS, lanes_for
from aggregator.pipeline.context import Context
from aggregator.pipeline.deliver import Deliver
from aggregator.pipeline.delivery_counts import DeliveryCounts
from aggregator.pipeline.ingest import Ingestor
from aggregator.pipeline.poll import Places, Poller
from aggregator.pipeline.routing import HitRouter
from aggregator.ports import Cluster, Feeds
from aggregator.ports.cluster import Lane
from aggregator.ports.jobs import Jobs

log = logging.getLogger(__name__)

LANE_S = 30.0  # how long one job goes on claiming; then somebody else may have the lane
CHANNEL_S = 120.0
ROUTE_S = 30.0
ROUTER = "router"  # what the cluster agrees on: who routed last
COUNT_LANES_S = 60.0


class Planner:
    """Offers jobs for lanes, channels and routing with work; one process of the cluster at a time."""

    def __init__(self, context: Context, *, cluster: Cluster, feeds: Feeds, jobs: Jobs, deliver: Deliver) -> None:
        self._context, self._cluster, self._feeds, self._jobs = context, cluster, feeds, jobs
        self._deliver = deliver

    async def tick(self) -> int:
        """Plan, if it is this process's turn; return how many jobs were offered. Raises StoreError."""
        if not await self._cluster.turn("plan", PLAN_S * 0.9, by=self._context.owner):
            return 0
        live, now, number = await self._jobs.live(), self._context.now(), self._context.active.number
        lanes = await self._lanes(live)
        due = await self._cluster.due_lanes(now, lanes) if lanes else ()
        wanted = [Job(kind=POLL, subject=str(lane), config=number) for lane in due]
        await self._cluster.end_silent(now)
        channels = sorted(await self._deliver.offers(now))
        wanted += [Job(kind=DELIVER, subject=channel, config=number) for channel in channels]
        if (await self._feeds.unrouted(now)).due:  # the process that stored them offered this, or died
            wanted.append(Job(kind=ROUTE, config=number))
        return await self._jobs.offer([job for job in wanted if job.name not in live])

    async def _lanes(self, live: Iterable[str]) -> int:
        """Return the number of lanes; 0: it changes, as soon as no job of the old one lives."""
        lanes = await self._cluster.lanes()
        wanted = int(await self._cluster.agreed("wanted lanes") or lanes)
        if await self._cluster.turn("lanes", COUNT_LANES_S, by=self._context.owner):
            counted = lanes_for(await self._cluster.polls_per_s())
            wanted = counted if counted > lanes or counted * 4 <= lanes else lanes
            await self._cluster.agree("wanted lanes", str(wanted))
        if wanted == lanes:
            return lanes
        if any(name.startswith(f"{POLL}:") for name in live):
            return 0
        await self._cluster.agree("lanes", str(wanted))
        log.info("feeds are shared out in %d lanes from now on", wanted)
        return wanted


class LaneWorker:
    """Works on the jobs that this process was given: lanes, channels, routing."""

    def __init__(
        self,
        context: Context,
        *,
        cluster: Cluster,
        feeds: Feeds,
        ingestor: Ingestor,
        deliver: Deliver,
        jobs: Jobs,
        rest_s: Callable[[Iterable[str]], float],
        observe: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        """`rest_s`: how long the last of some hosts is still to be left alone; `observe` hears what became of hits."""
        self._context, self._cluster, self._feeds, self._jobs = context, cluster, feeds, jobs
        self._router = HitRouter(context, feeds, self._offer_channels, observe)
        self._ingestor, self._deliver, self._rest_s = ingestor, deliver, rest_s
        self._places = Places()
        self._pollers: dict[str, Poller] = {}
        self._owners: set[str] = set()
        self._stopping = False
        self.share = SLOTS  # of the lanes, at a time: others want some too

    def has_enough(self, lanes: int) -> bool:
        """Tell whether others are to take the next lane."""
        return lanes >= self.share

    async def poll(self, number: int, token: str) -> None:
        """Poll what is due in a lane, for a while. Raises StoreError."""
        lane = Lane(number, await self._cluster.lanes())
        if number >= lane.of:
            return
        owner = f"{self._context.owner}/{token}"
        self._owners.add(owner)
        poller = Poller(
            replace(self._context, owner=owner), self._ingestor, self._feeds, lane=lane, places=self._places
        )
        try:
            await self._cluster.take_lane(lane, owner=owner, mine=self._owners, now=self._context.now())
            self._pollers[owner] = poller
            over = self._over(LANE_S)
            await poller.run(lambda: over() or self._is_surplus(owner))
            await asyncio.sleep(self._rest_s(poller.hosts))  # the next process knows nothing of these requests
        finally:
            self._pollers.pop(owner, None)
            await poller.drain(0.0)
            self._owners.discard(owner)

    def _is_surplus(self, owner: str) -> bool:
        """Tell whether a lane is to be left to a process that came later: the last ones that were taken are."""
        return self.has_enough(list(self._pollers).index(owner))

    async def send(self, channel: str, token: str) -> DeliveryCounts:
        """Send what is due on a channel, for a while. Raises StoreError."""
        owner = f"{self._context.owner}/{token}"
        self._owners.add(owner)
        try:
            await self._cluster.take_channel(channel, owner=owner, mine=self._owners, now=self._context.now())
            return await self._deliver.serve(channel, owner, self._over(CHANNEL_S))
        finally:
            self._owners.discard(owner)

    async def route(self) -> int:
        """Route hits that wait, for a while. Raises StoreError."""
        owner = self._context.owner
        if await self._cluster.agreed(ROUTER) != owner:
            self._context.vocabulary.forget()
            await self._cluster.agree(ROUTER, owner)
        return await self._router.run(self._over(ROUTE_S))

    async def _offer_channels(self, channels: Collection[str]) -> None:
        """Have alerts sent at once, instead of after the next look of who plans."""
        number = self._context.active.number
        await self._jobs.offer([Job(kind=DELIVER, subject=name, config=number) for name in sorted(channels)])

    async def abandon(self) -> int:
        """Drop all polls that are under way: others may have taken the lanes meanwhile. Return how many lanes."""
        pollers: Sequence[Poller] = tuple(self._pollers.values())
        for poller in pollers:
            await poller.drain(0.0)
        return len(pollers)

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True

    def _over(self, seconds: float) -> Callable[[], bool]:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        return lambda: self._stopping or loop.time() >= until
