"""Whether an SQLite database holds anything to do, asked of the file itself.

SQLAlchemy takes longer to load than all of this takes to run. The queries are those of the ports, which use their text.
"""

import hashlib
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from aggregator.store.migrations import REVISIONS

AHEAD = timedelta(minutes=1)  # what lies further ahead was written by a clock that was wrong
NEXT_POLL_AHEAD = timedelta(days=32)  # no feed waits longer, whatever its server asks, unless two of its intervals are

NEXT_POLL = (
    "SELECT min(next_poll_at) FROM feeds WHERE enabled AND paused_at IS NULL AND lease_owner IS NULL "
    "AND next_poll_at < 4611686018427387904"  # schema.NEVER
)
NEXT_DELIVERY = "SELECT min(wake_at) FROM deliveries WHERE wake_at IS NOT NULL"
NEXT_ARTICLE = "SELECT min(next_at) FROM wanted_texts"
NEXT_ROUTING = "SELECT min(due_at) FROM unrouted"  # what a copy of a cluster's database brought along
OWNERS = (
    "SELECT lease_owner FROM feeds WHERE lease_owner IS NOT NULL "
    "UNION SELECT lease_owner FROM deliveries WHERE state = 'sending' AND lease_owner IS NOT NULL"
)
_CONFIGURED = (
    "SELECT id, configured_url, configured_title, reading, configured, enabled, options FROM feeds ORDER BY id"
)
# A clock that was ahead has polled feeds or tried to deliver; what else it wrote came with those.
_DATED_AHEAD = (
    "SELECT EXISTS (SELECT 1 FROM feeds WHERE last_polled_at > :ahead OR (next_poll_at < 4611686018427387904 "
    "AND next_poll_at > :latest + coalesce(interval_s, 0) * 2000000)) OR EXISTS "
    "(SELECT 1 FROM deliveries AS d WHERE wake_at IS NOT NULL AND (created_at > :ahead OR EXISTS "
    "(SELECT 1 FROM attempts WHERE delivery = d.id AND started_at > :ahead)))"
)


class Idle(NamedTuple):
    """What an SQLite database holds. `feeds` changes with whatever the configuration says of a feed.

    `has_work`: something is due, leased or dated ahead. `next_poll_at` is in microseconds since 1970.
    """

    feeds: str
    has_work: bool
    next_poll_at: int | None


def look(path: Path, now_us: int) -> Idle | None:
    """Look into a database at `now_us`, in microseconds since 1970; None if it is not ours: opening it says why."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=1.0)) as connection:
            connection.execute("PRAGMA query_only = ON")
            if connection.execute("SELECT version_num FROM alembic_version").fetchone() != (REVISIONS[-1],):
                return None
            feeds = hashlib.sha256()
            for row in connection.execute(_CONFIGURED):
                feeds.update(repr(row).encode("utf-8", "surrogatepass"))
            has_work, next_poll_at = _work(connection, now_us)
            return Idle(feeds.hexdigest(), has_work, next_poll_at)
    except sqlite3.Error:
        return None


def _work(connection: sqlite3.Connection, now_us: int) -> tuple[bool, int | None]:
    """Tell whether there may be something to do, and when the next feed is due."""

    def one(query: str, **bound: int) -> int | None:
        (found,) = connection.execute(query, bound).fetchone()
        return None if found is None else int(found)

    next_poll_at = one(NEXT_POLL)
    instants = (next_poll_at, *map(one, (NEXT_DELIVERY, NEXT_ARTICLE, NEXT_ROUTING)))
    due = any(at is not None and at <= now_us for at in instants)
    ahead, latest = (now_us + by // timedelta(microseconds=1) for by in (AHEAD, NEXT_POLL_AHEAD))
    leased = connection.execute(OWNERS).fetchone() is not None
    return due or leased or bool(one(_DATED_AHEAD, ahead=ahead, latest=latest)), next_poll_at
