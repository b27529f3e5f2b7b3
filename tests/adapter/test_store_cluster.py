"""What several processes on one PostgreSQL do to each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import event

from aggregator.core.errors import Conflict, NotFound
from aggregator.core.model import (
    ConfigVersion,
    Features,
    HostLimit,
    Node,
    PollResult,
    Report,
    RoutingQuery,
    RoutingResult,
    StoredConfig,
    StoryEdit,
    StoryLink,
    Undo,
    UnroutedPoll,
)
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.lanes import slot_of
from aggregator.ports.cluster import Lane
from aggregator.store import Store, open_store
from aggregator.store.dialect import ROUTING_LOCK
from tests.support.engine import execute
from tests.support.postgres import PostgresServer, postgres
from tests.support.records import NOW, delivery, entry, feed, hit, lease, making, polled, stored, story

__all__ = ["postgres"]

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.emptied()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_store(url, index_text=lambda entry: entry.title) as opened:
        yield opened


async def test_what_is_not_routed_waits_for_nobody(store: Store, url: str) -> None:
    """While another process routes, a poll with hits and an edit of stories wait; a poll without is written."""
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    hits, plain = await lease(store.feeds, "a", "b")
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (ROUTING_LOCK,))
        routed = asyncio.create_task(
            store.feeds.commit(
                PollResult(state=polled(hits)), owner="me", question=RoutingQuery(), route=lambda _: RoutingResult()
            )
        )
        link = StoryLink("s1", "s2", apart=True, by="ada", at=NOW)
        edited = asyncio.create_task(store.catalog.edit_stories(StoryEdit(link=link)))
        for _ in range(3):  # each of these groups would have stood behind those that wait
            await asyncio.wait_for(store.feeds.commit(PollResult(state=polled(plain)), owner="me"), 10)
            (plain,) = await lease(store.feeds, "b")
        assert not routed.done()
        assert not edited.done()
        other.commit()
        await asyncio.wait_for(asyncio.gather(routed, edited), 10)


@pytest.mark.parametrize(("table", "left"), [("reports", [()]), ("stories", [])])
async def test_a_page_of_what_is_pruned_meanwhile(store: Store, url: str, table: str, left: list[object]) -> None:
    """What another process prunes between two queries of a page is gone, and no fault of the page."""
    one = story()
    known = Report(id="s1", feed="a", title="T", at=NOW, fingerprint=one.fingerprint, features=Features(lang="en"))
    await stored(store, entry(), routed=making(one, reports=((one.id, known),)))
    times = 0

    def prune(_c: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal times
        times += f"FROM {table} " in f"{statement} ".replace("\n", " ")
        if times == 2:
            execute(url, f"DELETE FROM {table}")

    event.listen(store.feeds._reader._database._reading, "before_cursor_execute", prune)  # type: ignore[attr-defined]
    found: list[object] = []
    with suppress(NotFound):
        found.append((await store.catalog.story("s1"))[0].reports)
    assert found == left
    assert times == 2


async def test_a_push_locks_feeds_in_the_order_of_their_ids(store: Store, url: str) -> None:
    """As commits of polls do: while it waits for the first, it holds none of the others, whatever their order is."""
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    assert store.cluster is not None
    edited = [feed(name, title="another") for name in ("b", "a")]
    version = ConfigVersion(number=0, digest="new", by="me", at=NOW)
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("SELECT id FROM feeds WHERE id = 'a' FOR UPDATE")
        push = asyncio.create_task(store.cluster.push(StoredConfig(version=version, files=()), edited, {}))
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'"
        async with asyncio.timeout(10):
            while not execute(url, waits):  # noqa: ASYNC110 - only the database knows
                await asyncio.sleep(0.02)
        assert other.execute("SELECT id FROM feeds WHERE id = 'b' FOR UPDATE NOWAIT").fetchall() == [("b",)]
        other.commit()
        assert (await asyncio.wait_for(push, 10)).number == 1


async def test_leases_of_a_silent_node_end_without_a_job(store: Store, url: str) -> None:
    """Its alerts are due again at once, not when their leases run out; those of a node that lives stay its own."""
    assert store.cluster is not None
    await stored(store, entry(), routed=making(deliveries=[delivery(name, channel=name) for name in ("x", "y")]))
    for name in ("x", "y"):
        await store.cluster.beat(
            Node(id=name, name=name, roles=(), version="1", schema="1", started_at=NOW, heartbeat_at=NOW)
        )
        assert await store.outbox.claim(NOW, owner=f"{name}/1", lease_s=60, limit=1, channels=[name])
    await store.cluster.end_silent(NOW)
    assert await store.outbox.due_channels(NOW) == set()
    execute(url, "UPDATE nodes SET heartbeat_at = heartbeat_at - 16000000 WHERE id = 'x'")
    await store.cluster.end_silent(NOW)
    assert await store.outbox.due_channels(NOW) == {"x"}


async def test_a_resting_host_hides_no_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The feeds of a host that asked for rest may be more than planning looks at, and are the most overdue."""
    assert store.cluster is not None
    monkeypatch.setattr("aggregator.store.cluster.LOOKED_AT", 2)
    resting = [feed(name, url=f"https://resting.example/{name}") for name in ("a", "b", "c")]
    await store.feeds.sync([*resting, feed("d", url="https://other.example/d")], NOW)
    (first,) = await lease(store.feeds, "a")
    limit = HostLimit(host=host_key(first.url), not_before=NOW + timedelta(hours=2), reason="Retry-After")
    await store.feeds.commit(PollResult(state=polled(first, next_poll_at=NOW), hosts=(limit,)), owner="me")
    (lane,) = await store.cluster.due_lanes(NOW + timedelta(hours=1), 4096)
    (claimed,) = await store.feeds.claim_due(NOW + timedelta(hours=1), owner="me", lease_s=60, limit=9)
    assert claimed.id == "d"
    assert lane == slot_of(host_key(claimed.url))


