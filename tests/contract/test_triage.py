"""The promises of what people do with hits and stories, and of taking it back."""

from datetime import datetime

import pytest

from aggregator.core.errors import Conflict, NotFound
from aggregator.core.model import (
    DeliveryState,
    FeedLink,
    HitDelivery,
    HitFilter,
    HitState,
    Note,
    RoutingResult,
    Silence,
    Undo,
    View,
)
from tests.support.records import DAY, HOUR, NOW, AnyStore, delivery, entry, feed, hit, stored, story

pytestmark = pytest.mark.anyio


def undo(name: str = "u1", kind: str = "marked", at: datetime = NOW) -> Undo:
    return Undo(id=name, kind=kind, made_at=at)


async def some_hits(store: AnyStore) -> None:
    """A story with two rules and a copy, and an entry without a story that two rules match."""
    hits = (
        hit("h1", story="s1"),
        hit("h2", story="s1", rule="other"),
        hit("h3", "k2", story="s1", state=HitState.COLLAPSED, created_at=NOW + HOUR),
        hit("h4", "k3", created_at=NOW + 2 * HOUR),
        hit("h5", "k3", rule="other", created_at=NOW + 2 * HOUR),
    )
    written = (entry(), entry("k2", lang="no"), entry("k3", lang="en"))
    await stored(store, *written, routed=RoutingResult(hits=hits, stories=(story(),)))


async def marks(store: AnyStore) -> dict[str, str | None]:
    return {one.hit.id: one.hit.mark for one in await store.catalog.hits(HitFilter())}


async def test_a_card_is_marked_with_all_its_hits(store: AnyStore) -> None:
    """By story, or by entry where there is none; a hit alone stays alone; unknown ids change nothing."""
    await some_hits(store)
    assert await store.catalog.mark(["h2", "h4"], "irrelevant", cards=True) == 5
    assert await store.catalog.mark(["h1"], "relevant") == 1
    assert await marks(store) == {"h1": "relevant", **dict.fromkeys(("h2", "h3", "h4", "h5"), "irrelevant")}
    with pytest.raises(NotFound, match="hit"):
        await store.catalog.mark(["h1", "none"], "seen", undo=undo())
    assert (await marks(store))["h1"] == "relevant"


async def test_marks_are_taken_back_where_nobody_changed_them(store: AnyStore) -> None:
    """What another person marked meanwhile stays; a second undo, or one of nothing, is refused."""
    await some_hits(store)
    await store.catalog.mark(["h5"], "relevant")
    assert await store.catalog.mark(["h1", "h4"], "irrelevant", cards=True, undo=undo()) == 5
    await store.catalog.mark(["h1"], "relevant")
    assert await store.catalog.undo("u1", NOW) == Undo(id="u1", kind="marked", made_at=NOW, count=4)
    assert await marks(store) == {"h1": "relevant", "h2": None, "h3": None, "h4": None, "h5": "relevant"}
    with pytest.raises(Conflict, match="undone already"):
        await store.catalog.undo("u1", NOW)
    with pytest.raises(NotFound, match="too long ago"):
        await store.catalog.undo("other", NOW)
    await store.catalog.mark(["h4"], "seen", undo=undo("u2"))
    await store.catalog.mark(["h4"], None)
    with pytest.raises(Conflict, match="changed again"):
        await store.catalog.undo("u2", NOW)
    assert await store.catalog.mark(["h4"], None, undo=undo("u3")) == 0
    with pytest.raises(NotFound):
        await store.catalog.undo("u3", NOW)


async def test_the_list_to_do_has_what_is_new_and_unmarked(store: AnyStore) -> None:
    """A copy of a story is no new work; a language and a label narrow the list; cards are counted, not hits."""
    await some_hits(store)

    async def found(**wanted: object) -> set[str]:
        return {one.hit.id for one in await store.catalog.hits(HitFilter(**wanted))}  # type: ignore[arg-type]

    assert await found(todo=True) == {"h1", "h2", "h4", "h5"}
    assert await store.catalog.count_cards(HitFilter(todo=True)) == 2
    assert await store.catalog.count_cards(HitFilter(), limit=1) == 1
    listed = [(one.hit.id, one.hit.state) for one in await store.catalog.hits(HitFilter(), limit=3)]
    assert await store.catalog.hit_states(HitFilter(), limit=3) == tuple(listed)
    await store.catalog.mark(["h4"], "seen")
    assert await found(todo=True) == {"h1", "h2", "h5"}
    assert await found(lang="no") == {"h3"}
    assert await found(ids=("h2", "h5", "h9")) == {"h2", "h5"}
    await store.catalog.set_labels("s1", ["watch"])
    assert await found(label="watch") == {"h1", "h2", "h3"}
    facets = await store.catalog.facets(HitFilter())
    assert (facets.rules, facets.feeds, facets.hits) == ((("other", 2), ("r", 2)), (("a", 2),), 5)
    assert facets.languages == (("", 1), ("en", 1), ("no", 1))


