"""WebSub, the subscriber's side (W3C Recommendation, 2018): when to ask a hub, and how to check its answers.

    requested ──verify──▶ active ──lease runs out──▶ requested again (renewed at 80 % of it)
        └────── denied by the hub, or the request failed: tried again after a day

    the feed is gone, or names another hub: unsubscribed; the hub asks back once more

A push is only as good as its signature: without a valid one it is dropped, and polling finds the
entry anyway.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from aggregator.core.model import Fetched

LEASE_S = 10 * 86_400.0
MIN_LEASE_S = 300.0
MAX_LEASE_S = 30 * 86_400.0
RENEW_AT = 0.8
VERIFIED_WITHIN = timedelta(minutes=10)
RETRY_AFTER = timedelta(days=1)
UNSUBSCRIBE_WITHIN = timedelta(days=1)
DIGESTS = frozenset({"sha1", "sha256", "sha384", "sha512"})  # §7.1


class SubscriptionState(StrEnum):
    """The state of a subscription."""

    REQUESTED = "requested"
    ACTIVE = "active"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSubscription:
    """A feed's subscription at its hub. `callback` is the unguessable end of one of our addresses."""

    feed: str
    hub: str
    topic: str
    callback: str
    secret: str = field(repr=False)
    standing: SubscriptionState = SubscriptionState.REQUESTED
    asked_at: datetime
    renew_at: datetime | None = None
    lease_until: datetime | None = None
    reason: str = ""
    moved_to: str | None = None  # where the hub's permanent redirects lead; `hub` is the address that the feed names

    @property
    def address(self) -> str:
        """Return the address at which the hub is asked."""
        return self.moved_to or self.hub


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscription:
    """A subscription that is to end. `requested`: the hub was asked; it may still ask back."""

    callback: str
    hub: str
    topic: str
    left_at: datetime
    requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A feed that names a hub, and the feed's address at that hub."""

    feed: str
    hub: str
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReply:
    """The answer to a hub's question: the reply (None: 404), and the subscription after it."""

    reply: str | None
    subscription: HubSubscription


def verify(subscription: HubSubscription, query: Mapping[str, str], now: datetime) -> VerificationReply:
    """Answer a hub that asks whether a subscription, or a denial of it, is meant (§5.2, §5.3).

    Only what this subscriber asked for is confirmed; unsubscriptions are `release`'s.
    """
    if query.get("hub.topic") != subscription.topic:
        return VerificationReply(reply=None, subscription=subscription)
    match query.get("hub.mode"):
        case "denied":
            denied = replace(
                subscription,
                standing=SubscriptionState.DENIED,
                renew_at=now + RETRY_AFTER,
                lease_until=None,
                reason="".join(char for char in query.get("hub.reason", "")[:200] if char.isprintable()),
            )
            return VerificationReply(reply="", subscription=denied)
        case "subscribe" if subscription.standing is not SubscriptionState.DENIED and query.get("hub.challenge"):
            return VerificationReply(reply=query["hub.challenge"], subscription=_activated(subscription, query, now))
    return VerificationReply(reply=None, subscription=subscription)


def unsubscription(subscription: HubSubscription, now: datetime) -> Unsubscription | None:
    """Return the unsubscription that a hub must receive; None: it never granted the subscription.

    Only a hub that knew the callback, and so was asked with the feed's own permissions, ever granted one.
    """
    if subscription.lease_until is None or (
        subscription.standing is SubscriptionState.DENIED and not is_live(subscription, now)
    ):
        return None
    return Unsubscription(
        callback=subscription.callback, hub=subscription.address, topic=subscription.topic, left_at=now
    )


def release(leaving: Unsubscription, query: Mapping[str, str]) -> str | None:
    """Answer a hub that asks whether an unsubscription is meant (§5.3): the challenge, or None."""
    meant = query.get("hub.mode") == "unsubscribe" and query.get("hub.topic") == leaving.topic
    return (query.get("hub.challenge") or None) if meant else None


def is_over(leaving: Unsubscription, now: datetime) -> bool:
    """Tell whether a hub had enough time to ask back."""
    return now - leaving.left_at >= UNSUBSCRIBE_WITHIN


def _activated(subscription: HubSubscription, query: Mapping[str, str], now: datetime) -> HubSubscription:
    asked = query.get("hub.lease_seconds", "")
    lease_s = (
        min(max(MIN_LEASE_S, float(asked)), MAX_LEASE_S)
        if asked.isascii() and asked.isdigit() and len(asked) < 10
        else LEASE_S
    )
    return replace(
        subscription,
        standing=SubscriptionState.ACTIVE,
        renew_at=now + timedelta(seconds=lease_s * RENEW_AT),
        lease_until=now + timedelta(seconds=lease_s),
        reason="",
    )


def is_live(subscription: HubSubscription, now: datetime) -> bool:
    """Tell whether pushes are expected and believed."""
    return subscription.lease_until is not None and subscription.lease_until > now


def is_due(subscription: HubSubscription, now: datetime) -> bool:
    """Tell whether the hub must be asked (again): to renew, after a denial, or if it never verified."""
    if subscription.standing is SubscriptionState.REQUESTED:
        return now - subscription.asked_at >= VERIFIED_WITHIN
    return subscription.renew_at is not None and subscription.renew_at <= now


def is_for(subscription: HubSubscription, offer: Offer) -> bool:
    """Tell whether a subscription still matches its feed's offer: hubs and topics move."""
    return (subscription.hub, subscription.topic) == (offer.hub, offer.topic)


def unanswered(
    offers: Iterable[Offer], subscriptions: Mapping[str, HubSubscription], now: datetime
) -> tuple[Offer, ...]:
    """Return the offers that a hub should be asked about now; `subscriptions` are by feed."""
    return tuple(
        offer
        for offer in offers
        if not (known := subscriptions.get(offer.feed)) or not is_for(known, offer) or is_due(known, now)
    )


def refused(subscription: HubSubscription, reason: str, now: datetime) -> HubSubscription:
    """Return the subscription after the request to the hub failed; an old lease runs on.

    The next request goes to the hub that the feed names.
    """
    return replace(
        subscription, standing=SubscriptionState.DENIED, renew_at=now + RETRY_AFTER, reason=reason[:200], moved_to=None
    )


def asked_again(subscription: HubSubscription, now: datetime) -> HubSubscription:
    """Return the subscription after a new request; pushes under the old lease are still believed."""
    return replace(subscription, standing=SubscriptionState.REQUESTED, asked_at=now, reason="")


def is_genuine(subscription: HubSubscription, signature: str, body: bytes) -> bool:
    """Tell whether `X-Hub-Signature` proves that the sender of a push knows the secret (§7.1)."""
    method, _, given = signature.strip().partition("=")
    if method not in DIGESTS or not given.isascii():
        return False
    expected = hmac.new(subscription.secret.encode(), body, method).hexdigest()
    return hmac.compare_digest(expected, given.lower())


def pushed(subscription: HubSubscription, body: bytes, content_type: str) -> Fetched:
    """Convert a push to the form that a poll returns: a document of the topic, perhaps only part of it."""
    return Fetched(url=subscription.topic, status=200, body=body, content_type=content_type, delta=True, pushed=True)
