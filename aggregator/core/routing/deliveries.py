"""From tellings to outbox rows: one per alert, channel and recipient, however many rules asked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aggregator.core.delivery import delivery_id, slot
from aggregator.core.model import Delivery, DeliveryState, Kind
from aggregator.core.routing.story_index import URGENCY
from aggregator.core.settings import Channel, RuleConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One rule's wish to tell something on some channels.

    Tellings with the same `subject` become one alert; `subject` is what its id is made of.
    """

    subject: tuple[str, ...]
    kind: Kind
    rule: RuleConfig
    hits: tuple[str, ...]
    channels: tuple[str, ...]
    title: str
    story: str | None = None


def no_recipients(_channel: Channel) -> Sequence[str]:
    """A channel that is told as a whole."""
    return ("",)


def deliveries(
    tellings: Iterable[Telling],
    channels: Mapping[str, Channel],
    now: datetime,
    recipients: Callable[[Channel], Sequence[str]] = no_recipients,
) -> tuple[Delivery, ...]:
    """The rows of all tellings; a channel that is not configured gets none (config/ refuses it)."""
    alerts: dict[tuple[str, tuple[str, ...]], list[Telling]] = {}
    for telling in tellings:
        for name in telling.channels:
            alerts.setdefault((name, telling.subject), []).append(telling)
    return tuple(
        _delivery(channels[name], recipient, group, now)
        for (name, _), group in alerts.items()
        if name in channels
        for recipient in recipients(channels[name])
    )


def _delivery(channel: Channel, recipient: str, group: Sequence[Telling], now: datetime) -> Delivery:
    """One row for all rules that ask for the same: as soon and as urgent as the keenest of them."""
    first = group[0]
    rules = tuple(sorted({telling.rule.id for telling in group}))
    due, reason = min(
        slot(telling.rule.deliver, telling.rule.priority, channel.quiet_hours, now, channel.time_zone)
        for telling in group
    )
    return Delivery(
        id=delivery_id(first.kind, *first.subject, *rules, channel.name, recipient),
        kind=first.kind,
        channel=channel.name,
        recipient=recipient,
        rules=rules,
        hits=tuple(dict.fromkeys(hit for telling in group for hit in telling.hits)),
        story=first.story,
        title=first.title,
        priority=max((telling.rule.priority for telling in group), key=URGENCY.__getitem__),
        state=DeliveryState.HELD if reason else DeliveryState.PENDING,
        reason=reason,
        created_at=now,
        due_at=due,
    )
