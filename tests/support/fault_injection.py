"""The real service with one trap in it: at the n-th passage of a named point the process kills itself.

The traps wrap the ports of a real house; nothing in the product knows of them. A warm parent that
has imported everything forks one service for each order, so that a thousand kills take minutes:

    python -m tests.support.fault_injection CONFIG LOG

Orders are JSON lines on stdin, `{"point": "after send", "passage": 2}` (no point: no trap). For
each, stdout gets a line with the process id of the service, and one with its exit code at its end.
"""

import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

import aggregator.notify.apprise_notifier
import aggregator.store.factory  # noqa: F401  warm: what is imported here, no child imports again
from aggregator.app import load_config, node, run, service
from aggregator.app.application import Follow, open_application
from aggregator.app.service import Service
from aggregator.core.jobs import POLL
from aggregator.core.model import (
    Alert,
    Delivery,
    DeliveryState,
    Entry,
    Fetched,
    Job,
    PollResult,
    Receipt,
    Routed,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    UnroutedPoll,
)
from aggregator.core.redaction import Redactor
from aggregator.core.settings import Channel
from aggregator.engine import procrastinate as engine
from aggregator.engine.procrastinate import ProcrastinateJobs
from aggregator.ports import Decide, Feeds, Fetcher, Notifier, Outbox, Route
from aggregator.ports.jobs import Handle, Share
from aggregator.store import cluster
from aggregator.telemetry.logs import configure

POINTS = (
    "after fetch",  # a document has come, nothing of it is written
    "inside commit",  # entries are written, hits and deliveries are not
    "before COMMIT",  # all is written, the database has not been told to keep it
    "after commit",  # all is kept, nobody knows
    "after claim",  # a delivery is leased, its message is not made
    "after begin",  # the attempt is on record, nothing is sent
    "after send",  # the receiver has it, the attempt is not over
    "before settle",  # the attempt is over, the outcome is not written
    "after settle",  # the outcome is written
)
CLUSTER_POINTS = (
    "planning",  # it is known which lanes are due, no job is offered
    "job started",  # the engine has given a job, nothing of it is done
    "after fetch",
    "before commit",  # everything is found out about a poll, nothing of it is written
    "after commit",  # hits are stored and wait, their routing is not offered
    "inside commit",  # hits are being routed, nothing of that is written
    "before COMMIT",
    "after routing",  # alerts are stored, nobody has been offered to send them
)
ROLES = frozenset({"poll", "deliver"})
CLUSTER_ROLES = frozenset({"plan", "poll", "deliver", "route"})
SHORT_S = 0.1


