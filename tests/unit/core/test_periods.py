"""Spans of time as people write them, on one day of one clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.humanize import found_later, published
from aggregator.core.values import ahead, end_of, period

OSLO = ZoneInfo("Europe/Oslo")
NOW = datetime(2026, 11, 18, 14, 20, tzinfo=OSLO)  # a Wednesday
DAYS = st.dates(date(1990, 1, 1), date(2090, 1, 1))
ZONES = st.sampled_from(["UTC", "Europe/Oslo", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe"])


def local(at: datetime | None) -> str:
    return at.astimezone(OSLO).strftime("%m-%d %H:%M") if at else "-"


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("24h", "11-17 14:20", "-"),
        ("0", "11-18 14:20", "-"),
        ("1h30m", "11-18 12:50", "-"),
        ("today", "11-18 00:00", "-"),
        ("Yesterday", "11-17 00:00", "-"),
        ("wed", "11-18 00:00", "-"),
        ("Thursday", "11-12 00:00", "-"),
        ("2026-11-01", "11-01 00:00", "-"),
        ("2026-11-01T08:30", "11-01 08:30", "-"),
        ("2026-11-01 08:30", "11-01 08:30", "-"),
        ("2026-11-01T08:30:00Z", "11-01 09:30", "-"),
        ("2026-11-01..2026-11-15", "11-01 00:00", "11-16 00:00"),
        ("2026-11-16 .. 2026-11-16", "11-16 00:00", "11-17 00:00"),
        ("..yesterday", "-", "11-18 00:00"),
        ("mon..", "11-16 00:00", "-"),
        ("mon..tue", "11-16 00:00", "11-18 00:00"),
        ("7d..2d", "11-11 14:20", "11-16 14:20"),
        ("2026-10-24..2026-10-25", "10-24 00:00", "10-26 00:00"),
    ],
)
def test_spans_are_read_as_they_are_meant(text: str, since: str, until: str) -> None:
    """Days are those of the reader's clock, both ends whole, also where it is changed."""
    found = period(text, NOW)
    assert (local(found.since), local(found.until)) == (since, until)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "is not a time"),
        ("..", "is not a time"),
        ("soon", "is not a time; write an age"),
        ("10", "is not a time"),
        ("-3h", "is not a time"),
        ("2026-02-30", "is not a day of the calendar"),
        ("2026-11", "is not a day of the calendar"),
        ("2026-11-01T25:00", "is not a day of the calendar"),
        ("99999999999w", "is too long ago"),
        ("2026-11-15..2026-11-01", "ends before it begins"),
        ("2026-11-15..nosuch", "is not a time"),
        ("1..2..3", "is not a time"),
    ],
)
def test_what_is_no_span_is_said_with_what_would_be(text: str, wrong: str) -> None:
    """One sentence with the fault and an example."""
    with pytest.raises(ValueError, match=wrong):
        period(text, NOW)


@given(DAYS, DAYS, ZONES)
def test_days_of_a_span_are_whole(first: date, last: date, zone: str) -> None:
    """From the first midnight to the one after the last day, in every zone; a span of one day is that day."""
    first, last = sorted((first, last))
    now = NOW.astimezone(ZoneInfo(zone))
    found = period(f"{first}..{last}", now)
    assert found.since is not None
    assert found.until is not None
    assert found.since < found.until == end_of(str(last), now)
    length = found.until - found.since
    assert abs(length - timedelta(days=(last - first).days + 1)) <= timedelta(hours=26 if "Apia" in zone else 2)
    assert period(str(first), now).since == found.since


@given(st.text(max_size=40))
def test_nothing_else_than_a_value_error_is_raised(text: str) -> None:
    """Whatever is typed."""
    try:
        found = period(text, NOW)
    except ValueError:
        return
    assert found.since or found.until


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))
def test_an_instant_is_itself(at: datetime) -> None:
    """ISO 8601 goes in and comes out."""
    assert period(at.isoformat(), NOW).since == at
    assert end_of(at.isoformat(), NOW) == at


@pytest.mark.parametrize(
    ("dated", "recorded", "words"),
    [
        ("2026-11-18T14:06", "2026-11-18T14:10", "14 min ago"),
        ("2026-11-16T09:00", "2026-11-18T14:10", "16 Nov, found today"),
        ("2026-11-17T23:30", "2026-11-18T00:10", "14 h ago"),
        ("2025-11-16T09:00", "2026-11-17T14:10", "16 Nov 2025, found yesterday"),
        ("2026-11-16T09:00", "2026-11-16T23:10", "2 d 5 h ago"),
    ],
)
def test_both_times_are_shown_where_they_differ(dated: str, recorded: str, words: str) -> None:
    """The time of recording is the second one, and named."""
    at, later = (datetime.fromisoformat(text).replace(tzinfo=OSLO) for text in (dated, recorded))
    assert published(at, later, NOW) == words
    assert found_later(at, later, NOW) is ("found" in words)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("4h", "11-18 18:20"),
        ("7d", "11-25 14:20"),
        ("today", "11-19 00:00"),
        ("Tomorrow", "11-20 00:00"),
        ("wed", "11-19 00:00"),
        ("Friday", "11-21 00:00"),
        ("mon", "11-24 00:00"),
        ("2026-12-01", "12-02 00:00"),
        ("2026-12-01T08:30", "12-01 08:30"),
        ("today..friday", "11-21 00:00"),
        ("..2026-12-01", "12-02 00:00"),
        ("2026-11-01..2026-12-01", "12-02 00:00"),
    ],
)
def test_what_lies_ahead_is_read_as_it_is_meant(text: str, until: str) -> None:
    """A length begins now; a day, also the next one of a name, is whole; of a span it is the end."""
    assert local(ahead(text, NOW)) == until


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("soon", "is not a time; write a length"),
        ("", "is not a time"),
        ("4", "is not a time"),
        ("0", "is over already"),
        ("yesterday", "is over already"),
        ("2026-11-01", "is over already"),
        ("2026-02-30", "is not a day of the calendar"),
        ("2026-11-20..2026-11-25", "begins later"),
        ("99999999999d", "is too long"),
    ],
)
def test_what_does_not_lie_ahead_is_refused(text: str, wrong: str) -> None:
    """With one sentence that says what to write instead."""
    with pytest.raises(ValueError, match=wrong):
        ahead(text, NOW)
