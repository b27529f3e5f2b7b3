"""The schema's history leads to the tables that the code knows, once, whichever process comes first."""

import asyncio
import json
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, inspect
from sqlalchemy.dialects import sqlite

from aggregator.core.model import Entry, HitState
from aggregator.core.stories import fingerprint, keys
from aggregator.store import open_store
from aggregator.store.column_types import JsonList, Traits, micros
from aggregator.store.location import parse_location
from aggregator.store.mappers.stories import fingerprint_list
from aggregator.store.migrate import upgrade
from aggregator.store.migrations import REVISIONS
from aggregator.store.partial_indexes import metadata
from aggregator.store.search_postgres import texts
from tests.support.arrivals import AGENCY, SITE, Arrivals
from tests.support.postgres import PostgresServer, postgres
from tests.support.records import NOW

__all__ = ["postgres"]

BEFORE_EVENTS = "0020"

pytestmark = pytest.mark.anyio


def ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    """Full text is each database's own affair."""
    return not (kind == "table" and (name or "").startswith("entry_text"))


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
    return list(compare_metadata(context, metadata))


def indexes(connection: Connection) -> dict[str, tuple[str, ...]]:
    inspector = inspect(connection)
    return {
        str(index["name"]): tuple(str(column) for column in index["column_names"])
        for table in metadata.tables
        for index in inspector.get_indexes(table)
        if not index.get("duplicates_constraint")
    }


def test_migrations_make_the_tables_that_the_code_knows_on_sqlite(tmp_path: Path) -> None:
    """No column, key or index is missing or left over."""
    path = tmp_path / "aggregator.db"
    upgrade(parse_location(f"sqlite:///{path}"), make_dirs=False)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert differences(connection) == []
        known = {str(index.name): tuple(index.columns.keys()) for t in metadata.tables.values() for index in t.indexes}
        assert indexes(connection) == known
    engine.dispose()


@pytest.mark.postgres
def test_migrations_make_the_tables_that_the_code_knows_on_postgresql(postgres: PostgresServer) -> None:
    """The same on the other database, with its table of texts."""
    url = postgres.create()
    upgrade(parse_location(url), make_dirs=False)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert differences(connection) == []
        columns = {column["name"] for column in inspect(connection).get_columns("entry_text")}
        assert columns == set(texts.columns.keys())
    engine.dispose()


def test_list_of_revisions_is_the_history() -> None:
    """The constant that every start compares with is what alembic finds in the scripts."""
    config = Config()
    config.set_main_option("script_location", "aggregator:store/migrations")
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_heads() == [REVISIONS[-1]]
    declared = {one.revision for one in scripts.walk_revisions() if getattr(one.module, "oldest_program", "")}
    assert declared == {revision for revision in REVISIONS if revision >= "0022"}  # see RELEASE.md


async def race(url: str) -> set[str]:
    """Six processes that start at the same moment, as six stores."""
    stores = [open_store(url, index_text=lambda entry: entry.title) for _ in range(6)]
    try:
        return set(await asyncio.gather(*(store.maintenance.upgrade() for store in stores)))
    finally:
        await asyncio.gather(*(store.close() for store in stores))


async def test_concurrent_starts_upgrade_once_on_sqlite(tmp_path: Path) -> None:
    """Whoever comes second waits and finds nothing to do."""
    assert await race(f"sqlite:///{tmp_path / 'aggregator.db'}") == {REVISIONS[-1]}


@pytest.mark.postgres
async def test_concurrent_starts_upgrade_once_on_postgresql(postgres: PostgresServer) -> None:
    """The same on a server."""
    assert await race(postgres.create()) == {REVISIONS[-1]}


async def test_upgrade_that_breaks_off_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the midst of an upgrade is undone; the next start makes it whole."""
    url = f"sqlite:///{tmp_path / 'aggregator.db'}"

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    async with open_store(url, index_text=lambda entry: entry.title) as store:
        with monkeypatch.context() as patched:
            patched.setattr("aggregator.store.migrate.require_usable", power_cut)
            with pytest.raises(KeyboardInterrupt):
                upgrade(parse_location(url), make_dirs=False)
        assert "no tables yet" in (await store.maintenance.check())[0]
        await store.maintenance.upgrade()
        assert await store.maintenance.check() == ()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def no_tables(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create()


async def test_hits_of_an_old_database_take_retellings_after_the_upgrade(no_tables: str) -> None:
    """A program that knew copies only left a story; upgraded, the event in other words is folded into it."""
    made = Entry(feed="agency", key="k", title=AGENCY[0], summary=AGENCY[1], lang="en", seen_at=NOW)
    known, at = fingerprint(made), micros(NOW)
    old = create_engine(no_tables)
    with old.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "aggregator:store/migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE_EVENTS)
        tables = MetaData()
        tables.reflect(connection, only=["feeds", "entries", "stories", "story_keys", "hits"])

        def insert(table: str, **given: object) -> None:
            """Insert a row; what is not given is empty."""
            empty = {int: 0, float: 0.0, bool: True, str: "", bytes: b""}
            row = {
                c.name: given.get(c.name, empty[c.type.python_type])
                for c in tables.tables[table].columns
                if c.name in given or (not c.nullable and c.server_default is None and c.computed is None)
            }
            connection.execute(tables.tables[table].insert(), row)

        insert("feeds", id="agency", url="https://agency.example/feed", health="ok", rungs="[]")
        texts = {"title": made.title, "summary": made.summary, "lang": "en"}
        rest = {"aliases": "[]", "categories": "[]", "enclosures": "[]", "reason": "new", "version": 1}
        insert("entries", id=1000, feed="agency", key="k", seen_at=at, **texts, **rest)
        told = {"feeds": '["agency"]', "told": '["s400"]', "first_at": at, "last_at": at}
        insert("stories", id="s", title=made.title, fingerprint=json.dumps(fingerprint_list(known)), **told)
        for key in keys(known):
            insert("story_keys", key=key, story="s")
        of = {"rule": "s400", "feed": "agency", "entry": 1000, "entry_key": "k", "entry_version": 1, "spans": "[]"}
        insert("hits", id="h", story="s", state="alerted", created_at=at, **of)
    old.dispose()
    async with open_store(no_tables, index_text=lambda entry: entry.title) as store:
        await store.maintenance.upgrade()
        arrivals = Arrivals(store)
        await arrivals.begin()
        (folded,) = await arrivals.poll("site", SITE, hours=1)
        assert (folded.state, folded.story) == (HitState.FOLDED, "s")
        story, details = await store.catalog.story("s")
        assert (story.feeds, len(details)) == (("agency", "site"), 2)


def test_lists_come_back_as_they_were() -> None:
    """Short or long, in any script, with a lone surrogate or a number that has no end."""
    dialect = sqlite.dialect()
    write, read = JsonList().bind_processor(dialect), JsonList().result_processor(dialect, None)
    for value in (["Türkei", 1.5, None, {"a": [True]}], ["é" * 300] * 3, ["\ud800" + "x" * 600], [10**30, "y" * 600]):
        stored = write(value)
        assert (stored.isascii(), read(stored)) == (True, value)
    write, read = Traits().bind_processor(dialect), Traits().result_processor(dialect, None)
    values: list[list[object]] = [["Türkei", ["\0", None]], ["é" * 300] * 3, ["\ud800", "x" * 600]]
    assert [read(write(value)) for value in values] == values
