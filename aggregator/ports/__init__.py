"""Ports: what pipeline/ needs from the outside world. Each port names what it raises.

Adapters implement these; nothing here knows a library. An `async` method may wait for the network, a
disk or another process; no other method may. The reading side for people, and the outbox, are in `catalog`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from aggregator.core.errors import DatabaseFault
from aggregator.core.model import (
    FEED,
    Alert,
    ArticleRequest,
    Entry,
    Features,
    FeedState,
    Fetched,
    HostLimit,
    NotModified,
    ParsedFeed,
    PollResult,
    Reading,
    Receipt,
    Routed,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    StoredKey,
    UndescribedStory,
    Unrouted,
    UnroutedPoll,
)
from aggregator.core.polling.websub import HubSubscription, Offer, Unsubscription
from aggregator.ports.catalog import Catalog as Catalog
from aggregator.ports.catalog import Outbox as Outbox
from aggregator.ports.cluster import Cluster as Cluster
from aggregator.ports.cluster import Lane

if TYPE_CHECKING:
    from aggregator.core.settings import Channel, Feed

Route = Callable[[RoutingContext], RoutingResult]
Decide = Callable[[UnroutedPoll], tuple[RoutingQuery | None, Route]]
Recall = Callable[[], Awaitable[bytes | None]]
Begin = Callable[[], Awaitable[None]]


class Clock(Protocol):
    """The only source of the present."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        ...


class Fetcher(Protocol):
    """One conditional GET with its redirects, guarded and bounded."""

    async def fetch(self, feed: "Feed", state: FeedState) -> Fetched | NotModified:
        """Fetch the document behind `state.url`, or the news that it has not changed.

        Raises Unreachable, BadStatus, TooLarge, Forbidden.
        """
        ...


class Pages(Protocol):
    """Pages that feeds link to, over the same connections as the feeds."""

    async def page(self, feed: "Feed", url: str) -> Fetched:
        """Fetch the page at `url` with the settings, proxy and (on its own origin) credentials of `feed`.

        Raises Unreachable, BadStatus, TooLarge, Forbidden.
        """
        ...


class ArticleReader(Protocol):
    """A reader of articles from pages, in a process that may die."""

    async def article(self, page: Fetched) -> str:
        """Extract the plain text of the article on a page. Raises ParseError."""
        ...


class Parser(Protocol):
    """A parser from bytes to entries, in a process that may die."""

    async def parse(
        self,
        fetched: Fetched,
        state: FeedState,
        recall: Recall | None = None,
        begin: Begin | None = None,
        reading: Reading = FEED,
    ) -> ParsedFeed:
        """Return the entries of `fetched`, read as `reading` says, that the remembered document did not have.

        `recall` gives what the last parse asked to remember (None: nothing); it is called only if the bytes differ from
        those that `state` knows. `begin` is called before a document is read that has something new. Raises ParseError.
        """
        ...


