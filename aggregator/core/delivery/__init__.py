"""Delivery of routed alerts: when one is due, and how an attempt changes it."""

from aggregator.core.delivery.calendar import due_at, quiet_until, slot
from aggregator.core.delivery.digest import compose, fold, foldable, split, urgency
from aggregator.core.delivery.ids import delivery_id
from aggregator.core.delivery.links import action_token, delivery_of
from aggregator.core.delivery.restored import mark_repeats
from aggregator.core.delivery.retry import (
    FIRST_RETRY_S,
    AttemptResult,
    HoldReason,
    after_death,
    dead_letter_notice,
    deadly,
    hold,
    instead,
    put_off,
    settled,
    suppress,
)

__all__ = [
    "FIRST_RETRY_S",
    "AttemptResult",
    "HoldReason",
    "action_token",
    "after_death",
    "compose",
    "dead_letter_notice",
    "deadly",
    "delivery_id",
    "delivery_of",
    "due_at",
    "fold",
    "foldable",
    "hold",
    "instead",
    "mark_repeats",
    "put_off",
    "quiet_until",
    "settled",
    "slot",
    "split",
    "suppress",
    "urgency",
]
