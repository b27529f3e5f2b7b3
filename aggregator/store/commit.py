"""The one write of a poll, for as many polls at once as happen to wait.

Every statement takes the rows of all polls together; only routing goes poll by poll, because a
story that one poll tells is known to the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from aggregator.core.errors import Conflict, StoreError
from aggregator.core.model import Entry, Poll, Question
from aggregator.ports import Route
from aggregator.store import rows
from aggregator.store.dialect import ROUTING_LOCK, Dialect
from aggregator.store.routing import Ids, answer, write_hits, write_routed
from aggregator.store.schema import deliveries, entries, feeds, hosts, keys, memories, quarantined, unindexed

WRITE_STATE = update(feeds).where(feeds.c.id == bindparam("feed_id")).values(lease_owner=None, lease_until=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A poll on its way into the database, with the routing that is to be done there."""

    poll: Poll
    owner: str
    question: Question | None
    route: Route | None


Committed = tuple[Entry, ...] | StoreError


def write_polls(connection: Connection, dialect: Dialect, commits: Sequence[Commit]) -> list[Committed]:
    """Each poll's entries with their ids, or the Conflict of a poll whose lease was lost."""
    if any(commit.route for commit in commits):
        dialect.take_turns(connection, ROUTING_LOCK)
    owned = _owned(connection, dialect, commits)
    polls = [commit.poll for commit in owned.values()]
    _write_states(connection, polls)
    _write_asides(connection, dialect, polls)
    ids = _write_entries(connection, dialect, polls)
    for commit in owned.values():
        _write_routing(connection, dialect, commit, ids)
    return [
        _numbered(commit.poll, ids) if owned.get(commit.poll.state.id) is commit else _lost(commit)
        for commit in commits
    ]


def _owned(connection: Connection, dialect: Dialect, commits: Sequence[Commit]) -> dict[str, Commit]:
    """By feed, the commits whose lease still stands; the rows stay locked until the end."""
    query = (
        select(feeds.c.id, feeds.c.lease_owner)
        .where(dialect.among(feeds.c.id, "ids"))
        .order_by(feeds.c.id)
        .with_for_update()
    )
    asked = dialect.listed([commit.poll.state.id for commit in commits])
    owners = {row.id: row.lease_owner for row in connection.execute(query, {"ids": asked})}
    owned: dict[str, Commit] = {}
    for commit in commits:
        if owners.get(commit.poll.state.id) == commit.owner:
            owned.setdefault(commit.poll.state.id, commit)
    return owned


def _lost(commit: Commit) -> Conflict:
    return Conflict(f"feed {commit.poll.state.id}: the lease of this poll was lost, so its result was not written")


def _numbered(poll: Poll, ids: Ids) -> tuple[Entry, ...]:
    return tuple(replace(entry, id=ids[entry.feed, entry.key]) for entry in poll.entries)


def _write_states(connection: Connection, polls: Sequence[Poll]) -> None:
    run_many(connection, WRITE_STATE, [{"feed_id": p.state.id, **rows.feed_values(p.state)} for p in polls])


def _write_asides(connection: Connection, dialect: Dialect, polls: Sequence[Poll]) -> None:
    """What most polls do not have: a new memory, hosts that ask for rest, notices, poison."""
    remember = dialect.put(memories)
    run_many(connection, remember, [{"feed": p.state.id, "data": p.memory} for p in polls if p.memory is not None])
    limit = dialect.put(hosts, where=lambda new: new.not_before > hosts.c.not_before)
    run_many(connection, limit, [rows.host_values(host) for p in polls for host in p.hosts])
    notify = dialect.add(deliveries)
    run_many(connection, notify, [rows.delivery_values(notice) for p in polls for notice in p.notices])
    run_many(
        connection,
        quarantined.insert(),
        [
            {"feed": p.state.id, "seen_at": p.state.last_polled_at, "data": data, "reason": reason}
            for p in polls
            for data, reason in p.quarantined
        ],
    )


def _write_entries(connection: Connection, dialect: Dialect, polls: Sequence[Poll]) -> Ids:
    """Insert what is new, overwrite what has a higher version; gives the ids by (feed, key)."""
    written = [entry for poll in polls for entry in poll.entries]
    if not written:
        return {}
    run_many(connection, _upsert_entries(dialect), [rows.entry_values(entry) for entry in written])
    remember = dialect.put(keys, where=lambda new: new.version > keys.c.version, keep=["seen_at"])
    run_many(connection, remember, [row for entry in written for row in rows.key_values(entry)])
    ids: dict[tuple[str, str], int] = {}
    for poll in polls:
        if poll.entries:
            ids.update(find_ids(connection, dialect, poll.state.id, [entry.key for entry in poll.entries]))
    run_many(connection, dialect.add(unindexed), [{"entry": entry_id} for entry_id in ids.values()])
    return ids


def _upsert_entries(dialect: Dialect) -> Any:
    statement = dialect.insert(entries)
    kept = {"id", "feed", "key", "seen_at"}
    return statement.on_conflict_do_update(
        index_elements=["feed", "key"],
        set_={c.name: statement.excluded[c.name] for c in entries.columns if c.name not in kept},
        where=statement.excluded.version > entries.c.version,
    )


def find_ids(connection: Connection, dialect: Dialect, feed: str, wanted: Iterable[str]) -> Ids:
    """The ids of a feed's entries by (feed, key)."""
    query = select(entries.c.key, entries.c.id).where(
        entries.c.feed == bindparam("feed"), dialect.among(entries.c.key, "keys")
    )
    found = connection.execute(query, {"feed": feed, "keys": dialect.listed(list(wanted))})
    return {(feed, key): entry_id for key, entry_id in found}


def _write_routing(connection: Connection, dialect: Dialect, commit: Commit, ids: Ids) -> None:
    poll = commit.poll
    if commit.route is None:
        write_hits(connection, dialect, poll.hits, ids)
        return
    around = answer(connection, dialect, commit.question or Question(), poll.state.last_polled_at)
    write_routed(connection, dialect, commit.route(around), ids)


def run_many(connection: Connection, statement: Any, values: Sequence[Mapping[str, Any]]) -> None:
    if values:
        connection.execute(statement, values)
