"""A database moves whole: SQLite to SQLite, to PostgreSQL, and back; or it does not move at all."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import create_engine, select

from aggregator.core.errors import Conflict, SchemaOutOfDate, StoreError
from aggregator.core.model import (
    Because,
    ChannelTest,
    DeliveryState,
    Edit,
    Features,
    FeedLink,
    HitFilter,
    HostLimit,
    NearMiss,
    Node,
    Note,
    PollResult,
    Report,
    RoutingResult,
    Silence,
    StoryEdit,
    StoryLink,
    Undo,
    UnroutedPoll,
    View,
)
from aggregator.core.polling.websub import HubSubscription, Unsubscription
from aggregator.store import copy_store, count_rows, open_store
from aggregator.store.copy import BATCH
from aggregator.store.schema import STORED
from tests.contract.conftest import index_text
from tests.support.engine import execute
from tests.support.postgres import PostgresServer, postgres
from tests.support.records import HOUR, NOW, delivery, entry, feed, hit, lease, making, polled, stored, story

__all__ = ["postgres"]

pytestmark = pytest.mark.anyio

MANY = BATCH + 3
ODD = "Türkiye’de S-400 😀 \u202eطهران\u202c " + "x" * 5000


async def fill(url: str) -> None:
    """A database with something in every table, more than a batch of entries, and texts still to be indexed."""
    async with open_store(url, index_text=index_text) as store:
        await store.maintenance.upgrade()
        await store.feeds.sync([feed("a"), feed("b", title="Ö")], NOW)
        many = [entry(f"n{n}", title=f"Number {n}", aliases=(f"g{n}",)) for n in range(MANY)]
        await stored(
            store,
            entry("k1", title=ODD, categories=("ü", "b"), published_at=NOW - HOUR),
            *many,
            articles_wanted=("k1",),
        )
        await store.catalog.keep_channel_test(ChannelTest(channel="desk", at=NOW, answers=()))
        one = story(feeds=("a", "b"))
        report = Report(id="s1", feed="a", title=ODD, at=NOW, fingerprint=one.fingerprint, features=Features(lang="tr"))
        routed = making(
            one,
            reports=(("s1", report),),
            hits=(hit(story="s1", because=Because(misses=(NearMiss(story="s", title="t", feed="f", reason="ü"),))),),
            deliveries=(delivery(hits=("h1",), story="s1"), delivery("lost", channel="gone", hits=("h1",), story="s1")),
        )
        await stored(store, entry("k2"), routed=routed, memory=b"\x00\xff", quarantined=((b"<x", "broken"),))
        await store.maintenance.index_text(MANY)
        await stored(store, entry("k3", title="late"))
        (state,) = await lease(store.feeds, "b")
        await store.feeds.commit(
            PollResult(state=polled(state), hosts=(HostLimit(host="b.example", not_before=NOW + HOUR, reason="429"),)),
            owner="me",
        )
        (lost,) = await store.outbox.claim(NOW, owner="me", lease_s=60, limit=1, channels=["gone"])
        given_up = replace(lost, state=DeliveryState.DEAD, last_error="410")
        await store.outbox.settle(given_up, owner="me", attempt=lost.attempts)
        (claimed,) = await store.outbox.claim(NOW, owner="me", lease_s=60, limit=1)
        await store.outbox.begin(claimed.id, owner="me", attempt=claimed.attempts)
        await store.catalog.mark(["h1"], "relevant", undo=Undo(id="u", kind="relevant", made_at=NOW))
        await store.catalog.set_labels("s1", ["ø"])
        await store.catalog.add_note(Note(story="s1", text="\x00ß", created_at=NOW))
        await store.catalog.save_view(View(id="v", name="V", query=(("rule", "r"),), created_at=NOW))
        await store.catalog.edit_stories(StoryEdit(link=StoryLink("s1", "s2", apart=True, by="ada", at=NOW)))
        await stored(store, entry("k4", title="waits"), later=UnroutedPoll(feed="a", at=NOW, hits=(hit("h2", "k4"),)))
        await store.feeds.learn("frequencies", b"\x00\xff")
        await store.catalog.add_silence(Silence(rule="r", until_at=NOW + HOUR, reason="ja", created_at=NOW))
        await store.catalog.add_feed_link(FeedLink(path="/feeds/rules/r.atom", digest="d", created_at=NOW))
        await store.catalog.signing_key(b"\x00\xff")
        await store.catalog.add_edit(Edit(file="rules.yaml", line=1, removed="", added="ä\n", about="r", at=NOW))
        await store.subscriptions.save(
            HubSubscription(feed="a", hub="https://h/", topic="https://a/", callback="c", secret="s", asked_at=NOW)
        )
        left = Unsubscription(callback="d", hub="https://h/", topic="https://b/", left_at=NOW)
        await store.subscriptions.remove(["b"], [left])


def dump(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as values."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {t.name: sorted(map(repr, map(tuple, connection.execute(select(t))))) for t in STORED}
    engine.dispose()
    return found  # type: ignore[return-value]


def sqlite(path: Path) -> str:
    return f"sqlite:///{path}"


async def test_a_copy_is_whole(tmp_path: Path) -> None:
    """Every row of every table, counted; the full-text index finds what it found, and what waits for it still waits."""
    await fill(sqlite(tmp_path / "a.db"))
    steps: list[int] = []
    copied = await copy_store(sqlite(tmp_path / "a.db"), sqlite(tmp_path / "b.db"), step=steps.append)
    assert dump(sqlite(tmp_path / "a.db")) == dump(sqlite(tmp_path / "b.db"))
    assert {name for name, rows in copied.items() if not rows} == set()
    assert (copied["entries"], copied["entry_text"], copied["unindexed"]) == (MANY + 4, MANY, 4)
    assert sum(steps) == sum(copied.values()) == await count_rows(sqlite(tmp_path / "a.db"))
    async with open_store(sqlite(tmp_path / "b.db"), index_text=index_text) as store:
        assert await store.maintenance.check() == ()
        assert [found.key for found in await store.catalog.search([["türkiye’de"]])] == ["k1"]
        assert [found.key for found in await store.catalog.search([["late"]])] == ["k3"]
        assert len(await store.catalog.search([["number"]], limit=0)) == MANY


async def test_a_copy_routes_what_waited_whatever_its_configuration_was_called(tmp_path: Path) -> None:
    """Configurations are not copied: the first of another cluster has number 1, one file has none."""
    async with open_store(sqlite(tmp_path / "a.db"), index_text=index_text) as store:
        await store.maintenance.upgrade()
        await store.feeds.sync([feed("a")], NOW)
        asked = UnroutedPoll(feed="a", at=NOW, hits=(hit(),), config=7)
        await stored(store, entry("k1"), later=asked)
    await copy_store(sqlite(tmp_path / "a.db"), sqlite(tmp_path / "b.db"))
    async with open_store(sqlite(tmp_path / "b.db"), index_text=index_text) as store:
        decide: Any = lambda _: (None, lambda _: RoutingResult())  # noqa: E731
        assert (await store.feeds.route_waiting(decide, NOW, config=0)).polls == 1


@pytest.mark.postgres
async def test_there_and_back(tmp_path: Path, postgres: PostgresServer) -> None:
    """SQLite → PostgreSQL → SQLite is the same; on PostgreSQL the service goes on: it finds, claims and numbers."""
    first, between, last = sqlite(tmp_path / "a.db"), postgres.create(), sqlite(tmp_path / "b.db")
    await fill(first)
    there = await copy_store(first, between)
    back = await copy_store(between, last)
    assert there == back
    assert dump(first) == dump(between) == dump(last)
    async with open_store(between, index_text=index_text) as store:
        assert [found.key for found in await store.catalog.search([["türkiye’de"], ["s-400"]])] == ["k1"]
        assert [detail.hit.id for detail in await store.catalog.hits(HitFilter())] == ["h2", "h1"]
        (new,) = await stored(store, entry("k9"))
        assert new.id == MANY + 5
        assert (await store.catalog.add_silence(Silence(rule="r", until_at=NOW, reason="", created_at=NOW))).id == 2
    async with open_store(last, index_text=index_text) as store:
        assert await store.maintenance.check() == ()


@pytest.mark.postgres
async def test_a_database_that_nodes_use_is_not_copied(tmp_path: Path, postgres: PostgresServer) -> None:
    """Nor written to, wherever those nodes run; once they have left, or died, it is."""
    cluster, file = postgres.emptied(), sqlite(tmp_path / "a.db")
    node = Node(id="n", name="east", roles=("poll",), version="1", schema="1", started_at=NOW, heartbeat_at=NOW)
    async with open_store(file, index_text=index_text) as store:
        await store.maintenance.upgrade()
    async with open_store(cluster, index_text=index_text) as store:
        assert store.cluster is not None
        await store.cluster.beat(node)
        for source, target in ((cluster, sqlite(tmp_path / "b.db")), (file, cluster)):
            with pytest.raises(Conflict, match="is in use by east; stop these nodes first"):
                await copy_store(source, target)
        assert not (tmp_path / "b.db").exists()
        execute(cluster, "UPDATE nodes SET heartbeat_at = heartbeat_at - 16000000")
        await copy_store(cluster, sqlite(tmp_path / "b.db"))
        await copy_store(file, cluster)


async def test_nothing_is_mixed(tmp_path: Path) -> None:
    """A target with rows is refused, and left as it is; so is a source of another schema."""
    await fill(sqlite(tmp_path / "a.db"))
    async with open_store(sqlite(tmp_path / "b.db"), index_text=index_text) as store:
        await store.maintenance.upgrade()
        await store.feeds.sync([feed("mine")], NOW)
    before = dump(sqlite(tmp_path / "b.db"))
    with pytest.raises(StoreError, match="is not empty: feeds has rows"):
        await copy_store(sqlite(tmp_path / "a.db"), sqlite(tmp_path / "b.db"))
    assert dump(sqlite(tmp_path / "b.db")) == before
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(SchemaOutOfDate, match="aggregator db upgrade"):
        await copy_store(sqlite(tmp_path / "a.db"), sqlite(tmp_path / "c.db"))
    with pytest.raises(StoreError, match=r"nosuch\.db does not exist"):
        await copy_store(sqlite(tmp_path / "nosuch.db"), sqlite(tmp_path / "c.db"))
    assert not (tmp_path / "c.db").exists()


async def test_an_interrupted_copy_leaves_nothing(tmp_path: Path) -> None:
    """Cancelled or broken off in its midst, the target is empty, and the next attempt is whole."""
    await fill(sqlite(tmp_path / "a.db"))
    source, target = sqlite(tmp_path / "a.db"), sqlite(tmp_path / "b.db")

    def fail(rows: int) -> None:
        if rows == BATCH:
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        await copy_store(source, target, step=fail)
    assert not any(dump(target).values())

    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin(_: int) -> None:
        loop.call_soon_threadsafe(begun.set)

    copying = asyncio.create_task(copy_store(source, target, step=begin))
    await begun.wait()
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    await copy_store(source, target)  # it waits for the other to let go, and finds nothing of it
    assert dump(target) == dump(source)


async def test_what_arrives_otherwise_is_not_taken(tmp_path: Path) -> None:
    """A target that changes a value on its way in is found out, and keeps nothing."""
    await fill(sqlite(tmp_path / "a.db"))
    async with open_store(sqlite(tmp_path / "b.db"), index_text=index_text) as store:
        await store.maintenance.upgrade()
    with sqlite3.connect(tmp_path / "b.db") as connection:
        connection.execute(
            "CREATE TRIGGER odd AFTER INSERT ON silences "
            "BEGIN UPDATE silences SET reason = 'nein' WHERE id = new.id; END"
        )
    with pytest.raises(StoreError, match="silences differs after copying; nothing was copied"):
        await copy_store(sqlite(tmp_path / "a.db"), sqlite(tmp_path / "b.db"))
    assert not any(dump(sqlite(tmp_path / "b.db")).values())
