"""Run edited rules beside the old ones over stored entries."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from math import inf
from time import monotonic

from aggregator.core.model import Entry
from aggregator.core.results import BacktestResult, RuleTally
from aggregator.core.rules import Rule, RuleIndex
from aggregator.pipeline.context import ActiveConfig
from aggregator.pipeline.search import matches_in
from aggregator.ports import Catalog


async def backtest(
    catalog: Catalog,
    active: ActiveConfig,
    old: Sequence[Rule],
    new: Sequence[Rule],
    *,
    since: datetime | None,
    until: datetime | None = None,
    within_s: float = inf,
    step: Callable[[int], None] = lambda _: None,
) -> BacktestResult:
    """Run both sets of rules over stored entries, on the service's own code path."""
    tallies = {rule.id: RuleTally() for rule in (*old, *new)}
    then, now = RuleIndex(old), RuleIndex(new)
    deadline, count = monotonic() + within_s, 0

    def run(entries: Sequence[Entry]) -> int:
        """Match in a thread; return how many entries there was time for."""
        for done, entry in enumerate(entries, 1):
            before, after = matches_in(then, active, entry), matches_in(now, active, entry)
            for rule in before.keys() | after.keys():
                tallies[rule].count(before.get(rule), after.get(rule))
            if monotonic() > deadline:
                return done
        return len(entries)

    async for entries in catalog.scan(since=since, until=until):
        try:
            done = await asyncio.to_thread(run, entries)
        except asyncio.CancelledError:
            deadline = -inf  # the thread cannot be cancelled: it ends with its entry
            raise
        count += done
        step(done)
        if monotonic() > deadline:
            return BacktestResult(entries=count, tallies=tallies, complete=False)
    return BacktestResult(entries=count, tallies=tallies)
