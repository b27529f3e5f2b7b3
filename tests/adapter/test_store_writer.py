"""One writer: what waits is written together, what fails fails alone, and processes share a database."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, create_engine, text, update

from aggregator.core.errors import StoreError
from aggregator.core.model import Fingerprint, Health, PollResult, RoutingContext, RoutingResult, StoredToday
from aggregator.store import mappers, open_store
from aggregator.store.bulk import BulkStatement
from aggregator.store.dialect import SQLITE
from aggregator.store.engine import Database
from aggregator.store.location import parse_location
from aggregator.store.migrate import upgrade
from aggregator.store.schema import entries, feeds, hosts, metadata
from aggregator.store.writer import Writer
from tests.support.postgres import PostgresServer, postgres
from tests.support.records import (
    NOW,
    delivery,
    entry,
    feed,
    lease,
    like,
    making,
    polled,
    story,
)

__all__ = ["postgres"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A migrated SQLite database."""
    made = f"sqlite:///{tmp_path / 'aggregator.db'}"
    upgrade(parse_location(made), make_dirs=False)
    return made


@pytest.fixture
async def writer(url: str) -> AsyncIterator[Writer]:
    """A writer on a table of numbers."""
    database = Database(parse_location(url))
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE numbers (number INTEGER CHECK (number >= 0))"))
    writer = Writer(database)
    yield writer
    await writer.close()
    database.close()


def note(connection: Connection, numbers: Sequence[int]) -> list[int | StoreError]:
    """Write numbers; negative ones break the table's rule, thirteen is refused by us."""
    connection.execute(text("INSERT INTO numbers VALUES (:number)"), [{"number": n} for n in numbers])
    return [StoreError("unlucky") if n == 13 else n * 2 for n in numbers]


def written(url: str) -> list[int]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY rowid")]


async def test_what_waits_is_one_transaction(writer: Writer, url: str) -> None:
    """Fifty callers at once are one commit, and each gets its own answer."""
    answers = await asyncio.gather(*(writer.submit_batched(note, n, batched=True) for n in range(50) if n != 13))
    assert answers == [n * 2 for n in range(50) if n != 13]
    assert writer.transactions == 1
    assert written(url) == [n for n in range(50) if n != 13]


async def test_urgent_write_takes_the_patient_ones_along(writer: Writer) -> None:
    """Nobody waits longer because somebody else was in a hurry."""
    batched = [asyncio.ensure_future(writer.submit_batched(note, n, batched=True)) for n in range(3)]
    await asyncio.sleep(0)
    await writer.submit_batched(note, 9)
    assert all(task.done() for task in batched)
    assert writer.transactions == 1


async def test_failing_member_fails_alone(writer: Writer, url: str) -> None:
    """The group is written again one by one: the others never know."""
    asked = [writer.submit_batched(note, n, batched=True) for n in (1, -2, 3)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert (answers[0], answers[2]) == (2, 6)
    assert isinstance(answers[1], StoreError)
    assert written(url) == [1, 3]


async def test_refusal_is_not_a_failure(writer: Writer, url: str) -> None:
    """An answer that is an error is raised for its caller, and the group stands."""
    asked = [writer.submit_batched(note, n, batched=True) for n in (12, 13)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert (answers[0], str(answers[1])) == (24, "unlucky")
    assert writer.transactions == 1
    assert written(url) == [12, 13]


async def test_bug_in_one_step_is_raised_to_its_caller_only(writer: Writer) -> None:
    """Any exception reaches who asked; the thread lives on."""

    def broken(_: Connection) -> int:
        raise ZeroDivisionError

    bad, good = await asyncio.gather(writer.execute(broken), writer.submit_batched(note, 4), return_exceptions=True)
    assert isinstance(bad, ZeroDivisionError)
    assert good == 8
    assert await writer.submit_batched(note, 5) == 10


async def test_cancelled_caller_does_not_disturb(writer: Writer, url: str) -> None:
    """What was handed over is written, whether or not anybody still waits for it."""
    task = asyncio.create_task(writer.submit_batched(note, 1, batched=True))
    await asyncio.sleep(0)
    task.cancel()
    assert await writer.submit_batched(note, 2) == 4
    assert written(url) == [1, 2]


async def test_close_writes_what_waits(url: str, writer: Writer) -> None:
    """The end loses nothing."""
    waiting = asyncio.create_task(writer.submit_batched(note, 7, batched=True))
    await asyncio.sleep(0)
    await writer.close()
    assert await waiting == 14
    assert written(url) == [7]


async def test_sqlite_is_opened_safely(url: str) -> None:
    """WAL, a sync for every commit, foreign keys, patience with others; readers cannot write."""
    database = Database(parse_location(url))

    def asked(connection: Connection, name: str) -> object:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    with database.writing() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        assert [asked(connection, name) for name in names] == ["wal", 2, 1, 10_000]
    with database.reading() as connection:
        assert [asked(connection, name) for name in ("journal_mode", "query_only")] == ["wal", 1]
    database.close()


async def test_two_processes_share_a_file(url: str) -> None:
    """A command beside the running service: both write, neither is refused, nothing is lost."""
    code = """
import asyncio, sys
from aggregator.store import mappers, open_store
from aggregator.store.bulk import BulkStatement
from aggregator.store.dialect import SQLITE
from tests.support.records import delivery
async def main():
    async with open_store(sys.argv[1], index_text=lambda entry: entry.title) as store:
        for n in range(100):
            await store.outbox.add([delivery(f"{sys.argv[2]}{n}")])
asyncio.run(main())
"""
    others = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, url, name, stderr=subprocess.PIPE)
        for name in ("x", "y")
    ]
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        for n in range(100):
            await store.outbox.add([delivery(f"z{n}")])
        for other in others:
            _, said = await other.communicate()
            assert other.returncode == 0, said.decode()
        assert len(await store.catalog.deliveries(limit=0)) == 300
        assert await store.maintenance.check() == ()


