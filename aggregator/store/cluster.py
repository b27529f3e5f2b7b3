"""What processes on one PostgreSQL agree on: configurations, nodes, lanes. Every instant is the database's."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Row,
    Text,
    Update,
    all_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from aggregator.core.errors import Conflict
from aggregator.core.model import ConfigVersion, DeliveryState, Node, StoredConfig
from aggregator.core.polling.lanes import FEEDS_PER_JOB, MIN_LANES, PATIENCE_S, slots_of
from aggregator.core.settings import Feed
from aggregator.ports.cluster import Heartbeat, Lane
from aggregator.store.cluster_schema import OLDEST_PROGRAM, cluster, configs, lanes, nodes
from aggregator.store.column_types import instant, micros
from aggregator.store.dialect import CONFIG_LOCK, Dialect
from aggregator.store.engine import Database
from aggregator.store.feed_sync import sync_feeds
from aggregator.store.reader import ReadPool
from aggregator.store.schema import deliveries, feeds, hosts
from aggregator.store.writer import Writer

SILENT_S = 15.0  # a node that was not heard of for so long is taken for dead
FORGET_S = 86_400.0
NOTICE = "aggregator_config"
LOOKED_AT = 20_000  # of the feeds that are due, the most overdue: planning costs the same whatever the backlog
SECOND = 1_000_000  # in the unit of instants
NOW: ColumnElement[int] = literal_column("(extract(epoch from clock_timestamp()) * 1000000)::bigint", BigInteger)
HEAD = select(configs.c.number, configs.c.digest, configs.c.by, configs.c.at).order_by(configs.c.number.desc())
IN_LANE = feeds.c.slot == any_(bindparam("slots", type_=ARRAY(Integer)))
SENDING = DeliveryState.SENDING.value
ALIVE = cast(nodes.c.heartbeat_at, BigInteger) >= NOW - int(SILENT_S * SECOND)
POLLERS = select(func.count()).where(literal("poll") == any_(func.string_to_array(nodes.c.roles, ",")), ALIVE)


class SqlCluster:
    """`ports.cluster.Cluster` over PostgreSQL."""

    def __init__(self, database: Database, writer: Writer, reader: ReadPool) -> None:
        self._database = database
        self._dialect: Dialect = database.dialect
        self._writer = writer
        self._reader = reader

    # --- configurations --------------------------------------------------------------------------

    async def head(self) -> ConfigVersion | None:
        return await self._reader.read(_head)

    async def config(self, number: int | None = None, *, feeds: bool = False) -> StoredConfig | None:
        return await self._reader.read(lambda connection: read_config(connection, number, feeds=feeds))

    async def history(self, limit: int = 50) -> tuple[ConfigVersion, ...]:
        query = HEAD.limit(limit or None)
        return tuple(map(_version, await self._reader.read(lambda connection: connection.execute(query).all())))

    async def push(
        self, config: StoredConfig, feeds: Sequence[Feed], options: Mapping[str, str], *, base: int | None = None
    ) -> ConfigVersion:
        def push(connection: Connection) -> ConfigVersion:
            self._dialect.advisory_lock(connection, CONFIG_LOCK)
            head = _head(connection)
            if head is not None and head.digest == config.version.digest:
                return head
            number = head.number if head else 0
            if base is not None and base != number:
                raise Conflict(f"configuration {number} by {head.by if head else 'nobody'} came first")
            at = connection.execute(select(NOW)).scalar_one()
            new = ConfigVersion(number=number + 1, digest=config.version.digest, by=config.version.by, at=instant(at))
            values = {"number": new.number, "digest": new.digest, "by": new.by, "at": new.at}
            files = {"files": list(map(list, config.files)), "feeds": list(map(list, config.feeds))}
            connection.execute(configs.insert(), values | files)
            sync_feeds(connection, self._dialect, feeds, new.at, options)
            connection.execute(select(func.pg_notify(NOTICE, str(new.number))))
            return new

        return await self._writer.execute(push)

    async def is_foreign(self, ids: Sequence[str]) -> bool:
        known = self._dialect.is_in(feeds.c.id, "ids")
        query = select(func.count(), func.count().filter(known)).where(feeds.c.configured)
        bound = {"ids": self._dialect.list_param(ids)}
        every, shared = await self._reader.read(lambda connection: connection.execute(query, bound).one())
        return every > 0 and shared == 0

    async def listen(self, heard: Callable[[], object]) -> None:
        from psycopg import AsyncConnection, Error

        address = self._database.place.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with suppress(Error):
            async with await AsyncConnection.connect(address, autocommit=True, connect_timeout=10) as connection:
                await connection.execute(f"LISTEN {NOTICE}".encode())
                async for _ in connection.notifies():
                    heard()

    # --- nodes -----------------------------------------------------------------------------------

    async def beat(self, node: Node) -> Heartbeat:
        values = {
            "id": node.id,
            "name": node.name,
            "roles": ",".join(node.roles),
            "version": node.version,
            "schema": node.schema,
            "config": node.config,
            "lacks": node.lacks,
            "started_at": NOW,
            "heartbeat_at": NOW,
        }
        record = self._dialect.insert(nodes).values(values)
        record = record.on_conflict_do_update(
            index_elements=["id"],
            set_={name: record.excluded[name] for name in values if name not in ("id", "started_at")},
        )
        forget = delete(nodes).where(nodes.c.heartbeat_at < cast(NOW, BigInteger) - int(FORGET_S * SECOND))

        def beat(connection: Connection) -> Heartbeat:
            connection.execute(record)
            connection.execute(forget)
            head = _head(connection)
            return Heartbeat(
                config=head.number if head else 0,
                oldest_program=get_value(connection, OLDEST_PROGRAM),
                lanes=_lanes(connection),
                pollers=connection.execute(POLLERS).scalar_one(),
            )

        return await self._writer.execute(beat)

    async def leave(self, node: str) -> None:
        await self._writer.execute(lambda connection: connection.execute(delete(nodes).where(nodes.c.id == node)))

    async def nodes(self) -> tuple[Node, ...]:
        query = select(nodes, (NOW - cast(nodes.c.heartbeat_at, BigInteger)).label("silent")).order_by(
            nodes.c.name, nodes.c.started_at
        )
        return tuple(map(_node, await self._reader.read(lambda connection: connection.execute(query).all())))

    # --- turns -----------------------------------------------------------------------------------

    async def turn(self, name: str, every_s: float, *, by: str) -> bool:
        take = self._dialect.insert(cluster).values(name=f"turn {name}", value=by, at=NOW)
        due = cast(cluster.c.at, BigInteger) <= NOW - int(every_s * SECOND)
        ahead = cast(cluster.c.at, BigInteger) > NOW + SECOND  # by a clock that was set back since
        take = take.on_conflict_do_update(
            index_elements=["name"], set_={"value": by, "at": NOW}, where=or_(due, ahead)
        ).returning(cluster.c.name)
        return await self._writer.execute(lambda connection: connection.execute(take).first() is not None)

    async def last_turn_s(self, name: str) -> float | None:
        query = select(NOW - cast(cluster.c.at, BigInteger)).where(cluster.c.name == f"turn {name}")
        ago = await self._reader.read(lambda connection: connection.execute(query).scalar())
        return None if ago is None else float(ago) / SECOND

    async def agreed(self, name: str) -> str:
        return await self._reader.read(lambda connection: get_value(connection, name))

    async def agree(self, name: str, value: str) -> None:
        await self._writer.execute(lambda connection: put_value(connection, self._dialect, name, value))

    # --- lanes -----------------------------------------------------------------------------------

    async def lanes(self) -> int:
        return await self._reader.read(_lanes)

    async def polls_per_s(self) -> float:
        interval = func.greatest(func.coalesce(feeds.c.interval_s, 900.0), 1.0)
        query = select(func.sum(1.0 / interval)).where(feeds.c.enabled, feeds.c.paused_at.is_(None))
        found: Any = await self._reader.read(lambda connection: connection.execute(query).scalar())
        return float(found or 0.0)

    async def due_lanes(self, now: datetime, lanes: int) -> tuple[int, ...]:
        # Leases are not asked for: work that is under way has a job, and what lost its job must get another.
        resting = select(hosts.c.host).where(hosts.c.not_before > now)
        due = (
            select(
                feeds.c.slot,
                (micros(now) - feeds.c.next_poll_at).label("late"),
                func.coalesce(feeds.c.interval_s, 0.0).label("every"),
            )
            .where(
                feeds.c.next_poll_at <= micros(now),
                feeds.c.enabled,
                feeds.c.paused_at.is_(None),
                feeds.c.host.not_in(resting),  # here, lest those of one host that rests be all that is looked at
            )
            .order_by(feeds.c.next_poll_at)
            .limit(LOOKED_AT)
            .subquery()
        )
        patience = func.least(PATIENCE_S, due.c.every / 20) * SECOND
        lane = func.mod(due.c.slot, lanes)
        query = (
            select(lane)
            .group_by(lane)
            .having(or_(func.count() >= FEEDS_PER_JOB, func.bool_or(due.c.late >= patience)))
            .order_by(func.max(due.c.late).desc())
        )
        return tuple(await self._reader.read(lambda connection: connection.execute(query).scalars().all()))

    async def take_lane(self, lane: Lane, *, owner: str, mine: Collection[str], now: datetime) -> None:
        own = self._dialect.insert(lanes).values(lane=lane.number, owner=owner)
        own = own.on_conflict_do_update(index_elements=["lane"], set_={"owner": owner})
        held = (IN_LANE, feeds.c.lease_owner.is_not(None), _dead(feeds.c.lease_owner))
        idle = update(feeds).where(*held, feeds.c.begun_at.is_(None)).values(lease_owner=None, lease_until=None)
        # A document that was being worked on counts against its feed: the next claim brings it back.
        begun = update(feeds).where(*held, feeds.c.begun_at.is_not(None)).values(lease_until=now)
        bound = {"slots": list(slots_of(*lane)), **_living(owner, mine)}

        def take(connection: Connection) -> None:
            connection.execute(own)
            for free in (idle, begun):
                connection.execute(free, bound)

        await self._writer.execute(take)

    async def take_channel(self, channel: str, *, owner: str, mine: Collection[str], now: datetime) -> None:
        lapsed = _lapse(now).where(deliveries.c.channel == channel, _dead(deliveries.c.lease_owner))
        bound = _living(owner, mine)
        await self._writer.execute(lambda connection: connection.execute(lapsed, bound))

    async def end_silent(self, now: datetime) -> None:
        lapsed = _lapse(now).where(_fell_silent(deliveries.c.lease_owner))
        await self._writer.execute(lambda connection: connection.execute(lapsed))


def _lapse(now: datetime) -> Update:
    leased = (deliveries.c.state == SENDING, deliveries.c.lease_until > now)
    return update(deliveries).where(*leased).values(lease_until=now, wake_at=now)


def require_lane(connection: Connection, lane: Lane, owner: str) -> None:
    """Raise Conflict unless `owner` was the last to take the lane; it stays theirs until the transaction ends."""
    query = select(lanes.c.owner).where(lanes.c.lane == lane.number).with_for_update(read=True)
    if connection.execute(query).scalar() != owner:
        raise Conflict(f"lane {lane.number} was taken over by another process; it is polled there")


def read_config(connection: Connection, number: int | None, *, feeds: bool) -> StoredConfig | None:
    """Return a stored configuration, by default the one in force."""
    columns = [*HEAD.selected_columns, configs.c.files, *([configs.c.feeds] if feeds else [])]
    query = select(*columns).order_by(configs.c.number.desc()).limit(1)
    row = connection.execute(query if number is None else query.where(configs.c.number == number)).first()
    if row is None:
        return None
    return StoredConfig(version=_version(row), files=_files(row.files), feeds=_files(row.feeds) if feeds else ())


def living_nodes(connection: Connection) -> tuple[str, ...]:
    """Return the names of the nodes that were heard of lately."""
    return tuple(connection.execute(select(nodes.c.name).where(ALIVE).order_by(nodes.c.name).distinct()).scalars())


def get_value(connection: Connection, name: str) -> str:
    """Return what the cluster agreed on; empty: nothing."""
    return connection.execute(select(cluster.c.value).where(cluster.c.name == name)).scalar() or ""


def put_value(connection: Connection, dialect: Dialect, name: str, value: str) -> None:
    """Record what the cluster agrees on."""
    put = dialect.insert(cluster).values(name=name, value=value, at=NOW)
    connection.execute(put.on_conflict_do_update(index_elements=["name"], set_={"value": value, "at": NOW}))


def _dead(owner: Any) -> ColumnElement[bool]:
    """Tell whether nobody lives who could end a lease: its node fell silent, or is ours and has no such job."""
    node = func.split_part(owner, "/", 1)
    finished = (owner != bindparam("node")) & (owner != all_(bindparam("mine", type_=ARRAY(Text))))
    return case((node == bindparam("node"), finished), else_=_fell_silent(owner))


def _fell_silent(owner: Any) -> ColumnElement[bool]:
    silent = cast(nodes.c.heartbeat_at, BigInteger) < NOW - int(SILENT_S * SECOND)
    return select(literal(1)).where(nodes.c.id == func.split_part(owner, "/", 1), silent).exists()


def _living(owner: str, mine: Collection[str]) -> dict[str, Any]:
    return {"node": owner.partition("/")[0], "mine": sorted({*mine, owner})}


def _lanes(connection: Connection) -> int:
    return int(get_value(connection, "lanes") or MIN_LANES)


def _head(connection: Connection) -> ConfigVersion | None:
    row = connection.execute(HEAD.limit(1)).first()
    return _version(row) if row else None


def _version(row: Any) -> ConfigVersion:
    return ConfigVersion(number=row.number, digest=row.digest, by=row.by, at=row.at)


def _files(stored: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, content) for name, content in stored)


def _node(row: Row[Any]) -> Node:
    return Node(
        id=row.id,
        name=row.name,
        roles=tuple(filter(None, row.roles.split(","))),
        version=row.version,
        schema=row.schema,
        config=row.config,
        lacks=row.lacks,
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        silent_s=max(0.0, float(row.silent) / SECOND),
    )
