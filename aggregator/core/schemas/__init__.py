"""JSON of every value: the models that `--json`, the API, live events, exports and OpenAPI share (docs/api.md).

`models` has the models; the functions here add what is computed and return a dictionary of plain JSON types.
Instants are ISO 8601 in UTC with a `Z`; durations are seconds (`_s`), sizes bytes.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from aggregator.core import model
from aggregator.core.cluster_findings import is_alive
from aggregator.core.findings import findings, is_healthy
from aggregator.core.model import Json
from aggregator.core.schemas.models import (
    TEXTS,
    Backtest,
    BacktestSample,
    BaselineSent,
    Clause,
    ConfigProblem,
    Delivery,
    DeliveryDetail,
    Entry,
    EntryMatch,
    Explanation,
    Facets,
    Feed,
    FeedCandidate,
    Findings,
    Hit,
    ImportResult,
    LintAdvice,
    Loop,
    Note,
    Preview,
    Process,
    Rule,
    RuleChange,
    RuleDetail,
    RulesCheck,
    RulesFile,
    RuleSpans,
    Schema,
    Silence,
    Stats,
    Status,
    Story,
    StoryChange,
    StorySummary,
    Undone,
    View,
    instant,
)

if TYPE_CHECKING:
    from aggregator.core import results, settings
    from aggregator.core.errors import ConfigError
    from aggregator.core.rules import Explanation as RuleExplanation
    from aggregator.core.rules import LintFinding
    from aggregator.core.rules import Rule as CompiledRule
    from aggregator.core.rules.explain import ExplainedClause

__all__ = [
    "as_json",
    "backtest_json",
    "baseline_json",
    "candidate_json",
    "check_json",
    "delivery_detail_json",
    "delivery_json",
    "entry_json",
    "explanation_json",
    "facets_json",
    "feed_json",
    "file_json",
    "findings_json",
    "found_json",
    "hit_json",
    "imported_json",
    "instant",
    "lint_json",
    "match_json",
    "note_json",
    "precision",
    "preview_json",
    "problems_json",
    "process_json",
    "rule_detail_json",
    "rule_json",
    "silence_json",
    "stats_json",
    "status_json",
    "story_json",
    "undone_json",
    "view_json",
]


def as_json(schema: type[Schema], value: object, **options: Any) -> Json:
    """Dump a value, or a dictionary of the model's fields, as plain JSON types."""
    return schema.model_validate(value).model_dump(mode="json", **options)


def match_json(rule: str, spans: Iterable[model.Span]) -> Json:
    """Return one rule's match in a text."""
    return as_json(RuleSpans, {"rule": rule, "spans": list(spans)})


def feed_json(summary: model.FeedSummary, feed: "settings.Feed | None" = None) -> Json:
    """Return a feed with its state; `feed` is its configuration, None if it was removed."""
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
    """Return a stored entry; `text=False` leaves out summary and content (long listings)."""
    return as_json(Entry, entry, exclude=None if text else TEXTS)


def found_json(found: "results.EntryMatch", *, text: bool = True) -> Json:
    """Return a stored entry with the places that a query matches."""
    computed = {"feed_title": found.feed_title, "spans": found.spans, "snippet": found.snippet}
    return as_json(EntryMatch, _fields(EntryMatch, found.entry) | computed, exclude=None if text else TEXTS)


def hit_json(detail: model.HitDetail) -> Json:
    """Return a hit with its entry and the other sources of its story."""
    return as_json(Hit, _fields(Hit, detail.hit) | _fields(Hit, detail))


def undone_json(undo: model.Undo) -> Json:
    """Return what was taken back."""
    return as_json(Undone, undo)


def note_json(note: model.Note) -> Json:
    """Return a note on a story."""
    return as_json(Note, note)


def view_json(view: model.View) -> Json:
    """Return a saved view with its addresses."""
    path = f"/feeds/views/{quote(view.id, safe='')}"
    computed = {"query": urlencode(view.query), "atom": f"{path}.atom", "csv": f"{path}.csv"}
    return as_json(View, _fields(View, view) | computed)


def facets_json(facets: model.Facets) -> Json:
    """Return the values in a listing with their counts."""
    lists = {
        name: [{"value": value, "cards": count} for value, count in getattr(facets, name)]
        for name in ("rules", "feeds", "languages")
    }
    return as_json(Facets, {**lists, "hits": facets.hits})


def baseline_json(sent: "results.BaselineSent") -> Json:
    """Return what was queued of the hits of first polls."""
    computed = {"hits": sent.hits, "deliveries": len(sent.deliveries), "channels": sent.channels, "unsent": sent.unsent}
    return as_json(BaselineSent, computed)


def story_json(story: model.Story, details: Sequence[model.HitDetail] = ()) -> Json:
    """Return a story with its hits, in the order given."""
    apart = {"apart": sorted(story.apart)}
    return as_json(
        Story, _fields(Story, story) | apart | {"hits": [_fields(Hit, d.hit) | _fields(Hit, d) for d in details]}
    )


def story_summary_json(summary: model.StorySummary) -> Json:
    """Return a story as a listing has it."""
    return as_json(StorySummary, summary)


def story_change_json(change: "results.StoryChange") -> Json:
    """Return what became of stories that were split or joined."""
    return as_json(StoryChange, change)


def delivery_json(delivery: model.Delivery) -> Json:
    """Return an outbox row."""
    return as_json(Delivery, delivery)


