"""Routing after the commit (PostgreSQL): hits wait in the order of their polls, for one process at a time.

A round is one transaction: what it decides and the end of the waiting are written together, so that a process that
dies in between has neither lost nor repeated anything.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection, Row, bindparam, case, delete, func, select, update

from aggregator.core.errors import StoreError
from aggregator.core.model import (
    DeliveryState,
    Hit,
    HitState,
    Routed,
    RoutingQuery,
    RoutingResult,
    Unrouted,
    UnroutedPoll,
)
from aggregator.ports import Decide, Route
from aggregator.store import mappers
from aggregator.store.column_types import Instant
from aggregator.store.dialect import ROUTING_LOCK, Dialect
from aggregator.store.schema import hits, unrouted

if TYPE_CHECKING:  # whether something waits is asked by every pass, and mostly nothing does
    from aggregator.store.routing import Ids

POLLS = 500  # looked at in one round
AGAIN_S, MOST_S = 5.0, 3600.0  # until what could not be routed is tried again: twice as long each time, at most

WAITING = select(
    func.count(), func.min(unrouted.c.at, type_=Instant), func.count(case((unrouted.c.due_at <= bindparam("now"), 1)))
)
NEXT = (
    select(unrouted)
    .where(unrouted.c.due_at <= bindparam("now", type_=Instant), unrouted.c.config <= bindparam("known"))
    .order_by(unrouted.c.number)
    .limit(POLLS)
)
DONE = delete(unrouted).where(unrouted.c.number == bindparam("of"))
LATER = update(unrouted).where(unrouted.c.number == bindparam("of"))


class Unroutable(StoreError):
    """A poll whose hits could not be routed; `row` is where they wait."""

    def __init__(self, row: Row[Any], error: Exception) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.row = row


class _Asked(NamedTuple):
    row: Row[Any]
    poll: UnroutedPoll
    question: RoutingQuery
    route: Route


def unrouted_polls(connection: Connection, now: datetime) -> Unrouted:
    """Return how many polls wait."""
    count, oldest_at, due = connection.execute(WAITING, {"now": now}).one()
    return Unrouted(count, oldest_at, due > 0)


def put_aside(connection: Connection, dialect: Dialect, polls: Sequence[UnroutedPoll], ids: "Ids") -> None:
    """Store the hits of polls as new, and what their routing will ask."""
    from aggregator.store.routing import write_hits

    write_hits(connection, dialect, [replace(hit, state=HitState.NEW) for poll in polls for hit in poll.hits], ids)
    connection.execute(unrouted.insert(), [mappers.unrouted_values(poll) for poll in polls])


def route_waiting(
    connection: Connection, dialect: Dialect, decide: Decide, now: datetime, config: int, limit: int
) -> Routed:
    """Route what waits, the oldest first. Raises Unroutable, StoreError."""
    dialect.advisory_lock(connection, ROUTING_LOCK)
    rows = _first(connection.execute(NEXT, {"now": now, "known": config}).all(), limit)
    if len(rows) != 1:
        return _route(connection, dialect, decide, rows, now) if rows else Routed()
    try:
        return _route(connection, dialect, decide, rows, now)
    except Exception as error:
        raise error if isinstance(error, Unroutable) else Unroutable(rows[0], error) from error


def _route(connection: Connection, dialect: Dialect, decide: Decide, rows: Sequence[Row[Any]], now: datetime) -> Routed:
    from aggregator.core.routing.batches import Batch, united
    from aggregator.core.titles import hit_outcome
    from aggregator.store.routing import answer, live_silences, write_routed
    from aggregator.store.stories import rewrite_hits

    stored = _stored_hits(connection, dialect, [hit for row in rows for hit in row.hits])
    waiting = {name for name, hit in stored.items() if hit.state is HitState.NEW}
    asked = [_asked(row, stored, decide) for row in rows]
    reports = tuple(report for one in asked for report in one.poll.reports.values())
    results = list[RoutingResult]()
    silences = live_silences(connection, min(one.poll.at for one in asked))  # those that ended since were in force
    while asked:
        found = answer(connection, dialect, united(one.question for one in asked), now)
        batch = Batch(replace(found, silences=silences))
        taken = 0
        for one in asked:
            if not batch.admits(one.question):
                break
            try:
                result = one.route(batch.answer(one.question, waiting))
            except Exception as error:
                raise Unroutable(one.row, error) from error
            batch.add(result)
            waiting.difference_update(hit.id for hit in result.hits)
            taken += 1
        asked = asked[taken:]
        results.append(batch.whole())
        rewrite_hits(connection, results[-1].hits, HitState.NEW)
        write_routed(connection, dialect, replace(results[-1], hits=()), {})
    connection.execute(DONE, [{"of": row.number} for row in rows])
    due = [d for r in results for d in r.deliveries if d.state is DeliveryState.PENDING and d.due_at <= now]
    return Routed(
        polls=len(rows),
        hits=sum(len(result.hits) for result in results),
        outcomes=Counter(hit_outcome(hit) for result in results for hit in result.hits),
        reports=reports,
        channels=frozenset(delivery.channel for delivery in due),
    )


def try_later(connection: Connection, failed: Unroutable, now: datetime) -> float:
    """Let a poll wait that could not be routed; return for how many seconds."""
    tries = int(failed.row.tries)
    wait_s = min(AGAIN_S * 2.0 ** min(tries, 20), MOST_S)
    after = {"of": failed.row.number, "tries": tries + 1, "due_at": now + timedelta(seconds=wait_s)}
    connection.execute(LATER, after)
    return wait_s


def _first(rows: Sequence[Row[Any]], limit: int) -> Sequence[Row[Any]]:
    """Return the first polls with about `limit` hits, one at least."""
    count, total = 0, 0
    for row in rows:
        total += len(row.hits)
        if count and total > limit:
            break
        count += 1
    return rows[:count]


def _stored_hits(connection: Connection, dialect: Dialect, ids: Sequence[str]) -> Mapping[str, Hit]:
    """Return the hits that are still there, and keep them until the end of the transaction."""
    query = select(hits).where(dialect.is_in(hits.c.id, "ids")).order_by(hits.c.id).with_for_update()
    found = connection.execute(query, {"ids": dialect.list_param(ids)})
    return {row.id: mappers.hit_of(row._asdict()) for row in found}


def _asked(row: Row[Any], stored: Mapping[str, Hit], decide: Decide) -> _Asked:
    try:
        poll = mappers.unrouted_poll(row, tuple(stored[hit] for hit in row.hits if hit in stored))
        question, route = decide(poll)
    except Exception as error:
        raise Unroutable(row, error) from error
    return _Asked(row, poll, question or RoutingQuery(), route)
