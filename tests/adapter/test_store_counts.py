"""Figures of feeds, rules and the outbox are kept as rows change: no table is read to count it."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, case, event, func, literal, make_url, select, text

from aggregator.core.model import DeliveryState, HitState, Undo
from aggregator.store import Store, open_store
from aggregator.store.copy import copy_database
from aggregator.store.counts import TOTAL, add_up
from aggregator.store.engine import make_engine
from aggregator.store.location import DatabaseLocation
from aggregator.store.mappers import delivery_values
from aggregator.store.migrate import upgrade
from aggregator.store.schema import counts, deliveries, entries, hits
from tests.support.postgres import PostgresServer, postgres
from tests.support.records import DAY, NOW, delivery, entry, hit, stored

__all__ = ["postgres"]

pytestmark = pytest.mark.anyio

WAITING = text("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'deliveries'::regclass)")

Counted = dict[tuple[str, str, str], int]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'aggregator.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.emptied()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """An empty store."""
    async with open_store(url, index_text=lambda e: e.title) as opened:
        await opened.maintenance.upgrade()
        yield opened


def read(connection: Connection) -> tuple[Counted, Counted]:
    """(what was counted, what there is)."""
    names = (counts.c.kind, counts.c.name, counts.c.part)
    counted = {(k, n, p): int(total) for k, n, p, total in connection.execute(select(*names, TOTAL).group_by(*names))}
    split = case((func.substr(hits.c.reason, 1, 12) == "split from: ", "split"), else_="")
    part = hits.c.state + "/" + func.coalesce(hits.c.mark, "") + "/" + split
    there: Counted = {}
    for kind, column, more in (
        ("entries", entries.c.feed, literal("")),
        ("hits", hits.c.feed, literal("")),
        ("rule", hits.c.rule, part),
        ("deliveries", deliveries.c.state, literal("")),
    ):
        named = select(column.label("name"), more.label("part")).subquery()
        grouped = select(named.c.name, named.c.part, func.count()).group_by(named.c.name, named.c.part)
        there |= {(kind, row[0], row[1]): row[2] for row in connection.execute(grouped)}
    return {key: n for key, n in counted.items() if n}, there


async def compare(store: Store) -> Counted:
    found: tuple[Counted, Counted] = await store.feeds._reader.read(read)  # type: ignore[attr-defined]
    counted, there = found
    assert counted == there
    return there


async def test_counts_follow_every_change(store: Store) -> None:
    """What polls write, people mark and undo, outboxes send and pruning removes is counted as it is."""
    old = NOW - 40 * DAY
    await stored(store, entry("1", seen_at=old), entry("2"), hits=(hit("h1", "1"), hit("h2", "2", rule="q")))
    await stored(store, entry("3", feed="b"), hits=(hit("h3", "3", feed="b", state=HitState.ALERTED),))
    await stored(store, entry("2", version=2, title="Changed"), hits=(hit("h2", "2", rule="q"),))
    await store.outbox.add([delivery("d1"), delivery("d2")])
    assert (await compare(store))["entries", "a", ""] == 2

    undo = Undo(id="u1", kind="relevant", made_at=NOW)
    await store.catalog.mark(["h1", "h3"], "relevant", cards=False, undo=undo)
    assert (await compare(store))["rule", "r", "alerted/relevant/"] == 2
    await store.catalog.undo("u1", NOW)
    taken = (await store.outbox.claim(NOW, owner="me", lease_s=60, limit=1))[0]
    await store.outbox.settle(replace(taken, state=DeliveryState.SENT, sent_at=NOW), owner="me", attempt=1)
    await compare(store)

    figures = {one.rule: (one.hits, one.alerts) for one in await store.catalog.rules(NOW)}
    stats = await store.catalog.stats()
    await store.maintenance.prune(NOW, entries_s=timedelta(days=30).total_seconds(), content_s=86400.0)
    assert figures == {"q": (1, 1), "r": (2, 2)}
    assert (stats.entries, stats.hits, stats.deliveries) == (3, 3, 2)
    assert (await compare(store))["entries", "a", ""] == 1
    assert {one.state.id: (one.entries, one.hits) for one in await store.catalog.feeds()} == {"a": (1, 1), "b": (1, 1)}


async def test_upkeep_adds_up_what_was_counted(store: Store) -> None:
    """However many changes there were, one row is left of each thing that is counted."""
    await stored(store, *(entry(str(number)) for number in range(5)))
    await store.feeds._writer.execute(add_up)  # type: ignore[attr-defined]
    rows = await store.feeds._reader.read(  # type: ignore[attr-defined]
        lambda connection: connection.execute(select(counts.c.kind, counts.c.name, counts.c.n)).all()
    )
    assert [tuple(row) for row in rows] == [("entries", "a", 5)]


async def test_false_counts_are_found(store: Store) -> None:
    """`db check` says where something was changed behind the triggers."""
    await stored(store, entry("1"), hits=(hit("h1", "1"),))
    await store.outbox.add([delivery("d1")])
    assert await store.maintenance.check() == ()
    await store.feeds._writer.execute(  # type: ignore[attr-defined]
        lambda connection: connection.execute(counts.update().where(counts.c.kind == "entries").values(n=3))
    )
    assert [line.partition(";")[0] for line in await store.maintenance.check()] == [
        "3 entries are counted, but there are 1"
    ]


async def test_a_copy_counts_anew(store: Store, url: str, tmp_path: Path) -> None:
    """What a truncated table held is not counted with what is copied into it."""
    await stored(store, entry("1"), entry("2"))
    source, target = (DatabaseLocation(make_url(one)) for one in (url, f"sqlite:///{tmp_path / 'copy.db'}"))
    upgrade(target, make_dirs=False)
    engine = make_engine(target, writing=True)
    with engine.begin() as connection:
        connection.execute(counts.insert(), {"kind": "entries", "name": "a", "part": "", "n": 7})
    copy_database(source, target, lambda _: None)
    with engine.connect() as connection:
        assert read(connection) == ({("entries", "a", ""): 2},) * 2
    engine.dispose()


async def test_no_page_counts_a_table(tmp_path: Path) -> None:
    """Totals of feeds, rules, states and the whole database come from what was counted."""
    async with open_store(f"sqlite:///{tmp_path / 'aggregator.db'}", index_text=lambda e: e.title) as store:
        await store.maintenance.upgrade()
        await stored(store, entry("1"), hits=(hit("h1", "1"),))
        reading: Engine = store.feeds._reader._database._reading  # type: ignore[attr-defined]
        asked: list[str] = []

        def note(_c: object, _cursor: object, statement: str, *_: Any) -> None:
            asked.append(statement)

        event.listen(reading, "before_cursor_execute", note)
        await store.catalog.feed_page()
        await store.catalog.feeds()
        await store.catalog.stats()
        await store.catalog.outbox()
        await store.catalog.rules(NOW)
    counting = [one for one in asked if "count(" in one and "FROM feeds" not in one]
    assert [one for one in counting if "dated_at >=" not in one] == []  # of the last 30 days, from an index


@pytest.mark.postgres
def test_what_is_written_during_the_upgrade_is_counted(postgres: PostgresServer) -> None:
    """A node of the release before goes on; what it has written, and not committed, is not passed over."""
    place = DatabaseLocation(make_url(postgres.create()))
    engine = make_engine(place, writing=True)
    config = Config()
    config.set_main_option("script_location", "aggregator:store/migrations")
    with engine.begin() as old:
        config.attributes["connection"] = old
        command.upgrade(config, "0025")
    with ThreadPoolExecutor(1) as threads, engine.connect() as writer, engine.connect() as watcher:
        old_columns = {name: value for name, value in delivery_values(delivery("d1")).items() if name != "message_id"}
        writer.execute(deliveries.insert(), old_columns)
        upgrading = threads.submit(upgrade, place, make_dirs=False)
        while not upgrading.done() and not watcher.execute(WAITING).scalar_one():
            watcher.rollback()
        writer.commit()
        upgrading.result()
        assert read(watcher) == ({("deliveries", "pending", ""): 1},) * 2
    engine.dispose()
