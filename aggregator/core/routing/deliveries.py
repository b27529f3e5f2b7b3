"""From planned alerts to outbox rows: one per alert, channel and recipient, however many rules asked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aggregator.core.delivery import delivery_id, slot
from aggregator.core.model import AlertKind, Delivery, DeliveryState
from aggregator.core.routing.story_index import URGENCY
from aggregator.core.settings import Channel, RuleConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAlert:
    """One rule's wish to tell something on some channels.

    Planned alerts with the same `subject` become one alert; `subject` is what its id is made of.
    """

    subject: tuple[str, ...]
    kind: AlertKind
    rule: RuleConfig
    hits: tuple[str, ...]
    channels: tuple[str, ...]
    title: str
    story: str | None = None


def no_recipients(_channel: Channel) -> Sequence[str]:
    """A channel that is told as a whole."""
    return ("",)


def deliveries(
    details: Iterable[PlannedAlert],
    channels: Mapping[str, Channel],
    now: datetime,
    recipients: Callable[[Channel], Sequence[str]] = no_recipients,
) -> tuple[Delivery, ...]:
    """The rows of all planned alerts; a channel that is not configured gets none (config/ refuses it)."""
    alerts: dict[tuple[str, tuple[str, ...]], list[PlannedAlert]] = {}
    for detail in details:
        for name in detail.channels:
            alerts.setdefault((name, detail.subject), []).append(detail)
    return tuple(
        _delivery(channels[name], recipient, group, now)
        for (name, _), group in alerts.items()
        if name in channels
        for recipient in recipients(channels[name])
    )


def _delivery(channel: Channel, recipient: str, group: Sequence[PlannedAlert], now: datetime) -> Delivery:
    """One row for all rules that ask for the same: as soon and as urgent as the keenest of them."""
    first = group[0]
    rules = tuple(sorted({detail.rule.id for detail in group}))
    due, reason = min(
        slot(detail.rule.deliver, detail.rule.priority, channel.quiet_hours, now, channel.time_zone) for detail in group
    )
    return Delivery(
        id=delivery_id(first.kind, *first.subject, *rules, channel.name, recipient),
        kind=first.kind,
        channel=channel.name,
        recipient=recipient,
        rules=rules,
        hits=tuple(dict.fromkeys(hit for detail in group for hit in detail.hits)),
        story=first.story,
        title=first.title,
        priority=max((detail.rule.priority for detail in group), key=URGENCY.__getitem__),
        state=DeliveryState.HELD if reason else DeliveryState.PENDING,
        reason=reason,
        created_at=now,
        due_at=due,
    )
