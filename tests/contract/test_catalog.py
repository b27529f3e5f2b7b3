"""The promises of the reading side of every store, with the changes that people make by hand."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from aggregator.core.errors import Conflict, NotFound
from aggregator.core.model import (
    By,
    DeliveryState,
    Edit,
    Entry,
    FeedLink,
    Health,
    Hit,
    HitFilter,
    HitState,
    PollResult,
    RoutingResult,
    Silence,
)
from tests.support.records import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    AnyStore,
    delivery,
    entry,
    feed,
    hit,
    lease,
    polled,
    stored,
    story,
)

pytestmark = pytest.mark.anyio

PENDING, HELD, SENDING, RETRY, SENT, DEAD, SUPPRESSED = DeliveryState


async def test_feeds_have_their_figures(store: AnyStore) -> None:
    """Entries and hits are counted per feed; listings go by id."""
    await store.feeds.sync([feed("b"), feed("a")], NOW)
    await stored(store, entry("k1"), entry("k2"), hits=(hit(),))
    first, second = await store.catalog.feeds()
    assert (first.state.id, first.entries, first.hits) == ("a", 2, 1)
    assert (second.state.id, second.entries, second.hits) == ("b", 0, 0)
    assert await store.catalog.feeds(["b"]) == (second,)


async def test_feeds_are_listed_by_the_page(store: AnyStore) -> None:
    """So many behind a name; the whole listing in the end."""
    await store.feeds.sync([feed(name) for name in "cab"], NOW)
    assert [row.state.id for row in await store.catalog.feeds(limit=2)] == ["a", "b"]
    assert [row.state.id for row in await store.catalog.feeds(after="b", limit=2)] == ["c"]
    assert await store.catalog.feeds(after="c", limit=2) == ()


async def test_pages_of_feeds_begin_with_the_unhealthy(store: AnyStore) -> None:
    """Worst first, then by id; a page may be of one state, and counts only what it shows."""
    await store.feeds.sync([feed(name) for name in "abcd"], NOW)
    await stored(store, entry("k1"), hits=(hit(),))
    for name, health in (("c", Health.SILENT), ("d", Health.GONE)):
        (state,) = await lease(store.feeds, name)
        await store.feeds.commit(PollResult(state=replace(polled(state), health=health)), owner="me")
    await store.catalog.pause("b", True, NOW)
    page = store.catalog.feed_page
    assert [row.state.id for row in await page()] == ["d", "c", "a", "b"]
    assert [(row.state.id, row.entries, row.hits) for row in await page(offset=2, limit=1)] == [("a", 1, 1)]
    assert [row.state.id for row in await page(health=Health.PAUSED)] == ["b"]
    assert [(row.state.id, row.entries, row.hits) for row in await page(offset=2, limit=1, counted=False)] == [
        ("a", 0, 0)
    ]
    assert await store.catalog.feeds(["a"], counted=False) == await page(offset=2, limit=1, counted=False)
    assert await page(health=Health.BLOCKED) == await page(offset=4) == ()


async def test_unknown_names_are_proposed(store: AnyStore) -> None:
    """A typing error is answered with the nearest name."""
    await store.feeds.sync([feed("example")], NOW)
    with pytest.raises(NotFound, match="did you mean 'example'"):
        await store.catalog.feeds(["exampel"])
    with pytest.raises(NotFound, match="example"):
        await store.catalog.pause("exampel", True, NOW)
    with pytest.raises(NotFound):
        await store.catalog.poll_soon("exampel", NOW)


async def test_what_is_not_there_is_said(store: AnyStore) -> None:
    """Every look-up by id says what was not found."""
    with pytest.raises(NotFound, match="entry"):
        await store.catalog.entry(1)
    with pytest.raises(NotFound, match="hit"):
        await store.catalog.hit("h")
    with pytest.raises(NotFound, match="hit"):
        await store.catalog.mark(["h"], "relevant")
    with pytest.raises(NotFound, match="story"):
        await store.catalog.story("s")
    with pytest.raises(NotFound, match="delivery"):
        await store.catalog.delivery("d")
    with pytest.raises(NotFound, match="silence"):
        await store.catalog.remove_silence(1)


async def test_poll_soon_makes_a_feed_due(store: AnyStore) -> None:
    """`poll now` on the page is a tick away."""
    await stored(store, entry())
    await store.catalog.poll_soon("a", NOW)
    assert len(await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=1)) == 1


async def test_end_of_a_pause_gives_a_gone_feed_another_chance(store: AnyStore) -> None:
    """Resuming is asking to try again."""
    await store.feeds.sync([feed()], NOW)
    (state,) = await lease(store.feeds, "a")
    await store.feeds.commit(PollResult(state=polled(state, health=Health.GONE, next_poll_at=None)), owner="me")
    await store.catalog.pause("a", True, NOW)
    await store.catalog.pause("a", False, NOW)
    (state,) = await store.feeds.claim_due(NOW, owner="me", lease_s=60, limit=1)
    assert state.health is Health.NEW


async def test_entries_are_newest_first(store: AnyStore) -> None:
    """By when they were first seen, then by id; of one feed, since an instant, as many as wanted."""
    await stored(store, *(entry(f"k{n}", seen_at=NOW - n * HOUR) for n in range(3)))
    await stored(store, entry("k9", feed="b", seen_at=NOW - MINUTE))
    catalog = store.catalog
    assert [e.key for e in await catalog.entries()] == ["k0", "k9", "k1", "k2"]
    assert [e.key for e in await catalog.entries(feed="a", limit=2)] == ["k0", "k1"]
    assert [e.key for e in await catalog.entries(since=NOW - HOUR, limit=0)] == ["k0", "k9", "k1"]
    assert await catalog.count_entries() == 4
    assert await catalog.count_entries(NOW - HOUR) == 3


async def test_scan_gives_every_entry_once_in_batches(store: AnyStore) -> None:
    """A backtest reads everything, oldest first, a batch at a time."""
    await stored(store, *(entry(f"k{n}", seen_at=NOW + n * MINUTE) for n in range(7)))
    batches = [[e.key for e in batch] async for batch in store.catalog.scan(batch=3)]
    assert batches == [["k0", "k1", "k2"], ["k3", "k4", "k5"], ["k6"]]
    late = [e.key async for batch in store.catalog.scan(since=NOW + 5 * MINUTE, batch=3) for e in batch]
    assert late == ["k5", "k6"]


TEXTS = {
    "one": "putin og erdogan drøfter s-400 avtale",
    "two": "Erdogan S-400 deal is done",
    "three": "caatsa sanctions sanctioned",
    "four": 'it\'s "quoted" a\\b 100% c++ foo_bar (x) *star -minus NEAR(a) {b}',
    "five": "обсуждают С-400 防衛 省 🛰 ёлка",
}

SEARCHES = [
    ([["erdogan"]], "two one"),
    ([["s-400 deal"]], "two"),
    ([["deal s-400"]], ""),
    ([["s-400 deal", "sanctions"]], "three two"),
    ([["erdogan"], ["avtale", "caatsa"]], "one"),
    ([["sanction*"]], "three"),
    ([["sanction"]], ""),
    ([["caatsa sanct*"]], "three"),
    ([["caatsa ction*"]], ""),
    ([["s"]], ""),
    ([["400"]], ""),
    ([["it's"]], "four"),
    ([['"quoted"']], "four"),
    ([["a\\b"]], "four"),
    ([["100%"]], "four"),
    ([["c++"]], "four"),
    ([["c"]], ""),
    ([["foo_bar"]], "four"),
    ([["fooxbar"]], ""),
    ([["near(a) {b}"]], "four"),
    ([["-minus"]], "four"),
    ([["обсуждают с-400"]], "five"),
    ([["ёлк*"]], "five"),
    ([["елка"]], ""),
    ([["防衛"]], "five"),
    ([["🛰"]], "five"),
    ([["x' or 'y"], ["&|!:*<->"]], ""),
    ([[]], ""),
    ([["*"]], ""),
    ([[""]], ""),
    ([], "five four three two one"),
]


@pytest.mark.parametrize(("words", "found"), SEARCHES)
async def test_search_finds_words_phrases_and_prefixes(store: AnyStore, words: list[list[str]], found: str) -> None:
    """Words are what stands between spaces, nothing in them is an operator, and the newest come first."""
    await stored(store, *(entry(key, title=text) for key, text in TEXTS.items()))
    assert " ".join(e.key for e in await store.catalog.search(words)) == found


async def test_search_sees_what_was_stored_a_moment_ago(store: AnyStore) -> None:
    """New and changed entries are found whether or not the index was brought up to date."""
    await stored(store, entry("k1", title="alpha"))
    assert len(await store.catalog.search([["alpha"]])) == 1
    await stored(store, entry("k1", title="beta", version=2))
    assert await store.catalog.search([["alpha"]]) == ()
    assert len(await store.catalog.search([["beta"]])) == 1


async def test_search_can_be_continued_and_bounded(store: AnyStore) -> None:
    """`before` continues a listing; `since` and `limit` bound it."""
    written = await stored(store, *(entry(f"k{n}", title="same", seen_at=NOW + n * MINUTE) for n in range(5)))
    page = await store.catalog.search([["same"]], limit=2)
    assert [e.key for e in page] == ["k4", "k3"]
    rest = await store.catalog.search([["same"]], before=page[-1].id, limit=0)
    assert [e.key for e in rest] == ["k2", "k1", "k0"]
    late = await store.catalog.search([["same"]], since=NOW + 3 * MINUTE)
    assert [e.key for e in late] == ["k4", "k3"]
    assert await store.catalog.search([["same"]], before=written[0].id) == ()


async def test_search_finds_a_phrase_far_inside_a_long_text(store: AnyStore) -> None:
    """No position is too far, no word too frequent, no token too long."""
    long = " ".join(["the"] * 20_000 + ["s-400", "deal"] + ["x" * 5000] + ["the", "end"])
    await stored(store, entry("k1", content=long))
    assert len(await store.catalog.search([["s-400 deal"], ["the end"]])) == 1


def written_at(by: By, times: Mapping[str, datetime]) -> list[Entry]:
    """Entries that were published at these times; by recording, all of them in the same minute."""
    return [
        entry(key, seen_at=NOW + DAY, published_at=at if by == "published" else NOW + MINUTE)
        for key, at in times.items()
    ]


def found_at(by: By, at: datetime, *names: str, **given: Any) -> Hit:
    """A hit that was recorded then; by publication, on another day."""
    return hit(*names, created_at=at if by == "recorded" else NOW + DAY, **given)


@pytest.mark.parametrize("by", get_args(By))
async def test_hits_are_newest_first_and_filtered(store: AnyStore, by: By) -> None:
    """By rule, feed, story, mark and either time; `before` continues a listing."""
    hits = (
        found_at(by, NOW - 2 * HOUR, "h1"),
        found_at(by, NOW - HOUR, "h2", "k2", rule="other", story="s1"),
        found_at(by, NOW - HOUR, "h3", "k2"),
    )
    written = written_at(by, {"k1": NOW - 2 * HOUR, "k2": NOW - HOUR})
    await stored(store, *written, routed=RoutingResult(hits=hits, stories=(story(),)))
    await store.catalog.mark(["h3"], "relevant")

    async def found(limit: int = 50, **wanted: object) -> list[str]:
        return [detail.hit.id for detail in await store.catalog.hits(HitFilter(by=by, **wanted), limit=limit)]  # type: ignore[arg-type]

    assert await found() == ["h3", "h2", "h1"]
    assert await found(limit=1) == ["h3"]
    assert await found(rule="r") == ["h3", "h1"]
    assert await found(feed="b") == []
    assert await found(story="s1") == ["h2"]
    assert await found(mark="relevant") == ["h3"]
    assert await found(since=NOW - HOUR) == ["h3", "h2"]
    assert await found(until=NOW - HOUR) == ["h1"]
    assert await found(before=(NOW - HOUR, "h3")) == ["h2", "h1"]


@pytest.mark.parametrize("by", get_args(By))
async def test_hits_are_grouped_by_story(store: AnyStore, by: By) -> None:
    """A story or an entry is listed once, where it began, on one page only, with the hits that the filter keeps."""
    hits = (
        found_at(by, NOW, "h1", story="s1"),
        found_at(by, NOW + HOUR, "h2", "k2"),
        found_at(by, NOW + HOUR, "h3", "k2", rule="other"),
        found_at(by, NOW + 2 * HOUR, "h4", "k3", story="s1"),
        found_at(by, NOW + 3 * HOUR, "h5", "k4"),
    )
    written = written_at(by, {f"k{n + 1}": NOW + n * HOUR for n in range(4)})
    await stored(store, *written, routed=RoutingResult(hits=hits, stories=(story(),)))

    async def found(limit: int = 50, **wanted: object) -> list[str]:
        stories = await store.catalog.stories_of_hits(HitFilter(by=by, **wanted), limit=limit)  # type: ignore[arg-type]
        return ["+".join(detail.hit.id for detail in story_hits) for story_hits in stories]

    assert await found() == ["h5", "h3+h2", "h4+h1"]
    assert await found(limit=2) == ["h5", "h3+h2"]
    assert await found(before=(NOW + HOUR, "h2")) == ["h4+h1"]
    assert await found(before=(NOW, "h1")) == []
    assert await found(rule="r") == ["h5", "h2", "h4+h1"]
    assert await found(since=NOW + 2 * HOUR) == ["h5", "h4"]
    assert await found(until=NOW + HOUR) == ["h1"]
    assert await found(story="s1") == ["h4+h1"]


async def test_a_story_of_very_many_hits_keeps_its_beginning(store: AnyStore) -> None:
    """The earliest twenty."""
    hits = tuple(hit(f"h{n:02}", rule=f"r{n:02}", story="s1", created_at=NOW + n * MINUTE) for n in range(30))
    await stored(store, entry(), routed=RoutingResult(hits=hits, stories=(story(),)))
    ((*story_hits,),) = await store.catalog.stories_of_hits(HitFilter(by="recorded"))
    assert [detail.hit.id for detail in story_hits] == [f"h{n:02}" for n in range(19, -1, -1)]


async def test_mark_can_be_taken_back(store: AnyStore) -> None:
    """Relevant, irrelevant, or no opinion."""
    await stored(store, entry(), hits=(hit(),))
    for mark in ("relevant", "irrelevant", None):
        await store.catalog.mark(["h1"], mark)
        assert (await store.catalog.hit("h1")).hit.mark == mark


async def test_story_lists_its_versions(store: AnyStore) -> None:
    """A story with every hit that belongs to it."""
    routed = RoutingResult(hits=(hit("h1", story="s1"), hit("h2")), stories=(story(feeds=("a",)),))
    await stored(store, entry(), routed=routed)
    found, detail = await store.catalog.story("s1")
    assert (found, [t.hit.id for t in detail]) == (story(feeds=("a",)), ["h1"])


async def test_rules_have_their_figures(store: AnyStore) -> None:
    """Hits in all, alerts, marks, the last hit, and the last thirty days."""
    hits = (
        hit("h1"),
        hit("h2", "k2", state=HitState.HELD),
        hit("h3", "k3"),
        hit("h4", "k2", rule="other"),
    )
    published = {"k1": NOW - 40 * DAY, "k2": NOW, "k3": NOW - DAY}
    await stored(store, *(entry(key, published_at=at) for key, at in published.items()), hits=hits)
    await store.catalog.mark(["h2"], "irrelevant")
    other, mine = await store.catalog.rules(NOW)
    assert (other.rule, mine.rule) == ("other", "r")
    assert await store.catalog.rules(NOW, ["r", "never"]) == (mine,)
    assert (mine.hits, mine.alerts, mine.relevant, mine.irrelevant, mine.last_hit_at) == (3, 2, 0, 1, NOW)
    assert len(mine.days) == 30
    assert mine.days[-2:] == (("2026-02-28", 1), ("2026-03-01", 1))
    assert sum(count for _, count in mine.days) == 2


async def test_entries_are_dated_by_their_publication(store: AnyStore) -> None:
    """By recording where a feed gives no date or one in the future; an edit may move the date, and its hits."""
    dates = {"k1": NOW - 9 * DAY, "k2": None, "k3": NOW + DAY, "k4": NOW - HOUR}
    written = [entry(key, published_at=at, seen_at=NOW - n * MINUTE) for n, (key, at) in enumerate(dates.items())]
    await stored(store, *written, hits=tuple(hit(f"h{key[1]}", key) for key in dates))
    catalog = store.catalog
    assert [e.key for e in await catalog.entries()] == ["k2", "k3", "k4", "k1"]
    assert [e.key for e in await catalog.entries(by="recorded")] == ["k1", "k2", "k3", "k4"]
    assert [e.key for e in await catalog.entries(since=NOW - DAY, until=NOW - MINUTE)] == ["k3", "k4"]
    assert await catalog.count_entries(NOW - DAY) == 3
    assert await catalog.count_entries(NOW - DAY, by="recorded") == 4
    assert [e.key async for batch in catalog.scan(until=NOW - DAY) for e in batch] == ["k1"]
    assert [e.key for e in await catalog.search([["title"]], limit=3)] == ["k2", "k3", "k4"]
    assert [t.hit.id for t in await catalog.hits(HitFilter())] == ["h2", "h3", "h4", "h1"]
    await stored(store, replace(written[0], published_at=NOW + DAY, seen_at=NOW + DAY, version=2))
    assert [t.hit.id for t in await catalog.hits(HitFilter(), limit=2)] == ["h1", "h2"]
    assert (await catalog.hit("h1")).dated_at == NOW


async def test_search_has_three_orders(store: AnyStore) -> None:
    """Newest published, newest recorded, most relevant; each bounded and continued by its own time."""
    texts = {"k1": ("oil oil oil", 3), "k2": ("oil and gas are traded in many places", 1), "k3": ("gas oil gas", 2)}
    written = [
        entry(key, title=text, published_at=NOW - age * DAY, seen_at=NOW + n * MINUTE)
        for n, (key, (text, age)) in enumerate(texts.items())
    ]
    numbers = {one.key: one.id for one in await stored(store, *written)}

    async def found(**given: Any) -> list[str]:
        return [e.key for e in await store.catalog.search([["oil"]], **given)]

    assert await found() == ["k2", "k3", "k1"]
    assert await found(by="recorded") == ["k3", "k2", "k1"]
    assert (await found(by="relevance"))[0] == "k1"
    assert await found(before=numbers["k2"]) == ["k3", "k1"]
    assert await found(before=numbers["k2"], by="recorded") == ["k1"]
    assert await found(since=NOW - 2 * DAY, until=NOW - DAY) == ["k3"]
    assert await found(since=NOW, until=NOW + 2 * MINUTE, by="recorded") == ["k2", "k1"]
    with pytest.raises(NotFound, match="begin the search again"):
        await found(before=4711)


async def test_newest_of_very_many_matches_are_found(store: AnyStore) -> None:
    """More than can be sorted, published in another order than they were recorded, page after page."""
    ages = [(n * 7919) % 1500 for n in range(1500)]
    written = [entry(f"k{n}", published_at=NOW - age * HOUR) for n, age in enumerate(ages)]
    await stored(store, *written)
    order, before = list[str](), None
    for _ in range(3):
        page = await store.catalog.search([["title"]], limit=40, before=before)
        order, before = order + [e.key for e in page], page[-1].id
    assert order == [f"k{n}" for n in sorted(range(1500), key=lambda n: ages[n])[:120]]
    late = await store.catalog.search([["title"]], limit=40, since=NOW - 1490 * HOUR, until=NOW - 1470 * HOUR)
    assert [e.key for e in late] == [f"k{ages.index(age)}" for age in range(1471, 1491)]


async def test_days_are_those_of_the_readers_zone(store: AnyStore) -> None:
    """Thirty days of one's own clock, also where it is changed: that day has 23 hours or 25."""
    zone = ZoneInfo("Europe/Oslo")
    times = [
        datetime(2026, 10, day, hour, minute, tzinfo=zone)
        for day in (24, 25, 26)
        for hour, minute in ((0, 0), (23, 59))
    ]
    written = [entry(f"k{n}", published_at=at, seen_at=NOW + 365 * DAY) for n, at in enumerate(times)]
    await stored(store, *written, hits=tuple(hit(f"h{n}", f"k{n}") for n in range(6)))
    now = datetime(2026, 11, 9, 8, tzinfo=zone)
    wanted = [(f"2026-10-{day}", 2) for day in (24, 25, 26)]
    for days in (
        (await store.catalog.feed_days(["a"], now))["a"],
        await store.catalog.hit_days(HitFilter(), now),
        (await store.catalog.rules(now))[0].days,
    ):
        assert len(days) == 30
        assert [day for day in days if day[1]] == wanted


