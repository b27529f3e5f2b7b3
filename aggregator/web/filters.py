"""Template filters for times, durations, counts and states."""

from datetime import date, datetime, timedelta, tzinfo

from aggregator.core.humanize import ago, span
from aggregator.core.model import FeedState, Health

HEALTH = {
    Health.NEW: "awaiting its first poll",
    Health.OK: "healthy",
    Health.FAILING: "failing",
    Health.SILENT: "unusually quiet",
    Health.BLOCKED: "blocked by the site",
    Health.EMPTIED: "responds with no entries",
    Health.GONE: "gone",
    Health.MOVED: "moved",
    Health.PAUSED: "paused",
}


def due(at: datetime | None, now: datetime) -> str:
    """Format when something is due: `in 6 min`; if overdue, `due now`."""
    if at is None:
        return "not scheduled"
    return "due now" if at <= now else ago(at, now)


def day_title(day: date, today: date) -> str:
    """Format `Today`, `Yesterday`, `Friday 27 February`, with the year if it is another."""
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    year = f" {day.year}" if day.year != today.year else ""
    return f"{day:%A} {day.day} {day:%B}{year}"


def clock(at: datetime | None, zone: tzinfo) -> str:
    """Format `14:05` in the reader's zone."""
    return f"{at.astimezone(zone):%H:%M}" if at else "–"


def stamp(at: datetime, now: datetime, zone: tzinfo) -> str:
    """Format `14:05` for today, `2 Mar 14:05` for another day: for lists without day headings."""
    local, today = at.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    year = f" {local.year}" if local.year != today.year else ""
    return f"{local.day} {local:%b}{year} {local:%H:%M}"


def period(first: datetime, last: datetime, zone: tzinfo) -> str:
    """Format `5 Mar 2026 15:08–15:16 CET`, or both days in full."""
    begin, end = first.astimezone(zone), last.astimezone(zone)
    if begin.date() != end.date():
        return f"{full(first, zone)} – {full(last, zone)}"
    if f"{begin:%H:%M}" == f"{end:%H:%M}":
        return full(first, zone)
    return f"{begin.day} {begin:%b %Y %H:%M}–{end:%H:%M} {end.tzname()}"


def full(at: datetime | None, zone: tzinfo) -> str:
    """Format `27 Feb 2026 14:05 CET`."""
    if at is None:
        return "never"
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M} {local.tzname()}"


def capitalize(words: str) -> str:
    """Capitalise the first character; names inside stay as they are."""
    return words[:1].upper() + words[1:]


def count(number: int) -> str:
    """Format `1,234`."""
    return f"{number:,}"


def amount(number_bytes: int | None) -> str:
    """Format `3.4 GB`."""
    if number_bytes is None:
        return "–"
    size = float(number_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def health(state: FeedState, now: datetime) -> str:
    """Describe a feed's health, with how long it has been so."""
    words = HEALTH[state.health]
    since = state.failing_since if state.health is Health.FAILING else state.health_since
    if since and state.health not in (Health.NEW, Health.OK):
        words += f" for {span(now - since)}"
    return words