class Feeds(Protocol):
    """The polling side of the database. Every method raises StoreError."""

    async def sync(self, feeds: Sequence["Feed"], now: datetime) -> None:
        """Make the rows follow the configuration; rows of feeds that left it keep their entries."""
        ...

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
        """Lease up to `limit` enabled feeds that are due (`force`: due or not), most overdue first.

        A host whose limit lies ahead is passed over, forced or not; so is a leased feed. With `per_host`,
        of the `limit` most overdue that are not at `busy` hosts, only `per_host` of each host are taken:
        where that was a host's share, others may be had by asking again with the host among the busy ones.
        `proven`: only those whose last poll went well (`health.is_proven`). `lane`: only those of a lane; raises
        Conflict if `owner` is not the last who took it (`Cluster.take_lane`).
        """
        ...

    async def next_due_at(self) -> datetime | None:
        """Return when the next feed that nobody has leased is due; in the past: now; None: nothing to wait for."""
        ...

    async def begin(self, feed: str, now: datetime, *, owner: str) -> None:
        """Put on record that a document of this feed is about to be worked on, until its commit or release.

        Where the process dies meanwhile, the claim that finds the lease at its end counts it
        (`FeedState.deaths`) and lets the feed rest.
        """
        ...

    async def memory(self, feed: str) -> bytes | None:
        """Return what the parser asked to remember of this feed."""
        ...

    async def known(
        self, feed: str, keys: Sequence[str], aliases: Sequence[str] = ()
    ) -> tuple[Mapping[str, StoredKey], frozenset[str]]:
        """Return which of `keys` were ever stored for this feed, and which of `aliases`; tombstones too."""
        ...

    async def contents(self, feed: str, keys: Sequence[str]) -> Mapping[str, str]:
        """Return the content of stored entries of this feed, by key; entries without any are left out."""
        ...

    @property
    def routes_later(self) -> bool:
        """Tell whether hits are better routed after their commit (PostgreSQL): no poll waits for others then."""
        ...

    async def commit(
        self,
        poll: PollResult,
        *,
        owner: str,
        question: RoutingQuery | None = None,
        route: Route | None = None,
        later: UnroutedPoll | None = None,
    ) -> tuple[Entry, ...]:
        """Write all of a poll, or nothing, and free its lease; return the entries with their ids.

        If `route` is given, the store answers `question` and calls `route` inside the
        transaction (alone: no other commit sees or makes stories meanwhile) and writes what it
        decides. With `later`, its hits are stored as new, to be routed by `route_waiting`.
        Idempotent: entries by (feed, key), hits and deliveries by id. Raises Conflict if the lease was lost.
        """
        ...

    async def unrouted(self, now: datetime) -> Unrouted:
        """Return how many polls have hits that wait for their routing."""
        ...

    async def route_waiting(self, decide: Decide, now: datetime, *, config: int, limit: int = 500) -> Routed:
        """Route hits that were committed with `later`, in the order of their polls: about `limit` of them.

        What is written is what routing them one poll after the other in their commits would have written, all in one
        transaction. `config`: only polls up to this number. `decide` gives, for a poll, what must be looked up
        and what decides. A poll that cannot be routed holds up nobody: it is tried again later.
        """
        ...

    async def recent_features(self, feed: str, limit: int) -> tuple[Features, ...]:
        """Return the features of this feed's latest reports."""
        ...

    async def undescribed(self, since: datetime, limit: int) -> tuple[UndescribedStory, ...]:
        """Return stories from since then that have no report, but an entry, the latest first."""
        ...

    async def learned(self, name: str) -> bytes | None:
        """Return what was kept under a name."""
        ...

    async def learn(self, name: str, data: bytes) -> None:
        """Keep something that was learnt from the stream."""
        ...

    async def record(self, question: RoutingQuery, route: Route, now: datetime) -> int:
        """Write what `route` decides about hits on stored entries (`rules apply`); return the number of hits."""
        ...

    async def release(self, ids: Sequence[str], *, owner: str) -> None:
        """Free leases without a poll; those that a fault of the database keeps are freed by the next claim."""
        ...


class ArticleQueue(Protocol):
    """Requests for full texts, which `Feeds.commit` makes (`articles_wanted`). Every method raises StoreError."""

    async def due(self, now: datetime, *, lease_s: float, limit: int) -> tuple[ArticleRequest, ...]:
        """Take up to `limit` requests that are due, longest waiting first.

        Each take is an attempt, and nobody is given the same request again for `lease_s` seconds. Requests
        of feeds whose host rests are passed over.
        """
        ...

    async def next_due_at(self) -> datetime | None:
        """Return when the next request may be taken; None: there is none."""
        ...

    async def put_off(self, entry: int, until: datetime, hosts: Sequence[HostLimit] = ()) -> None:
        """Postpone a request, and record the limits of the hosts that asked for it."""
        ...

    async def drop(self, wanted: Sequence[int]) -> None:
        """Drop the requests for these entries."""
        ...

    async def fill(
        self, entry: Entry, now: datetime, *, question: RoutingQuery | None, route: Route, later: UnroutedPoll
    ) -> int:
        """Write an entry's next version and what `route` decides, and drop the request; return the number of new hits.

        As in `Feeds.commit`, but where hits are routed later, what `question` would ask waits as `later`.
        Raises Conflict if the entry is no longer the one before this version.
        """
        ...


