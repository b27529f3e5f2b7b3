"""The promises of every store's maintenance."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from aggregator.core.errors import StoreError
from aggregator.core.model import DeliveryState, Health, HitFilter, HostLimit, PollResult, RoutingResult, Silence
from aggregator.store.migrations import REVISIONS
from tests.support.records import DAY, HOUR, NOW, AnyStore, delivery, entry, feed, hit, lease, polled, stored, story

pytestmark = pytest.mark.anyio

HELD, RETRY, SENT = DeliveryState.HELD, DeliveryState.RETRY, DeliveryState.SENT
YEAR_S = 365 * 86400.0
QUARTER_S = 90 * 86400.0


async def prune(store: AnyStore, days: int) -> tuple[int, int]:
    """Apply the usual retention some days after NOW."""
    return await store.maintenance.prune(NOW + days * DAY, entries_s=YEAR_S, content_s=QUARTER_S)


async def test_upgrade_of_a_new_schema_changes_nothing(store: AnyStore) -> None:
    """Every start upgrades; a second time there is nothing to do."""
    await stored(store, entry())
    assert await store.maintenance.upgrade() == await store.maintenance.upgrade() == REVISIONS[-1]
    assert await store.catalog.count_entries() == 1


async def test_healthy_store_has_nothing_wrong(store: AnyStore) -> None:
    """`db check` is silent where all is well."""
    await stored(store, entry(), hits=(hit(),))
    await store.maintenance.index_text()
    assert await store.maintenance.check() == ()


async def test_backup_never_overwrites(store: AnyStore, tmp_path: Path) -> None:
    """An older backup is worth more than a newer mistake."""
    target = tmp_path / "backup.db"
    target.write_bytes(b"precious")
    with pytest.raises(StoreError):
        await store.maintenance.backup(str(target))
    assert target.read_bytes() == b"precious"


async def test_prune_removes_old_entries_with_their_hits(store: AnyStore) -> None:
    """After a year entries go, with hits, stories and settled deliveries; what still waits stays."""
    routed = RoutingResult(
        hits=(hit(story="s1"),),
        stories=(story(),),
        deliveries=(delivery("sent", state=DeliveryState.SENT), delivery("waits")),
    )
    await stored(store, entry("old"), entry("k1"), routed=routed)
    await stored(store, entry("young", seen_at=NOW + 10 * DAY))
    assert (await prune(store, 366))[0] == 2
    assert [e.key for e in await store.catalog.entries()] == ["young"]
    assert await store.catalog.hits(HitFilter()) == ()
    assert [d.id for d in await store.catalog.deliveries()] == ["waits"]
    assert (await store.catalog.search([["title"]]))[0].key == "young"
    assert await store.maintenance.check() == ()


async def test_keys_outlive_their_entries(store: AnyStore) -> None:
    """What was pruned never comes back as news, by key or by alias."""
    await stored(store, entry("k1", aliases=("a1",), version=2))
    await prune(store, 400)
    known, aliases = await store.feeds.known("a", ["k1"], ["a1"])
    assert (known["k1"].version, known["k1"].content_hash) == (2, b"1")
    assert aliases == {"a1"}


async def test_pruned_entry_that_changes_is_stored_again(store: AnyStore) -> None:
    """An edit of what was pruned is an entry with a new id."""
    await stored(store, entry("k1"))
    await prune(store, 400)
    (again,) = await stored(store, entry("k1", version=2, seen_at=NOW + 400 * DAY))
    assert [e.id for e in await store.catalog.entries()] == [again.id]


async def test_texts_without_a_hit_are_emptied_earlier(store: AnyStore) -> None:
    """After ninety days a text that nothing matched keeps its title only, and is scanned no more."""
    await stored(
        store,
        entry("plain", title="plain words", summary="secret", content="hidden"),
        entry("k1", content="evidence"),
        hits=(hit(),),
    )
    assert len(await store.catalog.search([["hidden"]])) == 1
    assert await prune(store, 91) == (0, 1)
    assert await prune(store, 91) == (0, 0)
    by_key = {e.key: e for e in await store.catalog.entries()}
    assert (by_key["plain"].title, by_key["plain"].summary, by_key["plain"].content) == ("plain words", "", "")
    assert by_key["k1"].content == "evidence"
    assert await store.catalog.search([["hidden"]]) == ()
    assert len(await store.catalog.search([["plain words"]])) == 1
    assert [e.key async for batch in store.catalog.scan() for e in batch] == ["k1"]


async def test_prune_works_in_steps_to_the_end(store: AnyStore) -> None:
    """However much there is to remove, it is all removed."""
    await stored(store, *(entry(f"k{n}") for n in range(1234)))
    assert await prune(store, 91) == (0, 1234)
    assert await prune(store, 366) == (1234, 0)
    assert await store.catalog.count_entries() == 0


async def test_prune_forgets_what_has_ended(store: AnyStore) -> None:
    """Host limits that are over and silences that ended long ago go."""
    await stored(store, entry(), hosts=(HostLimit(host="h", not_before=NOW + HOUR),))
    await store.catalog.add_silence(Silence(rule="r", until_at=NOW, created_at=NOW))
    await prune(store, 0)
    assert len(await store.catalog.hosts()) == 1
    assert len(await store.catalog.silences(NOW - HOUR)) == 1
    await prune(store, 91)
    assert await store.catalog.hosts() == ()
    assert await store.catalog.silences(NOW - HOUR) == ()


async def test_clock_that_ran_ahead_puts_nothing_off(store: AnyStore) -> None:
    """What was polled, made or tried in a future that was none is due now; what is rightly later stays."""
    await store.feeds.sync([feed("a"), feed("b"), feed("gone")], NOW)
    for name, at, health in (("a", NOW + DAY, Health.OK), ("b", NOW, Health.OK), ("gone", NOW + DAY, Health.GONE)):
        (state,) = await lease(store.feeds, name)
        due_at = None if health is Health.GONE else at + HOUR
        after = polled(state, last_polled_at=at, next_poll_at=due_at, health=health)
        await store.feeds.commit(
            PollResult(state=after, hosts=(HostLimit(host=name, not_before=at + 3 * DAY),)), owner="me"
        )
    rows = [
        delivery("made", created_at=NOW + DAY, due_at=NOW + DAY),
        delivery("held", state=HELD, created_at=NOW + DAY, due_at=NOW + 2 * DAY),
        delivery("tried", state=RETRY, due_at=NOW + DAY + HOUR),
        delivery("later", state=HELD, due_at=NOW + HOUR),
        delivery("sent", state=SENT, created_at=NOW + DAY),
    ]
    await store.outbox.add(rows)
    claimed = await store.outbox.claim(NOW + DAY + HOUR, owner="me", lease_s=60, limit=9)
    tried = next(row for row in claimed if row.id == "tried")
    await store.outbox.settle(replace(tried, state=RETRY, due_at=NOW + 2 * DAY), owner="me", attempt=1)
    await store.outbox.release(["made", "later"], owner="me")
    assert await store.maintenance.repair_future_dates(NOW) == 4
    assert [s.id for s in await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=9)] == ["a"]
    assert {d.id for d in await store.outbox.claim(NOW, owner="me", lease_s=60, limit=9)} == {"made", "held", "tried"}
    assert [limit.host for limit in await store.catalog.hosts()] == ["b"]
    assert await store.maintenance.repair_future_dates(NOW) == 0


async def test_feed_put_off_by_a_clock_that_ran_ahead_is_due(store: AnyStore) -> None:
    """While the network is down, a feed is put off without having been polled; two of its own intervals may be long."""
    await store.feeds.sync([feed("a"), feed("b"), feed("c")], NOW)
    for name, days, interval_s in (("a", 365, 900.0), ("b", 31, 900.0), ("c", 90, 60 * 86_400.0)):
        (state,) = await lease(store.feeds, name)
        after = replace(state, interval_s=interval_s, next_poll_at=NOW + days * DAY)
        await store.feeds.commit(PollResult(state=after), owner="me")
    assert await store.maintenance.repair_future_dates(NOW) == 1
    assert [s.id for s in await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=9)] == ["a"]


async def test_clock_that_ran_ahead_leaves_nothing_behind(store: AnyStore) -> None:
    """The host of what was polled in the future need not rest, a lease of then is over, a story collects no longer."""
    await store.feeds.sync([feed("a"), feed("b"), feed("c")], NOW)
    year = NOW + 365 * DAY
    await stored(store, entry(), hits=(hit(),), routed=RoutingResult(stories=(story(first_at=NOW, last_at=year),)))
    for name, at in (("a", year), ("b", NOW)):
        (state,) = await lease(store.feeds, name)
        after = polled(state, last_polled_at=at, next_poll_at=at + HOUR)
        rest = HostLimit(host=f"{name}.example", not_before=at + HOUR if name == "b" else NOW + DAY)
        await store.feeds.commit(PollResult(state=after, hosts=(rest,)), owner="me")
    await store.feeds.claim_due(year, owner="killed", lease_s=300, limit=9, ids=["c"])
    assert await store.maintenance.repair_future_dates(NOW) == 1
    assert [limit.host for limit in await store.catalog.hosts()] == ["b.example"]
    assert {s.id for s in await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=9)} == {"a", "c"}
    assert (await store.catalog.story("s1"))[0].last_at == NOW


async def test_index_is_brought_up_to_date_in_bounds(store: AnyStore) -> None:
    """Each entry is indexed once for each version of it."""
    await stored(store, *(entry(f"k{n}") for n in range(5)))
    assert await store.maintenance.index_text(3) == 3
    assert await store.maintenance.index_text() == 2
    assert await store.maintenance.index_text() == 0
    await stored(store, entry("k0", version=2))
    assert await store.maintenance.index_text() == 1


async def test_leases_of_dead_processes_can_be_ended(store: AnyStore) -> None:
    """After a crash its feeds are due at once, and what it was sending is a possible repeat; others go on."""
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    await store.outbox.add([delivery("d1"), delivery("d2")])
    for owner, limit in (("dead", 1), ("alive", 1)):
        await store.feeds.claim_due(NOW, owner=owner, lease_s=900, limit=limit)
        (claimed,) = await store.outbox.claim(NOW, owner=owner, lease_s=900, limit=limit)
        await store.outbox.begin(claimed.id, owner=owner, attempt=1)
    assert await store.maintenance.owners() == ("alive", "dead")
    assert await store.maintenance.release_leases_of(["dead", "unknown"], NOW) == 2
    assert [s.id for s in await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=9)] == ["a"]
    assert [(d.id, d.repeat) for d in await store.outbox.claim(NOW, owner="me", lease_s=60, limit=9)] == [("d1", True)]
    assert await store.maintenance.release_leases_of([], NOW) == 0
