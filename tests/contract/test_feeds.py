"""The promises of the polling side of every store."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from aggregator.core.errors import Conflict, StoreError
from aggregator.core.events import MAX_REPORTS
from aggregator.core.model import (
    SPLIT_FROM,
    Because,
    DeliveryState,
    Features,
    FeedHints,
    Fingerprint,
    Health,
    HitFilter,
    HitState,
    HostLimit,
    JoinKind,
    NearMiss,
    PollResult,
    Reason,
    Report,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    Silence,
    StoredToday,
    StoryEdit,
    StoryKeys,
    StoryLink,
    StoryMerge,
    Undelivered,
    Validators,
)
from tests.support.records import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    AnyStore,
    delivery,
    entry,
    feed,
    hit,
    lease,
    like,
    making,
    polled,
    stored,
    story,
)

pytestmark = pytest.mark.anyio


async def test_new_feed_is_due_at_once(store: AnyStore) -> None:
    """A feed that was just configured is claimed by the next tick."""
    await store.feeds.sync([feed("a", title="A")], NOW)
    (state,) = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10)
    assert (state.id, state.url, state.title, state.health) == ("a", "https://a.example/feed", "A", Health.NEW)
    assert (state.next_poll_at, state.lease_owner, state.lease_until) == (None, "me", NOW + MINUTE)


async def test_state_comes_back_whole(store: AnyStore) -> None:
    """Whatever a poll says of a feed is what the next poll is told."""
    await store.feeds.sync([feed()], NOW)
    (state,) = await lease(store.feeds, "a")
    after = replace(
        state,
        url="https://b.example/feed",
        title="Ærlig «talt»",
        health=Health.FAILING,
        health_since=NOW,
        validators=Validators(url="https://b.example/feed", etag='W/"x "', last_modified="yesterday, or so"),
        body_hash=b"\x00\x01",
        hints=FeedHints(ttl_s=60.5, update_period_s=7200, skip_hours=frozenset({0, 23}), skip_days=frozenset({6})),
        first_polled_at=NOW - DAY,
        last_polled_at=NOW,
        last_ok_at=NOW - HOUR,
        last_new_at=NOW - HOUR,
        newest_at=NOW - HOUR,
        next_poll_at=NOW + HOUR,
        last_status=503,
        failures=3,
        failing_since=NOW - HOUR,
        last_error="503 Service Unavailable",
        interval_s=901.25,
        gap_s=3600.0,
        items=40,
        move_url="https://c.example/feed",
        move_count=2,
        move_since=NOW - HOUR,
        distrust_guid=True,
        volatile=("sessionid", ";jsessionid"),
        push_missed=True,
        stored_today=StoredToday(day="2026-03-02", entries=3, bytes=4096, left_out=1),
        hub="https://hub.example/",
        self_url="https://b.example/self",
        parse_levels=(1, 2, 3, 4, 5),
    )
    await store.feeds.commit(PollResult(state=after), owner="me")
    (summary,) = await store.catalog.feeds()
    assert summary.state == replace(after, lease_owner=None, lease_until=None)


async def test_claims_the_most_overdue_first(store: AnyStore) -> None:
    """Where there is room for two, the two that wait longest are polled."""
    await store.feeds.sync([feed(name) for name in "abc"], NOW)
    for name, late in zip("abc", (1, 3, 2), strict=True):
        (state,) = await lease(store.feeds, name)
        await store.feeds.commit(PollResult(state=polled(state, next_poll_at=NOW - late * MINUTE)), owner="me")
    claimed = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=2)
    assert [state.id for state in claimed] == ["b", "c"]


async def test_a_host_gets_its_share(store: AnyStore) -> None:
    """Of the most overdue, so many of each host; asked again without the busy hosts, others have their turn."""
    slow = [feed(f"a{n}", url=f"https://slow.example/{n}") for n in range(6)]
    await store.feeds.sync([*slow, feed("b"), feed("c")], NOW)

    async def claim(limit: int, **more: Any) -> list[str]:
        claimed = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=limit, per_host=2, **more)
        return [state.id for state in claimed]

    assert await claim(5) == ["a0", "a1"]
    assert await claim(5, busy=["slow.example"]) == ["b", "c"]
    assert await claim(5) == ["a2", "a3"]
    assert await claim(5, ids=["a5"], force=True) == ["a5"]


async def test_proven_feeds_alone(store: AnyStore) -> None:
    """Those whose last poll went well can be claimed before the others."""
    await store.feeds.sync([feed("a"), feed("b"), feed("c")], NOW)
    for name, failures in (("b", 0), ("c", 1)):
        (state,) = await lease(store.feeds, name)
        after = polled(state, next_poll_at=NOW - MINUTE, last_ok_at=NOW - HOUR, failures=failures)
        await store.feeds.commit(PollResult(state=after), owner="me")
    claimed = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=5, proven=True)
    assert [state.id for state in claimed] == ["b"]
    assert len(await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=5)) == 2


async def test_what_is_not_due_is_not_claimed_unless_forced(store: AnyStore) -> None:
    """A restart polls nothing that is not due; a person may insist."""
    await stored(store, entry())
    assert await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10) == ()
    assert await store.feeds.next_due_at() == NOW + HOUR
    forced = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10, force=True)
    assert [state.id for state in forced] == ["a"]


async def test_claim_of_named_feeds_takes_no_others(store: AnyStore) -> None:
    """`poll a` polls a."""
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    claimed = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10, ids=["a", "nobody"])
    assert [state.id for state in claimed] == ["a"]


async def test_leased_feed_is_left_alone_until_its_lease_ends(store: AnyStore) -> None:
    """Two processes never poll one feed; a crashed one's feeds come back."""
    await store.feeds.sync([feed()], NOW)
    await store.feeds.claim_due(NOW, owner="one", lease_s=60, limit=10)
    later = NOW + timedelta(seconds=59)
    assert await store.feeds.claim_due(later, owner="two", lease_s=60, limit=10, force=True) == ()
    (again,) = await store.feeds.claim_due(NOW + MINUTE, owner="two", lease_s=60, limit=10)
    assert again.lease_owner == "two"


