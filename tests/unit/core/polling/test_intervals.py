"""Intervals, gaps and spread."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.polling.intervals import (
    adaptive_interval,
    backoff,
    blended_gap,
    hash_fraction,
    jittered,
    shortened,
    usual_gap,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DAY_S = 86_400.0


@given(every=st.floats(1, 10 * DAY_S), quiet=st.floats(0, 1000 * DAY_S), more=st.floats(0, 100 * DAY_S))
def test_adaptive_interval(every: float, quiet: float, more: float) -> None:
    """Never faster than asked, never slower than a day (or what was asked), and silence never speeds up."""
    interval = adaptive_interval(every, quiet)
    assert every <= interval <= max(every, DAY_S)
    assert adaptive_interval(every, quiet + more) >= interval
    assert adaptive_interval(every, quiet, max_latency_s=600) <= 600


def test_a_week_changes_nothing() -> None:
    """Within a week of silence the interval is as configured."""
    assert adaptive_interval(900, 7 * DAY_S) == 900
    assert adaptive_interval(900, 14 * DAY_S) == 3600


def test_backoff_doubles() -> None:
    """Each failure doubles the wait, up to a day; a longer interval stays what it is."""
    assert [backoff(900, n) for n in range(4)] == [900, 1800, 3600, 7200]
    assert backoff(900, 10_000) == DAY_S
    assert backoff(3 * DAY_S, 5) == 3 * DAY_S


def test_usual_gap() -> None:
    """The median gap of a document's dates; too few dates say nothing."""
    dates = [NOW, NOW - timedelta(hours=1), NOW - timedelta(hours=2), NOW - timedelta(days=9)]
    assert usual_gap(dates) == 3600
    assert usual_gap(dates[:2]) is None
    assert usual_gap([]) is None


def test_blended_gap_follows() -> None:
    """The gap follows a changed rhythm, and one outlier hardly moves it."""
    gap = 3600.0
    assert blended_gap(gap, 100 * 3600) < 3 * 3600
    for _ in range(30):
        gap = blended_gap(gap, 60)
    assert gap == pytest.approx(60, rel=0.05)
    assert blended_gap(None, 0) == 1


def test_chance_is_even() -> None:
    """Chance fills its range evenly."""
    tenths = Counter(int(hash_fraction("feed", n) * 10) for n in range(5000))
    assert set(tenths) == set(range(10))
    assert min(tenths.values()) > 400


@given(st.text(max_size=20), st.integers(0, 10**9))
def test_spread(feed: str, second: int) -> None:
    """Spread lengthens by at most a tenth, whatever the id is made of."""
    assert 1 <= jittered(feed, NOW + timedelta(seconds=second)) < 1.1


@given(every=st.floats(60, 86_400), gaps=st.lists(st.booleans(), max_size=40))
def test_shortened(every: float, gaps: list[bool]) -> None:
    """Between the floor and the usual interval; forty polls without a gap bring it back from anywhere."""
    interval = every
    for gap in [*gaps, *([False] * 40)]:
        interval = shortened(every, interval, every, gap=gap, floor_s=60)
        assert min(60, every) <= interval <= every
    assert interval == every


def test_a_slow_feed_is_hurried_too() -> None:
    """A gap in a feed that had fallen silent begins at the base interval."""
    assert shortened(900, 86_400, 900, gap=True, floor_s=60) == 450
    assert shortened(86_400, 86_400, 900, gap=False, floor_s=60) == 86_400
