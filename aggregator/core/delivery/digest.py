"""Digests of several alerts, and the message that an outbox row becomes."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aggregator.core.delivery.ids import delivery_id
from aggregator.core.delivery.retry import HoldReason
from aggregator.core.model import URGENCY, Alert, AlertKind, Delivery, DeliveryState, HitDetail, HitState, Notice

if TYPE_CHECKING:
    from aggregator.core.settings import Channel

FOLDED = frozenset(map(str, HoldReason))


def urgency(delivery: Delivery) -> tuple[int, int, datetime, str]:
    """Return the sort key of a channel's deliveries; those at which a process died come last."""
    return URGENCY.get(delivery.priority, 1), delivery.deaths, delivery.created_at, delivery.id


def foldable(delivery: Delivery) -> bool:
    """Tell whether a row may join a digest: only one that waited and was not tried on its own yet."""
    waited = delivery.reason in FOLDED and delivery.kind in (AlertKind.HIT, AlertKind.DIGEST)
    return waited and delivery.tried_at is None


def fold(members: Sequence[Delivery], now: datetime) -> Delivery:
    """Fold deliveries to one recipient into one digest that carries everything its members carry."""
    ordered = sorted(members, key=urgency)
    first, rules = ordered[0], sorted({rule for member in ordered for rule in member.rules})
    hits = tuple(dict.fromkeys(hit for member in ordered for hit in member.hits))
    return Delivery(
        id=delivery_id("digest", first.channel, first.recipient, *sorted(member.id for member in members)),
        kind=AlertKind.DIGEST,
        channel=first.channel,
        recipient=first.recipient,
        rules=tuple(rules),
        hits=hits,
        title=_title(ordered, len(hits)),
        priority=first.priority,
        state=DeliveryState.PENDING,
        created_at=now,
        due_at=now,
        repeat=any(member.repeat for member in ordered),
    )


def split(delivery: Delivery, recipients: Sequence[str]) -> tuple[Delivery, ...]:
    """Split a claimed row that was addressed to a whole channel into one row for each of its recipients."""
    attempts = max(0, delivery.attempts - 1)
    return tuple(
        replace(
            delivery,
            id=delivery_id("split", delivery.id, recipient),
            recipient=recipient,
            state=DeliveryState.RETRY if attempts else DeliveryState.PENDING,
            attempts=attempts,
            lease_owner=None,
            lease_until=None,
        )
        for recipient in recipients
    )


def compose(
    delivery: Delivery,
    detail: Sequence[HitDetail],
    channel: "Channel",
    public_url: str | None = None,
    token: str = "",
) -> Alert:
    """Compose the alert of a delivery; `token` opens a page that acts on it.

    A delivery whose entries are gone keeps its title.
    """
    notice = delivery.notice or (None if detail else Notice(title=delivery.title))
    return Alert(
        id=delivery.id,
        kind=delivery.kind,
        title=delivery.title,
        hits=tuple(sorted(detail, key=_newest_first)),
        notice=notice,
        why=_why(detail),
        more=max(0, len(delivery.hits) - len(detail)) if detail else 0,
        priority=delivery.priority,
        repeat=delivery.repeat,
        time_zone=channel.time_zone,
        page=f"{public_url.rstrip('/')}/alerts/{delivery.id}" if public_url else None,
        act=f"{public_url.rstrip('/')}/act/{token}" if public_url and token else None,
        thread=delivery.story or "",
        update=delivery.update,
        created_at=delivery.created_at,
    )


def _why(details: Sequence[HitDetail]) -> str:
    """Return why an alert is sent; of several stories, what is the reason of all its hits."""
    found = [t.hit.reason for t in details if t.hit.state is HitState.ALERTED]
    shared = len({t.hit.story for t in details}) == 1 or len({*found}) == 1
    return next(filter(None, found), "") if shared else ""


def _newest_first(detail: HitDetail) -> tuple[float, int]:
    """Alerts go by time: that of publication, which nobody has after it was seen, then the order of storing."""
    entry = detail.entry
    return -entry.dated_at.timestamp(), -(entry.id or 0)


def _title(members: Sequence[Delivery], hits: int) -> str:
    if any(member.reason == HoldReason.RATE for member in members):
        return f"{hits} more"
    if all(member.reason == HoldReason.QUIET for member in members):
        return f"{hits} alerts from quiet hours"
    return f"{hits} alerts"