async def test_days_are_counted_in_utc_and_complete(store: AnyStore) -> None:
    """Thirty days, oldest first, empty ones too; midnight belongs to the new day."""
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = timedelta(microseconds=1)
    await stored(store, entry("k1", seen_at=midnight), entry("k2", seen_at=midnight - moment), hits=(hit(),))
    days = (await store.catalog.feed_days(["a", "b"], NOW))["a"]
    assert (len(days), days[0], days[-2:]) == (30, ("2026-01-31", 0), (("2026-02-28", 1), ("2026-03-01", 1)))
    assert sum(n for _, n in (await store.catalog.feed_days(["a", "b"], NOW))["b"]) == 0
    assert (await store.catalog.hit_days(HitFilter(rule="r"), NOW))[-1] == ("2026-03-01", 1)
    assert sum(n for _, n in await store.catalog.hit_days(HitFilter(rule="none"), NOW)) == 0


async def test_deliveries_are_listed_by_state(store: AnyStore) -> None:
    """Newest first; all states, or some."""
    await store.outbox.add(
        [
            delivery("d1", created_at=NOW - HOUR),
            delivery("d2", state=DEAD),
            delivery("d3", state=SENT, created_at=NOW - MINUTE),
        ]
    )
    assert [d.id for d in await store.catalog.deliveries()] == ["d2", "d3", "d1"]
    assert [d.id for d in await store.catalog.deliveries(states=[DEAD, PENDING], limit=0)] == ["d2", "d1"]
    assert [d.id for d in await store.catalog.deliveries(limit=1)] == ["d2"]
    assert await store.catalog.outbox() == {PENDING: 1, DEAD: 1, SENT: 1}


