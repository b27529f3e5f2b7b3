"""Publishing hints of a document: ttl, skipHours, skipDays, sy:updatePeriod.

Read from the bytes before the first entry, well-formed or not: feedparser keeps only the last `<hour>`.
"""

import re

from aggregator.parse.workers.protocol import Hints

_FIRST_ENTRY = re.compile(rb"<(?:\w+:)?(?:item|entry)[\s>]")
_TTL = re.compile(rb"<ttl\s*>\s*(\d{1,7})\s*<")
_PERIOD = re.compile(rb"<(?:\w+:)?updatePeriod\s*>\s*(hourly|daily|weekly|monthly|yearly)\s*<", re.IGNORECASE)
_FREQUENCY = re.compile(rb"<(?:\w+:)?updateFrequency\s*>\s*(\d{1,6})\s*<", re.IGNORECASE)
_SKIP_HOURS = re.compile(rb"<skipHours\s*>(.{0,2000}?)</skipHours\s*>", re.IGNORECASE | re.DOTALL)
_SKIP_DAYS = re.compile(rb"<skipDays\s*>(.{0,2000}?)</skipDays\s*>", re.IGNORECASE | re.DOTALL)
_HOUR = re.compile(rb"<hour\s*>\s*(\d{1,2})\s*<", re.IGNORECASE)
_DAY = re.compile(rb"<day\s*>\s*([A-Za-z]{3})", re.IGNORECASE)

_PERIODS_S = {b"hourly": 3600.0, b"daily": 86400.0, b"weekly": 604800.0, b"monthly": 2592000.0, b"yearly": 31536000.0}
_DAYS = {day: number for number, day in enumerate((b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"))}
HEAD_BYTES = 65536

NO_HINTS: Hints = (None, None, (), ())


def hints(body: bytes) -> Hints:
    """Return seconds of ttl, seconds between updates, hours 0–23 and days 0–6 (Monday first) without news."""
    first = _FIRST_ENTRY.search(body, 0, HEAD_BYTES)
    head = body[: first.start() if first else HEAD_BYTES]
    ttl, hours, days = _TTL.search(head), _SKIP_HOURS.search(head), _SKIP_DAYS.search(head)
    return (
        int(ttl[1]) * 60.0 if ttl and int(ttl[1]) else None,
        _period_s(head),
        tuple(sorted({int(hour) % 24 for hour in _HOUR.findall(hours[1])})) if hours else (),
        tuple(sorted({_DAYS[d] for d in map(bytes.lower, _DAY.findall(days[1])) if d in _DAYS})) if days else (),
    )


def _period_s(head: bytes) -> float | None:
    """Read the RSS 1.0 syndication module: `frequency` updates in each `period`, daily and 1 by default."""
    period, frequency = _PERIOD.search(head), _FREQUENCY.search(head)
    if not period and not frequency:
        return None
    times = int(frequency[1]) if frequency else 1
    return _PERIODS_S[period[1].lower() if period else b"daily"] / max(1, times)
