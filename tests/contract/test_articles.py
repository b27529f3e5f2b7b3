"""The promises of every store about requests for full texts."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from aggregator.core.errors import Conflict
from aggregator.core.model import (
    Entry,
    Hit,
    HitFilter,
    HostLimit,
    PollResult,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    UnroutedPoll,
)
from tests.support.records import DAY, HOUR, MINUTE, NOW, AnyStore, delivery, entry, feed, hit, lease, polled, stored

pytestmark = pytest.mark.anyio


async def wished(store: AnyStore, *keys: str) -> None:
    """Entries that want their articles."""
    await stored(store, *(entry(key) for key in keys), articles_wanted=keys)


async def test_an_article_request_is_due_at_once(store: AnyStore) -> None:
    """What a poll wants is given with its entry, the longest waiting first, each as its first try."""
    await wished(store, "k1", "k2")
    first, second = await store.articles.due(NOW, lease_s=60, limit=10)
    assert [(request.entry.title, request.attempts) for request in (first, second)] == [
        ("Title k1", 1),
        ("Title k2", 1),
    ]
    assert first.entry.id is not None


async def test_an_article_request_is_given_to_one_at_a_time(store: AnyStore) -> None:
    """A wish that was taken rests for its lease, and then it is another try."""
    await wished(store, "k1", "k2")
    (first,) = await store.articles.due(NOW, lease_s=60, limit=1)
    (second,) = await store.articles.due(NOW, lease_s=60, limit=10)
    assert {first.entry.key, second.entry.key} == {"k1", "k2"}
    assert await store.articles.due(NOW + timedelta(seconds=59), lease_s=60, limit=10) == ()
    again = await store.articles.due(NOW + MINUTE, lease_s=60, limit=10)
    assert [request.attempts for request in again] == [2, 2]


async def test_an_article_request_can_be_put_off(store: AnyStore) -> None:
    """It is due when it was put off to; hosts that asked for rest get it."""
    await wished(store, "k1")
    (request,) = await store.articles.due(NOW, lease_s=60, limit=1)
    limit = HostLimit(host="b.example", not_before=NOW + DAY, reason="Retry-After")
    await store.articles.put_off(request.entry.id or 0, NOW + HOUR, [limit])
    assert await store.articles.next_due_at() == NOW + HOUR
    assert await store.articles.due(NOW + HOUR - MINUTE, lease_s=60, limit=1) == ()
    assert len(await store.articles.due(NOW + HOUR, lease_s=60, limit=1)) == 1
    assert await store.catalog.hosts() == (limit,)


async def test_an_article_request_can_be_dropped(store: AnyStore) -> None:
    """It does not come again, and its entry stays."""
    await wished(store, "k1", "k2")
    (request,) = await store.articles.due(NOW, lease_s=60, limit=1)
    await store.articles.drop([request.entry.id or 0])
    (left,) = await store.articles.due(NOW + DAY, lease_s=60, limit=10)
    assert left.entry.key != request.entry.key
    await store.articles.drop([left.entry.id or 0])
    assert await store.articles.next_due_at() is None
    assert await store.catalog.count_entries() == 2


async def test_a_resting_host_is_left_alone(store: AnyStore) -> None:
    """Wishes of a feed whose host asked for rest wait for its end."""
    await wished(store, "k1")
    limit = HostLimit(host="a.example", not_before=NOW + HOUR)
    await store.articles.put_off(0, NOW, [limit])
    assert await store.articles.due(NOW, lease_s=60, limit=1) == ()
    assert len(await store.articles.due(NOW + HOUR, lease_s=60, limit=1)) == 1


def later(entry: Entry, *hits: Hit) -> UnroutedPoll:
    return UnroutedPoll(feed=entry.feed, at=NOW, config=1, hits=hits, entries=(entry,))


async def test_an_article_becomes_the_next_version(store: AnyStore) -> None:
    """Entry, hits and alerts are written together; the feed's own text stays what edits are told by."""
    await wished(store, "k1")
    (request,) = await store.articles.due(NOW, lease_s=60, limit=1)
    whole = replace(request.entry, content="The whole article", version=2)
    seen: list[RoutingContext] = []

    def route(context: RoutingContext) -> RoutingResult:
        seen.append(context)
        return RoutingResult(hits=(hit("h1", entry_version=2),), deliveries=(delivery("d1", hits=("h1",)),))

    question, asked = RoutingQuery(hits=("h1",)), later(whole, hit("h1", entry_version=2))
    assert await store.articles.fill(whole, NOW, question=question, route=route, later=asked) == 1
    if store.feeds.routes_later:
        assert seen == []
        assert (await store.feeds.route_waiting(lambda _: (question, route), NOW, config=1)).hits == 1
    assert seen[0].known == frozenset()
    found = await store.catalog.entry(request.entry.id or 0)
    assert (found.content, found.version, found.content_hash) == ("The whole article", 2, b"1")
    (detail,) = await store.catalog.hits(HitFilter())
    assert (detail.hit.id, detail.hit.entry_version) == ("h1", 2)
    assert (await store.catalog.delivery("d1"))[0].hits == ("h1",)
    known, _ = await store.feeds.known("a", ["k1"])
    assert (known["k1"].version, known["k1"].content_hash) == (2, b"1")
    assert await store.articles.due(NOW + DAY, lease_s=60, limit=1) == ()


