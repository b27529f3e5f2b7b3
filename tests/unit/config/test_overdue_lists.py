"""Lists behind addresses: whether they are late."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aggregator.config.lists import FetchedList, overdue_lists

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def kept(file: Path) -> FetchedList:
    """A list that is fetched once a day."""
    return FetchedList(name=file.name, url="https://a.example/", file=file, every_s=86_400.0, sha256=None)


def test_lists_are_late_by_their_own_interval(tmp_path: Path) -> None:
    """More than twice the interval and an hour; what was never fetched, or in the future, is said elsewhere."""
    found = [kept(tmp_path / name) for name in ("fresh", "waits", "late", "ahead", "never")]
    for one, hours in zip(found, (1, 48, 50, -9), strict=False):
        one.file.touch()
        at = (NOW - timedelta(hours=hours)).timestamp()
        os.utime(one.file, (at, at))
    [late] = overdue_lists(found, NOW)
    assert (late.name, late.due_at) == ("late", NOW - timedelta(hours=50))
