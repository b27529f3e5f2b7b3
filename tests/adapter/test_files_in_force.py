"""Many large files that are in force already are not loaded again to read the database."""

from pathlib import Path

import pytest

from aggregator.app import load_config
from aggregator.app.cluster_config import load_in_force, push_files
from aggregator.config import load
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
