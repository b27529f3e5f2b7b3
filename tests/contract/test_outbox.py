"""The promises of the sending side of every store."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from aggregator.core.errors import Conflict
from aggregator.core.model import (
    FIRST_SILENCED,
    AlertKind,
    Attempt,
    Delivery,
    DeliveryState,
    HitState,
    Notice,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    Silence,
    Undelivered,
    Undo,
)
from aggregator.core.titles import hit_outcome
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
    like,
    making,
    stored,
    story,
)

pytestmark = pytest.mark.anyio

PENDING, HELD, SENDING, RETRY, SENT, DEAD, SUPPRESSED = DeliveryState


async def claim(store: AnyStore, at: timedelta = timedelta(), **given: object) -> tuple[Delivery, ...]:
    """Claim as `me` for a minute, `at` after NOW."""
    wanted = {"owner": "me", "lease_s": 60, "limit": 100, **given}
    return await store.outbox.claim(NOW + at, **wanted)  # type: ignore[arg-type]


async def row(store: AnyStore, name: str = "d1") -> Delivery:
    return (await store.catalog.delivery(name))[0]


async def tries(store: AnyStore, name: str = "d1") -> tuple[Attempt, ...]:
    return (await store.catalog.delivery(name))[1]


async def test_delivery_comes_back_whole(store: AnyStore) -> None:
    """Every field of a delivery survives its way through the outbox."""
    whole = delivery(
        kind=AlertKind.HEALTH,
        recipient="#ops & ünï",
        rules=("r1", "r2"),
        hits=("h1", "h2"),
        story="s1",
        title="«Feed» stille",
        notice=Notice(title="T", body="line\nline", link="https://a.example/"),
        priority="high",
        reason="flood",
        due_at=NOW + HOUR,
        state=HELD,
    )
    assert await store.outbox.add([whole]) == 1
    assert await store.catalog.deliveries() == (whole,)


async def test_adding_twice_is_adding_once(store: AnyStore) -> None:
    """The id says what is told: what exists is left alone, in whatever state it is."""
    await store.outbox.add([delivery(title="one")])
    assert await store.outbox.add([delivery(title="two"), delivery("d2"), delivery("d2")]) == 1
    assert (await row(store)).title == "one"


@pytest.mark.parametrize("state", [PENDING, RETRY, HELD])
async def test_claims_what_is_due(store: AnyStore, state: DeliveryState) -> None:
    """New ones, second tries and those that were held until now are taken; nobody else's turn has come."""
    await store.outbox.add([delivery(state=state), delivery("later", state=state, due_at=NOW + MINUTE)])
    (claimed,) = await claim(store)
    assert claimed == delivery(state=SENDING, attempts=1, lease_owner="me", lease_until=NOW + MINUTE)
    assert await tries(store) == (Attempt(delivery="d1", number=1, started_at=NOW),)
    assert await claim(store) == ()


@pytest.mark.parametrize("state", [SENT, DEAD, SUPPRESSED])
async def test_never_claims_what_is_settled(store: AnyStore, state: DeliveryState) -> None:
    """What ended has ended."""
    await store.outbox.add([delivery(state=state)])
    assert await claim(store, DAY) == ()
    assert await store.outbox.next_due_at() is None


async def test_attempt_that_was_begun_is_a_possible_repeat(store: AnyStore) -> None:
    """After a crash the alert is sent again, and says that it may have been seen."""
    await store.outbox.add([delivery()])
    await claim(store)
    await store.outbox.begin("d1", owner="me", attempt=1)
    assert [a.outcome for a in await tries(store)] == ["unknown"]
    assert await claim(store, timedelta(seconds=59), owner="two") == ()
    assert await store.outbox.next_due_at() == NOW + MINUTE
    (again,) = await claim(store, MINUTE, owner="two")
    assert (again.repeat, again.attempts, again.lease_owner) == (True, 2, "two")
    (third,) = await claim(store, HOUR, owner="three")
    assert third.repeat, "once in doubt, always in doubt"


