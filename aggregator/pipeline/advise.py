"""Advice about rules: probable mistakes, and remedies for noisy rules."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from aggregator.core.model import Entry, HitFilter
from aggregator.core.rules import LintFinding, Rule, document, index_text, lint, not_near, propose
from aggregator.core.rules.feedback import MIN_MARKED
from aggregator.pipeline.context import ActiveConfig, Context
from aggregator.pipeline.matching import breathing
from aggregator.ports import Catalog

SAMPLE = 5000
MARKED = 2000


async def advise(context: Context, catalog: Catalog) -> tuple[LintFinding, ...]:
    """Return the findings of `rules lint`, over the running rules and a sample of stored entries."""
    now, active = context.now(), context.active
    config = active.config
    rules = tuple(active.rules.values())
    sample = await catalog.entries(since=now - timedelta(days=30), limit=SAMPLE)
    words, entries = Counter(word for entry in sample for word in set(index_text(entry).split())), len(sample)
    findings = lint(
        rules,
        await catalog.rules(now),
        now=now,
        frequencies=words,
        entries=entries,
        channels=tuple(config.channels),
        default_channels=config.settings.default_channels,
        matched=await _matched(active, sample),
    )
    proposals = [finding for rule in rules for finding in await _exclusions(catalog, rule, words, entries)]
    return (*findings, *proposals)


async def _matched(active: ActiveConfig, sample: Sequence[Entry]) -> dict[str, frozenset[int]]:
    """Return, for each rule, the places of the entries in a sample that it matches."""
    found: dict[str, set[int]] = {}
    place = 0
    async for some in breathing(sample):
        for entry in some:
            feed = active.feeds.get(entry.feed)
            for one in active.index.match(document(entry, feed.tags if feed else ())):
                found.setdefault(one.rule, set()).add(place)
            place += 1
    return {rule: frozenset(places) for rule, places in found.items()}


async def _exclusions(catalog: Catalog, rule: Rule, words: Counter[str], entries: int) -> list[LintFinding]:
    bad = await catalog.hits(HitFilter(rule=rule.id, mark="irrelevant"), limit=MARKED)
    if len(bad) < MIN_MARKED:
        return []
    good = await catalog.hits(HitFilter(rule=rule.id, mark="relevant"), limit=MARKED)
    relevant, irrelevant = ([_text(detail.entry) for detail in group] for group in (good, bad))
    return [
        LintFinding(
            rule=rule.id,
            kind="noisy",
            message=f"{p.term!r} is {p.why}",
            hint=f"add it to none: [{p.term}], or exclude it only close by: query: '{not_near(rule, p.term)}'",
        )
        for p in propose(rule, relevant, irrelevant, frequencies=words, entries=entries)
    ]


def _text(entry: Entry) -> str:
    return f"{entry.title}\n{entry.summary}\n{entry.content}"
