"""Reading of stored entries through the rule language: search, previews, backtests, explanations.

Matching many long texts takes seconds, so it is done in a thread: the event loop, on which feeds are
polled and pages are served, has its turn every few milliseconds.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from math import inf
from time import monotonic, thread_time

from aggregator.core.errors import NotFound
from aggregator.core.model import Entry, HitDetail, SearchOrder
from aggregator.core.results import EntryMatch, SearchResult
from aggregator.core.rules import Explanation, Rule, RuleIndex, document, print_query, rule_for_query
from aggregator.core.rules.explain import explain
from aggregator.core.rules.prefilter import prefilter
from aggregator.core.rules.snippet import snippet
from aggregator.core.rules.syntax_tree import FieldScope, Term
from aggregator.pipeline.context import ActiveConfig
from aggregator.ports import Catalog

PAGE, MAX_PAGE = 100, 800  # entries that the index proposes at once: more, the longer it takes
RANKED = 500


def feed_title(active: ActiveConfig, feed_id: str) -> str:
    """Return what people call a feed."""
    feed = active.feeds.get(feed_id)
    return feed.title or feed_id if feed else feed_id


def feed_tags(active: ActiveConfig, feed_id: str) -> tuple[str, ...]:
    feed = active.feeds.get(feed_id)
    return feed.tags if feed else ()


def matches_in(index: RuleIndex, active: ActiveConfig, entry: Entry) -> dict[str, EntryMatch]:
    """Return the matches of each rule of an index in an entry."""
    text = document(entry, feed_tags(active, entry.feed))
    return {
        match.rule: EntryMatch(
            entry=entry,
            feed_title=feed_title(active, entry.feed),
            spans=match.spans,
            snippet=snippet(text, match.spans),
        )
        for match in index.match(text)
    }


async def search(
    catalog: Catalog,
    active: ActiveConfig,
    query: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    by: SearchOrder = "published",
    limit: int = 50,
    before: int | None = None,
    within_s: float = inf,
    feed: str = "",
    lang: str = "",
) -> SearchResult:
    """Return stored entries that a query line matches, in an order: the text index proposes, the rule decides.

    A query that the index cannot narrow down (a regular expression) would read everything: it ends with the entry in
    which `within_s` is over, counted from the index's first answer; what that proposes is given as much CPU time, so
    that a busy machine finds no less. By relevance there is one page, of the best that the index has.
    Raises InvalidRule.
    """
    rule = rule_for_query(query, active.config.lists)
    index, words = RuleIndex([rule]), prefilter(rule)
    deadline: float | None = None
    found: list[EntryMatch] = []

    def look(proposed: Sequence[Entry]) -> Entry | None:
        """Match in a thread; return the entry at which it stopped, with enough found or no time left."""
        began = thread_time() if before is None else -inf
        for entry in proposed:
            if feed in ("", entry.feed) and lang in ("", entry.lang):
                found.extend(matches_in(index, active, entry).values())
            if limit and len(found) == limit:
                return entry
            if deadline is None or (monotonic() > deadline and thread_time() - began > within_s):
                return entry
        return None

    ranked = by == "relevance"
    size = RANKED if ranked else PAGE
    while True:
        proposed = await catalog.search(words, since=since, until=until, by=by, limit=size, before=before)
        deadline = monotonic() + within_s if deadline is None else deadline
        try:
            stopped = await asyncio.to_thread(look, proposed)
        except asyncio.CancelledError:
            deadline = -inf  # the thread cannot be cancelled: it ends with its entry
            raise
        if ranked or (stopped is None and len(proposed) < size):
            return SearchResult(found=tuple(found))
        if stopped is not None and limit and len(found) == limit:
            return SearchResult(found=tuple(found), more=stopped.id)
        if stopped is not None:
            reached = stopped.recorded_at if by == "recorded" else stopped.dated_at
            return SearchResult(found=tuple(found), more=stopped.id, searched_back_to=reached)
        before = proposed[-1].id
        size = min(size * 2, MAX_PAGE)


async def find_entry(catalog: Catalog, active: ActiveConfig, name: str) -> tuple[Entry, str | None]:
    """Find the stored entry by its number, its address, or (the beginning of) a hit's id.

    With a hit comes its rule. Raises NotFound.
    """
    if "://" in name:
        answer = await search(catalog, active, print_query(FieldScope("link", Term(name))), limit=20)
        exact = [found.entry for found in answer.found if found.entry.link == name]
        if not exact:
            raise NotFound("entry", name, [found.entry.link or "" for found in answer.found])
        return exact[0], None
    if name.isdecimal():
        with suppress(NotFound, OverflowError):
            return await catalog.entry(int(name)), None
    try:
        detail = await catalog.hit(await catalog.resolve_id("hit", name))
    except NotFound as error:
        wanted = "specify its number (shown by `search`), its link, or the id of a hit"
        raise NotFound("entry", name, why=wanted) from error
    return detail.entry, detail.hit.rule


def explain_hit(rule: Rule, detail: HitDetail, active: ActiveConfig) -> Explanation:
    """Explain why a rule matches the entry of a hit."""
    return explain(rule, document(detail.entry, feed_tags(active, detail.entry.feed)))
