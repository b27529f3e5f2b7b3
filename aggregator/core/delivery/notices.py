"""Alerts that are not about hits: feed health, heartbeat, a faulty configuration."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from aggregator.core.delivery.calendar import slot
from aggregator.core.delivery.ids import delivery_id
from aggregator.core.model import AlertKind, Delivery, DeliveryState, Notice

if TYPE_CHECKING:
    from aggregator.core.settings import Channel, Settings


def health_channels(settings: "Settings") -> tuple[str, ...]:
    """Return the names of the channels that receive notices about the service itself."""
    return settings.default_channels if settings.health.notify is None else settings.health.notify


def notice_deliveries(
    notice: Notice,
    subject: Sequence[str],
    names: Sequence[str],
    channels: Mapping[str, "Channel"],
    now: datetime,
    *,
    kind: AlertKind,
    recipients: Callable[[str], Sequence[str]],
) -> tuple[Delivery, ...]:
    """Build a delivery for each recipient of each named channel; the same `subject` gives the same ids."""
    return tuple(
        _delivery(notice, subject, channels[name], recipient, now, kind)
        for name in names
        if name in channels
        for recipient in recipients(name)
    )


def _delivery(
    notice: Notice, subject: Sequence[str], channel: "Channel", recipient: str, now: datetime, kind: AlertKind
) -> Delivery:
    due, reason = slot("instant", "normal", channel.quiet_hours, now, channel.time_zone)
    return Delivery(
        id=delivery_id(kind, *subject, channel.name, recipient),
        kind=kind,
        channel=channel.name,
        recipient=recipient,
        title=notice.title,
        notice=notice,
        state=DeliveryState.HELD if reason else DeliveryState.PENDING,
        reason=reason,
        created_at=now,
        due_at=due,
    )
