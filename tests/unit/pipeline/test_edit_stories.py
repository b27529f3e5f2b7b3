"""One event in many sources, from the first report to what a person corrects: over the store in memory."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from aggregator.core.errors import Conflict, NotFound
from aggregator.core.findings import findings
from aggregator.core.model import (
    Backlog,
    Delivery,
    Entry,
    Hit,
    HitState,
    JoinKind,
    Reason,
    RoutingContext,
    Silence,
    Status,
    Undelivered,
)
from aggregator.core.routing import describe
from aggregator.core.rules import compile_rule
from aggregator.core.settings import Config, Feed, RuleConfig
from aggregator.core.stories import unfolding
from aggregator.core.titles import reasons
from aggregator.pipeline.context import ActiveConfig, Context, activate
from aggregator.pipeline.edit_stories import join_stories, split_hit
from aggregator.pipeline.maintain import Maintainer
from aggregator.pipeline.matching import match
from tests.support.memory_store import MemoryStore
from tests.unit.pipeline.builders import NOW, FakeClock

pytestmark = pytest.mark.anyio

AGENCY = (
    "Turkey takes delivery of second S-400 battery from Russia",
    """ANKARA - Turkey received the second battery of Russian S-400 air defence missiles at Murted air base on Monday,
    the defence ministry said, defying threats of sanctions by the United States.""",
)
SITE = (
    "Second Russian S-400 battery arrives at Turkish base of Murted",
    """The Turkish defence ministry announced on Monday that the second S-400 battery bought from Russia has reached
    the Murted air base. Washington has threatened sanctions over the air defence missiles.""",
)
THIRD = (
    "Murted air base receives second S-400 battery from Russia",
    """Turkey's defence ministry said the second battery of Russian S-400 missiles was received at Murted air base on
    Monday despite threats of sanctions by the United States.""",
)
TEASER = ("Second Russian S-400 battery arrives at Turkish base of Murted", "The ministry in Ankara announced it.")
BLOG = (
    "Nytt S-400-batteri fra Russland til Tyrkia",
    f"{AGENCY[1]} (Gjengitt etter byrået.)",
)


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


@dataclass
class Stream:
    """Entries that arrive, one after the other, at a service with these rules."""

    rules: tuple[dict[str, Any], ...] = ({"id": "s400", "any": ["S-400"]},)
    settings: dict[str, Any] = field(default_factory=dict)
    store: MemoryStore = field(default_factory=lambda: MemoryStore(index_text=lambda entry: entry.title))
    clock: FakeClock = field(default_factory=FakeClock)
    active: ActiveConfig = field(init=False)
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        configs = tuple(RuleConfig.model_validate(rule) for rule in self.rules)
        channels = {name: {"name": name, "service": "console"} for name in ("desk", "ops")}
        settings = {"default_channels": ["desk"], **self.settings}
        config = Config.model_validate({"rules": configs, "channels": channels, "settings": settings})
        self.active = activate(config, [compile_rule(one, {}) for one in configs])
        self.context = Context(config=lambda: self.active, clock=self.clock, owner="me")

    async def arrive(
        self,
        feed: str,
        text: tuple[str, str],
        *,
        hours: float = 0.0,
        key: str = "",
        known: frozenset[str] = frozenset(),
        **changes: Any,
    ) -> Hit:
        """Route an entry of a feed, this many hours after the first; return its first hit."""
        self.clock.at = NOW + timedelta(hours=hours)
        now = self.clock.at
        title, body = text
        made = Entry(feed=feed, key=key or title, title=title, summary=body, lang="en", seen_at=now, published_at=now)
        entry = self.store.feeds.store_entry(replace(made, **changes))
        hits = match(self.active, Feed(id=feed, url=f"https://{feed}.example/"), [entry], now)
        vocabulary = await self.context.vocabulary.of([feed], self.active.config.settings.stories)
        reports, words = describe([entry], hits, now, vocabulary), vocabulary.frequencies
        router = self.active.router
        asked = router.query(hits, [entry], now, reports, words)
        assert asked is not None

        def route(context: RoutingContext) -> Any:
            return router.route(hits, [entry], now, context, reports=reports, frequencies=words)

        await self.store.feeds.record(asked, route, now)
        self.context.vocabulary.learn(reports.values())
        return self.store.tables.hits[hits[0].id]

    def alerts(self) -> list[Delivery]:
        return list(self.store.tables.deliveries.values())

    def hit(self, hit: Hit) -> Hit:
        return self.store.tables.hits[hit.id]


@pytest.mark.parametrize("headline", [BLOG[0], AGENCY[0]], ids=["own headline", "agency's headline"])
async def test_an_agency_text_a_site_and_a_blog_are_one_alert(headline: str) -> None:
    """The site has its own words; a Norwegian blog copies the agency, which under its own headline is an update."""
    stream = Stream()
    first = await stream.arrive("agency", AGENCY)
    site = await stream.arrive("site", SITE, hours=0.5)
    blog = await stream.arrive("blog", (headline, BLOG[1]), hours=1, lang="no")
    copied = headline == AGENCY[0]
    assert [hit.state for hit in (first, site)] == [HitState.ALERTED, HitState.FOLDED]
    assert blog.state is (HitState.COLLAPSED if copied else HitState.ALERTED)
    assert {hit.story for hit in (first, site, blog)} == {first.story}
    alert, *updates = stream.alerts()
    assert [(one.update, one.story) for one in updates] == ([] if copied else [(True, first.story)])
    assert (alert.story, alert.update) == (first.story, False)
    (detail, *_) = await stream.store.outbox.hit_details(alert)
    assert len({"agency", *detail.also_in}) == 3, "the waiting alert names the three sources"
    assert site.because is not None
    assert blog.because is not None
    assert site.because.kind is JoinKind.RETELLING
    assert blog.because.kind is (JoinKind.COPY if copied else JoinKind.TRANSLATION)
    assert all(len(hit.because.words) >= 3 for hit in (site, blog) if hit.because)
    assert reasons(site.because)[0].startswith("same event as “Turkey takes delivery")


async def test_what_happens_later_is_an_update_in_the_thread() -> None:
    """After twelve hours, or from the source that opened the story, a report is alerted: "Update to: …"."""
    stream = Stream()
    first = await stream.arrive("agency", AGENCY)
    late = await stream.arrive("site", SITE, hours=13)
    assert (late.state, late.story) == (HitState.ALERTED, first.story)
    _, update = stream.alerts()
    assert (update.update, update.title, update.story) == (True, f"Update to: {AGENCY[0]}", first.story)


@pytest.mark.parametrize(
    ("rule", "state", "update"),
    [
        ({"retellings": "update"}, HitState.ALERTED, True),
        ({"retellings": "alert"}, HitState.ALERTED, False),
        ({"priority": "high"}, HitState.ALERTED, True),
        ({}, HitState.FOLDED, False),
    ],
    ids=["update", "alert", "urgent", "fold"],
)
async def test_a_rule_says_what_becomes_of_retellings(rule: dict[str, Any], state: HitState, update: bool) -> None:
    """Folded, alerted as an update, or alerted on its own; urgent rules never fold."""
    stream = Stream(({"id": "s400", "any": ["S-400"], **rule},))
    await stream.arrive("agency", AGENCY)
    assert (await stream.arrive("site", SITE, hours=1)).state is state
    assert stream.alerts()[-1].update is update


async def test_another_rules_first_hit_on_a_known_event_is_alerted() -> None:
    """However the report came to the story: nobody who follows the other rule knows of it."""
    stream = Stream(({"id": "s400", "any": ["S-400"]}, {"id": "w", "title": "Washington", "any": ["Washington"]}))
    await stream.arrive("agency", AGENCY)
    await stream.arrive("site", SITE, hours=1)
    states = {hit.rule: (hit.state, hit.reason) for hit in stream.store.tables.hits.values() if hit.feed == "site"}
    assert states == {
        "s400": (HitState.FOLDED, "same event, already alerted"),
        "w": (HitState.ALERTED, "also matches Washington"),
    }


TESTED = (
    "Turkey test-fires S-400 missiles received from Russia at Murted",
    """ANKARA - Turkey test-fired S-400 air defence missiles from the second Russian battery at Murted air base, the
    defence ministry said, defying threats of sanctions by the United States.""",
)
TESTED_RETOLD = (
    "S-400 missiles from Russia test-fired by Turkey at Murted air base",
    """The Turkish defence ministry said the second Russian S-400 battery at Murted air base was test-fired despite
    threats of sanctions by the United States over the missiles. Congress cites CAATSA.""",
)
QUAKE = (
    "Strong earthquake of magnitude 6.3 hits Van province in eastern Turkey, dozens hurt",
    """VAN - A strong earthquake of magnitude 6.3 hit Van province in eastern Turkey on Wednesday, injuring dozens, the
    disaster agency said. Buildings in Ercis collapsed. The S-400 batteries nearby were not damaged.""",
)
QUAKE_RETOLD = (
    "Dozens injured as 6.3 magnitude quake strikes Van in eastern Turkey",
    """The disaster agency said an earthquake of magnitude 6.3 struck the province of Van on Wednesday, injuring dozens
    when buildings in Ercis collapsed; the S-400 batteries were not damaged.""",
)


async def test_a_follow_up_that_a_rule_did_not_match_is_news_to_it() -> None:
    """It had alerted on the event, not on what came next: whoever tells it that tells it news, once."""
    stream = Stream(({"id": "caatsa", "any": ["CAATSA"], "notify": ["ops"]}, {"id": "s400", "any": ["S-400"]}))
    await stream.arrive("agency", (AGENCY[0], f"{AGENCY[1]} Congress cites CAATSA."))
    await stream.arrive("agency", TESTED, hours=14)
    await stream.arrive("third", TESTED_RETOLD, hours=14.5)
    await stream.arrive("fourth", (TESTED_RETOLD[0], f"{TESTED_RETOLD[1]} Read on."), hours=15)
    states = {(hit.rule, hit.feed): hit.state for hit in stream.store.tables.hits.values() if hit.feed != "agency"}
    assert states == {
        ("caatsa", "third"): HitState.ALERTED,
        ("s400", "third"): HitState.FOLDED,
        ("caatsa", "fourth"): HitState.COLLAPSED,
        ("s400", "fourth"): HitState.COLLAPSED,
    }
    assert [(one.channel, one.update) for one in stream.alerts()] == [
        ("ops", False), ("desk", False), ("desk", True), ("ops", True),
    ]  # fmt: skip


async def test_a_follow_up_that_was_silenced_does_not_stand_for_its_copies() -> None:
    """Nobody heard of it: the copy that another feed brings is alerted, as an update."""
    stream = Stream()
    await stream.arrive("agency", AGENCY)
    until = NOW + timedelta(hours=15)
    stream.store.tables.silences[1] = Silence(id=1, feed="site", until_at=until, created_at=NOW)
    silenced = await stream.arrive("site", TESTED, hours=14)
    copied = await stream.arrive("third", (TESTED[0], f"{TESTED[1]} Read on."), hours=14.5)
    assert [one.state for one in (silenced, copied)] == [HitState.SUPPRESSED, HitState.ALERTED]
    assert [one.update for one in stream.alerts()] == [False, True]


async def test_who_never_got_the_alert_gets_the_retelling_as_an_alert() -> None:
    """The channel refused the first one; to its recipient, the retelling is no update."""
    stream = Stream()
    first = await stream.arrive("agency", AGENCY)
    stream.store.tables.undelivered[Undelivered(first.story or "", "desk", "")] = True
    retold = await stream.arrive("site", SITE, hours=1)
    assert (retold.state, [one.update for one in stream.alerts()]) == (HitState.ALERTED, [False, False])
    assert stream.alerts()[-1].title == SITE[0]
    assert (await stream.arrive("third", THIRD, hours=2)).state is HitState.FOLDED


async def test_a_page_that_moves_on_to_other_news_hides_none() -> None:
    """Its edits alert nobody, so other feeds' reports of the new event are no retellings, and no stories meet by it."""
    for headline in (QUAKE[0], AGENCY[0]):
        stream = Stream()
        first = await stream.arrive("live", AGENCY, key="page")
        edited: dict[str, Any] = {"key": "page", "version": 2, "reason": Reason.CHANGED, "hours": 1.0}
        await stream.arrive("live", (headline, QUAKE[1]), **edited)
        quake = await stream.arrive("third", QUAKE_RETOLD, hours=1.5)
        assert (quake.state, quake.story != first.story) == (HitState.ALERTED, True)
        assert (await stream.arrive("site", SITE, hours=2)).story == first.story, "it is compared by what was alerted"
    stream = Stream()
    first, quake = await stream.arrive("agency", AGENCY), await stream.arrive("agency", QUAKE, hours=0.1)
    folded = await stream.arrive("live", SITE, hours=0.5, key="page")
    assert folded.state is HitState.FOLDED
    await stream.arrive("live", QUAKE_RETOLD, **edited)
    assert [stream.hit(one).story for one in (first, folded, quake)] == [first.story, first.story, quake.story]


