"""A poll with thousands of entries: written in parts, alerted once, and nothing lost between two of them."""

from typing import Any

import pytest

from aggregator.core.errors import StoreError
from aggregator.core.model import AlertKind, Entry, HitState, PollResult, Reason
from aggregator.core.polling import parts
from tests.support.fake_fetcher import FakePage
from tests.unit.pipeline.builders import item, poll_fixture, rss

pytestmark = pytest.mark.anyio
RULE = {"id": "r", "any": ["missile"]}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 10)


async def test_a_large_poll_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries with hits come first, so that they are told together; the feed's state comes with the last part."""
    fixture = await poll_fixture(RULE, polling={"flood_limit": 5})
    await fixture.poll(FakePage(body=rss(item("first"))))
    commits: list[PollResult] = []
    commit = type(fixture.store.feeds).commit

    async def noted(self: Any, poll: PollResult, **given: Any) -> tuple[Entry, ...]:
        commits.append(poll)
        return await commit(self, poll, **given)

    monkeypatch.setattr(type(fixture.store.feeds), "commit", noted)
    polled = await fixture.poll(FakePage(body=rss(*(item(i, "a missile" if i % 4 == 0 else "") for i in range(33)))))
    assert [(len(poll.entries), len(poll.hits), poll.unfinished) for poll in commits] == [
        (10, 9, True),
        (10, 0, True),
        (10, 0, True),
        (3, 0, False),
    ]
    assert (polled.new, polled.hits, fixture.state.items, fixture.state.lease_owner) == (33, 9, 33, None)
    [digest] = [d for d in fixture.store.tables.deliveries.values() if d.kind is AlertKind.DIGEST]
    assert len(digest.hits) == 9


async def test_each_part_alerts_its_own_hits() -> None:
    """More hits than a part holds make several digests, and every hit is in one of them."""
    fixture = await poll_fixture(RULE, polling={"flood_limit": 5})
    await fixture.poll(FakePage(body=rss(item("first"))))
    await fixture.poll(FakePage(body=rss(*(item(i, "a missile") for i in range(25)))))
    detail = [hit for d in fixture.store.tables.deliveries.values() if d.kind is AlertKind.DIGEST for hit in d.hits]
    assert sorted(detail) == sorted(fixture.store.tables.hits)
    assert len(detail) == 25


async def test_a_crash_between_two_parts_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not written is as new on the next poll as it was, and nothing is told twice."""
    fixture = await poll_fixture(RULE, polling={"flood_limit": 5})
    await fixture.poll(FakePage(body=rss(item("first"))))
    commit, written = type(fixture.store.feeds).commit, 0

    async def failing(self: Any, poll: PollResult, **given: Any) -> tuple[Entry, ...]:
        nonlocal written
        written += 1
        if written == 2:
            raise StoreError("the disk is gone")
        return await commit(self, poll, **given)

    monkeypatch.setattr(type(fixture.store.feeds), "commit", failing)
    page = FakePage(body=rss(*(item(i, "a missile") for i in range(25))))
    assert (await fixture.poll(page)).error is not None
    assert len(fixture.store.tables.hits) == 10
    await fixture.poll(page)
    detail = [hit for d in fixture.store.tables.deliveries.values() if d.hits for hit in d.hits]
    assert sorted(detail) == sorted(fixture.store.tables.hits)
    assert len(detail) == 25


async def test_the_past_of_a_feed_makes_no_stories() -> None:
    """Its first poll is recorded without comparing anything."""
    fixture = await poll_fixture(RULE, stories={"collapse": True})
    await fixture.poll(FakePage(body=rss(*(item(i, "a missile") for i in range(25)))))
    hits = fixture.store.tables.hits.values()
    assert {(hit.state, hit.reason, hit.story) for hit in hits} == {(HitState.HELD, str(Reason.BASELINE), None)}
    assert fixture.store.tables.stories == {}
