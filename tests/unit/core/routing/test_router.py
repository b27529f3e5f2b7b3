"""The routing of each hit, and the deliveries made of them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aggregator.core import events
from aggregator.core.model import (
    AlertKind,
    DeliveryState,
    Entry,
    Fingerprint,
    Frequencies,
    Hit,
    HitState,
    Reason,
    RoutingContext,
    RoutingResult,
    RuleHistory,
    Silence,
    Span,
    Story,
    Undelivered,
)
from aggregator.core.routing import Recipients, Router, describe, story_index, whole_channel
from aggregator.core.routing import router as router_module
from aggregator.core.settings import Channel, RuleConfig, Settings
from aggregator.core.stories import Copy, find_copy, reports_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
sample = Random(7).sample
TEXT = (
    "The presidents of Russia and Turkey discussed further cooperation on the S-400 air defence system on Monday, the"
    " Kremlin said, as Washington warned Ankara that a second batch would trigger sanctions. Grain was mentioned too."
)
CHANNELS = {name: Channel(name=name, service="console") for name in ("desk", "ops", "phone")}
CHANNELS["night"] = Channel(name="night", service="console", quiet_hours="08:00-12:00")


def rule(name: str = "s400", **changes: Any) -> RuleConfig:
    return RuleConfig(id=name, any=("S-400",), **{"notify": ("desk",), **changes})


def entry(key: str = "k1", feed: str = "tass", **changes: Any) -> Entry:
    made = Entry(feed=feed, key=key, title=f"Title of {key} about the S-400 deal", seen_at=NOW, published_at=NOW)
    return replace(made, **changes)


def hit(of: Entry, rule: str = "s400", **changes: Any) -> Hit:
    name = f"{rule}/{of.feed}/{of.key}/{of.version}"
    made = Hit(id=name, rule=rule, feed=of.feed, entry_key=of.key, entry_version=of.version, created_at=NOW)
    return replace(made, **changes)


def run(
    hits: list[Hit],
    entries: list[Entry],
    rules: list[RuleConfig],
    context: RoutingContext | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> RoutingResult:
    known = {r.id: r for r in rules}
    router = router_of(known, Settings(**(settings or {})), options.pop("recipients", whole_channel))
    now, context = options.pop("now", NOW), context or RoutingContext()
    reports = options.pop("reports", None) or describe(entries, hits, now)
    asked = router.query(hits, entries, now, reports)
    if asked and not context.keys:  # as the store finds them
        context = replace(context, keys=keys_of(context.stories))
    return router.route(hits, entries, now, context, reports=reports, **options)


def keys_of(stories: Iterable[Story]) -> dict[str, dict[str, datetime]]:
    """By which keys a store would find these stories."""
    found: dict[str, dict[str, datetime]] = {}
    for story in stories:
        for report in reports_of(story) if story.joined is None else ():
            for key in story_index.lookup(report, Frequencies(), Settings().stories):
                found.setdefault(key, {})[story.id] = report.at
    return found


def router_of(
    rules: dict[str, RuleConfig], settings: Settings, find: Callable[[Channel], Sequence[str]] = whole_channel
) -> Router:
    return Router(rules=rules, channels=CHANNELS, settings=settings, recipients=Recipients(CHANNELS, find))


def one(of: Entry, config: RuleConfig | None = None, **options: Any) -> RoutingResult:
    config = config or rule()
    return run([hit(of, config.id)], [of], [config], **options)


def test_a_new_hit_is_alerted_now() -> None:
    """A hit on news makes one pending delivery that names rule, hit, story and title."""
    routed = one(entry())
    (decided,), (delivery,) = routed.hits, routed.deliveries
    assert (decided.state, decided.reason, decided.story) == (HitState.ALERTED, "", routed.stories[0].id)
    assert (delivery.state, delivery.due_at, delivery.kind) == (DeliveryState.PENDING, NOW, AlertKind.HIT)
    assert (delivery.channel, delivery.rules, delivery.hits) == ("desk", ("s400",), (decided.id,))
    assert delivery.title == entry().title


@pytest.mark.parametrize("reason", [Reason.BASELINE, Reason.ALIAS, Reason.TOO_OLD])
def test_what_is_no_news_is_recorded_and_held(reason: Reason) -> None:
    """Hits on a first poll, on moved and on old entries are kept with the reason, and tell nobody."""
    routed = one(entry(reason=reason))
    assert [(h.state, h.reason) for h in routed.hits] == [(HitState.HELD, str(reason))]
    assert routed.deliveries == ()


def test_a_flood_is_sent_in_one_digest() -> None:
    """Many unseen entries in one poll make one message per channel, whichever rules they match."""
    entries = [entry(f"k{i}", reason=Reason.FLOOD) for i in range(30)]
    hits = [hit(e, name) for e in entries for name in ("s400", "caatsa")]
    routed = run(hits, entries, [rule(), rule("caatsa")])
    (digest,) = routed.deliveries
    assert (digest.kind, len(digest.hits), digest.rules) == (AlertKind.DIGEST, 60, ("caatsa", "s400"))
    assert {(h.state, h.reason) for h in routed.hits} == {(HitState.HELD, "flood")}


def test_older_than_the_rule_wants() -> None:
    """`max_age` holds the alert and says so; without a date an entry is as young as we saw it."""
    old = rule(max_age="7d")
    assert one(entry(published_at=NOW - timedelta(days=8)), old).hits[0].reason == "max_age"
    assert one(entry(published_at=None), old).hits[0].state is HitState.ALERTED


def test_silenced() -> None:
    """A live silence of the rule suppresses with the person's reason; an old one does not."""
    quiet = Silence(rule="s400", until_at=NOW + timedelta(hours=1), reason="exercise", created_at=NOW)
    assert one(entry(), context=RoutingContext(silences=(quiet,))).hits[0].reason == "silenced: exercise"
    over = replace(quiet, until_at=NOW)
    assert one(entry(), context=RoutingContext(silences=(over,))).hits[0].state is HitState.ALERTED
    elsewhere = replace(quiet, feed="bbc")
    assert one(entry(), context=RoutingContext(silences=(elsewhere,))).hits[0].state is HitState.ALERTED


