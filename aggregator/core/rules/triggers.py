"""Conditions on alerting: threshold, spike, first mention. Pure decisions."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from aggregator.core.humanize import written
from aggregator.core.model import RuleHistory
from aggregator.core.settings import RuleConfig, Spike, Threshold

SPIKE_WINDOWS = 28  # how many windows of the past make a rule's usual rhythm
MIN_SPIKE_HITS = 3  # hits; fewer are never a spike

HitInstant = tuple[datetime, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerDecision:
    """The decision: `fires`, the reason, and the ids of the hits behind it, oldest first."""

    fires: bool
    reason: str = ""
    hits: tuple[str, ...] = ()


def lookback_s(config: RuleConfig) -> float:
    """Return how many seconds back a history must reach for `fires`; 0: no history is needed."""
    return max(
        config.threshold.within_s if config.threshold else 0.0,
        config.spike.within_s * (SPIKE_WINDOWS + 1) if config.spike else 0.0,
        config.first_in_s or 0.0,
    )


def fires(config: RuleConfig, history: RuleHistory, now: datetime) -> TriggerDecision:
    """Decide whether the newest hits of a rule, which are in `history`, make an alert.

    Every condition that the rule names must be met; hits of an earlier alert do not count towards the
    next threshold. Without conditions every hit fires.
    """
    verdicts = []
    if config.threshold:
        verdicts.append(_threshold(config.threshold, history, now))
    if config.spike:
        verdicts.append(_spike(config.spike, history, now))
    if config.first_in_s is not None:
        verdicts.append(_first(config.first_in_s, history, now))
    refused = [verdict for verdict in verdicts if not verdict.fires]
    if refused:
        return refused[0]
    made = dict.fromkeys(hit for verdict in verdicts for hit in verdict.hits)
    order = [hit for _, _, hit in history.hits if hit in made]
    return TriggerDecision(fires=True, reason="; ".join(verdict.reason for verdict in verdicts), hits=tuple(order))


def _threshold(wanted: Threshold, history: RuleHistory, now: datetime) -> TriggerDecision:
    detail = history.last_alert_at
    recent = [hit for hit in _within(history, now, wanted.within_s) if detail is None or hit[0] > detail]
    feeds = {feed for _, feed, _ in recent}
    count = (
        f"{len(recent)} of {wanted.hits} hits from {len(feeds)} of {wanted.sources} feeds in {written(wanted.within_s)}"
    )
    enough = len(recent) >= wanted.hits and len(feeds) >= wanted.sources
    return TriggerDecision(fires=enough, reason=count, hits=_ids(recent) if enough else ())


def _spike(wanted: Spike, history: RuleHistory, now: datetime) -> TriggerDecision:
    """Compare the hits of one window with the mean of the windows before, which is at least one hit."""
    recent = _within(history, now, wanted.within_s)
    window = timedelta(seconds=wanted.within_s)
    before = [at for at, _, _ in history.hits if now - (SPIKE_WINDOWS + 1) * window <= at <= now - window]
    usual = len(before) / SPIKE_WINDOWS
    detail = history.last_alert_at
    quiet = detail is None or detail <= now - window
    loud = len(recent) >= max(MIN_SPIKE_HITS, wanted.factor * max(usual, 1.0))
    reason = f"{len(recent)} hits in {written(wanted.within_s)}, usually {usual:.1f}"
    if loud and not quiet:
        return TriggerDecision(fires=False, reason=f"{reason}; this spike was already alerted")
    return TriggerDecision(fires=loud, reason=reason, hits=_ids(recent) if loud else ())


def _first(silence_s: float, history: RuleHistory, now: datetime) -> TriggerDecision:
    recent = _within(history, now, silence_s)
    if not recent:
        return TriggerDecision(fires=False, reason="no hit")
    first = recent[0]
    same_moment = [hit for hit in recent if hit[0] == first[0]]
    if len(same_moment) < len(recent):
        return TriggerDecision(fires=False, reason=f"not the first mention in {written(silence_s)}")
    return TriggerDecision(fires=True, reason=f"first mention in {written(silence_s)}", hits=_ids(same_moment))


def _within(history: RuleHistory, now: datetime, seconds: float) -> list[HitInstant]:
    return [hit for hit in history.hits if hit[0] > now - timedelta(seconds=seconds)]


def _ids(hits: list[HitInstant]) -> tuple[str, ...]:
    return tuple(hit for _, _, hit in hits)
