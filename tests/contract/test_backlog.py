"""The promises of every store about work that is due and not done."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from aggregator.core.model import (
    Backlog,
    ChannelAnswer,
    ChannelTest,
    DeliveryState,
    FeedState,
    Health,
    HostLimit,
    Overdue,
    PollResult,
    StoredToday,
)
from tests.support.records import HOUR, MINUTE, NOW, AnyStore, delivery, feed, lease

pytestmark = pytest.mark.anyio


async def polled(store: AnyStore, name: str, *, due_at: timedelta, interval_s: float | None = 900.0) -> None:
    """A feed that is due at NOW + `due_at`."""
    (state,) = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=1, ids=[name], force=True)
    after: FeedState = replace(
        state, last_polled_at=NOW, first_polled_at=NOW, next_poll_at=NOW + due_at, interval_s=interval_s
    )
    await store.feeds.commit(PollResult(state=after), owner="me")


async def test_nothing_is_due(store: AnyStore) -> None:
    """An empty database, and feeds that were never polled, wait for nothing yet."""
    assert await store.catalog.backlog(NOW) == Backlog()
    await store.feeds.sync([feed("a")], NOW)
    assert await store.catalog.backlog(NOW + HOUR) == Backlog()


async def test_overdue_feeds_most_overdue_first(store: AnyStore) -> None:
    """By each feed's own interval; the oldest that is due, overdue or not, leased or not, is told apart."""
    await store.feeds.sync([feed(name) for name in "abcd"], NOW)
    await polled(store, "a", due_at=15 * MINUTE)
    await polled(store, "b", due_at=10 * MINUTE, interval_s=7200.0)
    await polled(store, "c", due_at=15 * MINUTE, interval_s=1.0)
    await polled(store, "d", due_at=HOUR)
    found = await store.catalog.backlog(NOW + 20 * MINUTE)
    assert found.oldest_feed_due_at == NOW + 10 * MINUTE
    assert found.feeds == (Overdue(name="c", due_at=NOW + 15 * MINUTE, interval_s=1.0),)
    await store.feeds.claim_due(NOW + HOUR, owner="me", lease_s=3600, limit=9, ids=["a", "c"])
    late = await store.catalog.backlog(NOW + HOUR)
    assert [one.name for one in late.feeds] == ["a", "c"]
    assert late.feeds_overdue == 2
    brief = await store.catalog.backlog(NOW + 20 * MINUTE, brief=True)
    assert (brief.oldest_feed_due_at, brief.feeds, brief.newest_poll_at) == (NOW + 10 * MINUTE, (), None)


async def test_feeds_that_rest_are_not_overdue(store: AnyStore) -> None:
    """Paused by a person, or asked by their host to wait."""
    await store.feeds.sync([feed("a"), feed("b", url="https://other.example/b")], NOW)
    await polled(store, "a", due_at=MINUTE)
    (state,) = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=1, ids=["b"], force=True)
    after = replace(state, last_polled_at=NOW, next_poll_at=NOW + MINUTE, interval_s=900.0)
    limit = HostLimit(host="other.example", not_before=NOW + 5 * HOUR, reason="429")
    await store.feeds.commit(PollResult(state=after, hosts=(limit,)), owner="me")
    assert [one.name for one in (await store.catalog.backlog(NOW + HOUR)).feeds] == ["a"]
    await store.catalog.pause("a", True, NOW)
    assert (await store.catalog.backlog(NOW + HOUR)).feeds == ()
    assert (await store.catalog.backlog(NOW + 6 * HOUR)).feeds_overdue == 1


async def test_what_is_due_on_each_channel(store: AnyStore) -> None:
    """Counted and dated by when it was due, while it is claimed too; what is held or settled does not wait."""
    await store.outbox.add(
        [
            delivery("d1", due_at=NOW - HOUR),
            delivery("d2", due_at=NOW),
            delivery("d3", channel="chat", due_at=NOW + MINUTE),
            delivery("d4", channel="chat", due_at=NOW + HOUR, state=DeliveryState.HELD),
            delivery("d5", due_at=NOW - 2 * HOUR, state=DeliveryState.SENT),
        ]
    )
    expected = (
        Overdue(name="desk", due_at=NOW - HOUR, count=2),
        Overdue(name="chat", due_at=NOW + MINUTE),
    )
    found = await store.catalog.backlog(NOW + MINUTE)
    assert found.channels == expected
    assert found.oldest_delivery_due_at == NOW - HOUR
    await store.outbox.claim(NOW + MINUTE, owner="me", lease_s=60, limit=9)
    for brief in (False, True):
        assert (await store.catalog.backlog(NOW + MINUTE, brief=brief)).channels == expected


