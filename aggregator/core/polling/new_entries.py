"""New and changed entries of a document, each with the reason if it may not alert.

Dates never decide what is new; keys and aliases do, and the memory of keys outlives the entries.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aggregator.core.model import Entry, FeedState, ParsedEntry, ParsedFeed, Reason, StoredKey
from aggregator.core.polling.identity import (
    EntryIdentity,
    certain,
    content_hash,
    guid_is_repeated,
    identify,
    is_elsewhere,
    longer_key,
    same_text,
    spellings,
    undecided,
)

if TYPE_CHECKING:
    from aggregator.core.values import FirstPoll

MIN_WINDOW = 3  # fewer entries than this prove no gap and no bad guids
SESSIONS = re.compile(r";?(?:\w*sess(?:ion)?_?(?:id)?|aspsessionid\w*|cfid|cftoken|zenid|oscsid)|/\(\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntries:
    """Entries to store. `flood`: too many at once, so they make one digest. `gap`: entries were
    probably missed before these. `distrust_guid`, `volatile`: what the feed's state should say from now on."""

    entries: tuple[Entry, ...] = ()
    flood: bool = False
    gap: bool = False
    distrust_guid: bool = False
    volatile: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """What the store is asked about a document's entries: `identified` as `identify` gives it, other spellings
    of their keys, and the keys that they would have without parameters of their links."""

    identified: tuple[EntryIdentity, ...]
    spelled: tuple[tuple[str, ...], ...]
    without: tuple[Mapping[frozenset[str], str], ...]

    @property
    def keys(self) -> list[str]:
        """List every key that an entry may be known by."""
        return [key for key, _ in self.identified] + [key for others in self.spelled for key in others]

    @property
    def aliases(self) -> list[str]:
        """List every alias, and every key that may be stored among them."""
        found = [alias for _, others in self.identified for alias in others]
        for (key, _), without in zip(self.identified, self.without, strict=True):
            if without:
                found += (key, *without.values())
        return found


def names(entries: Sequence[ParsedEntry], state: FeedState) -> Names:
    """Return the names of a document's entries, with what is known of the feed."""
    return Names(
        identified=identify(entries, state.distrust_guid, state.volatile),
        spelled=()
        if state.last_ok_at is None or state.distrust_guid
        else tuple(spellings(entry, state.url) for entry in entries),
        without=undecided(entries, state.distrust_guid),
    )


def find_new_entries(
    parsed: ParsedFeed,
    named: Names,
    known: Mapping[str, StoredKey],
    known_aliases: frozenset[str],
    *,
    state: FeedState,
    first_poll: "FirstPoll",
    flood_limit: int,
    now: datetime,
    partial: bool = False,
) -> NewEntries:
    """Return the entries of `parsed` that are new or changed, without the others.

    `named` is `names(parsed.entries, state)`, `known` and `known_aliases` what the store remembers of its
    keys and aliases. `first_poll`: on the feed's first success, whether entries alert, or only those
    younger than this many seconds. `partial`: a 226, which is no whole window.
    """
    first, identified = state.last_ok_at is None, _as_known(named, known)
    window = max(parsed.items, state.items) if partial else parsed.items
    bad_guids = not state.distrust_guid and _bad_guids(parsed, identified, known, known_aliases, first, window)
    if bad_guids:
        identified, known = identify(parsed.entries, True, state.volatile), {}
    volatile = state.volatile
    if not (first or bad_guids):
        volatile = _volatile(identified, named.without, known, known_aliases, state, window)
    if volatile != state.volatile:
        identified = identify(parsed.entries, state.distrust_guid, volatile)
    found: dict[str, Entry] = {}
    for entry, (key, aliases), without in zip(parsed.entries, identified, named.without, strict=True):
        if volatile and key in known_aliases and key not in known:
            continue  # stored before it was learnt what of its link means nothing
        unseen = Reason.BASELINE if first and not _alerts_at_first(entry, first_poll, now) else Reason.NEW
        detail = _new_or_changed(entry, key, aliases, known, known_aliases, state.id, now, unseen)
        if detail and detail.key not in found:
            found[detail.key] = replace(detail, aliases=(*detail.aliases, *without.values())) if without else detail
    new_count = sum(entry.reason is Reason.NEW for entry in found.values())
    flood = not first and (new_count > flood_limit or (bad_guids and 2 * new_count > window))
    return NewEntries(
        entries=tuple(_in_flood(entry) if flood else entry for entry in found.values()),
        flood=flood,
        gap=not (first or partial or bad_guids) and _missed(parsed, state, new_count),
        distrust_guid=state.distrust_guid or bad_guids,
        volatile=volatile,
    )


def dated_changes(parsed: ParsedFeed, link: str, now: datetime) -> ParsedFeed:
    """Give the changes of a watched page its address and the time at which they were seen.

    They have neither of their own; with the same link and no date, one change would look like the one before.
    """
    return replace(parsed, entries=tuple(replace(entry, link=link, published_at=now) for entry in parsed.entries))