async def test_backup_is_whole_while_writing_goes_on(url: str, tmp_path: Path) -> None:
    """The copy opens, checks, and has everything that was committed before."""
    target = tmp_path / "backup.db"
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        await store.outbox.add([delivery(f"before{n}") for n in range(50)])
        writing = asyncio.gather(*(store.outbox.add([delivery(f"during{n}")]) for n in range(50)))
        size = await store.maintenance.backup(str(target))
        await writing
    copied = tmp_path / "copy.db"
    shutil.copy(target, copied)
    async with open_store(f"sqlite:///{copied}", index_text=lambda entry: entry.title) as store:
        assert await store.maintenance.check() == ()
        assert (await store.catalog.stats()).deliveries >= 50
    assert size > 0


async def test_unstorable_letters_are_replaced_one_for_one(url: str) -> None:
    """NUL and lone surrogates from a hostile feed neither stop the poll nor move a span."""
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        await store.feeds.sync([feed()], NOW)
        (state,) = await lease(store.feeds, "a")
        hostile = entry(title="a\0b\ud800c", summary="\udfff", link="http://x/\0")
        await store.feeds.commit(PollResult(state=polled(state, last_error="\0"), entries=(hostile,)), owner="me")
        (found,) = await store.catalog.entries()
        assert (found.title, found.summary, found.link) == ("a\ufffdb\ufffdc", "\ufffd", "http://x/\ufffd")
        assert len(await store.catalog.search([["a\0b\ud800c"]])) == 1


@pytest.mark.postgres
async def test_unstorable_letters_are_replaced_on_postgresql_too(postgres: PostgresServer) -> None:
    """The same, where NUL is refused by the server."""
    async with open_store(postgres.emptied(), index_text=lambda entry: entry.title) as store:
        await store.feeds.sync([feed()], NOW)
        (state,) = await lease(store.feeds, "a")
        await store.feeds.commit(PollResult(state=polled(state), entries=(entry(title="a\0b\ud800c"),)), owner="me")
        (found,) = await store.catalog.search([["a\0b\ud800c"]])
        assert found.title == "a\ufffdb\ufffdc"


@pytest.mark.postgres
async def test_processes_on_one_server_share_the_work(postgres: PostgresServer) -> None:
    """Two stores claim at once: each feed has one owner, and no limit is passed."""
    url = postgres.emptied()
    async with (
        open_store(url, index_text=lambda entry: entry.title) as one,
        open_store(url, index_text=lambda entry: entry.title) as two,
    ):
        await one.feeds.sync([feed(f"f{n:03}") for n in range(200)], NOW)
        asked = [
            store.feeds.claim_due(NOW, owner=name, lease_s=60, limit=7)
            for _ in range(10)
            for name, store in (("one", one), ("two", two))
        ]
        claimed = await asyncio.gather(*asked)
        assert max(map(len, claimed)) <= 7
        ids = [state.id for states in claimed for state in states]
        assert len(ids) == len(set(ids))


@pytest.mark.postgres
async def test_processes_on_one_server_alert_a_story_once(postgres: PostgresServer) -> None:
    """Routing takes turns across processes: one story is made of twenty copies."""
    url = postgres.emptied()
    question = like(Fingerprint(url_key="u1"))
    async with (
        open_store(url, index_text=lambda entry: entry.title) as one,
        open_store(url, index_text=lambda entry: entry.title) as two,
    ):
        names = [f"f{n:02}" for n in range(20)]
        await one.feeds.sync([feed(name) for name in names], NOW)
        states = await lease(one.feeds, *names)

        def route(name: str, context: RoutingContext) -> RoutingResult:
            if context.stories:
                (known,) = context.stories
                return making(replace(known, feeds=(*known.feeds, name)))
            return making(story(name, feeds=(name,)))

        await asyncio.gather(
            *(
                (one, two)[n % 2].feeds.commit(
                    PollResult(state=polled(state)),
                    owner="me",
                    question=question,
                    route=lambda context, name=state.id: route(name, context),  # type: ignore[misc]
                )
                for n, state in enumerate(states)
            )
        )
        (made,) = [s for n in names for s in await found(one, n)]
        assert sorted(made) == names


