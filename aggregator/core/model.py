"""The values that flow through the application. Instants are aware UTC (`_at`), durations seconds (`_s`).

Every value is frozen; `None` means absent, never failed. Words: docs/glossary.md.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import log
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from msgspec import Struct, field

# --- fetch ---------------------------------------------------------------------------------------


HASH_BYTES = 16  # of the hash of a body


class Validators(Struct, frozen=True, kw_only=True):
    """Validators that make the next request conditional: one atomic pair and the URL that gave it."""

    url: str
    etag: str | None = None
    last_modified: str | None = None


class CacheHints(Struct, frozen=True, kw_only=True):
    """Caching hints of a response, in seconds from the moment it was received.

    `max_age_s` has `Age` subtracted already; `expires_s` is given only where max-age is absent.
    """

    max_age_s: float | None = None
    expires_s: float | None = None
    retry_after_s: float | None = None


class Held(Protocol):
    """A share of a budget."""

    def release(self) -> None:
        """Give the share back; further calls do nothing."""


class Fetched(Struct, frozen=True, kw_only=True):
    """A complete, decoded document.

    `delta`: only some entries are in it, as in a 226 (RFC 3229); `pushed`: it came by itself.
    `held` is what its fetcher counts its bytes by, to be released when they are read. `digest` is that of a body that
    came packed, as it came; `unchanged`: it is that of the feed's `body_hash`, so the body is left out.
    """

    url: str
    status: int
    body: bytes
    content_type: str = ""
    content_language: str = ""
    content_location: str = ""
    validators: Validators | None = None
    hints: CacheHints = CacheHints()
    hops: tuple[tuple[int, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    delta: bool = False
    pushed: bool = False
    elapsed_s: float = 0.0
    held: Held | None = None
    digest: bytes = b""
    unchanged: bool = False


class NotModified(Struct, frozen=True, kw_only=True):
    """A 304. `validators` is None where the response named none (the old pair is kept)."""

    url: str
    validators: Validators | None = None
    hints: CacheHints = CacheHints()
    hops: tuple[tuple[int, str], ...] = ()
    elapsed_s: float = 0.0


# --- parse ---------------------------------------------------------------------------------------


class Reading(Struct, frozen=True, kw_only=True):
    """How documents are read: the kind of a source, with what its configuration says about that.

    `select` are (part, selector), `ignore` patterns of what is no change, `senders` patterns of addresses.
    """

    kind: Literal["feed", "sitemap", "page", "watch", "mail"] = "feed"
    select: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the same as a text, by which a change is recognised; empty for feeds."""
        if self.kind == "feed":
            return ""
        parts = (self.kind, *(f"{part} {selector}" for part, selector in self.select), "", *self.ignore, "")
        return "\n".join((*parts, *self.senders))


FEED = Reading()


class SitemapPart(Struct, frozen=True, kw_only=True):
    """A sitemap that an index names, and when it changed, as the index says (ISO 8601)."""

    url: str
    changed: str = ""


class ParseLevel(StrEnum):
    """How much work a poll needed, from least to most; see docs/decisions on incremental parsing."""

    NOT_MODIFIED = "not_modified"
    SAME_BODY = "same_body"
    SAME_ENTRIES = "same_entries"
    DELTA = "delta"
    FULL = "full"


class ParsedEntry(Struct, frozen=True, kw_only=True):
    """An entry as the feed sent it: visible plain text, absolute URLs, aware dates.

    `raw_hash` identifies its bytes inside the document, where they could be delimited.
    """

    guid: str | None = None
    link: str | None = None
    title: str = ""
    summary: str = ""
    content: str = ""
    author: str = ""
    categories: tuple[str, ...] = ()
    published_at: datetime | None = None
    updated_at: datetime | None = None
    enclosures: tuple[str, ...] = ()
    lang: str | None = None
    raw_hash: str | None = None


class FeedHints(Struct, frozen=True, kw_only=True):
    """A document's hints about its publishing rhythm. Hours are UTC 0–23; days 0 = Monday."""

    ttl_s: float | None = None
    update_period_s: float | None = None
    skip_hours: frozenset[int] = frozenset()
    skip_days: frozenset[int] = frozenset()


class ParsedFeed(Struct, frozen=True, kw_only=True):
    """The result of parsing one document: its unseen entries, in document order.

    `items` counts every entry in the document, seen or not. `parts` are the sitemaps of an index. `select` are
    the selectors by which a page was read; `nothing` says why it has no entries, if it has none. `memory` is
    what the next parse of this feed needs to skip work (opaque to everyone but parse/; None: what is
    remembered stands); so does `body_hash`.
    """

    parse_level: ParseLevel
    title: str = ""
    link: str | None = None
    lang: str | None = None
    entries: tuple[ParsedEntry, ...] = ()
    items: int = 0
    hints: FeedHints = FeedHints()
    hub: str | None = None
    self_url: str | None = None
    prev_archive: str | None = None
    warnings: tuple[str, ...] = ()
    quarantined: tuple[tuple[bytes, str], ...] = ()
    parts: tuple[SitemapPart, ...] = ()
    select: tuple[tuple[str, str], ...] = ()
    nothing: str = ""
    body_hash: bytes = b""
    memory: bytes | None = None