async def test_listing_of_deliveries_can_be_continued(store: AnyStore) -> None:
    """After (created_at, id), so that what comes in between moves nothing; ids part what has one instant."""
    await store.outbox.add([delivery("d1"), delivery("d2"), delivery("d3", created_at=NOW - HOUR, state=DEAD)])
    assert [d.id for d in await store.catalog.deliveries(before=(NOW, "d2"))] == ["d1", "d3"]
    assert [d.id for d in await store.catalog.deliveries(states=[DEAD], before=(NOW, "d1"))] == ["d3"]
    assert await store.catalog.deliveries(before=(NOW - HOUR, "d3")) == ()


async def test_delivery_shows_its_hits(store: AnyStore) -> None:
    """One delivery with its attempts and hits."""
    await stored(store, entry(), hits=(hit(),))
    await store.outbox.add([delivery(hits=("h1",))])
    found, attempts, detail = await store.catalog.delivery("d1")
    assert (found.id, attempts, [t.hit.id for t in detail]) == ("d1", (), ["h1"])


@pytest.mark.parametrize(("state", "allowed"), [(s, s in {PENDING, HELD, RETRY, DEAD}) for s in DeliveryState])
async def test_retry_and_cancel_touch_only_what_is_unsent(store: AnyStore, state: DeliveryState, allowed: bool) -> None:
    """A second chance for the dead, an end for the waiting; what is sent or on its way is left alone."""
    lost = delivery("d1", state=state, due_at=NOW + DAY, attempts=3, tried_at=NOW - DAY, lease_until=NOW + HOUR)
    await store.outbox.add([lost, replace(lost, id="d2")])
    assert await store.catalog.retry(["d1", "none"], NOW) == int(allowed)
    assert await store.catalog.cancel(["d2", "none"]) == int(allowed)
    again, ended = (await store.catalog.delivery("d1"))[0], (await store.catalog.delivery("d2"))[0]
    if allowed:
        assert (again.state, again.due_at, again.tried_at, again.attempts) == (RETRY, NOW, None, 3)
        assert (ended.state, ended.reason) == (SUPPRESSED, "cancelled manually")
        claimed = await store.outbox.claim(NOW + 2 * DAY, owner="me", lease_s=60, limit=9)
        assert [d.id for d in claimed] == ["d1"]
    else:
        assert (again.state, ended.state) == (state, state)


