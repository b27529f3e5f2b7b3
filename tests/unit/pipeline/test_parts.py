"""A poll with thousands of entries: written in parts, told once, and nothing lost between two of them."""

from typing import Any

import pytest

from aggregator.core.errors import StoreError
from aggregator.core.model import Entry, HitState, Kind, Poll, Reason
from aggregator.pipeline import ingest
from tests.support.fake_fetcher import Page
from tests.unit.pipeline.builders import item, newsroom, rss

pytestmark = pytest.mark.anyio
RULE = {"id": "r", "any": ["missile"]}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "PART", 10)


async def test_a_large_poll_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries with hits come first, so that they are told together; the feed's state comes with the last part."""
    room = await newsroom(RULE, polling={"flood_limit": 5})
    await room.poll(Page(body=rss(item("first"))))
    commits: list[Poll] = []
    commit = type(room.store.feeds).commit

    async def noted(self: Any, poll: Poll, **given: Any) -> tuple[Entry, ...]:
        commits.append(poll)
        return await commit(self, poll, **given)

    monkeypatch.setattr(type(room.store.feeds), "commit", noted)
    polled = await room.poll(Page(body=rss(*(item(i, "a missile" if i % 4 == 0 else "") for i in range(33)))))
    assert [(len(poll.entries), len(poll.hits), poll.unfinished) for poll in commits] == [
        (10, 9, True),
        (10, 0, True),
        (10, 0, True),
        (3, 0, False),
    ]
    assert (polled.new, polled.hits, room.state.items, room.state.lease_owner) == (33, 9, 33, None)
    [digest] = [d for d in room.store.tables.deliveries.values() if d.kind is Kind.DIGEST]
    assert len(digest.hits) == 9


async def test_each_part_tells_its_own_hits() -> None:
    """More hits than a part holds make several digests, and every hit is in one of them."""
    room = await newsroom(RULE, polling={"flood_limit": 5})
    await room.poll(Page(body=rss(item("first"))))
    await room.poll(Page(body=rss(*(item(i, "a missile") for i in range(25)))))
    told = [hit for d in room.store.tables.deliveries.values() if d.kind is Kind.DIGEST for hit in d.hits]
    assert sorted(told) == sorted(room.store.tables.hits)
    assert len(told) == 25


async def test_a_crash_between_two_parts_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not written is as new on the next poll as it was, and nothing is told twice."""
    room = await newsroom(RULE, polling={"flood_limit": 5})
    await room.poll(Page(body=rss(item("first"))))
    commit, written = type(room.store.feeds).commit, 0

    async def failing(self: Any, poll: Poll, **given: Any) -> tuple[Entry, ...]:
        nonlocal written
        written += 1
        if written == 2:
            raise StoreError("the disk is gone")
        return await commit(self, poll, **given)

    monkeypatch.setattr(type(room.store.feeds), "commit", failing)
    page = Page(body=rss(*(item(i, "a missile") for i in range(25))))
    assert (await room.poll(page)).error is not None
    assert len(room.store.tables.hits) == 10
    await room.poll(page)
    told = [hit for d in room.store.tables.deliveries.values() if d.hits for hit in d.hits]
    assert sorted(told) == sorted(room.store.tables.hits)
    assert len(told) == 25


async def test_the_past_of_a_feed_makes_no_stories() -> None:
    """Its first poll is recorded without comparing anything."""
    room = await newsroom(RULE, stories={"collapse": True})
    await room.poll(Page(body=rss(*(item(i, "a missile") for i in range(25)))))
    hits = room.store.tables.hits.values()
    assert {(hit.state, hit.reason, hit.story) for hit in hits} == {(HitState.HELD, str(Reason.BASELINE), None)}
    assert room.store.tables.stories == {}