async def test_what_was_claimed_but_not_begun_is_no_repeat(store: AnyStore) -> None:
    """A crash before an attempt began cannot have said anything; and who lost the lease may not begin."""
    await store.outbox.add([delivery()])
    await claim(store)
    (again,) = await claim(store, MINUTE, owner="two")
    assert not again.repeat
    for owner, attempt in (("me", 1), ("me", 2), ("two", 1)):
        with pytest.raises(Conflict):
            await store.outbox.begin("d1", owner=owner, attempt=attempt)
    await store.outbox.begin("d1", owner="two", attempt=2)


async def test_most_urgent_first_then_oldest(store: AnyStore) -> None:
    """High priority overtakes; among equals, who waits longer goes first."""
    await store.outbox.add(
        [
            delivery("low", priority="low", due_at=NOW - DAY),
            delivery("new", due_at=NOW - MINUTE),
            delivery("old", due_at=NOW - HOUR),
            delivery("high", priority="high"),
        ]
    )
    assert [d.id for d in await claim(store)] == ["high", "old", "new", "low"]


async def test_long_queue_of_one_channel_starves_no_other(store: AnyStore) -> None:
    """Channels take turns in what is claimed."""
    flood = [delivery(f"flood{n:02}", due_at=NOW - DAY) for n in range(30)]
    await store.outbox.add([*flood, delivery("other", channel="chat"), delivery("third", channel="sms")])
    claimed = await claim(store, limit=4)
    assert {d.channel for d in claimed} == {"desk", "chat", "sms"}
    assert len(claimed) == 4


async def test_claim_of_some_channels_takes_no_others(store: AnyStore) -> None:
    """Each channel has its own turn."""
    await store.outbox.add([delivery("d1", channel="desk"), delivery("d2", channel="chat")])
    assert [d.id for d in await claim(store, channels=["chat", "none"])] == ["d2"]


async def test_concurrent_claims_share_nothing(store: AnyStore) -> None:
    """However many ask at once, each delivery has one owner."""
    await store.outbox.add([delivery(f"d{n}") for n in range(20)])
    claimed = await asyncio.gather(*(claim(store, owner=f"o{n}", limit=5) for n in range(6)))
    assert sorted(d.id for share in claimed for d in share) == sorted(f"d{n}" for n in range(20))


async def test_accepted_delivery_is_sent(store: AnyStore) -> None:
    """A success is written with its attempt, and the lease ends."""
    await store.outbox.add([delivery()])
    (claimed,) = await claim(store)
    after = replace(claimed, state=SENT, sent_at=NOW + MINUTE, tried_at=NOW)
    await store.outbox.settle(after, owner="me", attempt=1, at=NOW + MINUTE)
    assert await row(store) == replace(after, lease_owner=None, lease_until=None)
    (attempt,) = await tries(store)
    assert (attempt.outcome, attempt.ended_at) == ("sent", NOW + MINUTE)


async def test_failed_delivery_waits_for_its_next_try(store: AnyStore) -> None:
    """A temporary failure is due again when the policy says; each attempt keeps its words."""
    await store.outbox.add([delivery()])
    for number, at in ((1, timedelta()), (2, HOUR)):
        (claimed,) = await claim(store, at)
        after = replace(claimed, state=RETRY, due_at=NOW + at + HOUR, last_error=f"no {number}")
        await store.outbox.settle(after, owner="me", attempt=number)
        assert await claim(store, at + HOUR - MINUTE) == ()
    assert [(a.number, a.outcome, a.detail) for a in await tries(store)] == [(1, "retry", "no 1"), (2, "retry", "no 2")]
    assert (await row(store)).attempts == 2


