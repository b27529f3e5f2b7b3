"""Rhythms and quiet hours, on ordinary days and on those that are 23 and 25 hours long."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.delivery import due_at, quiet_until, slot

OSLO = ZoneInfo("Europe/Oslo")
instants = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))
zones = st.sampled_from(
    ["UTC", "Europe/Oslo", "Europe/Istanbul", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
)
rhythms = st.sampled_from(["15m", "hourly", "6h", "daily 07:00", "daily 02:30", "weekdays 07:00", "weekdays 00:00"])


def oslo(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=OSLO, fold=fold).astimezone(UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("rhythm", "now", "due"),
    [
        ("instant", oslo(2026, 3, 2, 9, 1), oslo(2026, 3, 2, 9, 1)),
        ("15m", oslo(2026, 3, 2, 9, 1), oslo(2026, 3, 2, 9, 15)),
        ("15m", oslo(2026, 3, 2, 9, 15), oslo(2026, 3, 2, 9, 30)),
        ("hourly", oslo(2026, 3, 2, 9, 59), oslo(2026, 3, 2, 10, 0)),
        ("daily 07:00", oslo(2026, 3, 2, 6, 59), oslo(2026, 3, 2, 7, 0)),
        ("daily 07:00", oslo(2026, 3, 2, 7, 0), oslo(2026, 3, 3, 7, 0)),
        ("weekdays 07:00", oslo(2026, 3, 6, 7, 1), oslo(2026, 3, 9, 7, 0)),
        ("weekly mon 07:00", oslo(2026, 3, 2, 6, 59), oslo(2026, 3, 2, 7, 0)),
        ("weekly mon 07:00", oslo(2026, 3, 2, 7, 0), oslo(2026, 3, 9, 7, 0)),
        ("weekly sun 02:30", oslo(2026, 3, 23, 9, 0), oslo(2026, 3, 29, 3, 30)),
        ("daily 07:00", oslo(2026, 3, 28, 8, 0), oslo(2026, 3, 29, 7, 0)),
        ("daily 02:30", oslo(2026, 3, 28, 8, 0), oslo(2026, 3, 29, 3, 30)),
        ("daily 02:30", oslo(2026, 10, 24, 8, 0), oslo(2026, 10, 25, 2, 30)),
        ("daily 02:30", oslo(2026, 10, 25, 2, 45), oslo(2026, 10, 26, 2, 30)),
        ("daily 02:30", oslo(2026, 10, 25, 2, 10, fold=1), oslo(2026, 10, 26, 2, 30)),
    ],
)
def test_next_instant(rhythm: str, now: datetime, due: datetime) -> None:
    """Each rhythm gives the instant a person would name, also across the change of the clocks."""
    assert due_at(rhythm, now, "Europe/Oslo") == due


def test_hours_are_those_of_the_zone() -> None:
    """`hourly` means the full hour on the wall, also half an hour off Greenwich."""
    now = datetime(2026, 3, 2, 9, 10, tzinfo=UTC)
    assert due_at("hourly", now, "Asia/Kolkata").astimezone(ZoneInfo("Asia/Kolkata")).minute == 0


@given(rhythms, instants, zones)
def test_never_now_and_always_soon(rhythm: str, now: datetime, zone: str) -> None:
    """A digest is due strictly later, within its period (a weekend and a DST change included)."""
    due = due_at(rhythm, now, zone)
    assert now < due <= now + timedelta(days=3, hours=2)


@given(instants, zones)
def test_daily_comes_once_on_every_day(now: datetime, zone: str) -> None:
    """Following a daily rhythm visits each local date exactly once."""
    days = []
    for _ in range(5):
        now = due_at("daily 02:30", now, zone)
        days.append(now.astimezone(ZoneInfo(zone)).date())
    assert [b - a for a, b in pairwise(days)] == [timedelta(days=1)] * 4


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (oslo(2026, 3, 2, 21, 59), None),
        (oslo(2026, 3, 2, 22, 0), oslo(2026, 3, 3, 7, 0)),
        (oslo(2026, 3, 3, 6, 59), oslo(2026, 3, 3, 7, 0)),
        (oslo(2026, 3, 3, 7, 0), None),
        (oslo(2026, 3, 29, 1, 30), oslo(2026, 3, 29, 7, 0)),
    ],
)
def test_quiet_hours_over_midnight(now: datetime, ends: datetime | None) -> None:
    """22:00-07:00 holds from the evening to the morning, with both edges where they belong."""
    assert quiet_until("22:00-07:00", now, "Europe/Oslo") == ends


def test_the_repeated_hour_is_not_quiet_again() -> None:
    """When the clocks go back over the end of the quiet hours, the wait is not begun a second time."""
    assert quiet_until("01:00-02:30", oslo(2026, 10, 25, 2, 10), "Europe/Oslo") == oslo(2026, 10, 25, 2, 30)
    assert quiet_until("01:00-02:30", oslo(2026, 10, 25, 2, 10, fold=1), "Europe/Oslo") is None


@given(instants, zones, st.sampled_from(["22:00-07:00", "01:00-02:30", "12:00-13:00", "02:15-02:45", "00:00-23:59"]))
def test_quiet_hours_end(now: datetime, zone: str, quiet: str) -> None:
    """Quiet hours end within a day, and at their end they are over."""
    ends = quiet_until(quiet, now, zone)
    if ends is not None:
        assert now < ends <= now + timedelta(hours=25)
        assert quiet_until(quiet, ends, zone) is None


def test_high_priority_passes() -> None:
    """In quiet hours an alert waits for the morning; high priority does not."""
    night = oslo(2026, 3, 2, 23, 0)
    assert slot("instant", "normal", "22:00-07:00", night, "Europe/Oslo") == (oslo(2026, 3, 3, 7, 0), "quiet hours")
    assert slot("instant", "high", "22:00-07:00", night, "Europe/Oslo") == (night, "")
    assert slot("hourly", "normal", "22:00-07:00", night, "Europe/Oslo") == (oslo(2026, 3, 3, 7, 0), "digest")