@pytest.mark.parametrize(("state", "allowed"), [(s, s in {SENT, DEAD}) for s in DeliveryState])
async def test_acknowledging_is_for_what_has_ended(store: AnyStore, state: DeliveryState, allowed: bool) -> None:
    """Once; what still waits is not known to anybody."""
    await store.outbox.add([delivery("d1", state=state, lease_until=NOW + HOUR)])
    assert await store.catalog.acknowledge(["d1", "none"], NOW) == int(allowed)
    assert await store.catalog.acknowledge(["d1"], NOW + HOUR) == 0
    assert (await store.catalog.delivery("d1"))[0].acknowledged_at == (NOW if allowed else None)


async def test_acknowledged_alert_marks_its_stories(store: AnyStore) -> None:
    """The story of an alert, and those of a digest's hits; a later copy does not wash it off."""
    routed = RoutingResult(hits=(hit(story="s1"),), stories=(story("s1"), story("s2"), story("s3")))
    await stored(store, entry(), routed=routed)
    await store.outbox.add([delivery("d1", state=SENT, story="s2"), delivery("d2", state=SENT, hits=("h1",))])
    assert await store.catalog.acknowledge(["d1", "d2"], NOW) == 2
    known = [(await store.catalog.story(name))[0].acknowledged_at for name in ("s1", "s2", "s3")]
    assert known == [NOW, NOW, None]
    await stored(store, entry("b"), routed=RoutingResult(stories=(story("s1", feeds=("a", "b")),)))
    again = (await store.catalog.story("s1"))[0]
    assert (again.feeds, again.acknowledged_at) == (("a", "b"), NOW)


