"""Subscriptions at hubs, and what feeds' rows say of them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from aggregator.core.polling.websub import HubSubscription, Offer, SubscriptionState, Unsubscription
from aggregator.store.dialect import Dialect
from aggregator.store.engine import Database
from aggregator.store.reader import ReadPool
from aggregator.store.schema import farewells, feeds, subscriptions
from aggregator.store.writer import Writer


class SqlSubscriptions:
    """`ports.Subscriptions` over SQL."""

    def __init__(self, database: Database, writer: Writer, reader: ReadPool) -> None:
        self._dialect: Dialect = database.dialect
        self._writer = writer
        self._reader = reader

    async def offers(self) -> tuple[Offer, ...]:
        query = (
            select(feeds.c.id, feeds.c.hub, feeds.c.self_url, feeds.c.url)
            .where(feeds.c.hub.is_not(None), feeds.c.enabled, feeds.c.paused_at.is_(None))
            .order_by(feeds.c.id)
        )
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(Offer(feed=row.id, hub=row.hub, topic=row.self_url or row.url) for row in found)

    async def all(self) -> tuple[HubSubscription, ...]:
        query = select(subscriptions).order_by(subscriptions.c.feed)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(map(_subscription, found))

    async def of(self, callback: str) -> HubSubscription | None:
        query = select(subscriptions).where(subscriptions.c.callback == callback)
        found = await self._reader.read(lambda connection: connection.execute(query).first())
        return None if found is None else _subscription(found)

    async def save(self, subscription: HubSubscription) -> None:
        put = self._dialect.upsert(subscriptions)
        promise = update(feeds).where(feeds.c.id == subscription.feed).values(hub_until=subscription.lease_until)

        def write(connection: Connection) -> None:
            connection.execute(put, {**asdict(subscription), "standing": subscription.standing.value})
            connection.execute(promise)

        await self._writer.execute(write)

    async def moved(self, feed: str, to: str) -> None:
        note = update(subscriptions).where(subscriptions.c.feed == feed).values(moved_to=to)
        await self._writer.execute(lambda connection: connection.execute(note))

    async def remove(self, names: Sequence[str], leaving: Sequence[Unsubscription] = ()) -> None:
        forget = delete(subscriptions).where(self._dialect.is_in(subscriptions.c.feed, "ids"))
        nobody = update(feeds).where(self._dialect.is_in(feeds.c.id, "ids")).values(hub_until=None)

        def write(connection: Connection) -> None:
            for statement in (forget, nobody):
                connection.execute(statement, {"ids": self._dialect.list_param(names)})
            if leaving:
                connection.execute(
                    self._dialect.insert_ignore(farewells), [_unsubscription_values(one) for one in leaving]
                )

        await self._writer.execute(write)

    async def leaving(self) -> tuple[Unsubscription, ...]:
        query = select(farewells).order_by(farewells.c.left_at, farewells.c.callback)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(map(_unsubscription, found))

    async def mark_requested(self, callback: str) -> None:
        note = update(farewells).where(farewells.c.callback == callback).values(told=True)
        await self._writer.execute(lambda connection: connection.execute(note))

    async def forget(self, callbacks: Sequence[str]) -> None:
        gone = delete(farewells).where(self._dialect.is_in(farewells.c.callback, "ids"))
        bound = {"ids": self._dialect.list_param(callbacks)}
        await self._writer.execute(lambda connection: connection.execute(gone, bound))


def _subscription(row: Row[Any]) -> HubSubscription:
    return HubSubscription(**{**row._asdict(), "standing": SubscriptionState(row.standing)})


def _unsubscription_values(one: Unsubscription) -> dict[str, Any]:
    return {"callback": one.callback, "hub": one.hub, "topic": one.topic, "left_at": one.left_at, "told": one.requested}


def _unsubscription(row: Row[Any]) -> Unsubscription:
    return Unsubscription(callback=row.callback, hub=row.hub, topic=row.topic, left_at=row.left_at, requested=row.told)
