"""The time of the last sent alert, in a small file beside an SQLite database.

A database whose last send is older than that file was restored from a backup, and does not know what was sent
since. Alerts from before then may be repeats, and are marked as such.
"""

import json
import logging
import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

from aggregator.store.files import PRIVATE

log = logging.getLogger(__name__)

EVERY_S = 1.0  # how often the file is written at most …
SLACK = timedelta(seconds=2)  # … and so by how much it may be behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The last known send; and, after a restore, until when alerts were sent that the database does not know."""

    sent_at: datetime | None = None
    unsure_until: datetime | None = None


class SentMark:
    """The file of one database; `path` None: none is kept (PostgreSQL)."""

    def __init__(self, database: Path | None) -> None:
        self.path = database.with_name(f"{database.name}.sent") if database else None
        self._mark: Mark | None = None
        self._written_at = -EVERY_S
        self._unwritten = False

    @property
    def unsure_until(self) -> datetime | None:
        return self.mark().unsure_until

    def mark(self) -> Mark:
        """Read the file; one that cannot be read says nothing."""
        if self._mark is None:
            self._mark = self._read()
        return self._mark

    def note(self, sent_at: datetime) -> None:
        """Record that an alert was sent."""
        known = self.mark()
        if self.path is None or (known.sent_at and sent_at <= known.sent_at):
            return
        self._mark, self._unwritten = replace(known, sent_at=sent_at), True
        if monotonic() - self._written_at >= EVERY_S:
            self.flush()

    def reset(self, newest_at: datetime | None, unsure_until: datetime | None) -> None:
        """Take what the database itself knows now as the last known send."""
        self._mark, self._unwritten = Mark(sent_at=newest_at, unsure_until=unsure_until), True
        self.flush()

    def flush(self) -> None:
        """Write what is not written yet; if that fails, the database has reported its fault already."""
        if not self._unwritten or self.path is None:
            return
        self._written_at, self._unwritten = monotonic(), False
        mark = self.mark()
        said = {
            name: at and at.isoformat() for name, at in (("sent_at", mark.sent_at), ("unsure_until", mark.unsure_until))
        }
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "w", encoding="utf-8") as file:
                json.dump(said, file)
            new.replace(self.path)
        except OSError as error:
            log.debug("%s: %s", self.path, error)

    def _read(self) -> Mark:
        if self.path is None:
            return Mark()
        try:
            said = json.loads(self.path.read_text(encoding="utf-8"))
            return Mark(
                **{name: said.get(name) and datetime.fromisoformat(said[name]) for name in ("sent_at", "unsure_until")}
            )
        except FileNotFoundError:
            return Mark()
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s cannot be read, so a restored backup would not be noticed: %s", self.path, error)
            return Mark()
