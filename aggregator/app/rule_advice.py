"""Advice about rules: what is probably not meant, and what would make a noisy one quieter."""

from collections import Counter
from datetime import timedelta

from aggregator.app.application import House
from aggregator.core.model import Entry, HitFilter
from aggregator.core.rules import Finding, Rule, index_text, lint, propose

SAMPLE = 5000
MARKED = 2000
LEAST_IRRELEVANT = 3


async def advise(house: House) -> tuple[Finding, ...]:
    """What `rules lint` says, over the running rules and a sample of stored entries."""
    now, config = house.clock.now(), house.current.config
    rules = tuple(house.current.rules.values())
    words, entries = await _frequencies(house)
    findings = lint(
        rules,
        await house.store.catalog.rules(now),
        now=now,
        frequencies=words,
        entries=entries,
        channels=tuple(config.channels),
        default_channels=config.settings.default_channels,
    )
    proposals = [finding for rule in rules for finding in await _exclusions(house, rule)]
    return (*findings, *proposals)


async def _frequencies(house: House) -> tuple[Counter[str], int]:
    """In how many of the latest entries each folded word occurs, and how many entries those are."""
    entries = await house.store.catalog.entries(since=house.clock.now() - timedelta(days=30), limit=SAMPLE)
    return Counter(word for entry in entries for word in set(index_text(entry).split())), len(entries)


async def _exclusions(house: House, rule: Rule) -> list[Finding]:
    bad = await house.store.catalog.hits(HitFilter(rule=rule.id, mark="irrelevant"), limit=MARKED)
    if len(bad) < LEAST_IRRELEVANT:
        return []
    good = await house.store.catalog.hits(HitFilter(rule=rule.id, mark="relevant"), limit=MARKED)
    relevant, irrelevant = ([_text(told.entry) for told in group] for group in (good, bad))
    return [
        Finding(rule=rule.id, kind="noisy", message=f"{p.term!r} is {p.why}", hint=f"add it to none: [{p.term}]")
        for p in propose(rule, relevant, irrelevant)
    ]


def _text(entry: Entry) -> str:
    return f"{entry.title}\n{entry.summary}\n{entry.content}"
