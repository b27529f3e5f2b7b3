"""The hot path never reads a whole table: its cost does not grow with what is stored."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, event

from aggregator.core.model import (
    DeliveryState,
    Fingerprint,
    HitFilter,
    HostLimit,
    PollResult,
)
from aggregator.store import Store, open_store, search_sqlite
from tests.support.records import (
    DAY,
    HOUR,
    NOW,
    delivery,
    entry,
    feed,
    hit,
    lease,
    like,
    making,
    polled,
    stored,
    story,
)

pytestmark = pytest.mark.anyio

TABLES = {"feeds", "entries", "keys", "aliases", "hits", "stories", "story_keys", "deliveries", "attempts", "memories"}

Seen = list[tuple[str, Any]]


@pytest.fixture
def seen() -> Seen:
    """Statements with their parameters, as the driver gets them."""
    return []


def watch(store: Store, seen: Seen) -> Engine:
    """Note every statement that reads, from both engines; gives the one that reads."""

    def note(_c: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool) -> None:
        if not statement.startswith(("INSERT", "PRAGMA", "BEGIN")):
            seen.append((statement, parameters[0] if many else parameters))

    database = store.feeds._reader._database  # type: ignore[attr-defined]
    for engine in (database._writing, database._reading):
        event.listen(engine, "before_cursor_execute", note)
    reading: Engine = database._reading
    return reading


def scanned(engine: Engine, seen: Seen) -> set[tuple[str, str]]:
    """(table, statement) of each of our tables that SQLite would read from end to end."""
    found = set()
    with engine.connect() as connection:
        for statement, parameters in list(seen):
            for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                scan = re.match(r"SCAN (\w+)(?! USING INDEX| USING COVERING INDEX)", line.detail)
                if scan and scan[1] in TABLES:
                    found.add((scan[1], statement))
    return found


async def test_polling_and_sending_never_scan(tmp_path: Path, seen: Seen) -> None:
    """Claim, known, memory, commit with routing, deliver, settle, fold, listings: all go by an index."""
    async with open_store(f"sqlite:///{tmp_path / 'aggregator.db'}", index_text=lambda e: e.title) as store:
        await store.maintenance.upgrade()
        await store.feeds.sync([feed("a"), feed("b")], NOW)
        engine = watch(store, seen)
        await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=1)
        await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=1, per_host=2, busy=["b.example"])
        await store.feeds.next_due_at()
        await store.feeds.release(["a", "b"], owner="me")
        (state,) = await lease(store.feeds, "a")
        await store.feeds.memory("a")
        await store.feeds.known("a", ["k1"], ["a1"])
        known = Fingerprint(url_key="u1")
        question = like(known, hits=("h1",), entries=(("a", "k1"),), stories_since=NOW, histories=(("r", NOW - DAY),))
        routed = making(story(), hits=(hit(story="s1"),), deliveries=(delivery(hits=("h1",)),))
        poll = PollResult(
            state=polled(state), entries=(entry(),), memory=b"m", hosts=(HostLimit(host="h", not_before=NOW),)
        )
        await store.feeds.commit(poll, owner="me", question=question, route=lambda _: routed)

        await store.outbox.next_due_at()
        await store.outbox.add([delivery("d2")])
        first, second = await store.outbox.claim(NOW, owner="me", lease_s=60, limit=9)
        await store.outbox.hit_details(first)
        await store.outbox.sent_since("desk", NOW - HOUR)
        await store.outbox.settle(replace(first, state=DeliveryState.SENT, sent_at=NOW), owner="me", attempt=1)
        await store.outbox.fold([second], delivery("digest"), owner="me")
        await store.outbox.claim(NOW, owner="me", lease_s=60, limit=9, channels=["desk"])
        await store.outbox.release(["digest"], owner="me")

        await store.maintenance.index_text()
        await store.catalog.entries(limit=50)
        await store.catalog.entries(feed="a", since=NOW, limit=50)
        await store.catalog.hits(HitFilter())
        await store.catalog.stories_of_hits(HitFilter())
        await store.catalog.hits(HitFilter(rule="r", before=(NOW, "h1")))
        await store.catalog.hits(HitFilter(feed="a"))
        await store.catalog.hits(HitFilter(story="s1"))
        await store.catalog.hits(HitFilter(feed="a", by="recorded"))
        await store.catalog.hits(HitFilter(since=NOW - DAY, until=NOW, by="recorded"))
        await store.catalog.search([["title"]], before=1)
        await store.catalog.deliveries(limit=50)
        await store.catalog.deliveries(states=[DeliveryState.DEAD], limit=50)
        await store.maintenance.prune(NOW + timedelta(days=1), entries_s=86400 * 365, content_s=86400 * 90)
        assert len(seen) > 30
        assert scanned(engine, seen) == set()


async def test_a_search_for_frequent_words_reads_the_newest_only(
    tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many matches the newest are found from the end of the index of dates, which is never read whole."""
    monkeypatch.setattr(search_sqlite, "FEW", 3)
    async with open_store(f"sqlite:///{tmp_path / 'aggregator.db'}", index_text=lambda e: e.title.casefold()) as store:
        await store.maintenance.upgrade()
        await stored(store, *(entry(str(n), title=f"Sanctions {n}", seen_at=NOW + n * HOUR) for n in range(40)))
        await store.maintenance.index_text()
        engine = watch(store, seen)
        found = await store.catalog.search([["sanctions"]], limit=5)
        assert [one.title for one in found] == [f"Sanctions {n}" for n in range(39, 34, -1)]
        with engine.connect() as connection:
            for statement, parameters in list(seen):
                for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                    assert not line.detail.startswith("SCAN entries"), statement


