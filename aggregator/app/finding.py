"""Reading what is stored through the rule language: search, previews, backtests, explanations.

Matching many long texts takes seconds, so it is done in a thread: the event loop, on which feeds are
polled and pages are served, has its turn every few milliseconds.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from time import monotonic

from aggregator.core.errors import NotFound
from aggregator.core.model import Entry, Told
from aggregator.core.rules import (
    Explanation,
    Rule,
    RuleIndex,
    document,
    explain,
    prefilter,
    print_query,
    rule_for_query,
    snippet,
)
from aggregator.core.rules.nodes import In, Term
from aggregator.pipeline.setup import Setup
from aggregator.ports import Catalog
from aggregator.web.desk import Answer, Change, Found

PAGE = 100
SAMPLES = 5


def feed_title(setup: Setup, feed_id: str) -> str:
    """What people call a feed."""
    feed = setup.feeds.get(feed_id)
    return feed.title or feed_id if feed else feed_id


def feed_tags(setup: Setup, feed_id: str) -> tuple[str, ...]:
    feed = setup.feeds.get(feed_id)
    return feed.tags if feed else ()


def evidence(index: RuleIndex, setup: Setup, entry: Entry) -> dict[str, Found]:
    """What each rule of an index finds in an entry."""
    text = document(entry, feed_tags(setup, entry.feed))
    return {
        match.rule: Found(
            entry=entry, feed_title=feed_title(setup, entry.feed), spans=match.spans, snippet=snippet(text, match.spans)
        )
        for match in index.match(text)
    }


async def search(
    catalog: Catalog,
    setup: Setup,
    query: str,
    *,
    since: datetime | None = None,
    limit: int = 50,
    before: int | None = None,
    within_s: float = inf,
) -> Answer:
    """Stored entries that a query line matches, newest first: the text index proposes, the rule decides.

    What the index cannot narrow down (a regular expression) would mean to read everything: it ends
    with the entry in which `within_s` is over. Raises InvalidRule.
    """
    rule = rule_for_query(query, setup.config.lists)
    index, words = RuleIndex([rule]), prefilter(rule)
    deadline = monotonic() + within_s
    found: list[Found] = []

    def look(proposed: Sequence[Entry]) -> Entry | None:
        """Match in a thread; gives the entry at which it stopped, with enough found or no time left."""
        for entry in proposed:
            found.extend(evidence(index, setup, entry).values())
            if (limit and len(found) == limit) or monotonic() > deadline:
                return entry
        return None

    while True:
        proposed = await catalog.search(words, since=since, limit=PAGE, before=before)
        stopped = await asyncio.to_thread(look, proposed)
        if stopped is None and len(proposed) < PAGE:
            return Answer(found=tuple(found))
        if stopped is not None and limit and len(found) == limit:
            return Answer(found=tuple(found), more=stopped.id)
        if stopped is not None:
            return Answer(found=tuple(found), more=stopped.id, looked_to=stopped.seen_at)
        before = proposed[-1].id


async def entry_named(catalog: Catalog, setup: Setup, name: str) -> tuple[Entry, str | None]:
    """The stored entry that people mean by its number, its address, or (the beginning of) a hit's id.

    With a hit comes its rule. Raises NotFound.
    """
    if "://" in name:
        answer = await search(catalog, setup, print_query(In("link", Term(name))), limit=20)
        exact = [found.entry for found in answer.found if found.entry.link == name]
        if not exact:
            raise NotFound("entry", name, [found.entry.link or "" for found in answer.found])
        return exact[0], None
    if name.isdecimal():
        with suppress(NotFound, OverflowError):
            return await catalog.entry(int(name)), None
    try:
        told = await catalog.hit(await catalog.named("hit", name))
    except NotFound as error:
        wanted = "give its number (`search` shows it), its address, or the id of a hit"
        raise NotFound("entry", name, why=wanted) from error
    return told.entry, told.hit.rule


def explained(rule: Rule, told: Told, setup: Setup) -> Explanation:
    """Why a rule matches the entry of a hit."""
    return explain(rule, document(told.entry, feed_tags(setup, told.entry.feed)))


@dataclass(slots=True)
class Tally:
    """What one rule finds over stored entries, in its old and its new form."""

    before: int = 0
    after: int = 0
    added: list[Found] = field(default_factory=list)
    removed: list[Found] = field(default_factory=list)
    added_count: int = 0
    removed_count: int = 0
    days: Counter[str] = field(default_factory=Counter)
    feeds: Counter[str] = field(default_factory=Counter)
    samples: list[Found] = field(default_factory=list)

    def count(self, old: Found | None, new: Found | None) -> None:
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

    def change(self, rule: str) -> Change:
        """As the pages show it."""
        return Change(
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
    tallies: dict[str, Tally]
    complete: bool = True


async def backtest(
    catalog: Catalog,
    setup: Setup,
    old: Sequence[Rule],
    new: Sequence[Rule],
    *,
    since: datetime | None,
    within_s: float = inf,
    step: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """Run both sets of rules over what is stored, on the service's own code path."""
    tallies = {rule.id: Tally() for rule in (*old, *new)}
    then, now = RuleIndex(old), RuleIndex(new)
    deadline, count = monotonic() + within_s, 0

    def run(entries: Sequence[Entry]) -> int:
        """Match in a thread; gives how many entries there was time for."""
        for done, entry in enumerate(entries, 1):
            before, after = evidence(then, setup, entry), evidence(now, setup, entry)
            for rule in before.keys() | after.keys():
                tallies[rule].count(before.get(rule), after.get(rule))
            if monotonic() > deadline:
                return done
        return len(entries)

    async for entries in catalog.scan(since=since):
        done = await asyncio.to_thread(run, entries)
        count += done
        step(done)
        if monotonic() > deadline:
            return Backtest(entries=count, tallies=tallies, complete=False)
    return Backtest(entries=count, tallies=tallies)
