"""Deliveries, their attempts, and silences."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from aggregator.core.model import AlertKind, Attempt, Delivery, DeliveryState, Notice, Silence
from aggregator.store.column_types import Values
from aggregator.store.schema import deliveries

# Columns that are named like the field they hold, in the same form.
SAME = tuple(
    c.name for c in deliveries.columns if c.name not in {"kind", "rules", "hits", "notice", "state", "wake_at"}
)
UNSETTLED = frozenset({DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.RETRY})


def delivery_values(delivery: Delivery) -> Values:
    notice = delivery.notice
    return {
        **{name: getattr(delivery, name) for name in SAME},
        "kind": delivery.kind.value,
        "rules": delivery.rules,
        "hits": delivery.hits,
        "notice": (notice.title, notice.body, notice.link) if notice else None,
        "state": delivery.state.value,
        "wake_at": _wake_at(delivery),
    }


def delivery(row: Row[Any]) -> Delivery:
    found = row._asdict()
    return Delivery(
        kind=AlertKind(found["kind"]),
        rules=tuple(found["rules"]),
        hits=tuple(found["hits"]),
        notice=_notice(found["notice"]),
        state=DeliveryState(found["state"]),
        **{name: found[name] for name in SAME},
    )


def _wake_at(delivery: Delivery) -> datetime | None:
    """Return when a delivery may be taken next; None: it is settled."""
    if delivery.state is DeliveryState.SENDING:
        return delivery.lease_until or delivery.due_at
    return delivery.due_at if delivery.state in UNSETTLED else None


def _notice(given: list[Any] | None) -> Notice | None:
    if given is None:
        return None
    title, body, link = given
    return Notice(title=title, body=body, link=link)


def attempt(row: Row[Any]) -> Attempt:
    return Attempt(**row._asdict())


def silence(row: Row[Any]) -> Silence:
    return Silence(**row._asdict())
