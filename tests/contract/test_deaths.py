"""The memory of every store of the work that was under way when a process died."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from aggregator.core.model import Delivery, DeliveryState, FeedState, PollResult, Suspect
from aggregator.core.polling.schedule import rest_after_deaths_s
from tests.support.records import DAY, HOUR, MINUTE, NOW, AnyStore, delivery, feed

pytestmark = pytest.mark.anyio


async def poll(store: AnyStore, owner: str, at: timedelta = timedelta(), **more: object) -> tuple[FeedState, ...]:
    return await store.feeds.claim_due(NOW + at, owner=owner, lease_s=60, limit=9, **more)  # type: ignore[arg-type]


async def killed_while_polling(store: AnyStore, owner: str, at: timedelta) -> FeedState:
    """A process takes the one feed up, begins a document and dies; the next start frees what it held."""
    (state,) = await poll(store, owner, at)
    await store.feeds.begin(state.id, NOW + at, owner=owner)
    await store.maintenance.release_leases_of([owner], NOW + at)
    return state


async def test_a_feed_rests_longer_with_each_death(store: AnyStore) -> None:
    """The first costs nothing; the rest grows, and from the second on the feed is under suspicion."""
    await store.feeds.sync([feed("a")], NOW)
    at = timedelta()
    for death in range(1, 5):
        state = await killed_while_polling(store, f"p{death}", at)
        assert state.deaths == death - 1
        rest = timedelta(seconds=rest_after_deaths_s(death))
        if rest:
            assert await poll(store, "next", at) == ()
            assert await poll(store, "next", at + rest - timedelta(seconds=1)) == ()
        else:
            await poll(store, "next", at)
            await store.feeds.release(["a"], owner="next")
        at += rest
        suspects = (await store.catalog.backlog(NOW + at)).suspects
        assert suspects == ((Suspect(kind="feed", name="a", deaths=death, until=NOW + at),) if death > 1 else ())
    (state,) = await poll(store, "last", at)
    assert state.deaths == 4


async def test_a_kill_in_the_midst_of_a_request_costs_nothing(store: AnyStore) -> None:
    """Who was asked and had not answered, or was unchanged, is taken up again at once, however often."""
    await store.feeds.sync([feed("a")], NOW)
    for number in range(4):
        (state,) = await poll(store, f"p{number}")
        assert state.deaths == 0
        await store.maintenance.release_leases_of([f"p{number}"], NOW)


async def test_a_machine_that_is_gone_counts_as_dead_when_its_lease_ends(store: AnyStore) -> None:
    """Nobody frees its leases; a lapse of the claimer's own lease is no death."""
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    await poll(store, "gone", ids=["a"])
    await poll(store, "me", ids=["b"])
    await store.feeds.begin("a", NOW, owner="gone")
    await store.feeds.begin("b", NOW, owner="me")
    assert {state.id: state.deaths for state in await poll(store, "me", MINUTE)} == {"a": 1, "b": 0}


async def test_what_came_to_its_end_is_not_counted(store: AnyStore) -> None:
    """A commit ends what was begun, and so does a release; who has no lease begins nothing."""
    await store.feeds.sync([feed("a")], NOW)
    (state,) = await poll(store, "me")
    await store.feeds.begin("a", NOW, owner="other")
    await store.maintenance.release_leases_of(["me"], NOW)
    (state,) = await poll(store, "me")
    await store.feeds.begin("a", NOW, owner="me")
    await store.feeds.commit(PollResult(state=replace(state, last_polled_at=NOW, next_poll_at=NOW)), owner="me")
    await poll(store, "me")
    await store.feeds.begin("a", NOW, owner="me")
    await store.feeds.release(["a"], owner="me")
    await poll(store, "me")
    await store.maintenance.release_leases_of(["me"], NOW)
    assert [one.deaths for one in await poll(store, "next")] == [0]


async def test_deaths_are_written_with_the_poll(store: AnyStore) -> None:
    """What the policy makes of them is kept like the rest of the state."""
    await store.feeds.sync([feed("a")], NOW)
    await killed_while_polling(store, "p1", timedelta())
    (state,) = await poll(store, "me", MINUTE)
    assert state.deaths == 1
    after = replace(state, deaths=0, last_polled_at=NOW, next_poll_at=NOW + HOUR)
    await store.feeds.commit(PollResult(state=after), owner="me")
    assert [one.deaths for one in await poll(store, "me", HOUR)] == [0]


async def killed_while_sending(store: AnyStore, owner: str, at: timedelta) -> Delivery:
    (claimed,) = await store.outbox.claim(NOW + at, owner=owner, lease_s=60, limit=1)
    await store.outbox.begin(claimed.id, owner=owner, attempt=claimed.attempts)
    await store.maintenance.release_leases_of([owner], NOW + at)
    return claimed


async def test_an_alert_counts_the_deaths_that_it_was_sent_at(store: AnyStore) -> None:
    """At once after the first, after a rest after the second; each attempt stays on record as in doubt."""
    await store.outbox.add([delivery()])
    assert (await killed_while_sending(store, "p1", timedelta())).deaths == 0
    second = await killed_while_sending(store, "p2", timedelta())
    assert (second.deaths, second.repeat) == (1, True)
    assert await store.outbox.claim(NOW, owner="p3", lease_s=60, limit=9) == ()
    (suspect,) = (await store.catalog.backlog(NOW, brief=True)).suspects
    assert (suspect.kind, suspect.name, suspect.deaths) == ("delivery", "d1", 2)
    third = await killed_while_sending(store, "p3", 2 * MINUTE)
    assert third.deaths == 2
    (last,) = await store.outbox.claim(NOW + HOUR, owner="p4", lease_s=60, limit=9)
    assert last.deaths == 3
    attempts = (await store.catalog.delivery("d1"))[1]
    assert [(one.outcome, one.ended_at is not None) for one in attempts] == [("unknown", True)] * 3 + [(None, False)]


async def test_suspects_go_last_and_delay_no_others(store: AnyStore) -> None:
    """An alert at which a process died waits behind those of its urgency that are harmless."""
    await store.outbox.add([delivery("d1", due_at=NOW - HOUR)])
    await killed_while_sending(store, "p1", timedelta())
    await store.outbox.add([delivery("d2"), delivery("low", priority="low", due_at=NOW - DAY)])
    claimed = await store.outbox.claim(NOW, owner="me", lease_s=60, limit=9)
    assert [one.id for one in claimed] == ["d2", "d1", "low"]


async def test_a_kill_before_an_attempt_began_is_no_death(store: AnyStore) -> None:
    """Claimed and not begun is not sent; and a lapse of the claimer's own lease is marked, not counted."""
    await store.outbox.add([delivery("d1"), delivery("d2")])
    await store.outbox.claim(NOW, owner="p1", lease_s=60, limit=9)
    await store.outbox.begin("d2", owner="p1", attempt=1)
    claimed = await store.outbox.claim(NOW + MINUTE, owner="p1", lease_s=60, limit=9)
    assert [(one.id, one.deaths, one.repeat) for one in claimed] == [("d1", 0, False), ("d2", 0, True)]


async def test_a_second_chance_forgets_the_deaths(store: AnyStore) -> None:
    """Who retries an alert by hand means it."""
    await store.outbox.add([delivery(deaths=3, state=DeliveryState.DEAD, attempts=3)])
    await store.catalog.retry(["d1"], NOW)
    assert [one.deaths for one in await store.outbox.claim(NOW, owner="me", lease_s=60, limit=9)] == [0]
