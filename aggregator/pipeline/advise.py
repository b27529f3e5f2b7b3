"""Advice about rules: probable mistakes, and remedies for noisy rules."""

from collections import Counter
from datetime import datetime, timedelta

from aggregator.core.model import Entry, HitFilter
from aggregator.core.rules import LintFinding, Rule, index_text, lint, not_near, propose
from aggregator.core.rules.feedback import MIN_MARKED
from aggregator.pipeline.context import Context
from aggregator.ports import Catalog

SAMPLE = 5000
MARKED = 2000


async def advise(context: Context, catalog: Catalog) -> tuple[LintFinding, ...]:
    """Return the findings of `rules lint`, over the running rules and a sample of stored entries."""
    now, active = context.now(), context.active
    config = active.config
    rules = tuple(active.rules.values())
    words, entries = await _frequencies(catalog, now)
    findings = lint(
        rules,
        await catalog.rules(now),
        now=now,
        frequencies=words,
        entries=entries,
        channels=tuple(config.channels),
        default_channels=config.settings.default_channels,
    )
    proposals = [finding for rule in rules for finding in await _exclusions(catalog, rule, words, entries)]
    return (*findings, *proposals)


async def _frequencies(catalog: Catalog, now: datetime) -> tuple[Counter[str], int]:
    """Return in how many of the latest entries each folded word occurs, and how many entries those are."""
    entries = await catalog.entries(since=now - timedelta(days=30), limit=SAMPLE)
    return Counter(word for entry in entries for word in set(index_text(entry).split())), len(entries)


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
