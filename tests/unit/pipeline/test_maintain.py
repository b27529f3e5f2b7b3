"""News about the service itself."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aggregator.core.settings import Channel
from aggregator.pipeline.context import activate
from aggregator.pipeline.maintain import Maintainer
from tests.unit.pipeline.builders import PollFixture, poll_fixture

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio."""
    return "asyncio"


def maintaining(fixture: PollFixture) -> Maintainer:
    return Maintainer(
        fixture.context,
        catalog=fixture.store.catalog,
        outbox=fixture.store.outbox,
        upkeep=fixture.store.maintenance,
    )


async def test_heartbeats_go_by_the_clock_of_each_channel() -> None:
    """One tick for each zone that hears of it, which tells the channels of that zone, once, in their time."""
    fixture = await poll_fixture(health={"notify": ["oslo", "desk"], "heartbeat": "daily 08:00"})
    config = fixture.setup.config
    oslo = Channel(name="oslo", time_zone="Europe/Oslo")
    other = Channel(name="other", time_zone="Asia/Tokyo")
    channels = {**config.channels, "oslo": oslo, "other": other}
    fixture.setup = activate(config.model_copy(update={"channels": channels}))
    maintainer = maintaining(fixture)
    assert maintainer.heartbeat_zones() == ("Europe/Oslo", "UTC")
    told = []
    for zone in maintainer.heartbeat_zones():
        await maintainer.heartbeat(zone)
        told.append([row.channel for row in fixture.notices()])
    assert told == [["oslo"], ["oslo", "desk"]]
    notice = fixture.notices()[0].notice
    assert notice is not None
    assert "(Europe/Oslo)" in notice.body


async def test_each_further_death_is_reported_once() -> None:
    """From the second on, with what rests and what to do; the same death is not told again."""
    fixture = await poll_fixture()
    maintainer = maintaining(fixture)
    row = fixture.store.tables.feeds["news"]
    detail = []
    for deaths in (1, 2, 2, 3):
        row.state = replace(row.state, deaths=deaths, next_poll_at=fixture.clock.now() + timedelta(minutes=17))
        await maintainer.report_deaths()
        detail.append(len(fixture.notices()))
    assert detail == [0, 1, 1, 2]
    notice = fixture.notices()[0].notice
    assert notice is not None
    assert notice.title == "Feed news may be crashing the service"
    assert "crashed 2 times while processing feed news; paused for 17 min" in notice.body
