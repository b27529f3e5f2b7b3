"""Advice about rules: what is probably not meant, and what would make a noisy one quieter."""

from collections import Counter
from datetime import timedelta

from aggregator.app.application import Application
from aggregator.core.model import Entry, HitFilter
from aggregator.core.rules import LintFinding, Rule, index_text, lint, propose

SAMPLE = 5000
MARKED = 2000
MIN_IRRELEVANT = 3


async def advise(app: Application) -> tuple[LintFinding, ...]:
    """What `rules lint` says, over the running rules and a sample of stored entries."""
    now, config = app.clock.now(), app.current.config
    rules = tuple(app.current.rules.values())
    words, entries = await _frequencies(app)
    findings = lint(
        rules,
        await app.store.catalog.rules(now),
        now=now,
        frequencies=words,
        entries=entries,
        channels=tuple(config.channels),
        default_channels=config.settings.default_channels,
    )
    proposals = [finding for rule in rules for finding in await _exclusions(app, rule)]
    return (*findings, *proposals)


async def _frequencies(app: Application) -> tuple[Counter[str], int]:
    """In how many of the latest entries each folded word occurs, and how many entries those are."""
    entries = await app.store.catalog.entries(since=app.clock.now() - timedelta(days=30), limit=SAMPLE)
    return Counter(word for entry in entries for word in set(index_text(entry).split())), len(entries)


async def _exclusions(app: Application, rule: Rule) -> list[LintFinding]:
    bad = await app.store.catalog.hits(HitFilter(rule=rule.id, mark="irrelevant"), limit=MARKED)
    if len(bad) < MIN_IRRELEVANT:
        return []
    good = await app.store.catalog.hits(HitFilter(rule=rule.id, mark="relevant"), limit=MARKED)
    relevant, irrelevant = ([_text(detail.entry) for detail in group] for group in (good, bad))
    return [
        LintFinding(rule=rule.id, kind="noisy", message=f"{p.term!r} is {p.why}", hint=f"add it to none: [{p.term}]")
        for p in propose(rule, relevant, irrelevant)
    ]


def _text(entry: Entry) -> str:
    return f"{entry.title}\n{entry.summary}\n{entry.content}"