def test_several_rules_make_one_delivery() -> None:
    """Two rules on one entry and one channel are one message, as soon and urgent as the keenest asks."""
    e = entry()
    rules = [rule(), rule("caatsa", priority="high", deliver="hourly")]
    (delivery,) = run([hit(e), hit(e, "caatsa")], [e], rules).deliveries
    assert (delivery.rules, delivery.priority, delivery.due_at) == (("caatsa", "s400"), "high", NOW)
    assert len(delivery.hits) == 2


def test_a_channel_gets_only_what_is_for_it() -> None:
    """Rules with different channels make a delivery on each."""
    e = entry()
    routed = run([hit(e), hit(e, "caatsa")], [e], [rule(), rule("caatsa", notify=("ops", "phone"))])
    assert {(d.channel, d.rules) for d in routed.deliveries} == {
        ("desk", ("s400",)),
        ("ops", ("caatsa",)),
        ("phone", ("caatsa",)),
    }


def test_default_channels() -> None:
    """A rule without `notify` tells the default channels; one with an empty list tells nobody, but alerts."""
    assert one(entry(), rule(notify=None), settings={"default_channels": ["ops"]}).deliveries[0].channel == "ops"
    routed = one(entry(), rule(notify=()))
    assert (routed.deliveries, routed.hits[0].state) == ((), HitState.ALERTED)


def test_one_row_per_recipient() -> None:
    """Each recipient of a channel has a delivery with an id of its own."""
    routed = one(entry(), recipients=lambda _channel: ("ann", "bob"))
    assert [d.recipient for d in routed.deliveries] == ["ann", "bob"]
    assert len({d.id for d in routed.deliveries}) == 2


def test_a_digest_rule_waits() -> None:
    """`daily 07:00` makes a held row that is due tomorrow at seven."""
    (delivery,) = one(entry(), rule(deliver="daily 07:00")).deliveries
    assert (delivery.state, delivery.reason) == (DeliveryState.HELD, "digest")
    assert delivery.due_at == datetime(2026, 3, 3, 7, 0, tzinfo=UTC)


