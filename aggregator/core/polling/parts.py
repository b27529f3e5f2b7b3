"""A large poll in parts, each of which is one transaction."""

from collections.abc import Iterator

from msgspec.structs import replace

from aggregator.core.model import Hit, PollResult

PART = 500  # entries in one transaction: others that want to write wait no longer than these take


def parts_of(poll: PollResult) -> Iterator[PollResult]:
    """Split a poll into transactions of at most PART entries; entries with hits first, the oldest of them before all.

    So hits of one digest stay together as far as possible, and the feed's own state comes last.
    """
    if len(poll.entries) <= PART:
        yield poll
        return
    hits: dict[str, list[Hit]] = {}
    for hit in poll.hits:
        hits.setdefault(hit.entry_key, []).append(hit)
    seen_at = poll.entries[0].seen_at
    ordered = sorted(poll.entries, key=lambda e: (e.key not in hits, e.dated_at if e.key in hits else seen_at))
    wanted = frozenset(poll.articles_wanted)
    for start in range(0, len(ordered), PART):
        entries = tuple(ordered[start : start + PART])
        part = replace(
            poll,
            entries=entries,
            hits=tuple(hit for entry in entries for hit in hits.get(entry.key, ())),
            articles_wanted=tuple(entry.key for entry in entries if entry.key in wanted),
        )
        if start + PART < len(ordered):
            part = replace(part, unfinished=True, hosts=(), notices=(), memory=None, quarantined=())
        yield part