def with_articles(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return the keys of entries whose articles are worth a visit: news that comes one by one, not a flood."""
    return tuple(entry.key for entry in entries if entry.link and entry.reason is Reason.NEW)


def _as_known(named: Names, known: Mapping[str, StoredKey]) -> tuple[EntryIdentity, ...]:
    """Replace identities by the stored keys of entries whose guid is spelled differently now."""
    if not named.spelled:
        return named.identified
    pairs = zip(named.identified, named.spelled, strict=True)
    return tuple(
        (key if key in known else next((other for other in others if other in known), key), aliases)
        for (key, aliases), others in pairs
    )


def _volatile(
    identified: Sequence[EntryIdentity],
    without: Iterable[Mapping[frozenset[str], str]],
    known: Mapping[str, StoredKey],
    known_aliases: frozenset[str],
    state: FeedState,
    window: int,
) -> tuple[str, ...]:
    """Return the parameters of links that identify nothing: without them, most entries of a window are known.

    Known by headline and date (or text) as well: a page for each day is another page. A window too small to
    prove anything proves it only if all of it agrees and the parameter has the name of a session id.
    """
    changed: Counter[frozenset[str]] = Counter()
    for (key, aliases), keys in zip(identified, without, strict=True):
        if key not in known and not known_aliases.isdisjoint(aliases):
            changed.update(names for names, other in keys.items() if other in known_aliases)
    for names, count in sorted(changed.items(), key=lambda item: (len(item[0]), -item[1], sorted(item[0]))):
        proven = count >= MIN_WINDOW and 2 * count > window
        if proven or (count == window and all(map(SESSIONS.fullmatch, names))):
            return tuple(sorted({*state.volatile, *names}))
    return state.volatile


def _new_or_changed(
    entry: ParsedEntry,
    key: str,
    aliases: tuple[str, ...],
    known: Mapping[str, StoredKey],
    known_aliases: frozenset[str],
    feed: str,
    now: datetime,
    unseen: Reason,
) -> Entry | None:
    """Return the entry to store, with the reason `unseen` if nothing of it is known; None if it is stored already."""
    digest = content_hash(entry)
    seen_before = bool(known_aliases) and not known_aliases.isdisjoint(certain(entry, aliases))
    version, reason = 1, Reason.ALIAS if seen_before else unseen
    if before := known.get(key):
        if same_text(before.content_hash, digest):
            return None
        if is_elsewhere(before.content_hash, digest):  # the guid of another entry, used again
            if seen_before:
                return None
            key = longer_key(entry)
        else:
            version, reason = before.version + 1, Reason.CHANGED
    return Entry(
        feed=feed,
        key=key,
        aliases=aliases,
        guid=entry.guid,
        link=entry.link,
        title=entry.title or _opening(entry.summary or entry.content),
        summary=entry.summary,
        content=entry.content,
        author=entry.author,
        categories=entry.categories,
        enclosures=entry.enclosures,
        lang=entry.lang,
        published_at=entry.published_at or entry.updated_at,  # as stated, also where it lies in the future
        updated_at=_not_after(entry.updated_at, now),
        seen_at=now,
        content_hash=digest,
        version=version,
        reason=reason,
    )


def _in_flood(entry: Entry) -> Entry:
    return replace(entry, reason=Reason.FLOOD) if entry.reason is Reason.NEW else entry


def _alerts_at_first(entry: ParsedEntry, first_poll: "FirstPoll", now: datetime) -> bool:
    if isinstance(first_poll, str):
        return first_poll == "alert"
    written_at = entry.published_at or entry.updated_at
    return written_at is not None and now - written_at <= timedelta(seconds=first_poll)


def _bad_guids(
    parsed: ParsedFeed,
    identified: Sequence[EntryIdentity],
    known: Mapping[str, StoredKey],
    known_aliases: frozenset[str],
    first: bool,
    window: int,
) -> bool:
    """Detect bad guids: one for several entries, or new ones for most entries known by link and title."""
    if guid_is_repeated(parsed.entries):
        return True
    if first:
        return False
    renamed = sum(
        bool(entry.guid) and key not in known and not known_aliases.isdisjoint(aliases)
        for entry, (key, aliases) in zip(parsed.entries, identified, strict=True)
    )
    return renamed >= MIN_WINDOW and 2 * renamed > window


def _missed(parsed: ParsedFeed, state: FeedState, new_count: int) -> bool:
    """Tell whether nothing in the window is known, although the feed had entries: it moved on by its length."""
    return state.items > 0 and parsed.items >= MIN_WINDOW and new_count >= parsed.items


def _not_after(when: datetime | None, now: datetime) -> datetime | None:
    """Clamp a date in the future, which is a mistake, to the instant when the entry was seen."""
    return min(when, now) if when else None


def _opening(text: str) -> str:
    from aggregator.core.text.opening import opening  # few entries have no title

    return opening(text)