async def test_more_sources_are_announced_when_retellings_make_them_enough() -> None:
    """`renotify_sources` counts feeds that tell of the event in other words."""
    stream = Stream(settings={"stories": {"renotify_sources": 2}})
    await stream.arrive("agency", AGENCY)
    assert (await stream.arrive("site", SITE, hours=1)).state is HitState.ALERTED
    assert len(stream.alerts()) == 2


async def test_a_teaser_whose_article_comes_later_joins_the_event() -> None:
    """The teaser says too little; with the article, both are one story, and the old address leads to it."""
    stream = Stream(({"id": "s400", "any": ["S-400"]},), settings={"stories": {"strictness": "strict"}})
    first = await stream.arrive("agency", AGENCY)
    teaser = await stream.arrive("site", ("S-400: what the ministers said", "A look at the week."), hours=1, key="k")
    assert teaser.story != first.story
    await stream.arrive(
        "site",
        ("S-400: what the ministers said", "A look at the week."),
        hours=1.5,
        key="k",
        content=AGENCY[1],
        version=2,
    )
    assert stream.hit(teaser).story == first.story
    story, details = await stream.store.catalog.story(teaser.story or "")
    assert (story.id, len(details), story.feeds) == (first.story, 2, ("agency", "site"))


async def test_a_split_alerts_what_was_folded_and_is_obeyed() -> None:
    """The site's report leaves with its copy, is alerted at once, and what resembles it does not bring it back."""
    stream = Stream()
    first = await stream.arrive("agency", AGENCY)
    site = await stream.arrive("site", SITE, hours=1)
    copy = await stream.arrive("mirror", SITE, hours=1.1, key="copy")
    assert (site.state, copy.state, copy.story) == (HitState.FOLDED, HitState.COLLAPSED, first.story)
    change = await split_hit(stream.context, stream.store.catalog, site.id[:8], by="ada")
    assert (change.story, change.hits, change.queued) == (first.story, 2, 1)
    assert {stream.hit(one).story for one in (site, copy)} == {change.other}
    assert stream.hit(site).state is HitState.ALERTED
    assert [alert.hits for alert in stream.alerts()] == [(first.id,), (site.id,)]
    kept, _ = await stream.store.catalog.story(change.story)
    new, _ = await stream.store.catalog.story(change.other)
    assert (kept.feeds, new.feeds) == (("agency",), ("site", "mirror"))
    assert (list(kept.apart), list(new.apart)) == ([new.id], [kept.id])
    again = await stream.arrive("third", SITE, hours=2, key="again")
    assert again.story == new.id, "copies go where their wording is"
    stream.store.tables.entries[0] = replace(stream.store.tables.entries[site.entry_id or 0], content=AGENCY[1])
    edited = await stream.arrive("site", SITE, hours=2.5, version=2, content=AGENCY[1], reason=Reason.CHANGED)
    assert edited.story == new.id, "an edit does not cross what a person set apart"