# --- store: feeds and entries --------------------------------------------------------------------


class Health(StrEnum):
    """The health of a feed."""

    NEW = "new"
    OK = "ok"
    FAILING = "failing"
    SILENT = "silent"
    BLOCKED = "blocked"
    EMPTIED = "emptied"
    GONE = "gone"
    MOVED = "moved"
    PAUSED = "paused"


# What a person should look at, worst first.
TROUBLE = (Health.GONE, Health.BLOCKED, Health.FAILING, Health.EMPTIED, Health.SILENT, Health.MOVED)


class StoredToday(Struct, frozen=True, kw_only=True):
    """Entries that a feed stored on one day (ISO, UTC): their number, their bytes, and how many were left out."""

    day: str
    entries: int = 0
    bytes: int = 0
    left_out: int = 0


class FeedState(Struct, frozen=True, kw_only=True):
    """Everything the database knows about a feed; the only memory of the polling policy.

    `url` is where the feed is fetched now (it differs from `configured_url` after a confirmed
    permanent move). `interval_s` is the adaptive interval, `gap_s` the median time between new
    entries. `body_hash` is the hash of the last body that was read (HASH_BYTES), and of its packed form as it came, if
    it came so. `volatile`: parameters of links that change with each poll. `move_*` holds a permanent
    redirect that awaits confirmation. `hub_until`: until then a hub has promised to push (a
    subscription writes it, not a poll). `push_missed`: polls find entries that the hub did not push.
    `deaths`: how many processes in a row died while they worked on a document of this feed.
    `options`: the feed as it is configured, in JSON with its references unexpanded, where the configuration is kept
    in the database; a poll never changes it.
    """

    id: str
    url: str
    configured_url: str
    title: str = ""
    health: Health = Health.NEW
    health_since: datetime | None = None
    validators: Validators | None = None
    body_hash: bytes = b""
    hints: FeedHints = FeedHints()
    first_polled_at: datetime | None = None
    last_polled_at: datetime | None = None
    last_ok_at: datetime | None = None
    last_new_at: datetime | None = None
    newest_at: datetime | None = None
    next_poll_at: datetime | None = None
    last_status: int | None = None
    failures: int = 0
    failing_since: datetime | None = None
    last_error: str | None = None
    interval_s: float | None = None
    gap_s: float | None = None
    items: int = 0
    move_url: str | None = None
    move_count: int = 0
    move_since: datetime | None = None
    distrust_guid: bool = False
    volatile: tuple[str, ...] = ()
    hub: str | None = None
    self_url: str | None = None
    hub_until: datetime | None = None
    push_missed: bool = False
    stored_today: StoredToday | None = None
    parse_levels: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    deaths: int = 0
    lease_owner: str | None = None
    lease_until: datetime | None = None
    options: str | None = None


class HostLimit(Struct, frozen=True, kw_only=True):
    """A host's request to be left alone until an instant; valid for all its feeds and in every process."""

    host: str
    not_before: datetime
    reason: str = ""


class Reason(StrEnum):
    """The reason why an entry was kept, which decides whether it may alert."""

    NEW = "new"
    CHANGED = "changed"
    BASELINE = "baseline"
    FLOOD = "flood"
    ALIAS = "alias"
    TOO_OLD = "too_old"
    APPLIED = "applied"


STORY_HITS = 20  # hits of one story in a listing of stories
REPORTED = "baseline_sent"  # of a hit: it was there at its feed's first poll, and a person had it sent in a digest


class Entry(Struct, frozen=True, kw_only=True):
    """An entry as it is stored. Unique by (feed, key); `version` grows with each change.

    `key` is the digest of the entry's identity, `aliases` the digests of its secondary
    identities (they only ever suppress an alert). Spans point into title, summary and content.
    """

    id: int | None = None
    feed: str
    key: str
    aliases: tuple[str, ...] = ()
    guid: str | None = None
    link: str | None = None
    title: str = ""
    summary: str = ""
    content: str = ""
    author: str = ""
    categories: tuple[str, ...] = ()
    enclosures: tuple[str, ...] = ()
    lang: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    seen_at: datetime
    content_hash: bytes = b""
    version: int = 1
    reason: Reason = Reason.NEW

    @property
    def dated_at(self) -> datetime:
        """When it was published, as far as its date can be believed: nothing was, after it was seen."""
        return min(self.published_at or self.seen_at, self.seen_at)

    @property
    def recorded_at(self) -> datetime:
        """When it was first seen: the second time of an entry, where the first is publication."""
        return self.seen_at

    @property
    def is_from_future(self) -> bool:
        """Tell whether its publisher dates it later than it was seen, by more than clocks may differ."""
        return self.published_at is not None and self.published_at - self.seen_at > FUTURE


FUTURE = timedelta(days=1)  # how far ahead a date is more than a clock or a time zone that is off


