"""The outbox for people: waiting, sent and dead deliveries, and retries by hand."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, Update, case, func, or_, select, type_coerce, update

from aggregator.core.errors import NotFound
from aggregator.core.model import (
    ENDED,
    RETRIABLE,
    Attempt,
    ChannelActivity,
    ChannelAnswer,
    ChannelTest,
    Delivery,
    DeliveryState,
    HitDetail,
    Undo,
    last_tried_at,
)
from aggregator.store import mappers
from aggregator.store.counts import count_each
from aggregator.store.hit_details import get_details
from aggregator.store.page_tables import channel_tests
from aggregator.store.queries.base import QueryBase, earlier, limited
from aggregator.store.routing import forget_undelivered, note_suppressed, note_undelivered
from aggregator.store.schema import attempts, deliveries, delivery_hits, hits, stories, undelivered
from aggregator.store.undo import Watched, undoable

UNSENT = (DeliveryState.RETRY.value, DeliveryState.DEAD.value)


class DeliveryQueries(QueryBase):
    """The catalog's deliveries."""

    async def deliveries(
        self,
        *,
        states: Sequence[DeliveryState] = (),
        channel: str | None = None,
        rule: str | None = None,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
    ) -> tuple[Delivery, ...]:
        query = limited(select(deliveries).order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc()), limit)
        if states:
            query = query.where(deliveries.c.state.in_([state.value for state in states]))
        if channel is not None:
            query = query.where(deliveries.c.channel == channel)
        if rule is not None:  # a list of names as JSON
            query = query.where(type_coerce(deliveries.c.rules, Text).contains(json.dumps(rule), autoescape=True))
        if before is not None:
            query = query.where(earlier(deliveries.c.created_at, deliveries.c.id, before))
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(map(mappers.delivery, found))

    async def delivery(self, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...], tuple[HitDetail, ...]]:
        def read(connection: Connection) -> tuple[Delivery, tuple[Attempt, ...], tuple[HitDetail, ...]]:
            row = connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
            if row is None:
                raise NotFound("delivery", delivery_id)
            tries = select(attempts).where(attempts.c.delivery == delivery_id).order_by(attempts.c.number)
            found = mappers.delivery(row)
            made = tuple(map(mappers.attempt, connection.execute(tries)))
            return found, made, get_details(connection, self._dialect, found.hits)

        return await self._reader.read(read)

    async def channel_activity(
        self, names: Sequence[str], now: datetime, *, limit: int = 5
    ) -> Mapping[str, ChannelActivity]:
        hour_ago = now - timedelta(hours=1)

        def of(connection: Connection, name: str) -> ChannelActivity:
            mine = select(deliveries).where(deliveries.c.channel == name)
            sent = mine.where(deliveries.c.sent_at.is_not(None)).order_by(deliveries.c.sent_at.desc()).limit(limit)
            tried = (deliveries.c.channel == name, deliveries.c.attempts > 0)
            rows = [*connection.execute(sent), *last_unsent(connection, *tried, limit=limit)]
            found = sorted(map(mappers.delivery, rows), key=last_tried_at, reverse=True)
            count = select(func.count()).where(deliveries.c.channel == name, deliveries.c.sent_at > hour_ago)
            return ChannelActivity(name=name, sent=connection.execute(count).scalar_one(), last=tuple(found[:limit]))

        return await self._reader.read(lambda connection: {name: of(connection, name) for name in names})

    async def channel_tests(self) -> Mapping[str, ChannelTest]:
        return {test.channel: test for test in await self._reader.read(read_channel_tests)}

    async def keep_channel_test(self, test: ChannelTest) -> None:
        answers = [[one.recipient, one.ok, one.detail] for one in test.answers]
        row = {"channel": test.channel, "at": test.at, "answers": answers}
        await self._writer.execute(lambda connection: connection.execute(self._dialect.upsert(channel_tests), row))

    async def outbox(self) -> Mapping[DeliveryState, int]:
        found = await self._reader.read(lambda connection: count_each(connection, self._dialect, "deliveries"))
        return {DeliveryState(state): count for state, count in sorted(found.items())}

    async def retry(self, ids: Sequence[str], now: datetime) -> int:
        tried = deliveries.c.attempts > 0
        again = {
            "state": case((tried, DeliveryState.RETRY.value), else_=DeliveryState.PENDING.value),
            "reason": "",
            "due_at": now,
            "wake_at": now,
            "tried_at": None,
            "deaths": 0,
        }
        dead = select(deliveries).where(
            self._dialect.is_in(deliveries.c.id, "ids"), deliveries.c.state == DeliveryState.DEAD.value
        )

        def retry(connection: Connection) -> int:
            bound = {"ids": self._dialect.list_param(ids)}
            for row in connection.execute(dead, bound).all():
                forget_undelivered(connection, self._dialect, mappers.delivery(row))
            return connection.execute(self._changing(RETRIABLE, again), bound).rowcount

        return await self._writer.execute(retry)

    async def acknowledge(self, ids: Sequence[str], now: datetime, *, undo: Undo | None = None) -> int:
        unacknowledged = (
            update(deliveries)
            .where(
                self._dialect.is_in(deliveries.c.id, "ids"),
                deliveries.c.state.in_([state.value for state in ENDED]),
                deliveries.c.acknowledged_at.is_(None),
            )
            .values(acknowledged_at=now)
            .returning(deliveries.c.story, deliveries.c.hits)
        )
        detail = select(hits.c.story).where(self._dialect.is_in(hits.c.id, "hits"))
        known = (
            update(stories)
            .where(or_(self._dialect.is_in(stories.c.id, "stories"), stories.c.id.in_(detail)))
            .values(acknowledged_at=now)
        )

        def acknowledge(connection: Connection) -> int:
            with undoable(connection, undo, _with_stories(connection, ids)):
                found = connection.execute(unacknowledged, {"ids": self._dialect.list_param(ids)}).all()
                named = [row.story for row in found if row.story]
                hit_ids = [hit for row in found for hit in row.hits]
                connection.execute(
                    known, {"stories": self._dialect.list_param(named), "hits": self._dialect.list_param(hit_ids)}
                )
            return len(found)

        return await self._writer.execute(acknowledge)

    async def cancel(self, ids: Sequence[str], *, undo: Undo | None = None) -> int:
        suppressed = {"state": DeliveryState.SUPPRESSED.value, "reason": "cancelled manually", "wake_at": None}
        changing = self._changing(RETRIABLE, suppressed).returning(deliveries.c.id)
        cancel, bound = changing, {"ids": self._dialect.list_param(ids)}

        def apply(connection: Connection) -> int:
            rows = deliveries.c.id.in_(ids)
            known = select(hits.c.story).join(delivery_hits, delivery_hits.c.hit == hits.c.id)
            reported = select(delivery_hits.c.hit).where(delivery_hits.c.delivery.in_(ids))
            of_stories = undelivered.c.story.in_(known.where(delivery_hits.c.delivery.in_(ids)))
            watched = [(deliveries, rows), (undelivered, of_stories), (hits, hits.c.id.in_(reported))]
            with undoable(connection, undo, watched):
                cancelled = connection.execute(cancel, bound).scalars().all()
                for row in connection.execute(select(deliveries).where(deliveries.c.id.in_(cancelled))).all():
                    note_undelivered(connection, self._dialect, mappers.delivery(row))
                    note_suppressed(connection, self._dialect, mappers.delivery(row))
            return len(cancelled)

        return await self._writer.execute(apply)

    def _changing(self, states: Sequence[DeliveryState], values: Mapping[str, object]) -> Update:
        return (
            update(deliveries)
            .where(
                self._dialect.is_in(deliveries.c.id, "ids"),
                deliveries.c.state.in_([state.value for state in states]),
            )
            .values(**values)
        )