async def test_released_feed_is_due_as_before(store: AnyStore) -> None:
    """A lease that is given back on the way out delays nothing; another owner's stays."""
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    await store.feeds.claim_due(NOW, owner="one", lease_s=60, limit=1)
    await store.feeds.claim_due(NOW, owner="two", lease_s=60, limit=1)
    await store.feeds.release(["a", "b"], owner="one")
    claimed = await store.feeds.claim_due(NOW, owner="three", lease_s=60, limit=10)
    assert [state.id for state in claimed] == ["a"]


async def test_concurrent_claims_share_nothing(store: AnyStore) -> None:
    """However many ask at once, each feed has one owner."""
    await store.feeds.sync([feed(f"f{n}") for n in range(20)], NOW)
    asked = [store.feeds.claim_due(NOW, owner=f"o{n}", lease_s=60, limit=5) for n in range(6)]
    claimed = [state.id for states in await asyncio.gather(*asked) for state in states]
    assert sorted(claimed) == sorted(f"f{n}" for n in range(20))


async def test_host_that_asked_for_rest_holds_back_its_feeds(store: AnyStore) -> None:
    """A 429 of one feed keeps every feed of that host away, forced or not."""
    urls = {"a": "https://news.example.org/1", "b": "https://www.example.org/2", "c": "https://example.net/3"}
    await store.feeds.sync([feed(name, url=url) for name, url in urls.items()], NOW)
    (state,) = await lease(store.feeds, "a")
    limit = HostLimit(host="example.org", not_before=NOW + HOUR, reason="429")
    await store.feeds.commit(PollResult(state=polled(state), hosts=(limit,)), owner="me")
    forced = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10, force=True)
    assert [state.id for state in forced] == ["c"]
    assert await store.catalog.hosts() == (limit,)
    later = await store.feeds.claim_due(NOW + HOUR, owner="me", lease_s=60, limit=10, ids=["a", "b"])
    assert {state.id for state in later} == {"a", "b"}


async def test_host_limit_is_never_shortened(store: AnyStore) -> None:
    """A later answer that asks for less does not undo what was asked before."""
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    for name, hours in (("a", 2), ("b", 1)):
        (state,) = await lease(store.feeds, name)
        limit = HostLimit(host="h.example", not_before=NOW + hours * HOUR)
        await store.feeds.commit(PollResult(state=polled(state), hosts=(limit,)), owner="me")
    (kept,) = await store.catalog.hosts()
    assert kept.not_before == NOW + 2 * HOUR


