"""The shapes of core/schemas.py as models, for the OpenAPI document; and what requests may send.

Answers are made by core/schemas.py; a test holds every model against the shape that it documents.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from aggregator.web.params import Moment

At = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Mark = Literal["relevant", "irrelevant"]
Text = Annotated[str, Field(max_length=2**20)]
Address = Annotated[str, Field(min_length=1, max_length=2048)]
Id = Annotated[str, Field(min_length=1, max_length=200)]


class ConfigProblem(BaseModel):
    file: str
    line: int
    column: int
    message: str
    hint: str | None
    severity: Literal["error", "warning"]


class ErrorResponse(BaseModel):
    """An error in one sentence; `problems` where a configuration is at fault."""

    detail: str
    problems: list[ConfigProblem] | None = None


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "The request cannot be read."},
    401: {"model": ErrorResponse, "description": "A token or a session is needed."},
    403: {"model": ErrorResponse, "description": "The request did not come from a page of this site."},
    404: {"model": ErrorResponse, "description": "There is no such thing."},
    409: {"model": ErrorResponse, "description": "Somebody else changed it first."},
    413: {"model": ErrorResponse, "description": "The body is too large."},
    422: {"model": ErrorResponse, "description": "The request cannot be understood; the detail says why."},
    502: {"model": ErrorResponse, "description": "The other server did not answer well."},
    503: {"model": ErrorResponse, "description": "The database does not answer."},
}


class Span(BaseModel):
    field: str
    start: int
    end: int
    text: str
    term: str


class EntryOfHit(BaseModel):
    id: int | None
    title: str
    link: str | None
    published_at: At | None


class Hit(BaseModel):
    id: str
    rule: str
    feed: str
    entry: EntryOfHit
    spans: list[Span]
    snippet: str
    story: str | None
    created_at: At
    state: Literal["alerted", "collapsed", "held", "suppressed"]
    reason: str
    mark: str | None
    rule_title: str
    feed_title: str
    also_in: list[str]


class Entry(BaseModel):
    id: int | None
    feed: str
    title: str
    link: str | None
    author: str
    categories: list[str]
    lang: str | None
    published_at: At | None
    updated_at: At | None
    seen_at: At
    version: int
    reason: str
    summary: str = ""
    content: str = ""


class EntryMatch(Entry):
    feed_title: str
    spans: list[Span]
    snippet: str


class Story(BaseModel):
    id: str
    title: str
    feeds: list[str]
    first_at: At
    last_at: At
    hits: list[Hit]


class Day(BaseModel):
    day: str
    hits: int


class Rule(BaseModel):
    id: str
    title: str
    enabled: bool
    priority: str
    deliver: str
    notify: list[str] | None
    definition: dict[str, Any]
    hits: int
    alerts: int
    relevant: int
    irrelevant: int
    precision: float | None
    last_hit_at: At | None
    days: list[Day]


class Feed(BaseModel):
    id: str
    url: str
    title: str
    tags: list[str]
    state: str
    etag: str | None
    last_modified: str | None
    last_polled_at: At | None
    next_poll_at: At | None
    last_status: int | None
    failures: int
    last_error: str | None
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


class Delivery(BaseModel):
    id: str
    channel: str
    rules: list[str]
    hits: list[str]
    state: Literal["pending", "held", "sending", "retry", "sent", "dead", "suppressed"]
    reason: str
    attempts: int
    due_at: At
    sent_at: At | None
    acknowledged_at: At | None
    last_error: str | None
    title: str
    kind: str
    recipient: str
    story: str | None
    priority: str
    created_at: At


class Attempt(BaseModel):
    number: int
    started_at: At
    ended_at: At | None
    outcome: str | None
    detail: str


class DeliveryDetail(Delivery):
    attempt_history: list[Attempt]
    hit_details: list[Hit]
    tries: list[Attempt]  # the old keys, for one release
    told: list[Hit]


class Silence(BaseModel):
    id: int | None
    rule: str | None
    feed: str | None
    story: str | None
    until_at: At
    reason: str
    created_at: At


class Stats(BaseModel):
    feeds: int
    entries: int
    hits: int
    deliveries: int
    bytes: int


class Loop(BaseModel):
    name: str
    ok: bool
    last_at: At | None
    timeout_s: float
    patience_s: float  # the old key, for one release
    error: str | None


class Process(BaseModel):
    pid: int
    started_at: At
    roles: list[str]
    page: str | None
    loops: dict[str, bool] | None


class Finding(BaseModel):
    """One thing that is wrong; a note is no reason to act."""

    severity: Literal["error", "warning", "note"]
    area: str
    what: str
    remedy: str
    kind: str


class Status(BaseModel):
    """`ok`: no finding is a warning or an error."""

    ok: bool
    findings: list[Finding]
    running: bool
    processes: list[Process]
    version: str
    now_at: At
    started_at: At | None
    loops: list[Loop]
    feeds: dict[str, int]
    lag_s: float
    outbox: dict[str, int]
    last_alert_at: At | None
    stats: Stats | None
    disk_free_bytes: int | None
    versions: dict[str, str]
    warnings: list[str]


class FeedCandidate(BaseModel):
    url: str
    title: str
    entries: int
    newest_at: At | None
    titles: list[str]
    existing_id: str | None
    known_as: str | None  # the old key, for one release


class ImportResult(BaseModel):
    added: list[str]
    known: list[str]
    repeated: list[str]
    problems: list[str]


class RulesCheck(BaseModel):
    ok: bool
    problems: list[ConfigProblem]
    rules: list[str]


class RulesFile(BaseModel):
    name: str
    text: str
    digest: str


class RuleChange(BaseModel):
    rule: str
    before: int
    after: int
    added: int
    removed: int
    added_samples: list[EntryMatch]
    removed_samples: list[EntryMatch]


class Preview(BaseModel):
    since: At
    entries: int
    complete: bool
    changes: list[RuleChange]


class Evidence(BaseModel):
    field: str
    start: int
    end: int
    text: str


class Clause(BaseModel):
    kind: str
    text: str
    satisfied: bool
    found: list[Evidence]
    hint: str
    children: list["Clause"]


class Explanation(BaseModel):
    rule: str
    matched: bool
    excluded_by: str
    barred: str  # the old key, for one release
    tree: Clause
    snippet: str


class Count(BaseModel):
    count: int


# --- what requests send ------------------------------------------------------------------------------


class RequestBody(BaseModel):
    """A request's body; a key that is not listed is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SetMark(RequestBody):
    mark: Mark | None


