"""The store in memory: the same four ports, the same answers, no SQL. The contract tests run over it."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import structs

from aggregator.core.delivery import after_death
from aggregator.core.errors import Conflict, DatabaseFault, NotFound, StoreError
from aggregator.core.events import MAX_REPORTS
from aggregator.core.findings import SUSPECT_DEATHS, feed_finding, feed_is_overdue
from aggregator.core.model import (
    FIRST_SILENCED,
    MIN_ID_CHARS,
    REPORTED,
    SPLIT_FROM,
    STORY_HITS,
    TROUBLE,
    UPDATE_TO,
    URGENCY,
    ArticleRequest,
    Attempt,
    Backlog,
    By,
    ChannelActivity,
    ChannelTest,
    Delivery,
    DeliveryState,
    Edit,
    Entry,
    Features,
    FeedLink,
    FeedState,
    FeedSummary,
    Health,
    Hit,
    HitDelivery,
    HitDetail,
    HitFilter,
    HitState,
    HostLimit,
    Overdue,
    PollResult,
    Report,
    Routed,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    RuleHistory,
    RuleStats,
    SearchOrder,
    Silence,
    Stats,
    StoredKey,
    Story,
    StoryEdit,
    StoryMerge,
    StorySummary,
    Suspect,
    Undelivered,
    UndescribedStory,
    Undo,
    Unrouted,
    UnroutedPoll,
    is_to_do,
    last_tried_at,
)
from aggregator.core.polling.health import is_proven
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.lanes import slot_of
from aggregator.core.polling.schedule import rest_after_deaths_s
from aggregator.core.polling.websub import HubSubscription, Offer, Unsubscription
from aggregator.core.routing.batches import chosen_reports
from aggregator.core.settings import Feed
from aggregator.core.stories import EVENT_KEYS, shortlist, unfolding
from aggregator.core.titles import hit_outcome
from aggregator.ports import Decide, Route
from aggregator.ports.cluster import Lane
from aggregator.store.migrations import REVISIONS
from tests.support.memory_triage import MemoryTriage, Triage, undoable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
MAX_ARTICLE_REQUESTS = 10_000
WAITING = (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.RETRY)


T = TypeVar("T")
IndexText = Callable[[Entry], str]


@dataclass
class FeedRow:
    """A feed with what the configuration and people say about it."""

    state: FeedState
    title: str = ""
    configured: bool = True
    enabled: bool = True
    reading: str | None = None
    paused_at: datetime | None = None
    begun_at: datetime | None = None

    def seen(self) -> FeedState:
        """As the ports show it."""
        state = structs.replace(self.state, title=self.title or self.state.title)
        if self.paused_at is not None:
            state = structs.replace(state, health=Health.PAUSED, health_since=self.paused_at)
        return state

    def due_at(self) -> datetime | None:
        if self.state.next_poll_at is not None:
            return self.state.next_poll_at
        return None if self.state.health is Health.GONE else EPOCH


@dataclass
class Waiting:
    """A poll whose hits wait for their routing."""

    poll: UnroutedPoll
    due_at: datetime
    tries: int = 0


@dataclass
class Tables:
    """Everything that is stored."""

    index_text: IndexText
    feeds: dict[str, FeedRow] = field(default_factory=dict)
    memories: dict[str, bytes] = field(default_factory=dict)
    unrouted: list[Waiting] = field(default_factory=list)
    hosts: dict[str, HostLimit] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)
    emptied: set[int] = field(default_factory=set)
    keys: dict[tuple[str, str], StoredKey] = field(default_factory=dict)
    aliases: set[tuple[str, str]] = field(default_factory=set)
    quarantined: list[tuple[str, bytes, str]] = field(default_factory=list)
    wanted: dict[int, tuple[int, datetime]] = field(default_factory=dict)
    subscriptions: dict[str, HubSubscription] = field(default_factory=dict)
    farewells: dict[str, Unsubscription] = field(default_factory=dict)
    hits: dict[str, Hit] = field(default_factory=dict)
    stories: dict[str, Story] = field(default_factory=dict)
    story_keys: dict[str, dict[str, datetime]] = field(default_factory=dict)
    reports: dict[str, tuple[str, Report]] = field(default_factory=dict)
    apart: dict[tuple[str, str], bool] = field(default_factory=dict)
    story_edits: list[StoryEdit] = field(default_factory=list)
    learned: dict[str, bytes] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    channel_tests: dict[str, ChannelTest] = field(default_factory=dict)
    undelivered: dict[Undelivered, bool] = field(default_factory=dict)
    silences: dict[int, Silence] = field(default_factory=dict)
    feed_links: dict[int, FeedLink] = field(default_factory=dict)
    edits: dict[int, Edit] = field(default_factory=dict)
    signing_key: bytes = b""
    triage: Triage = field(default_factory=Triage)
    numbers: int = 0

    def unrouted_at(self, now: datetime) -> Unrouted:
        waiting = self.unrouted
        oldest_at = min((one.poll.at for one in waiting), default=None)
        return Unrouted(len(waiting), oldest_at, any(one.due_at <= now for one in waiting))

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def entry_id(self, feed: str, key: str) -> int | None:
        return next((e.id for e in self.entries.values() if (e.feed, e.key) == (feed, key)), None)

    def rest(self, limits: Iterable[HostLimit]) -> None:
        for limit in limits:
            if limit.host not in self.hosts or self.hosts[limit.host].not_before < limit.not_before:
                self.hosts[limit.host] = limit

    def feed(self, name: str) -> FeedRow:
        if name not in self.feeds:
            raise NotFound("feed", name, list(self.feeds))
        return self.feeds[name]

    def feed_title(self, name: str) -> str:
        return (self.feeds[name].seen().title if name in self.feeds else "") or name

    def story(self, name: str) -> Story:
        """With its reports, the first of them first, and what it was split from."""
        reports = [report for story, report in self.reports.values() if story == name]
        reports.sort(key=lambda report: (report.id != name, report.at, report.id))
        apart = frozenset(other for story, other in self.apart if story == name)
        return structs.replace(self.stories[name], reports=tuple(reports), apart=apart)

    def merge(self, merged: StoryMerge) -> None:
        """Everything that names a story names another one."""
        gone, into = merged
        for key, at in self.story_keys.pop(gone, {}).items():
            self.story_keys.setdefault(into, {}).setdefault(key, at)
        self.reports |= {n: (into, report) for n, (story, report) in self.reports.items() if story == gone}
        self.hits |= {n: structs.replace(row, story=into) for n, row in self.hits.items() if row.story == gone}
        self.deliveries |= {
            n: structs.replace(row, story=into) for n, row in self.deliveries.items() if row.story == gone
        }
        self.silences |= {n: structs.replace(row, story=into) for n, row in self.silences.items() if row.story == gone}
        self.undelivered = {u._replace(story=into) if u.story == gone else u: True for u in self.undelivered}
        renamed = {(into if a == gone else a, into if b == gone else b) for a, b in self.apart}
        self.apart = {(a, b): True for a, b in renamed if a != b}

    def write_stories(self, routed: RoutingResult | StoryEdit) -> None:
        """Stories that were made, grew, or became one, with their reports and keys."""
        for story in routed.stories:
            before = self.stories.get(story.id)
            self.stories[story.id] = (
                structs.replace(story, first_at=before.first_at, acknowledged_at=before.acknowledged_at)
                if before
                else story
            )
            self.stories[story.id] = structs.replace(self.stories[story.id], reports=(), apart=frozenset())
        self.reports |= {report.id: (story, report) for story, report in routed.reports}
        rows = ((key, story_id, at) for story_id, at, keys in routed.keys for key in keys)
        for number, (key, story_id, at) in enumerate(rows):
            self.story_keys.setdefault(story_id, {})[key] = at + number * MICROSECOND
        for merged in routed.merged:
            self.merge(merged)

    def unfolding(self, now: datetime | None) -> frozenset[str]:
        """Rules whose retellings are not folded now."""
        at = {edit.link.other: edit.link.at for edit in self.story_edits if edit.link.apart}
        undone = [
            (h.rule, at[h.story]) for h in self.hits.values() if h.story in at and h.reason.startswith(SPLIT_FROM)
        ]
        return unfolding(undone, now) if now else frozenset()

    def stories_of(self, delivery: Delivery) -> set[str]:
        """The stories that a delivery reports."""
        return {hit.story for hit in map(self.hits.get, delivery.hits) if hit and hit.story}

    def note_suppressed(self, withdrawn: Delivery) -> None:
        """Which hits alert nobody, as no other alert reports them."""
        others = [d for d in self.deliveries.values() if (d.sent_at or _wakes(d)) and d.id != withdrawn.id]
        left = set(withdrawn.hits).difference(*(d.hits for d in others))
        for hit in [self.hits[name] for name in left if name in self.hits]:
            if hit.state in (HitState.ALERTED, HitState.HELD):
                self.hits[hit.id] = structs.replace(hit, state=HitState.SUPPRESSED, reason=withdrawn.reason)

    def note_undelivered(self, lost: Delivery, hits: Sequence[str]) -> None:
        """Of which stories its recipient, or anybody, does not know as these hits of it do not go out."""
        others = [d for d in self.deliveries.values() if (d.sent_at or _wakes(d)) and d.id != lost.id]
        same = {d.story for d in others if (d.channel, d.recipient) == (lost.channel, lost.recipient)}
        anywhere = {story for d in others for story in self.stories_of(d)}
        stories = self.stories_of(structs.replace(lost, hits=tuple(hits))) & self.stories.keys()
        self.undelivered |= {Undelivered(story, lost.channel, lost.recipient): True for story in stories - same}
        self.undelivered |= {Undelivered(story, "", ""): True for story in stories - anywhere}

    def live_silences(self, now: datetime | None) -> tuple[Silence, ...]:
        return tuple(s for s in self.silences.values() if now is None or s.until_at > now)

    def details(self, hits: Iterable[Hit], by: By = "recorded") -> tuple[HitDetail, ...]:
        there = [self._details(hit) for hit in hits if hit.entry_id in self.entries]
        return tuple(sorted(there, key=lambda detail: detail.place(by), reverse=True))

    def _details(self, hit: Hit) -> HitDetail:
        assert hit.entry_id is not None
        story = self.stories.get(hit.story or "")
        return HitDetail(
            hit=hit,
            entry=self.entries[hit.entry_id],
            feed_title=self.feed_title(hit.feed),
            rule_title=hit.rule,
            also_in=tuple(self.feed_title(f) for f in story.feeds if f != hit.feed) if story else (),
        )

    def with_deliveries(self, details: Iterable[HitDetail]) -> tuple[HitDetail, ...]:
        """Add the alerts that report each hit."""
        ordered = sorted(self.deliveries.values(), key=lambda one: (one.created_at, one.id))
        shown = [one for one in ordered if not one.reason.startswith("folded into ")]
        return tuple(
            structs.replace(
                detail,
                deliveries=tuple(_short(one) for one in shown if detail.hit.id in one.hits),
                earlier_alerts=tuple(_short(one) for one in shown if self._is_earlier(one, detail.hit)),
            )
            for detail in details
        )

    def _is_earlier(self, alert: Delivery, hit: Hit) -> bool:
        """Tell whether an alert of its rule had reported the story of a hit that joined it."""
        joined = hit.because is not None and hit.because.kind is not None
        about = [self.hits[one] for one in alert.hits if one in self.hits]
        same = any((one.story, one.rule) == (hit.story, hit.rule) for one in about)
        return joined and same and hit.id not in alert.hits and alert.created_at <= hit.created_at


def _short(delivery: Delivery) -> HitDelivery:
    waits = delivery.state in (*WAITING, DeliveryState.SENDING)
    at = delivery.sent_at or (delivery.due_at if waits else None)
    return HitDelivery(id=delivery.id, channel=delivery.channel, state=delivery.state, at=at)


class MemoryFeeds:
    """`ports.Feeds` in memory."""

    routes_later = False

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def sync(self, feeds: Sequence[Feed], now: datetime) -> None:
        rows = self._tables.feeds
        for row in rows.values():
            row.configured = row.enabled = False
        for feed in feeds:
            fresh = FeedState(id=feed.id, url=str(feed.url), configured_url=str(feed.url), health_since=now)
            row = rows.setdefault(feed.id, FeedRow(state=fresh))
            row.title, row.configured, row.enabled = feed.title, True, feed.enabled
            before, row.reading = row.reading, feed.reading.text
            if row.state.configured_url != fresh.configured_url or before not in (None, row.reading):
                kept = ("title", "first_polled_at", "last_new_at", "newest_at", "gap_s", "parse_levels")
                row.state = structs.replace(fresh, **{name: getattr(row.state, name) for name in kept})
                row.begun_at = None
                self._tables.memories.pop(feed.id, None)

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
        self._bring_back(now, owner)
        resting = {host for host, limit in self._tables.hosts.items() if limit.not_before > now}
        chosen = [
            row
            for row in self._tables.feeds.values()
            if self._claimable(row, now, ids, force)
            and host_key(row.state.url) not in resting
            and (is_proven(row.state) or not proven)
            and (lane is None or slot_of(host_key(row.state.url)) % lane.of == lane.number)
        ]
        chosen.sort(key=lambda row: (row.due_at() or datetime.max.replace(tzinfo=UTC), row.state.id))
        until, claimed, shares = now + timedelta(seconds=lease_s), list[FeedState](), Counter[str]()
        for row in [row for row in chosen if host_key(row.state.url) not in busy][:limit]:
            host = host_key(row.state.url)
            shares[host] += 1
            if per_host is None or shares[host] <= per_host:
                row.state = structs.replace(row.state, lease_owner=owner, lease_until=until)
                claimed.append(row.seen())
        return tuple(claimed)

    def _bring_back(self, now: datetime, owner: str) -> None:
        for row in self._tables.feeds.values():
            state = row.state
            if row.begun_at and state.lease_until and state.lease_until <= now and state.lease_owner != owner:
                rest = now + timedelta(seconds=rest_after_deaths_s(state.deaths + 1))
                next_at = max(state.next_poll_at or rest, rest)
                freed = structs.replace(state, lease_owner=None, lease_until=None)
                row.state, row.begun_at = structs.replace(freed, deaths=state.deaths + 1, next_poll_at=next_at), None

    async def begin(self, feed: str, now: datetime, *, owner: str) -> None:
        row = self._tables.feeds.get(feed)
        if row and row.state.lease_owner == owner:
            row.begun_at = now

    def _claimable(self, row: FeedRow, now: datetime, ids: Sequence[str] | None, force: bool) -> bool:
        leased = row.state.lease_until is not None and row.state.lease_until > now
        if not row.enabled or leased or (ids is not None and row.state.id not in ids):
            return False
        if row.paused_at is not None and not (force and ids is not None):
            return False
        due = row.due_at()
        return force or (due is not None and due <= now)

    async def next_due_at(self) -> datetime | None:
        waiting = [r.due_at() for r in self._tables.feeds.values() if r.enabled and not r.paused_at]
        free = [r.state.lease_owner is None for r in self._tables.feeds.values() if r.enabled and not r.paused_at]
        return min((due for due, unleased in zip(waiting, free, strict=True) if due and unleased), default=None)

    async def memory(self, feed: str) -> bytes | None:
        return self._tables.memories.get(feed)

    async def known(
        self, feed: str, keys: Sequence[str], aliases: Sequence[str] = ()
    ) -> tuple[Mapping[str, StoredKey], frozenset[str]]:
        tables = self._tables
        stored = {key: tables.keys[feed, key] for key in keys if (feed, key) in tables.keys}
        return stored, frozenset(a for a in aliases if (feed, a) in tables.aliases or (feed, a) in tables.keys)

    async def contents(self, feed: str, keys: Sequence[str]) -> Mapping[str, str]:
        wanted = [one for one in self._tables.entries.values() if one.feed == feed and one.key in keys]
        return {one.key: one.content for one in wanted if one.content}

    async def commit(
        self,
        poll: PollResult,
        *,
        owner: str,
        question: RoutingQuery | None = None,
        route: Route | None = None,
        later: UnroutedPoll | None = None,
    ) -> tuple[Entry, ...]:
        tables, row = self._tables, self._tables.feeds.get(poll.state.id)
        if row is None or row.state.lease_owner != owner:
            raise Conflict(f"feed {poll.state.id}: lease lost")
        routed = RoutingResult(hits=poll.hits)
        if later is not None:
            routed = RoutingResult(hits=tuple(structs.replace(hit, state=HitState.NEW) for hit in poll.hits))
            tables.unrouted.append(Waiting(later, later.at))
        elif route is not None:
            routed = route(self._answer(question or RoutingQuery(), poll.state.last_polled_at))
        self._check_hits(poll, routed.hits)
        if not poll.unfinished:
            kept = structs.replace(
                poll.state, configured_url=row.state.configured_url, lease_owner=None, lease_until=None
            )
            row.state = structs.replace(kept, hub_until=row.state.hub_until)
            row.begun_at = None
        if poll.memory is not None:
            tables.memories[poll.state.id] = poll.memory
        tables.rest(poll.hosts)
        tables.quarantined += [(poll.state.id, data, reason) for data, reason in poll.quarantined]
        entries = tuple(self.store_entry(entry) for entry in poll.entries)
        numbers = {entry.key: entry.id for entry in entries}
        for key in poll.articles_wanted[: max(0, MAX_ARTICLE_REQUESTS - len(tables.wanted))]:
            tables.wanted.setdefault(numbers[key] or 0, (0, poll.state.last_polled_at or EPOCH))
        self._write(routed)
        for notice in poll.notices:
            tables.deliveries.setdefault(notice.id, notice)
        return entries

    async def unrouted(self, now: datetime) -> Unrouted:
        return self._tables.unrouted_at(now)

    async def route_waiting(self, decide: Decide, now: datetime, *, config: int, limit: int = 500) -> Routed:
        """One after the other, as the commits would have done: what a batch of them has to equal."""
        tables, polls, written, reports, channels = self._tables, 0, 0, list[Report](), set[str]()
        outcomes = Counter[str]()
        for one in [one for one in tables.unrouted if one.due_at <= now and one.poll.config <= config]:
            if polls and written + len(one.poll.hits) > limit:
                break
            stored = [tables.hits[hit.id] for hit in one.poll.hits if hit.id in tables.hits]
            new = {hit.id for hit in stored if hit.state is HitState.NEW}
            try:
                question, route = decide(structs.replace(one.poll, hits=tuple(stored)))
                context = self._answer(question or RoutingQuery(), now)
                silences = tables.live_silences(one.poll.at)
                routed = route(structs.replace(context, known=context.known - new, silences=silences))
            except Exception as error:  # noqa: BLE001  whatever it is, it concerns this poll only
                wait_s = min(5.0 * 2**one.tries, 3600.0)
                one.due_at, one.tries = now + timedelta(seconds=wait_s), one.tries + 1
                return Routed(failed=((one.poll.feed, str(error)),))
            for hit in routed.hits:
                del tables.hits[hit.id]
            self._write(routed)
            tables.unrouted.remove(one)
            polls, written = polls + 1, written + len(routed.hits)
            outcomes.update(map(hit_outcome, routed.hits))
            reports += one.poll.reports.values()
            due = (d for d in routed.deliveries if d.state is DeliveryState.PENDING and d.due_at <= now)
            channels |= {delivery.channel for delivery in due}
        return Routed(
            polls=polls, hits=written, outcomes=outcomes, reports=tuple(reports), channels=frozenset(channels)
        )

    async def record(self, question: RoutingQuery, route: Route, now: datetime) -> int:
        routed = route(self._answer(question, now))
        self._write(routed)
        return len(routed.hits)

    def _write(self, routed: RoutingResult) -> None:
        tables = self._tables
        for hit in routed.hits:
            entry_id = hit.entry_id if hit.entry_id is not None else tables.entry_id(hit.feed, hit.entry_key)
            tables.hits.setdefault(hit.id, structs.replace(hit, entry_id=entry_id))
        tables.write_stories(routed)
        for delivery in routed.deliveries:
            tables.deliveries.setdefault(delivery.id, delivery)
        for hit_id, because in routed.reasons:
            tables.hits[hit_id] = structs.replace(tables.hits[hit_id], because=because)
        tables.undelivered = {u: True for u in tables.undelivered if u not in routed.redelivered}

    def _check_hits(self, poll: PollResult, hits: Sequence[Hit]) -> None:
        """Before anything is written: all or nothing."""
        new = {(entry.feed, entry.key) for entry in poll.entries}
        for hit in hits:
            place = (hit.feed, hit.entry_key)
            if hit.entry_id is None and place not in new and self._tables.entry_id(*place) is None:
                raise StoreError(f"hit {hit.id} names an entry that is not stored")

    def store_entry(self, entry: Entry) -> Entry:
        tables, place = self._tables, (entry.feed, entry.key)
        known = tables.keys.get(place)
        if known is None or known.version < entry.version:
            tables.keys[place] = StoredKey(key=entry.key, content_hash=entry.content_hash, version=entry.version)
        tables.aliases |= {(entry.feed, alias) for alias in entry.aliases}
        there = tables.entry_id(*place)
        if there is None:
            there = tables.number()
            tables.entries[there] = structs.replace(entry, id=there)
        elif tables.entries[there].version < entry.version:
            tables.entries[there] = structs.replace(entry, id=there, seen_at=tables.entries[there].seen_at)
            tables.emptied.discard(there)
        return structs.replace(entry, id=there)

    def _answer(self, question: RoutingQuery, now: datetime | None) -> RoutingContext:
        tables = self._tables
        homes = {
            (hit.feed, hit.entry_key): hit.story
            for hit in sorted(tables.hits.values(), key=lambda hit: (hit.created_at, hit.id))
            if hit.story and (hit.feed, hit.entry_key) in question.entries
        }
        wanted = {key for lookup in question.lookups for key in lookup}
        keys = {key: found for key in sorted(wanted) if (found := self._having(key, question))}
        near = {name for lookup in question.lookups for names in shortlist(lookup, keys) for name in names}
        wholes = [tables.story(name) for name in near.union(homes.values())]
        stories = [structs.replace(one, reports=chosen_reports(one.id, one.reports, MAX_REPORTS)) for one in wholes]
        return RoutingContext(
            known=frozenset(question.hits) & tables.hits.keys(),
            homes=homes,
            keys=keys,
            unfolding=tables.unfolding(now),
            stories=tuple(sorted(stories, key=lambda story: (story.first_at, story.id))),
            undelivered=tuple(sorted(u for u in tables.undelivered if u.story in {story.id for story in stories})),
            histories=tuple(self._history(rule, at) for rule, at in question.histories),
            silences=tables.live_silences(now),
        )

    def _having(self, key: str, question: RoutingQuery) -> dict[str, datetime]:
        """The latest stories that have a key, oldest first."""
        since = (question.events_since if key.startswith(EVENT_KEYS) else question.stories_since) or EPOCH
        having = [(at, story) for story, keys in self._tables.story_keys.items() if (at := keys.get(key))]
        return {story: at for at, story in sorted(having)[-64:] if at >= since}

    async def recent_features(self, feed: str, limit: int) -> tuple[Features, ...]:
        of_feed = [report for _, report in self._tables.reports.values() if report.feed == feed]
        return tuple(r.features for r in sorted(of_feed, key=lambda r: r.at, reverse=True)[:limit])

    async def undescribed(self, since: datetime, limit: int) -> tuple[UndescribedStory, ...]:
        described = {story for story, _ in self._tables.reports.values()}
        found = []
        for name in self._tables.stories.keys() - described:
            story = self._tables.story(name)
            numbers = [hit.entry_id for hit in self._tables.hits.values() if hit.story == name and hit.entry_id]
            if story.first_at >= since and story.joined is None and numbers:
                of_entry = tuple(hit for hit in self._tables.hits.values() if hit.entry_id == min(numbers))
                found.append(UndescribedStory(story, self._tables.entries[min(numbers)], of_entry))
        return tuple(sorted(found, key=lambda one: one.story.last_at, reverse=True)[:limit])

    async def learned(self, name: str) -> bytes | None:
        return self._tables.learned.get(name)

    async def learn(self, name: str, data: bytes) -> None:
        self._tables.learned[name] = data

    def _history(self, rule: str, since: datetime) -> RuleHistory:
        of_rule = [h for h in self._tables.hits.values() if h.rule == rule and h.state is not HitState.NEW]
        return RuleHistory(
            rule=rule,
            hits=tuple(sorted((h.created_at, h.feed, h.id) for h in of_rule if h.created_at >= since)),
            last_alert_at=max((h.created_at for h in of_rule if h.state is HitState.ALERTED), default=None),
        )

    async def release(self, ids: Sequence[str], *, owner: str) -> None:
        for row in self._tables.feeds.values():
            if row.state.id in ids and row.state.lease_owner == owner:
                row.state = structs.replace(row.state, lease_owner=None, lease_until=None)
                row.begun_at = None


UNALERTED = (HitState.FOLDED, HitState.COLLAPSED)


class MemoryOutbox:
    """`ports.Outbox` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

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
        self._bring_back(now, owner)
        due = [d for d in self._tables.deliveries.values() if (at := _wakes(d)) and at <= now]
        waited = [d for d in due if held is not None and d.state is DeliveryState.HELD]
        instant = [d for d in due if d not in waited]
        chosen = [*self._fair_share(instant, limit, channels), *self._fair_share(waited, held or 0, channels)]
        return tuple(self._lease(delivery, now, owner, lease_s) for delivery in sorted(chosen, key=_order))

    def _bring_back(self, now: datetime, owner: str) -> None:
        for lost in list(self._tables.deliveries.values()):
            lapsed = lost.state is DeliveryState.SENDING and (_wakes(lost) or now) <= now
            if lapsed and self._begun(lost) and lost.lease_owner != owner:
                self._tables.deliveries[lost.id] = after_death(lost, now)
                self._tables.attempts[lost.id, lost.attempts] = structs.replace(
                    self._tables.attempts[lost.id, lost.attempts],
                    ended_at=now,
                    detail="the process ended during this attempt",
                )

    @staticmethod
    def _fair_share(due: Sequence[Delivery], limit: int, channels: Sequence[str] | None) -> list[Delivery]:
        queues: dict[str, list[Delivery]] = {}
        for delivery in sorted(due, key=_order):
            if channels is None or delivery.channel in channels:
                queues.setdefault(delivery.channel, []).append(delivery)
        turns = [(turn, _order(d), d) for queue in queues.values() for turn, d in enumerate(queue)]
        return [d for _, _, d in sorted(turns, key=lambda one: one[:2])][:limit]

    def _lease(self, delivery: Delivery, now: datetime, owner: str, lease_s: float) -> Delivery:
        claimed = structs.replace(
            delivery,
            state=DeliveryState.SENDING,
            attempts=delivery.attempts + 1,
            repeat=delivery.repeat or (delivery.state is DeliveryState.SENDING and self._begun(delivery)),
            lease_owner=owner,
            lease_until=now + timedelta(seconds=lease_s),
        )
        self._tables.deliveries[delivery.id] = claimed
        attempt = Attempt(delivery=delivery.id, number=claimed.attempts, started_at=now)
        self._tables.attempts[delivery.id, claimed.attempts] = attempt
        return claimed

    async def next_due_at(self) -> datetime | None:
        return min((at for d in self._tables.deliveries.values() if (at := _wakes(d))), default=None)

    async def due_channels(self, now: datetime) -> frozenset[str]:
        return frozenset(d.channel for d in self._tables.deliveries.values() if (at := _wakes(d)) and at <= now)

    async def renew(self, ids: Sequence[str], *, owner: str, until: datetime) -> frozenset[str]:
        rows = [self._tables.deliveries[name] for name in ids if name in self._tables.deliveries]
        held = {d.id: d for d in rows if d.state is DeliveryState.SENDING and d.lease_owner == owner}
        self._tables.deliveries |= {name: structs.replace(row, lease_until=until) for name, row in held.items()}
        return frozenset(held)

    def _begun(self, delivery: Delivery) -> bool:
        attempt = self._tables.attempts.get((delivery.id, delivery.attempts))
        return attempt is not None and attempt.outcome == "unknown"

    async def begin(self, delivery: str, *, owner: str, attempt: int) -> None:
        self._owned(delivery, owner, attempt)
        begun = structs.replace(self._tables.attempts[delivery, attempt], outcome="unknown")
        self._tables.attempts[delivery, attempt] = begun

    async def hit_details(self, delivery: Delivery) -> tuple[HitDetail, ...]:
        return self._tables.details(self._tables.hits[hit] for hit in delivery.hits if hit in self._tables.hits)

    async def stood_for(self, delivery: Delivery) -> tuple[HitDetail, ...]:
        return self._tables.details(
            hit
            for hit in self._tables.hits.values()
            if delivery.story
            and (hit.story, hit.rule in delivery.rules) == (delivery.story, True)
            and hit.created_at >= delivery.created_at
            and (hit.state in UNALERTED or hit.reason == FIRST_SILENCED)
            and hit.id not in delivery.hits
        )

    async def first_message(self, delivery: Delivery) -> str:
        sent = [
            (one.sent_at, one.id, one.message_id)
            for one in self._tables.deliveries.values()
            if delivery.story
            and (one.channel, one.recipient) == (delivery.channel, delivery.recipient)
            and delivery.story in (one.story, *self._tables.stories_of(one))
            and one.sent_at
            and one.message_id
        ]
        return min(sent)[2] if sent else ""

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
        before = self._owned(after.id, owner, attempt)
        settled = structs.replace(after, attempts=before.attempts, lease_owner=None, lease_until=None)
        self._tables.deliveries[after.id] = settled
        if after.state in (DeliveryState.HELD, DeliveryState.SUPPRESSED):
            self._untry(settled)
        else:
            unsure = after.state is DeliveryState.RETRY and after.repeat and not before.repeat
            self._tables.attempts[after.id, attempt] = structs.replace(
                self._tables.attempts[after.id, attempt],
                ended_at=at or after.sent_at,
                outcome="unknown" if unsure else after.state.value,
                detail=after.last_error or "",
            )
        await self.add(also)
        for hit in [self._tables.hits[name] for one in also for name in one.hits if name in self._tables.hits]:
            if hit.state in UNALERTED:
                alerted = structs.replace(hit, state=HitState.ALERTED, reason=FIRST_SILENCED)
                self._tables.hits[hit.id] = alerted
        if after.state is DeliveryState.SUPPRESSED:
            self._tables.note_suppressed(after)
        self._tables.note_undelivered(after, after.hits if after.state is DeliveryState.DEAD else lost)

    def _owned(self, delivery: str, owner: str, attempt: int) -> Delivery:
        row = self._tables.deliveries.get(delivery)
        if row is None or (row.state, row.lease_owner, row.attempts) != (DeliveryState.SENDING, owner, attempt):
            raise Conflict(f"delivery {delivery}: lease lost")
        return row

    def _untry(self, delivery: Delivery) -> None:
        self._tables.attempts.pop((delivery.id, delivery.attempts), None)
        self._tables.deliveries[delivery.id] = structs.replace(delivery, attempts=delivery.attempts - 1)

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        return self._tables.live_silences(now)

    async def sent_since(self, channel: str, since: datetime) -> int:
        sent = [d.sent_at for d in self._tables.deliveries.values() if d.channel == channel and d.sent_at]
        return sum(at >= since for at in sent)

    async def fold(self, members: Sequence[Delivery], into: Delivery, *, owner: str) -> None:
        for member in members:
            self._owned(member.id, owner, member.attempts)
        for member in members:
            reason = f"folded into {into.id}"
            row = structs.replace(self._tables.deliveries[member.id], state=DeliveryState.SUPPRESSED, reason=reason)
            self._untry(structs.replace(row, lease_owner=None, lease_until=None))
        await self.add([into])

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        new = {d.id: d for d in deliveries if d.id not in self._tables.deliveries}
        self._tables.deliveries |= new
        return len(new)

    async def release(self, ids: Sequence[str], *, owner: str) -> None:
        await self.put_off(ids, None, owner=owner)

    async def put_off(self, ids: Sequence[str], until: datetime | None, *, owner: str) -> None:
        for delivery in map(self._tables.deliveries.get, ids):
            if delivery and delivery.state is DeliveryState.SENDING and delivery.lease_owner == owner:
                state = DeliveryState.RETRY if delivery.attempts > 1 else DeliveryState.PENDING
                due_at = until or delivery.due_at
                self._untry(structs.replace(delivery, state=state, due_at=due_at, lease_owner=None, lease_until=None))


