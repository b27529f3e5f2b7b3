"""Polling over a store in memory, a fetcher without a network and a parser without processes."""

from datetime import datetime

import pytest

from aggregator.core.model import Health, ParseLevel, Reason
from tests.support.fake_fetcher import FakePage
from tests.support.memory_store import MemoryFeeds, Tables
from tests.unit.pipeline.builders import item, poll_fixture, rss

pytestmark = pytest.mark.anyio

WATCH = {"id": "watch", "any": ["S-400"]}


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


class CountingFeeds(MemoryFeeds):
    """The store's feeds, with a count of how often the parser's memory was read."""

    recalled = 0

    async def memory(self, feed: str) -> bytes | None:
        self.recalled += 1
        return await super().memory(feed)


async def test_an_unchanged_body_needs_no_memory() -> None:
    """A 200 with the same bytes reads no memory and writes none; a new entry reads it once."""
    fixture = await poll_fixture()
    feeds = fixture.store.feeds = CountingFeeds(fixture.store.tables)
    await fixture.poll(FakePage(body=rss(item(1), item(2))))
    assert (await fixture.poll()).parse_level is ParseLevel.SAME_BODY
    assert feeds.recalled == 0
    assert (await fixture.poll(FakePage(body=rss(item(3), item(2), item(1))))).parse_level is ParseLevel.DELTA
    assert feeds.recalled == 1


async def test_a_part_deletes_nothing_and_renews_nothing() -> None:
    """After a 226 the old entries stay, the next whole document has no news, and nothing alerts twice."""
    fixture = await poll_fixture(WATCH)
    await fixture.poll(FakePage(body=rss(item(1, "an S-400"), item(2)), etag='"1"'))
    part = await fixture.poll(FakePage(status=226, body=rss(item(3, "an S-400")), etag='"2"'))
    assert [entry.title for entry in part.entries] == ["Entry 3"]
    assert (fixture.state.items, fixture.state.health) == (2, Health.OK)
    assert fixture.state.validators is not None
    assert fixture.state.validators.etag == '"2"'
    whole = await fixture.poll(FakePage(body=rss(item(3, "an S-400"), item(2), item(1, "an S-400")), etag='"3"'))
    assert whole.entries == ()
    assert fixture.titles() == ["Entry 1", "Entry 2", "Entry 3"]
    assert fixture.alerted() == ["Entry 3"]


async def test_a_part_says_nothing_about_the_feed() -> None:
    """Hub, address and rhythm are those of the last whole document, also where a part names none."""
    head = "<ttl>30</ttl><atom:link rel='hub' href='https://hub.example/'/>"
    fixture = await poll_fixture()
    await fixture.poll(FakePage(body=rss(item(1), item(2), head=head), etag='"1"'))
    await fixture.poll(FakePage(status=226, body=rss(item(3)), etag='"2"'))
    assert (fixture.state.hub, fixture.state.hints.ttl_s) == ("https://hub.example/", 1800)


async def test_an_empty_part_is_no_alarm() -> None:
    """A 226 without an entry does not make the feed look emptied."""
    fixture = await poll_fixture()
    await fixture.poll(FakePage(body=rss(item(1), item(2)), etag='"1"'))
    await fixture.poll(FakePage(status=226, body=rss(), etag='"2"'))
    assert (fixture.state.health, fixture.state.items) == (Health.OK, 2)


async def test_a_part_of_unknown_entries_does_not_condemn_guids() -> None:
    """New guids of three known entries are a majority of a part, not of the feed: no distrust."""
    many = [item(number) for number in range(20)]
    fixture = await poll_fixture()
    await fixture.poll(FakePage(body=rss(*many), etag='"1"'))
    renamed = [item(number).replace(f">{number}</guid>", f">x{number}</guid>") for number in range(3)]
    polled = await fixture.poll(FakePage(status=226, body=rss(*renamed), etag='"2"'))
    assert {entry.reason for entry in polled.entries} == {Reason.ALIAS}
    assert not fixture.state.distrust_guid


class RecordingFeeds(MemoryFeeds):
    """The store's feeds, with a list of the documents that were begun."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.begun: list[str] = []

    async def begin(self, feed: str, now: datetime, *, owner: str) -> None:
        self.begun.append(feed)
        await super().begin(feed, now, owner=owner)


async def test_only_a_document_with_news_is_put_on_record() -> None:
    """An unchanged poll (304, the same bytes, the same entries) costs no further write; nothing stays begun."""
    fixture = await poll_fixture()
    feeds = fixture.store.feeds = RecordingFeeds(fixture.store.tables)
    await fixture.poll(FakePage(body=rss(item(1), item(2)), etag='"1"'))
    assert feeds.begun == ["news"]
    assert (await fixture.poll()).parse_level is ParseLevel.NOT_MODIFIED
    assert (await fixture.poll(FakePage(body=rss(item(1), item(2))))).parse_level is ParseLevel.SAME_BODY
    assert (
        await fixture.poll(FakePage(body=rss(item(1), item(2), head="<ttl>1</ttl>")))
    ).parse_level is ParseLevel.SAME_ENTRIES
    assert feeds.begun == ["news"]
    await fixture.poll(FakePage(body=rss(item(3), item(2), item(1))))
    assert feeds.begun == ["news", "news"]
    assert fixture.store.tables.feeds["news"].begun_at is None


async def test_beyond_the_budget_rules_go_on_alerting() -> None:
    """A feed that changes everything at each poll stops growing; a new entry that matches still alerts."""
    fixture = await poll_fixture(WATCH, polling={"daily_entries": 30})
    await fixture.poll(FakePage(body=rss(*(item(n, f"zero {n}") for n in range(20)))))
    for turn in range(1, 6):
        news = [item(1000 + turn, "an S-400")]
        await fixture.poll(FakePage(body=rss(*news, *(item(100 * turn + n, f"turn {turn}, {n}") for n in range(10)))))
    today = fixture.state.stored_today
    assert today is not None
    assert today.left_out >= 40 - 5
    assert len(fixture.store.tables.entries) <= 30 + 5
    assert fixture.alerted() == [f"Entry {1000 + turn}" for turn in range(1, 6)]
    said = [delivery.notice.title for delivery in fixture.notices() if delivery.notice is not None]
    assert [title for title in said if "storage budget" in title] == ["News: daily storage budget used up"]
