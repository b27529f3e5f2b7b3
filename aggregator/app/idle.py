"""What a pass notes for the next one, which cron starts a few minutes later with the same configuration.

To load and check a configuration takes many times as long as to find that it has not changed. The note holds digests,
the database's path, the warnings that are shown again, and plain values (`plain_values`); it is as good as the program,
the files, the variables and the feeds' rows that it was written for, and of no use for any other. With it, a pass knows
that nothing is due, or polls what is without reading the rest of the configuration (`KnownConfig`).
"""

import json
import logging
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from stat import S_IWGRP, S_IWOTH
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
    from aggregator.app.known import KnownConfig, NotedRules
    from aggregator.config import Loaded
    from aggregator.config.digests import Inputs
    from aggregator.core.rules.postings import Postings

log = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class KnownPass(NamedTuple):
    """A pass whose configuration is known, with the warnings that are shown of it.

    `why_idle` says why there is nothing to do; None: there may be. `rules` are those that are enabled.
    """

    warnings: tuple[ConfigError, ...]
    why_idle: str | None
    rules: int
    database: str
    values: str
    path: Path
    inputs: "Inputs"

    def config(self) -> "KnownConfig":
        from aggregator.app.known import KnownConfig

        texts = {file: raw.decode() for file, raw in self.inputs.contents}
        values, database = json.loads(self.values), f"sqlite:///{self.database}"
        return KnownConfig(self.path, texts, values, database, lambda: noted_rules(self.inputs))


def known_pass(config: Path) -> KnownPass | None:
    """Return what is known of the configuration; None: load it and see."""
    try:
        note = json.loads(_read(_note_file()))
        warnings = tuple(ConfigError(**row) for row in note["warnings"])
        database, any_feeds, rules = str(note["database"]), bool(note["any_feeds"]), int(note["rules"])
        known, values = note["known"], str(note["values"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or not a note
        return None
    now = SystemClock().now()
    found, read = look(Path(database), (now - EPOCH) // MICROSECOND), inputs(config)
    if found is None or _known(config, read, found.feeds) != known or unread_warnings(config):
        return None
    tighten(Path(database))
    due_at = None if found.next_poll_at is None else EPOCH + timedelta(microseconds=found.next_poll_at)
    why = None if found.has_work else why_idle(any_feeds=any_feeds, due_at=due_at, now=now)
    return KnownPass(warnings, why, rules, database, values, config, read)


def note_pass(loaded: "Loaded", config: Path) -> None:
    """Leave a note for the next pass, where it can rely on one; without one it does all of its work."""
    from aggregator.config import plain_values

    backend, _, path = database_url(loaded.config).partition(":///")
    settings = loaded.config.settings
    reads_more = loaded.fetched or any(channel.template for channel in loaded.config.channels.values())
    if backend != "sqlite" or "?" in path or reads_more or loaded.faults or settings.logging.level == "debug":
        return
    found, read = look(Path(path), (SystemClock().now() - EPOCH) // MICROSECOND), inputs(config)
    if found is None or read.digest != loaded.digest:
        return
    note = {
        "known": _known(config, read, found.feeds),
        "database": path,
        "any_feeds": bool(loaded.config.feeds),
        "rules": sum(rule.enabled for rule in loaded.config.rules),
        "warnings": [asdict(warning) for warning in loaded.warnings],
        "values": json.dumps(plain_values(loaded), ensure_ascii=False),  # of no use to a pass with nothing to do
    }
    try:
        _write(_note_file(), json.dumps(note, ensure_ascii=False).encode())
    except (OSError, ValueError) as error:
        log.debug("the next pass will load the configuration anew: %s", error)


def note_postings(loaded: "Loaded", postings: "Postings | None", config: Path) -> None:
    """Leave the postings of a pass's rules, and what they match, for the next one; None: there is nothing to leave."""
    if postings is None or loaded.fetched or loaded.faults:
        return
    from aggregator.config import rules_hold_secret

    read = inputs(config)
    if read.digest != loaded.digest or rules_hold_secret(loaded):
        return
    import msgspec

    from aggregator.app.known import NotedRule

    try:
        rules = {rule.id: NotedRule.of(rule.config) for rule in loaded.rules if rule.config.enabled}
        lists = {name: terms for rule in loaded.rules if rule.config.enabled for name, terms in rule.lists}
        note = msgspec.msgpack.encode((_compiled(read), postings.fields, postings.keys, rules, lists))
        _write(_postings_file(), sha256(note).digest() + note)
    except (OSError, ValueError) as error:
        log.debug("the next pass will compile all rules anew: %s", error)


def noted_rules(read: "Inputs") -> "NotedRules | None":
    """Return what a pass left of the rules of a configuration, if one did."""
    import msgspec

    from aggregator.app.known import NotedRules
    from aggregator.core.rules.postings import Keys, Postings

    kind = tuple[str, tuple[str, ...], Keys, dict[str, msgspec.Raw], dict[str, tuple[str, ...]]]
    try:
        note = _read(_postings_file())
        if sha256(note[32:]).digest() != note[:32]:
            return None
        known, fields, keys, rules, lists = msgspec.msgpack.decode(note[32:], type=kind)
        return NotedRules(Postings(keys, fields), rules, lists) if known == _compiled(read) else None
    except (OSError, ValueError):  # none, or not what we wrote
        return None


def why_idle(*, any_feeds: bool, due_at: datetime | None, now: datetime) -> str:
    """Say why no feed was polled. `due_at`: when the next one is due."""
    if not any_feeds:
        return "No feeds yet: `aggregator feeds add URL`."
    said = ago(due_at, now).replace("now", "in a moment")
    when = f"; the next one is due {said}" if due_at and due_at > now else ""
    return f"No feed is due{when}. `aggregator poll --force` polls all the same."


def _known(config: Path, read: "Inputs", feeds: str) -> list[Any]:
    """Return what a note is good for."""
    return [__version__, str(config.absolute()), os.getcwd(), read.total, feeds]


def _compiled(read: "Inputs") -> str:
    """Return what postings are good for: the files, and the code that made keys of their rules."""
    import aggregator.core

    code = sha256(f"{__version__} {sys.hexversion}".encode())
    for part in ("", "rules", "text"):
        for file in sorted(os.scandir(Path(aggregator.core.__file__).parent / part), key=lambda file: file.name):
            if file.is_file():  # not the folder of what Python compiles as it goes
                code.update(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
    return f"{read.total} {code.hexdigest()}"


def _note_file() -> Path:
    return state_directory() / "idle.json"


def _postings_file() -> Path:
    return state_directory() / "postings.msgpack"


def _read(file: Path) -> bytes:
    """Read a note that nobody but its owner, who is us, could have written. Raises OSError, PermissionError else."""
    with file.open("rb") as opened:
        found = os.fstat(opened.fileno())
        if os.name == "posix" and (found.st_uid != os.geteuid() or found.st_mode & (S_IWGRP | S_IWOTH)):
            raise PermissionError(f"{file} may have been written by somebody else")
        return opened.read()


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