def last_unsent(connection: Connection, *wanted: ColumnElement[bool], limit: int) -> list[Row[Any]]:
    """Return the newest in each state of those that were not sent.

    One question for each state, which its index answers in order: of both at once, all deliveries would be read.
    """
    newest = select(deliveries).where(*wanted).order_by(deliveries.c.created_at.desc()).limit(limit)
    return [row for state in UNSENT for row in connection.execute(newest.where(deliveries.c.state == state))]


def _with_stories(connection: Connection, ids: Sequence[str]) -> Watched:
    """Return what an acknowledgement of deliveries may change: them, and their stories."""
    found = connection.execute(select(deliveries.c.story, deliveries.c.hits).where(deliveries.c.id.in_(ids))).all()
    hit_ids = [hit for row in found for hit in row.hits]
    of_hits = connection.execute(select(hits.c.story).where(hits.c.id.in_(hit_ids)).distinct()).scalars()
    named = {*(row.story for row in found), *of_hits} - {None}
    return [(deliveries, deliveries.c.id.in_(ids)), (stories, stories.c.id.in_(named))]


def read_channel_tests(connection: Connection) -> tuple[ChannelTest, ...]:
    """Return the last test alert of every channel that was ever tested."""
    return tuple(
        ChannelTest(
            channel=row.channel,
            at=row.at,
            answers=tuple(ChannelAnswer(recipient=who, ok=ok, detail=said) for who, ok, said in row.answers),
        )
        for row in connection.execute(select(channel_tests))
    )