def test_quiet_hours_hold() -> None:
    """In quiet hours the row waits for their end; high priority passes."""
    (held,) = one(entry(), rule(notify=("night",))).deliveries
    assert (held.state, held.reason, held.due_at.hour) == (DeliveryState.HELD, "quiet hours", 12)
    (urgent,) = one(entry(), rule(notify=("night",), priority="high")).deliveries
    assert urgent.state is DeliveryState.PENDING


def test_copies_in_one_poll_collapse() -> None:
    """Two copies that arrive together are one story: the older alerts, the younger is collapsed."""
    first = entry("a", published_at=NOW - timedelta(minutes=5), content=TEXT)
    copy = entry("b", title="Leaders speak about the S-400 again", content=TEXT)
    routed = run([hit(copy), hit(first)], [first, copy], [rule()])
    states = {h.entry_key: h.state for h in routed.hits}
    assert states == {"a": HitState.ALERTED, "b": HitState.COLLAPSED}
    assert len(routed.stories) == len(routed.deliveries) == 1


def told_story() -> Story:
    """A story that TASS told and the rule alerted on."""
    return one(entry("first", content=TEXT)).stories[0]


def test_a_copy_in_another_feed_joins_the_story() -> None:
    """A copy elsewhere makes no second alert; the story learns who else carries it."""
    story = told_story()
    routed = one(entry("copy", feed="blog", content=TEXT), context=RoutingContext(stories=(story,)))
    assert (routed.hits[0].state, routed.hits[0].reason) == (HitState.COLLAPSED, "story already alerted")
    assert routed.hits[0].story == story.id
    assert routed.stories[0].feeds == ("tass", "blog")
    assert routed.deliveries == ()


def test_renotify_sources_alerts_once_more() -> None:
    """When the wished number of feeds carries a story it is told again, once."""
    story = replace(told_story(), feeds=("tass", "bbc"))
    context, request = RoutingContext(stories=(story,)), {"stories": {"renotify_sources": 3}}
    routed = one(entry("copy", feed="blog", content=TEXT), context=context, settings=request)
    assert (routed.hits[0].state, routed.hits[0].reason) == (HitState.ALERTED, "3 feeds carry this story now")
    later = one(
        entry("copy2", feed="dn", content=TEXT), context=RoutingContext(stories=routed.stories), settings=request
    )
    assert later.hits[0].state is HitState.COLLAPSED


def test_an_acknowledged_story_does_not_alert_again_by_its_spread() -> None:
    """A person who knows of a story is not told that more feeds carry it."""
    story = replace(told_story(), feeds=("tass", "bbc"), acknowledged_at=NOW)
    context, request = RoutingContext(stories=(story,)), {"stories": {"renotify_sources": 3}}
    routed = one(entry("copy", feed="blog", content=TEXT), context=context, settings=request)
    assert (routed.hits[0].state, routed.deliveries) == (HitState.COLLAPSED, ())
    assert routed.stories[0].feeds == ("tass", "bbc", "blog")


def test_collapse_can_be_switched_off() -> None:
    """With `collapse: false` every copy alerts."""
    off = {"stories": {"collapse": False}}
    routed = one(
        entry("copy", feed="blog", content=TEXT), context=RoutingContext(stories=(told_story(),)), settings=off
    )
    assert routed.hits[0].state is HitState.ALERTED


def test_a_story_in_a_slow_digest_is_alerted_at_once_by_an_urgent_rule() -> None:
    """A digest does not swallow the instant alert of another rule; the same rule stays silent."""
    story = told_story()
    rules = [rule(deliver="daily 07:00"), rule("caatsa", priority="high")]
    e = entry("copy", feed="blog", content=TEXT)
    keen = run([hit(e, "caatsa")], [e], rules, RoutingContext(stories=(story,)))
    assert keen.hits[0].state is HitState.ALERTED
    same = run([hit(e)], [e], rules, RoutingContext(stories=(story,)))
    assert same.hits[0].state is HitState.COLLAPSED