async def test_two_undone_folds_in_a_week_end_a_rules_folding() -> None:
    """Its retellings are updates from then on, which the status says, and its figures say why; for a month."""
    stream = Stream()
    await stream.arrive("agency", AGENCY)
    for number in range(2):
        stream.clock.at = NOW + timedelta(hours=1)
        folded = await stream.arrive(f"site{number}", SITE if number == 0 else THIRD, hours=1 + number)
        assert folded.state is HitState.FOLDED
        await split_hit(stream.context, stream.store.catalog, folded.id, by="ada")
    backlog = await stream.store.catalog.backlog(stream.clock.now())
    assert backlog.unfolding == ("s400",)
    (found,) = findings(Status(version="", now_at=NOW, backlog=Backlog(unfolding=("s400",))))
    assert (found.kind, "s400" in found.what) == ("unfolding", True)
    (figures,) = await stream.store.catalog.rules(stream.clock.now())
    assert (figures.folded, figures.undone) == (2, 2)
    await stream.arrive("wire", AGENCY, hours=2.5, key="w")
    assert unfolding([("r", NOW), ("r", NOW + timedelta(days=8))], NOW + timedelta(days=8)) == frozenset()
    assert unfolding([("r", NOW), ("r", NOW)], NOW + timedelta(days=31)) == frozenset()


