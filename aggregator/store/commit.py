"""The commit of polls: one write for all polls that happen to wait.

Every statement takes the rows of all polls together; only routing goes poll by poll, because a
story of one poll must be known to the next.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import Connection, bindparam, func, select, update

from aggregator.core.errors import Conflict, StoreError
from aggregator.core.model import Entry, HostLimit, PollResult, RoutingQuery, UnroutedPoll
from aggregator.ports import Route
from aggregator.store import mappers
from aggregator.store.bulk import BulkStatement
from aggregator.store.column_types import Values
from aggregator.store.dialect import ROUTING_LOCK, Dialect
from aggregator.store.schema import (
    aliases,
    deliveries,
    entries,
    feeds,
    hits,
    hosts,
    keys,
    memories,
    quarantined,
    unindexed,
    wanted_texts,
)
from aggregator.store.sent import SentMark
from aggregator.store.unrouted import put_aside

if TYPE_CHECKING:  # most polls have no entries, and their commits do without stories
    from aggregator.store.routing import Ids

MAX_ARTICLE_REQUESTS = 10_000  # articles that may wait to be read


class PollCommit(Struct, frozen=True, kw_only=True):
    """A poll to be written, with the routing to be done in the same transaction, or `later`."""

    poll: PollResult
    owner: str
    question: RoutingQuery | None
    route: Route | None
    later: UnroutedPoll | None = None


Committed = tuple[Entry, ...] | StoreError


class PollWriter:
    """Writes groups of polls. Its statements are made once: making them costs more than running them."""

    def __init__(self, dialect: Dialect, sent: SentMark) -> None:
        self._dialect = dialect
        self._sent = sent
        self._lock = (
            select(feeds.c.id, feeds.c.lease_owner, feeds.c.last_ok_at)
            .where(dialect.is_in(feeds.c.id, "ids"))
            .order_by(feeds.c.id)
            .with_for_update()
        )
        at_feed = feeds.c.id == bindparam("feed_id")
        self._state = BulkStatement(
            update(feeds).where(at_feed).values(lease_owner=None, lease_until=None, begun_at=None)
        )
        self._memory = BulkStatement(dialect.upsert(memories))
        self._host = BulkStatement(dialect.upsert(hosts, where=lambda new: new.not_before > hosts.c.not_before))
        self._notice = BulkStatement(dialect.insert_ignore(deliveries))
        self._poison = BulkStatement(quarantined.insert())
        self._key = BulkStatement(
            dialect.upsert(keys, where=lambda new: new.version > keys.c.version, keep=["seen_at"])
        )
        self._alias = BulkStatement(dialect.insert_ignore(aliases))
        self._unindexed = BulkStatement(dialect.insert_ignore(unindexed))
        self._wanted = BulkStatement(dialect.insert_ignore(wanted_texts))
        self._ids = select(entries.c.feed, entries.c.key, entries.c.id).where(
            dialect.paired(entries.c.feed, entries.c.key)
        )

    def write(self, connection: Connection, commits: Sequence[PollCommit]) -> list[Committed]:
        """Return each poll's entries with their ids, or the Conflict of a poll whose lease was lost."""
        if any(commit.route for commit in commits):
            self._dialect.advisory_lock(connection, ROUTING_LOCK)
        owned, read_at = self._owned(connection, commits)
        polls = [commit.poll for commit in owned.values()]
        self._write_states(connection, polls)
        self._write_asides(connection, polls)
        ids = self.write_entries(connection, [entry for poll in polls for entry in poll.entries])
        self._write_wanted(connection, polls, ids)
        if later := [commit.later for commit in owned.values() if commit.later is not None]:
            put_aside(connection, self._dialect, later, ids)
        for commit in owned.values():
            if commit.later is None:
                self._write_routing(connection, commit, ids, read_at.get(commit.poll.state.id))
        return [
            _numbered(commit.poll, ids) if owned.get(commit.poll.state.id) is commit else _lost(commit)
            for commit in commits
        ]

    def _owned(
        self, connection: Connection, commits: Sequence[PollCommit]
    ) -> tuple[dict[str, PollCommit], dict[str, datetime | None]]:
        """Return, by feed, the commits with a valid lease and when it was last read; rows stay locked until the end."""
        asked = self._dialect.list_param([commit.poll.state.id for commit in commits])
        found = connection.execute(self._lock, {"ids": asked}).all()
        owners = {row.id: row.lease_owner for row in found}
        owned: dict[str, PollCommit] = {}
        for commit in commits:
            if owners.get(commit.poll.state.id) == commit.owner:
                owned.setdefault(commit.poll.state.id, commit)
        return owned, {row.id: row.last_ok_at for row in found}

    def _write_states(self, connection: Connection, polls: Sequence[PollResult]) -> None:
        """Write what is known of the feeds now, and end their leases; of most only when they were polled changes."""
        whole, little = list[Values](), list[Values]()
        for poll in polls:
            if poll.unfinished:
                continue
            if poll.before is not None and mappers.is_alike(poll.before, poll.state):
                little.append({"feed_id": poll.state.id, **mappers.poll_values(poll.state)})
            else:
                whole.append({"feed_id": poll.state.id, **mappers.feed_values(poll.state)})
        self._state.run(connection, whole)
        self._state.run(connection, little)

    def _write_asides(self, connection: Connection, polls: Sequence[PollResult]) -> None:
        """Write what most polls do not have: a new memory, hosts that ask for rest, notices, quarantined entries."""
        memory = [{"feed": poll.state.id, "data": poll.memory} for poll in polls if poll.memory is not None]
        poison = [
            {"feed": poll.state.id, "seen_at": poll.state.last_polled_at, "data": data, "reason": reason}
            for poll in polls
            for data, reason in poll.quarantined
        ]
        self._memory.run(connection, memory)
        self.write_hosts(connection, [host for poll in polls for host in poll.hosts])
        self._notice.run(connection, [mappers.delivery_values(notice) for poll in polls for notice in poll.notices])
        self._poison.run(connection, poison)

    def write_hosts(self, connection: Connection, resting: Sequence[HostLimit]) -> None:
        """Let a host rest until the latest instant that was named."""
        ordered = sorted(resting, key=lambda limit: limit.host)  # two writers never wait for each other
        self._host.run(connection, [mappers.host_values(host) for host in ordered])

    def _write_wanted(self, connection: Connection, polls: Sequence[PollResult], ids: "Ids") -> None:
        """Queue articles to be read; if too many wait already, these are dropped."""
        wanted = [
            {"entry": ids[poll.state.id, key], "tries": 0, "next_at": poll.state.last_polled_at}
            for poll in polls
            for key in poll.articles_wanted
        ]
        if wanted:
            waiting = connection.execute(select(func.count()).select_from(wanted_texts)).scalar_one()
            self._wanted.run(connection, wanted[: max(0, MAX_ARTICLE_REQUESTS - waiting)])

    def write_entries(self, connection: Connection, written: Sequence[Entry]) -> "Ids":
        """Insert what is new, overwrite what has a higher version; return the ids by (feed, key)."""
        if not written:
            return {}
        _upsert_entries(self._dialect).run(connection, [mappers.entry_values(entry) for entry in written])
        self._key.run(connection, [mappers.key_values(entry) for entry in written])
        self._alias.run(connection, [row for entry in written for row in mappers.alias_values(entry)])
        ids = self._find_ids(connection, ((entry.feed, entry.key) for entry in written))
        self._unindexed.run(connection, [{"entry": entry_id} for entry_id in ids.values()])
        changed = [ids[entry.feed, entry.key] for entry in written if entry.version > 1]
        if changed:
            _redate().run(connection, [{"of_entry": entry_id} for entry_id in sorted(changed)])
        return ids

    def _find_ids(self, connection: Connection, wanted: Iterable[tuple[str, str]]) -> "Ids":
        found = connection.execute(self._ids, self._dialect.pairs(list(wanted)))
        return {(feed, key): entry_id for feed, key, entry_id in found}

    def _write_routing(self, connection: Connection, commit: PollCommit, ids: "Ids", read_at: datetime | None) -> None:
        poll = commit.poll
        if commit.route is None and not poll.hits:
            return
        from aggregator.core.delivery import mark_repeats
        from aggregator.store.routing import answer, write_hits, write_routed

        if commit.route is None:
            write_hits(connection, self._dialect, poll.hits, ids)
            return
        context = answer(connection, self._dialect, commit.question or RoutingQuery(), poll.state.last_polled_at)
        routed = mark_repeats(commit.route(context), poll.entries, read_at, self._sent.unsure_until)
        write_routed(connection, self._dialect, routed, ids)


@cache
def _redate() -> BulkStatement:
    """Give the hits of an edited entry its date, which may be another one now."""
    from aggregator.store.routing import DATE_OF_ENTRY

    return BulkStatement(update(hits).where(hits.c.entry == bindparam("of_entry")).values(dated_at=DATE_OF_ENTRY))


@cache
def _upsert_entries(dialect: Dialect) -> BulkStatement:
    statement = dialect.insert(entries)
    kept = {"id", "feed", "key", "seen_at", "dated_at"}
    return BulkStatement(
        statement.on_conflict_do_update(
            index_elements=["feed", "key"],
            set_={c.name: statement.excluded[c.name] for c in entries.columns if c.name not in kept},
            where=statement.excluded.version > entries.c.version,
        )
    )


def _numbered(poll: PollResult, ids: "Ids") -> tuple[Entry, ...]:
    return tuple(mappers.numbered(entry, ids[entry.feed, entry.key]) for entry in poll.entries)


def _lost(commit: PollCommit) -> Conflict:
    return Conflict(f"feed {commit.poll.state.id}: lost the lease for this poll; its result was not written")