async def test_feeds_over_their_daily_budget(store: AnyStore) -> None:
    """Those that left something out today; at midnight it is over."""
    await store.feeds.sync([feed(name) for name in "abc"], NOW)
    for name, left_out in (("a", 7), ("b", 0)):
        (state,) = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=1, ids=[name], force=True)
        today = StoredToday(day=NOW.date().isoformat(), entries=30, bytes=10, left_out=left_out)
        after = replace(state, next_poll_at=NOW + 48 * HOUR, stored_today=today)
        await store.feeds.commit(PollResult(state=after), owner="me")
    assert (await store.catalog.backlog(NOW)).over_budget == (("a", 7),)
    assert (await store.catalog.backlog(NOW + 24 * HOUR)).over_budget == ()


async def test_feeds_and_channels_that_need_a_look(store: AnyStore) -> None:
    """A first poll that failed, a feed without entries, a channel whose last attempt failed, alerts given up."""
    await store.feeds.sync([feed(name) for name in "abcd"], NOW)
    changes: dict[str, dict[str, Any]] = {
        "a": {"health": Health.OK, "last_ok_at": NOW, "items": 3, "newest_at": NOW},
        "b": {"health": Health.NEW, "failures": 1, "last_error": "HTTP 404"},
        "c": {"health": Health.GONE, "last_ok_at": NOW, "next_poll_at": None},
        "d": {"health": Health.OK, "last_ok_at": NOW},
    }
    for name, change in changes.items():
        (state,) = await lease(store.feeds, name)
        await store.feeds.commit(
            PollResult(state=replace(state, **{"last_polled_at": NOW, "next_poll_at": NOW + HOUR, **change})),
            owner="me",
        )
    rows = (
        delivery("d1", channel="mail", state=DeliveryState.DEAD, attempts=2, created_at=NOW - HOUR),
        delivery("d2", channel="mail", state=DeliveryState.SENT, attempts=1, sent_at=NOW - 2 * HOUR),
        delivery("d3", channel="hook", state=DeliveryState.RETRY, attempts=1, created_at=NOW - HOUR),
        delivery("d4", channel="hook", state=DeliveryState.SENT, attempts=2, sent_at=NOW),
        delivery("d5", channel="desk", created_at=NOW - HOUR, due_at=NOW + HOUR),
    )
    await store.outbox.add(rows)
    found = await store.catalog.backlog(NOW)
    assert [state.id for state in found.unwell] == ["c", "b", "d"]
    assert (found.feeds_unwell, found.dead, [one.id for one in found.broken]) == (3, 1, ["d1"])
    assert found.newest_poll_at == NOW
    await store.catalog.acknowledge(["d1"], NOW)
    found = await store.catalog.backlog(NOW)
    assert (found.dead, found.broken) == (0, ())


async def test_the_last_attempt_on_a_channel_may_be_a_test(store: AnyStore) -> None:
    """A test alert that failed is a finding, one that was accepted ends that of an older delivery; the last counts."""
    failed = delivery("d1", channel="mail", state=DeliveryState.RETRY, attempts=1, tried_at=NOW - HOUR)
    await store.outbox.add((failed,))

    async def tested(*, ok: bool, at: datetime) -> tuple[list[str], list[str]]:
        answers = (
            ChannelAnswer(recipient="a", ok=True, detail=""),
            ChannelAnswer(recipient="b", ok=ok, detail="HTTP 401"),
        )
        test = ChannelTest(channel="mail", at=at, answers=answers)
        await store.catalog.keep_channel_test(test)
        assert await store.catalog.channel_tests() == {"mail": test}
        found = await store.catalog.backlog(NOW)
        return [one.id for one in found.broken], [one.channel for one in found.failed_tests]

    assert await store.catalog.channel_tests() == {}
    assert await tested(ok=True, at=NOW - 2 * HOUR) == (["d1"], [])
    assert await tested(ok=False, at=NOW) == ([], ["mail"])
    assert await tested(ok=True, at=NOW) == ([], [])