async def test_silences_are_made_listed_and_ended(store: AnyStore) -> None:
    """Each has a number by which it can be removed."""
    first = await store.catalog.add_silence(Silence(rule="r", until_at=NOW + HOUR, reason="ro", created_at=NOW))
    second = await store.catalog.add_silence(Silence(feed="a", until_at=NOW + DAY, created_at=NOW))
    assert first.id is not None
    assert await store.catalog.silences(NOW) == (first, second)
    await store.catalog.remove_silence(first.id)
    assert await store.catalog.silences(NOW) == (second,)


async def test_a_channel_shows_what_it_tried_last(store: AnyStore) -> None:
    """The latest attempts first, whether sent or not; what was not tried is none; the last hour is counted."""
    rows = [
        replace(delivery("old", channel="desk"), state=SENT, attempts=1, tried_at=NOW - DAY, sent_at=NOW - DAY),
        replace(delivery("new", channel="desk"), state=SENT, attempts=1, tried_at=NOW, sent_at=NOW - MINUTE),
        replace(delivery("lost", channel="desk"), state=DEAD, attempts=9, tried_at=NOW - HOUR, last_error="410"),
        replace(delivery("waits", channel="desk"), state=PENDING),
        replace(delivery("other", channel="chat"), state=SENT, attempts=1, tried_at=NOW, sent_at=NOW),
    ]
    await stored(store, entry("k1"), routed=RoutingResult(deliveries=tuple(rows)))
    found = await store.catalog.channel_activity(["desk", "none"], NOW)
    assert [one.id for one in found["desk"].last] == ["new", "lost", "old"]
    assert (found["desk"].sent, found["none"].sent, found["none"].last) == (1, 0, ())
    assert [one.id for one in (await store.catalog.channel_activity(["desk"], NOW, limit=1))["desk"].last] == ["new"]


