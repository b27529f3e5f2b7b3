"""A pass with nothing to do is known by the note of the one before, and by nothing else."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aggregator.app.application import open_application
from aggregator.app.clock import SystemClock
from aggregator.app.idle import EPOCH, MICROSECOND, KnownPass, known_pass, note_pass, why_idle
from aggregator.config import load
from aggregator.store.idle import look

NOW_US = (SystemClock().now() - EPOCH) // MICROSECOND
DAY_US = timedelta(days=1) // MICROSECOND
CONFIG = """\
settings: {database: "sqlite:///db.sqlite", default_channels: [here], http: {user_agent: "${IDLE_AGENT}"}}
channels: {here: {service: console}}
feeds: [{id: f, url: "https://a.example/"}]
lists: {names: {file: names.txt}}
rules: [{id: r, any: [$names, "a b c d"]}]
"""


def idle_pass(config: Path) -> KnownPass | None:
    """A pass that has nothing to do, and knows it."""
    found = known_pass(config)
    return found if found and found.why_idle else None


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database after a first pass."""
    folder = tmp_path_factory.mktemp("idle")
    write(folder)
    loaded = load(folder / "config", {"IDLE_AGENT": "reader/1"})

    async def visit() -> None:
        async with open_application(loaded):
            pass

    before = Path.cwd()
    os.chdir(folder)
    try:
        asyncio.run(visit())
    finally:
        os.chdir(before)
    return folder / "db.sqlite"


@pytest.fixture
def config(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration after a pass that left nothing to do for half a day."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IDLE_AGENT", "reader/1")
    write(tmp_path)
    shutil.copy(database, "db.sqlite")
    change("UPDATE feeds SET next_poll_at = ?", NOW_US + DAY_US * 25 // 48)
    folder = tmp_path / "config"
    note_pass(load(folder, os.environ), folder)
    assert idle_pass(folder) is not None
    return folder


def write(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "all.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "config" / "names.txt").write_text("S-400\n", encoding="utf-8")


def change(statement: str, *values: object) -> None:
    with sqlite3.connect("db.sqlite") as connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "."), (0, "."), (1, "; the next one is due in a moment."), (45, "; the next one is due in 45 s.")],
)
def test_when_the_next_is_due(seconds: int, said: str) -> None:
    """What is due in a second is not due now: nothing would have been left undone."""
    now = datetime(2026, 11, 30, tzinfo=UTC)
    found = why_idle(any_feeds=True, due_at=now + timedelta(seconds=seconds), now=now)
    assert found == f"No feed is due{said} `aggregator poll --force` polls all the same."


def test_idle(config: Path) -> None:
    """The warnings are those of loading, the sentence that of a pass; the note is private and holds no value."""
    found = idle_pass(config)
    assert found is not None
    assert found.warnings == load(config, os.environ).warnings
    assert (
        found.why_idle == "No feed is due; the next one is due in 12 h. `aggregator poll --force` polls all the same."
    )
    note = Path("var/idle.json")
    assert note.stat().st_mode & 0o777 == 0o600
    assert "reader/1" not in note.read_text()
    assert "S-400" not in note.read_text()


def _edit(config: Path) -> None:
    (config / "all.yaml").write_text(CONFIG.replace("a b c d", "e"), encoding="utf-8")


def _add_file(config: Path) -> None:
    (config / "more.yaml").write_text("feeds: [{url: 'https://b.example/'}]\n", encoding="utf-8")


