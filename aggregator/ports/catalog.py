"""The reading port of commands and pages, with the changes that people make by hand; and the outbox, which is sent."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from aggregator.core.model import (
    Attempt,
    Backlog,
    By,
    ChannelActivity,
    ChannelTest,
    Delivery,
    DeliveryState,
    Edit,
    Entry,
    Facets,
    FeedLink,
    FeedSummary,
    Health,
    HitDetail,
    HitFilter,
    HitState,
    HostLimit,
    Note,
    RuleStats,
    SearchOrder,
    Silence,
    Stats,
    Story,
    StoryEdit,
    StorySummary,
    Undo,
    View,
)


class Catalog(Protocol):
    """The reading side of the database, for commands and pages, and what people change by hand.

    Listings are newest first; `limit` 0 means all. `by` is the time that a listing's order, `since` and `until`
    mean: publication (recording where a feed gives none, or one in the future), or recording. Raises StoreError,
    NotFound.
    """

    async def feeds(
        self, ids: Sequence[str] | None = None, *, after: str = "", limit: int = 0, counted: bool = True
    ) -> tuple[FeedSummary, ...]:
        """Return configured feeds by id, those behind `after`; or exactly those with these ids, even removed ones.

        `counted`: with their entries and hits, which takes a look at each of these; else both are 0.
        """
        ...

    async def feed_page(
        self, *, health: Health | None = None, offset: int = 0, limit: int = 50, counted: bool = True
    ) -> tuple[FeedSummary, ...]:
        """Return configured feeds (in one state), those with problems first, then by id; `counted` as in `feeds`."""
        ...

    async def health(self) -> Mapping[Health, int]:
        """Return how many configured feeds are in each state; cheap, unlike `feeds`."""
        ...

    async def feed_days(self, ids: Sequence[str], now: datetime) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """Return, for each feed, (day, entries published) of the last 30 days in `now`'s zone, oldest first."""
        ...

    async def hosts(self) -> tuple[HostLimit, ...]: ...

    async def entry(self, entry_id: int) -> Entry: ...

    async def entries(
        self,
        *,
        feed: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "published",
        limit: int = 50,
    ) -> tuple[Entry, ...]: ...

    def scan(
        self, *, since: datetime | None = None, until: datetime | None = None, by: By = "published", batch: int = 500
    ) -> AsyncIterator[tuple[Entry, ...]]:
        """Yield every stored entry that still has its text, in the order of recording, in batches (backtests)."""
        ...

    async def count_entries(
        self, since: datetime | None = None, until: datetime | None = None, by: By = "published"
    ) -> int: ...

    async def search(
        self,
        words: Sequence[Sequence[str]],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by: SearchOrder = "published",
        limit: int = 50,
        before: int | None = None,
    ) -> tuple[Entry, ...]:
        """Return entries whose folded text has, for each group, one of its folded words or phrases.

        `word*` in a group is a prefix. This is a prefilter: the caller verifies with a rule. Newest first by
        one of their times, or the most relevant first, of which `since` and `until` mean publication.
        `before` is the last entry of the page before.
        """
        ...

    async def hits(self, wanted: HitFilter, *, limit: int = 50) -> tuple[HitDetail, ...]: ...

    async def hit_states(self, wanted: HitFilter, *, limit: int) -> tuple[tuple[str, HitState], ...]:
        """Return the ids of a listing's newest hits with what became of them: to count, without reading their texts."""
        ...

    async def stories_of_hits(self, wanted: HitFilter, *, limit: int = 50) -> tuple[tuple[HitDetail, ...], ...]:
        """Return the hits of a listing grouped by story (else by entry), so that a story appears only once.

        A group is sorted by its earliest hit, the latest group first, and holds its hits newest first: of
        very many the earliest. `wanted.before` is the first hit of the group before. With `wanted.todo` a group holds
        the other hits of its story too, so that a card names all of its rules.
        """
        ...

    async def hit(self, hit_id: str) -> HitDetail: ...

    async def hit_days(self, wanted: HitFilter, now: datetime) -> tuple[tuple[str, int], ...]:
        """Return (day, hits) of the last 30 days in `now`'s zone, oldest first, days without hits included."""
        ...

    async def resolve_id(self, kind: Literal["hit", "delivery", "story"], beginning: str) -> str:
        """Return the whole id that begins so, if only one does. Raises NotFound; under MIN_ID_CHARS, unless whole."""
        ...

    async def count_cards(self, wanted: HitFilter, *, limit: int = 1000) -> int:
        """Return how many stories (or entries without one) the newest of a listing make, at most `limit`."""
        ...

    async def facets(self, wanted: HitFilter, *, limit: int = 2000) -> Facets:
        """Return which values the newest `limit` hits of a listing have."""
        ...

    async def mark(self, ids: Sequence[str], mark: str | None, *, cards: bool = False, undo: Undo | None = None) -> int:
        """Mark hits `relevant`, `irrelevant`, `seen` or None; return how many changed. Raises NotFound.

        `cards`: with all hits of their stories, or of their entries. `undo` records the change, here and below.
        """
        ...

    async def undo(self, undo_id: str, now: datetime) -> Undo:
        """Take a recorded change back, in rows that nobody changed since. Raises NotFound, Conflict."""
        ...

    async def labels(self, story_ids: Sequence[str] | None = None) -> Mapping[str, tuple[str, ...]]:
        """Return the labels of stories that have any, by story."""
        ...

    async def label_counts(self) -> Mapping[str, int]:
        """Return how many stories have each label, by label."""
        ...

    async def set_labels(self, story: str, wanted: Sequence[str], *, undo: Undo | None = None) -> None:
        """Give a story these labels and no others."""
        ...

    async def notes(self, story: str) -> tuple[Note, ...]:
        """Return the notes on a story, oldest first."""
        ...

    async def add_note(self, note: Note, *, undo: Undo | None = None) -> Note: ...

    async def remove_note(self, note_id: int, *, undo: Undo | None = None) -> None: ...

    async def views(self) -> tuple[View, ...]:
        """Return the saved views, by name."""
        ...

    async def save_view(self, view: View, *, undo: Undo | None = None) -> None:
        """Save a view; one with the same id is replaced."""
        ...

    async def remove_view(self, view_id: str, *, undo: Undo | None = None) -> None: ...

    async def story(self, story_id: str) -> tuple[Story, tuple[HitDetail, ...]]:
        """Return a story with its hits; of one that was joined to another, that other one."""
        ...

    async def count_baseline(self, rule: str | None = None) -> int:
        """Return how many hits that were there at a first poll have not been sent (of one rule)."""
        ...

    async def baseline(self, rule: str | None = None) -> tuple[HitDetail, ...]:
        """Return these hits, newest first by publication."""
        ...

    async def report_baseline(self, ids: Sequence[str], made: Sequence[Delivery], *, undo: Undo | None = None) -> None:
        """Add deliveries and note that these hits are in them. Raises Conflict if one of them was sent already."""
        ...

    async def recorded(self, ids: Sequence[str]) -> frozenset[str]:
        """Return those of these ids of hits that are stored."""
        ...

    async def stories(
        self,
        *,
        rule: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> tuple[StorySummary, ...]:
        """Return stories by their latest report, which may have to be of a span of time, the latest first.

        `before` (last_at, id) continues a listing.
        """
        ...

    async def edit_stories(self, edit: StoryEdit, *, undo: Undo | None = None) -> None:
        """Write a person's change of stories, whole or not at all."""
        ...

    async def rules(self, now: datetime, ids: Sequence[str] | None = None) -> tuple[RuleStats, ...]:
        """Return the statistics of every rule that ever had a hit (or of those with these ids), by id.

        Days are those of `now`'s zone.
        """
        ...

    async def deliveries(
        self,
        *,
        states: Sequence[DeliveryState] = (),
        channel: str | None = None,
        rule: str | None = None,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
    ) -> tuple[Delivery, ...]:
        """Return deliveries in some state, of a channel, of a rule; `before` (created_at, id) continues a listing."""
        ...

    async def delivery(self, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...], tuple[HitDetail, ...]]: ...

    async def channel_activity(
        self, names: Sequence[str], now: datetime, *, limit: int = 5
    ) -> Mapping[str, ChannelActivity]:
        """Return, for each channel, its latest deliveries that were tried, and how many were sent in the last hour."""
        ...

    async def channel_tests(self) -> Mapping[str, ChannelTest]:
        """Return the last test alert of each channel that was tested."""
        ...

    async def keep_channel_test(self, test: ChannelTest) -> None:
        """Keep a test alert in place of the channel's last one."""
        ...

    async def outbox(self) -> Mapping[DeliveryState, int]:
        """Return how many deliveries are in each state."""
        ...

    async def backlog(self, now: datetime, *, brief: bool = False) -> Backlog:
        """Return what is due and not done. Feeds that are paused, gone, or whose host rests are left out.

        `brief`: only what is cheap however many feeds there are: the oldest due feed, channels, suspects, splits.
        """
        ...

    async def retry(self, ids: Sequence[str], now: datetime) -> int:
        """Make dead, held or waiting deliveries due now; return how many."""
        ...

    async def acknowledge(self, ids: Sequence[str], now: datetime, *, undo: Undo | None = None) -> int:
        """Note that a person knows of sent or dead deliveries, and of their stories; return how many changed."""
        ...

    async def cancel(self, ids: Sequence[str], *, undo: Undo | None = None) -> int:
        """Suppress deliveries that are not sent yet; return how many."""
        ...

    async def pause(self, feed: str, paused: bool, now: datetime, *, undo: Undo | None = None) -> None: ...

    async def poll_soon(self, feed: str, now: datetime) -> None:
        """Make a feed due now (its host's limit still holds)."""
        ...

    async def silences(self, now: datetime) -> tuple[Silence, ...]: ...

    async def add_silence(self, silence: Silence, *, undo: Undo | None = None) -> Silence: ...

    async def remove_silence(self, silence_id: int, *, undo: Undo | None = None) -> None: ...

    async def feed_links(self) -> tuple[FeedLink, ...]:
        """Return the tokens that open a single feed, oldest first."""
        ...

    async def add_feed_link(self, link: FeedLink) -> FeedLink: ...

    async def remove_feed_link(self, link_id: int, *, undo: Undo | None = None) -> None: ...

    async def opens_feed(self, path: str, digest: str) -> bool:
        """Tell whether the token with this digest opens the feed at this path."""
        ...

    async def signing_key(self, fresh: bytes) -> bytes:
        """Return the key that signs links in alerts: the first caller's `fresh` one becomes it; empty while none is."""
        ...

    async def edits(self, *, limit: int = 50) -> tuple[Edit, ...]:
        """Return the latest edits of rules, newest first."""
        ...

    async def edit(self, edit_id: int) -> Edit: ...

    async def add_edit(self, edit: Edit) -> Edit:
        """Keep an edit; of very many the oldest are dropped."""
        ...

    async def stats(self) -> Stats: ...


