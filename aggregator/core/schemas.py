"""Values as JSON: the shapes that `--json`, the API and the exports share (docs/api.md).

Every function takes values and gives a dictionary of plain JSON types. Instants are ISO 8601 in
UTC with a `Z`; durations are seconds (`_s`), sizes bytes. A shape may grow keys, never lose one.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from aggregator.core.findings import findings, is_healthy
from aggregator.core.model import (
    Attempt,
    Delivery,
    Entry,
    FeedSummary,
    Finding,
    Hit,
    HitDetail,
    Json,
    LoopStatus,
    Process,
    RuleStats,
    Silence,
    Span,
    Stats,
    Status,
    Story,
)
from aggregator.core.settings import Feed, RuleConfig


def instant(at: datetime | None) -> str | None:
    """`2026-03-01T08:15:00Z`, or None."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def span_json(span: Span) -> Json:
    """`{field, start, end, text, term}`; offsets count code points."""
    return {"field": span.field, "start": span.start, "end": span.end, "text": span.text, "term": span.term}


def match_json(rule: str, spans: Iterable[Span]) -> Json:
    """`{rule, spans}`: one rule's answer to a text."""
    return {"rule": rule, "spans": [span_json(span) for span in spans]}


def feed_json(summary: FeedSummary, feed: Feed | None = None) -> Json:
    """A feed with its state; `feed` is its configuration, absent for one that left it."""
    state = summary.state
    return {
        "id": state.id,
        "url": state.url,
        "title": (feed.title if feed else "") or state.title or state.id,
        "tags": list(feed.tags) if feed else [],
        "state": state.health.value,
        "etag": state.validators.etag if state.validators else None,
        "last_modified": state.validators.last_modified if state.validators else None,
        "last_polled_at": instant(state.last_polled_at),
        "next_poll_at": instant(state.next_poll_at),
        "last_status": state.last_status,
        "failures": state.failures,
        "last_error": state.last_error,
        "entries": summary.entries,
        "newest_at": instant(state.newest_at),
        "interval_s": state.interval_s,
        "hits": summary.hits,
        "last_ok_at": instant(state.last_ok_at),
        "last_new_at": instant(state.last_new_at),
        "gap_s": state.gap_s,
        "parse_levels": list(state.parse_levels),
        "rungs": list(state.parse_levels),  # the old key, for one release
        "configured": feed is not None,
    }


def entry_json(entry: Entry, *, text: bool = True) -> Json:
    """A stored entry; `text=False` leaves out summary and content (long listings)."""
    shape: Json = {
        "id": entry.id,
        "feed": entry.feed,
        "title": entry.title,
        "link": entry.link,
        "author": entry.author,
        "categories": list(entry.categories),
        "lang": entry.lang,
        "published_at": instant(entry.published_at),
        "updated_at": instant(entry.updated_at),
        "seen_at": instant(entry.seen_at),
        "version": entry.version,
        "reason": entry.reason.value,
    }
    if text:
        shape |= {"summary": entry.summary, "content": entry.content}
    return shape


def found_json(entry: Entry, feed_title: str, spans: Iterable[Span], snippet: str, *, text: bool = True) -> Json:
    """A stored entry that a query matches, and where."""
    found: Json = {"feed_title": feed_title, "spans": [span_json(span) for span in spans], "snippet": snippet}
    return entry_json(entry, text=text) | found


def _entry_of_hit(entry: Entry) -> Json:
    return {"id": entry.id, "title": entry.title, "link": entry.link, "published_at": instant(entry.published_at)}


def hit_json(detail: HitDetail) -> Json:
    """A hit with the entry behind it and who else carries the story."""
    hit: Hit = detail.hit
    return {
        "id": hit.id,
        "rule": hit.rule,
        "feed": hit.feed,
        "entry": _entry_of_hit(detail.entry),
        "spans": [span_json(span) for span in hit.spans],
        "snippet": hit.snippet,
        "story": hit.story,
        "created_at": instant(hit.created_at),
        "state": hit.state.value,
        "reason": hit.reason,
        "mark": hit.mark,
        "rule_title": detail.rule_title,
        "feed_title": detail.feed_title,
        "also_in": list(detail.also_in),
    }


def story_json(story: Story, details: Sequence[HitDetail] = ()) -> Json:
    """A story with its hits, in the order given."""
    return {
        "id": story.id,
        "title": story.title,
        "feeds": list(story.feeds),
        "first_at": instant(story.first_at),
        "last_at": instant(story.last_at),
        "hits": [hit_json(detail) for detail in details],
    }