async def test_gone_feed_is_never_due(store: AnyStore) -> None:
    """After a 410 polling stops, until somebody asks for it."""
    await store.feeds.sync([feed()], NOW)
    (state,) = await lease(store.feeds, "a")
    await store.feeds.commit(PollResult(state=polled(state, health=Health.GONE, next_poll_at=None)), owner="me")
    assert await store.feeds.claim_due(NOW + 999 * DAY, owner="me", lease_s=60, limit=10) == ()
    assert await store.feeds.next_due_at() is None
    await store.catalog.poll_soon("a", NOW)
    assert len(await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10)) == 1


async def test_feed_that_leaves_the_configuration_keeps_its_entries(store: AnyStore) -> None:
    """A removed feed is not polled and not listed; when it comes back it goes on where it was."""
    await stored(store, entry())
    await store.feeds.sync([feed("b")], NOW)
    assert await store.feeds.claim_due(NOW + DAY, owner="me", lease_s=60, limit=10, ids=["a"], force=True) == ()
    assert [summary.state.id for summary in await store.catalog.feeds()] == ["b"]
    assert len(await store.catalog.entries(feed="a")) == 1
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    known, _ = await store.feeds.known("a", ["k1"])
    assert "k1" in known
    assert await store.feeds.next_due_at() is not None


async def test_disabled_feed_is_listed_but_not_polled(store: AnyStore) -> None:
    """`enabled: false` stops polling and nothing else."""
    await store.feeds.sync([feed(enabled=False)], NOW)
    assert await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10, force=True) == ()
    assert [summary.state.id for summary in await store.catalog.feeds()] == ["a"]


async def test_another_configured_address_starts_over_without_forgetting(store: AnyStore) -> None:
    """What was said about the old address goes; entries, keys and the first poll stay."""
    await store.feeds.sync([feed()], NOW)
    (state,) = await lease(store.feeds, "a")
    detail = replace(
        polled(state, first_polled_at=NOW - DAY, failures=4, body_hash=b"x"),
        validators=Validators(url=state.url, etag='"1"'),
    )
    await store.feeds.commit(PollResult(state=detail, entries=(entry(),), memory=b"m"), owner="me")
    await store.feeds.sync([feed(url="https://new.example/")], NOW)
    (state,) = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10)
    assert (state.url, state.configured_url) == ("https://new.example/", "https://new.example/")
    assert (state.validators, state.body_hash, state.failures, state.health) == (None, b"", 0, Health.NEW)
    assert state.first_polled_at == NOW - DAY
    assert await store.feeds.memory("a") is None
    assert "k1" in (await store.feeds.known("a", ["k1"]))[0]


async def test_another_way_of_reading_starts_over_like_another_address(store: AnyStore) -> None:
    """Validators would say that nothing has changed, although all of it is to be read anew."""
    page = feed(kind="page", select={"entry": "article"})
    await store.feeds.sync([page], NOW)
    (state,) = await lease(store.feeds, "a")
    detail = replace(polled(state), validators=Validators(url=state.url, etag='"1"'), body_hash=b"x")
    await store.feeds.commit(PollResult(state=detail, memory=b"m"), owner="me")
    await store.feeds.sync([page], NOW)
    assert await store.feeds.memory("a") == b"m"
    await store.feeds.sync([feed(kind="page", select={"entry": "li"})], NOW)
    (state,) = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10)
    assert (state.validators, state.body_hash, state.last_ok_at) == (None, b"", None)
    assert await store.feeds.memory("a") is None


async def test_poll_of_an_address_that_was_edited_meanwhile_is_not_written(store: AnyStore) -> None:
    """The result of the old address must not overwrite the new one."""
    await store.feeds.sync([feed()], NOW)
    (state,) = await lease(store.feeds, "a")
    await store.feeds.sync([feed(url="https://new.example/")], NOW)
    with pytest.raises(Conflict):
        await store.feeds.commit(PollResult(state=polled(state)), owner="me")


async def test_sync_of_the_same_configuration_changes_nothing(store: AnyStore) -> None:
    """A reload does not make feeds due, nor touch leases, nor undo a confirmed move."""
    await store.feeds.sync([feed()], NOW)
    (state,) = await lease(store.feeds, "a")
    await store.feeds.commit(PollResult(state=polled(state, url="https://moved.example/")), owner="me")
    before = await store.catalog.feeds()
    await store.feeds.sync([feed()], NOW + HOUR)
    assert await store.catalog.feeds() == before


