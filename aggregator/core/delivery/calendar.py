"""Due times of alerts: delivery rhythms and quiet hours, on the wall clock of the channel.

A wall-clock time that a DST change skips falls on the instant that many minutes after the gap
began; one that occurs twice means the first of the two (PEP 495, fold=0). So a daily digest comes
exactly once on every day, and quiet hours never begin again in the repeated hour.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from aggregator.core.delivery.retry import HoldReason
from aggregator.core.values import clock, days_and_time, seconds


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def due_at(rhythm: str, now: datetime, zone: str = "UTC") -> datetime:
    """Return the next instant of a rhythm: `now` for `instant`, else strictly later.

    Durations and `hourly` fall on multiples of themselves on the zone's clock, so that everything
    in one stretch falls due together.
    """
    if rhythm == "instant":
        return now
    if named := days_and_time(rhythm):
        return _next(*named, now, zone)
    return _boundary(3600.0 if rhythm == "hourly" else seconds(rhythm), now, zone)


def quiet_until(quiet_hours: str | None, now: datetime, zone: str = "UTC") -> datetime | None:
    """Return the end of the quiet hours that `now` lies in, or None."""
    if not quiet_hours:
        return None
    first, _, last = quiet_hours.partition("-")
    start, end = clock(first), clock(last)
    today = now.astimezone(_zone(zone)).date()
    for day in (today - timedelta(days=1), today):
        begins = _instant(day, start, zone)
        ends = _instant(day + timedelta(days=end <= start), end, zone)
        if begins <= now < ends:
            return ends
    return None


def slot(rhythm: str, priority: str, quiet_hours: str | None, now: datetime, zone: str = "UTC") -> tuple[datetime, str]:
    """Return when an alert is due, and why that is not now (empty: it is now)."""
    due, reason = due_at(rhythm, now, zone), "" if rhythm == "instant" else str(HoldReason.DIGEST)
    if priority != "high" and (ends := quiet_until(quiet_hours, due, zone)):
        return ends, reason or str(HoldReason.QUIET)
    return due, reason


def _instant(day: date, at: time, zone: str) -> datetime:
    return datetime.combine(day, at, tzinfo=_zone(zone)).astimezone(UTC)


def _next(days: frozenset[int], at: time, now: datetime, zone: str) -> datetime:
    day = now.astimezone(_zone(zone)).date() - timedelta(days=1)
    while _instant(day, at, zone) <= now or day.weekday() not in days:
        day += timedelta(days=1)
    return _instant(day, at, zone)


def _boundary(length_s: float, now: datetime, zone: str) -> datetime:
    if length_s <= 0:
        return now
    offset = now.astimezone(_zone(zone)).utcoffset() or timedelta()
    passed_s = (now.timestamp() + offset.total_seconds()) % length_s
    return now + timedelta(seconds=length_s - passed_s)
