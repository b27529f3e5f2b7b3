"""Outcomes of delivery attempts.

    pending ─┐                 ┌─> sent
    held ────┼─> sending ──────┼─> retry ──> (due again)
    retry ───┘                 ├─> held   (quiet hours, max_per_hour)
                               ├─> suppressed (silence)
                               └─> dead   (permanent, too long, or twice without an answer)

Retries wait 30 s · 2ⁿ up to an hour, a little less by a jitter that is derived from the
delivery's id (so that a crowd which failed together does not return together), or as long as the
service asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

from msgspec.structs import replace

from aggregator.core.delivery.ids import delivery_id
from aggregator.core.model import AlertKind, Delivery, DeliveryState, HitDetail, Notice

FIRST_RETRY_S = 30.0
MAX_RETRY_S = 3600.0
GIVE_UP_S = 72 * 3600.0
JITTER = 0.2
MAX_DEATHS = 3  # processes that died while they sent it


class HoldReason(StrEnum):
    """Reasons why a delivery waits. All held deliveries go out as one digest when the wait is over."""

    DIGEST = "digest"
    QUIET = "quiet hours"
    RATE = "max_per_hour"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The outcome of one attempt. `unknown`: the request was written and no answer came.

    `message_id` is what the service calls the message that it accepted, if it says so; `put_off` are those of its
    recipients who were refused for now, each with the service's words.
    """

    sent: bool = False
    detail: str = ""
    transient: bool = True
    unknown: bool = False
    retry_after_s: float | None = None
    message_id: str = ""
    put_off: tuple[tuple[str, str], ...] = ()


def settled(delivery: Delivery, outcome: AttemptResult, now: datetime) -> Delivery:
    """Return the delivery after this attempt (number `delivery.attempts`) has ended."""
    tried = replace(delivery, tried_at=delivery.tried_at or now, deaths=0, lease_owner=None, lease_until=None)
    if outcome.sent:
        return replace(
            tried, state=DeliveryState.SENT, reason="", sent_at=now, last_error=None, message_id=outcome.message_id
        )
    tried = replace(tried, last_error=outcome.detail)
    if verdict := _hopeless(tried, outcome, now):
        return replace(tried, state=DeliveryState.DEAD, reason=verdict)
    return replace(
        tried,
        state=DeliveryState.RETRY,
        reason="no response; it may have arrived" if outcome.unknown else "",
        repeat=tried.repeat or outcome.unknown,
        due_at=now + timedelta(seconds=wait_s(tried, outcome.retry_after_s)),
    )


def put_off(delivery: Delivery, outcome: AttemptResult, now: datetime) -> tuple[Delivery, ...]:
    """Make rows of their own for recipients who were put off while others got the same message."""
    rows = (
        (replace(delivery, id=delivery_id("put off", delivery.id, to), recipient=to), words)
        for to, words in outcome.put_off
    )
    return tuple(settled(row, AttemptResult(detail=words), now) for row, words in rows)


def wait_s(delivery: Delivery, retry_after_s: float | None = None) -> float:
    """Return the seconds until the attempt after number `delivery.attempts`."""
    doublings = min(max(delivery.attempts - 1, 0), 30)
    usual = min(FIRST_RETRY_S * 2.0**doublings, MAX_RETRY_S)
    digest = blake2b(f"{delivery.id}/{delivery.attempts}".encode(), digest_size=4).digest()
    usual *= 1 - JITTER * int.from_bytes(digest) / 2**32
    return max(usual, min(retry_after_s or 0.0, GIVE_UP_S))


def after_death(delivery: Delivery, now: datetime) -> Delivery:
    """Return a delivery whose attempt began and never ended, because the process died (perhaps of it).

    After the first death it is tried again at once, behind what is not under suspicion; then it rests.
    """
    deaths = delivery.deaths + 1
    rest = timedelta(seconds=wait_s(replace(delivery, attempts=deaths))) if deaths == MAX_DEATHS - 1 else timedelta()
    return replace(
        delivery,
        state=DeliveryState.RETRY,
        deaths=deaths,
        repeat=True,
        due_at=now + rest if rest else delivery.due_at,
        lease_owner=None,
        lease_until=None,
    )


def deadly(delivery: Delivery, now: datetime) -> Delivery | None:
    """Give up a delivery that was being sent at too many deaths; None: it may be sent."""
    if delivery.deaths < MAX_DEATHS:
        return None
    words = f"the service crashed {delivery.deaths} times while sending it; it may have arrived"
    ended = replace(delivery, tried_at=delivery.tried_at or now, lease_owner=None, lease_until=None)
    return replace(ended, state=DeliveryState.DEAD, reason="deadly", last_error=words)


def hold(delivery: Delivery, until: datetime, reason: HoldReason) -> Delivery:
    """Hold a claimed delivery that may not be sent yet."""
    return replace(
        delivery, state=DeliveryState.HELD, due_at=until, reason=str(reason), lease_owner=None, lease_until=None
    )


def suppress(delivery: Delivery, reason: str) -> Delivery:
    """Suppress a delivery that is no longer wanted."""
    return replace(delivery, state=DeliveryState.SUPPRESSED, reason=reason, lease_owner=None, lease_until=None)


def instead(silenced: Delivery, known: Sequence[HitDetail], now: datetime) -> tuple[Delivery, ...]:
    """Return the alert that replaces a silenced one: the earliest of those reports that it was to stand for."""
    first = min(known, key=lambda detail: (detail.hit.created_at, detail.hit.id), default=None)
    if first is None:
        return ()
    hits = [d.hit for d in known if (d.hit.feed, d.hit.entry_key) == (first.hit.feed, first.hit.entry_key)]
    replacement = Delivery(
        id=delivery_id("instead", silenced.id),
        channel=silenced.channel,
        recipient=silenced.recipient,
        rules=tuple(sorted({hit.rule for hit in hits})),
        hits=tuple(hit.id for hit in hits),
        story=silenced.story,
        title=first.entry.title or silenced.title,
        priority=silenced.priority,
        created_at=now,
        due_at=now,
    )
    return (replacement,)


def dead_letter_notice(dead: Delivery, channel: str, recipient: str, now: datetime) -> Delivery:
    """Report a dead delivery on another channel."""
    to = f"{dead.channel} ({dead.recipient})" if dead.recipient else dead.channel
    attempts = f"{dead.attempts} attempt{'s' * (dead.attempts != 1)}"
    body = (
        f"“{dead.title}” could not be delivered after {attempts}: {dead.last_error or dead.reason}\n"
        f"Retry with: aggregator deliveries retry {dead.id}"
    )
    return Delivery(
        id=delivery_id("dead", dead.id, channel, recipient),
        kind=AlertKind.DEAD_LETTER,
        channel=channel,
        recipient=recipient,
        title=f"Not delivered to {to}",
        notice=Notice(title=f"Not delivered to {to}", body=body),
        created_at=now,
        due_at=now,
    )


def _hopeless(tried: Delivery, outcome: AttemptResult, now: datetime) -> str:
    if outcome.unknown:
        return "sent twice without a response; it may have arrived" if tried.repeat and tried.attempts > 1 else ""
    if not outcome.transient:
        return "refused"
    tried_s = (now - (tried.tried_at or now)).total_seconds()
    return "given up after 72 h" if tried_s >= GIVE_UP_S else ""