async def test_a_hit_names_its_alerts(store: AnyStore) -> None:
    """When it was sent or is due; one that was folded into a digest is the digest."""
    await some_hits(store)
    sent, held, dead = DeliveryState.SENT, DeliveryState.HELD, DeliveryState.DEAD
    await store.outbox.add(
        [
            delivery("d1", hits=("h1", "h4"), state=sent, sent_at=NOW + HOUR),
            delivery("d2", channel="hook", hits=("h1",), state=held, due_at=NOW + DAY, created_at=NOW + HOUR),
            delivery("d3", hits=("h1",), state=DeliveryState.SUPPRESSED, reason="folded into d1"),
            delivery("d4", hits=("h4",), state=dead, created_at=NOW + HOUR),
        ]
    )
    sent_d1 = HitDelivery(id="d1", channel="desk", state=sent, at=NOW + HOUR)
    held_d2 = HitDelivery(id="d2", channel="hook", state=held, at=NOW + DAY)
    assert (await store.catalog.hit("h1")).deliveries == (sent_d1, held_d2)
    dead_d4 = HitDelivery(id="d4", channel="desk", state=dead)
    listed = {one.hit.id: one.deliveries for one in await store.catalog.hits(HitFilter())}
    assert listed == {"h1": (sent_d1, held_d2), "h2": (), "h3": (), "h4": (sent_d1, dead_d4), "h5": ()}


async def test_alerts_are_listed_by_channel_and_rule(store: AnyStore) -> None:
    """A rule is matched whole, whatever its name holds."""
    await store.outbox.add(
        [delivery("d1", rules=("a_b",)), delivery("d2", channel="hook", rules=("axb", "r")), delivery("d3", rules=())]
    )

    async def found(**wanted: str) -> set[str]:
        return {one.id for one in await store.catalog.deliveries(**wanted)}  # type: ignore[arg-type]

    assert await found(channel="hook") == {"d2"}
    assert await found(rule="a_b") == {"d1"}
    assert await found(rule="r") == {"d2"}
    assert await found(rule="x") == set()


async def test_labels_and_notes_are_kept_on_stories(store: AnyStore) -> None:
    """Each change can be taken back; they are of stories that exist."""
    await some_hits(store)
    await store.catalog.set_labels("s1", ["b", "a"])
    await store.catalog.set_labels("s1", ["a", "c"], undo=undo(kind="labelled"))
    assert await store.catalog.labels(["s1", "s2"]) == {"s1": ("a", "c")}
    assert await store.catalog.label_counts() == {"a": 1, "c": 1}
    assert (await store.catalog.undo("u1", NOW)).kind == "labelled"
    assert await store.catalog.labels() == {"s1": ("a", "b")}
    first = await store.catalog.add_note(Note(story="s1", text="see <b>page</b> 3", created_at=NOW))
    second = await store.catalog.add_note(Note(story="s1", text="later", created_at=NOW + HOUR), undo=undo("u2"))
    assert await store.catalog.notes("s1") == (first, second)
    await store.catalog.undo("u2", NOW)
    assert first.id is not None
    await store.catalog.remove_note(first.id, undo=undo("u3"))
    assert await store.catalog.notes("s1") == ()
    await store.catalog.undo("u3", NOW)
    assert await store.catalog.notes("s1") == (first,)
    with pytest.raises(NotFound, match="story"):
        await store.catalog.set_labels("s9", ["a"])
    with pytest.raises(NotFound, match="story"):
        await store.catalog.add_note(Note(story="s9", text="x", created_at=NOW))
    with pytest.raises(NotFound, match="note"):
        await store.catalog.remove_note(99_999)