class MemorySubscriptions:
    """`ports.Subscriptions` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def offers(self) -> tuple[Offer, ...]:
        polled = sorted(
            (row.state for row in self._tables.feeds.values() if row.enabled and not row.paused_at), key=_id
        )
        return tuple(
            Offer(feed=state.id, hub=state.hub, topic=state.self_url or state.url) for state in polled if state.hub
        )

    async def all(self) -> tuple[HubSubscription, ...]:
        return tuple(self._tables.subscriptions[feed] for feed in sorted(self._tables.subscriptions))

    async def of(self, callback: str) -> HubSubscription | None:
        return next((one for one in self._tables.subscriptions.values() if one.callback == callback), None)

    async def save(self, subscription: HubSubscription) -> None:
        self._tables.subscriptions[subscription.feed] = subscription
        self._promise(subscription.feed, subscription.lease_until)

    async def moved(self, feed: str, to: str) -> None:
        self._tables.subscriptions[feed] = replace(self._tables.subscriptions[feed], moved_to=to)

    async def remove(self, names: Sequence[str], leaving: Sequence[Unsubscription] = ()) -> None:
        for feed in names:
            self._tables.subscriptions.pop(feed, None)
            self._promise(feed, None)
        self._tables.farewells |= {one.callback: one for one in leaving}

    async def leaving(self) -> tuple[Unsubscription, ...]:
        return tuple(sorted(self._tables.farewells.values(), key=lambda one: (one.left_at, one.callback)))

    async def mark_requested(self, callback: str) -> None:
        self._tables.farewells[callback] = replace(self._tables.farewells[callback], requested=True)

    async def forget(self, callbacks: Sequence[str]) -> None:
        for callback in callbacks:
            self._tables.farewells.pop(callback, None)

    def _promise(self, feed: str, until: datetime | None) -> None:
        row = self._tables.feeds[feed]
        row.state = structs.replace(row.state, hub_until=until)


def _id(state: FeedState) -> str:
    return state.id


class MemoryArticleQueue:
    """`ports.Texts` in memory."""

    def __init__(self, tables: Tables, feeds: MemoryFeeds) -> None:
        self._tables = tables
        self._feeds = feeds

    async def due(self, now: datetime, *, lease_s: float, limit: int) -> tuple[ArticleRequest, ...]:
        tables = self._tables
        tables.wanted = {entry: request for entry, request in tables.wanted.items() if entry in tables.entries}
        waiting = sorted((at, entry, tries) for entry, (tries, at) in tables.wanted.items() if at <= now)
        chosen = [(entry, tries + 1) for _, entry, tries in waiting if not self._rests(entry, now)][:limit]
        for entry, attempts in chosen:
            tables.wanted[entry] = (attempts, now + timedelta(seconds=lease_s))
        return tuple(ArticleRequest(entry=tables.entries[entry], attempts=tries) for entry, tries in sorted(chosen))

    async def next_due_at(self) -> datetime | None:
        return min(
            (at for entry, (_, at) in self._tables.wanted.items() if entry in self._tables.entries), default=None
        )

    def _rests(self, entry: int, now: datetime) -> bool:
        limit = self._tables.hosts.get(host_key(self._tables.feeds[self._tables.entries[entry].feed].state.url))
        return limit is not None and limit.not_before > now

    async def put_off(self, entry: int, until: datetime, hosts: Sequence[HostLimit] = ()) -> None:
        if entry in self._tables.wanted:
            self._tables.wanted[entry] = (self._tables.wanted[entry][0], until)
        self._tables.rest(hosts)

    async def drop(self, wanted: Sequence[int]) -> None:
        for entry in wanted:
            self._tables.wanted.pop(entry, None)

    async def fill(
        self,
        entry: Entry,
        now: datetime,
        *,
        question: RoutingQuery | None,
        route: Route,
        later: UnroutedPoll,
    ) -> int:
        before = self._tables.entries.get(entry.id or 0)
        if before is None or before.version != entry.version - 1:
            raise Conflict(f"feed {entry.feed}: edited meanwhile")
        self._feeds.store_entry(entry)
        await self.drop([entry.id or 0])
        return await self._feeds.record(question, route, now) if question else 0


def _wakes(delivery: Delivery) -> datetime | None:
    if delivery.state is DeliveryState.SENDING:
        return delivery.lease_until or delivery.due_at
    return delivery.due_at if delivery.state in WAITING else None


def _order(delivery: Delivery) -> tuple[int, int, datetime, datetime, str]:
    return (URGENCY.get(delivery.priority, 1), delivery.deaths, delivery.due_at, delivery.created_at, delivery.id)


class MemoryCatalog(MemoryTriage):
    """`ports.Catalog` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def feeds(
        self, ids: Sequence[str] | None = None, *, after: str = "", limit: int = 0, counted: bool = True
    ) -> tuple[FeedSummary, ...]:
        rows = self._tables.feeds
        named = sorted(name for name, row in rows.items() if row.configured) if ids is None else sorted(set(ids))
        named = [name for name in named if name > after][: limit or None]
        entries = Counter(entry.feed for entry in self._tables.entries.values() if counted)
        hits = Counter(hit.feed for hit in self._tables.hits.values() if counted)
        return tuple(
            FeedSummary(state=self._tables.feed(name).seen(), entries=entries[name], hits=hits[name]) for name in named
        )

    async def feed_page(
        self, *, health: Health | None = None, offset: int = 0, limit: int = 50, counted: bool = True
    ) -> tuple[FeedSummary, ...]:
        found = sorted(await self.feeds(counted=counted), key=_worst_first)
        return _first([row for row in found if health in (None, row.state.health)][offset:], limit)

    async def resolve_id(self, kind: Literal["hit", "delivery", "story"], beginning: str) -> str:
        tables = self._tables
        ids = {"hit": list(tables.hits), "delivery": list(tables.deliveries), "story": list(tables.stories)}[kind]
        found = sorted(name for name in ids if name.startswith(beginning))
        if beginning in found or (len(found) == 1 and len(beginning) >= MIN_ID_CHARS):
            return found[0]
        raise NotFound(kind, beginning)

    async def health(self) -> Mapping[Health, int]:
        return Counter(row.seen().health for row in self._tables.feeds.values() if row.configured)

    async def feed_days(self, ids: Sequence[str], now: datetime) -> Mapping[str, tuple[tuple[str, int], ...]]:
        entries = self._tables.entries.values()
        return {feed: days((entry.dated_at for entry in entries if entry.feed == feed), now) for feed in ids}

    async def hosts(self) -> tuple[HostLimit, ...]:
        return tuple(sorted(self._tables.hosts.values(), key=lambda limit: limit.not_before, reverse=True))

    async def entry(self, entry_id: int) -> Entry:
        if entry_id not in self._tables.entries:
            raise NotFound("entry", str(entry_id))
        return self._tables.entries[entry_id]

    async def entries(
        self,
        *,
        feed: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "published",
        limit: int = 50,
    ) -> tuple[Entry, ...]:
        wanted = [e for e in self._entries(since, until, by) if feed is None or e.feed == feed]
        return _first(sorted(wanted, key=lambda e: _entry_place(e, by), reverse=True), limit)

    def _entries(self, since: datetime | None, until: datetime | None, by: By) -> list[Entry]:
        return [e for e in self._tables.entries.values() if _within(_entry_place(e, by)[0], since, until)]

    async def scan(
        self, *, since: datetime | None = None, until: datetime | None = None, by: By = "published", batch: int = 500
    ) -> AsyncIterator[tuple[Entry, ...]]:
        full = iter([entry for entry in self._entries(since, until, by) if entry.id not in self._tables.emptied])
        while page := tuple(islice(full, batch)):
            yield page

    async def count_entries(
        self, since: datetime | None = None, until: datetime | None = None, by: By = "published"
    ) -> int:
        return len(self._entries(since, until, by))

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
        time: By = "recorded" if by == "recorded" else "published"
        if before is not None and before not in self._tables.entries:
            raise NotFound("entry", str(before), why="begin the search again")
        last = None if before is None else _entry_place(self._tables.entries[before], time)
        found = [
            entry
            for entry in self._entries(since, until, time)
            if (last is None or _entry_place(entry, time) < last)
            and all(any(self._has(entry, term) for term in group) for group in words)
        ]
        if by == "relevance":
            return _first(sorted(found, key=lambda e: self._share(e, words), reverse=True), limit)
        return _first(sorted(found, key=lambda e: _entry_place(e, time), reverse=True), limit)

    def _share(self, entry: Entry, words: Sequence[Sequence[str]]) -> float:
        text = self._tables.index_text(entry).split()
        return sum(text.count(term) for group in words for term in group) / len(text)

    def _has(self, entry: Entry, term: str) -> bool:
        text = f" {' '.join(self._tables.index_text(entry).split())} "
        words = " ".join(term.removesuffix("*").split())
        return bool(words) and (f" {words}" if term.endswith("*") else f" {words} ") in text

    async def hits(self, wanted: HitFilter, *, limit: int = 50) -> tuple[HitDetail, ...]:
        return self._tables.with_deliveries(_first(self._fitting(wanted), limit))

    def _fitting(self, wanted: HitFilter) -> tuple[HitDetail, ...]:
        every = self._tables.details(self._tables.hits.values(), wanted.by)
        return tuple(detail for detail in every if _fits(detail, wanted) and self._has_more(detail, wanted))

    def _has_more(self, detail: HitDetail, wanted: HitFilter) -> bool:
        hit = detail.hit
        return (
            (not wanted.todo or is_to_do(hit))
            and wanted.lang in (None, detail.entry.lang)
            and (wanted.label is None or (hit.story or "", wanted.label) in self._tables.triage.labels)
        )

    async def stories_of_hits(self, wanted: HitFilter, *, limit: int = 50) -> tuple[tuple[HitDetail, ...], ...]:
        stories = _by_story(await self.hits(structs.replace(wanted, before=None), limit=0))
        members = _by_story(await self.hits(structs.replace(wanted, before=None, todo=False), limit=0))
        places = {key: story_hits[-1].place(wanted.by) for key, story_hits in stories.items()}
        found = sorted(places, key=lambda key: places[key], reverse=True)
        later = [tuple(members[key][-STORY_HITS:]) for key in found if not wanted.before or places[key] < wanted.before]
        return _first(later, limit)

    async def hit(self, hit_id: str) -> HitDetail:
        return self._tables.with_deliveries(self._tables.details([self._hit(hit_id)]))[0]

    def _hit(self, hit_id: str) -> Hit:
        if hit_id not in self._tables.hits:
            raise NotFound("hit", hit_id)
        return self._tables.hits[hit_id]

    async def hit_days(self, wanted: HitFilter, now: datetime) -> tuple[tuple[str, int], ...]:
        return days((detail.place(wanted.by)[0] for detail in self._fitting(wanted)), now)

    async def story(self, story_id: str) -> tuple[Story, tuple[HitDetail, ...]]:
        if story_id not in self._tables.stories:
            raise NotFound("story", story_id)
        while joined := self._tables.stories[story_id].joined:
            story_id = joined
        hits = [hit for hit in self._tables.hits.values() if hit.story == story_id]
        return self._tables.story(story_id), self._tables.with_deliveries(self._tables.details(hits, "published"))

    async def count_baseline(self, rule: str | None = None) -> int:
        return len(await self.baseline(rule))

    async def baseline(self, rule: str | None = None) -> tuple[HitDetail, ...]:
        found = [hit for hit in self._tables.hits.values() if hit.reason == "baseline" and rule in (None, hit.rule)]
        return self._tables.details(found, "published")

    async def report_baseline(self, ids: Sequence[str], made: Sequence[Delivery], *, undo: Undo | None = None) -> None:
        if not set(ids) <= {detail.hit.id for detail in await self.baseline()}:
            raise Conflict("these hits were sent meanwhile")
        with undoable(self._tables, undo):
            for name in ids:
                self._tables.hits[name] = structs.replace(self._tables.hits[name], reason=REPORTED)
            self._tables.deliveries |= {delivery.id: delivery for delivery in made}

    async def recorded(self, ids: Sequence[str]) -> frozenset[str]:
        return frozenset(ids) & self._tables.hits.keys()

    async def stories(
        self,
        *,
        rule: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> tuple[StorySummary, ...]:
        found = sorted(self._tables.stories.values(), key=lambda story: (story.last_at, story.id), reverse=True)
        hits = {name: [h for h in self._tables.hits.values() if h.story == name] for name in self._tables.stories}
        chosen = [
            StorySummary(
                id=story.id,
                title=story.title,
                feeds=story.feeds,
                first_at=story.first_at,
                last_at=story.last_at,
                alerted_at=story.alerted_at,
                hits=len(hits[story.id]),
                folded=sum(hit.state is HitState.FOLDED for hit in hits[story.id]),
                updates=sum(hit.reason.startswith(UPDATE_TO) for hit in hits[story.id]),
            )
            for story in found
            if story.joined is None
            and (since is None or story.last_at >= since)
            and (until is None or story.last_at < until)
            and (before is None or (story.last_at, story.id) < before)
            and (rule is None or any(hit.rule == rule for hit in hits[story.id]))
        ]
        return _first(chosen, limit)

    async def edit_stories(self, edit: StoryEdit, *, undo: Undo | None = None) -> None:
        with undoable(self._tables, undo):
            self._edit_stories(edit)

    def _edit_stories(self, edit: StoryEdit) -> None:
        tables = self._tables
        tables.write_stories(edit)
        tables.story_edits.append(edit)
        for hit in edit.hits:
            known = tables.hits[hit.id]
            tables.hits[hit.id] = structs.replace(
                known, story=hit.story, state=hit.state, reason=hit.reason, because=hit.because
            )
        for delivery in edit.deliveries:
            tables.deliveries.setdefault(delivery.id, delivery)
        for pair in ((edit.link.story, edit.link.other), (edit.link.other, edit.link.story)):
            tables.apart.pop(pair, None)
            if edit.link.apart:
                tables.apart[pair] = True

    async def rules(self, now: datetime, ids: Sequence[str] | None = None) -> tuple[RuleStats, ...]:
        names = sorted({hit.rule for hit in self._tables.hits.values() if ids is None or hit.rule in ids})
        return tuple(self._figures(name, now) for name in names)

    def _figures(self, rule: str, now: datetime) -> RuleStats:
        hits = [hit for hit in self._tables.hits.values() if hit.rule == rule]
        undone = sum(hit.reason.startswith(SPLIT_FROM) for hit in hits)
        return RuleStats(
            rule=rule,
            hits=len(hits),
            alerts=sum(hit.state is HitState.ALERTED for hit in hits),
            folded=sum(hit.state is HitState.FOLDED for hit in hits) + undone,
            undone=undone,
            relevant=sum(hit.mark == "relevant" for hit in hits),
            irrelevant=sum(hit.mark == "irrelevant" for hit in hits),
            last_hit_at=max(detail.dated_at for detail in self._tables.details(hits)),
            days=days((detail.dated_at for detail in self._tables.details(hits)), now),
        )

    async def deliveries(
        self,
        *,
        states: Sequence[DeliveryState] = (),
        channel: str | None = None,
        rule: str | None = None,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
    ) -> tuple[Delivery, ...]:
        wanted = [
            d
            for d in self._tables.deliveries.values()
            if (not states or d.state in states)
            and channel in (None, d.channel)
            and (rule is None or rule in d.rules)
            and (before is None or (d.created_at, d.id) < before)
        ]
        return _first(sorted(wanted, key=lambda d: (d.created_at, d.id), reverse=True), limit)

    async def delivery(self, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...], tuple[HitDetail, ...]]:
        if delivery_id not in self._tables.deliveries:
            raise NotFound("delivery", delivery_id)
        found = self._tables.deliveries[delivery_id]
        made = sorted(number for name, number in self._tables.attempts if name == delivery_id)
        attempts = tuple(self._tables.attempts[delivery_id, number] for number in made)
        return found, attempts, await MemoryOutbox(self._tables).hit_details(found)

    async def channel_activity(
        self, names: Sequence[str], now: datetime, *, limit: int = 5
    ) -> Mapping[str, ChannelActivity]:
        found = {}
        for name in names:
            mine = [one for one in self._tables.deliveries.values() if one.channel == name]
            unsent = (DeliveryState.RETRY, DeliveryState.DEAD)
            tried = [one for one in mine if one.sent_at or (one.state in unsent and one.attempts)]
            last = sorted(tried, key=last_tried_at, reverse=True)[:limit]
            sent = sum(one.sent_at is not None and one.sent_at > now - timedelta(hours=1) for one in mine)
            found[name] = ChannelActivity(name=name, sent=sent, last=tuple(last))
        return found

    async def channel_tests(self) -> Mapping[str, ChannelTest]:
        return dict(self._tables.channel_tests)

    async def keep_channel_test(self, test: ChannelTest) -> None:
        self._tables.channel_tests[test.channel] = test

    async def outbox(self) -> Mapping[DeliveryState, int]:
        return Counter(delivery.state for delivery in self._tables.deliveries.values())

    async def backlog(self, now: datetime, *, brief: bool = False) -> Backlog:
        resting = {host for host, limit in self._tables.hosts.items() if limit.not_before > now}
        due = [
            row.state
            for row in self._tables.feeds.values()
            if row.configured and row.enabled and not row.paused_at and row.state.health is not Health.GONE
            and row.state.next_poll_at and row.state.next_poll_at <= now and host_key(row.state.url) not in resting
        ]  # fmt: skip
        late = [
            Overdue(name=state.id, due_at=state.next_poll_at, interval_s=state.interval_s)
            for state in due
            if state.next_poll_at and feed_is_overdue(state.next_poll_at, state.interval_s, now)
        ]
        late.sort(key=lambda one: (one.due_at, one.name))
        waits: dict[str, list[datetime]] = {}
        for delivery in self._tables.deliveries.values():
            if _wakes(delivery) and delivery.due_at <= now:
                waits.setdefault(delivery.channel, []).append(delivery.due_at)
        channels = [Overdue(name=name, due_at=min(at), count=len(at)) for name, at in waits.items()]
        suspects = [
            *(
                Suspect(kind="feed", name=row.state.id, deaths=row.state.deaths, until=row.state.next_poll_at)
                for row in self._tables.feeds.values()
                if row.configured and row.state.deaths >= SUSPECT_DEATHS
            ),
            *(
                Suspect(kind="delivery", name=delivery.id, deaths=delivery.deaths, until=delivery.due_at)
                for delivery in self._tables.deliveries.values()
                if _wakes(delivery) and delivery.deaths >= SUSPECT_DEATHS
            ),
        ]
        today = [(row.state.id, row.state.stored_today) for row in self._tables.feeds.values() if row.configured]
        unwell = [
            row.state
            for row in self._tables.feeds.values()
            if row.configured and row.enabled and not row.paused_at and feed_finding(row.state)
        ]
        ranked = sorted(unwell, key=lambda state: ([*TROUBLE, state.health].index(state.health), state.id))
        unsent = (DeliveryState.RETRY, DeliveryState.DEAD)
        tests = self._tables.channel_tests
        broken, failed_tests = [], []
        for name in sorted({delivery.channel for delivery in self._tables.deliveries.values()} | {*tests}):
            last = (await self.channel_activity([name], now, limit=1))[name].last
            if name in tests and all(tests[name].at >= last_tried_at(one) for one in last):
                failed_tests += [] if tests[name].ok else [tests[name]]
            else:
                broken += [one for one in last if one.state in unsent and not one.acknowledged_at]
        given_up = [one for one in self._tables.deliveries.values() if one.state is DeliveryState.DEAD]
        due_at = [state.next_poll_at for state in due if state.next_poll_at]
        short = Backlog(
            splits=sum(hit.reason.startswith(SPLIT_FROM) for hit in self._tables.hits.values()),
            suspects=tuple(suspects),
            oldest_feed_due_at=min(due_at, default=None),
            channels=tuple(sorted(channels, key=lambda one: (one.due_at, one.name))),
        )
        if brief:
            return short
        return structs.replace(
            short,
            unrouted=self._tables.unrouted_at(now),
            unfolding=tuple(sorted(self._tables.unfolding(now))),
            unwell=tuple(ranked[:10]),
            feeds_unwell=len(unwell),
            broken=tuple(broken),
            failed_tests=tuple(failed_tests),
            dead=sum(one.acknowledged_at is None for one in given_up),
            newest_poll_at=max(
                (row.state.last_polled_at for row in self._tables.feeds.values() if row.state.last_polled_at),
                default=None,
            ),
            over_budget=tuple(
                (name, stored.left_out)
                for name, stored in sorted(today, key=lambda one: one[0])
                if stored is not None and stored.day == now.date().isoformat() and stored.left_out
            ),
            feeds=tuple(late[:10]),
            feeds_overdue=len(late),
        )

    async def retry(self, ids: Sequence[str], now: datetime) -> int:
        chosen = self._unsent(ids)
        for delivery in chosen:
            state = DeliveryState.RETRY if delivery.attempts else DeliveryState.PENDING
            again = structs.replace(delivery, state=state, reason="", due_at=now, tried_at=None, deaths=0)
            if delivery.state is DeliveryState.DEAD:
                known, mine = self._tables.stories_of(delivery), ("", delivery.channel)
                self._tables.undelivered = {
                    u: True
                    for u in self._tables.undelivered
                    if u.story not in known or u.channel not in mine or u.recipient not in ("", delivery.recipient)
                }
            self._tables.deliveries[delivery.id] = again
        return len(chosen)

    async def acknowledge(self, ids: Sequence[str], now: datetime, *, undo: Undo | None = None) -> int:
        with undoable(self._tables, undo):
            return self._acknowledge(ids, now)

    def _acknowledge(self, ids: Sequence[str], now: datetime) -> int:
        rows = map(self._tables.deliveries.get, dict.fromkeys(ids))
        ended = (DeliveryState.SENT, DeliveryState.DEAD)
        chosen = [row for row in rows if row and row.state in ended and not row.acknowledged_at]
        for delivery in chosen:
            self._tables.deliveries[delivery.id] = structs.replace(delivery, acknowledged_at=now)
            detail = {hit.story for hit in map(self._tables.hits.get, delivery.hits) if hit}
            for name, story in self._tables.stories.items():
                if name in detail or name == delivery.story:
                    self._tables.stories[name] = structs.replace(story, acknowledged_at=now)
        return len(chosen)

    async def cancel(self, ids: Sequence[str], *, undo: Undo | None = None) -> int:
        chosen = self._unsent(ids)
        with undoable(self._tables, undo):
            for delivery in chosen:
                cancelled = structs.replace(delivery, state=DeliveryState.SUPPRESSED, reason="cancelled manually")
                self._tables.deliveries[delivery.id] = cancelled
            for delivery in chosen:
                self._tables.note_undelivered(delivery, delivery.hits)
                self._tables.note_suppressed(self._tables.deliveries[delivery.id])
        return len(chosen)

    def _unsent(self, ids: Sequence[str]) -> list[Delivery]:
        rows = map(self._tables.deliveries.get, dict.fromkeys(ids))
        return [row for row in rows if row and row.state in (*WAITING, DeliveryState.DEAD)]

    async def pause(self, feed: str, paused: bool, now: datetime, *, undo: Undo | None = None) -> None:
        row = self._tables.feed(feed)
        with undoable(self._tables, undo):
            row.paused_at = (row.paused_at or now) if paused else None
            if not paused and row.state.health in (Health.GONE, Health.PAUSED):
                row.state = structs.replace(row.state, health=Health.NEW)

    async def poll_soon(self, feed: str, now: datetime) -> None:
        row = self._tables.feed(feed)
        row.state = structs.replace(row.state, next_poll_at=now)

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        return self._tables.live_silences(now)

    async def add_silence(self, silence: Silence, *, undo: Undo | None = None) -> Silence:
        added = structs.replace(silence, id=self._tables.number())
        assert added.id is not None
        with undoable(self._tables, undo):
            self._tables.silences[added.id] = added
        return added

    async def remove_silence(self, silence_id: int, *, undo: Undo | None = None) -> None:
        with undoable(self._tables, undo):
            if self._tables.silences.pop(silence_id, None) is None:
                raise NotFound("silence", str(silence_id))

    async def feed_links(self) -> tuple[FeedLink, ...]:
        return tuple(self._tables.feed_links.values())

    async def add_feed_link(self, link: FeedLink) -> FeedLink:
        added = structs.replace(link, id=self._tables.number())
        assert added.id is not None
        self._tables.feed_links[added.id] = added
        return added

    async def remove_feed_link(self, link_id: int, *, undo: Undo | None = None) -> None:
        with undoable(self._tables, undo):
            if self._tables.feed_links.pop(link_id, None) is None:
                raise NotFound("feed link", str(link_id))

    async def opens_feed(self, path: str, digest: str) -> bool:
        return any((one.path, one.digest) == (path, digest) for one in self._tables.feed_links.values())

    async def signing_key(self, fresh: bytes) -> bytes:
        self._tables.signing_key = self._tables.signing_key or fresh
        return self._tables.signing_key

    async def edits(self, *, limit: int = 50) -> tuple[Edit, ...]:
        newest_first = sorted(self._tables.edits.values(), key=lambda one: one.id or 0, reverse=True)
        return tuple(newest_first[: limit or None])

    async def edit(self, edit_id: int) -> Edit:
        if edit_id not in self._tables.edits:
            raise NotFound("edit", str(edit_id))
        return self._tables.edits[edit_id]

    async def add_edit(self, edit: Edit) -> Edit:
        added = structs.replace(edit, id=self._tables.number())
        assert added.id is not None
        self._tables.edits[added.id] = added
        return added

    async def stats(self) -> Stats:
        tables = self._tables
        counts = (len(tables.feeds), len(tables.entries), len(tables.hits), len(tables.deliveries))
        return Stats(feeds=counts[0], entries=counts[1], hits=counts[2], deliveries=counts[3], bytes=1)


