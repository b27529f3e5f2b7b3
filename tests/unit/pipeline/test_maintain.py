"""News about the service itself."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from aggregator.core.model import Entry, Hit, HitDetail, HitFilter
from aggregator.core.settings import Channel
from aggregator.pipeline.context import activate
from aggregator.pipeline.maintain import Maintainer
from tests.unit.pipeline.builders import NOW, PollFixture, poll_fixture

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


async def test_an_account_reads_hits_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their texts, those of a week may be more than the memory holds: all are counted, few are held."""
    monkeypatch.setattr("aggregator.pipeline.maintain.PAGE", 2)
    fixture = await poll_fixture(health={"notify": ["desk"], "heartbeat": "daily 08:00"})
    tables = fixture.store.tables
    for number in range(5):
        tables.entries[number] = Entry(
            id=number, feed="news", key=str(number), title="S-400", content_hash=b"", seen_at=NOW
        )
        tables.hits[str(number)] = Hit(
            id=str(number), rule="s400", feed="news", entry_key=str(number), entry_id=number, created_at=NOW,
        )  # fmt: skip
    asked = []

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(fixture.store.catalog, name)

        async def hits(self, wanted: HitFilter, *, limit: int) -> tuple[HitDetail, ...]:
            asked.append(limit)
            return await fixture.store.catalog.hits(wanted, limit=limit)

    maintainer = maintaining(fixture)
    maintainer._catalog = Counted()  # type: ignore[assignment]
    await maintainer.heartbeat("UTC")
    notice = fixture.notices()[0].notice
    assert notice is not None
    assert notice.title == "aggregator is alive: 5 hits"
    assert set(asked) == {2}


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
