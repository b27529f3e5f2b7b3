"""News about the service itself."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aggregator.pipeline.maintain import Maintainer
from tests.unit.pipeline.builders import poll_fixture

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio."""
    return "asyncio"


async def test_each_further_death_is_told_once() -> None:
    """From the second on, with what rests and what to do; the same death is not told again."""
    fixture = await poll_fixture()
    maintainer = Maintainer(
        fixture.context,
        catalog=fixture.store.catalog,
        outbox=fixture.store.outbox,
        upkeep=fixture.store.maintenance,
    )
    row = fixture.store.tables.feeds["news"]
    detail = []
    for deaths in (1, 2, 2, 3):
        row.state = replace(row.state, deaths=deaths, next_poll_at=fixture.clock.now() + timedelta(minutes=17))
        await maintainer.report_deaths()
        detail.append(len(fixture.notices()))
    assert detail == [0, 1, 1, 2]
    notice = fixture.notices()[0].notice
    assert notice is not None
    assert notice.title == "Feed news may be ending the service"
    assert "crashed 2 times while processing feed news; paused for 17 min" in notice.body