def _by_story(details: Iterable[HitDetail]) -> dict[str, list[HitDetail]]:
    stories: dict[str, list[HitDetail]] = {}
    for detail in details:
        stories.setdefault(detail.hit.story or f"{detail.hit.feed}/{detail.hit.entry_key}", []).append(detail)
    return stories


def _worst_first(row: FeedSummary) -> tuple[int, str]:
    health = row.state.health
    return (TROUBLE.index(health) if health in TROUBLE else len(TROUBLE)), row.state.id


def days(instants: Iterable[datetime], now: datetime) -> tuple[tuple[str, int], ...]:
    counted = Counter(at.astimezone(now.tzinfo).date() for at in instants)
    wanted = [now.date() - n * DAY for n in reversed(range(30))]
    return tuple((day.isoformat(), counted[day]) for day in wanted)


def _fits(detail: HitDetail, wanted: HitFilter) -> bool:
    exact = all(
        not getattr(wanted, name) or getattr(wanted, name) == getattr(detail.hit, name)
        for name in ("rule", "feed", "story", "mark")
    ) and (not wanted.ids or detail.hit.id in wanted.ids)
    place = detail.place(wanted.by)
    return exact and _within(place[0], wanted.since, wanted.until) and (not wanted.before or place < wanted.before)


def _within(at: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or at >= since) and (until is None or at < until)