async def test_mondays_heartbeat_accounts_for_the_folds_of_the_week() -> None:
    """Their number, and the least certain of them with the reason; on other days nothing is said."""
    stream = Stream()
    await stream.arrive("agency", AGENCY)
    await stream.arrive("site", SITE, hours=1)
    store = stream.store
    maintainer = Maintainer(stream.context, catalog=store.catalog, outbox=store.outbox, upkeep=store.maintenance)
    bodies = []
    for hours in (2, 26):  # NOW is a Monday
        stream.clock.at = NOW + timedelta(hours=hours)
        await maintainer.heartbeat("UTC")
        bodies.append(stream.alerts()[-1].notice)
    monday, tuesday = (notice.body if notice else "" for notice in bodies)
    assert "1 retelling of 1 event folded within a week; the least certain first:" in monday
    assert f"- {SITE[0]} (site): same event as" in monday
    assert "folded" not in tuesday


async def test_what_cannot_be_split_is_refused() -> None:
    """A story that is nothing else; a hit that does not exist."""
    stream = Stream()
    first = await stream.arrive("agency", AGENCY)
    with pytest.raises(Conflict, match="nothing else"):
        await split_hit(stream.context, stream.store.catalog, first.id, by="ada")
    with pytest.raises(NotFound):
        await split_hit(stream.context, stream.store.catalog, "nobody", by="ada")