async def test_attempt_without_an_answer_is_marked(store: AnyStore) -> None:
    """`unknown`: it may have arrived; the next attempt is marked as a repeat."""
    await store.outbox.add([delivery()])
    (claimed,) = await claim(store)
    await store.outbox.settle(replace(claimed, state=RETRY, repeat=True), owner="me", attempt=1)
    assert [a.outcome for a in await tries(store)] == ["unknown"]
    assert (await claim(store))[0].repeat


@pytest.mark.parametrize("state", [HELD, SUPPRESSED])
async def test_what_is_held_or_suppressed_was_not_tried(store: AnyStore, state: DeliveryState) -> None:
    """Quiet hours and silences cost no attempt, so that back-off counts failures only."""
    await store.outbox.add([delivery()])
    (claimed,) = await claim(store)
    after = replace(claimed, state=state, reason="quiet hours", due_at=NOW + HOUR)
    await store.outbox.settle(after, owner="me", attempt=1)
    found = await row(store)
    assert (found.state, found.reason, found.attempts, found.due_at) == (state, "quiet hours", 0, NOW + HOUR)
    assert await tries(store) == ()
    assert len(await claim(store, HOUR)) == (1 if state is HELD else 0)


async def test_dead_letter_is_written_with_the_death(store: AnyStore) -> None:
    """A loss and its report are one transaction."""
    await store.outbox.add([delivery()])
    (claimed,) = await claim(store)
    content = delivery("letter", kind=AlertKind.DEAD_LETTER, channel="ops")
    dead = replace(claimed, state=DEAD, last_error="410")
    await store.outbox.settle(dead, owner="me", attempt=1, also=[content])
    assert (await row(store)).state is DEAD
    assert await row(store, "letter") == content


async def test_late_outcome_is_refused(store: AnyStore) -> None:
    """Fencing by owner and attempt: whoever lost the lease writes nothing, and no dead letter."""
    await store.outbox.add([delivery()])
    (first,) = await claim(store)
    (second,) = await claim(store, HOUR, owner="two")
    content = delivery("letter")
    for owner, attempt in (("me", 1), ("me", 2), ("two", 1)):
        with pytest.raises(Conflict):
            await store.outbox.settle(replace(first, state=SENT), owner=owner, attempt=attempt, also=[content])
    assert await row(store) == second
    await store.outbox.settle(replace(second, state=SENT), owner="two", attempt=2)
    with pytest.raises(Conflict):
        await store.outbox.settle(replace(second, state=DEAD), owner="two", attempt=2)
    assert await store.catalog.outbox() == {SENT: 1}


async def test_released_delivery_was_not_tried(store: AnyStore) -> None:
    """What is given back unsent is due as before, at the same count, and keeps its mark of a repeat."""
    await store.outbox.add([delivery(), delivery("d2")])
    await claim(store, owner="crashed", channels=["desk"], limit=1)
    await store.outbox.begin("d1", owner="crashed", attempt=1)
    await claim(store, HOUR, owner="me")
    await store.outbox.release(["d1", "d2", "none"], owner="other")
    assert await claim(store, HOUR) == ()
    await store.outbox.release(["d1", "d2", "none"], owner="me")
    given_back = [await row(store, name) for name in ("d1", "d2")]
    assert [(d.state, d.attempts) for d in given_back] == [(RETRY, 1), (PENDING, 0)]
    second, first = await claim(store, HOUR)  # the one at which a process died goes last
    assert [(first.repeat, first.attempts), (second.repeat, second.attempts)] == [(True, 2), (False, 1)]


async def test_what_is_put_off_is_due_later(store: AnyStore) -> None:
    """As released, but due at another time; whoever lost the lease puts nothing off."""
    await store.outbox.add([delivery(), delivery("d2")])
    await claim(store, owner="me")
    later = NOW + 2 * HOUR
    await store.outbox.put_off(["d1", "none"], later, owner="other")
    await store.outbox.put_off(["d1", "none"], later, owner="me")
    await store.outbox.release(["d2"], owner="me")
    put_off = await row(store, "d1")
    assert (put_off.state, put_off.attempts, put_off.due_at) == (PENDING, 0, later)
    assert [one.id for one in await claim(store, HOUR, owner="me")] == ["d2"]
    await store.outbox.release(["d2"], owner="me")
    assert sorted(one.id for one in await claim(store, 2 * HOUR, owner="me")) == ["d1", "d2"]