async def test_lanes_are_claimed_by_several_at_once(store: Store, url: str) -> None:
    """Each gets all that is due in its own, and nothing once somebody else has taken that."""
    assert store.cluster is not None
    names = [f"f{number}" for number in range(60)]
    await store.feeds.sync([feed(name, url=f"https://{name}.example/") for name in names], NOW)
    lanes, later = [Lane(number, 3) for number in range(3)], NOW + timedelta(hours=1)
    for lane in lanes:
        await store.cluster.take_lane(lane, owner=f"n{lane.number}/1", mine=(), now=later)

    async def claim(lane: Lane) -> set[str]:
        owner = f"n{lane.number}/1"
        claimed = await store.feeds.claim_due(later, owner=owner, lease_s=60, limit=99, per_host=4, lane=lane)
        return {state.id for state in claimed}

    found = await asyncio.gather(*map(claim, lanes))
    for lane, claimed in zip(lanes, found, strict=True):
        assert claimed == {name for name in names if slot_of(f"{name}.example") % 3 == lane.number}
    await store.cluster.take_lane(lanes[0], owner="n9/1", mine=(), now=later)
    with pytest.raises(Conflict, match="lane 0 was taken over by another process"):
        await claim(lanes[0])


async def test_who_takes_a_lane_frees_what_the_dead_held_in_it(store: Store, url: str) -> None:
    """Leases of a node that fell silent, and of its own jobs that ended; not of those that live, nor in other lanes."""
    assert store.cluster is not None
    later = NOW + timedelta(hours=1)
    owners = {"dead/1": "a", "alive/1": "b", "me/1": "c", "me/2": "d"}
    await store.feeds.sync([feed(name, url=f"https://{name}.example/") for name in owners.values()], NOW)
    for name in ("dead", "alive", "me"):
        node = Node(id=name, name=name, roles=("poll",), version="1", schema="1", started_at=NOW, heartbeat_at=NOW)
        await store.cluster.beat(node)
    for owner, name in owners.items():
        await store.feeds.claim_due(later, owner=owner, lease_s=3600, limit=1, ids=[name])
    execute(url, "UPDATE nodes SET heartbeat_at = heartbeat_at - 16000000 WHERE id = 'dead'")

    async def leased() -> set[str]:
        return {one.state.id for one in await store.catalog.feeds() if one.state.lease_owner}

    other = next(lane for lane in range(2) if lane != slot_of("a.example") % 2)
    await store.cluster.take_lane(Lane(other, 2), owner="me/3", mine=["me/2"], now=later)
    assert "a" in await leased()
    await store.cluster.take_lane(Lane(0, 1), owner="me/3", mine=["me/2"], now=later)
    assert await leased() == {"b", "d"}


async def test_a_node_learns_how_many_share_the_lanes(store: Store, url: str) -> None:
    """Nodes that poll and are alive, itself among them."""
    assert store.cluster is not None
    roles = {"plans": ("plan", "web"), "polls": ("deliver", "poll"), "died": ("poll",)}
    nodes = {
        name: Node(id=name, name=name, roles=words, version="1", schema="1", started_at=NOW, heartbeat_at=NOW)
        for name, words in roles.items()
    }
    for node in nodes.values():
        heard = await store.cluster.beat(node)
    assert (heard.lanes, heard.pollers) == (16, 2)
    execute(url, "UPDATE nodes SET heartbeat_at = heartbeat_at - 16000000 WHERE id = 'died'")
    await store.cluster.agree("lanes", "64")
    heard = await store.cluster.beat(nodes["plans"])
    assert (heard.lanes, heard.pollers) == (64, 1)


async def test_undoing_leaves_what_another_process_decided_at_the_same_moment(store: Store, url: str) -> None:
    """A hit is routed while somebody marks it: taking the mark back does not take the routing back."""
    await stored(store, entry(), later=UnroutedPoll(feed="a", at=NOW, hits=(hit(),)))
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("UPDATE hits SET state = 'alerted'")
        undo = Undo(id="u", kind="relevant", made_at=NOW)
        marking = asyncio.create_task(store.catalog.mark(["h1"], "relevant", undo=undo))
        async with asyncio.timeout(10):
            while not execute(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        other.commit()
        await asyncio.wait_for(marking, 10)
    await store.catalog.undo("u", NOW)
    assert execute(url, "SELECT state, mark FROM hits") == [("alerted", None)]