async def test_pause_survives_sync_and_polls_only_by_name(store: AnyStore) -> None:
    """A paused feed waits for a person, whatever the configuration does."""
    await store.feeds.sync([feed()], NOW)
    await store.catalog.pause("a", True, NOW)
    await store.feeds.sync([feed(title="Other")], NOW)
    assert await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10) == ()
    assert await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=10, force=True) == ()
    (state,) = await lease(store.feeds, "a")
    assert (state.health, state.health_since) == (Health.PAUSED, NOW)
    await store.feeds.commit(PollResult(state=polled(state)), owner="me")
    (summary,) = await store.catalog.feeds()
    assert summary.state.health is Health.PAUSED
    await store.catalog.pause("a", False, NOW)
    (summary,) = await store.catalog.feeds()
    assert summary.state.health is Health.OK


async def test_memory_is_kept_until_there_is_a_newer_one(store: AnyStore) -> None:
    """A poll that brings no memory leaves the old one."""
    assert await store.feeds.memory("a") is None
    await stored(store, entry(), memory=b"\x00one")
    await stored(store, entry())
    assert await store.feeds.memory("a") == b"\x00one"
    await stored(store, entry(), memory=b"two")
    assert await store.feeds.memory("a") == b"two"


async def test_commit_gives_entries_their_ids(store: AnyStore) -> None:
    """Ids are numbers, stable over repetition, and lead back to the entry."""
    first = await stored(store, entry("k1"), entry("k2"))
    again = await stored(store, entry("k2"), entry("k3"))
    assert [e.key for e in first] == ["k1", "k2"]
    assert again[0].id == first[1].id
    assert len({e.id for e in (*first, *again)}) == 3
    assert first[0].id is not None
    assert await store.catalog.entry(first[0].id) == first[0]


async def test_entry_comes_back_whole(store: AnyStore) -> None:
    """Every field of an entry survives, in any script."""
    whole = entry(
        "k1",
        aliases=("a1", "a2"),
        guid="urn:1",
        link="https://a.example/1?q=ü",
        title="Putin og Erdoğan drøfter S‑400",
        summary="Дели́мся 🛰",
        content="x" * 100_000,
        author="Ola",
        categories=("Forsvar", "防衛"),
        enclosures=("https://a.example/1.mp3",),
        lang="nb",
        published_at=NOW - DAY,
        updated_at=NOW - HOUR,
        content_hash=b"\x00\xff",
        reason=Reason.BASELINE,
    )
    (written,) = await stored(store, whole)
    assert written.id is not None
    assert await store.catalog.entry(written.id) == replace(whole, id=written.id)


async def test_known_remembers_keys_and_aliases_of_this_feed_only(store: AnyStore) -> None:
    """Keys answer for keys; aliases answer for whatever was ever seen as either."""
    await stored(store, entry("k1", aliases=("a1",)), entry("k2"))
    await stored(store, entry("k9", feed="b"))
    known, aliases = await store.feeds.known("a", ["k1", "a1", "k9", "zz"], ["a1", "k2", "k9", "zz"])
    assert set(known) == {"k1"}
    assert (known["k1"].content_hash, known["k1"].version) == (b"1", 1)
    assert aliases == {"a1", "k2"}
    assert await store.feeds.known("a", []) == ({}, frozenset())


async def test_known_takes_a_whole_document_at_once(store: AnyStore) -> None:
    """Five thousand entries with three identities each are one question."""
    await stored(store, entry("k1"))
    known, _ = await store.feeds.known("a", [f"k{n}" for n in range(5000)], [f"x{n}" for n in range(10_000)])
    assert set(known) == {"k1"}


async def test_only_a_higher_version_overwrites(store: AnyStore) -> None:
    """A changed entry replaces its text and keeps its id and when it was first seen."""
    (first,) = await stored(store, entry(title="One"))
    change = entry(title="Two", version=2, content_hash=b"2", reason=Reason.CHANGED, seen_at=NOW + HOUR)
    (second,) = await stored(store, change)
    await stored(store, entry(title="Late replay"))
    assert first.id is not None
    assert first.id == second.id
    found = await store.catalog.entry(first.id)
    assert (found.title, found.version, found.reason, found.seen_at) == ("Two", 2, Reason.CHANGED, NOW)
    known, _ = await store.feeds.known("a", ["k1"])
    assert (known["k1"].version, known["k1"].content_hash) == (2, b"2")


