"""Advice about rules: probable mistakes, and remedies for noisy rules."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from aggregator.core.model import Entry, HitDetail, HitFilter
from aggregator.core.results import Exclusion
from aggregator.core.rules import LintFinding, Rule, document, index_text, not_near, propose
from aggregator.core.rules.feedback import MIN_MARKED
from aggregator.core.rules.lint import lint
from aggregator.core.text.fold import fold
from aggregator.core.text.tokens import TokenizedText
from aggregator.pipeline.context import ActiveConfig, Context
from aggregator.pipeline.matching import breathing
from aggregator.ports import Catalog

SAMPLE = 5000
MARKED = 2000
SHOWN = 5


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
    proposals = [
        _noisy(rule, found)
        for rule in rules
        for found in await propose_exclusions(catalog, rule, frequencies=words, entries=entries)
    ]
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


async def propose_exclusions(
    catalog: Catalog, rule: Rule, *, frequencies: Mapping[str, int], entries: int
) -> tuple[Exclusion, ...]:
    """Return what a rule might exclude by the marks of its hits, with what that would have removed.

    `frequencies`: in how many of the stored `entries` each word is.
    """
    groups: list[tuple[HitDetail, ...]] = []
    for mark in ("irrelevant", "relevant"):
        groups.append(await catalog.hits(HitFilter(rule=rule.id, mark=mark), limit=MARKED))
        if len(groups[-1]) < MIN_MARKED:
            return ()
    bad, good = ([_text(detail.entry) for detail in group] for group in groups)
    found = propose(rule, good, bad, frequencies=frequencies, entries=entries)
    if not found:
        return ()
    latest = await catalog.hits(HitFilter(rule=rule.id), limit=MARKED)
    unmarked = [detail for detail in latest if detail.hit.mark is None]
    wanted = {fold(proposal.term) for proposal in found}
    holding: dict[str, list[HitDetail]] = {word: [] for word in wanted}
    async for some in breathing([*groups[0], *groups[1], *unmarked]):
        for detail in some:
            for word in wanted.intersection(TokenizedText(_text(detail.entry)).words):
                holding[word].append(detail)
    return tuple(
        Exclusion(
            term=proposal.term,
            irrelevant=proposal.irrelevant,
            irrelevant_of=proposal.irrelevant_of,
            relevant=proposal.relevant,
            relevant_of=proposal.relevant_of,
            unmarked=sum(detail.hit.mark is None for detail in holding[fold(proposal.term)]),
            titles=tuple(dict.fromkeys(detail.entry.title for detail in holding[fold(proposal.term)]))[:SHOWN],
            query=not_near(rule, proposal.term),
        )
        for proposal in found
    )


async def count_words(catalog: Catalog, since: datetime, limit: int = SAMPLE) -> tuple[Counter[str], int]:
    """Return in how many of the latest stored entries each word is, and how many entries that are."""
    sample = await catalog.entries(since=since, limit=limit)
    words: Counter[str] = Counter()
    async for some in breathing(sample):
        for entry in some:
            words.update(set(index_text(entry).split()))
    return words, len(sample)


def _noisy(rule: Rule, found: Exclusion) -> LintFinding:
    counts = f"{found.irrelevant} of {found.irrelevant_of} irrelevant hits and {found.relevant} of {found.relevant_of}"
    removed = f"{found.removed} hits, such as {', '.join(map(repr, found.titles))}"
    return LintFinding(
        rule=rule.id,
        kind="noisy",
        message=f"{found.term!r} is in {counts} relevant ones; excluding it would have removed {removed}",
        hint=f"add it to none: [{found.term}], or exclude it only close by: query: '{found.query}'",
    )


def _text(entry: Entry) -> str:
    return f"{entry.title}\n{entry.summary}\n{entry.content}"
