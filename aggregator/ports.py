"""What the verbs of pipeline/ need from the outside world. Each port names what it raises.

Adapters implement these; nothing here knows a library. Where a method is `async`, it may wait
for the network, a disk or another process; nothing else may.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from aggregator.core.model import (
    Alert,
    Delivery,
    Entry,
    Fetched,
    FeedState,
    Known,
    NotModified,
    ParsedFeed,
    Poll,
    Question,
    Receipt,
    Routed,
    Surroundings,
    Told,
)
from aggregator.core.settings import Channel, Feed

Route = Callable[[Surroundings], Routed]


class Clock(Protocol):
    """The only source of the present."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        ...


class Fetcher(Protocol):
    """One conditional GET with its redirects, guarded and bounded."""

    async def fetch(self, feed: Feed, state: FeedState) -> Fetched | NotModified:
        """The document behind `state.url`, or the news that it has not changed.

        Raises Unreachable, BadStatus, TooLarge, Forbidden.
        """
        ...


class Parser(Protocol):
    """Bytes to entries, in a process that may die."""

    async def parse(self, fetched: Fetched, state: FeedState, memory: bytes | None) -> ParsedFeed:
        """The entries of `fetched` that the document remembered in `memory` did not have.

        Raises ParseError.
        """
        ...


class Feeds(Protocol):
    """The polling side of the database. Every method raises StoreError."""

    async def sync(self, feeds: Sequence[Feed], now: datetime) -> None:
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
    ) -> tuple[FeedState, ...]:
        """Lease up to `limit` enabled feeds that are due (`force`: due or not), most overdue first.

        A host whose limit lies ahead is passed over, forced or not; so is a leased feed.
        """
        ...

    async def memory(self, feed: str) -> bytes | None:
        """What the parser asked to remember of this feed."""
        ...

    async def known(self, feed: str, keys: Sequence[str], aliases: Sequence[str] = ()) -> tuple[Mapping[str, Known], frozenset[str]]:
        """Which of `keys` were ever stored for this feed, and which of `aliases`; tombstones too."""
        ...

    async def commit(self, poll: Poll, *, owner: str, question: Question | None = None, route: Route | None = None) -> tuple[Entry, ...]:
        """Write all of a poll, or nothing, and free its lease; gives the entries with their ids.

        Where `route` is given, the store answers `question` and calls `route` inside the
        transaction (alone: no other commit sees or makes stories meanwhile) and writes what it
        decides. Idempotent: entries by (feed, key), hits and deliveries by id.
        Raises Conflict where the lease was lost.
        """
        ...

    async def release(self, ids: Sequence[str], *, owner: str) -> None:
        """Free leases without a poll, on the way out."""
        ...


class Outbox(Protocol):
    """The sending side of the database. Every method raises StoreError."""

    async def claim(self, now: datetime, *, owner: str, lease_s: float, limit: int, channels: Sequence[str] | None = None) -> tuple[Delivery, ...]:
        """Lease deliveries that are due, or whose lease ran out (`repeat` is set on those).

        State becomes `sending`, `attempts` grows by one, an attempt row is appended.
        """
        ...

    async def told(self, delivery: Delivery) -> tuple[Told, ...]:
        """The hits of a delivery with their entries, newest first."""
        ...

    async def settle(self, after: Delivery, *, owner: str, attempt: int, also: Sequence[Delivery] = ()) -> None:
        """Write the outcome of an attempt, with further deliveries that it makes (dead letters).

        Raises Conflict where owner or attempt are no longer those of the row.
        """
        ...

    async def sent_since(self, channel: str, since: datetime) -> int:
        """How many deliveries this channel accepted since an instant (for max_per_hour)."""
        ...

    async def fold(self, members: Sequence[Delivery], into: Delivery, *, owner: str) -> None:
        """Replace claimed deliveries by one digest that carries their hits, atomically."""
        ...

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """Insert deliveries that are not from a poll; those that exist are left alone."""
        ...

    async def release(self, ids: Sequence[str], *, owner: str) -> None:
        """Give claimed deliveries back unsent."""
        ...


class Notifier(Protocol):
    """Says an alert on a channel."""

    async def send(self, channel: Channel, alert: Alert, *, recipient: str = "") -> Receipt:
        """Raises DeliveryError; never waits longer than the channel's timeout."""
        ...