def delivery_json(delivery: Delivery) -> Json:
    """An outbox row."""
    return {
        "id": delivery.id,
        "channel": delivery.channel,
        "rules": list(delivery.rules),
        "hits": list(delivery.hits),
        "state": delivery.state.value,
        "reason": delivery.reason,
        "attempts": delivery.attempts,
        "due_at": instant(delivery.due_at),
        "sent_at": instant(delivery.sent_at),
        "acknowledged_at": instant(delivery.acknowledged_at),
        "last_error": delivery.last_error,
        "title": delivery.title,
        "kind": delivery.kind.value,
        "recipient": delivery.recipient,
        "story": delivery.story,
        "priority": delivery.priority,
        "created_at": instant(delivery.created_at),
    }


def attempt_json(attempt: Attempt) -> Json:
    """One try to deliver."""
    return {
        "number": attempt.number,
        "started_at": instant(attempt.started_at),
        "ended_at": instant(attempt.ended_at),
        "outcome": attempt.outcome,
        "detail": attempt.detail,
    }


def delivery_detail_json(delivery: Delivery, attempts: Sequence[Attempt], details: Sequence[HitDetail] = ()) -> Json:
    """An outbox row with every try and what it tells."""
    return delivery_json(delivery) | {
        "attempt_history": [attempt_json(attempt) for attempt in attempts],
        "hit_details": [hit_json(detail) for detail in details],
        "tries": [attempt_json(attempt) for attempt in attempts],  # the old keys, for one release
        "told": [hit_json(detail) for detail in details],
    }


def precision(figures: RuleStats) -> float | None:
    """The share of marked hits that were marked relevant; None where nothing was marked."""
    marked = figures.relevant + figures.irrelevant
    return round(figures.relevant / marked, 4) if marked else None


def rule_json(rule: RuleConfig, figures: RuleStats | None = None) -> Json:
    """A rule as written, in the YAML's own keys (what was left at its default is left out), with its figures."""
    figures = figures or RuleStats(rule=rule.id)
    return {
        "id": rule.id,
        "title": rule.title or rule.id,
        "enabled": rule.enabled,
        "priority": rule.priority,
        "deliver": rule.deliver,
        "notify": list(rule.notify) if rule.notify is not None else None,
        "definition": rule.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "hits": figures.hits,
        "alerts": figures.alerts,
        "relevant": figures.relevant,
        "irrelevant": figures.irrelevant,
        "precision": precision(figures),
        "last_hit_at": instant(figures.last_hit_at),
        "days": [{"day": day, "hits": hits} for day, hits in figures.days],
    }


def silence_json(silence: Silence) -> Json:
    """A live silence; exactly one of rule, feed and story is set, or none: everything."""
    return {
        "id": silence.id,
        "rule": silence.rule,
        "feed": silence.feed,
        "story": silence.story,
        "until_at": instant(silence.until_at),
        "reason": silence.reason,
        "created_at": instant(silence.created_at),
    }


def stats_json(stats: Stats) -> Json:
    """How much is stored."""
    return {
        "feeds": stats.feeds,
        "entries": stats.entries,
        "hits": stats.hits,
        "deliveries": stats.deliveries,
        "bytes": stats.bytes,
    }


def loop_json(loop: LoopStatus) -> Json:
    """A loop's sign of life; `ok` is False where it is late."""
    return {
        "name": loop.name,
        "ok": not loop.late,
        "last_at": instant(loop.last_at),
        "timeout_s": loop.timeout_s,
        "patience_s": loop.timeout_s,  # the old key, for one release
        "error": loop.error,
    }


def process_json(process: Process) -> Json:
    """A process of the service; `loops` says which are well, null where that is not known."""
    return {
        "pid": process.pid,
        "started_at": instant(process.started_at),
        "roles": list(process.roles),
        "page": process.page,
        "loops": None if process.loops is None else dict(process.loops),
    }


def finding_json(finding: Finding) -> Json:
    """`{severity, area, what, remedy, kind}`: one thing that is wrong; a note is no reason to act."""
    return {
        "severity": finding.severity,
        "area": finding.area,
        "what": finding.what,
        "remedy": finding.remedy,
        "kind": finding.kind,
    }


def status_json(status: Status) -> Json:
    """The service at one glance; `ok` is True where no finding is a warning or an error."""
    found = findings(status)
    return {
        "ok": is_healthy(found),
        "findings": [finding_json(finding) for finding in found],
        "running": bool(status.processes),
        "processes": [process_json(process) for process in status.processes],
        "version": status.version,
        "now_at": instant(status.now_at),
        "started_at": instant(status.started_at),
        "loops": [loop_json(loop) for loop in status.loops],
        "feeds": dict(status.feeds),
        "lag_s": status.lag_s,
        "outbox": dict(status.outbox),
        "last_alert_at": instant(status.last_alert_at),
        "stats": stats_json(status.stats) if status.stats else None,
        "disk_free_bytes": status.disk_free_bytes,
        "versions": dict(status.versions),
        "warnings": list(status.warnings),
    }
