"""Outbox rows from planned alerts: one per alert, channel and recipient, however many rules asked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aggregator.core.delivery import delivery_id, slot
from aggregator.core.model import URGENCY, AlertKind, Delivery, DeliveryState
from aggregator.core.settings import Channel, RuleConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAlert:
    """A rule's request to send an alert on some channels.

    Planned alerts with the same `subject` become one alert; `subject` is what its id is made of.
    `only` names, for a channel of which others have it already, those of its recipients who are to hear.
    """

    subject: tuple[str, ...]
    kind: AlertKind
    rule: RuleConfig
    hits: tuple[str, ...]
    channels: tuple[str, ...]
    title: str
    story: str | None = None
    update: bool = False
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)


def whole_channel(_channel: Channel) -> Sequence[str]:
    """Return the only recipient of a channel without targets: the channel itself."""
    return ("",)


class Recipients:
    """Look up the recipients of each channel of one configuration, once per channel.

    The first look may take seconds (it loads the library that speaks to the channel): a service calls
    `resolve` in a thread before the configuration is in force, a command looks up what it needs.
    """

    def __init__(
        self, channels: Mapping[str, Channel], find: Callable[[Channel], Sequence[str]] = whole_channel
    ) -> None:
        self._channels, self._find = channels, find
        self._names: dict[str, Sequence[str]] = {}

    def of(self, channel: str) -> Sequence[str]:
        """Return the recipients of a channel, one delivery each; none if it is not configured."""
        if channel not in self._channels:
            return ()
        if channel not in self._names:
            self._names[channel] = self._find(self._channels[channel])
        return self._names[channel]

    def resolve(self) -> None:
        """Look up every channel."""
        for name in self._channels:
            self.of(name)


def deliveries(
    details: Iterable[PlannedAlert],
    channels: Mapping[str, Channel],
    now: datetime,
    recipients: Recipients,
) -> tuple[Delivery, ...]:
    """Build the rows of all planned alerts; a channel that is not configured gets none (config/ refuses it)."""
    alerts: dict[tuple[str, tuple[str, ...]], list[PlannedAlert]] = {}
    for detail in details:
        for name in detail.channels:
            alerts.setdefault((name, detail.subject), []).append(detail)
    return tuple(
        _delivery(channels[name], recipient, group, now)
        for (name, _), group in alerts.items()
        for recipient in recipients.of(name)
        if any(name not in detail.only or recipient in detail.only[name] for detail in group)
    )


def _delivery(channel: Channel, recipient: str, group: Sequence[PlannedAlert], now: datetime) -> Delivery:
    """Build one row for all rules that ask for the same: as soon and as urgent as the most pressing of them."""
    first = min(group, key=lambda detail: detail.update)
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
        update=first.update,
        title=first.title,
        priority=min((detail.rule.priority for detail in group), key=URGENCY.__getitem__),
        state=DeliveryState.HELD if reason else DeliveryState.PENDING,
        reason=reason,
        created_at=now,
        due_at=due,
    )
