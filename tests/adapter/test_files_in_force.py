"""Files and what a cluster has in force: known by their digest, and edited only where they are."""

from pathlib import Path

import pytest

from aggregator.app import load_config, open_application
from aggregator.app.application import Follow
from aggregator.app.backend import AppBackend
from aggregator.app.cluster_config import load_from_database, load_in_force, push_files
from aggregator.config import load
from aggregator.core.errors import Conflict
from aggregator.store import open_store
from tests.support.engine import execute
from tests.support.postgres import PostgresServer, postgres

__all__ = ["postgres"]

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_files_in_force_are_known_by_their_digest(postgres: PostgresServer, tmp_path: Path) -> None:
    """Rules come from the database, and no feed is read; an edit, or a database without it, has them loaded."""
    url = postgres.emptied()
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"settings:\n  database: '{url}'\nrules:\n  - {{id: watch, any: [S-400]}}\n")
    for name in "ab":
        feed = f"feeds:\n  - {{id: {name}, url: 'https://{name}.example/'}}\n"
        (tmp_path / f"{name}.yaml").write_text(feed + "# padding\n" * 60_000)
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        assert store.cluster is not None
        assert load_in_force(tmp_path) is None
        await push_files(store.cluster, tmp_path, load(tmp_path, {}))
    found = load_config(tmp_path, sound=True, feeds=False)
    assert [rule.id for rule in found.rules] == ["watch"]
    assert found.config.feeds == ()
    assert found.config.settings.database is not None
    assert found.config.settings.database.get_secret_value() == url
    assert len(load_config(tmp_path, sound=True).config.feeds) == 2
    execute(url, "UPDATE configs SET digest = 'another'")
    assert load_in_force(tmp_path) is None
    settings.write_text("settings:\n  database: sqlite:///a.db\n")
    assert load_in_force(tmp_path) is None
    settings.write_text("settings:\n  database: postgresql://127.0.0.1:1/nobody\n")
    assert load_in_force(tmp_path) is None


async def test_edits_are_refused_where_the_files_are_not(postgres: PostgresServer, tmp_path: Path) -> None:
    """A page on another node says where they are, and writes none of its own."""
    url, here = postgres.emptied(), tmp_path / "here"
    here.mkdir()
    (here / "all.yaml").write_text("feeds: [{id: a, url: 'https://a.example/'}]\nrules: [{id: watch, any: [S-400]}]\n")
    async with open_store(url, index_text=lambda entry: entry.title) as store:
        assert store.cluster is not None
        await push_files(store.cluster, here, load(here, {}))
    loaded = load_from_database(url, whole=True, web=True)
    elsewhere = tmp_path / "elsewhere"
    async with open_application(loaded, follow=Follow(None)) as app:
        backend = AppBackend(app, elsewhere)
        assert list(app.current.rules) == ["watch"]
        edits = (
            backend.write_feeds([{"url": "https://b.example/"}]),
            backend.change_feeds({"a": None}, about="a"),
            backend.rule_item("watch"),
            backend.save_rules("rules.yaml", "rules: []\n", ""),
        )
        for edit in edits:
            with pytest.raises(Conflict, match=rf"configuration 1 was put in force by .*{here}; edit the files there"):
                await edit
    assert not elsewhere.exists()
