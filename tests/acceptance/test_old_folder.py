"""A machine with old files, and installations on a database that is not ready: each command, and what it changes.

The commands run in this process (starting it anew each time is tried elsewhere); all below them is real.
"""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from aggregator.app import cluster_state
from aggregator.cli import queue
from aggregator.cli.program import program
from tests.support.engine import execute, migrate
from tests.support.pooler import Pooler
from tests.support.postgres import PostgresServer, postgres

__all__ = ["postgres"]

pytestmark = pytest.mark.postgres

ROWS = "SELECT id, url, enabled, configured, configured_url, configured_title, options, reading FROM feeds ORDER BY id"
# These go on for ever, need no database, or put files in force because they were asked to.
OTHERS = {
    "config push", "config rollback", "completion", "demo", "init", "run", "schema", "worker",
    "service print-unit", "service print-compose", "service print-alerts", "service print-dashboard",
}  # fmt: skip
# On SQLite, where one folder is right by being there, all others take the feeds over.
READING = {
    "deliveries list", "deliveries show", "db check", "db stats", "doctor", "feeds list", "feeds show", "hits export",
    "hits list", "rules list", "rules show", "search", "silence list", "status", "stories list", "stories show",
}  # fmt: skip


def leaves(group: click.Group, context: click.Context, path: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """All commands with one argument for each that they require."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = (*path, name)
        if isinstance(command, click.Group):
            yield from leaves(command, context, words)
        else:
            yield " ".join(words), [*words, *("x" for one in command.params if one.required and one.nargs != 0)]


COMMANDS = {name: words for name, words in leaves(program, click.Context(program)) if name not in OTHERS}


def write(folder: Path, feeds: str, database: str) -> Path:
    folder.mkdir()
    rules = "rules: [{id: watch, any: [S-400]}]\n" if feeds == "new" else ""
    listed = "".join(f"  - {{id: {feeds}{n}, url: 'http://127.0.0.1:9/{feeds}{n}', every: 1h}}\n" for n in range(3))
    shared = f"  - {{id: shared, url: 'http://127.0.0.1:9/{feeds}', title: {feeds}}}\n"
    settings = f"settings: {{database: '{database}', web: {{enabled: false}}}}\n"
    (folder / "all.yaml").write_text(f"feeds:\n{listed}{shared}{rules}{settings}", encoding="utf-8")
    return folder


def call(words: list[str], folder: Path) -> Result:
    return CliRunner().invoke(program, [*words, "--config", str(folder)], input="")


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_no_command_with_an_old_folder_changes_feeds(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their addresses, whether they are polled, their options: on PostgreSQL no command, on SQLite none that reads."""
    monkeypatch.chdir(tmp_path)
    if engine == "sqlite":
        url, names, first = f"sqlite:///{tmp_path}/a.db", READING, ["rules", "apply"]
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url, names, first = server.create(), set(COMMANDS), ["config", "push"]
    new, old = write(tmp_path / "new", "new", url), write(tmp_path / "old", "old", url)
    assert call(first, new).exit_code == 0

    def rows() -> list[tuple[Any, ...]]:
        if engine == "postgresql":
            return execute(url, ROWS)
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            return connection.execute(ROWS).fetchall()

    before = rows()
    assert [row[0] for row in before] == ["new0", "new1", "new2", "shared"]
    assert names <= COMMANDS.keys()
    changed = []
    for name in sorted(names):
        call(COMMANDS[name], old)
        if rows() != before:
            changed.append(name)
            before = rows()
    assert changed == []


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "nothing"


def test_a_database_that_is_not_ready_is_said_to_be(
    postgres: PostgresServer, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tables, no configuration, no engine, a newer engine: one sentence with the remedy, which then helps."""
    url = postgres.create()
    monkeypatch.setenv("AGGREGATOR_DATABASE", url)
    for ready in (False, True):
        for words in (["worker"], ["status"], ["queue"], ["config", "log"]):
            done = call(words, bare)
            assert done.exit_code == 1
            assert "holds no configuration yet; start `aggregator run` where the files are" in done.stderr
        if not ready:
            assert call(["db", "upgrade"], bare).exit_code == 0
            execute(url, "DROP TABLE procrastinate_jobs CASCADE")  # as where the extra was not installed
    assert call(["config", "push"], write(tmp_path / "files", "new", url)).exit_code == 0
    done = call(["queue"], bare)
    assert (done.exit_code, "run `aggregator db upgrade`" in done.stderr) == (1, True)
    (finding,) = json.loads(call(["status", "--json"], bare).stdout)["findings"]
    assert (finding["kind"], finding["remedy"]) == ("engine", "run `aggregator db upgrade`")
    assert call(["db", "upgrade"], bare).exit_code == 0
    assert json.loads(call(["queue", "--json"], bare).stdout)["jobs"] == []

    before = execute(url, ROWS)
    execute(url, "UPDATE cluster SET value = '99.00' WHERE name = 'engine'")
    for words in (["worker"], ["db", "upgrade"]):
        done = call(words, bare)
        assert (done.exit_code, "install the program that the other nodes have" in done.stderr) == (1, True)
    findings = json.loads(call(["status", "--json"], bare).stdout)["findings"]
    assert {"engine", "workers"} == {finding["kind"] for finding in findings}
    assert execute(url, ROWS) == before


def test_a_pooler_in_transaction_mode_is_noticed(
    postgres: PostgresServer, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notifications do not arrive behind it: `queue` and `doctor` say so and what to do; it is no fault."""
    url = postgres.create()
    assert call(["config", "push"], write(tmp_path / "files", "new", url)).exit_code == 0
    asyncio.run(migrate(url))
    for module in (cluster_state, queue):
        monkeypatch.setattr(module, "HEARD_S", 0.3)
    pooler = Pooler(url)
    try:
        monkeypatch.setenv("AGGREGATOR_DATABASE", pooler.url)
        shown = json.loads(call(["queue", "--json"], bare).stdout)
        troubles = json.loads(call(["doctor", "--json"], bare).stdout)["troubles"]
    finally:
        pooler.close()
    assert not shown["notified"]
    assert [(one["kind"], one["severity"]) for one in shown["findings"]] == [("workers", "error"), ("notify", "note")]
    assert [one["severity"] for one in troubles if one["kind"] == "notify"] == ["note"]
    assert pooler.prepared == 0
