"""Routing of the hits of polls: inside their commits, or after them by one process of a cluster at a time."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aggregator.core.model import (
    Entry,
    Frequencies,
    HitState,
    PollResult,
    Routed,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    UnroutedPoll,
)
from aggregator.core.titles import hit_outcome
from aggregator.pipeline.context import Context
from aggregator.ports import Feeds, Route

if TYPE_CHECKING:
    from aggregator.core.routing import Router

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Noted:
    """A route that keeps its answer: a transaction may be tried again, and the last one was written."""

    route: Route
    routed: RoutingResult = field(default_factory=RoutingResult)

    def __call__(self, context: RoutingContext) -> RoutingResult:
        self.routed = self.route(context)
        return self.routed


def decide(router: "Router", frequencies: Frequencies, poll: UnroutedPoll) -> tuple[RoutingQuery | None, Route]:
    """Return what must be looked up to route the hits of a poll, and what decides about them then."""
    from aggregator.core.events import with_poll  # a pass without hits does without

    frequencies = with_poll(frequencies, [*poll.reports.values()])
    question = router.query(poll.hits, poll.entries, poll.at, poll.reports, frequencies)
    route = partial(
        router.route,
        poll.hits,
        poll.entries,
        poll.at,
        reports=poll.reports,
        frequencies=frequencies,
        question=question,
        part=poll.part,
    )
    return question, route


async def commit_poll(
    feeds: Feeds,
    poll: PollResult,
    owner: str,
    asked: UnroutedPoll,
    router: Callable[[], "Router"],
    frequencies: Frequencies,
) -> tuple[tuple[Entry, ...], Mapping[str, int]]:
    """Write a poll and route its hits, or let them wait; return its entries, and what became of its hits in words.

    Raises StoreError.
    """
    if not asked.hits:
        return await feeds.commit(poll, owner=owner), {}
    if feeds.routes_later:
        stored = await feeds.commit(poll, owner=owner, later=asked)
        return stored, _foreseen(asked)
    question, route = decide(router(), frequencies, asked)
    answer = _Noted(route)
    stored = await feeds.commit(poll, owner=owner, question=question, route=answer)
    return stored, Counter(map(hit_outcome, answer.routed.hits))


def _foreseen(poll: UnroutedPoll) -> Mapping[str, int]:
    """Say what will become of hits that wait: of what was there before the first poll it is known already."""
    from aggregator.core.routing import STALE

    stale = {(entry.feed, entry.key): str(entry.reason) for entry in poll.entries if entry.reason in STALE}
    new = (replace(hit, state=HitState.NEW) for hit in poll.hits)
    return Counter(
        hit_outcome(replace(hit, state=HitState.HELD, reason=reason) if reason else hit)
        for hit in new
        for reason in [stale.get((hit.feed, hit.entry_key), "")]
    )


class HitRouter:
    """Routes what waits; one process at a time does so, which the database sees to."""

    def __init__(
        self,
        context: Context,
        feeds: Feeds,
        routed: Callable[[Collection[str]], Awaitable[object]] | None = None,
        observe: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        """`routed` is awaited with the channels that have something to send; `observe` hears what became of hits."""
        self._context, self._feeds, self._routed, self._observe = context, feeds, routed, observe

    async def run(self, over: Callable[[], bool] = lambda: False) -> int:
        """Route until nothing waits or `over()`; return the number of hits. Raises StoreError."""
        hits, vocabulary = 0, self._context.vocabulary
        while not over():
            active, now = self._context.active, self._context.now()
            if not (await self._feeds.unrouted(now)).due:
                break
            frequencies = await vocabulary.frequencies()
            done = await self._feeds.route_waiting(
                partial(decide, active.router, frequencies), now, config=active.number
            )
            self._note(done)
            vocabulary.learn(done.reports)
            hits += done.hits
            self._observe(done.outcomes)
            if done.channels and self._routed is not None:
                await self._routed(done.channels)
            if not done.polls and not done.failed:
                break  # what waits is of a configuration that this process does not know yet
        return hits

    def _note(self, done: Routed) -> None:
        for feed, why in done.failed:
            log.error("hits could not be routed: %s", why, extra={"feed": feed})