async def test_status_reads_what_waits_or_failed_only(tmp_path: Path, seen: Seen) -> None:
    """Deliveries that were sent cost nothing: what waits, killed processes or failed has indexes of its own."""
    async with open_store(f"sqlite:///{tmp_path / 'aggregator.db'}", index_text=lambda e: e.title) as store:
        await store.maintenance.upgrade()
        await store.outbox.add([delivery("d1")])
        (taken,) = await store.outbox.claim(NOW, owner="me", lease_s=60, limit=9)
        await store.outbox.settle(replace(taken, state=DeliveryState.DEAD, attempts=1), owner="me", attempt=1)
        engine = watch(store, seen)
        await store.catalog.backlog(NOW)
        await store.catalog.channel_activity(["desk"], NOW)
        used = set()
        with engine.connect() as connection:
            for statement, parameters in list(seen):
                for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                    if "deliveries" in line.detail:
                        index = re.search(r"USING (?:COVERING )?INDEX (\w+)", line.detail)
                        used.add(index[1] if index else line.detail)
    assert used == {"deliveries_wake", "deliveries_deaths", "deliveries_sent", "deliveries_state"}


async def test_hits_of_a_rule_are_grouped_by_their_stories(tmp_path: Path, seen: Seen) -> None:
    """Whether a story has an earlier hit is asked of its hits, not of all that the rule or the feed ever had."""
    async with open_store(f"sqlite:///{tmp_path / 'aggregator.db'}", index_text=lambda e: e.title) as store:
        await store.maintenance.upgrade()
        await stored(store, entry("1"), entry("2"), hits=(hit("h1", "1", story="s1"), hit("h2", "2", story="s1")))
        engine = watch(store, seen)
        await store.catalog.stories_of_hits(HitFilter(rule="r"))
        await store.catalog.stories_of_hits(HitFilter(feed="a", todo=True))
        inner = list[str]()
        with engine.connect() as connection:
            for statement, parameters in list(seen):
                lines = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                inner += [line.detail for line in lines if "hits_1" in line.detail or "ROW_NUMBER" in statement.upper()]
        used = {
            found[1] for line in inner if (found := re.search(r"hits(?:_1)? USING (?:COVERING )?INDEX (\w+)", line))
        }
        assert "hits_story" in used
        assert not used & {"hits_rule", "hits_rule_dated", "hits_rule_state", "hits_feed_dated", "hits_dated"}


async def test_figures_of_rules_take_the_same_statements_for_any_number(tmp_path: Path, seen: Seen) -> None:
    """Totals, days and the last hit of all rules are three questions; each last hit is one look into an index."""
    async with open_store(f"sqlite:///{tmp_path / 'aggregator.db'}", index_text=lambda e: e.title) as store:
        await store.maintenance.upgrade()
        at = {f"r{n}": NOW - n * DAY for n in range(8)}
        dated = [entry(rule, seen_at=seen_at) for rule, seen_at in at.items()]
        await stored(store, *dated, hits=tuple(hit(f"h{rule}", rule, rule=rule) for rule in at))
        engine = watch(store, seen)
        stats = await store.catalog.rules(NOW)
        assert {one.rule: one.last_hit_at for one in stats} == at
        assert len(seen) == 3
        assert scanned(engine, seen) == set()
        with engine.connect() as connection:
            statement, parameters = seen[2]
            details = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert any("SEARCH hits USING COVERING INDEX hits_rule_dated" in detail for detail in details), details