def _entry_place(entry: Entry, by: By) -> tuple[datetime, int]:
    return entry.dated_at if by == "published" else entry.seen_at, entry.id or 0


def _first(found: Sequence[T], limit: int) -> tuple[T, ...]:
    return tuple(found[:limit] if limit else found)


class MemoryMaintenance:
    """`ports.Upkeep` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._indexed: dict[int, int] = {}

    async def upgrade(self, *, backup: bool = True, engine: Sequence[tuple[str, str]] = ()) -> str:
        return REVISIONS[-1]

    def fault(self) -> DatabaseFault | None:
        return None

    async def backup(self, path: str) -> int:
        return write_copy(Path(path))

    async def check(self) -> tuple[str, ...]:
        return ()

    async def prune(self, now: datetime, *, entries_s: float, content_s: float) -> tuple[int, int]:
        tables = self._tables
        oldest, fullest = now - timedelta(seconds=entries_s), now - timedelta(seconds=content_s)
        old = {entry_id for entry_id, entry in tables.entries.items() if entry.seen_at < oldest}
        tables.entries = {entry_id: entry for entry_id, entry in tables.entries.items() if entry_id not in old}
        tables.hits = {name: hit for name, hit in tables.hits.items() if hit.entry_id not in old}
        matched = {hit.entry_id for hit in tables.hits.values()}
        emptied = [
            entry_id
            for entry_id, entry in tables.entries.items()
            if entry.seen_at < fullest and entry_id not in matched and entry_id not in tables.emptied
        ]
        for entry_id in emptied:
            tables.entries[entry_id] = structs.replace(tables.entries[entry_id], summary="", content="")
        tables.emptied |= set(emptied)
        gone = [d.id for d in tables.deliveries.values() if _wakes(d) is None and d.created_at < oldest]
        for name in gone:
            del tables.deliveries[name]
        tables.stories = {name: story for name, story in tables.stories.items() if story.last_at >= oldest}
        tables.story_keys = {name: keys for name, keys in tables.story_keys.items() if name in tables.stories}
        tables.undelivered = {one: True for one in tables.undelivered if one.story in tables.stories}
        tables.silences = {name: s for name, s in tables.silences.items() if s.until_at >= fullest}
        tables.hosts = {name: limit for name, limit in tables.hosts.items() if limit.not_before > now}
        return len(old), len(emptied)

    async def owners(self) -> tuple[str, ...]:
        polling = {row.state.lease_owner for row in self._tables.feeds.values()}
        sending = {delivery.lease_owner for delivery in self._tables.deliveries.values()}
        return tuple(sorted(owner for owner in polling | sending if owner))

    async def repair_future_dates(self, now: datetime) -> int:
        tables, future = self._tables, now + timedelta(minutes=1)
        put_off = [
            row
            for row in tables.feeds.values()
            if (row.state.next_poll_at or now) > now
            and (
                (row.state.last_polled_at or now) > future
                or (row.state.next_poll_at or now) > now + timedelta(days=32, seconds=2 * (row.state.interval_s or 0))
            )
        ]
        resting = {host_key(row.state.url) for row in put_off if row.state.next_poll_at}
        for row in put_off:
            row.state = structs.replace(row.state, next_poll_at=now)
        for row in tables.feeds.values():
            if row.state.lease_until and row.state.lease_until > now + timedelta(hours=1):
                row.state = structs.replace(row.state, lease_until=now)
        for story in [story for story in tables.stories.values() if story.last_at > future]:
            tables.stories[story.id] = structs.replace(story, last_at=now)
        tried = {attempt.delivery for attempt in tables.attempts.values() if attempt.started_at > future}
        waiting = [
            row
            for row in tables.deliveries.values()
            if row.state in WAITING and row.due_at > now and (row.created_at > future or row.id in tried)
        ]
        for delivery in waiting:
            tables.deliveries[delivery.id] = structs.replace(delivery, due_at=now)
        far = now + timedelta(days=3)
        tables.hosts = {
            name: limit for name, limit in tables.hosts.items() if limit.not_before <= far and name not in resting
        }
        return len(put_off) + len(waiting)

    async def release_leases_of(self, owners: Sequence[str], now: datetime) -> int:
        idle = [row for row in self._tables.feeds.values() if row.state.lease_owner in owners]
        for row in idle:
            ended = {"lease_until": now} if row.begun_at else {"lease_owner": None, "lease_until": None}
            row.state = structs.replace(row.state, **ended)
        lapsed = [delivery for delivery in self._tables.deliveries.values() if delivery.lease_owner in owners]
        for delivery in lapsed:
            self._tables.deliveries[delivery.id] = structs.replace(delivery, lease_until=now)
        return len(idle) + len(lapsed)

    async def index_text(self, limit: int = 1000) -> int:
        stale = [e for e in self._tables.entries.values() if e.id and self._indexed.get(e.id) != e.version][:limit]
        self._indexed |= {entry.id: entry.version for entry in stale if entry.id}
        return len(stale)


def write_copy(path: Path) -> int:
    if path.exists():
        raise StoreError(f"{path} exists already")
    return path.write_bytes(b"memory")


class MemoryStore:
    """A store that forgets everything; opened like the real one."""

    def __init__(self, *, index_text: IndexText) -> None:
        self.tables = Tables(index_text=index_text)
        self.feeds = MemoryFeeds(self.tables)
        self.articles = MemoryArticleQueue(self.tables, self.feeds)
        self.subscriptions = MemorySubscriptions(self.tables)
        self.outbox = MemoryOutbox(self.tables)
        self.catalog = MemoryCatalog(self.tables)
        self.maintenance = MemoryMaintenance(self.tables)

    async def close(self) -> None:
        """Nothing is held."""

    async def __aenter__(self) -> "MemoryStore":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