async def test_digest_replaces_its_members(store: AnyStore) -> None:
    """Folding loses nothing: members end with a pointer, the digest waits with their hits."""
    await store.outbox.add([delivery("d1", hits=("h1",)), delivery("d2", hits=("h2",))])
    members = await claim(store)
    digest = delivery("digest", kind=AlertKind.DIGEST, hits=("h1", "h2"))
    await store.outbox.fold(members, digest, owner="me")
    for member in members:
        found = await row(store, member.id)
        assert (found.state, found.reason, found.attempts) == (SUPPRESSED, "folded into digest", 0)
    assert [d.id for d in await claim(store)] == ["digest"]


async def test_fold_is_all_or_nothing(store: AnyStore) -> None:
    """Where one member was lost to another owner, no digest is made of the others."""
    await store.outbox.add([delivery("d1"), delivery("d2")])
    members = await claim(store)
    with pytest.raises(Conflict):
        await store.outbox.fold(members, delivery("digest"), owner="other")
    stale = replace(members[1], attempts=7)
    with pytest.raises(Conflict):
        await store.outbox.fold([members[0], stale], delivery("digest"), owner="me")
    assert await store.catalog.outbox() == {SENDING: 2}


async def test_counts_what_a_channel_accepted(store: AnyStore) -> None:
    """max_per_hour counts what was sent, on this channel, since an instant."""
    await store.outbox.add(
        [
            delivery("d1", state=SENT, sent_at=NOW - HOUR),
            delivery("d2", state=SENT, sent_at=NOW - HOUR - MINUTE),
            delivery("d3", state=SENT, sent_at=NOW, channel="chat"),
            delivery("d4"),
        ]
    )
    assert await store.outbox.sent_since("desk", NOW - HOUR) == 1


async def test_hit_details_have_their_entries(store: AnyStore) -> None:
    """Newest first, with the feed's name and who else carries the story; pruned hits are left out."""
    await store.feeds.sync([feed("a", title="A News"), feed("b", title="B News"), feed("c")], NOW)
    routed = RoutingResult(
        hits=(hit("h1", "k1", story="s1"), hit("h2", "k2", created_at=NOW + MINUTE)),
        stories=(story(feeds=("a", "b", "c")),),
    )
    state = (await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=1, ids=["a"]))[0]
    await store.feeds.release([state.id], owner="me")
    await store.feeds.sync([feed("a", title="A News"), feed("b", title="B News"), feed("c")], NOW)
    await stored(store, entry("k1"), entry("k2"), routed=routed)
    second, first = await store.outbox.hit_details(delivery(hits=("h1", "h2", "pruned")))
    assert [second.hit.id, first.hit.id] == ["h2", "h1"]
    assert (first.entry.key, first.feed_title, first.rule_title) == ("k1", "A News", "r")
    assert (first.also_in, second.also_in) == (("B News", "c"), ())
    assert await store.outbox.hit_details(delivery()) == ()


async def test_silences_are_asked_again_before_sending(store: AnyStore) -> None:
    """A silence that is younger than the alert still counts."""
    made = await store.catalog.add_silence(Silence(story="s1", until_at=NOW + HOUR, created_at=NOW))
    assert await store.outbox.silences(NOW) == (made,)
    assert await store.outbox.silences(NOW + HOUR) == ()


async def test_next_due_is_the_earliest_that_may_be_claimed(store: AnyStore) -> None:
    """The deliver tick may sleep until then."""
    assert await store.outbox.next_due_at() is None
    await store.outbox.add([delivery("d1", due_at=NOW + HOUR), delivery("d2", due_at=NOW + MINUTE, state=HELD)])
    assert await store.outbox.next_due_at() == NOW + MINUTE


