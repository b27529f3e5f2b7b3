"""After a restore: which alerts are marked as possible repeats."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from aggregator.core.delivery import mark_repeats
from aggregator.core.model import RoutingResult
from tests.support.records import NOW, delivery, entry, hit

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("published", "read", "until", "marked"),
    [
        (NOW - HOUR, NOW - HOUR, NOW, True),  # it may have been sent before
        (None, NOW - HOUR, NOW, True),  # no date says otherwise
        (NOW + HOUR, NOW - HOUR, NOW, False),  # it is younger than the last send
        (NOW - HOUR, NOW + HOUR, NOW, False),  # the feed was read since
        (NOW - HOUR, None, NOW, False),  # a new feed: nothing of it was ever sent
        (NOW - HOUR, NOW - HOUR, None, False),  # nothing was restored
    ],
)
def test_marks(published: datetime | None, read: datetime | None, until: datetime | None, marked: bool) -> None:
    """Of the first poll since then, all but what is surely younger."""
    detail = entry(published_at=published)
    found = hit()
    routed = RoutingResult(hits=(found,), deliveries=(replace(delivery(), hits=(found.id,), repeat=False),))
    [row] = mark_repeats(routed, [detail], read, until).deliveries
    assert row.repeat is marked