class Outbox(Protocol):
    """The sending side of the database. Every method raises StoreError."""

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
        """Lease deliveries that are due, or whose lease ran out (`repeat` is set on those that were begun).

        At most `limit`; where `held` is given, up to that many held ones are taken as well.

        Due are pending, retry and held ones with `due_at <= now` (held: a digest's hour has come,
        quiet hours are over); most urgent, then oldest first.
        State becomes `sending`, `attempts` grows by one, an attempt row is appended.
        """
        ...

    async def next_due_at(self) -> datetime | None:
        """Return when the next delivery may be claimed, the ends of leases included; None: nothing waits."""
        ...

    async def due_channels(self, now: datetime) -> frozenset[str]:
        """Return the channels on which something may be claimed."""
        ...

    async def renew(self, ids: Sequence[str], *, owner: str, until: datetime) -> frozenset[str]:
        """Prolong the leases of claimed deliveries; return the ids of those that `owner` still holds."""
        ...

    async def begin(self, delivery: str, *, owner: str, attempt: int) -> None:
        """Record that an attempt is about to be sent: from here on it may have arrived.

        Raises Conflict if owner or attempt are no longer those of the row: then it must not be sent.
        """
        ...

    async def hit_details(self, delivery: Delivery) -> tuple[HitDetail, ...]:
        """Return the hits of a delivery with their entries, newest first."""
        ...

    async def stood_for(self, delivery: Delivery) -> tuple[HitDetail, ...]:
        """Return the hits that alerted nobody since this alert of their story was going to, newest first.

        Those that alert instead of it, since it was silenced for another recipient, are among them.
        """
        ...

    async def first_message(self, delivery: Delivery) -> str:
        """Return the id of the first message with a delivery's story that its recipient got; "" if none is known."""
        ...

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
        """Write the outcome of an attempt, with further deliveries that it makes (dead letters).

        `lost` are hits of it that its recipient does not hear of, but should: the next copy or retelling of their
        stories alerts. So do those of a dead delivery.

        What is held or suppressed was not tried: its attempt is not counted. `at` is when the
        attempt ended. Raises Conflict where owner or attempt are no longer those of the row.
        """
        ...

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        """Return the active silences, read again just before sending."""
        ...

    async def sent_since(self, channel: str, since: datetime) -> int:
        """Return how many deliveries this channel accepted since an instant (for max_per_hour)."""
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

    async def put_off(self, ids: Sequence[str], until: datetime, *, owner: str) -> None:
        """Give claimed deliveries back unsent, due again at `until`."""
        ...