async def found(store: object, name: str) -> list[tuple[str, ...]]:
    """The carriers of the story with this name, if there is one."""
    from aggregator.core.errors import NotFound

    try:
        return [(await store.catalog.story(name))[0].feeds]  # type: ignore[attr-defined]
    except NotFound:
        return []


async def test_unchanged_polls_share_transactions(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred polls without anything new are claimed and written in ten transactions at most."""
    transactions = 0
    honest = Writer._transact

    def counted(self: Writer, group: Sequence[Any]) -> Any:
        nonlocal transactions
        transactions += 1
        return honest(self, group)

    monkeypatch.setattr(Writer, "_transact", counted)
    names = [f"f{n}" for n in range(100)]
    async with open_store(url, index_text=lambda _: "") as store:
        await store.feeds.sync([feed(name) for name in names], NOW)
        transactions = 0
        states = await lease(store.feeds, *names)
        commits = (store.feeds.commit(PollResult(state=polled(state), before=state), owner="me") for state in states)
        await asyncio.gather(*commits)
    assert len(states) == 100
    assert transactions <= 10


UNCHANGED = ("last_polled_at", "last_ok_at", "last_status", "interval_s", "next_poll_at", "parse_levels")


@pytest.mark.parametrize(
    "changes",
    [{}, {"title": "T"}, {"failures": 2}, {"health": Health.FAILING}, {"stored_today": StoredToday(day="2026-11-30")}],
    ids=str,
)
async def test_little_or_all_is_written(url: str, changes: dict[str, Any]) -> None:
    """Whether a poll says what was before or not, the same is stored, whatever it changed."""
    stored = []
    async with open_store(url, index_text=lambda _: "") as store:
        await store.feeds.sync([feed("f")], NOW)
        for claimed in (False, True):
            (before,) = await lease(store.feeds, "f")
            after = replace(polled(before), **changes, last_status=304, interval_s=7.5, parse_levels=(1, 2, 3, 4, 5))
            await store.feeds.commit(PollResult(state=after, before=before if claimed else None), owner="me")
            (found,) = await lease(store.feeds, "f")
            await store.feeds.release(["f"], owner="me")
            stored.append(found)
            for name in (*UNCHANGED, *changes):
                assert getattr(found, name) == getattr(after, name)
    assert stored[0] == stored[1]


def test_rows_in_bulk_are_stored_as_one_by_one() -> None:
    """Many rows written at once are those that SQLAlchemy writes, in every type of column, new or overwritten."""
    found = []
    for in_bulk in (True, False):
        engine = create_engine("sqlite://")
        metadata.create_all(engine, [feeds, entries, hosts])

        def run(connection: Connection, statement: Any, rows: list[dict[str, Any]], bulk: bool = in_bulk) -> None:
            BulkStatement(statement).run(connection, rows) if bulk else connection.execute(statement, rows)

        written = [
            entry("a", title="nul\0, half \ud800, \U0001f600", categories=("x", "я"), published_at=NOW, lang="de"),
            entry("b", author="", enclosures=("https://a.example/b.mp3",), content_hash=b"\0\xff", guid=None),
        ]
        limits = [{"host": "a", "not_before": NOW, "reason": "429"}, {"host": "b", "not_before": NOW, "reason": ""}]
        with engine.begin() as connection:
            run(connection, SQLITE.insert_ignore(entries), [mappers.entry_values(one) for one in written])
            later = [replace(one, title="again", version=2) for one in written]
            run(connection, SQLITE.insert_ignore(entries), [mappers.entry_values(one) for one in later])
            host = SQLITE.upsert(hosts, where=lambda new: new.not_before > hosts.c.not_before)
            for pushed in (0, 60, -60):
                run(connection, host, [{**one, "not_before": NOW + timedelta(seconds=pushed)} for one in limits])
            free = update(hosts).where(hosts.c.host == bindparam("of")).values(reason="fixed")
            run(connection, free, [{"of": "a", "not_before": NOW + timedelta(days=1)}])
            run(connection, free, [{"of": "b"}])
            BulkStatement(free).run(connection, [])
            found.append([connection.execute(text(f"SELECT * FROM {name}")).all() for name in ("entries", "hosts")])
    assert found[0] == found[1]
    assert [row.reason for row in found[0][1]] == ["fixed", "fixed"]