async def test_commit_without_a_lease_writes_nothing(store: AnyStore) -> None:
    """Fencing: who lost the lease must not overwrite who has it."""
    await store.feeds.sync([feed()], NOW)
    (state,) = await lease(store.feeds, "a", owner="one")
    await lease(store.feeds, "a", owner="two", at=NOW + HOUR)
    with pytest.raises(Conflict):
        await store.feeds.commit(PollResult(state=polled(state), entries=(entry(),)), owner="one")
    assert await store.catalog.entries() == ()
    with pytest.raises(Conflict):
        await store.feeds.commit(PollResult(state=replace(state, id="nobody")), owner="one")


async def test_one_lease_pays_for_one_commit(store: AnyStore) -> None:
    """A second commit under the same lease is refused: the first one freed it."""
    await store.feeds.sync([feed()], NOW)
    (state,) = await lease(store.feeds, "a")
    poll = PollResult(state=polled(state))
    results = await asyncio.gather(
        store.feeds.commit(poll, owner="me"), store.feeds.commit(poll, owner="me"), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "tuple"]


async def test_many_commits_at_once_are_all_written(store: AnyStore) -> None:
    """Grouping what waits loses nothing and mixes nothing up."""
    names = [f"f{n:02}" for n in range(40)]
    await store.feeds.sync([feed(name) for name in names], NOW)
    states = await lease(store.feeds, *names)
    polls = [PollResult(state=polled(s, items=n), entries=(entry(f"k{n}", feed=s.id),)) for n, s in enumerate(states)]
    written = await asyncio.gather(*(store.feeds.commit(poll, owner="me") for poll in polls))
    assert [entries[0].feed for entries in written] == [state.id for state in states]
    assert {s.state.id: s.state.items for s in await store.catalog.feeds()} == {
        state.id: n for n, state in enumerate(states)
    }


async def test_commit_that_fails_spoils_no_other(store: AnyStore) -> None:
    """All of a poll or nothing; and its neighbours in the group do not notice."""
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    good, bad = await lease(store.feeds, "a", "b")
    stray = hit(feed="b", key="never stored")
    results = await asyncio.gather(
        store.feeds.commit(PollResult(state=polled(good), entries=(entry("k1"),)), owner="me"),
        store.feeds.commit(
            PollResult(state=polled(bad), entries=(entry("k2", feed="b"),), hits=(stray,), memory=b"x"), owner="me"
        ),
        return_exceptions=True,
    )
    assert isinstance(results[0], tuple)
    assert isinstance(results[1], StoreError)
    assert [e.key for e in await store.catalog.entries()] == ["k1"]
    assert await store.feeds.memory("b") is None


async def test_route_that_raises_writes_nothing(store: AnyStore) -> None:
    """A bug in routing is loud, and leaves the feed as it was."""
    await store.feeds.sync([feed()], NOW)
    (state,) = await lease(store.feeds, "a")

    def route(context: RoutingContext) -> RoutingResult:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.feeds.commit(PollResult(state=polled(state), entries=(entry(),)), owner="me", route=route)
    assert await store.catalog.entries() == ()


async def test_poll_brings_hits_and_notices(store: AnyStore) -> None:
    """Without routing, hits and notices are written as they are; twice is once."""
    note = delivery("n1", title="Recovered")
    await stored(store, entry(), hits=(hit(),), notices=(note,), quarantined=((b"<bad", "not well-formed"),))
    await stored(store, entry(), hits=(hit(snippet="other"),), notices=(note,))
    (detail,) = await store.catalog.hits(HitFilter())
    assert (detail.hit.snippet, detail.entry.key) == ("", "k1")
    assert await store.catalog.deliveries() == (note,)


