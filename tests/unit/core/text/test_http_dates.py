"""What Retry-After asks for, in each of its forms."""

from datetime import UTC, datetime

import pytest

from aggregator.core.text.http_dates import retry_after_s

SENT_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("60, 600, 5", 600.0),
        ("60, soon", None),
        ("60,", None),
        ("Mon, 02 Mar 2026 09:01:00 GMT", 60.0),
        ("Mon, 02 Mar 2026 08:00:00 GMT", None),
        ("-5", None),
        ("inf", None),
        ("nan", None),
        ("9" * 400, 1e10),
        ("", None),
        ("soon", None),
    ],
)
def test_retry_after(text: str, expected: float | None) -> None:
    """A delay, or a date by the server's own clock; what is neither, or past, asks for nothing."""
    assert retry_after_s(text, SENT_AT) == expected


def test_a_date_without_a_clock_to_compare_it_with_says_nothing() -> None:
    """A server that sends no Date may be hours off."""
    assert retry_after_s("Mon, 02 Mar 2026 09:01:00 GMT", None) is None
