"""Run edited rules beside the old ones over stored entries."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from time import monotonic

from aggregator.core.model import Entry
from aggregator.core.results import EntryMatch, RuleChange
from aggregator.core.rules import (
    Rule,
    RuleIndex,
)
from aggregator.pipeline.context import ActiveConfig
from aggregator.pipeline.search import matches_in
from aggregator.ports import Catalog

SAMPLES = 5


@dataclass(slots=True)
class RuleChanges:
    """What one rule finds over stored entries, in its old and its new form."""

    before: int = 0
    after: int = 0
    added: list[EntryMatch] = field(default_factory=list)
    removed: list[EntryMatch] = field(default_factory=list)
    added_count: int = 0
    removed_count: int = 0
    days: Counter[str] = field(default_factory=Counter)
    feeds: Counter[str] = field(default_factory=Counter)
    samples: list[EntryMatch] = field(default_factory=list)

    def count(self, old: EntryMatch | None, new: EntryMatch | None) -> None:
        """Take in what the two forms found in one entry."""
        self.before += old is not None
        self.after += new is not None
        if new is not None:
            self.days[f"{new.entry.published_at or new.entry.seen_at:%Y-%m-%d}"] += 1
            self.feeds[new.entry.feed] += 1
            self.samples = [*self.samples, new][-SAMPLES:]
        if new is not None and old is None:
            self.added_count += 1
            self.added = [*self.added, new][-SAMPLES:]
        if old is not None and new is None:
            self.removed_count += 1
            self.removed = [*self.removed, old][-SAMPLES:]

    def change(self, rule: str) -> RuleChange:
        """As the pages show it."""
        return RuleChange(
            rule=rule,
            before=self.before,
            after=self.after,
            added=self.added_count,
            removed=self.removed_count,
            added_samples=tuple(self.added),
            removed_samples=tuple(self.removed),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Old rules against new ones over stored entries; `complete` is False where time ran out."""

    entries: int
    tallies: dict[str, RuleChanges]
    complete: bool = True


async def backtest(
    catalog: Catalog,
    active: ActiveConfig,
    old: Sequence[Rule],
    new: Sequence[Rule],
    *,
    since: datetime | None,
    within_s: float = inf,
    step: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """Run both sets of rules over what is stored, on the service's own code path."""
    tallies = {rule.id: RuleChanges() for rule in (*old, *new)}
    then, now = RuleIndex(old), RuleIndex(new)
    deadline, count = monotonic() + within_s, 0

    def run(entries: Sequence[Entry]) -> int:
        """Match in a thread; gives how many entries there was time for."""
        for done, entry in enumerate(entries, 1):
            before, after = matches_in(then, active, entry), matches_in(now, active, entry)
            for rule in before.keys() | after.keys():
                tallies[rule].count(before.get(rule), after.get(rule))
            if monotonic() > deadline:
                return done
        return len(entries)

    async for entries in catalog.scan(since=since):
        try:
            done = await asyncio.to_thread(run, entries)
        except asyncio.CancelledError:
            deadline = -inf  # the thread cannot be cancelled: it ends with its entry
            raise
        count += done
        step(done)
        if monotonic() > deadline:
            return Backtest(entries=count, tallies=tallies, complete=False)
    return Backtest(entries=count, tallies=tallies)
