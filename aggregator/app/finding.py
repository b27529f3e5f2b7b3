"""Reading what is stored through the rule language: search, previews, explanations."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic

from aggregator.core.model import Entry, Told
from aggregator.core.rules import Explanation, Rule, RuleIndex, document, explain, prefilter, rule_for_query, snippet
from aggregator.core.settings import Feed
from aggregator.pipeline.setup import Setup
from aggregator.ports import Catalog
from aggregator.web.desk import Change, Clause, Found, Preview

PAGE = 200
SAMPLES = 5
PREVIEW_S = 8.0


def feed_title(feeds: Mapping[str, Feed], feed_id: str) -> str:
    feed = feeds.get(feed_id)
    return feed.title or feed_id if feed else feed_id


def tags(feeds: Mapping[str, Feed], feed_id: str) -> tuple[str, ...]:
    feed = feeds.get(feed_id)
    return feed.tags if feed else ()


def found(index: RuleIndex, setup: Setup, entry: Entry) -> Found | None:
    """The evidence of an index with one rule on an entry, or None."""
    text = document(entry, tags(setup.feeds, entry.feed))
    matches = index.match(text)
    if not matches:
        return None
    spans = matches[0].spans
    return Found(entry=entry, feed_title=feed_title(setup.feeds, entry.feed), spans=spans, snippet=snippet(text, spans))


async def search(
    catalog: Catalog, setup: Setup, query: str, *, since: datetime | None, limit: int, before: int | None = None
) -> tuple[Found, ...]:
    """Stored entries that a query line matches, newest first: the text index proposes, the rule decides."""
    rule = rule_for_query(query, setup.config.lists)
    index, words = RuleIndex([rule]), prefilter(rule)
    results: list[Found] = []
    while not limit or len(results) < limit:
        proposed = await catalog.search(words, since=since, limit=PAGE, before=before)
        results += [hit for entry in proposed if (hit := found(index, setup, entry))]
        if len(proposed) < PAGE:
            break
        before = proposed[-1].id
    return tuple(results[:limit] if limit else results)


def clauses(rule: Rule, told: Told, setup: Setup) -> tuple[Clause, ...]:
    """Why a rule matches an entry, as lines."""
    return tuple(_lines(explain(rule, document(told.entry, tags(setup.feeds, told.entry.feed))), 0))


def _lines(explanation: Explanation, depth: int) -> list[Clause]:
    line = Clause(depth=depth, text=explanation.text, found=explanation.satisfied, note=explanation.note)
    return [line, *(clause for child in explanation.children for clause in _lines(child, depth + 1))]