class Fault:
    """Springs at the n-th passage of its point."""

    def __init__(self, point: str, passage: int) -> None:
        assert point in ("", *POINTS, *CLUSTER_POINTS), point
        self.point, self.left, self.committing = point, passage, False
        event.listen(Engine, "commit", self._commit)

    def passing(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def _commit(self, _: object) -> None:
        """In the writer's thread: the transaction of a poll with hits is about to be kept."""
        if self.committing:
            self.committing = False
            self.passing("before COMMIT")


class FaultRaised:
    """Passes everything on to the port that it wraps."""

    def __init__(self, inner: Any, trap: Fault) -> None:
        self._inner, self._trap = inner, trap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FaultyFetcher(FaultRaised):
    _inner: Fetcher

    async def fetch(self, *asked: Any) -> Any:
        answer = await self._inner.fetch(*asked)
        if isinstance(answer, Fetched):
            self._trap.passing("after fetch")
        return answer


class FaultyFeeds(FaultRaised):
    _inner: Feeds

    routes_later: bool

    async def commit(
        self,
        poll: PollResult,
        *,
        owner: str,
        question: RoutingQuery | None = None,
        route: Route | None = None,
        later: UnroutedPoll | None = None,
    ) -> tuple[Entry, ...]:
        if later is not None:
            self._trap.passing("before commit")
            written = await self._inner.commit(poll, owner=owner, later=later)
            self._trap.passing("after commit")
            return written
        if route is None:
            return await self._inner.commit(poll, owner=owner)
        written = await self._inner.commit(poll, owner=owner, question=question, route=self._routing(route))
        self._trap.passing("after commit")
        return written

    async def route_waiting(self, decide: Decide, now: datetime, **asked: Any) -> Routed:
        def deciding(poll: UnroutedPoll) -> tuple[RoutingQuery | None, Route]:
            question, route = decide(poll)
            return question, self._routing(route)

        routed = await self._inner.route_waiting(deciding, now, **asked)
        if routed.polls:
            self._trap.passing("after routing")
        return routed

    def _routing(self, route: Route) -> Route:
        def routing(context: RoutingContext) -> RoutingResult:
            routed = route(context)
            self._trap.passing("inside commit")
            self._trap.committing = True
            return routed

        return routing


class FaultyOutbox(FaultRaised):
    _inner: Outbox

    async def claim(self, now: datetime, **asked: Any) -> tuple[Delivery, ...]:
        claimed = await self._inner.claim(now, **asked)
        if claimed:
            self._trap.passing("after claim")
        return claimed

    async def begin(self, delivery: str, **asked: Any) -> None:
        await self._inner.begin(delivery, **asked)
        self._trap.passing("after begin")

    async def settle(self, after: Delivery, **asked: Any) -> None:
        if after.state is DeliveryState.SENT:
            self._trap.passing("before settle")
        await self._inner.settle(after, **asked)
        if after.state is DeliveryState.SENT:
            self._trap.passing("after settle")


class FaultyNotifier(FaultRaised):
    _inner: Notifier

    async def send(self, channel: Channel, alert: Alert, *, recipient: str = "") -> Receipt:
        receipt = await self._inner.send(channel, alert, recipient=recipient)
        self._trap.passing("after send")
        return receipt


class FastService(Service):
    """The same loops, ten times a second: little of a life is then spent away from the traps."""

    def _every(self, name: str, seconds: float, tick: Callable[[], Any], **options: Any) -> None:
        super()._every(name, SHORT_S if name in ROLES else seconds, tick, **options)


def trap_jobs(trap: Fault) -> None:
    """Lay the trap in the engine's jobs."""
    offer, serve = ProcrastinateJobs.offer, ProcrastinateJobs.serve

    async def offering(self: ProcrastinateJobs, jobs: Sequence[Job]) -> int:
        if any(job.kind == POLL for job in jobs):
            trap.passing("planning")
        return await offer(self, jobs)

    async def serving(
        self: ProcrastinateJobs, shares: Sequence[Share], handle: Handle, upkeep: Mapping[str, tuple[str, Handle]]
    ) -> None:
        async def handling(job: Job, token: str) -> None:
            trap.passing("job started")
            await handle(job, token)

        await serve(self, shares, handling, upkeep)

    ProcrastinateJobs.offer = offering  # type: ignore[method-assign]
    ProcrastinateJobs.serve = serving  # type: ignore[method-assign]


def hurry() -> None:
    """Take a process of a cluster for dead after two seconds: little of a life is then spent in waiting for that."""
    service.HEARTBEAT_S = engine.HEARTBEAT_S = 0.5  # type: ignore[attr-defined]
    engine.STALLED_S, engine.RESCUE = 2, "* * * * * */1"  # type: ignore[attr-defined]
    node.SURE_S, cluster.SILENT_S = 1.75, 2.0


def run_service(config: Path, point: str, passage: int) -> None:
    """Open the application, lay the trap, run the service until it is told to stop, or dies."""
    loaded = load_config(config)
    configure("warning", "json", Redactor(loaded.secrets))
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it remarks on every tick that found the last at work
    trap = Fault(point, passage)
    database = loaded.config.settings.database
    several = database is not None and database.get_secret_value().startswith("postgresql")
    if several:
        hurry()
        trap_jobs(trap)
    roles, follow = (CLUSTER_ROLES, Follow(config)) if several else (ROLES, None)

    async def serve() -> None:
        async with open_application(loaded, follow=follow, engine=several) as app:
            app.store = replace(
                app.store,
                feeds=FaultyFeeds(app.store.feeds, trap),
                outbox=FaultyOutbox(app.store.outbox, trap),
            )
            runtime = await app.runtime()
            runtime.sources = FaultyFetcher(runtime.sources, trap)  # type: ignore[assignment]
            runtime.notifier = FaultyNotifier(runtime.notifier, trap)
            await FastService(app, runtime, config, roles).run()

    run(serve())


def fork(work: Callable[[], None], log: Path) -> int:
    """Run `work` in a child with its output in `log`; gives the child's process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, file in ((0, null), (1, out), (2, out)):
        os.dup2(file, number)
    code = 70
    try:
        work()
        code = 0
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        if sys.exc_info()[0]:
            sys.excepthook(*sys.exc_info())
        os._exit(code)


def main(arguments: Sequence[str]) -> None:
    config, log = map(Path, arguments)
    for line in sys.stdin:
        order = json.loads(line)
        child = fork(lambda order=order: run_service(config, order.get("point", ""), order.get("passage", 1)), log)  # type: ignore[misc]
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