class StoredKey(Struct, frozen=True, kw_only=True):
    """The stored facts about one key of a feed (they outlive the entry's content)."""

    key: str
    content_hash: bytes
    version: int


class ArticleRequest(Struct, frozen=True, kw_only=True):
    """An entry whose article is still to be read; `attempts` counts the one that begins now."""

    entry: Entry
    attempts: int


By = Literal["published", "recorded"]  # which time a listing goes by: publication, or when it was recorded
SearchOrder = By | Literal["relevance"]


class Period(Struct, frozen=True, kw_only=True):
    """A span of time: from `since`, before `until`; None: open."""

    since: datetime | None = None
    until: datetime | None = None


# --- match ---------------------------------------------------------------------------------------


class Span(Struct, frozen=True, kw_only=True):
    """The place of a term: code points `start` to `end` of `field`; `text` is that slice."""

    field: str
    start: int
    end: int
    text: str
    term: str


SPLIT_FROM = "split from: "  # how the reason of a hit begins that a person took out of a story it was folded into
FIRST_SILENCED = "the first report was silenced"  # the reason of a hit that alerts instead of the one it retells
UPDATE_TO = "update to: "  # how the reason of a hit begins that alerted as an update of its story


class HitState(StrEnum):
    """The state of a hit: what routing made of it."""

    NEW = "new"  # stored, and not routed yet (PostgreSQL)
    ALERTED = "alerted"  # it has deliveries of its own
    COLLAPSED = "collapsed"  # a copy of what was already alerted
    FOLDED = "folded"  # the same event in other words, soon after it was alerted
    HELD = "held"  # recorded, not alerted; see the reason
    SUPPRESSED = "suppressed"  # silenced by a person or a rule


KNOWN_STORY = ("collapsed", "folded")  # states of a hit whose story is on the list already


class Hit(Struct, frozen=True, kw_only=True):
    """A match of one rule with one version of one entry, with the evidence."""

    id: str
    rule: str
    feed: str
    entry_key: str
    entry_id: int | None = None
    entry_version: int = 1
    spans: tuple[Span, ...] = ()
    snippet: str = ""
    story: str | None = None
    state: HitState = HitState.ALERTED
    reason: str = ""
    mark: str | None = None
    because: "Because | None" = None
    created_at: datetime

    @property
    def event(self) -> str | None:
        """Return the event that it reports, which is its story."""
        return self.story


class Fingerprint(Struct, frozen=True, kw_only=True):
    """The traits by which two versions of one story recognise each other; `bands` are keys of the MinHash."""

    url_key: str | None = None
    title_key: str | None = None
    signature: bytes = b""
    bands: tuple[str, ...] = ()
    facts: frozenset[str] = frozenset()
    lang: str | None = None


class Features(Struct, frozen=True, kw_only=True):
    """The traits by which reports of one event in different words recognise each other.

    `stems` are distinct and in order of the text, each with how often it occurs (`counts`, at most 9; 0: it
    recurs in its feed and weighs nothing) and a word as it was written (`shown`). `headline` are the folded
    words of the headline; `anchors` and `text_anchors` the names, numbers and designators of headline and text
    in a form that all languages share. `vector` is what the text means (`events.encoder`), with `languages: model`.
    """

    lang: str = ""
    stems: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    shown: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    text_anchors: tuple[str, ...] = ()
    vector: bytes = b""


class Rarities(dict[str, float]):
    """How rare stems and anchors are: the logarithm of the inverse share of documents, at least 0.

    Each is worked out when it is first asked for. `prior` documents are taken for seen before the first.
    """

    def __init__(self, documents: int, counts: Mapping[str, int], prior: int) -> None:
        super().__init__()
        self._documents, self._counts = documents + prior, counts

    def __missing__(self, stem: str) -> float:
        rarity = self[stem] = max(0.0, log(self._documents / (self._counts.get(stem, 0) + 1)))
        return rarity


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)  # because a Struct compares all of its fields
class Frequencies:
    """In how many of `documents` each stem and anchor occurred, and how rare it is; frozen while a poll is routed."""

    PRIOR: ClassVar[int] = 400  # documents: one word in few texts is not yet a frequent word

    documents: int = 0
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    rarities: Rarities = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rarities", Rarities(self.documents, self.counts, self.PRIOR))


class Vocabulary(Struct, frozen=True):
    """What is learnt of the words of the stream: their frequencies, and those that recur in each feed.

    With `model`, the meaning of texts counts beside words.
    """

    frequencies: Frequencies
    recurring: Mapping[str, frozenset[str]] = field(default_factory=dict)
    model: bool = False


NO_FREQUENCIES = Frequencies()
NO_VOCABULARY = Vocabulary(NO_FREQUENCIES)


class Report(Struct, frozen=True, kw_only=True):
    """One wording of an event, which new entries are compared with; copies of it are no reports of their own.

    `origin` is the id of the report that it retells, its own if it was to be alerted itself. `alerted_rules` are the
    rules that alerted on that one, or on what retells it (None: it was stored before this was known); a later retelling
    is no news to these, but may be to others that alerted on the story.
    """

    id: str
    feed: str
    title: str
    at: datetime
    fingerprint: Fingerprint
    features: Features
    origin: str = ""
    alerted_rules: tuple[str, ...] | None = None


