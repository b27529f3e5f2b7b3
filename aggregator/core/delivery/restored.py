"""Alerts after a backup was restored: which ones may have been sent before, unknown to the database."""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from aggregator.core.model import Entry, RoutingResult


def mark_repeats(
    routed: RoutingResult, entries: Iterable[Entry], read_at: datetime | None, unsure_until: datetime | None
) -> RoutingResult:
    """Mark as possible repeats the alerts of a feed's first poll since then.

    `read_at` is when the feed was last read before this poll, as far as the database knows; until `unsure_until`
    alerts were sent that it does not know. An entry dated later cannot have been among them; one without a date can.
    """
    if unsure_until is None or read_at is None or read_at >= unsure_until or not routed.deliveries:
        return routed
    later = {entry.key for entry in entries if entry.published_at and entry.published_at > unsure_until}
    sure = {hit.id for hit in routed.hits if hit.entry_key in later}
    return replace(
        routed,
        deliveries=tuple(
            row if row.hits and sure.issuperset(row.hits) else replace(row, repeat=True) for row in routed.deliveries
        ),
    )