@pytest.mark.parametrize("channels", [("desk",), ("ops", "phone"), ("desk", "ops")], ids=" and ".join)
@pytest.mark.parametrize("reason", [Reason.NEW, Reason.APPLIED])
def test_a_rules_first_hit_on_a_story_that_another_rule_alerted(channels: tuple[str, ...], reason: Reason) -> None:
    """That it finds the story too is news on each of its channels, live and when it is applied; once."""
    story = told_story()
    rules = [rule(), rule("caatsa", title="CAATSA", notify=channels)]
    copy = entry("copy", feed="blog", content=TEXT, reason=reason)
    routed = run([hit(copy), hit(copy, "caatsa")], [copy], rules, RoutingContext(stories=(story,)))
    assert sorted(d.channel for d in routed.deliveries if "caatsa" in d.rules) == sorted(channels)
    assert [d for d in routed.deliveries if "s400" in d.rules] == []
    if reason is Reason.NEW:
        assert {h.rule: h.reason for h in routed.hits} == {
            "s400": "story already alerted",
            "caatsa": "also matches CAATSA",
        }
    again = entry("again", feed="wire", content=TEXT, reason=reason)
    later = run([hit(again), hit(again, "caatsa")], [again], rules, RoutingContext(stories=routed.stories))
    assert later.deliveries == ()


def test_a_held_first_version_does_not_silence_the_next() -> None:
    """If the first copy was not told (its feed was silenced), the next copy is."""
    quiet = Silence(feed="tass", until_at=NOW + timedelta(hours=1), created_at=NOW)
    story = one(entry("first", content=TEXT), context=RoutingContext(silences=(quiet,))).stories[0]
    routed = one(entry("copy", feed="blog", content=TEXT), context=RoutingContext(stories=(story,)))
    assert routed.hits[0].state is HitState.ALERTED


@pytest.mark.parametrize("reason", [Reason.BASELINE, Reason.ALIAS, Reason.TOO_OLD])
def test_what_never_alerts_needs_no_story(reason: Reason) -> None:
    """A feed's past is recorded as it is, without comparing it; the first fresh copy is told."""
    old = entry("first", content=TEXT, reason=reason)
    assert describe([old, entry("new")], [], NOW).keys() == {("tass", "new")}
    routed = one(old)
    assert (routed.stories, routed.hits[0].story, routed.hits[0].reason) == ((), None, str(reason))


@pytest.mark.parametrize("kind", ["unrelated", "one opening", "one headline"])
def test_the_work_of_routing_grows_with_the_hits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the hits are about four times the comparisons, also where all of them look alike."""
    compared: list[int] = []
    seen = find_copy

    def counting(found: Fingerprint, stories: Sequence[Story], feed: str | None, at: datetime) -> Copy | None:
        compared.append(len(stories))
        return seen(found, stories, feed, at)

    monkeypatch.setattr(story_index, "find_copy", counting)
    words = ["".join(sample("abcdefghijklmnoprstuv", 6)) for _ in range(4000)]
    work = []
    for count in (100, 400):
        compared.clear()
        opening = TEXT if kind == "one opening" else ""
        title = "The S-400 forecast for the coming week" if kind == "one headline" else ""
        many = [
            entry(
                f"k{i}",
                title=title or f"S-400 {' '.join(sample(words, 7))}",
                content=f"{opening} {i} {' '.join(sample(words, 40))}",
                published_at=NOW - timedelta(minutes=i),
            )
            for i in range(count)
        ]
        routed = run([hit(e) for e in many], many, [rule()])
        assert len(routed.hits) == count
        assert max(compared) <= 50
        work.append(sum(compared) + count)
    assert work[1] <= 8 * work[0]


def test_the_work_for_a_hit_does_not_grow_with_the_reports_of_its_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many hits of one event a poll brings, each is compared with as few reports as if it had come alone."""
    compared: list[int] = []

    def counting(new: Any, candidates: Sequence[Story], *rest: Any, **options: Any) -> Any:
        compared.append(sum(len(story.reports) for story in candidates))
        return join(new, candidates, *rest, **options)

    join = events.join
    monkeypatch.setattr(events, "join", counting)
    shared = [f"shared{letter}" for letter in "abcdefghijklmnopqrstuvw"]
    words = ["".join(sample("abcdefghijklmnoprstuv", 6)) for _ in range(4000)]
    many = [
        entry(f"k{i}", feed=f"f{i}", title=" ".join(sample(words, 6)), content=" ".join(sample(shared, 20)))
        for i in range(120)
    ]
    routed = run([hit(e) for e in many], many, [rule()])
    assert len(routed.reports) == 120
    assert len(routed.stories) < 10
    assert max(len(story.reports) for story in routed.stories) == story_index.KEPT
    assert max(compared) <= len(routed.stories) * story_index.KEPT