class JoinKind(StrEnum):
    """How an entry came to its story."""

    COPY = "copy"
    RETELLING = "retelling"  # the same event in other words: no new alert
    FOLLOW_UP = "follow-up"  # later, doubtful, or by the same feed: alerted as an update
    TRANSLATION = "translation"  # in another language: alerted as an update
    PERSON = "person"


class NearMiss(Struct, frozen=True, kw_only=True):
    """A story that an entry nearly joined, and why it did not: "numbers differ (5.1 / 4.6)"."""

    story: str
    title: str
    feed: str
    reason: str


class Because(Struct, frozen=True, kw_only=True):
    """Why an entry joined its story; with `kind` None, it joined none, and only `misses` say something.

    `report`, `title`, `feed` and `at` name the nearest report of `story`, `origin` the alerted one that it
    retells. `words` are shared words as they were written, heaviest first; `similarity` is 0 to 1, `hours` lie
    between the two. `doubt` is why a follow-up was not taken for a retelling, or that a translation is known by its
    meaning alone; `by` is the person who joined them.
    """

    kind: JoinKind | None = None
    story: str = ""
    report: str = ""
    origin: str = ""
    title: str = ""
    feed: str = ""
    at: datetime | None = None
    words: tuple[str, ...] = ()
    similarity: float = 0.0
    hours: float = 0.0
    doubt: str = ""
    misses: tuple[NearMiss, ...] = ()
    by: str = ""


class Story(Struct, frozen=True, kw_only=True):
    """One event. `feeds` carry it; `alerted_rules` are the rules that alerted on it.

    `reports` are its wordings, the opener first; `alerted_at` is when one of them was last alerted, `apart` names
    stories that a person has set apart from it. `joined` is the story that it turned out to be a part of; it has
    nothing of its own since. Once a person has acknowledged an alert about it, its spread is no reason to alert
    again.
    """

    id: str
    title: str
    fingerprint: Fingerprint
    feeds: tuple[str, ...] = ()
    alerted_rules: tuple[str, ...] = ()
    first_at: datetime
    last_at: datetime
    acknowledged_at: datetime | None = None
    joined: str | None = None
    reports: tuple[Report, ...] = ()
    alerted_at: datetime | None = None
    apart: frozenset[str] = frozenset()


class UndescribedStory(NamedTuple):
    """A story without reports, the first of its entries that is left, and the hits of that."""

    story: Story
    entry: Entry
    hits: tuple[Hit, ...]


# --- alerts --------------------------------------------------------------------------------------


class DeliveryState(StrEnum):
    """The state of an alert between creation and receipt; drawn in docs/decisions on delivery."""

    PENDING = "pending"
    HELD = "held"
    SENDING = "sending"
    RETRY = "retry"
    SENT = "sent"
    DEAD = "dead"
    SUPPRESSED = "suppressed"


WAITING = (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.RETRY)
MIN_ID_CHARS = 4  # of an id that a person abbreviates; fewer name another row tomorrow
RETRIABLE = (*WAITING, DeliveryState.DEAD)  # may be made due, or cancelled, by a person
ENDED = (DeliveryState.SENT, DeliveryState.DEAD)
URGENCY = {"high": 0, "normal": 1, "low": 2}  # of a priority: the lower, the sooner it goes out


class AlertKind(StrEnum):
    """The subject of an alert."""

    HIT = "hit"
    DIGEST = "digest"
    HEALTH = "health"
    HEARTBEAT = "heartbeat"
    DEAD_LETTER = "dead_letter"
    TEST = "test"


class Notice(Struct, frozen=True, kw_only=True):
    """A message that is not about hits (health, heartbeat, dead letter, test): plain text."""

    title: str
    body: str = ""
    link: str | None = None


class Delivery(Struct, frozen=True, kw_only=True):
    """An outbox row: one alert for one recipient of one channel.

    `id` is derived from the alert's contents, so that no alert can be stored twice; it is also the
    idempotency key. `recipient` names one of the channel's targets, or is "" for all of it.
    `tried_at` is the instant of the first attempt: an alert is given up by how long it was tried,
    not by how long it had to wait. `update`: its recipients know the story already. `deaths`: how many
    processes in a row died while they sent it. `message_id`: what the service called the message.
    """

    id: str
    kind: AlertKind = AlertKind.HIT
    channel: str
    recipient: str = ""
    rules: tuple[str, ...] = ()
    hits: tuple[str, ...] = ()
    story: str | None = None
    update: bool = False
    title: str = ""
    notice: Notice | None = None
    priority: str = "normal"
    state: DeliveryState = DeliveryState.PENDING
    reason: str = ""
    created_at: datetime
    due_at: datetime
    attempts: int = 0
    tried_at: datetime | None = None
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None
    last_error: str | None = None
    repeat: bool = False
    deaths: int = 0
    message_id: str = ""
    lease_owner: str | None = None
    lease_until: datetime | None = None


