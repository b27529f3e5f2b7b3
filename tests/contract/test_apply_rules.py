"""The promises of every store about hits on stored entries, known hits, health and dead processes."""

from datetime import timedelta

import pytest

from aggregator.core.errors import NotFound
from aggregator.core.model import DeliveryState, Health, Reason, RoutingContext, RoutingQuery, RoutingResult
from tests.support.records import HOUR, NOW, AnyStore, delivery, entry, feed, hit, lease, stored

pytestmark = pytest.mark.anyio


async def test_known_hits_are_named(store: AnyStore) -> None:
    """Routing learns which of the hits that it asks about are stored already."""
    await stored(store, entry(), hits=(hit("h1"),))
    seen: list[RoutingContext] = []

    def route(context: RoutingContext) -> RoutingResult:
        seen.append(context)
        return RoutingResult()

    assert await store.feeds.record(RoutingQuery(hits=("h1", "h2")), route, NOW) == 0
    assert seen[0].known == {"h1"}


async def test_hits_on_stored_entries_are_recorded(store: AnyStore) -> None:
    """A rule that is applied to what is stored leaves hits and deliveries, and a repetition nothing more."""
    (written,) = await stored(store, entry(reason=Reason.BASELINE))
    routed = RoutingResult(hits=(hit("late", entry_id=written.id),), deliveries=(delivery("d", hits=("late",)),))
    for _ in range(2):
        assert await store.feeds.record(RoutingQuery(), lambda _: routed, NOW) == 1
    assert (await store.catalog.hit("late")).entry.id == written.id
    assert [row.id for row in await store.catalog.deliveries()] == ["d"]


async def test_health_is_counted(store: AnyStore) -> None:
    """Configured feeds are counted by state; a pause covers what is below it."""
    await store.feeds.sync([feed("a"), feed("b"), feed("c")], NOW)
    await stored(store, entry(feed="a"))
    await store.catalog.pause("b", True, NOW)
    assert dict(await store.catalog.health()) == {Health.OK: 1, Health.PAUSED: 1, Health.NEW: 1}


async def test_leases_of_the_dead_end(store: AnyStore) -> None:
    """A feed is free at once; what was being sent is claimed again, as a possible repeat."""
    await store.feeds.sync([feed("a")], NOW)
    await lease(store.feeds, "a", owner="dead")
    await store.outbox.add([delivery("d")])
    await store.outbox.claim(NOW, owner="dead", lease_s=300, limit=10)
    await store.outbox.begin("d", owner="dead", attempt=1)
    assert await store.maintenance.owners() == ("dead",)
    assert await store.maintenance.release_leases_of(["dead"], NOW + timedelta(seconds=1)) == 2
    later = NOW + timedelta(seconds=2)
    assert [state.id for state in await lease(store.feeds, "a", owner="alive", at=later)] == ["a"]
    (again,) = await store.outbox.claim(later, owner="alive", lease_s=300, limit=10)
    assert (again.state, again.attempts, again.repeat) == (DeliveryState.SENDING, 2, True)


async def test_leases_of_the_living_stand(store: AnyStore) -> None:
    """Nobody else's lease is touched, and freeing nobody frees nothing."""
    await store.feeds.sync([feed("a")], NOW)
    await lease(store.feeds, "a", owner="alive")
    assert await store.maintenance.release_leases_of([], NOW) == 0
    assert await store.maintenance.release_leases_of(["dead"], NOW) == 0
    assert await lease(store.feeds, "a", owner="other", at=NOW + HOUR * 0) == ()


async def test_short_ids_name_one_thing(store: AnyStore) -> None:
    """Four characters or more of an id are enough where only one begins so; a whole id always is."""
    await store.outbox.add([delivery("ab12cd"), delivery("ab34ef"), delivery("ab34")])
    assert await store.catalog.resolve_id("delivery", "ab12") == "ab12cd"
    assert await store.catalog.resolve_id("delivery", "ab34") == "ab34"
    for wrong in ("ab", "ab1", "zz", "%", ""):
        with pytest.raises(NotFound, match=f"'{wrong}'"):
            await store.catalog.resolve_id("delivery", wrong)