class CreateFeed(RequestBody):
    url: Address
    title: Annotated[str, Field(max_length=300)] = ""
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)] = []


class DiscoverFeeds(RequestBody):
    url: Address


class SetPaused(RequestBody):
    paused: bool


class RulesUpload(RequestBody):
    name: Id
    text: Text


class RulesSaved(RulesUpload):
    digest: Annotated[str, Field(max_length=200, description="Of the text that was edited.")]


class PreviewRequest(RulesUpload):
    since: Moment = "30d"


class DeliveryIds(RequestBody):
    ids: Annotated[list[Id], Field(min_length=1, max_length=1000)]


SPAN = r"^([1-9][0-9]{0,2} ?(s|m|h|d)|[1-9][0-9]?h ?[1-9][0-9]?m|[1-9][0-9]?d ?[1-9][0-9]?h)$"  # some that are taken


class CreateSilence(RequestBody):
    """Of exactly one of rule, feed and story."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [one], "properties": {one: {"type": "string"}}} for one in ("rule", "feed", "story")]
        }
    )

    rule: Id | None = None
    feed: Id | None = None
    story: Id | None = None
    last: Annotated[
        str,
        Field(alias="for", max_length=40, description="How long: 30m, 1h30m, 2d; at most 999 days."),
        WithJsonSchema({"type": "string", "pattern": SPAN, "examples": ["30m", "1h30m", "2d"]}),
    ] = "8h"
    reason: Annotated[str, Field(max_length=500)] = ""


class HealthCheck(BaseModel):
    """Whether every loop gives its sign of life."""

    ok: bool
    loops: dict[str, bool]
