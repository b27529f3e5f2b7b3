"""Which sitemaps of an index are read at a poll: those that changed since they were read, youngest first.

What was read is remembered with the time that the index gave. A sitemap without one has to be read each time.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from msgspec.structs import replace

from aggregator.core.model import ParsedEntry, ParsedFeed, ParseLevel, SitemapPart

PER_POLL = 10
MAX_DEPTH = 2  # an index may name indexes; those name sitemaps
MAX_ENTRIES = 5000
MAX_REMEMBERED = 5000
_HEAD = "sitemaps 1"
_NO_ARTICLES = re.compile(r"(?:^|[/_.-])(?:authors?|categor(?:y|ies)|(?:post_)?tags?|images?|users?)(?=[/_.-]|$)", re.I)
_ARTICLES = re.compile(r"news|article|post|press|release|nyhet|aktuel", re.IGNORECASE)

Seen = Mapping[str, str]


class Choice(NamedTuple):
    """The sitemaps to read now; `complete`: an unchanged index will mean that none of its sitemaps has changed."""

    parts: tuple[SitemapPart, ...]
    complete: bool


def choose(parts: Sequence[SitemapPart], seen: Seen | None, limit: int = PER_POLL) -> Choice:
    """Return what of an index is to be read. `seen` is what was remembered; None: it is read for the first time.

    The first time, older sitemaps are taken as known: they are archives, and no news.
    """
    useful = [part for part in parts if not _NO_ARTICLES.search(part.url)] or list(parts)
    changed = [part for part in useful if seen is None or not part.changed or seen.get(_name(part)) != part.changed]
    order = {part.url: place for place, part in enumerate(useful)}
    changed.sort(key=lambda part: (part.changed, bool(_ARTICLES.search(part.url)), order[part.url]), reverse=True)
    dated = all(part.changed for part in useful)
    return Choice(tuple(changed[:limit]), dated and (seen is None or len(changed) <= limit))


def remembered(memory: bytes | None) -> dict[str, str] | None:
    """Return what was remembered of the sitemaps of an index; None: nothing."""
    head, *lines = (memory or b"").decode("utf-8", "replace").split("\n")
    if head != _HEAD:
        return None
    return dict(line.split(" ", 1) for line in lines if " " in line)


def memory_of(before: Seen | None, parts: Iterable[SitemapPart], read: Iterable[SitemapPart]) -> bytes:
    """Return what is remembered after a poll: the first time every sitemap of the index, later those that were read."""
    known = dict(before or {}) if before is not None else {_name(part): part.changed for part in parts}
    for part in read:
        known.pop(_name(part), None)
        known[_name(part)] = part.changed
    lines = [f"{name} {changed}" for name, changed in known.items() if "\n" not in changed]
    return "\n".join([_HEAD, *lines[-MAX_REMEMBERED:]]).encode()


def joined(index: ParsedFeed, read: Sequence[ParsedFeed], memory: bytes, *, complete: bool) -> ParsedFeed:
    """Return the entries of several sitemaps as those of one document, the youngest where there are too many.

    The index itself counts as entries too: a new sitemap whose entries are all new is no gap.
    """
    found: dict[str, ParsedEntry] = {}
    for sitemap in read:
        for entry in sitemap.entries:
            found.setdefault(entry.link or entry.title, entry)
    entries = sorted(found.values(), key=_age)[-MAX_ENTRIES:]
    return replace(
        index,
        parse_level=ParseLevel.FULL,
        entries=tuple(entries),
        items=sum(sitemap.items for sitemap in read) + len(index.parts),
        warnings=tuple(dict.fromkeys(warning for sitemap in (index, *read) for warning in sitemap.warnings)),
        quarantined=tuple(one for sitemap in read for one in sitemap.quarantined),
        body_hash=index.body_hash if complete else b"?",  # no body has this hash: the next one is read again
        memory=memory,
    )


def _age(entry: ParsedEntry) -> float:
    at = entry.published_at or entry.updated_at
    return at.timestamp() if at else 0.0


def _name(part: SitemapPart) -> str:
    return blake2b(part.url.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
