"""The promises of every store about subscriptions at hubs."""

from dataclasses import replace

import pytest
from msgspec import structs

from aggregator.core.model import PollResult
from aggregator.core.polling.websub import HubSubscription, Offer, SubscriptionState, Unsubscription
from tests.support.records import DAY, HOUR, NOW, AnyStore, feed, lease, polled

pytestmark = pytest.mark.anyio

ASKED = HubSubscription(
    feed="a", hub="https://hub.example/", topic="https://a.example/feed", callback="c1", secret="s1", asked_at=NOW
)


async def offering(store: AnyStore, *names: str, **facts: str) -> None:
    """Feeds that were polled, and name a hub."""
    await store.feeds.sync([feed(name) for name in names], NOW)
    for state in await lease(store.feeds, *names):
        await store.feeds.commit(
            PollResult(state=polled(state, **{"hub": "https://hub.example/", **facts})), owner="me"
        )


async def test_offers_are_feeds_with_a_hub(store: AnyStore) -> None:
    """The topic is what the feed calls itself, else where it is fetched."""
    await offering(store, "a", "b")
    await store.feeds.sync([feed("a"), feed("b"), feed("c")], NOW)
    (state,) = await lease(store.feeds, "b")
    await store.feeds.commit(PollResult(state=structs.replace(state, self_url="https://b.example/self")), owner="me")
    assert await store.subscriptions.offers() == (
        Offer(feed="a", hub="https://hub.example/", topic="https://a.example/feed"),
        Offer(feed="b", hub="https://hub.example/", topic="https://b.example/self"),
    )


async def test_paused_and_removed_feeds_offer_nothing(store: AnyStore) -> None:
    """What is not polled needs no pushes."""
    await offering(store, "a", "b")
    await store.catalog.pause("a", True, NOW)
    await store.feeds.sync([feed("a")], NOW)
    assert await store.subscriptions.offers() == ()


async def test_a_subscription_comes_back_whole(store: AnyStore) -> None:
    """By its callback and in the list; the secret is not shown where values are printed."""
    await offering(store, "a")
    live = replace(ASKED, standing=SubscriptionState.ACTIVE, renew_at=NOW + HOUR, lease_until=NOW + DAY, reason="ja")
    await store.subscriptions.save(live)
    assert await store.subscriptions.of("c1") == live
    assert await store.subscriptions.of("c2") is None
    assert await store.subscriptions.all() == (live,)
    assert "s1" not in repr(live)


async def test_a_feed_has_one_subscription(store: AnyStore) -> None:
    """The next one takes its place, and the old callback is nobody's."""
    await offering(store, "a")
    await store.subscriptions.save(ASKED)
    await store.subscriptions.save(replace(ASKED, callback="c2"))
    assert await store.subscriptions.of("c1") is None
    assert len(await store.subscriptions.all()) == 1


async def test_the_lease_is_known_to_polls(store: AnyStore) -> None:
    """The feed's state knows how long it is pushed; a poll under way cannot undo it."""
    await offering(store, "a")
    (before,) = await lease(store.feeds, "a")
    await store.subscriptions.save(replace(ASKED, lease_until=NOW + DAY))
    await store.feeds.commit(PollResult(state=polled(before)), owner="me")
    (state,) = await lease(store.feeds, "a")
    assert state.hub_until == NOW + DAY
    await store.feeds.release(["a"], owner="me")
    await store.subscriptions.remove(["a"])
    (state,) = await lease(store.feeds, "a")
    assert (state.hub_until, await store.subscriptions.all()) == (None, ())


async def test_a_hub_that_moved_is_remembered(store: AnyStore) -> None:
    """Beside what the hub has verified meanwhile."""
    await offering(store, "a")
    live = replace(ASKED, standing=SubscriptionState.ACTIVE, lease_until=NOW + DAY)
    await store.subscriptions.save(live)
    await store.subscriptions.moved("a", "https://new.example/")
    assert await store.subscriptions.all() == (replace(live, moved_to="https://new.example/"),)


async def test_unsubscriptions(store: AnyStore) -> None:
    """They outlive the subscription, until the hub knows."""
    await offering(store, "a")
    await store.subscriptions.save(ASKED)
    first, second = (
        Unsubscription(callback=name, hub="https://h.example/", topic="t", left_at=NOW) for name in ("c1", "c2")
    )
    await store.subscriptions.remove(["a"], [first])
    await store.subscriptions.remove([], [second])
    assert await store.subscriptions.all() == ()
    await store.subscriptions.mark_requested("c1")
    assert await store.subscriptions.leaving() == (replace(first, requested=True), second)
    await store.subscriptions.forget(["c1"])
    assert await store.subscriptions.leaving() == (second,)
