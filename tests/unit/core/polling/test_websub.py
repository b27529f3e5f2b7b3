"""The subscriber's side of WebSub: what is confirmed, renewed and believed."""

import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aggregator.core.polling.websub import (
    LEASE_S,
    HubSubscription,
    SubscriptionState,
    asked_again,
    is_due,
    is_genuine,
    is_live,
    pushed,
    verify,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TOPIC = "http://news.example/feed"
ASKED = HubSubscription(feed="f", hub="http://hub.example/", topic=TOPIC, callback="x", secret="s3cret", asked_at=NOW)
QUESTION = {"hub.mode": "subscribe", "hub.topic": TOPIC, "hub.challenge": "abc", "hub.lease_seconds": "1000"}


def test_verified() -> None:
    """A question about what was asked for is answered with the challenge and starts the lease."""
    verdict = verify(ASKED, QUESTION, NOW)
    live = verdict.subscription
    assert (verdict.reply, live.standing) == ("abc", SubscriptionState.ACTIVE)
    assert (live.renew_at, live.lease_until) == (NOW + timedelta(seconds=800), NOW + timedelta(seconds=1000))


@pytest.mark.parametrize(
    "change",
    [
        {"hub.topic": "http://other.example/"},
        {"hub.topic": None},
        {"hub.mode": "unsubscribe"},
        {"hub.mode": "publish"},
        {"hub.mode": None},
        {"hub.challenge": None},
        {"hub.challenge": ""},
    ],
)
def test_not_confirmed(change: dict[str, str | None]) -> None:
    """Another topic, an unsubscription or a question without a challenge is not confirmed, and changes nothing."""
    question = {name: value for name, value in {**QUESTION, **change}.items() if value is not None}
    verdict = verify(ASKED, question, NOW)
    assert (verdict.reply, verdict.subscription) == (None, ASKED)


@pytest.mark.parametrize(
    ("lease", "seconds"),
    [
        ("1000", 1000),
        ("5", 300),
        ("999999999", 30 * 86_400),
        ("2592001", 2_592_000),
        ("", LEASE_S),
        ("soon", LEASE_S),
        ("9" * 99, LEASE_S),
    ],
)
def test_lease(lease: str, seconds: float) -> None:
    """The hub decides on the lease, within reason."""
    live = verify(ASKED, {**QUESTION, "hub.lease_seconds": lease}, NOW).subscription
    assert live.lease_until == NOW + timedelta(seconds=seconds)


def test_denied() -> None:
    """A denial is acknowledged and remembered with its reason; the hub is asked again after a day."""
    verdict = verify(ASKED, {"hub.mode": "denied", "hub.topic": TOPIC, "hub.reason": "too\nmany"}, NOW)
    denied = verdict.subscription
    assert (verdict.reply, denied.standing, denied.reason) == ("", SubscriptionState.DENIED, "toomany")
    assert verify(denied, QUESTION, NOW).reply is None
    assert not is_due(denied, NOW + timedelta(hours=23))
    assert is_due(denied, NOW + timedelta(hours=24))


def test_renewal() -> None:
    """A lease is renewed before it ends, and believed until it ends, also while the hub is asked again."""
    live = verify(ASKED, QUESTION, NOW).subscription
    assert not is_due(live, NOW + timedelta(seconds=799))
    assert is_due(live, NOW + timedelta(seconds=800))
    again = asked_again(live, NOW + timedelta(seconds=800))
    assert is_live(again, NOW + timedelta(seconds=999))
    assert not is_live(again, NOW + timedelta(seconds=1000))
    assert verify(again, QUESTION, NOW + timedelta(seconds=801)).subscription.standing is SubscriptionState.ACTIVE


def test_unverified() -> None:
    """A request that no hub verifies is repeated, and nothing pushed meanwhile is believed."""
    assert not is_live(ASKED, NOW)
    assert not is_due(ASKED, NOW + timedelta(minutes=9))
    assert is_due(ASKED, NOW + timedelta(minutes=10))


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
def test_signatures(method: str) -> None:
    """Every method of the recommendation is understood; one wrong bit is not."""
    body = "<rss>é</rss>".encode()
    digest = hmac.new(b"s3cret", body, method).hexdigest()
    assert is_genuine(ASKED, f"{method}={digest}", body)
    assert is_genuine(ASKED, f"{method}={digest.upper()}", body)
    assert not is_genuine(ASKED, f"{method}={digest}", body + b" ")
    assert not is_genuine(replace(ASKED, secret="other"), f"{method}={digest}", body)


@pytest.mark.parametrize("signature", ["", "sha256", "sha256=", "md5=abc", "none=", "sha256=é", "=", "SHA256=x"])
def test_no_signature(signature: str) -> None:
    """Without a signature of a known method nothing is believed."""
    assert not is_genuine(ASKED, signature, b"x")


def test_pushed() -> None:
    """A push is a document of the topic in which only some entries may be."""
    document = pushed(ASKED, b"<rss/>", "text/xml")
    assert (document.url, document.delta, document.validators) == (TOPIC, True, None)
