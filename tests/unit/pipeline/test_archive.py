"""The gap guard: what came and went between two polls is read back from the feed's archive."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from aggregator.core.errors import BadStatus
from aggregator.core.model import HitState, Reason
from tests.support.fake_fetcher import FakePage
from tests.unit.pipeline.builders import NOW, PollFixture, item, poll_fixture, rss

pytestmark = pytest.mark.anyio

WATCH = {"id": "watch", "any": ["S-400"]}


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


def window(*numbers: int, archive: str | None = None, at: datetime | None = None) -> FakePage:
    """A document with these entries; `archive` is where it says that older ones are."""
    head = f"<atom:link rel='prev-archive' href='{archive}'/>" if archive else ""
    return FakePage(body=rss(*(item(number, "an S-400", at) for number in numbers), head=head))


async def watched(**settings: Any) -> PollFixture:
    """A room that knows entries 1 to 3 of a busy feed."""
    fixture = await poll_fixture(WATCH, **settings)
    await fixture.poll(window(1, 2, 3))
    return fixture


def archived(fixture: PollFixture, name: str, page: FakePage) -> str:
    """Put a page into the feed's archive; gives its address."""
    url = f"https://news.example/{name}"
    fixture.fetcher.pages[url] = page
    return url


async def test_a_gap_is_filled_from_the_archive() -> None:
    """Two pages lead back to what is known: nothing is lost, everything missed alerts, nobody is bothered."""
    fixture = await watched()
    oldest = archived(fixture, "1", window(6, 5, 4, 3, 2, archive="https://news.example/0"))
    older = archived(fixture, "2", window(9, 8, 7, archive=oldest))
    polled = await fixture.poll(window(12, 11, 10, archive=older))
    assert polled.gap == "closed"
    assert fixture.titles() == sorted(f"Entry {number}" for number in range(1, 13))
    assert fixture.alerted() == sorted(f"Entry {number}" for number in range(4, 13))
    assert fixture.fetcher.asked[-2:] == [older, oldest]
    assert fixture.notices() == []
    assert (await fixture.poll()).entries == ()


async def test_a_gap_shortens_the_interval() -> None:
    """Half of the usual interval after a gap; a quarter more with each poll that has none."""
    fixture = await watched()
    assert fixture.state.interval_s == 900
    await fixture.poll(window(12, 11, 10))
    assert fixture.state.interval_s == 450
    await fixture.poll(window(13, 12, 11, 10))
    assert fixture.state.interval_s == 562.5


async def test_a_gap_without_an_archive_is_reported_once_a_day() -> None:
    """One notice a day, however often it happens."""
    fixture = await watched()
    for number in (10, 20, 30):
        assert (await fixture.poll(window(number, number + 1, number + 2))).gap == "open"
    assert [notice.title for notice in fixture.notices()] == ["News: entries may have been missed"]
    fixture.clock.move(days=1)
    await fixture.poll(window(40, 41, 42))
    assert len(fixture.notices()) == 2


async def test_no_gap_where_something_is_known() -> None:
    """A window with one known entry has no gap, and its archive is left in peace."""
    fixture = await watched()
    polled = await fixture.poll(window(12, 11, 3, archive=archived(fixture, "1", window(2, 1))))
    assert (polled.gap, fixture.fetcher.asked[-1]) == (None, "https://news.example/feed")


@pytest.mark.parametrize("elsewhere", ["https://other.example/1", "http://news.example/1", "ftp://news.example/1"])
async def test_an_archive_elsewhere_is_not_followed(elsewhere: str) -> None:
    """Only the document's own origin is believed to have its archive."""
    fixture = await watched()
    fixture.fetcher.pages[elsewhere] = window(4)
    assert (await fixture.poll(window(12, 11, 10, archive=elsewhere))).gap == "open"
    assert elsewhere not in fixture.fetcher.asked


async def test_an_archive_that_leads_elsewhere_is_not_read() -> None:
    """Nor is what the archive redirects to."""
    fixture = await watched()
    fixture.fetcher.pages["https://other.example/1"] = window(4)
    away = archived(fixture, "1", FakePage(status=302, location="https://other.example/1"))
    assert (await fixture.poll(window(12, 11, 10, archive=away))).gap == "open"
    assert "Entry 4" not in fixture.titles()


async def test_a_broken_archive_does_not_block_the_poll() -> None:
    """What was read is stored, what could not be read is told, and the host's wish for rest is kept."""
    fixture = await watched()
    tired = archived(fixture, "1", FakePage(status=503))
    fixture.fetcher.pages[tired] = BadStatus("tired", status=503, url=tired, retry_after_s=600)
    polled = await fixture.poll(window(12, 11, 10, archive=archived(fixture, "2", window(9, 8, archive=tired))))
    assert (polled.gap, polled.error) == ("open", None)
    assert "Entry 8" in fixture.titles()
    assert len(fixture.notices()) == 1
    assert fixture.store.tables.hosts["news.example"].not_before == fixture.clock.at + timedelta(seconds=600)


async def test_an_archive_that_is_no_feed_does_not_block_the_poll() -> None:
    """A page instead of an archive ends the walk."""
    fixture = await watched()
    page = archived(fixture, "1", FakePage(body=b"<!doctype html><title>Gone</title>"))
    polled = await fixture.poll(window(12, 11, 10, archive=page))
    assert (polled.gap, len(polled.entries)) == ("open", 3)


async def test_an_endless_archive_is_left_after_ten_pages() -> None:
    """Ten pages of an archive that never ends, one of them once in a circle."""
    fixture = await watched()
    for number in range(30):
        archived(fixture, str(number), window(100 + number, archive=f"https://news.example/{number + 1}"))
    polled = await fixture.poll(window(12, 11, 10, archive="https://news.example/0"))
    assert (polled.gap, len(polled.entries)) == ("open", 13)
    circle = archived(fixture, "circle", window(900, archive="https://news.example/circle"))
    polled = await fixture.poll(window(52, 51, 50, archive=circle))
    assert (polled.gap, len(polled.entries)) == ("open", 4)


async def test_what_is_older_than_our_first_look_is_no_news() -> None:
    """An archive page reaches back before the feed was watched: stored and matched, not alerted."""
    fixture = await watched()
    body = rss(item(5, "an S-400", NOW), item(4, "an S-400", NOW - timedelta(days=400)), item(3))
    await fixture.poll(window(12, 11, 10, archive=archived(fixture, "1", FakePage(body=body))))
    assert fixture.entry("Entry 4").reason is Reason.TOO_OLD
    assert "Entry 4" not in fixture.alerted()
    old = next(hit for hit in fixture.store.tables.hits.values() if hit.entry_key == fixture.entry("Entry 4").key)
    assert old.state is HitState.HELD


async def test_the_flood_guard_counts_the_archive() -> None:
    """Window and archive together are one poll: too many make one digest."""
    fixture = await watched(polling={"flood_limit": 5})
    await fixture.poll(window(12, 11, 10, archive=archived(fixture, "1", window(9, 8, 7, 3))))
    assert fixture.entry("Entry 12").reason is fixture.entry("Entry 7").reason is Reason.FLOOD
    assert fixture.alerted() == []


async def test_an_older_text_does_not_replace_a_newer_one() -> None:
    """The archive's telling of a known entry changes nothing."""
    fixture = await watched()
    body = rss(item(4, "an S-400"), item(3, "as it was at first"))
    await fixture.poll(window(12, 11, 10, archive=archived(fixture, "1", FakePage(body=body))))
    assert (fixture.entry("Entry 3").version, fixture.entry("Entry 3").summary) == (1, "an S-400")
