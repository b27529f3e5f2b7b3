"""The polling side: due feeds, what is known of them, and the results of polls."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    Table,
    bindparam,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
    update,
)

from aggregator.core.errors import DatabaseFault
from aggregator.core.model import (
    Entry,
    Features,
    FeedState,
    PollResult,
    Routed,
    RoutingQuery,
    StoredKey,
    UndescribedStory,
    Unrouted,
    UnroutedPoll,
)
from aggregator.core.polling.lanes import slots_of
from aggregator.core.polling.schedule import rest_after_deaths_s
from aggregator.ports import Decide, Route
from aggregator.ports.cluster import Lane
from aggregator.store import mappers
from aggregator.store.column_types import EPOCH, Instant, instant, micros
from aggregator.store.commit import PollCommit, PollWriter
from aggregator.store.dialect import ROUTING_LOCK
from aggregator.store.engine import Database
from aggregator.store.feed_sync import sync_feeds
from aggregator.store.idle import NEXT_POLL
from aggregator.store.reader import ReadPool
from aggregator.store.schema import ALWAYS, aliases, entries, feeds, hosts, keys, learned, memories, reports
from aggregator.store.unrouted import Unroutable, route_waiting, try_later, unrouted_polls
from aggregator.store.writer import Writer

if TYPE_CHECKING:
    from aggregator.core.settings import Feed


def of_feed(table: Table) -> ColumnElement[bool]:
    return table.c.feed == bindparam("feed")


RECENT_FEATURES = select(reports.c.features).where(of_feed(reports)).order_by(reports.c.at.desc())
LEARNED = select(learned.c.data).where(learned.c.name == bindparam("name"))
MEMORY = select(memories.c.data).where(of_feed(memories))

BEGIN = update(feeds).where(feeds.c.id == bindparam("feed_id"), feeds.c.lease_owner == bindparam("owner"))
LOST = (
    select(feeds.c.id, feeds.c.deaths, feeds.c.next_poll_at)
    .where(
        feeds.c.begun_at.is_not(None),
        feeds.c.lease_until <= bindparam("now", type_=Instant),
        feeds.c.lease_owner != bindparam("owner"),
    )
    .with_for_update(skip_locked=True)
)
BRING_BACK = (
    update(feeds).where(feeds.c.id == bindparam("feed_id")).values(lease_owner=None, lease_until=None, begun_at=None)
)


class SqlFeeds:
    """`ports.Feeds` over SQL."""

    def __init__(self, database: Database, writer: Writer, routing: Writer, reader: ReadPool) -> None:
        self._dialect = database.dialect
        self._polls = PollWriter(database.dialect, database.sent)
        self._writer = writer
        self._routing = routing  # waits for ROUTING_LOCK, so that what is not routed need not
        self._reader = reader
        among = self._dialect.is_in
        self._remembered = union_all(
            select(keys.c.key, keys.c.content_hash, keys.c.version).where(of_feed(keys), among(keys.c.key, "all")),
            select(aliases.c.key, null(), null()).where(of_feed(aliases), among(aliases.c.key, "aliases")),
        )
        self._any_remembered: CompoundSelect[int] = union_all(
            select(literal_column("1")).select_from(keys).where(of_feed(keys)),
            select(literal_column("1")).select_from(aliases).where(of_feed(aliases)),
        ).limit(1)
        self._unreleased: set[tuple[str, str]] = set()  # (feed, owner): leases that a fault kept from being freed
        self._contents = select(entries.c.key, entries.c.content).where(
            of_feed(entries), among(entries.c.key, "all"), entries.c.content != ""
        )

    async def sync(self, feeds: Sequence["Feed"], now: datetime) -> None:
        await self._writer.execute(lambda connection: sync_feeds(connection, self._dialect, feeds, now))

    async def claim_due(
        self,
        now: datetime,
        *,
        owner: str,
        lease_s: float,
        limit: int,
        ids: Sequence[str] | None = None,
        force: bool = False,
        per_host: int | None = None,
        busy: Sequence[str] = (),
        proven: bool = False,
        lane: Lane | None = None,
    ) -> tuple[FeedState, ...]:
        claimable = self._claimable(now, ids, force)
        if lane is not None:
            from aggregator.store.cluster import IN_LANE, require_lane  # only a cluster has lanes

            claimable.append(IN_LANE)
        if proven:
            claimable += [feeds.c.last_ok_at.is_not(None), feeds.c.failures == 0]
        wanted = [*claimable, ~_host_resting(now)]
        if busy:
            wanted.append(~self._dialect.is_in(feeds.c.host, "busy"))
        first = select(feeds.c.id).where(*wanted).order_by(feeds.c.next_poll_at, feeds.c.id).limit(limit)
        if per_host is not None:  # a lock needs a plain query, and what it waited for must be claimable still
            first = select(feeds.c.id).where(*claimable, feeds.c.id.in_(_shares(first, per_host)))
        # A CTE, because PostgreSQL may run a subquery with FOR UPDATE more than once, past its limit.
        chosen = first.with_for_update(skip_locked=True).cte("chosen")
        claim = (
            update(feeds)
            .where(feeds.c.id.in_(select(chosen.c.id)))
            .values(lease_owner=owner, lease_until=now + timedelta(seconds=lease_s))
            .returning(*mappers.state_columns())
        )
        bound: dict[str, Any] = {} if ids is None else {"ids": self._dialect.list_param(ids)}
        if lane is not None:
            bound["slots"] = list(slots_of(*lane))
        if busy:
            bound["busy"] = self._dialect.list_param(busy)

        unreleased = frozenset(self._unreleased)

        def take(connection: Connection) -> Sequence[Row[Any]]:
            if lane is not None:
                require_lane(connection, lane, owner)
            for each in {owner for _, owner in unreleased}:
                self._free(connection, [feed for feed, owner in unreleased if owner == each], each)
            self._bring_back(connection, now, owner)
            return connection.execute(claim, bound).all()

        claimed = await self._writer.execute(take)
        self._unreleased -= unreleased
        return mappers.feed_states(sorted(claimed, key=mappers.due_order))

    def _bring_back(self, connection: Connection, now: datetime, owner: str) -> None:
        """Count the deaths of processes that worked on a document and whose lease ran out; our own lapse is none."""
        for feed in connection.execute(LOST, {"now": now, "owner": owner}).all():
            deaths = feed.deaths + 1
            rests_until = micros(now + timedelta(seconds=rest_after_deaths_s(deaths)))
            next_poll_at = max(feed.next_poll_at, rests_until)
            connection.execute(BRING_BACK, {"feed_id": feed.id, "deaths": deaths, "next_poll_at": next_poll_at})

    async def begin(self, feed: str, now: datetime, *, owner: str) -> None:
        await self._writer.submit_batched(_begin, {"feed_id": feed, "begun_at": now, "owner": owner}, batched=True)

    def _claimable(self, now: datetime, ids: Sequence[str] | None, force: bool) -> list[ColumnElement[bool]]:
        """Select claimable feeds; a pause yields only to a person who names the feed and insists."""
        wanted = [feeds.c.enabled, or_(feeds.c.lease_until.is_(None), feeds.c.lease_until <= now)]
        if ids is not None:
            wanted.append(self._dialect.is_in(feeds.c.id, "ids"))
        if not force:
            wanted.append(feeds.c.next_poll_at <= micros(now))
        if not force or ids is None:
            wanted.append(feeds.c.paused_at.is_(None))
        return wanted

    async def next_due_at(self) -> datetime | None:
        earliest = await self._reader.read(lambda connection: connection.execute(text(NEXT_POLL)).scalar())
        return None if earliest is None else EPOCH if earliest == ALWAYS else instant(earliest)

    async def memory(self, feed: str) -> bytes | None:
        return await self._reader.read_batched(lambda connection: connection.execute(MEMORY, {"feed": feed}).scalar())

    async def known(
        self, feed: str, keys: Sequence[str], aliases: Sequence[str] = ()
    ) -> tuple[Mapping[str, StoredKey], frozenset[str]]:
        if not keys and not aliases:
            return {}, frozenset()
        found = await self._reader.read_batched(lambda connection: self._known_among(connection, feed, keys, aliases))
        wanted = frozenset(keys)
        stored = {
            key: StoredKey(key=key, content_hash=content_hash, version=version)
            for key, content_hash, version in found
            if version is not None and key in wanted
        }
        return stored, frozenset(aliases).intersection(key for key, _, _ in found)

    def _known_among(
        self, connection: Connection, feed: str, keys: Sequence[str], aliases: Sequence[str]
    ) -> Sequence[Any]:
        if connection.execute(self._any_remembered, {"feed": feed}).first() is None:
            return ()  # the first poll of a feed: hundreds of names need not be looked up
        listed = self._dialect.list_param
        bound = {"feed": feed, "all": listed([*keys, *aliases]), "aliases": listed(aliases)}
        return connection.execute(self._remembered, bound).all()

    async def contents(self, feed: str, keys: Sequence[str]) -> Mapping[str, str]:
        bound = {"feed": feed, "all": self._dialect.list_param(keys)}
        found = await self._reader.read(lambda connection: connection.execute(self._contents, bound).all())
        return {row.key: row.content for row in found}

    @property
    def routes_later(self) -> bool:
        return self._routing is not self._writer

    async def commit(
        self,
        poll: PollResult,
        *,
        owner: str,
        question: RoutingQuery | None = None,
        route: Route | None = None,
        later: UnroutedPoll | None = None,
    ) -> tuple[Entry, ...]:
        commit = PollCommit(poll=poll, owner=owner, question=question, route=route, later=later)
        writer = self._writer if route is None else self._routing
        return await writer.submit_batched(self._polls.write, commit, batched=True)

    async def unrouted(self, now: datetime) -> Unrouted:
        return await self._reader.read(lambda connection: unrouted_polls(connection, now))

    async def route_waiting(self, decide: Decide, now: datetime, *, config: int, limit: int = 500) -> Routed:
        try:
            return await self._routing.execute(
                lambda connection: route_waiting(connection, self._dialect, decide, now, config, limit)
            )
        except DatabaseFault:
            raise
        except Unroutable as error:
            failed = error
        except Exception:
            if limit == 1:
                raise
            return await self.route_waiting(decide, now, config=config, limit=1)  # which it was is seen alone
        wait_s = await self._routing.execute(lambda connection: try_later(connection, failed, now))
        return Routed(failed=((failed.row.feed, f"{failed}; tried again in {wait_s:g} s"),))

    async def recent_features(self, feed: str, limit: int) -> tuple[Features, ...]:
        query = RECENT_FEATURES.limit(limit)
        found = await self._reader.read(lambda connection: connection.execute(query, {"feed": feed}).scalars().all())
        return tuple(map(mappers.features, found))

    async def undescribed(self, since: datetime, limit: int) -> tuple[UndescribedStory, ...]:
        from aggregator.store.stories import find_undescribed  # asked once in the life of a database

        return await self._reader.read(lambda connection: find_undescribed(connection, self._dialect, since, limit))

    async def learned(self, name: str) -> bytes | None:
        return await self._reader.read(lambda connection: connection.execute(LEARNED, {"name": name}).scalar())

    async def learn(self, name: str, data: bytes) -> None:
        keep = self._dialect.upsert(learned)
        await self._writer.execute(lambda connection: connection.execute(keep, {"name": name, "data": data}))

    async def record(self, question: RoutingQuery, route: Route, now: datetime) -> int:
        from aggregator.store.routing import answer, write_routed

        def record(connection: Connection) -> int:
            self._dialect.advisory_lock(connection, ROUTING_LOCK)
            routed = route(answer(connection, self._dialect, question, now))
            write_routed(connection, self._dialect, routed, {})
            return len(routed.hits)

        return await self._routing.execute(record)

    async def release(self, ids: Sequence[str], *, owner: str) -> None:
        try:
            await self._writer.execute(lambda connection: self._free(connection, ids, owner))
        except DatabaseFault:  # what is claimed next is claimed after these are free
            self._unreleased |= {(feed, owner) for feed in ids}
            raise

    def _free(self, connection: Connection, ids: Sequence[str], owner: str) -> None:
        free = (
            update(feeds)
            .where(self._dialect.is_in(feeds.c.id, "ids"), feeds.c.lease_owner == owner)
            .values(lease_owner=None, lease_until=None, begun_at=None)
        )
        connection.execute(free, {"ids": self._dialect.list_param(ids)})


def _begin(connection: Connection, begun: Sequence[Mapping[str, Any]]) -> list[None]:
    connection.execute(BEGIN, begun)
    return [None] * len(begun)


def _shares(first: Select[tuple[str]], per_host: int) -> Select[tuple[str]]:
    """Select the first `per_host` of each host among these feeds."""
    found = first.add_columns(feeds.c.host, feeds.c.next_poll_at).subquery()
    rank = func.row_number().over(partition_by=found.c.host, order_by=(found.c.next_poll_at, found.c.id))
    ranked = select(found.c.id, rank.label("rank")).subquery()
    return select(ranked.c.id).where(ranked.c.rank <= per_host)


def _host_resting(now: datetime) -> ColumnElement[bool]:
    """Tell whether the feed's host asked to be left alone until later."""
    return feeds.c.host.in_(select(hosts.c.host).where(hosts.c.not_before > now))
