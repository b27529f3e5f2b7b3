"""Reading what is stored through the rule language: search, previews, backtests, explanations.

Matching many long texts takes seconds, so it is done in a thread: the event loop, on which feeds are
polled and pages are served, has its turn every few milliseconds.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from math import inf
from time import monotonic

from aggregator.core.errors import NotFound
from aggregator.core.model import Entry, Told
from aggregator.core.results import Answer, Found
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
from aggregator.core.rules.syntax_tree import In, Term
from aggregator.pipeline.active_config import Setup
from aggregator.ports import Catalog

PAGE = 100


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
