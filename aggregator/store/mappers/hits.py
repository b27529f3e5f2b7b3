"""Hits."""

from collections.abc import Mapping
from typing import Any

from aggregator.core.model import Hit, HitState, Span
from aggregator.store.column_types import Values
from aggregator.store.mappers.stories import because, because_list

SAME = ("id", "rule", "feed", "entry_key", "entry_version", "snippet", "story", "reason", "mark", "created_at")


def hit_values(hit: Hit, entry_id: int) -> Values:
    return {
        **{name: getattr(hit, name) for name in SAME},
        "entry": entry_id,
        "spans": tuple((span.field, span.start, span.end, span.text, span.term) for span in hit.spans),
        "state": hit.state.value,
        "because": because_list(hit.because),
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
        because=because(found["because"]),
        **{name: found[name] for name in SAME},
    )
