"""Passes with nothing to do, which cron starts every few minutes: known by a note of the pass before.

To load and check a configuration takes many times as long as to find that it has not changed and that nothing is due.
The note holds digests, the database's path, and the warnings that are shown again; it is as good as the program, the
files, the variables and the feeds' rows that it was written for, and of no use for any other.
"""

import json
import logging
import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aggregator import __version__
from aggregator.app.clock import SystemClock
from aggregator.app.paths import database_url
from aggregator.config import inputs, state_directory, unread_warnings
from aggregator.core.errors import ConfigError
from aggregator.core.humanize import ago
from aggregator.store.files import create_private, tighten
from aggregator.store.idle import look

if TYPE_CHECKING:
    from aggregator.config import Loaded

log = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class IdlePass(NamedTuple):
    """A pass that had nothing to do: what is shown of it."""

    warnings: tuple[ConfigError, ...]
    why: str


def idle_pass(config: Path) -> IdlePass | None:
    """Return the result of a pass if it is sure to find nothing to do; None: load the configuration and see."""
    try:
        note = json.loads(_note_file().read_bytes())
        warnings = tuple(ConfigError(**row) for row in note["warnings"])
        database, any_feeds, known = Path(note["database"]), note["any_feeds"], note["known"]
    except (OSError, ValueError, KeyError, TypeError):  # none, or not a note
        return None
    now = SystemClock().now()
    idle = look(database, (now - EPOCH) // MICROSECOND)
    if idle is None or idle.has_work or _known(config, idle.feeds) != known or unread_warnings(config):
        return None
    tighten(database)
    due_at = None if idle.next_poll_at is None else EPOCH + timedelta(microseconds=idle.next_poll_at)
    return IdlePass(warnings, why_idle(any_feeds=any_feeds, due_at=due_at, now=now))


def note_pass(loaded: "Loaded", config: Path) -> None:
    """Leave a note for the next pass, where it can rely on one; without one it does all of its work."""
    backend, _, path = database_url(loaded.config).partition(":///")
    settings = loaded.config.settings
    reads_more = loaded.fetched or any(channel.template for channel in loaded.config.channels.values())
    if backend != "sqlite" or "?" in path or reads_more or loaded.faults or settings.logging.level == "debug":
        return
    idle = look(Path(path), (SystemClock().now() - EPOCH) // MICROSECOND)
    if idle is None or inputs(config)[0] != loaded.digest:
        return
    note = {
        "known": _known(config, idle.feeds),
        "database": path,
        "any_feeds": bool(loaded.config.feeds),
        "warnings": [asdict(warning) for warning in loaded.warnings],
    }
    try:
        _write(_note_file(), json.dumps(note).encode())
    except OSError as error:
        log.debug("the next pass will load the configuration even if nothing is due: %s", error)


def why_idle(*, any_feeds: bool, due_at: datetime | None, now: datetime) -> str:
    """Say why no feed was polled. `due_at`: when the next one is due."""
    if not any_feeds:
        return "No feeds yet: `aggregator feeds add URL`."
    when = f"; the next one is due {ago(due_at, now)}" if due_at and due_at > now else ""
    return f"No feed is due{when}. `aggregator poll --force` polls all the same."


def _known(config: Path, feeds: str) -> list[Any]:
    """Return what a note is good for."""
    return [__version__, str(config.absolute()), os.getcwd(), inputs(config)[1], feeds]


def _note_file() -> Path:
    return state_directory() / "idle.json"


def _write(file: Path, note: bytes) -> None:
    """Replace the note as a whole; nobody but its owner may read or write it. Raises OSError."""
    if file.exists() and file.read_bytes() == note:
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    create_private(fresh)
    fresh.write_bytes(note)
    fresh.replace(file)