async def test_held_rows_are_claimed_beside_the_limit(store: AnyStore) -> None:
    """What waited is folded as a whole, however few may be sent at a time."""
    waited = [delivery(f"h{n}", state=HELD, reason="digest") for n in range(7)]
    await store.outbox.add([*waited, *[delivery(f"d{n}") for n in range(5)]])
    claimed = await claim(store, limit=2, held=6)
    assert sorted(d.id[0] for d in claimed) == ["d"] * 2 + ["h"] * 6
    assert sorted(d.id[0] for d in await claim(store, limit=100, held=100)) == ["d"] * 3 + ["h"]


async def test_due_channels(store: AnyStore) -> None:
    """Those on which something may be claimed: due, or its lease ran out."""
    await store.outbox.add(
        [
            delivery("d1", channel="desk"),
            delivery("d2", channel="chat", due_at=NOW + HOUR),
            delivery("d3", channel="sms", state=SENT),
        ]
    )
    assert await store.outbox.due_channels(NOW) == {"desk"}
    await claim(store)
    assert await store.outbox.due_channels(NOW) == frozenset()
    assert await store.outbox.due_channels(NOW + MINUTE) == {"desk"}
    assert await store.outbox.due_channels(NOW + HOUR) == {"desk", "chat"}


async def test_renewed_lease_lasts_longer(store: AnyStore) -> None:
    """Who still holds a lease may prolong it; what was taken over meanwhile is not given back."""
    await store.outbox.add([delivery("d1"), delivery("d2"), delivery("d3", state=SENT)])
    await claim(store)
    await claim(store, MINUTE, owner="two", limit=1)
    kept = await store.outbox.renew(["d1", "d2", "d3", "none"], owner="me", until=NOW + HOUR)
    assert kept == {"d2"}
    assert [d.id for d in await claim(store, HOUR - MINUTE, owner="three")] == ["d1"]
    assert await store.outbox.next_due_at() == NOW + HOUR


async def test_the_first_message_of_a_story_is_known(store: AnyStore) -> None:
    """The oldest one that this recipient of the channel got, and that the service named."""
    sent = {"state": SENT, "story": "s1", "recipient": "ann"}
    await store.outbox.add(
        [
            delivery("d1", **sent, sent_at=NOW, message_id=""),
            delivery("d2", **sent, sent_at=NOW + HOUR, message_id="later"),
            delivery("d3", **sent, sent_at=NOW + MINUTE, message_id="first"),
            delivery("d4", **{**sent, "recipient": "bob"}, sent_at=NOW, message_id="of bob"),
            delivery("d5", **{**sent, "story": "s2"}, sent_at=NOW, message_id="of another story"),
            delivery("d6", recipient="ann", story="s1", update=True),
        ]
    )
    found = [await store.outbox.first_message(await row(store, name)) for name in ("d6", "d4", "d5")]
    assert found == ["first", "of bob", "of another story"]
    await lost_story(store, replace(delivery("d0", recipient="ann", hits=("h1",)), state=SENT, sent_at=NOW,
                                    kind=AlertKind.DIGEST, message_id="digest"))  # fmt: skip
    assert await store.outbox.first_message(await row(store, "d6")) == "digest"
    assert await store.outbox.first_message(delivery("d7", recipient="ann")) == ""


async def undelivered(store: AnyStore) -> tuple[Undelivered, ...]:
    """What routing hears of those who do not know of the story s1."""
    heard: list[Undelivered] = []

    def route(context: RoutingContext) -> RoutingResult:
        heard.extend(context.undelivered)
        return RoutingResult()

    await store.feeds.record(like(story().fingerprint), route, NOW)
    return tuple(heard)


async def lost_story(store: AnyStore, *deliveries: Delivery) -> None:
    """A story with a hit, and these deliveries."""
    await store.feeds.sync([feed()], NOW)
    routed = making(story(), hits=(hit(story="s1"),), deliveries=deliveries)
    await stored(store, entry(), routed=routed)


