"""HTTP dates (RFC 9110 §5.6.7) and what Retry-After asks for (§10.2.3)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_DELAY = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
MAX_DELAY_S = 1e10  # what a float still counts in; callers cap it at what they are willing to wait


def http_date(text: str) -> datetime | None:
    """Read an HTTP-date in any of its three forms, as UTC; None where it is none."""
    try:
        date = parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date is None or date.tzinfo is None:
        return date and date.replace(tzinfo=UTC)
    return date.astimezone(UTC)


def seconds_until(text: str, sent_at: datetime | None) -> float | None:
    """Seconds from `sent_at`, by the server's own clock, to an HTTP-date after it; else None."""
    date = http_date(text)
    if date is None or sent_at is None or date <= sent_at:
        return None
    return (date - sent_at).total_seconds()


def retry_after_s(text: str, sent_at: datetime | None) -> float | None:
    """Seconds of a Retry-After field, a delay or an HTTP-date; None where it is neither, or in the past."""
    delays = [one.strip() for one in text.split(",")]
    if all(map(_DELAY.fullmatch, delays)):  # of a field that came twice, the longest
        return min(max(map(float, delays)), MAX_DELAY_S)
    return seconds_until(text.strip(), sent_at)