async def test_a_link_opens_one_feed_until_it_is_removed(store: AnyStore) -> None:
    """The digest opens its own path only, and nothing once it is removed."""
    link = await store.catalog.add_feed_link(FeedLink(path="/feeds/rules/r.atom", digest="d1", created_at=NOW))
    assert link.id is not None
    assert await store.catalog.feed_links() == (link,)
    assert await store.catalog.opens_feed("/feeds/rules/r.atom", "d1")
    assert not await store.catalog.opens_feed("/feeds/hits.atom", "d1")
    assert not await store.catalog.opens_feed("/feeds/rules/r.atom", "d2")
    await store.catalog.remove_feed_link(link.id)
    assert not await store.catalog.opens_feed("/feeds/rules/r.atom", "d1")
    with pytest.raises(NotFound, match="feed link"):
        await store.catalog.remove_feed_link(link.id)


async def test_the_signing_key_is_made_once(store: AnyStore) -> None:
    """Who comes second gets the key of the first."""
    assert await store.catalog.signing_key(b"") == b""
    assert await store.catalog.signing_key(b"first") == b"first"
    assert await store.catalog.signing_key(b"second") == b"first"


async def test_edits_are_kept_newest_first(store: AnyStore) -> None:
    """Each has a number by which it can be undone."""
    first, second = [
        await store.catalog.add_edit(Edit(file="rules.yaml", line=3, removed="a\n", added=text, about="r", at=NOW))
        for text in ("b\n", "c\n")
    ]
    assert first.id is not None
    assert await store.catalog.edits() == (second, first)
    assert await store.catalog.edits(limit=1) == (second,)
    assert await store.catalog.edit(first.id) == first
    with pytest.raises(NotFound, match="edit"):
        await store.catalog.edit(99_999)


