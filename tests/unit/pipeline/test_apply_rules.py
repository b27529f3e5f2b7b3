"""Rules that are applied to stored entries: what is recorded, and what is queued."""

import pytest
from msgspec.structs import replace

from aggregator.core.model import Entry, Hit, Period, Reason
from aggregator.core.settings import Feed
from aggregator.pipeline.apply_rules import Applied, find_hits, record_hits
from aggregator.pipeline.matching import match
from tests.unit.pipeline.builders import NOW, PollFixture, poll_fixture

pytestmark = pytest.mark.anyio

TEXT = (
    "The presidents of Russia and Turkey discussed further cooperation on the S-400 air defence system on Monday, the"
    " Kremlin said, as Washington warned Ankara that a second batch would trigger sanctions under CAATSA."
)
RULES = ({"id": "s400", "any": ["S-400"]}, {"id": "caatsa", "any": ["CAATSA"]})


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


async def stored(*entries: Entry) -> PollFixture:
    """A store with these entries."""
    fixture = await poll_fixture(*RULES, stories={"collapse": True})
    feeds = [Feed(id=name, url=f"https://{name}.example/feed") for name in {entry.feed for entry in entries}]
    await fixture.store.feeds.sync(feeds, NOW)
    for entry in entries:
        fixture.store.feeds.store_entry(entry)
    return fixture


def found(fixture: PollFixture, rule: str) -> tuple[list[Entry], list[Hit]]:
    entries = list(fixture.store.tables.entries.values())
    hits = match(fixture.setup, Feed(id="any", url="https://any.example/"), entries, NOW)
    chosen = [hit for hit in hits if hit.rule == rule]
    return [entry for entry in entries if any(hit.entry_key == entry.key for hit in chosen)], chosen


async def test_what_is_said_to_be_queued_is_queued() -> None:
    """One digest has the hits of every feed; a copy is recorded, and not alerted twice; another rule's alert counts."""
    at = Entry(feed="a", key="k1", title="Talks about S-400 in Ankara", content=TEXT, seen_at=NOW)
    other = replace(at, feed="c", key="k3", title="S-400 crews leave the coast", content="They left CAATSA at noon.")
    fixture = await stored(at, replace(at, feed="b", key="k2"), other)
    entries, hits = found(fixture, "s400")
    applied = [replace(entry, reason=Reason.APPLIED) for entry in entries]
    assert await record_hits(fixture.context, fixture.store.feeds, applied, hits) == Applied(recorded=3, queued=2)
    (digest,) = fixture.store.tables.deliveries.values()
    feeds = [hit.feed for hit in hits if hit.id in digest.hits]
    assert sorted(feeds) == ["a", "c"]
    assert await record_hits(fixture.context, fixture.store.feeds, applied, hits) == Applied()

    entries, hits = found(fixture, "caatsa")
    applied = [replace(entry, reason=Reason.APPLIED) for entry in entries]
    done = await record_hits(fixture.context, fixture.store.feeds, applied, hits)
    assert done == Applied(recorded=3, queued=2), "that another rule finds these stories is news of its own"
    assert len(fixture.store.tables.deliveries) == 2


async def test_hits_are_found_part_by_part() -> None:
    """Nobody has to hold what all that is stored matches: each part is a batch of the scan, counted before it comes."""
    one = Entry(feed="news", key="k", title="Talks about S-400", seen_at=NOW)
    fixture = await stored(*(replace(one, key=f"k{n}") for n in range(1200)), replace(one, key="x", title="Talks"))
    rules = tuple(fixture.context.active.rules.values())
    seen, parts = list[int](), list[int]()
    async for entries, hits in find_hits(fixture.context, fixture.store.catalog, rules, Period(), seen.append):
        assert {entry.reason for entry in entries} == {Reason.APPLIED}
        assert [hit.entry_key for hit in hits] == [entry.key for entry in entries]
        parts.append(len(hits))
        assert sum(seen) >= sum(parts)
    assert sum(parts) == 1200
    assert sum(seen) == 1201
    assert len(parts) > 1
