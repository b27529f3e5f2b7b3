"""Outcomes of delivery attempts."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aggregator.core.delivery import (
    AttemptResult,
    HoldReason,
    after_death,
    dead_letter_notice,
    deadly,
    delivery_id,
    hold,
    settled,
)
from aggregator.core.delivery.retry import wait_s
from aggregator.core.model import AlertKind, Delivery, DeliveryState

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def claimed(**changes: object) -> Delivery:
    base = Delivery(
        id="d1",
        channel="desk",
        title="S-400",
        state=DeliveryState.SENDING,
        created_at=NOW,
        due_at=NOW,
        attempts=1,
        lease_owner="me",
    )
    return replace(base, **changes)


def test_accepted() -> None:
    """An accepted alert is sent, with its instant and without a lease or an old error."""
    sent = settled(claimed(last_error="421 busy"), AttemptResult(sent=True), NOW)
    assert (sent.state, sent.sent_at, sent.last_error, sent.lease_owner) == (DeliveryState.SENT, NOW, None, None)


def test_temporary_failure_waits_thirty_seconds_at_most() -> None:
    """The first retry comes after 24 to 30 seconds and keeps the service's words."""
    retry = settled(claimed(), AttemptResult(detail="421 try again"), NOW)
    assert retry.state is DeliveryState.RETRY
    assert timedelta(seconds=24) <= retry.due_at - NOW <= timedelta(seconds=30)
    assert (retry.last_error, retry.tried_at, retry.repeat) == ("421 try again", NOW, False)


@given(st.integers(1, 10_000), st.text(max_size=8))
def test_waits_double_up_to_an_hour(attempts: int, name: str) -> None:
    """Waits lie within the jitter below 30 s · 2ⁿ and never above an hour."""
    usual = min(30 * 2 ** min(attempts - 1, 20), 3600)
    assert 0.8 * usual <= wait_s(claimed(id=name, attempts=attempts)) <= usual


def test_a_service_that_asks_for_patience_gets_it() -> None:
    """Retry-After beats the usual wait, but not for longer than we keep trying."""
    assert wait_s(claimed(), 900.0) == 900.0
    assert wait_s(claimed(), 1.0) >= 24
    assert wait_s(claimed(), 10**9) == 72 * 3600


def test_refusal_is_final() -> None:
    """A permanent failure is dead at once and keeps the reason that the service gave."""
    dead = settled(claimed(), AttemptResult(detail="550 no such user", transient=False), NOW)
    assert (dead.state, dead.reason, dead.last_error) == (DeliveryState.DEAD, "refused", "550 no such user")


def test_given_up_after_three_days_of_trying() -> None:
    """The 72 h count from the first attempt, not from the news."""
    long_ago = NOW - timedelta(hours=100)
    waited = claimed(created_at=long_ago)
    assert settled(waited, AttemptResult(), NOW).state is DeliveryState.RETRY
    tried = claimed(created_at=long_ago, tried_at=NOW - timedelta(hours=72))
    assert settled(tried, AttemptResult(), NOW).state is DeliveryState.DEAD


def test_no_answer_is_resent_once_and_marked() -> None:
    """An attempt without an answer is repeated once, marked; a second one ends visibly."""
    once = settled(claimed(), AttemptResult(unknown=True, detail="no answer in 20 s"), NOW)
    assert (once.state, once.repeat) == (DeliveryState.RETRY, True)
    twice = settled(replace(once, state=DeliveryState.SENDING, attempts=2), AttemptResult(unknown=True), NOW)
    assert twice.state is DeliveryState.DEAD
    assert "may have arrived" in twice.reason


def test_dead_letter_names_the_loss_and_the_remedy() -> None:
    """The report says what was lost, where, why, and how to try again."""
    dead = settled(claimed(recipient="ann@example.org"), AttemptResult(detail="550 no such user", transient=False), NOW)
    content = dead_letter_notice(dead, "console", "", NOW)
    assert content.kind is AlertKind.DEAD_LETTER
    assert content.notice is not None
    assert content.title == "Not delivered to desk (ann@example.org)"
    assert all(word in content.notice.body for word in ("S-400", "550 no such user", "aggregator deliveries retry d1"))


def test_held() -> None:
    """A held delivery says why and until when, and frees its lease."""
    held = hold(claimed(), NOW + timedelta(hours=1), HoldReason.QUIET)
    assert (held.state, held.reason, held.lease_owner) == (DeliveryState.HELD, "quiet hours", None)


def test_ids_do_not_run_into_each_other() -> None:
    """Different parts give different ids even where their concatenation is the same."""
    assert delivery_id("ab", "c") != delivery_id("a", "bc")
    assert delivery_id("ab", "c") == delivery_id("ab", "c")
    assert len(delivery_id("\ud800")) == 20


def test_a_death_during_an_attempt_is_no_proof_and_a_second_one_makes_it_rest() -> None:
    """The first costs nothing, the second a minute at most; both are marked as possible repeats."""
    once = after_death(claimed(), NOW + timedelta(minutes=5))
    assert (once.state, once.deaths, once.due_at, once.repeat) == (DeliveryState.RETRY, 1, NOW, True)
    twice = after_death(once, NOW)
    assert twice.deaths == 2
    assert timedelta(seconds=48) <= twice.due_at - NOW <= timedelta(seconds=60)
    assert deadly(twice, NOW) is None


def test_the_third_death_ends_an_alert_visibly() -> None:
    """It is dead with its reason; whatever else ends an attempt shows that the process survived it."""
    third = replace(after_death(claimed(deaths=2), NOW), state=DeliveryState.SENDING)
    ended = deadly(third, NOW)
    assert ended is not None
    assert (ended.state, ended.reason) == (DeliveryState.DEAD, "deadly")
    assert "crashed 3 times" in (ended.last_error or "")
    for outcome in (
        AttemptResult(sent=True),
        AttemptResult(detail="421"),
        AttemptResult(unknown=True),
        AttemptResult(transient=False),
    ):
        assert settled(claimed(deaths=2), outcome, NOW).deaths == 0
    assert hold(claimed(deaths=2), NOW, HoldReason.QUIET).deaths == 2
