"""JSON of every value: the models that `--json`, the API, live events, exports and OpenAPI share (docs/api.md).

A model reads its fields from the attributes of a value; the functions below add what is computed and return a
dictionary of plain JSON types. Instants are ISO 8601 in UTC with a `Z`; durations are seconds (`_s`), sizes bytes.
A model may gain keys, never lose one.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer, SkipValidation, WithJsonSchema

from aggregator.core import model
from aggregator.core.findings import findings, is_healthy
from aggregator.core.model import Json

if TYPE_CHECKING:
    from aggregator.core import results, settings
    from aggregator.core.errors import ConfigError
    from aggregator.core.rules import Explanation as RuleExplanation
    from aggregator.core.rules import LintFinding
    from aggregator.core.rules.explain import ExplainedClause


def instant(at: datetime | None) -> str | None:
    """Format `2026-03-01T08:15:00Z`; None stays None."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


At = Annotated[
    datetime, PlainSerializer(instant), WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization")
]
TEXTS = {"summary", "content"}
Text = Annotated[str, SkipValidation]  # what a terminal or a file brought may hold what is no valid Unicode


class Schema(BaseModel):
    """Built when it is first used: a command that prints no JSON does not pay for it."""

    model_config = ConfigDict(from_attributes=True, defer_build=True)


class ConfigProblem(Schema):
    file: Text
    line: int
    column: int
    message: Text
    hint: Text | None
    severity: Literal["error", "warning"]


class ErrorResponse(Schema):
    """An error in one sentence; `problems` where a configuration is at fault."""

    detail: Text
    problems: list[ConfigProblem] | None = None