async def test_routing_is_written_with_the_poll(store: AnyStore) -> None:
    """Hits with their state, stories and deliveries arrive together with the entries."""
    routed = RoutingResult(
        hits=(hit(story="s1", state=HitState.ALERTED),),
        stories=(story(feeds=("a",), alerted_rules=("r",)),),
        deliveries=(delivery(hits=("h1",), story="s1"),),
    )
    (written,) = await stored(store, entry(), hits=(hit(),), routed=routed)
    (detail,) = await store.catalog.hits(HitFilter(story="s1"))
    assert detail.hit == replace(routed.hits[0], entry_id=written.id)
    assert (await store.catalog.story("s1"))[0] == routed.stories[0]
    assert await store.catalog.deliveries() == routed.deliveries


async def asked(store: AnyStore, question: RoutingQuery) -> RoutingContext:
    """What the store answers inside a poll of feed q."""
    heard: list[RoutingContext] = []

    def route(context: RoutingContext) -> RoutingResult:
        heard.append(context)
        return RoutingResult()

    known = [summary.state.id for summary in await store.catalog.feeds()]
    await store.feeds.sync([feed(name) for name in {*known, "q"}], NOW)
    (state,) = await lease(store.feeds, "q")
    await store.feeds.commit(PollResult(state=polled(state)), owner="me", question=question, route=route)
    return heard[-1]


@pytest.mark.parametrize(
    ("fingerprint", "found"),
    [
        (Fingerprint(url_key="u1"), True),
        (Fingerprint(title_key="t1"), True),
        (Fingerprint(bands=("zz", "b2")), True),
        (Fingerprint(url_key="t1", title_key="u1", bands=("u1", "t1")), False),
        (Fingerprint(), False),
    ],
)
async def test_story_is_found_by_any_of_its_keys(store: AnyStore, fingerprint: Fingerprint, found: bool) -> None:
    """The same address, title or band leads to a story; a key of another kind does not."""
    await stored(store, entry(), routed=making(story()))
    context = await asked(store, like(fingerprint))
    assert context.stories == ((story(),) if found else ())


async def test_story_grows_and_keeps_its_beginning(store: AnyStore) -> None:
    """A story that is written again has the new feeds, and is found by old keys and new ones."""
    await stored(store, entry(), routed=making(story(feeds=("a",))))
    other = Fingerprint(url_key="u2", bands=("b2",))
    grown = story(feeds=("a", "b"), alerted_rules=("r",), last_at=NOW + HOUR, first_at=NOW + HOUR, fingerprint=other)
    await stored(store, entry(), routed=making(grown))
    (found,) = (await asked(store, like(Fingerprint(url_key="u2")))).stories
    assert (found.feeds, found.alerted_rules, found.first_at, found.last_at) == (("a", "b"), ("r",), NOW, NOW + HOUR)


async def test_story_outside_the_window_is_not_found(store: AnyStore) -> None:
    """A story that nobody told for three days does not swallow new ones."""
    await stored(store, entry(), routed=making(story()))
    near = like(Fingerprint(url_key="u1"), stories_since=NOW)
    far = replace(near, stories_since=NOW + timedelta(seconds=1))
    assert len((await asked(store, near)).stories) == 1
    assert (await asked(store, far)).stories == ()


async def test_routing_hears_which_story_an_entry_has(store: AnyStore) -> None:
    """An entry that was routed before names its story, which comes with the answer however old it is."""
    old = story(last_at=NOW - 30 * DAY, first_at=NOW - 30 * DAY)
    routed = making(old, hits=(hit("h1", story="s1"), hit("h2", "k2")))
    await stored(store, entry("k1"), entry("k2"), routed=routed)
    context = await asked(store, RoutingQuery(entries=(("a", "k1"), ("a", "k2"), ("b", "k1")), stories_since=NOW))
    assert (dict(context.homes), context.stories) == ({("a", "k1"): "s1"}, (old,))