async def test_an_article_without_a_question_is_only_stored(store: AnyStore) -> None:
    """Where no rule matched, nothing is routed."""
    await wished(store, "k1")
    (request,) = await store.articles.due(NOW, lease_s=60, limit=1)

    def route(context: RoutingContext) -> RoutingResult:
        raise AssertionError("nothing was asked")

    whole = replace(request.entry, content="The whole article", version=2)
    assert await store.articles.fill(whole, NOW, question=None, route=route, later=later(whole)) == 0
    assert (await store.feeds.unrouted(NOW)).polls == 0
    assert (await store.catalog.entry(request.entry.id or 0)).content == "The whole article"


async def test_an_edit_meanwhile_wins(store: AnyStore) -> None:
    """The article of an entry that was edited while it was read is not written over the edit; the wish stands."""
    await wished(store, "k1")
    (request,) = await store.articles.due(NOW, lease_s=60, limit=1)
    (state,) = await lease(store.feeds, "a")
    edited = entry("k1", title="Edited", version=2)
    await store.feeds.commit(PollResult(state=polled(state), entries=(edited,)), owner="me")
    late = replace(request.entry, content="late", version=2)
    with pytest.raises(Conflict):
        await store.articles.fill(late, NOW, question=None, route=lambda _: RoutingResult(), later=later(late))
    assert (await store.catalog.entry(request.entry.id or 0)).title == "Edited"
    (again,) = await store.articles.due(NOW + MINUTE, lease_s=60, limit=1)
    assert (again.entry.version, again.attempts) == (2, 2)


async def test_an_entry_wants_its_text_once(store: AnyStore) -> None:
    """A poll that is repeated makes no second wish, nor does it set the tries back."""
    await wished(store, "k1")
    await store.articles.due(NOW, lease_s=60, limit=1)
    await stored(store, entry("k1"), articles_wanted=("k1",))
    (request,) = await store.articles.due(NOW + MINUTE, lease_s=60, limit=10)
    assert request.attempts == 2


async def test_removed_entries_want_nothing(store: AnyStore) -> None:
    """Retention takes the wish with the entry."""
    await wished(store, "k1")
    await store.maintenance.prune(NOW + 2 * DAY, entries_s=86400, content_s=86400)
    assert await store.articles.due(NOW + 3 * DAY, lease_s=60, limit=1) == ()


async def test_a_feed_that_left_keeps_its_article_requests(store: AnyStore) -> None:
    """Whether a wish still counts is for the verb to say."""
    await wished(store, "k1")
    await store.feeds.sync([feed("b")], NOW)
    assert len(await store.articles.due(NOW, lease_s=60, limit=1)) == 1
