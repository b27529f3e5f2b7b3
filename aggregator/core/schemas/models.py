"""The models of all JSON that leaves the program, for dumping and for the OpenAPI document.

A model reads its fields from the attributes of a value. It may gain keys, never lose one.
"""

from typing import Any, Literal

from pydantic import Field

from aggregator.core.schemas.base import TEXTS as TEXTS
from aggregator.core.schemas.base import At as At
from aggregator.core.schemas.base import ConfigProblem as ConfigProblem
from aggregator.core.schemas.base import Schema as Schema
from aggregator.core.schemas.base import Span as Span
from aggregator.core.schemas.base import Text as Text
from aggregator.core.schemas.base import instant as instant
from aggregator.core.schemas.rule_models import Clause as Clause
from aggregator.core.schemas.rule_models import Edit as Edit
from aggregator.core.schemas.rule_models import Evidence as Evidence
from aggregator.core.schemas.rule_models import Exclusion as Exclusion
from aggregator.core.schemas.rule_models import Explanation as Explanation
from aggregator.core.schemas.rule_models import LintAdvice as LintAdvice
from aggregator.core.schemas.rule_models import RuleItem as RuleItem
from aggregator.core.schemas.rule_models import RuleItemCheck as RuleItemCheck
from aggregator.core.schemas.rule_models import RuleSaved as RuleSaved
from aggregator.core.schemas.rule_models import RulesCheck as RulesCheck
from aggregator.core.schemas.rule_models import RulesFile as RulesFile
from aggregator.core.schemas.rule_models import RuleSpans as RuleSpans
from aggregator.core.schemas.workspace import Count as Count
from aggregator.core.schemas.workspace import FacetCount as FacetCount
from aggregator.core.schemas.workspace import Facets as Facets
from aggregator.core.schemas.workspace import FeedLink as FeedLink
from aggregator.core.schemas.workspace import LabelCount as LabelCount
from aggregator.core.schemas.workspace import Labels as Labels
from aggregator.core.schemas.workspace import Note as Note
from aggregator.core.schemas.workspace import Undone as Undone
from aggregator.core.schemas.workspace import View as View


class EntryOfHit(Schema):
    id: int | None
    title: Text
    link: Text | None
    published_at: At | None


class HitDelivery(Schema):
    """An alert that reports a hit; `at`: when it was sent, or is due."""

    id: Text
    channel: Text
    state: Literal["pending", "held", "sending", "retry", "sent", "dead", "suppressed"]
    at: At | None


class NearMiss(Schema):
    """A story that an entry did not join, and why."""

    story: Text
    title: Text
    feed: Text
    reason: Text


class Because(Schema):
    """Why an entry belongs to its story: the nearest report, the words that they share; null kind: it joined none."""

    kind: Literal["copy", "retelling", "follow-up", "translation", "person"] | None
    story: Text
    report: Text
    title: Text
    feed: Text
    at: At | None
    words: list[Text]
    similarity: float
    hours: float
    doubt: Text
    by: Text
    misses: list[NearMiss]


class Hit(Schema):
    id: Text
    rule: Text
    feed: Text
    entry: EntryOfHit
    spans: list[Span]
    snippet: Text
    story: Text | None
    created_at: At
    dated_at: At
    recorded_at: At
    state: Literal["new", "alerted", "collapsed", "folded", "held", "suppressed"]
    reason: Text
    mark: Text | None
    rule_title: Text
    feed_title: Text
    also_in: list[Text]
    event: Text | None
    because: Because | None
    deliveries: list[HitDelivery]
    earlier_alerts: list[HitDelivery]


class BaselineSent(Schema):
    """Hits that were there at first polls, queued as one digest for each recipient of these channels."""

    hits: int
    deliveries: int
    channels: list[Text]
    unsent: int


class Entry(Schema):
    id: int | None
    feed: Text
    title: Text
    link: Text | None
    author: Text
    categories: list[Text]
    lang: Text | None
    published_at: At | None
    updated_at: At | None
    seen_at: At
    dated_at: At
    recorded_at: At
    version: int
    reason: Text
    summary: Text = ""
    content: Text = ""


class EntryMatch(Entry):
    """A stored entry that a query matches, and where."""

    feed_title: Text
    spans: list[Span]
    snippet: Text


class Report(Schema):
    """One wording of an event."""

    id: Text
    feed: Text
    title: Text
    at: At


class Story(Schema):
    id: Text
    title: Text
    feeds: list[Text]
    first_at: At
    last_at: At
    alerted_at: At | None
    reports: list[Report]
    apart: list[Text]
    hits: list[Hit]


class StorySummary(Schema):
    """A story in a listing: its hits, those folded, and those that alerted again as updates."""

    id: Text
    title: Text
    feeds: list[Text]
    first_at: At
    last_at: At
    alerted_at: At | None
    hits: int
    folded: int
    updates: int


class StoryChange(Schema):
    """A split (`story` is left, `other` is new) or a join (`other` is in `story` now)."""

    story: Text
    other: Text
    hits: int
    queued: int


class Day(Schema):
    day: Text
    hits: int