def delivery_detail_json(
    delivery: model.Delivery, attempts: Sequence[model.Attempt], details: Sequence[model.HitDetail] = ()
) -> Json:
    """Return an outbox row with every attempt and the hits that it reports."""
    hits = [_fields(Hit, d.hit) | _fields(Hit, d) for d in details]
    lists = {"attempt_history": attempts, "hit_details": hits, "tries": attempts, "told": hits}
    return as_json(DeliveryDetail, _fields(Delivery, delivery) | lists)


def precision(figures: model.RuleStats) -> float | None:
    """Return the share of marked hits that were marked relevant; None if nothing was marked."""
    marked = figures.relevant + figures.irrelevant
    return round(figures.relevant / marked, 4) if marked else None


def rule_json(rule: "settings.RuleConfig", figures: model.RuleStats | None = None) -> Json:
    """Return a rule with the YAML's own keys (defaults are left out) and its statistics."""
    figures = figures or model.RuleStats(rule=rule.id)
    computed = {
        "title": rule.title or rule.id,
        "definition": rule.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "precision": precision(figures),
        "days": [{"day": day, "hits": hits} for day, hits in figures.days],
    }
    return as_json(Rule, _fields(Rule, rule) | _fields(Rule, figures) | computed)


def rule_detail_json(rule: "CompiledRule", place: Sequence[str | int], figures: model.RuleStats | None = None) -> Json:
    """Return a rule as the matcher reads it, with its statistics."""
    from aggregator.core.rules import print_query, spellings

    read = {
        "query": print_query(rule.tree),
        "spellings": {term: list(others) for term, others in spellings(rule)},
        "version": rule.version,
        "place": list(place),
    }
    return as_json(RuleDetail, rule_json(rule.config, figures) | read)


def channel_json(
    name: str, config: "settings.Config", activity: model.ChannelActivity, test: model.ChannelTest | None
) -> Json:
    """Return a channel with its last attempts; no address and no recipient is in it."""
    from aggregator.core.schemas.actions import ChannelStatus
    from aggregator.core.titles import channel_service

    channel, default = config.channels[name], config.settings.default_channels
    tried = [
        {
            "id": d.id,
            "title": d.title,
            "state": d.state.value,
            "at": model.last_tried_at(d),
            "error": d.last_error or "",
        }
        for d in activity.last
    ]
    values = {
        "name": name,
        "service": channel_service(channel),
        "rules": [rule.id for rule in config.rules if name in (default if rule.notify is None else rule.notify)],
        "default": name in default,
        "quiet_hours": channel.quiet_hours,
        "time_zone": channel.time_zone,
        "max_per_hour": channel.max_per_hour,
        "fallback": channel.fallback,
        "sent_last_hour": activity.sent,
        "state": model.channel_state(activity, test),
        "attempts": tried,
    }
    return as_json(ChannelStatus, values)


def silence_json(silence: model.Silence) -> Json:
    """Return an active silence; exactly one of rule, feed and story is set, or none: everything."""
    return as_json(Silence, silence)


def stats_json(stats: model.Stats) -> Json:
    """Return the numbers of stored rows."""
    return as_json(Stats, stats)


def process_json(process: model.Process) -> Json:
    """Return a process of the service; `loops` says which are healthy, null if unknown."""
    return as_json(Process, _process(process))


def status_json(status: model.Status) -> Json:
    """Return the status of the service; `ok` is True if no finding is a warning or an error."""
    found = findings(status)
    loops = [_fields(Loop, one) | {"ok": not one.late, "patience_s": one.timeout_s} for one in status.loops]
    computed = {
        "ok": is_healthy(found),
        "findings": found,
        "running": bool(status.processes) or any(map(is_alive, status.nodes)),
        "jobs": _queue_figures(status.queue) if status.queue else None,
        "processes": [_process(one) for one in status.processes],
        "loops": loops,
        "feeds": dict(status.feeds),
        "outbox": dict(status.outbox),
        "versions": dict(status.versions),
    }
    return as_json(Status, _fields(Status, status) | computed, by_alias=True)


def _queue_figures(queue: "model.Queue") -> Json:
    waiting = [job.age_s for job in queue.jobs if not job.running]
    return {
        "waiting": len(waiting),
        "running": len(queue.jobs) - len(waiting),
        "failed": queue.failed,
        "workers": queue.workers,
        "oldest_s": max(waiting, default=0.0),
    }


def findings_json(found: "Sequence[model.Finding]") -> Json:
    """Return what is wrong, the worst first."""
    return as_json(Findings, {"ok": is_healthy(tuple(found)), "findings": list(found)})


def candidate_json(candidate: "results.FeedCandidate") -> Json:
    """Return a feed behind an address."""
    return as_json(FeedCandidate, _fields(FeedCandidate, candidate) | {"known_as": candidate.existing_id})


def imported_json(report: "results.ImportResult") -> Json:
    """Return the outcome of an import."""
    return as_json(ImportResult, report)


def problems_json(problems: "Iterable[ConfigError]") -> list[Json]:
    """Return the loader's problems, each with its place."""
    return [as_json(ConfigProblem, problem) for problem in problems]


def check_json(check: "results.RulesCheck") -> Json:
    """Return whether a text can be saved, and why not."""
    return as_json(RulesCheck, check)


def file_json(file: "results.RulesFile") -> Json:
    """Return a file that holds rules, with its text."""
    return as_json(RulesFile, file)


def preview_json(preview: "results.Preview") -> Json:
    """Return what an edit adds and removes; the samples come without their texts."""
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
    """Return a rule's matches in `entries` stored entries, in its old and its new form."""

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
    """Return those fields of a model that a value has as attributes."""
    return {name: getattr(value, name) for name in schema.model_fields if hasattr(value, name)}