def test_routing_describes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are described before the transaction in which their hits are routed."""
    e = entry("k", content=TEXT)
    known = describe([e], [hit(e)], NOW)
    monkeypatch.setattr(router_module, "fingerprint", None)
    monkeypatch.setattr(events, "features", None)
    router = router_of({"s400": rule()}, Settings(default_channels=("desk",)))
    asked = router.query([hit(e)], [e], NOW, known)
    assert asked is not None
    assert len(asked.lookups) == 1
    routed = router.route([hit(e)], [e], NOW, RoutingContext(), reports=known)
    assert routed.stories[0].fingerprint == known["tass", "k"].fingerprint


def test_updates_alert_only_where_wanted() -> None:
    """An edited entry is told again with `on_update`, three times at most."""
    story = told_story()
    edited = entry("first", content=TEXT, version=2, reason=Reason.CHANGED)
    context = RoutingContext(stories=(story,))
    assert one(edited, context=context).hits[0].state is HitState.COLLAPSED
    assert one(edited, rule(on_update=True), context=context).hits[0].state is HitState.ALERTED
    often = replace(edited, version=5)
    assert one(often, rule(on_update=True), context=context).hits[0].reason == "3 updates already alerted"


def test_a_rule_that_left_the_configuration() -> None:
    """A hit of a rule that was removed meanwhile is kept, with the reason."""
    e = entry()
    assert run([hit(e)], [e], []).hits[0].reason == "rule removed"


def test_threshold_waits_and_then_alerts_all() -> None:
    """Hits below the threshold are held; the one that meets it makes one alert that lists them all."""
    wants = rule(threshold={"hits": 3, "within": "6h", "sources": 2})
    assert one(entry(), wants).hits[0].state is HitState.HELD
    before = tuple((NOW - timedelta(hours=i), feed, f"h{i}") for i, feed in ((2, "bbc"), (1, "tass")))
    context = RoutingContext(histories=(RuleHistory(rule="s400", hits=before),))
    routed = one(entry(), wants, context=context)
    assert routed.hits[0].state is HitState.ALERTED
    (delivery,) = routed.deliveries
    assert set(delivery.hits) == {"h2", "h1", routed.hits[0].id}


def test_the_question_asks_for_what_is_needed() -> None:
    """Fingerprints of the entries, the story window, and the past of rules that need it."""
    e = entry()
    router = router_of({"s400": rule(first_in="24h")}, Settings())
    asked = router.query([hit(e)], [e], NOW, describe([e], [hit(e)], NOW))
    assert asked is not None
    assert (len(asked.lookups), asked.stories_since) == (1, NOW - timedelta(hours=72))
    assert asked.histories == (("s400", NOW - timedelta(hours=24)),)
    assert router.query([], [], NOW, {}) is None


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from(["s400", "caatsa"])), min_size=1, max_size=12, unique=True
    )
)
def test_routing_twice_gives_the_same_and_loses_nothing(pairs: list[tuple[str, str]]) -> None:
    """Ids do not depend on the order of hits; every alerted hit is in a delivery, every hit comes back."""
    entries = [entry(key, content=TEXT if key in "ab" else "") for key in sorted({k for k, _ in pairs})]
    by_key = {e.key: e for e in entries}
    hits = [hit(by_key[key], name) for key, name in pairs]
    rules = [rule(), rule("caatsa", notify=("ops", "desk"))]
    first, second = run(hits, entries, rules), run(hits[::-1], entries, rules)
    assert first == second
    assert {h.id for h in first.hits} == {h.id for h in hits}
    detail = {name for d in first.deliveries for name in d.hits}
    assert {h.id for h in first.hits if h.state is HitState.ALERTED} <= detail
    assert len({d.id for d in first.deliveries}) == len(first.deliveries)


def test_a_story_that_was_given_up_is_alerted_by_its_next_copy() -> None:
    """Who was never reached hears of the next copy, and nobody else: others have it already."""
    first = one(entry(content=TEXT))
    (known,) = first.stories
    lost = Undelivered(known.id, "desk", "ann")
    copy = entry("copy", feed="blog", content=TEXT)
    context = RoutingContext(stories=first.stories, undelivered=(lost, Undelivered(known.id, "gone", "bob")))
    routed = one(copy, context=context, recipients=lambda _: ("ann", "bob"))
    assert [(d.channel, d.recipient, d.story) for d in routed.deliveries] == [("desk", "ann", known.id)]
    assert (routed.hits[0].state, routed.redelivered) == (HitState.ALERTED, (lost,))
    assert routed.hits[0].reason == "an earlier alert of this story was not sent"
    left = one(copy, context=context, recipients=lambda _: ("bob",))
    assert (left.hits[0].state, left.deliveries, left.redelivered) == (HitState.COLLAPSED, (), ())


def test_an_alert_to_a_whole_channel_that_was_given_up() -> None:
    """A row without a recipient was for all of them, so all hear of the next copy."""
    first = one(entry(content=TEXT))
    lost = Undelivered(first.stories[0].id, "desk", "")
    routed = one(
        entry("copy", feed="blog", content=TEXT),
        context=RoutingContext(stories=first.stories, undelivered=(lost,)),
        recipients=lambda _: ("ann", "bob"),
    )
    assert [d.recipient for d in routed.deliveries] == ["ann", "bob"]
    assert routed.redelivered == (lost,)


def test_a_story_that_nobody_knows_is_alerted_to_all_by_its_next_copy() -> None:
    """The channel of the lost alert is gone, or the rule names another one now: its copy goes where the rule says."""
    first = one(entry(content=TEXT))
    nobody = Undelivered(first.stories[0].id, "", "")
    context = RoutingContext(stories=first.stories, undelivered=(nobody, Undelivered(nobody.story, "gone", "")))
    edited = rule(notify=("ops", "phone"))
    copy = entry("copy", feed="blog", content=TEXT)
    routed = one(copy, edited, context=context, recipients=lambda _: ("ann", "bob"))
    assert sorted((d.channel, d.recipient) for d in routed.deliveries) == [
        (channel, to) for channel in ("ops", "phone") for to in ("ann", "bob")
    ]
    assert (routed.redelivered, routed.deliveries[0].update) == ((nobody,), False)


def test_an_edit_of_what_was_given_up_is_an_alert_of_its_own() -> None:
    """The next version of the same entry must not take the name of the delivery that died."""
    first = one(entry(content=TEXT))
    context = RoutingContext(stories=first.stories, undelivered=(Undelivered(first.stories[0].id, "desk", ""),))
    routed = one(entry(content=TEXT, version=2, reason=Reason.CHANGED), context=context)
    assert [d.id for d in routed.deliveries] != [d.id for d in first.deliveries]
    assert len(routed.deliveries) == 1


def test_each_channel_is_looked_up_once() -> None:
    """The look may load a library; a channel that is not configured reaches nobody."""
    asked: list[str] = []

    def find(channel: Channel) -> tuple[str, ...]:
        asked.append(channel.name)
        return ("ann", "bob")

    recipients = Recipients(CHANNELS, find)
    assert recipients.of("desk") == recipients.of("desk") == ("ann", "bob")
    assert asked == ["desk"]
    assert recipients.of("elsewhere") == ()
    recipients.resolve()
    assert sorted(asked) == sorted(CHANNELS)


def test_a_headline_that_stays_alerts_every_day() -> None:
    """Thirty daily entries under one headline are thirty alerts, whether their page and their text change or not."""
    for link in (None, "https://example.org/sitrep"):
        for text in ("", "Follow the situation here, all day.", "{} ships were boarded off the {} coast."):
            stories: dict[str, Story] = {}
            alerts = 0
            for day in range(30):
                at = NOW + timedelta(days=day)
                e = entry(
                    f"k{day}",
                    title="War in the strait: S-400 latest",
                    link=link,
                    content=text.format(day, sample(["northern", "southern", "western", "eastern"], 1)[0]),
                    seen_at=at,
                    published_at=at,
                )
                routed = one(e, context=RoutingContext(stories=tuple(stories.values())), now=at)
                stories |= {story.id: story for story in routed.stories}
                alerts += len(routed.deliveries)
            assert alerts == 30, (link, text)


ITEMS = (
    ("Ships boarded in the north, S-400 papers found", "Two ships were boarded off the northern coast, with papers."),
    ("Radar closed for repairs", "A radar site near the strait was closed, and S-400 clauses delay the parts."),
    ("Ministers meet about S-400", "Four ministers met in Ankara on Sunday to discuss what comes after the deal."),
    ("Grain corridor open again", "The corridor opened at noon; S-400 crews watch it from the shore, officials said."),
    ("S-400 talks end without a date", "Negotiators left the capital in silence and named no day for another round."),
)


@pytest.mark.parametrize(
    "address", ["https://example.org/live#post-{}", "https://example.org/live", "https://example.org/board#0"]
)
@pytest.mark.parametrize("feeds", [("live",) * 5, ("a", "b", "c", "d", "e")], ids=["one feed", "five feeds"])
def test_items_of_one_page_are_stories_of_their_own(address: str, feeds: tuple[str, ...]) -> None:
    """Five items of a live page or a notice board are five alerts, though all have what the rule looks for."""
    items = [
        entry(f"k{i}", feed=feed, title=title, content=text, link=address.format(i))
        for i, (feed, (title, text)) in enumerate(zip(feeds, ITEMS, strict=True))
    ]
    span = Span(field="content", start=0, end=5, text="S-400", term="S-400")
    hits = [hit(item, spans=(span,)) for item in items]
    routed = run(hits, items, [rule()], reports=describe(items, hits, NOW))
    assert [h.state for h in routed.hits] == [HitState.ALERTED] * 5


TEASER = "Ankara and Moscow speak about air defence again; what the ministers said, and what was left out of it."


@pytest.mark.parametrize("events", [False, True], ids=["copies only", "events"])
@pytest.mark.parametrize("copy_first", [False, True], ids=["before its copy", "after its copy"])
def test_an_article_that_comes_later_joins_its_copies(copy_first: bool, events: bool) -> None:
    """A teaser says little; once its article is read, it and its copies are one story."""
    settings = {"stories": {"events": events}}
    teaser = entry("site", feed="site", title="A deal in the air: S-400", summary=TEASER)
    article = replace(teaser, content=TEXT, version=2)
    copy = entry("copy", feed="blog", content=TEXT)
    first = one(teaser, settings=settings)
    stories = {story.id: story for story in first.stories}
    ref, alerts = ("site", "site"), list(first.deliveries)

    def step(of: Entry, known: frozenset[str] = frozenset()) -> RoutingResult:
        homes = {ref: first.stories[0].id} if of is article else {}
        context = RoutingContext(stories=tuple(stories.values()), known=known, homes=homes)
        routed = one(of, context=context, settings=settings)
        stories.update({story.id: story for story in routed.stories})
        alerts.extend(routed.deliveries)
        return routed

    known = frozenset({hit(article).id})
    steps = [(copy, frozenset[str]()), (article, known)]
    routed = [step(*one) for one in (steps if copy_first else steps[::-1])]
    live = [story for story in stories.values() if story.joined is None]
    assert [story.feeds for story in live] == [("site", "blog")]
    unknown = copy_first and not events  # as a retelling of the teaser, the copy is known at once
    assert len(alerts) == (2 if unknown else 1), "who alerted before it was known to be a copy has alerted"
    if unknown:
        (merge,) = routed[1].merged
        assert {merge.story, merge.into} == stories.keys()
        assert stories[merge.story].joined == merge.into == live[0].id
    elif not copy_first:
        assert routed[1].hits[0].state is HitState.COLLAPSED


def test_what_was_stored_keeps_its_story() -> None:
    """A rule that is applied to stored entries finds the story that each has, and does not begin it again."""
    story = replace(told_story(), feeds=("tass", "blog", "wire"), alerted_rules=("caatsa",))
    old = entry("first", content=TEXT, reason=Reason.APPLIED, seen_at=NOW - timedelta(days=9), published_at=None)
    context = RoutingContext(stories=(story,), homes={("tass", "first"): story.id})
    routed = one(old, context=context)
    assert [(s.id, s.feeds) for s in routed.stories] == [(story.id, story.feeds)]
    assert len(routed.deliveries) == 1
