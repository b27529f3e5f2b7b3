"""The result of a poll, and the notices about the feed itself that follow from it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from aggregator.core.errors import AggregatorError
from aggregator.core.model import AlertKind, Delivery, Entry, FeedState, ParseLevel, Reason
from aggregator.core.polling import quota
from aggregator.core.polling.health import gap_notice, transition
from aggregator.pipeline.context import ActiveConfig


class PolledFeed(Struct, frozen=True, kw_only=True):
    """The result of one poll. `match_s` and `elapsed_s` are seconds; `error` is why it failed.

    `gap`: entries came and went between two polls; "closed" if the feed's archive had them. `first`: nothing of the
    feed was known before. `outcomes`: what became of its hits, in words, and how many; `matched`: entries with hits.
    """

    feed: str
    parse_level: ParseLevel | None = None
    entries: tuple[Entry, ...] = ()
    hits: int = 0
    matched: int = 0
    first: bool = False
    outcomes: Mapping[str, int] = field(default_factory=dict)
    gap: Literal["open", "closed"] | None = None
    error: AggregatorError | None = None
    elapsed_s: float = 0.0
    match_s: float = 0.0

    @property
    def new(self) -> int:
        return sum(entry.reason is not Reason.CHANGED for entry in self.entries)

    @property
    def updated(self) -> int:
        return sum(entry.reason is Reason.CHANGED for entry in self.entries)


def health_news(
    active: ActiveConfig, before: FeedState, after: FeedState, now: datetime, *, missed: bool = False
) -> tuple[Delivery, ...]:
    """Build notices about the feed itself; a gap that stayed open is reported once a day."""
    settings = active.config.settings
    changed = transition(before, after, settings.health, now)
    gap = gap_notice(after) if missed else None
    budget = quota.notice(before, after, settings.polling, now)
    if changed is gap is budget is None:  # as after nearly every poll
        return ()
    from aggregator.core.delivery.notices import health_channels, notice_deliveries

    detail, day = list[Delivery](), f"{now:%Y-%m-%d}"
    news = ((changed, (after.health.value, now.isoformat())), (gap, ("gap", day)), (budget, ("budget", day)))
    for said, occasion in news:
        if said is not None:
            detail += notice_deliveries(
                said,
                ("feed", after.id, *occasion),
                health_channels(settings),
                active.config.channels,
                now,
                kind=AlertKind.HEALTH,
                recipients=active.recipients.of,
            )
    return tuple(detail)