def _near_miss(config: Path) -> None:
    (config / "rules.yml.txt").write_text("rules: []\n", encoding="utf-8")


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited file": _edit,
    "further file": _add_file,
    "file that is named almost like one": _near_miss,
    "broken link": lambda config: (config / "more.yaml").symlink_to("nowhere"),
    "folder named like a file": lambda config: (config / "more.yaml").mkdir(),
    "file that is gone": lambda config: (config / "all.yaml").unlink(),
    "edited list": lambda config: (config / "names.txt").write_text("S-500\n"),
    "other variable": lambda _: os.environ.update(IDLE_AGENT="reader/2"),
    "variable of ours": lambda _: os.environ.update(AGGREGATOR_LISTEN="127.0.0.1:1"),
    "feed is due": lambda _: change("UPDATE feeds SET next_poll_at = ?", NOW_US - 1),
    "feed is always due": lambda _: change("UPDATE feeds SET next_poll_at = 0"),
    "feed of another configuration": lambda _: change("UPDATE feeds SET configured_url = 'https://b.example/'"),
    "feed left out": lambda _: change("UPDATE feeds SET configured = false, enabled = false"),
    "feed is leased": lambda _: change("UPDATE feeds SET lease_owner = 'x', lease_until = ?", NOW_US + DAY_US),
    "feed polled in the future": lambda _: change("UPDATE feeds SET last_polled_at = ?", NOW_US + DAY_US),
    "feed put off for a year": lambda _: change("UPDATE feeds SET next_poll_at = ?", NOW_US + 365 * DAY_US),
    "article is wanted": lambda _: change("INSERT INTO wanted_texts VALUES (1, 0, ?)", NOW_US - 1),
    "older schema": lambda _: change("UPDATE alembic_version SET version_num = '0012'"),
    "no database": lambda _: Path("db.sqlite").unlink(),
    "no SQLite": lambda _: Path("db.sqlite").write_bytes(b"something else" * 100),
    "no note": lambda _: Path("var/idle.json").unlink(),
    "note of something else": lambda _: Path("var/idle.json").write_text("[]"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_work(config: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever may be work, or may be said otherwise, is left to a whole pass."""
    monkeypatch.setenv("AGGREGATOR_LISTEN", "")  # set anew at the end of the test
    monkeypatch.delenv("AGGREGATOR_LISTEN")
    CHANGES[name](config)
    assert idle_pass(config) is None


def test_elsewhere(config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative database is another one in another folder."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "var").symlink_to(tmp_path / "var")
    monkeypatch.chdir(tmp_path / "other")
    assert idle_pass(config) is None


DELIVERY = (
    "INSERT INTO deliveries (id, kind, channel, recipient, rules, hits, title, priority, state, reason, due_at, "
    "wake_at, created_at, attempts, repeat) "
    "VALUES ('d', 'hits', 'here', '', '[]', '[]', '', 'normal', ?, '', ?, ?, ?, 0, false)"
)


@pytest.mark.parametrize(
    ("state", "wake_at", "created_at", "work"),
    [
        ("held", NOW_US + DAY_US, NOW_US, False),
        ("held", NOW_US - 1, NOW_US, True),
        ("held", NOW_US + DAY_US, NOW_US + DAY_US, True),
        ("sent", None, NOW_US + DAY_US, False),
    ],
    ids=["not yet due", "due", "by a clock that was ahead", "sent"],
)
def test_deliveries(config: Path, state: str, wake_at: int | None, created_at: int, work: bool) -> None:
    """A held alert is no work before its time, unless the clock that held it was wrong."""
    change(DELIVERY, state, wake_at or NOW_US, wake_at, created_at)
    assert (idle_pass(config) is None) is work


def test_noted_again(config: Path) -> None:
    """After a whole pass over what was changed, the next one may be idle again."""
    _edit(config)
    assert idle_pass(config) is None
    note_pass(load(config, os.environ), config)
    assert idle_pass(config) is not None


def test_nothing_to_rely_on(config: Path) -> None:
    """Where more is read than the note covers, there is none."""
    text = CONFIG.replace("{service: console}", "{service: console, template: t.j2}")
    (config / "t.j2").write_text("{{ title }}")
    (config / "all.yaml").write_text(text, encoding="utf-8")
    note_pass(load(config, os.environ), config)
    assert idle_pass(config) is None


def test_readonly_state(config: Path) -> None:
    """A note that cannot be written is no reason for an error."""
    Path("var/idle.json").unlink()
    Path("var").rmdir()
    Path("var").write_text("a file")
    note_pass(load(config, os.environ), config)
    assert idle_pass(config) is None


def test_never_is_not_due(config: Path) -> None:
    """The number in the query is the schema's."""
    from aggregator.store.schema import NEVER

    change("UPDATE feeds SET next_poll_at = ?", NEVER)
    found = look(Path("db.sqlite"), NOW_US)
    assert found is not None
    assert (found.has_work, found.next_poll_at) == (False, None)