async def test_a_join_is_obeyed_by_what_comes_later() -> None:
    """Two stories become one; a copy of either is one of it, and both addresses lead there."""
    stream = Stream(settings={"stories": {"events": False}})
    first, site = await stream.arrive("agency", AGENCY), await stream.arrive("site", SITE, hours=1)
    assert first.story != site.story
    change = await join_stories(stream.context, stream.store.catalog, first.story or "", site.story or "", by="ada")
    assert (change.story, change.other, change.hits) == (first.story, site.story, 1)
    joined = stream.hit(site)
    assert joined.because is not None
    assert (joined.story, joined.because.kind, joined.because.by) == (first.story, JoinKind.PERSON, "ada")
    copy = await stream.arrive("mirror", SITE, hours=2, key="copy")
    assert (copy.story, copy.state) == (first.story, HitState.COLLAPSED)
    with pytest.raises(Conflict, match="one story already"):
        await join_stories(stream.context, stream.store.catalog, first.story or "", site.story or "", by="ada")


async def test_thirty_daily_reports_under_one_headline_are_all_alerted() -> None:
    """As alerts or as updates, but none is silent, with events as without."""
    for events in (True, False):
        stream = Stream(settings={"stories": {"events": events}})
        for day in range(30):
            at: datetime = NOW + timedelta(days=day)
            text = ("War in the strait: S-400 latest", f"What happened on {at:%d %B}, all day.")
            hit = await stream.arrive("site", text, hours=24 * day, key=str(day))
            assert hit.state is HitState.ALERTED, (events, day, hit.reason)
        assert len(stream.alerts()) == 30


async def test_an_update_of_what_nobody_was_alerted_of_is_an_alert() -> None:
    """The first alert was cancelled or silenced everywhere: the follow-up does not pretend to continue it."""
    stream = Stream()
    first = await stream.arrive("agency", AGENCY)
    stream.store.tables.undelivered[Undelivered(first.story or "", "", "")] = True
    later = await stream.arrive("site", SITE, hours=20)
    assert (later.story, later.state) == (first.story, HitState.ALERTED)
    assert [(one.update, one.title) for one in stream.alerts()][-1] == (False, SITE[0])