def last_tried_at(delivery: Delivery) -> datetime:
    """Return when a delivery was sent, or since when that has been tried."""
    return delivery.sent_at or delivery.tried_at or delivery.created_at


class ChannelAnswer(Struct, frozen=True, kw_only=True):
    """What one recipient of a channel answered to a test alert; `recipient` is "" where there is only one."""

    recipient: str
    ok: bool
    detail: str


class ChannelTest(Struct, frozen=True, kw_only=True):
    """A test alert and what each recipient answered; `at` is when it was sent."""

    channel: str
    at: datetime
    answers: tuple[ChannelAnswer, ...]

    @property
    def ok(self) -> bool:
        return all(answer.ok for answer in self.answers)


class ChannelActivity(Struct, frozen=True, kw_only=True):
    """The latest deliveries of a channel that were tried, newest first; `sent` counts those of the last hour."""

    name: str
    sent: int = 0
    last: tuple[Delivery, ...] = ()


def channel_state(activity: ChannelActivity, test: ChannelTest | None) -> str:
    """Return how the last real attempt or test of a channel ended: sent, dead, retry, or never."""
    last = activity.last[0] if activity.last else None
    if test is not None and (last is None or test.at >= last_tried_at(last)):
        return "sent" if test.ok else "dead"
    if last is None:
        return "never"
    return DeliveryState.SENT.value if last.sent_at else last.state.value


class Silence(Struct, frozen=True, kw_only=True):
    """A person's request for silence about a rule, a feed or a story, until an instant."""

    id: int | None = None
    rule: str | None = None
    feed: str | None = None
    story: str | None = None
    until_at: datetime
    reason: str = ""
    created_at: datetime


class FeedLink(Struct, frozen=True, kw_only=True):
    """A token that opens one of the site's own feeds by its address alone; stored is only the token's digest."""

    id: int | None = None
    path: str
    digest: str
    created_at: datetime


class Edit(Struct, frozen=True, kw_only=True):
    """One change of a configuration file: from `line` on (the first is 1), `removed` became `added`.

    `about` names what was changed, `undoes` the edit that this one took back.
    """

    id: int | None = None
    file: str
    line: int
    removed: str
    added: str
    about: str = ""
    undoes: int | None = None
    at: datetime


class HitDelivery(Struct, frozen=True, kw_only=True):
    """An alert that reports a hit. `at`: when it was sent, or when it is due; None where it will not be sent."""

    id: str
    channel: str
    state: DeliveryState
    at: datetime | None = None


class HitDetail(Struct, frozen=True, kw_only=True):
    """A hit inside an alert, with its entry, the other sources of its story, and the alerts that report it.

    `earlier_alerts` are those of its rule that had reported its story before: they stand for a hit that has none.
    """

    hit: Hit
    entry: Entry
    feed_title: str
    rule_title: str
    also_in: tuple[str, ...] = ()
    deliveries: tuple[HitDelivery, ...] = ()
    earlier_alerts: tuple[HitDelivery, ...] = ()

    @property
    def dated_at(self) -> datetime:
        """When its entry was published, as far as that can be believed."""
        return self.entry.dated_at

    @property
    def recorded_at(self) -> datetime:
        """When the hit was found."""
        return self.hit.created_at

    def place(self, by: By = "published") -> tuple[datetime, str]:
        """Return its place in a listing by one of its times; the place continues the listing."""
        return self.dated_at if by == "published" else self.recorded_at, self.hit.id


class Alert(Struct, frozen=True, kw_only=True):
    """An alert for a notifier to send: either evidence or a notice, never both.

    `evidence` lists the hits of a threshold or digest; `more` counts what was folded away.
    `time_zone` is the channel's; `page` is the address of our own page about it, if there is one, and `act` that
    of the one on which its holder acts on it without a password. `thread` is the same for all alerts about a story;
    an `update` continues an earlier one, the message `reply_to` where the service gave that an id.
    """

    id: str
    kind: AlertKind
    title: str
    hits: tuple[HitDetail, ...] = ()
    notice: Notice | None = None
    why: str = ""
    more: int = 0
    priority: str = "normal"
    repeat: bool = False
    time_zone: str = "UTC"
    page: str | None = None
    act: str | None = None
    thread: str = ""
    update: bool = False
    reply_to: str = ""
    created_at: datetime


class Receipt(Struct, frozen=True, kw_only=True):
    """A channel's acceptance of an alert: its answer in words, and the id of the message where the service has ids.

    `put_off` are recipients of the same message whom the service refused for now, each with its words.
    """

    detail: str = ""
    message_id: str = ""
    put_off: tuple[tuple[str, str], ...] = ()


# --- the one write of a poll ---------------------------------------------------------------------


class RuleHistory(Struct, frozen=True, kw_only=True):
    """Recent hits of a rule: (instant, feed, hit id), oldest first."""

    rule: str
    hits: tuple[tuple[datetime, str, str], ...] = ()
    last_alert_at: datetime | None = None