async def test_a_story_becomes_part_of_another(store: AnyStore) -> None:
    """Everything that named it names the other one, by its keys too; its old address leads there."""
    one = story("s1", feeds=("a",))
    other = story("s2", feeds=("b",), fingerprint=Fingerprint(url_key="u2"))
    lost = delivery("d1", hits=("h2",), story="s2")
    first = making(one, other, hits=(hit("h1", story="s1"), hit("h2", "k2", story="s2")))
    await stored(store, entry("k1"), entry("k2"), routed=replace(first, deliveries=(lost,)))
    await store.catalog.add_silence(Silence(story="s2", until_at=NOW + HOUR, created_at=NOW))
    (claimed,) = await store.outbox.claim(NOW, owner="me", lease_s=60, limit=1)
    await store.outbox.settle(replace(claimed, state=DeliveryState.DEAD), owner="me", attempt=1)
    whole = replace(one, feeds=("a", "b"))
    part = replace(other, feeds=(), joined="s1")
    await stored(store, routed=RoutingResult(stories=(part, whole), merged=(StoryMerge("s2", "s1"),)))
    context = await asked(store, like(Fingerprint(url_key="u2")))
    assert context.stories == (whole,)
    assert context.undelivered == (Undelivered("s1", "", ""), Undelivered("s1", "desk", ""))
    assert [silence.story for silence in context.silences] == ["s1"]
    for name in ("s1", "s2"):
        found, details = await store.catalog.story(name)
        assert (found.id, {detail.hit.id for detail in details}) == ("s1", {"h1", "h2"})
    assert (await store.catalog.delivery("d1"))[0].story == "s1"


async def test_a_person_splits_a_story(store: AnyStore) -> None:
    """Hits, reports, keys and the alert are written together; both are apart from then on, the fold is undone."""
    one = story("s1", feeds=("a",))
    report = Report(id="s1", feed="a", title="T", at=NOW, fingerprint=one.fingerprint, features=Features(lang="en"))
    other = replace(report, id="r2", fingerprint=Fingerprint(url_key="u2"))
    folded = [hit(f"h{n}", f"k{n}", story="s1", state=HitState.FOLDED) for n in (1, 2)]
    routed = making(one, reports=(("s1", report), ("s1", other)), hits=tuple(folded))
    await stored(store, entry("k1"), entry("k2"), routed=routed)
    because = Because(
        kind=JoinKind.PERSON,
        story="s1",
        by="ada",
        at=NOW,
        misses=(NearMiss(story="s9", title="ü", feed="f", reason="why"),),
    )
    for number, chosen in enumerate(folded, 1):
        name = f"n{number}"
        left = replace(chosen, story=name, state=HitState.ALERTED, reason=f"{SPLIT_FROM}T", because=because)
        await store.catalog.edit_stories(
            StoryEdit(
                link=StoryLink("s1", name, apart=True, by="ada", at=NOW + number * HOUR),
                stories=(one, story(name, feeds=("b",))),
                reports=((name, other),),
                keys=(StoryKeys(name, NOW, ("u:u2",)),),
                hits=(left,),
                deliveries=(delivery(f"d{number}", hits=(chosen.id,), story=name),),
            )
        )
    context = await asked(store, like(Fingerprint(url_key="u2"), entries=(("a", "k1"),)))
    assert context.unfolding == {"r"}
    assert context.homes == {("a", "k1"): "n1"}
    found, details = await store.catalog.story("n2")
    assert (found.apart, [report.id for report in found.reports]) == (frozenset({"s1"}), ["r2"])
    assert [(d.hit.id, d.hit.state, d.hit.because) for d in details] == [("h2", HitState.ALERTED, because)]
    assert (await store.catalog.story("s1"))[0].apart == {"n1", "n2"}
    assert {row.id for row in await store.catalog.deliveries()} == {"d1", "d2"}
    (figures,) = await store.catalog.rules(NOW)
    assert (figures.folded, figures.undone) == (2, 2), "two folds, both undone"
    assert (await store.catalog.backlog(NOW)).splits == 2
    listed = await store.catalog.stories(rule="r")
    assert {(one.id, one.hits) for one in listed} == {("n1", 1), ("n2", 1)}
    after = await store.catalog.stories(before=(listed[0].last_at, listed[0].id))
    assert await store.catalog.stories(until=listed[-1].last_at) == ()
    assert listed[0] in await store.catalog.stories(since=listed[0].last_at, until=listed[0].last_at + HOUR)
    assert after[0].id == listed[1].id


async def test_a_story_whose_reports_share_a_key_is_found_once_by_the_latest(store: AnyStore) -> None:
    """Each report of a story is written with its keys; others that share one are looked at in order of time."""
    one, other = story("s1"), story("s2", last_at=NOW + MINUTE)
    await stored(store, routed=making(one, other))
    await stored(store, routed=making(replace(one, last_at=NOW + HOUR)))
    context = await asked(store, like(one.fingerprint))
    assert {story.id for story in context.stories} == {"s1", "s2"}
    assert [[*having] for having in context.keys.values()] == [["s2", "s1"]] * len(context.keys)
    assert all(having["s1"] >= NOW + HOUR for having in context.keys.values())