class Rule(Schema):
    id: Text
    title: Text
    enabled: bool
    priority: Text
    deliver: Text
    notify: list[Text] | None
    definition: dict[Text, Any]
    hits: int
    alerts: int
    folded: int
    undone: int
    relevant: int
    irrelevant: int
    precision: float | None
    last_hit_at: At | None
    days: list[Day]


class RuleDetail(Rule):
    """A rule as the matcher reads it, with the spellings it adds and where it is written: file, line, column."""

    query: Text
    spellings: dict[Text, list[Text]]
    version: Text
    place: list[Text | int]


class Feed(Schema):
    id: Text
    url: Text
    title: Text
    tags: list[Text]
    state: Text
    etag: Text | None
    last_modified: Text | None
    last_polled_at: At | None
    next_poll_at: At | None
    last_status: int | None
    failures: int
    last_error: Text | None
    entries: int
    newest_at: At | None
    interval_s: float | None
    hits: int
    last_ok_at: At | None
    last_new_at: At | None
    gap_s: float | None
    parse_levels: list[int]
    rungs: list[int]  # the old key, for one release
    configured: bool


class Delivery(Schema):
    id: Text
    channel: Text
    rules: list[Text]
    hits: list[Text]
    state: Literal["pending", "held", "sending", "retry", "sent", "dead", "suppressed"]
    reason: Text
    attempts: int
    due_at: At
    sent_at: At | None
    acknowledged_at: At | None
    last_error: Text | None
    title: Text
    kind: Text
    recipient: Text
    story: Text | None
    priority: Text
    created_at: At


class Attempt(Schema):
    number: int
    started_at: At
    ended_at: At | None
    outcome: Text | None
    detail: Text


class DeliveryDetail(Delivery):
    attempt_history: list[Attempt]
    hit_details: list[Hit]
    tries: list[Attempt]  # the old keys, for one release
    told: list[Hit]


class Silence(Schema):
    id: int | None
    rule: Text | None
    feed: Text | None
    story: Text | None
    until_at: At
    reason: Text
    created_at: At


class Stats(Schema):
    feeds: int
    entries: int
    hits: int
    deliveries: int
    bytes: int


class Loop(Schema):
    name: Text
    ok: bool
    last_at: At | None
    timeout_s: float
    patience_s: float  # the old key, for one release
    error: Text | None


class Process(Schema):
    pid: int
    started_at: At
    roles: list[Text]
    page: Text | None
    loops: dict[Text, bool] | None


class Node(Schema):
    """A process of a cluster; `silent_s`: seconds since its heartbeat, `config`: the number that it follows."""

    id: Text
    name: Text
    roles: list[Text]
    version: Text
    schema_: Text = Field(alias="schema")
    config: int
    lacks: Text
    started_at: At
    heartbeat_at: At
    silent_s: float


class Jobs(Schema):
    """The queue of a cluster in figures; `oldest_s`: how long the first job that waits has waited."""

    waiting: int
    running: int
    failed: int
    workers: int
    oldest_s: float


class Finding(Schema):
    """One thing that is wrong; a note is no reason to act."""

    severity: Literal["error", "warning", "note"]
    area: Text
    what: Text
    remedy: Text
    kind: Text


class Findings(Schema):
    """`ok`: no finding is a warning or an error."""

    ok: bool
    findings: list[Finding]


class Status(Schema):
    """`ok`: no finding is a warning or an error."""

    ok: bool
    findings: list[Finding]
    running: bool
    processes: list[Process]
    version: Text
    now_at: At
    started_at: At | None
    nodes: list[Node]
    jobs: Jobs | None
    loops: list[Loop]
    feeds: dict[Text, int]
    lag_s: float
    outbox: dict[Text, int]
    last_alert_at: At | None
    stats: Stats | None
    disk_free_bytes: int | None
    versions: dict[Text, Text]
    warnings: list[Text]


class FeedCandidate(Schema):
    url: Text
    title: Text
    kind: Text
    select: dict[str, Text]
    entries: int
    newest_at: At | None
    titles: list[Text]
    rhythm_s: float | None
    existing_id: Text | None
    known_as: Text | None  # the old key, for one release


class ImportResult(Schema):
    added: list[Text]
    known: list[Text]
    repeated: list[Text]
    problems: list[Text]
    edit: int | None = None


class RuleChange(Schema):
    rule: Text
    before: int
    after: int
    added: int
    removed: int
    added_samples: list[EntryMatch]
    removed_samples: list[EntryMatch]


class Preview(Schema):
    since: At
    entries: int
    complete: bool
    changes: list[RuleChange]


class BacktestSample(Schema):
    id: int | None
    title: Text
    feed: Text
    snippet: Text


class FeedHits(Schema):
    feed: Text
    hits: int


class Backtest(Schema):
    """What a rule, perhaps an edited one, finds in stored entries."""

    rule: Text
    entries: int
    hits: int
    before: int
    added: int
    removed: int
    days: list[Day]
    feeds: list[FeedHits]
    samples: list[BacktestSample]
    added_samples: list[BacktestSample]
    removed_samples: list[BacktestSample]


class HealthCheck(Schema):
    """Whether every loop reports in time."""

    ok: bool
    loops: dict[Text, bool]