class Hub(Protocol):
    """A client of WebSub hubs."""

    async def subscribe(self, subscription: HubSubscription, callback: str, *, home: str | None) -> str | None:
        """Ask for pushes to the address `callback`; return where the hub has moved permanently.

        `home` is the feed's configured address (None: removed): only a private feed may have a private hub.
        Raises BadStatus, Unreachable, TooLarge, Forbidden.
        """
        ...

    async def unsubscribe(self, leaving: Unsubscription, callback: str) -> None:
        """Ask for no more pushes to the address `callback`. Raises as `subscribe`."""
        ...


class Subscriptions(Protocol):
    """Subscriptions at hubs. Every method raises StoreError."""

    async def offers(self) -> tuple[Offer, ...]:
        """Return the feeds that are polled and name a hub."""
        ...

    async def all(self) -> tuple[HubSubscription, ...]: ...

    async def of(self, callback: str) -> HubSubscription | None:
        """Return the subscription with this callback."""
        ...

    async def save(self, subscription: HubSubscription) -> None:
        """Put a feed's subscription in place of what it had, and its lease into the feed's state."""
        ...

    async def moved(self, feed: str, to: str) -> None:
        """Remember where a feed's hub has moved; a verification in the meantime stays valid."""
        ...

    async def remove(self, names: Sequence[str], leaving: Sequence[Unsubscription] = ()) -> None:
        """Forget the subscriptions of these feeds, and that hubs push them, but keep `leaving` for the hubs."""
        ...

    async def leaving(self) -> tuple[Unsubscription, ...]:
        """Return the unsubscriptions that hubs must receive, or may ask about."""
        ...

    async def mark_requested(self, callback: str) -> None:
        """Note that the hub was asked to end a subscription."""
        ...

    async def forget(self, callbacks: Sequence[str]) -> None:
        """Forget unsubscriptions that hubs know of, or never will."""
        ...


class Notifier(Protocol):
    """A sender of alerts on channels."""

    async def send(self, channel: "Channel", alert: Alert, *, recipient: str = "") -> Receipt:
        """Send an alert. Raises DeliveryError; never waits longer than the channel's timeout."""
        ...


class Maintenance(Protocol):
    """Upkeep of the database. Raises StoreError, SchemaOutOfDate."""

    async def upgrade(self, *, backup: bool = True, engine: Sequence[tuple[str, str]] = ()) -> str:
        """Migrate the schema to the newest; return its revision. `backup`: copy an SQLite file first.

        `engine`: the steps of the engine's own tables, on PostgreSQL.
        """
        ...

    def fault(self) -> DatabaseFault | None:
        """Return what has made the database unusable since the last successful write; None: nothing."""
        ...

    async def backup(self, path: str) -> int:
        """Make a consistent copy while the service runs; return its size in bytes."""
        ...

    async def check(self) -> tuple[str, ...]:
        """Return what is wrong with the database, in words; empty: nothing."""
        ...

    async def prune(self, now: datetime, *, entries_s: float, content_s: float) -> tuple[int, int]:
        """Remove what is too old, in small steps; return (entries removed, texts emptied)."""
        ...

    async def owners(self) -> tuple[str, ...]:
        """Return the holders of leases, of feeds or deliveries."""
        ...

    async def release_leases_of(self, owners: Sequence[str], now: datetime) -> int:
        """End the leases of dead processes; what they were sending may be a repeat. Return how many."""
        ...

    async def repair_future_dates(self, now: datetime) -> int:
        """Make due what a clock that ran ahead postponed (after `now`, or too long a wait); return how many."""
        ...

    async def index_text(self, limit: int = 1000) -> int:
        """Bring the full-text index up to date; return how many entries were added."""
        ...