async def test_stats_count_what_is_stored(store: AnyStore) -> None:
    """Rows of each kind, and bytes."""
    await stored(store, entry("k1"), entry("k2"), hits=(hit(),))
    await store.outbox.add([delivery()])
    stats = await store.catalog.stats()
    assert (stats.feeds, stats.entries, stats.hits, stats.deliveries) == (1, 2, 1, 1)
    assert stats.bytes > 0


async def test_hits_of_first_polls_are_reported_once(store: AnyStore) -> None:
    """Newest published first, of one rule or all; a second report of one of them changes nothing."""
    written = [entry(f"k{n}", published_at=NOW - n * DAY) for n in range(3)]
    held = {"state": HitState.HELD, "reason": "baseline"}
    hits = (hit("h0", "k0", **held), hit("h1", "k1", rule="other", **held), hit("h2", "k2", **held), hit("h3", "k1"))
    await stored(store, *written, hits=hits)
    catalog = store.catalog
    assert [t.hit.id for t in await catalog.baseline()] == ["h0", "h1", "h2"]
    assert [t.hit.id for t in await catalog.baseline("r")] == ["h0", "h2"]
    assert (await catalog.count_baseline(), await catalog.count_baseline("other")) == (3, 1)
    await catalog.report_baseline(["h0", "h2"], [delivery("d1", hits=("h0", "h2"))])
    assert [t.hit.id for t in await catalog.baseline()] == ["h1"]
    assert (await catalog.hit("h0")).hit.reason == "baseline_sent"
    with pytest.raises(Conflict):
        await catalog.report_baseline(["h1", "h2"], [delivery("d2", hits=("h1", "h2"))])
    assert [d.id for d in await catalog.deliveries()] == ["d1"]
    assert await catalog.count_baseline() == 1
    assert await catalog.recorded(["h1", "nosuch"]) == {"h1"}