async def outcome(store: AnyStore) -> str:
    """What became of the hit, in words."""
    (detail,) = await store.outbox.hit_details(delivery(hits=("h1",)))
    return hit_outcome(detail.hit)


async def give_up(store: AnyStore, name: str = "d1") -> None:
    """Claim everything; the delivery of this name dies."""
    (claimed,) = [one for one in await claim(store) if one.id == name]
    dead = replace(claimed, state=DEAD, reason="refused", tried_at=NOW)
    await store.outbox.settle(dead, owner="me", attempt=claimed.attempts, at=NOW)


async def test_what_was_given_up_is_remembered_until_it_is_tried_again(store: AnyStore) -> None:
    """A dead alert leaves word of who does not know of its story; a person who retries it takes the word back."""
    await lost_story(store, delivery(recipient="ann", story="s1", hits=("h1",)))
    await give_up(store)
    assert await undelivered(store) == (Undelivered("s1", "", ""), Undelivered("s1", "desk", "ann"))
    await store.catalog.retry(["d1"], NOW)
    assert await undelivered(store) == ()


async def test_a_digest_that_was_given_up_leaves_word_of_its_stories(store: AnyStore) -> None:
    """A digest names no story itself; its hits do."""
    await lost_story(store, delivery(kind=AlertKind.DIGEST, recipient="ann", hits=("h1",)))
    await give_up(store)
    assert await undelivered(store) == (Undelivered("s1", "", ""), Undelivered("s1", "desk", "ann"))


@pytest.mark.parametrize("other", ["waits", "sent", "of another", "dead"])
async def test_who_has_another_alert_of_the_story_is_not_forgotten(store: AnyStore, other: str) -> None:
    """Only who has no other alert about the story, sent or waiting, does not know of it."""
    rest: dict[str, dict[str, Any]] = {
        "waits": {"due_at": NOW + HOUR},
        "sent": {"state": SENT, "sent_at": NOW + MINUTE},
        "of another": {"due_at": NOW + HOUR, "recipient": "bob"},
        "dead": {"state": DEAD},
    }
    second = replace(delivery("d2", recipient="ann", story="s1", hits=("h1",)), **rest[other])
    await lost_story(store, delivery(recipient="ann", story="s1", hits=("h1",)), second)
    await give_up(store)
    known, nobody = other in ("waits", "sent"), (Undelivered("s1", "", ""),) if other == "dead" else ()
    assert await undelivered(store) == (() if known else (*nobody, Undelivered("s1", "desk", "ann")))


async def test_a_silenced_alert_leaves_word_where_its_stories_are_wanted(store: AnyStore) -> None:
    """Who silenced a feed wants the story from others; `lost` names no hit where the story itself is silenced."""
    alerts = [delivery(name, recipient="ann", story="s1", hits=("h1",)) for name in ("d1", "d2")]
    await lost_story(store, *alerts)
    for one, lost in zip(await claim(store), ((), ("h1",)), strict=True):
        assert await undelivered(store) == ()
        silenced = replace(one, state=SUPPRESSED, reason="silenced")
        await store.outbox.settle(silenced, owner="me", attempt=one.attempts, lost=lost)
    assert await undelivered(store) == (Undelivered("s1", "", ""), Undelivered("s1", "desk", "ann"))


async def test_a_hit_whose_only_alert_was_silenced_says_so(store: AnyStore) -> None:
    """Not as long as another alert of it waits."""
    alerts = [delivery(name, channel=name, story="s1", hits=("h1",)) for name in ("d1", "d2")]
    await lost_story(store, *alerts)
    for one, expected in zip(await claim(store), ("alerted", "not alerted: silenced: exercise"), strict=True):
        silenced = replace(one, state=SUPPRESSED, reason="silenced: exercise")
        await store.outbox.settle(silenced, owner="me", attempt=one.attempts)
        assert await outcome(store) == expected


