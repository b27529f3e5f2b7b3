"""Update metrics from what the pipeline did."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from aggregator.core.model import Reason
from aggregator.core.titles import retold

if TYPE_CHECKING:
    from aggregator.pipeline.articles import ArticleResult
    from aggregator.pipeline.delivery_counts import DeliveryCounts
    from aggregator.pipeline.polled import PolledFeed
    from aggregator.telemetry.metrics import Metrics


def observe_poll(metrics: "Metrics", polled: "PolledFeed") -> None:
    """Count one poll."""
    metrics.polls.labels(polled.parse_level.value if polled.parse_level else "failed").inc()
    metrics.poll_seconds.observe(polled.elapsed_s)
    if polled.gap:
        metrics.gaps.labels(polled.gap).inc()
    if not polled.entries:
        return
    metrics.entries.labels("new").inc(polled.new)
    metrics.entries.labels("updated").inc(polled.updated)
    metrics.hits.inc(polled.hits)
    observe_routing(metrics, polled.outcomes)
    metrics.match_seconds.observe(polled.match_s)
    for entry in polled.entries:
        if entry.published_at and entry.reason is Reason.NEW:
            metrics.seen_seconds.observe(max(0.0, (entry.seen_at - entry.published_at).total_seconds()))


def observe_routing(metrics: "Metrics", outcomes: Mapping[str, int]) -> None:
    """Count how hits on known stories were treated; `outcomes` says so in words."""
    for treatment, count in retold(outcomes).items():
        metrics.retold.labels(treatment).inc(count)


def observe_reading(metrics: "Metrics", reading: "ArticleResult") -> None:
    """Count one article."""
    metrics.articles.labels(reading.outcome).inc()
    metrics.hits.inc(reading.hits)


def observe_deliveries(metrics: "Metrics", counts: "DeliveryCounts") -> None:
    """Count what one tick delivered."""
    for outcome in ("sent", "retry", "dead", "held", "suppressed"):
        metrics.deliveries.labels(outcome).inc(getattr(counts, outcome))
    for wait_s in counts.waits_s:
        metrics.sent_seconds.observe(wait_s)


def lag_s(due_at: datetime | None, now: datetime) -> float:
    """Return how long the most overdue feed has been waiting; one that was never polled does not count yet."""
    overdue = due_at is not None and due_at.year > 1970
    return max(0.0, (now - due_at).total_seconds()) if due_at and overdue else 0.0