async def test_views_are_saved_replaced_and_removed(store: AnyStore) -> None:
    """A view keeps its query in order, and comes back by undo."""
    late = View(id="late", name="late news", query=(("rule", "r"), ("since", "24h")), created_at=NOW)
    early = View(id="early", name="Early", created_at=NOW)
    for view in (late, early):
        await store.catalog.save_view(view)
    assert await store.catalog.views() == (early, late)
    changed = View(id="late", name="all news", query=(), created_at=NOW + DAY)
    await store.catalog.save_view(changed, undo=undo())
    assert [(one.name, one.created_at) for one in await store.catalog.views()] == [("all news", NOW), ("Early", NOW)]
    await store.catalog.undo("u1", NOW)
    await store.catalog.remove_view("late", undo=undo("u2"))
    assert await store.catalog.views() == (early,)
    await store.catalog.undo("u2", NOW)
    assert await store.catalog.views() == (early, late)
    with pytest.raises(NotFound, match="view"):
        await store.catalog.remove_view("none")


async def test_other_changes_are_taken_back_too(store: AnyStore) -> None:
    """Silences, acknowledgements with their stories, cancellations with their due time, pauses of feeds."""
    await some_hits(store)
    catalog = store.catalog
    kept = await catalog.add_silence(Silence(rule="r", until_at=NOW + DAY, created_at=NOW))
    await catalog.add_silence(Silence(feed="a", until_at=NOW + DAY, created_at=NOW), undo=undo("u1"))
    await catalog.undo("u1", NOW)
    assert await catalog.silences(NOW) == (kept,)
    assert kept.id is not None
    await catalog.remove_silence(kept.id, undo=undo("u2"))
    await catalog.undo("u2", NOW)
    assert await catalog.silences(NOW) == (kept,)

    waits = delivery("d2", state=DeliveryState.HELD, reason="quiet hours", due_at=NOW + HOUR, hits=("h4",))
    await store.outbox.add([delivery("d1", state=DeliveryState.SENT, story="s1", sent_at=NOW), waits])
    assert await catalog.acknowledge(["d1", "d2"], NOW, undo=undo("u3")) == 1
    await catalog.undo("u3", NOW)
    assert (await catalog.delivery("d1"))[0].acknowledged_at is None
    assert (await catalog.story("s1"))[0].acknowledged_at is None
    assert await catalog.cancel(["d1", "d2"], undo=undo("u4")) == 1
    await catalog.undo("u4", NOW)
    assert (await catalog.delivery("d2"))[0] == waits

    await store.feeds.sync([feed("a")], NOW)
    await catalog.pause("a", True, NOW, undo=undo("u5"))
    await catalog.undo("u5", NOW)
    assert [one.state.health.value for one in await catalog.feeds()] != ["paused"]
    await catalog.pause("a", True, NOW)
    await catalog.pause("a", False, NOW, undo=undo("u6"))
    await catalog.undo("u6", NOW)
    assert [one.state.health.value for one in await catalog.feeds()] == ["paused"]

    link = await catalog.add_feed_link(FeedLink(path="/feeds/hits.atom", digest="d", created_at=NOW))
    await catalog.remove_feed_link(link.id or 0, undo=undo("u7"))
    await catalog.undo("u7", NOW)
    assert await catalog.feed_links() == (link,)


async def test_a_digest_is_taken_back_until_it_leaves(store: AnyStore) -> None:
    """Its hits are unreported again, and the alert is gone; one that was sent stays."""
    await stored(store, entry("k1"), hits=[hit("h1", "k1", state=HitState.HELD, reason="baseline")])
    catalog = store.catalog
    await catalog.report_baseline(["h1"], [delivery("d1", hits=("h1",))], undo=undo("u1"))
    assert await catalog.count_baseline() == 0
    await catalog.undo("u1", NOW)
    assert (await catalog.count_baseline(), await catalog.deliveries()) == (1, ())
    await catalog.report_baseline(["h1"], [delivery("d1", hits=("h1",))], undo=undo("u2"))
    assert len(await store.outbox.claim(NOW + HOUR, owner="me", lease_s=60, limit=9)) == 1
    with pytest.raises(Conflict, match="the alert was sent"):
        await catalog.undo("u2", NOW)
    assert (await catalog.count_baseline(), [one.id for one in await catalog.deliveries()]) == (0, ["d1"])