ERRORS: dict[int | Text, dict[Text, Any]] = {
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


class Span(Schema):
    """Where a term matched; offsets count code points."""

    field: Text
    start: int
    end: int
    text: Text
    term: Text


class EntryOfHit(Schema):
    id: int | None
    title: Text
    link: Text | None
    published_at: At | None


class Hit(Schema):
    id: Text
    rule: Text
    feed: Text
    entry: EntryOfHit
    spans: list[Span]
    snippet: Text
    story: Text | None
    created_at: At
    state: Literal["alerted", "collapsed", "held", "suppressed"]
    reason: Text
    mark: Text | None
    rule_title: Text
    feed_title: Text
    also_in: list[Text]


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
    version: int
    reason: Text
    summary: Text = ""
    content: Text = ""


class EntryMatch(Entry):
    """A stored entry that a query matches, and where."""

    feed_title: Text
    spans: list[Span]
    snippet: Text


class Story(Schema):
    id: Text
    title: Text
    feeds: list[Text]
    first_at: At
    last_at: At
    hits: list[Hit]


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
    relevant: int
    irrelevant: int
    precision: float | None
    last_hit_at: At | None
    days: list[Day]


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


class Finding(Schema):
    """One thing that is wrong; a note is no reason to act."""

    severity: Literal["error", "warning", "note"]
    area: Text
    what: Text
    remedy: Text
    kind: Text


class Status(Schema):
    """`ok`: no finding is a warning or an error."""

    ok: bool
    findings: list[Finding]
    running: bool
    processes: list[Process]
    version: Text
    now_at: At
    started_at: At | None
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


class RulesCheck(Schema):
    ok: bool
    problems: list[ConfigProblem]
    rules: list[Text]


class RulesFile(Schema):
    name: Text
    text: Text
    digest: Text


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


class RuleSpans(Schema):
    """One rule's answer to a text."""

    rule: Text
    spans: list[Span]


class Evidence(Schema):
    field: Text
    start: int
    end: int
    text: Text


class Clause(Schema):
    kind: Text
    text: Text
    satisfied: bool
    found: list[Evidence]
    hint: Text
    children: list["Clause"]


class Explanation(Schema):
    rule: Text
    matched: bool
    excluded_by: Text
    barred: Text  # the old key, for one release
    tree: Clause
    snippet: Text


class Count(Schema):
    count: int


class LintAdvice(Schema):
    rule: Text
    kind: Text
    message: Text
    hint: Text


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


# --- values to JSON ------------------------------------------------------------------------------------


def as_json(schema: type[Schema], value: object, **options: Any) -> Json:
    """Dump a value, or a dictionary of the model's fields, as plain JSON types."""
    return schema.model_validate(value).model_dump(mode="json", **options)


def match_json(rule: str, spans: Iterable[model.Span]) -> Json:
    """One rule's answer to a text."""
    return as_json(RuleSpans, {"rule": rule, "spans": list(spans)})


def feed_json(summary: model.FeedSummary, feed: "settings.Feed | None" = None) -> Json:
    """A feed with its state; `feed` is its configuration, absent for one that left it."""
    state = summary.state
    computed = {
        "title": (feed.title if feed else "") or state.title or state.id,
        "tags": feed.tags if feed else (),
        "state": state.health.value,
        "etag": state.validators.etag if state.validators else None,
        "last_modified": state.validators.last_modified if state.validators else None,
        "entries": summary.entries,
        "hits": summary.hits,
        "rungs": state.parse_levels,
        "configured": feed is not None,
    }
    return as_json(Feed, _fields(Feed, state) | computed)


def entry_json(entry: model.Entry, *, text: bool = True) -> Json:
    """A stored entry; `text=False` leaves out summary and content (long listings)."""
    return as_json(Entry, entry, exclude=None if text else TEXTS)


def found_json(found: "results.EntryMatch", *, text: bool = True) -> Json:
    """A stored entry that a query matches, and where."""
    computed = {"feed_title": found.feed_title, "spans": found.spans, "snippet": found.snippet}
    return as_json(EntryMatch, _fields(EntryMatch, found.entry) | computed, exclude=None if text else TEXTS)


def hit_json(detail: model.HitDetail) -> Json:
    """A hit with the entry behind it and who else carries the story."""
    return as_json(Hit, _fields(Hit, detail.hit) | _fields(Hit, detail))


def story_json(story: model.Story, details: Sequence[model.HitDetail] = ()) -> Json:
    """A story with its hits, in the order given."""
    return as_json(Story, _fields(Story, story) | {"hits": [_fields(Hit, d.hit) | _fields(Hit, d) for d in details]})


def delivery_json(delivery: model.Delivery) -> Json:
    """An outbox row."""
    return as_json(Delivery, delivery)


def delivery_detail_json(
    delivery: model.Delivery, attempts: Sequence[model.Attempt], details: Sequence[model.HitDetail] = ()
) -> Json:
    """An outbox row with every attempt and the hits that it reports."""
    hits = [_fields(Hit, d.hit) | _fields(Hit, d) for d in details]
    lists = {"attempt_history": attempts, "hit_details": hits, "tries": attempts, "told": hits}
    return as_json(DeliveryDetail, _fields(Delivery, delivery) | lists)


def precision(figures: model.RuleStats) -> float | None:
    """The share of marked hits that were marked relevant; None where nothing was marked."""
    marked = figures.relevant + figures.irrelevant
    return round(figures.relevant / marked, 4) if marked else None


def rule_json(rule: "settings.RuleConfig", figures: model.RuleStats | None = None) -> Json:
    """A rule as written, in the YAML's own keys (what was left at its default is left out), with its figures."""
    figures = figures or model.RuleStats(rule=rule.id)
    computed = {
        "title": rule.title or rule.id,
        "definition": rule.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "precision": precision(figures),
        "days": [{"day": day, "hits": hits} for day, hits in figures.days],
    }
    return as_json(Rule, _fields(Rule, rule) | _fields(Rule, figures) | computed)


def silence_json(silence: model.Silence) -> Json:
    """A live silence; exactly one of rule, feed and story is set, or none: everything."""
    return as_json(Silence, silence)


def stats_json(stats: model.Stats) -> Json:
    """How much is stored."""
    return as_json(Stats, stats)


def process_json(process: model.Process) -> Json:
    """A process of the service; `loops` says which are well, null where that is not known."""
    return as_json(Process, _process(process))


def status_json(status: model.Status) -> Json:
    """The service at one glance; `ok` is True where no finding is a warning or an error."""
    found = findings(status)
    loops = [_fields(Loop, one) | {"ok": not one.late, "patience_s": one.timeout_s} for one in status.loops]
    computed = {
        "ok": is_healthy(found),
        "findings": found,
        "running": bool(status.processes),
        "processes": [_process(one) for one in status.processes],
        "loops": loops,
        "feeds": dict(status.feeds),
        "outbox": dict(status.outbox),
        "versions": dict(status.versions),
    }
    return as_json(Status, _fields(Status, status) | computed)


def candidate_json(candidate: "results.FeedCandidate") -> Json:
    """A feed behind an address."""
    return as_json(FeedCandidate, _fields(FeedCandidate, candidate) | {"known_as": candidate.existing_id})


def imported_json(report: "results.ImportResult") -> Json:
    """The outcome of an import."""
    return as_json(ImportResult, report)


def problems_json(problems: "Iterable[ConfigError]") -> list[Json]:
    """What the loader found, each with its place."""
    return [as_json(ConfigProblem, problem) for problem in problems]


def check_json(check: "results.RulesCheck") -> Json:
    """Whether a text can be saved, and why not."""
    return as_json(RulesCheck, check)


def file_json(file: "results.RulesFile") -> Json:
    """A file that holds rules, with its text."""
    return as_json(RulesFile, file)


def preview_json(preview: "results.Preview") -> Json:
    """What an edit adds and removes; the samples come without their texts."""
    samples = ("added_samples", "removed_samples")
    changes = [
        _fields(RuleChange, change)
        | {
            side: [_fields(EntryMatch, one.entry) | _fields(EntryMatch, one) for one in getattr(change, side)]
            for side in samples
        }
        for change in preview.changes
    ]
    without_texts = {"changes": {"__all__": {side: {"__all__": TEXTS} for side in samples}}}
    return as_json(Preview, _fields(Preview, preview) | {"changes": changes}, exclude=without_texts)


def explanation_json(explanation: "RuleExplanation") -> Json:
    """Why a rule matches a document or not, clause by clause."""
    computed = {"tree": _clause(explanation.tree), "barred": explanation.excluded_by}
    return as_json(Explanation, _fields(Explanation, explanation) | computed)


def lint_json(finding: "LintFinding") -> Json:
    """Something about one rule that is probably not meant."""
    return as_json(LintAdvice, finding)


def backtest_json(rule: str, entries: int, tally: "results.RuleTally") -> Json:
    """What a rule finds in `entries` stored entries, in its old and its new form."""

    def samples(found: "Iterable[results.EntryMatch]") -> list[Json]:
        return [_fields(BacktestSample, one.entry) | {"snippet": one.snippet} for one in found]

    return as_json(
        Backtest,
        {
            "rule": rule,
            "entries": entries,
            "hits": tally.after,
            "before": tally.before,
            "added": tally.added_count,
            "removed": tally.removed_count,
            "days": [{"day": day, "hits": hits} for day, hits in sorted(tally.days.items())],
            "feeds": [{"feed": feed, "hits": hits} for feed, hits in tally.feeds.most_common(10)],
            "samples": samples(tally.samples),
            "added_samples": samples(tally.added),
            "removed_samples": samples(tally.removed),
        },
    )


def _process(process: model.Process) -> Json:
    return _fields(Process, process) | {"loops": None if process.loops is None else dict(process.loops)}


def _clause(clause: "ExplainedClause") -> Json:
    computed = {"found": clause.spans, "children": [_clause(child) for child in clause.children]}
    return _fields(Clause, clause) | computed


def _fields(schema: type[Schema], value: object) -> Json:
    """Those fields of a model that a value has as attributes."""
    return {name: getattr(value, name) for name in schema.model_fields if hasattr(value, name)}
