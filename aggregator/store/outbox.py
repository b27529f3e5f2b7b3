"""The sending side: claim, settle, release; each fenced by owner and attempt."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    select,
    text,
    update,
)

from aggregator.core.errors import Conflict
from aggregator.core.model import FIRST_SILENCED, URGENCY, Delivery, DeliveryState, HitDetail, HitState, Silence
from aggregator.store import mappers
from aggregator.store.column_types import Values, instant
from aggregator.store.engine import Database
from aggregator.store.idle import NEXT_DELIVERY
from aggregator.store.reader import ReadPool
from aggregator.store.schema import attempts, deliveries, delivery_hits, hits
from aggregator.store.writer import Writer

SENDING = DeliveryState.SENDING.value
HELD = deliveries.c.state == DeliveryState.HELD.value
UNKNOWN = "unknown"  # the outcome of an attempt from its beginning until it is settled
BY_URGENCY = case(URGENCY, value=deliveries.c.priority, else_=1)

OPEN = update(deliveries).where(deliveries.c.id == bindparam("delivery_id"))
UNCOUNT = OPEN.values(attempts=deliveries.c.attempts - 1)
UNCLAIMED = {
    "state": case((deliveries.c.attempts > 1, DeliveryState.RETRY.value), else_=DeliveryState.PENDING.value),
    "lease_owner": None,
    "lease_until": None,
}
GIVE_BACK = OPEN.values(**UNCLAIMED, wake_at=deliveries.c.due_at)
FENCED = (
    select(deliveries.c.repeat)
    .where(
        deliveries.c.id == bindparam("delivery_id"),
        deliveries.c.state == SENDING,
        deliveries.c.lease_owner == bindparam("owner"),
        deliveries.c.attempts == bindparam("attempt"),
    )
    .with_for_update()
)
ATTEMPT = (attempts.c.delivery == bindparam("delivery_id"), attempts.c.number == bindparam("attempt"))
END_ATTEMPT = update(attempts).where(*ATTEMPT)
BEGIN_ATTEMPT = END_ATTEMPT.values(outcome=UNKNOWN)
BEGUN = exists().where(
    attempts.c.delivery == deliveries.c.id,
    attempts.c.number == deliveries.c.attempts,
    attempts.c.outcome == UNKNOWN,
)
UNTRY = delete(attempts).where(*ATTEMPT)
UNALERTED = hits.c.state.in_([HitState.FOLDED.value, HitState.COLLAPSED.value])

# States that end a claim without anything having been sent.
UNTRIED = frozenset({DeliveryState.HELD, DeliveryState.SUPPRESSED})


class SqlOutbox:
    """`ports.Outbox` over SQL."""

    def __init__(self, database: Database, writer: Writer, reader: ReadPool) -> None:
        self._dialect = database.dialect
        self._sent = database.sent
        self._writer = writer
        self._reader = reader

    async def claim(
        self,
        now: datetime,
        *,
        owner: str,
        lease_s: float,
        limit: int,
        held: int | None = None,
        channels: Sequence[str] | None = None,
    ) -> tuple[Delivery, ...]:
        # At-least-once with leases, the transactional outbox: claim in one short transaction, send outside of any,
        # settle in another. A row is never locked while the network is waited for. `wake_at` alone says when
        # a row may be taken (due time, or end of lease), so claims of any state need one index.
        bound = {} if channels is None else {"channels": self._dialect.list_param(channels)}
        shares = [(limit, _due(now))] if held is None else [(limit, _due(now) & ~HELD), (held, _due(now) & HELD)]
        chosen = [self._fair_share(most, due, channels) for most, due in shares]
        until = now + timedelta(seconds=lease_s)

        def take(connection: Connection) -> list[Row[Any]]:
            self._bring_back(connection, now, owner)
            ids = self._dialect.list_param([row.id for share in chosen for row in connection.execute(share, bound)])
            taken = connection.execute(self._lease(now, owner, until), {"ids": ids}).all()
            if taken:
                tried = [{"delivery": t.id, "number": t.attempts, "started_at": now, "detail": ""} for t in taken]
                connection.execute(attempts.insert(), tried)
            return list(taken)

        claimed = [mappers.delivery(row) for row in await self._writer.execute(take)]
        return tuple(
            sorted(claimed, key=lambda d: (URGENCY.get(d.priority, 1), d.deaths, d.due_at, d.created_at, d.id))
        )

    def _bring_back(self, connection: Connection, now: datetime, owner: str) -> None:
        """Count the deaths of processes that began an attempt and whose lease ran out; our own lapse is none."""
        lost = select(deliveries).where(
            deliveries.c.state == SENDING, _due(now), BEGUN, deliveries.c.lease_owner != owner
        )
        found = [mappers.delivery(row) for row in connection.execute(lost.with_for_update(skip_locked=True))]
        if not found:
            return
        connection.execute(OPEN, [{"delivery_id": one.id, **_brought_back(one, now)} for one in found])
        ended = {"ended_at": now, "outcome": UNKNOWN, "detail": "the process ended during this attempt"}
        connection.execute(END_ATTEMPT, [{"delivery_id": one.id, "attempt": one.attempts, **ended} for one in found])

    def _fair_share(
        self, limit: int, wanted: ColumnElement[bool], channels: Sequence[str] | None
    ) -> Select[tuple[str]]:
        """Let channels take turns, so that a long queue of one never starves another."""
        order = (BY_URGENCY, deliveries.c.deaths, deliveries.c.due_at, deliveries.c.created_at, deliveries.c.id)
        turn = func.row_number().over(partition_by=deliveries.c.channel, order_by=order)
        due = select(deliveries.c.id, turn.label("turn"), BY_URGENCY.label("urgency"), deliveries.c.due_at).where(
            wanted
        )
        if channels is not None:
            due = due.where(self._dialect.is_in(deliveries.c.channel, "channels"))
        queue = due.subquery()
        return select(queue.c.id).order_by(queue.c.turn, queue.c.urgency, queue.c.due_at, queue.c.id).limit(limit)

    def _lease(self, now: datetime, owner: str, until: datetime) -> Any:
        """Lease the chosen rows that are still free. An attempt that was begun and never settled may have arrived."""
        # SKIP LOCKED lets several processes claim side by side on PostgreSQL; the CTE re-checks `due` under the
        # lock, because the rows were chosen before it. Repeats are marked here, in the same statement: only
        # if BEGUN was recorded may the service have received the message, so only then is it a possible repeat.
        free = (
            select(deliveries.c.id)
            .where(self._dialect.is_in(deliveries.c.id, "ids"), _due(now))
            .with_for_update(skip_locked=True)
            .cte("free")
        )
        return (
            update(deliveries)
            .where(deliveries.c.id.in_(select(free.c.id)))
            .values(
                repeat=case((and_(deliveries.c.state == SENDING, BEGUN), True), else_=deliveries.c.repeat),
                state=SENDING,
                attempts=deliveries.c.attempts + 1,
                lease_owner=owner,
                lease_until=until,
                wake_at=until,
            )
            .returning(*deliveries.columns)
        )

    async def next_due_at(self) -> datetime | None:
        due_at = await self._reader.read(lambda connection: connection.execute(text(NEXT_DELIVERY)).scalar())
        return None if due_at is None else instant(due_at)

    async def due_channels(self, now: datetime) -> frozenset[str]:
        query = select(deliveries.c.channel).where(_due(now)).distinct()
        return frozenset(await self._reader.read(lambda connection: connection.execute(query).scalars().all()))

    async def renew(self, ids: Sequence[str], *, owner: str, until: datetime) -> frozenset[str]:
        prolong = (
            update(deliveries)
            .where(
                self._dialect.is_in(deliveries.c.id, "ids"),
                deliveries.c.state == SENDING,
                deliveries.c.lease_owner == owner,
            )
            .values(lease_until=until, wake_at=until)
            .returning(deliveries.c.id)
        )
        bound = {"ids": self._dialect.list_param(ids)}
        kept = await self._writer.execute(lambda connection: connection.execute(prolong, bound).scalars().all())
        return frozenset(kept)

    async def begin(self, delivery: str, *, owner: str, attempt: int) -> None:
        condition = {"delivery_id": delivery, "owner": owner, "attempt": attempt}

        def begin(connection: Connection) -> None:
            if connection.execute(FENCED, condition).one_or_none() is None:
                raise _lost(delivery)
            # Written before the first byte goes out: after a crash, an attempt with this mark may have arrived,
            # and one without it certainly has not. The fence (owner and attempt number) stops a process that
            # slept past its lease from sending what another one has claimed meanwhile.
            connection.execute(BEGIN_ATTEMPT, {"delivery_id": delivery, "attempt": attempt})

        await self._writer.execute(begin)

    async def hit_details(self, delivery: Delivery) -> tuple[HitDetail, ...]:
        from aggregator.store.hit_details import get_details

        return await self._reader.read(lambda connection: get_details(connection, self._dialect, delivery.hits))

    async def stood_for(self, delivery: Delivery) -> tuple[HitDetail, ...]:
        from aggregator.store.hit_details import get_details

        query = select(hits.c.id).where(
            hits.c.story == delivery.story,
            hits.c.rule.in_(delivery.rules),
            hits.c.created_at >= delivery.created_at,
            UNALERTED | (hits.c.reason == FIRST_SILENCED),
        )

        def read(connection: Connection) -> tuple[HitDetail, ...]:
            found = [name for name in connection.execute(query).scalars() if name not in delivery.hits]
            return get_details(connection, self._dialect, found)

        return await self._reader.read(read) if delivery.story is not None else ()

    async def first_message(self, delivery: Delivery) -> str:
        in_digests = (
            select(delivery_hits.c.delivery)
            .join(hits, hits.c.id == delivery_hits.c.hit)
            .where(hits.c.story == delivery.story)
        )
        query = (
            select(deliveries.c.message_id)
            .where(
                (deliveries.c.story == delivery.story) | deliveries.c.id.in_(in_digests),
                deliveries.c.channel == delivery.channel,
                deliveries.c.recipient == delivery.recipient,
                deliveries.c.sent_at.is_not(None),
                deliveries.c.message_id != "",
            )
            .order_by(deliveries.c.sent_at, deliveries.c.id)
            .limit(1)
        )
        if delivery.story is None:
            return ""
        return await self._reader.read(lambda connection: connection.execute(query).scalar()) or ""

    async def settle(
        self,
        after: Delivery,
        *,
        owner: str,
        attempt: int,
        also: Sequence[Delivery] = (),
        at: datetime | None = None,
        lost: Sequence[str] = (),
    ) -> None:
        condition = {"delivery_id": after.id, "owner": owner, "attempt": attempt}

        def settle(connection: Connection) -> None:
            # Fenced by the attempt number as well as the owner: the same process may have claimed the row again
            # after its lease ran out, and the outcome of the older attempt must not settle the newer one.
            before = connection.execute(FENCED, condition).one_or_none()
            if before is None:
                raise _lost(after.id)
            connection.execute(OPEN, {"delivery_id": after.id, **_settled(after)})
            if after.state in UNTRIED:
                _untry(connection, [(after.id, attempt)])
            else:
                unsure = after.state is DeliveryState.RETRY and after.repeat and not before.repeat
                outcome = UNKNOWN if unsure else after.state.value
                ended = {"ended_at": at or after.sent_at, "outcome": outcome, "detail": after.last_error or ""}
                connection.execute(END_ATTEMPT, {"delivery_id": after.id, "attempt": attempt, **ended})
            self._insert(connection, also)
            if reported := [hit for one in also for hit in one.hits]:
                unalerted = self._dialect.is_in(hits.c.id, "ids") & UNALERTED
                alerted = {"state": HitState.ALERTED.value, "reason": FIRST_SILENCED}
                bound = {"ids": self._dialect.list_param(reported)}
                connection.execute(update(hits).where(unalerted).values(**alerted), bound)
            if after.state is DeliveryState.SUPPRESSED and after.hits:
                from aggregator.store.routing import note_suppressed

                note_suppressed(connection, self._dialect, after)
            if unsaid := after.hits if after.state is DeliveryState.DEAD else tuple(lost):
                from aggregator.store.routing import note_undelivered

                note_undelivered(connection, self._dialect, replace(after, hits=unsaid))

        await self._writer.execute(settle)
        if after.sent_at is not None:
            self._sent.note(after.sent_at)

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        from aggregator.store.routing import live_silences

        return await self._reader.read(lambda connection: live_silences(connection, now))

    async def sent_since(self, channel: str, since: datetime) -> int:
        query = select(func.count()).where(deliveries.c.channel == channel, deliveries.c.sent_at >= since)
        return await self._reader.read(lambda connection: connection.execute(query).scalar_one())

    async def fold(self, members: Sequence[Delivery], into: Delivery, *, owner: str) -> None:
        folded = {
            "state": DeliveryState.SUPPRESSED.value,
            "reason": f"folded into {into.id}",
            "lease_owner": None,
            "lease_until": None,
            "wake_at": None,
        }
        fences = [{"delivery_id": member.id, "owner": owner, "attempt": member.attempts} for member in members]

        def fold(connection: Connection) -> None:
            for condition in fences:
                if connection.execute(FENCED, condition).one_or_none() is None:
                    raise _lost(str(condition["delivery_id"]))
            connection.execute(OPEN, [{"delivery_id": member.id, **folded} for member in members])
            _untry(connection, [(member.id, member.attempts) for member in members])
            self._insert(connection, [into])

        await self._writer.execute(fold)

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        return await self._writer.execute(lambda connection: self._insert(connection, deliveries))

    def _insert(self, connection: Connection, added: Sequence[Delivery]) -> int:
        if not added:
            return 0
        asked = {delivery.id: delivery for delivery in added}
        known = select(deliveries.c.id).where(self._dialect.is_in(deliveries.c.id, "ids"))
        there = set(connection.execute(known, {"ids": self._dialect.list_param(list(asked))}).scalars())
        new = [mappers.delivery_values(delivery) for delivery in asked.values() if delivery.id not in there]
        if new:
            from aggregator.store.routing import write_delivery_hits

            connection.execute(self._dialect.insert_ignore(deliveries), new)
            write_delivery_hits(connection, self._dialect, [one for one in asked.values() if one.id not in there])
        return len(new)

    async def release(self, ids: Sequence[str], *, owner: str) -> None:
        """Put deliveries back: no attempt was made, so none is counted or kept."""
        await self._give_back(ids, GIVE_BACK, owner)

    async def put_off(self, ids: Sequence[str], until: datetime, *, owner: str) -> None:
        await self._give_back(ids, OPEN.values(**UNCLAIMED, due_at=until, wake_at=until), owner)

    async def _give_back(self, ids: Sequence[str], statement: Update, owner: str) -> None:
        def give_back(connection: Connection) -> None:
            held = select(deliveries.c.id, deliveries.c.attempts).where(
                self._dialect.is_in(deliveries.c.id, "ids"),
                deliveries.c.state == SENDING,
                deliveries.c.lease_owner == owner,
            )
            bound = {"ids": self._dialect.list_param(ids)}
            claimed = [(row.id, row.attempts) for row in connection.execute(held.with_for_update(), bound)]
            if claimed:
                connection.execute(statement, [{"delivery_id": delivery} for delivery, _ in claimed])
                _untry(connection, claimed)

        await self._writer.execute(give_back)


def _brought_back(lost: Delivery, now: datetime) -> Values:
    from aggregator.core.delivery import after_death

    return {name: value for name, value in mappers.delivery_values(after_death(lost, now)).items() if name != "id"}


def _untry(connection: Connection, claimed: Sequence[tuple[str, int]]) -> None:
    """Uncount these claims: nothing was sent under them."""
    attempts = [{"delivery_id": delivery, "attempt": attempt} for delivery, attempt in claimed]
    connection.execute(UNTRY, attempts)
    connection.execute(UNCOUNT, [{"delivery_id": delivery} for delivery, _ in claimed])


def _due(now: datetime) -> ColumnElement[bool]:
    return deliveries.c.wake_at <= now


def _settled(after: Delivery) -> Values:
    """Return all columns that an outcome may change; the lease ends with it."""
    values = mappers.delivery_values(after)
    kept = ("id", "attempts", "created_at", "lease_owner", "lease_until")
    return {name: value for name, value in values.items() if name not in kept} | {
        "lease_owner": None,
        "lease_until": None,
    }


def _lost(delivery: str) -> Conflict:
    return Conflict(f"delivery {delivery}: lost the lease for this attempt; nothing was written")
