"""Recovery of entries missed between two polls from a feed's archive documents (RFC 5005, section 4)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from msgspec import structs

from aggregator.core.model import Entry, FeedState, Reason
from aggregator.core.polling.new_entries import NewEntries
from aggregator.core.text.urls import DEFAULT_PORTS

PAGES = 10
ALREADY_PUBLISHED = timedelta(days=1)  # an entry may appear that long after its own date


def may_follow(document: str, archive: str | None) -> bool:
    """Tell whether the archive that a document names has the document's own origin."""
    return archive is not None and _origin(document) == _origin(archive) is not None


def unseen_entries(entries: Iterable[Entry], state: FeedState) -> tuple[Entry, ...]:
    """Return the unseen entries of an archive page, without those clearly older than the last poll.

    Edits are left out: an archive may keep an older text than we have.
    """
    since = _since(state)
    return tuple(_aged(entry, since) for entry in entries if entry.reason is not Reason.CHANGED)


def with_archive(found: NewEntries, more: Iterable[Entry], flood_limit: int) -> NewEntries:
    """Add the entries of an archive to those of a poll; all of them count for the flood guard."""
    entries = {entry.key: entry for entry in (*more, *found.entries)}
    new_count = sum(entry.reason in (Reason.NEW, Reason.FLOOD) for entry in entries.values())
    flood = found.flood or new_count > flood_limit
    detail = tuple(_flooded(entry) for entry in entries.values()) if flood else tuple(entries.values())
    return replace(found, entries=detail, flood=flood)


def _since(state: FeedState) -> datetime | None:
    """Return the instant before which nothing can have been missed, or None."""
    looked = state.last_ok_at - ALREADY_PUBLISHED if state.last_ok_at else None
    return max((at for at in (looked, state.first_polled_at) if at), default=None)


def _aged(entry: Entry, since: datetime | None) -> Entry:
    written_at = entry.published_at or entry.updated_at
    old = written_at is not None and since is not None and written_at < since
    return structs.replace(entry, reason=Reason.TOO_OLD) if old and entry.reason is Reason.NEW else entry


def _flooded(entry: Entry) -> Entry:
    return structs.replace(entry, reason=Reason.FLOOD) if entry.reason is Reason.NEW else entry


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme]
