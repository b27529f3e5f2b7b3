"""Waiting times in seconds and instants: intervals, back-off, skipped hours, spread."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from math import exp, log

HOUR_S = 3600.0
DAY_S = 86_400.0
WEEK_S = 7 * DAY_S

JITTER = 0.1
MAX_INTERVAL_S = DAY_S
QUIET_S = WEEK_S
GAP_WEIGHT = 0.2


def hash_fraction(*parts: object) -> float:
    """Return a number in [0, 1) that depends only on `parts`: spread without randomness."""
    digest = blake2b("\0".join(map(str, parts)).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def jittered(feed: str, now: datetime) -> float:
    """Return a factor of 1 to 1.1: half of the jitter is the feed's own phase, half is this poll's."""
    return 1 + JITTER * (phase(feed) + hash_fraction(feed, now.timestamp())) / 2


@lru_cache(maxsize=16_384)
def phase(feed: str) -> float:
    """Return a number in [0, 1) of the feed's own."""
    return hash_fraction(feed)


def adaptive_interval(every_s: float, quiet_s: float, max_latency_s: float | None = None) -> float:
    """Return `every_s` while a feed publishes; after a week of silence, more by the silence squared.

    Two weeks: 4 ×, a month: 18 ×, never above a day, nor above `max_latency_s`; never below
    `every_s`, except where `max_latency_s` itself is.
    """
    slower = every_s * max(1.0, quiet_s / QUIET_S) ** 2
    interval = max(every_s, min(slower, MAX_INTERVAL_S))
    return interval if max_latency_s is None else min(interval, max_latency_s)


def shortened(interval_s: float, last_s: float | None, every_s: float, *, gap: bool, floor_s: float) -> float:
    """Halve an interval with each gap, and restore it by a quarter with each poll without one.

    `last_s` is the interval before; one below `every_s` was shortened. Never below `floor_s`.
    """
    shortened = last_s if last_s is not None and last_s < every_s else None
    if gap:
        return max(min(shortened or every_s, interval_s) / 2, min(floor_s, interval_s))
    return min(interval_s, shortened * 1.25) if shortened else interval_s


def backoff(interval_s: float, doublings: int) -> float:
    """Double `interval_s` `doublings` times, up to a day (or `interval_s`, if that is longer)."""
    return min(interval_s * 2.0 ** min(doublings, 30), max(MAX_INTERVAL_S, interval_s))


def usual_gap(published: Sequence[datetime]) -> float | None:
    """Return the median time between entries of one document, in seconds; None with too few dates."""
    dates = sorted(at.timestamp() for at in published)
    gaps = [later - earlier for earlier, later in pairwise(dates)]
    from statistics import median  # drags in what no start should wait for

    return median(gaps) if len(gaps) >= 2 else None


def blended_gap(gap_s: float | None, sample_s: float) -> float:
    """Update the usual gap with a new sample: a geometric mean that forgets, so outliers weigh little."""
    sample = max(1.0, sample_s)
    if gap_s is None:
        return sample
    return exp((1 - GAP_WEIGHT) * log(max(1.0, gap_s)) + GAP_WEIGHT * log(sample))


def out_of_skipped(at: datetime, hours: frozenset[int], days: frozenset[int], phase: float) -> datetime:
    """Return `at`, or the first moment after it in no skipped hour or day (UTC; days 0 = Monday).

    A moved instant lands `phase` (0–1) into the first quarter of its hour, so that the feeds of
    one publisher do not return together. Where everything is skipped, nothing is.
    """
    if not hours and not days:
        return at
    at = at.astimezone(UTC)
    if at.hour not in hours and at.weekday() not in days:
        return at
    start = at.replace(minute=0, second=0, microsecond=0)
    for step in range(1, 7 * 24 + 1):
        moved = start + timedelta(hours=step)
        if moved.hour not in hours and moved.weekday() not in days:
            return moved + timedelta(seconds=phase * HOUR_S / 4)
    return at
