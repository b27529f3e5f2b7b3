"""Durations and distances in time as people read them, and durations as they are written in YAML."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aggregator.core.model import Entry

MINUTE, HOUR, DAY = 60, 3600, 86400
FOUND_LATER = timedelta(hours=2)


def span(length: timedelta | float | None) -> str:
    """Format seconds as `45 s`, `15 min`, `2 h 5 min`, `3 d`: two units at most; `–` for None."""
    if length is None:
        return "–"
    whole = round(abs(length.total_seconds() if isinstance(length, timedelta) else length))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{round(whole / MINUTE)} min"
    if whole < DAY:
        hours, rest = divmod(round(whole / MINUTE), 60)
        return f"{hours} h {rest} min" if rest and hours < 10 else f"{hours} h"
    days, rest = divmod(round(whole / HOUR), 24)
    return f"{days} d {rest} h" if rest and days < 3 else f"{days} d"


def ago(at: datetime | None, now: datetime) -> str:
    """Format `14 min ago`, `in 6 min`, `now`, `never`."""
    if at is None:
        return "never"
    distance = now - at
    if abs(distance) < timedelta(seconds=5):
        return "now"
    return f"{span(distance)} ago" if at < now else f"in {span(distance)}"


def written(seconds: float) -> str:
    """Format `90m`, `6h`, `2d` exactly, as in the configuration."""
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def day_of(at: datetime, now: datetime) -> str:
    """Format `today`, `yesterday`, `16 Nov`, with the year if it is another; days are those of `now`'s zone."""
    day, today = at.astimezone(now.tzinfo).date(), now.date()
    if day == today:
        return "today"
    if day == today - timedelta(days=1):
        return "yesterday"
    return f"{day.day} {day:%b}" if day.year == today.year else f"{day.day} {day:%b %Y}"


def found_later(dated_at: datetime, recorded_at: datetime, now: datetime) -> bool:
    """Tell whether an entry was recorded on another day of `now`'s zone than it was published.

    A feed that is polled around midnight makes no two days of one.
    """
    days = (at.astimezone(now.tzinfo).date() for at in (dated_at, recorded_at))
    return len(set(days)) > 1 and recorded_at - dated_at > FOUND_LATER


def published(dated_at: datetime, recorded_at: datetime, now: datetime) -> str:
    """Format both times of an entry where they differ: `14 min ago`, `16 Nov, found today`."""
    if not found_later(dated_at, recorded_at, now):
        return ago(dated_at, now)
    return f"{day_of(dated_at, now)}, found {day_of(recorded_at, now)}"


def dated(entry: "Entry", now: datetime) -> str:
    """When an entry was published, and that its date lies in the future where it does."""
    when = published(entry.dated_at, entry.recorded_at, now)
    return f"{when}, dated in the future: {entry.published_at:%Y-%m-%d}" if entry.is_from_future else when
