"""What commands and pages read, and what people change by hand."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from aggregator.core.model import (
    Attempt,
    Backlog,
    Delivery,
    DeliveryState,
    Entry,
    FeedSummary,
    Health,
    HitDetail,
    HitFilter,
    HostLimit,
    RuleStats,
    Silence,
    Stats,
    Story,
)


class Catalog(Protocol):
    """The reading side of the database, for commands and pages, and what people change by hand.

    Listings are newest first; `limit` 0 means all. Raises StoreError, NotFound.
    """

    async def feeds(
        self, ids: Sequence[str] | None = None, *, after: str = "", limit: int = 0
    ) -> tuple[FeedSummary, ...]:
        """Configured feeds by id, those behind `after`; or exactly those with these ids, whatever became of them."""
        ...

    async def feed_page(
        self, *, health: Health | None = None, offset: int = 0, limit: int = 50
    ) -> tuple[FeedSummary, ...]:
        """Configured feeds (in one state), those in trouble first, then by id; only those of the page are counted."""
        ...

    async def health(self) -> Mapping[Health, int]:
        """How many configured feeds are in each state; cheap, unlike `feeds`."""
        ...

    async def feed_days(self, ids: Sequence[str], now: datetime) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """For each feed, (day, entries first seen) of the last 30 days in UTC, oldest first, empty days included."""
        ...

    async def hosts(self) -> tuple[HostLimit, ...]: ...

    async def entry(self, entry_id: int) -> Entry: ...

    async def entries(
        self, *, feed: str | None = None, since: datetime | None = None, limit: int = 50
    ) -> tuple[Entry, ...]: ...

    def scan(self, *, since: datetime | None = None, batch: int = 500) -> AsyncIterator[tuple[Entry, ...]]:
        """Every stored entry that still has its text, oldest first, in batches (backtests)."""
        ...

    async def count_entries(self, since: datetime | None = None) -> int: ...

    async def search(
        self,
        words: Sequence[Sequence[str]],
        *,
        since: datetime | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> tuple[Entry, ...]:
        """Entries whose folded text has, for each group, one of its folded words or phrases.

        `word*` in a group is a prefix. This is a prefilter: the caller verifies with a rule.
        """
        ...

    async def hits(self, wanted: HitFilter, *, limit: int = 50) -> tuple[HitDetail, ...]: ...

    async def stories_of_hits(self, wanted: HitFilter, *, limit: int = 50) -> tuple[tuple[HitDetail, ...], ...]:
        """The hits of a listing by their story (else by their entry), so that a story is in one place only.

        A tale stands where it was told first, latest beginning first, and holds its hits newest
        first: of very many the earliest. `wanted.before` is the first hit of the tale before.
        """
        ...

    async def hit(self, hit_id: str) -> HitDetail: ...

    async def hit_days(self, wanted: HitFilter, now: datetime) -> tuple[tuple[str, int], ...]:
        """(day, hits) of the last 30 days in UTC, oldest first, days without hits included."""
        ...

    async def resolve_id(self, kind: Literal["hit", "delivery"], beginning: str) -> str:
        """The whole id that begins so, where only one does."""
        ...

    async def mark(self, hit_id: str, mark: str | None) -> None:
        """`relevant`, `irrelevant` or None."""
        ...

    async def story(self, story_id: str) -> tuple[Story, tuple[HitDetail, ...]]: ...

    async def rules(self, now: datetime, ids: Sequence[str] | None = None) -> tuple[RuleStats, ...]:
        """Of every rule that ever had a hit (or of those with these ids), by id."""
        ...

    async def deliveries(
        self,
        *,
        states: Sequence[DeliveryState] = (),
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
    ) -> tuple[Delivery, ...]:
        """`before` (created_at, id) continues a listing."""
        ...

    async def delivery(self, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...], tuple[HitDetail, ...]]: ...

    async def outbox(self) -> Mapping[DeliveryState, int]:
        """How many deliveries are in each state."""
        ...

    async def backlog(self, now: datetime) -> Backlog:
        """What is due and not done. Feeds that are paused, gone, or whose host rests are left out."""
        ...

    async def retry(self, ids: Sequence[str], now: datetime) -> int:
        """Make dead, held or waiting deliveries due now; gives how many."""
        ...

    async def acknowledge(self, ids: Sequence[str], now: datetime) -> int:
        """Note that a person knows of sent or dead deliveries, and of their stories; gives how many were news."""
        ...

    async def cancel(self, ids: Sequence[str]) -> int:
        """Suppress deliveries that are not sent yet; gives how many."""
        ...

    async def pause(self, feed: str, paused: bool, now: datetime) -> None: ...

    async def poll_soon(self, feed: str, now: datetime) -> None:
        """Make a feed due now (its host's limit still holds)."""
        ...

    async def silences(self, now: datetime) -> tuple[Silence, ...]: ...

    async def add_silence(self, silence: Silence) -> Silence: ...

    async def remove_silence(self, silence_id: int) -> None: ...

    async def stats(self) -> Stats: ...
