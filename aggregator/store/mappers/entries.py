"""Entries, and what is remembered of them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from aggregator.core.model import Entry, Reason
from aggregator.store.column_types import Values
from aggregator.store.schema import entries

# Columns that are named like the field they hold, in the same form.
OTHER = {"id", "reason", "has_text", "categories", "enclosures", "dated_at"}
SAME = tuple(c.name for c in entries.columns if c.name not in OTHER)


def entry_values(entry: Entry) -> Values:
    """Return all columns of an entry but its id, and what the database works out."""
    values = {name: getattr(entry, name) for name in SAME}
    values["categories"] = entry.categories
    values["enclosures"] = entry.enclosures
    values["reason"] = entry.reason.value
    values["has_text"] = True
    return values


def entry(row: Row[Any]) -> Entry:
    """Return an entry's row as a value."""
    return entry_of(row._asdict())


def entry_of(found: Mapping[str, Any]) -> Entry:
    """Return an entry from its columns by name."""
    values = {name: found[name] for name in SAME}
    return Entry(
        id=found["id"],
        categories=tuple(found["categories"]),
        enclosures=tuple(found["enclosures"]),
        reason=Reason(found["reason"]),
        **values,
    )


def numbered(entry: Entry, entry_id: int) -> Entry:
    """Return the same entry with its id. Written out: `replace` takes twice as long, on every entry."""
    return Entry(
        id=entry_id,
        feed=entry.feed,
        key=entry.key,
        aliases=entry.aliases,
        guid=entry.guid,
        link=entry.link,
        title=entry.title,
        summary=entry.summary,
        content=entry.content,
        author=entry.author,
        categories=entry.categories,
        enclosures=entry.enclosures,
        lang=entry.lang,
        published_at=entry.published_at,
        updated_at=entry.updated_at,
        seen_at=entry.seen_at,
        content_hash=entry.content_hash,
        version=entry.version,
        reason=entry.reason,
    )


def key_values(entry: Entry) -> Values:
    """Return what is remembered of an entry permanently, besides its aliases."""
    return {
        "feed": entry.feed,
        "key": entry.key,
        "content_hash": entry.content_hash,
        "version": entry.version,
        "seen_at": entry.seen_at,
    }


def alias_values(entry: Entry) -> list[Values]:
    """Return the other names of an entry, which only ever suppress an alert."""
    return [{"feed": entry.feed, "key": alias, "seen_at": entry.seen_at} for alias in entry.aliases]