async def test_of_a_story_of_many_reports_the_first_and_the_latest_are_read(store: AnyStore) -> None:
    """So what an entry costs does not grow with its story; reports of one poll come at one instant."""
    one, traits = story("s1"), story().fingerprint
    names = ["s1", *(f"r{number:03}" for number in range(90))]
    reports = tuple(
        (
            "s1",
            Report(
                id=name,
                feed="a",
                title=name,
                at=NOW + MINUTE * (place // 3),
                fingerprint=traits,
                features=Features(),
                origin="s1",
            ),
        )
        for place, name in enumerate(names)
    )
    await stored(store, routed=making(one, reports=reports))
    (found,) = (await asked(store, like(traits))).stories
    assert [report.id for report in found.reports] == ["s1", *names[1 - MAX_REPORTS :]]
    whole, _ = await store.catalog.story("s1")
    assert len(whole.reports) == len(names)


async def test_stories_of_long_ago_are_found_by_nothing(store: AnyStore) -> None:
    """What is pruned takes its keys with it."""
    await stored(store, routed=making(story("s1"), story("s2", last_at=NOW + 300 * DAY)))
    await store.maintenance.prune(NOW + 366 * DAY, entries_s=365 * 86400.0, content_s=90 * 86400.0)
    context = await asked(store, like(story().fingerprint))
    assert ([story.id for story in context.stories], [[*having] for having in context.keys.values()]) == (
        ["s2"],
        [["s2"]] * 4,
    )


async def test_history_has_times_of_hits_and_alerts(store: AnyStore) -> None:
    """Thresholds and spikes count hits since an instant, oldest first, of one rule."""
    hits = (
        hit("h1", created_at=NOW - 2 * HOUR),
        hit("h2", created_at=NOW - MINUTE, state=HitState.HELD),
        hit("h3", created_at=NOW - HOUR, state=HitState.HELD),
        hit("h4", rule="other"),
    )
    await stored(store, entry(), hits=hits)
    context = await asked(store, RoutingQuery(histories=(("r", NOW - HOUR), ("silent", NOW))))
    mine, silent = context.histories
    assert mine.hits == ((NOW - HOUR, "a", "h3"), (NOW - MINUTE, "a", "h2"))
    assert mine.last_alert_at == NOW - 2 * HOUR
    assert (silent.rule, silent.hits, silent.last_alert_at) == ("silent", (), None)


async def test_routing_hears_of_live_silences(store: AnyStore) -> None:
    """A silence that has ended is none."""
    alive = await store.catalog.add_silence(Silence(rule="r", until_at=NOW + HOUR, created_at=NOW))
    await store.catalog.add_silence(Silence(rule="r", until_at=NOW, created_at=NOW - HOUR))
    assert (await asked(store, RoutingQuery())).silences == (alive,)


async def test_routing_hears_which_hits_are_known(store: AnyStore) -> None:
    """An edit of an entry that was told already tells no known hit again."""
    await stored(store, entry(), hits=(hit("h1"), hit("h2")))
    assert (await asked(store, RoutingQuery(hits=("h2", "h3")))).known == {"h2"}


async def test_two_feeds_that_carry_one_story_at_once_make_one(store: AnyStore) -> None:
    """Routing is alone with the database: the second poll sees what the first one made."""
    await store.feeds.sync([feed("a"), feed("b"), feed("c")], NOW)
    states = await lease(store.feeds, "a", "b", "c")
    question = like(Fingerprint(url_key="u1"))
    seen: list[int] = []

    def route(context: RoutingContext) -> RoutingResult:
        seen.append(len(context.stories))
        return RoutingResult() if context.stories else making(story())

    polls = [PollResult(state=polled(state)) for state in states]
    await asyncio.gather(*(store.feeds.commit(p, owner="me", question=question, route=route) for p in polls))
    assert seen == [0, 1, 1]


async def test_contents(store: AnyStore) -> None:
    """Of the named entries of a feed, those that have any."""
    await stored(store, entry("k1", content="long"), entry("k2"), entry("k3", content="other"))
    assert await store.feeds.contents("a", ["k1", "k2", "nobody"]) == {"k1": "long"}
    assert await store.feeds.contents("b", ["k1"]) == {}
