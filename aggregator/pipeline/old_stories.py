"""Stories of a database from before events: their reports, which an upgrade in SQL cannot make.

Apart from `vocabulary`, which needs it once in the life of a database.
"""

import logging
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from aggregator.core.events import EVENT_AGE, counted
from aggregator.core.model import (
    NO_FREQUENCIES,
    Frequencies,
    Reason,
    Report,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    StoryKeys,
    UndescribedStory,
)
from aggregator.core.routing import describe, found_by
from aggregator.ports import Feeds

log = logging.getLogger(__name__)

STORIES = 50  # that are described in one transaction: less than a tenth of a second


async def describe_old_stories(store: Feeds, now: datetime) -> Frequencies:
    """Describe the stories of the last days that have no report, and return how frequent the words of these are.

    A process that dies meanwhile has kept what it wrote; the next one goes on with those that are left. Raises
    StoreError.
    """
    frequencies, count = NO_FREQUENCIES, 0
    while some := await store.undescribed(now - EVENT_AGE, STORIES):
        reports = [described(one) for one in some]
        frequencies = counted(frequencies, [report.features for report in reports])
        keys = tuple(StoryKeys(one.id, one.at, found_by(one, frequencies)) for one in reports)
        made = RoutingResult(reports=tuple((report.id, report) for report in reports), keys=keys)
        await store.record(RoutingQuery(), partial(_decided, made), now)
        count += len(reports)
    if count:
        log.info("%d stories of the last days can be recognised in other words now", count)
    return frequencies


def described(old: UndescribedStory) -> Report:
    """Return the report that began a story."""
    story, entry, hits = old
    new = replace(entry, reason=Reason.NEW)  # whatever it was: it has a story
    (report,) = describe([new], hits, story.first_at).values()
    return replace(report, id=story.id, title=story.title, at=story.first_at, origin=story.id)


def _decided(made: RoutingResult, _: RoutingContext) -> RoutingResult:
    return made