class RoutingQuery(Struct, frozen=True, kw_only=True):
    """The facts that routing needs before it decides; the store looks them up inside the transaction.

    `hits` are ids that may be stored already, `entries` the (feed, key) of entries whose story may be known
    already: those of edited entries, and of stored ones that another rule is applied to. `lookups` are the keys of
    each entry: stories are looked up by those of copies from `stories_since` on, and of retellings from
    `events_since`.
    """

    hits: tuple[str, ...] = ()
    entries: tuple[tuple[str, str], ...] = ()
    lookups: tuple[tuple[str, ...], ...] = ()
    stories_since: datetime | None = None
    events_since: datetime | None = None
    histories: tuple[tuple[str, datetime], ...] = ()


class Undelivered(NamedTuple):
    """A story of which a recipient of a channel does not know: the alert about it was given up, cancelled or silenced.

    Without a channel: nobody knows of it, on any channel, so the next alert goes to all.
    """

    story: str
    channel: str
    recipient: str


class RoutingContext(Struct, frozen=True, kw_only=True):
    """The answer to a RoutingQuery: known hits, stories that share a key, rule histories, active silences.

    `homes` are the stories of the entries that were asked for, by (feed, key); `keys` has, for each key that was
    looked up, the latest stories that have it, and since when; `nearest` has, for a lookup, those that are nearest
    by these (`stories.shortlist`), where they are known. `unfolding` are rules whose folds people undid. `undelivered`
    names those to whom an alert about one of these stories was promised and not sent, and who never got another.
    """

    known: frozenset[str] = frozenset()
    stories: tuple[Story, ...] = ()
    homes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    keys: Mapping[str, dict[str, datetime]] = field(default_factory=dict)
    nearest: Mapping[tuple[str, ...], tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    unfolding: frozenset[str] = frozenset()
    undelivered: tuple[Undelivered, ...] = ()
    histories: tuple[RuleHistory, ...] = ()
    silences: tuple[Silence, ...] = ()


class StoryKeys(NamedTuple):
    """The keys by which a story is found for the sake of one of its reports, and when that came."""

    story: str
    at: datetime
    keys: Sequence[str]


class StoryMerge(NamedTuple):
    """A story that turned out to be another one: everything of `story` belongs to `into`."""

    story: str
    into: str


class RoutingResult(Struct, frozen=True, kw_only=True):
    """The decisions of routing: hits with their state, stories made or grown, deliveries to make.

    `reports` are new reports, or ones that were written again, each with the id of its story; `keys` go with them.
    `reasons` are for hits that are stored already, by id. `merged` are stories that became part of others.
    `redelivered` are those of the context's `undelivered` for whom there is a delivery again.
    """

    hits: tuple[Hit, ...] = ()
    stories: tuple[Story, ...] = ()
    reports: tuple[tuple[str, Report], ...] = ()
    keys: tuple[StoryKeys, ...] = ()
    reasons: tuple[tuple[str, Because], ...] = ()
    merged: tuple[StoryMerge, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    redelivered: tuple[Undelivered, ...] = ()


class UnroutedPoll(Struct, frozen=True, kw_only=True):
    """A poll, or a part of one, as its routing sees it; its hits may be stored already (`HitState.NEW`).

    `entries` are those of the hits, which need no texts: `reports` describe them, by (feed, key). `at` is when it was
    polled, `config` the number of the configuration whose rules made the hits.
    """

    feed: str
    at: datetime
    part: int = 0
    config: int = 0
    hits: tuple[Hit, ...] = ()
    entries: tuple[Entry, ...] = ()
    reports: Mapping[tuple[str, str], Report] = field(default_factory=dict)


class Routed(Struct, frozen=True, kw_only=True):
    """What one round of routing did: of how many `polls`, with how many hits; `channels` have something to send now.

    `outcomes`: what became of the hits, in words. `failed` says of feeds why their hits could not be routed; those are
    tried again later.
    """

    polls: int = 0
    hits: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()
    channels: frozenset[str] = frozenset()
    failed: tuple[tuple[str, str], ...] = ()


class StoryLink(NamedTuple):
    """What a person decided about two stories: that they are one event, or that they never are (`apart`)."""

    story: str
    other: str
    apart: bool
    by: str
    at: datetime


class StoryEdit(Struct, frozen=True, kw_only=True):
    """A person's change of stories: everything that is written again, and what is made. `hits` are stored ones."""

    link: StoryLink
    stories: tuple[Story, ...] = ()
    reports: tuple[tuple[str, Report], ...] = ()
    keys: tuple[StoryKeys, ...] = ()
    hits: tuple[Hit, ...] = ()
    merged: tuple[StoryMerge, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


class PollResult(Struct, frozen=True, kw_only=True):
    """All changes of one poll of one feed, written in one transaction.

    `articles_wanted` are keys of `entries` whose articles are to be read afterwards. `unfinished`: further parts
    of the same poll follow, so its entries and hits are written, and the feed keeps its state and lease.
    `before` is the state that was claimed, if no more than the poll itself may have changed: what is equal need not be
    written again.
    """

    state: FeedState
    before: FeedState | None = None
    entries: tuple[Entry, ...] = ()
    hits: tuple[Hit, ...] = ()
    hosts: tuple[HostLimit, ...] = ()
    notices: tuple[Delivery, ...] = ()
    memory: bytes | None = None
    quarantined: tuple[tuple[bytes, str], ...] = ()
    articles_wanted: tuple[str, ...] = ()
    unfinished: bool = False


# --- reading ---------------------------------------------------------------------------------------


class FeedSummary(Struct, frozen=True, kw_only=True):
    """A feed's state with figures about its entries; 0 where nobody asked for them."""

    state: FeedState
    entries: int = 0
    hits: int = 0


class HitFilter(Struct, frozen=True, kw_only=True):
    """Criteria for a list of hits; None or empty: all. Newest first, `before` continues a listing.

    `by`: the time that the order, `since`, `until` and `before` mean.
    `todo`: not marked yet, and no copy of a story that is on the list already. `label`: of the hit's story. `ids`: of
    the hits themselves.
    """

    ids: tuple[str, ...] = ()
    rule: str | None = None
    feed: str | None = None
    story: str | None = None
    mark: str | None = None
    todo: bool = False
    lang: str | None = None
    label: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, str] | None = None
    by: By = "published"


def is_to_do(hit: Hit) -> bool:
    """Tell whether a hit waits for a mark: a copy or retelling is no new work."""
    return hit.mark is None and hit.state.value not in KNOWN_STORY


class Facets(Struct, frozen=True, kw_only=True):
    """How many cards (stories, or entries without one) of a listing have each value, most first.

    Counted over its newest `hits` hits; a language is "" where the feed names none.
    """

    rules: tuple[tuple[str, int], ...] = ()
    feeds: tuple[tuple[str, int], ...] = ()
    languages: tuple[tuple[str, int], ...] = ()
    hits: int = 0


class StorySummary(Struct, frozen=True, kw_only=True):
    """A story in a listing: how many hits it has, how many were folded, how many alerted again as updates."""

    id: str
    title: str
    feeds: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    alerted_at: datetime | None = None
    hits: int = 0
    folded: int = 0
    updates: int = 0


class RuleStats(Struct, frozen=True, kw_only=True):
    """Statistics of a rule: all hits, alerts, marks, and (day, hits) of the last 30 days.

    `folded` counts hits that were folded, those among them that a person took out again too: these are `undone`.
    """

    rule: str
    hits: int = 0
    alerts: int = 0
    folded: int = 0
    undone: int = 0
    relevant: int = 0
    irrelevant: int = 0
    last_hit_at: datetime | None = None
    days: tuple[tuple[str, int], ...] = ()


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt to deliver: `outcome` is a DeliveryState or "unknown"."""

    delivery: str
    number: int
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    detail: str = ""


class Stats(Struct, frozen=True, kw_only=True):
    """Numbers of stored rows."""

    feeds: int
    entries: int
    hits: int
    deliveries: int
    bytes: int


# --- health of the service -----------------------------------------------------------------------------


class LoopStatus(Struct, frozen=True, kw_only=True):
    """The state of a loop: `late` if no tick came within its timeout, `error` why its last tick failed."""

    name: str
    last_at: datetime | None
    timeout_s: float
    late: bool = False
    error: str | None = None


class Process(Struct, frozen=True, kw_only=True):
    """A process of the service on this machine; `loops`: which of its loops are healthy, if known."""

    pid: int
    started_at: datetime
    roles: tuple[str, ...] = ()
    page: str | None = None
    loops: tuple[tuple[str, bool], ...] | None = None


Severity = Literal["error", "warning", "note"]


class Finding(Struct, frozen=True, kw_only=True):
    """A problem and its remedy. `area` is feeds, alerts, database or service; `kind` a stable word."""

    kind: str
    severity: Severity
    area: str
    what: str
    remedy: str


class Overdue(Struct, frozen=True, kw_only=True):
    """Work that is due and not done: a feed, or what waits on a channel. `due_at` is the oldest of `count`."""

    name: str
    due_at: datetime
    count: int = 1
    interval_s: float | None = None


class Suspect(Struct, frozen=True, kw_only=True):
    """A feed or an alert that was being worked on when processes died, `deaths` times in a row."""

    kind: Literal["feed", "delivery"]
    name: str
    deaths: int
    until: datetime | None = None


class Unrouted(NamedTuple):
    """How many polls have hits that wait for their routing, the oldest since when; `due`: some can be routed now."""

    polls: int = 0
    oldest_at: datetime | None = None
    due: bool = False


NOTHING_UNROUTED = Unrouted()


class Backlog(Struct, frozen=True, kw_only=True):
    """Overdue work: feeds that are late by their own interval (the first few, and how many), and each channel.

    `oldest_feed_due_at` covers all feeds that are due, overdue or not.
    `over_budget`: feeds that may store no more today, and how many entries were left out. `unwell`: the first few of
    `feeds_unwell` feeds that fail, are blocked, gone, empty, silent or moved, or never worked. `broken`: the last
    delivery that was tried of each channel, where that failed; `failed_tests`: its last test alert, where that came
    later and failed. `dead`: alerts given up that nobody acknowledged.
    `unfolding`: rules whose retellings are updates, because people undid their folds; `splits`: hits that people took
    out of their stories. `unrouted`: hits that wait.
    """

    oldest_feed_due_at: datetime | None = None
    feeds: tuple[Overdue, ...] = ()
    feeds_overdue: int = 0
    channels: tuple[Overdue, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    over_budget: tuple[tuple[str, int], ...] = ()
    unwell: tuple[FeedState, ...] = ()
    feeds_unwell: int = 0
    broken: tuple[Delivery, ...] = ()
    failed_tests: tuple[ChannelTest, ...] = ()
    dead: int = 0
    splits: int = 0
    unfolding: tuple[str, ...] = ()
    newest_poll_at: datetime | None = None
    unrouted: Unrouted = NOTHING_UNROUTED

    @property
    def oldest_delivery_due_at(self) -> datetime | None:
        return min((channel.due_at for channel in self.channels), default=None)


class ConfigVersion(Struct, frozen=True, kw_only=True):
    """One configuration of a cluster: `by` names who put it in force, `at` is the database's clock."""

    number: int
    digest: str
    by: str
    at: datetime


class StoredConfig(Struct, frozen=True, kw_only=True):
    """The files of a configuration as (name, text); `feeds` are those that say nothing but feeds, if asked for."""

    version: ConfigVersion
    files: tuple[tuple[str, str], ...]
    feeds: tuple[tuple[str, str], ...] = ()


class Node(Struct, frozen=True, kw_only=True):
    """A process of a cluster. `silent_s`: seconds since its heartbeat; every instant is the database's.

    `config`: the number that it follows; `lacks`: what it needs and does not have (secrets), in words.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    version: str
    schema: str = ""
    config: int = 0
    lacks: str = ""
    started_at: datetime
    heartbeat_at: datetime
    silent_s: float = 0.0


class Job(Struct, frozen=True, kw_only=True):
    """A piece of work that one process of a cluster does at a time; `name` is unique among live jobs.

    `kind` says who can do it, `subject` what it is about (a lane, a channel); `config`: the number that a process
    must know first.
    """

    kind: str
    subject: str = ""
    config: int = 0

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.subject}" if self.subject else self.kind


class QueuedJob(Struct, frozen=True, kw_only=True):
    """A live job in the engine's queue: waiting or at work, for how many seconds, `attempts` so far.

    `silent_s`: how long the process that works on it has not been heard of.
    """

    name: str
    queue: str
    running: bool
    age_s: float
    attempts: int = 0
    worker: int | None = None
    silent_s: float = 0.0


class Queue(Struct, frozen=True, kw_only=True):
    """What a cluster's engine has to do: live jobs, the oldest first, jobs that failed, and workers that live."""

    jobs: tuple[QueuedJob, ...] = ()
    failed: int = 0
    workers: int = 0


class Status(Struct, frozen=True, kw_only=True):
    """The state of the service. `lag_s`: how long the most overdue feed has been waiting.

    `database_fault`: why nothing can be read or written, in one sentence that ends with the remedy.
    `config_errors`: what is wrong with the configuration on disk, in whose place an older one runs. `channels`: those
    that are configured, if known: what was tried on others says nothing any more. `lists`: those that were not fetched
    when they were due.
    `nodes` and the rest are those of a cluster: its `queue` (None: not a cluster, or not to be looked at), the schema
    that its `engine` has and the one that this program has, and why the engine cannot be used.
    """

    version: str
    now_at: datetime
    started_at: datetime | None = None
    loops: tuple[LoopStatus, ...] = ()
    feeds: tuple[tuple[str, int], ...] = ()
    lag_s: float = 0.0
    outbox: tuple[tuple[str, int], ...] = ()
    last_alert_at: datetime | None = None
    stats: Stats | None = None
    disk_free_bytes: int | None = None
    versions: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    processes: tuple[Process, ...] = ()
    backlog: Backlog = Backlog()
    database_fault: str = ""
    config_errors: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    channels: frozenset[str] | None = None
    lists: tuple[Overdue, ...] = ()
    queue: Queue | None = None
    engine: tuple[str, str] = ("", "")
    engine_fault: str = ""


# --- what people change by hand --------------------------------------------------------------------


class Undo(Struct, frozen=True, kw_only=True):
    """A change that a person made, by which it can be taken back. `kind` is a word that pages and JSON show.

    `id` is made by the code that offers the undo, and cannot be guessed. `count`: how many rows were put back.
    """

    id: str
    kind: str
    made_at: datetime
    count: int = 0


class Note(Struct, frozen=True, kw_only=True):
    """A person's words on a story."""

    id: int | None = None
    story: str
    text: str
    created_at: datetime


class View(Struct, frozen=True, kw_only=True):
    """A saved view: filters with a name. `id` is part of its addresses, `query` holds (parameter, value)."""

    id: str
    name: str
    query: tuple[tuple[str, str], ...] = ()
    created_at: datetime


Json = dict[str, Any]