async def test_a_digest_without_its_silenced_hits_leaves_word_of_them(store: AnyStore) -> None:
    """It was sent, but not with this story."""
    await lost_story(store, delivery(kind=AlertKind.DIGEST, recipient="ann", hits=("h1", "h2")))
    (one,) = await claim(store)
    await store.outbox.settle(replace(one, state=SENT, sent_at=NOW), owner="me", attempt=1, lost=("h1",))
    assert await undelivered(store) == (Undelivered("s1", "", ""), Undelivered("s1", "desk", "ann"))


async def test_a_cancelled_alert_leaves_word_until_that_is_undone(store: AnyStore) -> None:
    """Who cancels an alert does not silence its story; undo takes the word back."""
    await lost_story(store, *(delivery(name, channel=name, story="s1", hits=("h1",)) for name in ("d1", "d2")))
    undo = Undo(id="u1", kind="cancelled", made_at=NOW)
    assert await store.catalog.cancel(["d1"], undo=undo) == 1
    assert await undelivered(store) == (Undelivered("s1", "d1", ""),)
    assert await outcome(store) == "alerted"
    await store.catalog.undo("u1", NOW)
    assert (await undelivered(store), (await row(store, "d1")).state) == ((), PENDING)
    assert await store.catalog.cancel(["d1", "d2"], undo=replace(undo, id="u2")) == 2
    assert await undelivered(store) == tuple(Undelivered("s1", name, "") for name in ("", "d1", "d2"))
    assert await outcome(store) == "not alerted: cancelled manually"
    await store.catalog.undo("u2", NOW)
    assert (await undelivered(store), await outcome(store)) == ((), "alerted")


async def test_what_an_alert_stood_for_alerts_instead_of_it(store: AnyStore) -> None:
    """Hits that were folded since then, of the same rule and story; each recipient's alert finds them."""
    await store.feeds.sync([feed()], NOW)
    entries = [entry(f"k{n}") for n in range(1, 6)]
    kinds = {"h1": "alerted", "h2": "folded", "h3": "collapsed", "h4": "suppressed", "h5": "folded"}
    hits = tuple(
        hit(name, entry_key=f"k{n}", story="s1", state=HitState(state), rule="other" if name == "h5" else "s400")
        for n, (name, state) in enumerate(kinds.items(), 1)
    )
    alerts = [delivery(name, recipient=name, rules=("s400",), story="s1", hits=("h1",)) for name in ("d1", "d2")]
    await stored(store, *entries, routed=making(story(), hits=hits, deliveries=tuple(alerts)))
    assert await store.outbox.stood_for(delivery("d3", rules=("s400",), hits=("h1",))) == ()
    for claimed in await claim(store):
        found = {detail.hit.id for detail in await store.outbox.stood_for(claimed)}
        assert found == {"h2", "h3"}
        other = delivery(f"{claimed.id}-instead", recipient=claimed.recipient, story="s1", hits=("h2",))
        silenced = replace(claimed, state=SUPPRESSED, reason="silenced")
        await store.outbox.settle(silenced, owner="me", attempt=1, also=[other], lost=("h1",))
    known = await store.outbox.hit_details(delivery(hits=("h2", "h3")))
    states = {d.hit.id: (d.hit.state, d.hit.reason) for d in known}
    assert states["h2"] == (HitState.ALERTED, FIRST_SILENCED)
    assert states["h3"][0] is HitState.COLLAPSED
    assert await undelivered(store) == ()


async def test_word_of_the_lost_ends_with_their_next_alert(store: AnyStore) -> None:
    """What routing made a delivery for again is no longer undelivered."""
    await lost_story(store, delivery(recipient="ann", story="s1", hits=("h1",)))
    await give_up(store)
    lost = await undelivered(store)
    await store.feeds.record(RoutingQuery(), lambda _: RoutingResult(redelivered=lost), NOW)
    assert await undelivered(store) == ()
