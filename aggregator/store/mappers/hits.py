"""Hits and stories."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from aggregator.core.model import Fingerprint, Hit, HitState, Span, Story
from aggregator.store.column_types import Values

SAME = ("id", "rule", "feed", "entry_key", "entry_version", "snippet", "story", "reason", "mark", "created_at")


def hit_values(hit: Hit, entry_id: int) -> Values:
    return {
        **{name: getattr(hit, name) for name in SAME},
        "entry": entry_id,
        "spans": tuple((span.field, span.start, span.end, span.text, span.term) for span in hit.spans),
        "state": hit.state.value,
    }


def hit_of(found: Mapping[str, Any]) -> Hit:
    """Return a hit from its columns by name."""
    return Hit(
        entry_id=found["entry"],
        spans=tuple(
            Span(field=field, start=start, end=end, text=text, term=term)
            for field, start, end, text, term in found["spans"]
        ),
        state=HitState(found["state"]),
        **{name: found[name] for name in SAME},
    )


def story_values(story: Story) -> Values:
    known = story.fingerprint
    facts, signature = sorted(known.facts), known.signature.hex()
    return {
        "id": story.id,
        "title": story.title,
        "fingerprint": [known.url_key, known.title_key, signature, known.bands, facts, known.lang],
        "feeds": story.feeds,
        "told": story.alerted_rules,
        "first_at": story.first_at,
        "last_at": story.last_at,
        "acknowledged_at": story.acknowledged_at,
        "joined": story.joined,
    }


def story(row: Row[Any]) -> Story:
    url_key, title_key, signature, bands, facts, lang = row.fingerprint
    fingerprint = Fingerprint(
        url_key=url_key,
        title_key=title_key,
        signature=bytes.fromhex(signature),
        bands=tuple(bands),
        facts=frozenset(facts),
        lang=lang,
    )
    return Story(
        id=row.id,
        title=row.title,
        fingerprint=fingerprint,
        feeds=tuple(row.feeds),
        alerted_rules=tuple(row.told),
        first_at=row.first_at,
        last_at=row.last_at,
        acknowledged_at=row.acknowledged_at,
        joined=row.joined,
    )
