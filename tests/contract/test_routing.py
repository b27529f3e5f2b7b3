"""Routing after the commit: it decides what routing in the commit would have decided, and holds up nobody."""

import dataclasses
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

import pytest
from msgspec.structs import replace

from aggregator.core.model import Entry, Hit, HitFilter, PollResult, Reason, Routed, Silence, Unrouted, UnroutedPoll
from aggregator.core.routing import describe
from aggregator.core.rules import compile_rule
from aggregator.core.settings import Config, RuleConfig
from aggregator.pipeline.context import ActiveConfig, Context, activate
from aggregator.pipeline.matching import match
from aggregator.pipeline.routing import HitRouter, commit_poll, decide
from aggregator.pipeline.vocabulary import StreamVocabulary
from tests.support.memory_store import MemoryStore
from tests.support.records import HOUR, MINUTE, NOW, AnyStore, entry, feed, lease, polled

pytestmark = pytest.mark.anyio

FEEDS = ("a", "b", "c", "d")
RULES = (
    {"id": "s400", "any": ["S-400"]},
    {"id": "turkey", "any": ["Turkey", "Turkish"], "on_update": True, "retellings": "alert"},
    {"id": "many", "any": ["lira"], "threshold": {"hits": 2, "within": "6h"}},
)
TEXTS = (
    (
        "Turkey takes delivery of second S-400 battery from Russia. Turkey received the second battery of S-400 "
        "air defence missiles at Murted air base on Monday, the defence ministry said, defying threats of sanctions."
    ),
    (
        "Second Russian S-400 battery arrives at Turkish base of Murted. The Turkish defence ministry announced "
        "that the second S-400 battery bought from Russia has reached the Murted air base."
    ),
    (
        "Murted air base receives second S-400 battery. Turkey's defence ministry said the second battery of Russian "
        "S-400 missiles was received at Murted air base on Monday despite threats of sanctions by the United States."
    ),
    (
        "India signs for five S-400 regiments. New Delhi signed a contract for five regiments of S-400 air defences "
        "on Friday, worth 5.4 billion dollars, during a visit of the Russian president."
    ),
    "Turkish lira falls after the central bank leaves rates unchanged. The currency of Turkey lost three per cent.",
)


class FixedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


def configuration(**stories: int) -> ActiveConfig:
    rules = tuple(RuleConfig.model_validate(rule) for rule in RULES)
    channels = {"desk": {"name": "desk", "service": "console"}}
    settings = {"default_channels": ["desk"], "stories": stories}
    config = Config.model_validate({"rules": rules, "channels": channels, "settings": settings})
    return activate(config, [compile_rule(rule, {}) for rule in rules])


def stream(seed: int, polls: int = 20) -> Iterator[tuple[str, datetime, tuple[Entry, ...]]]:
    """Polls with copies, retellings, other news and edits, each by one of the feeds."""
    chance, known = random.Random(seed), dict[str, list[Entry]]()
    for number in range(polls):
        name, at = chance.choice(FEEDS), NOW + number * MINUTE
        found = []
        for place in range(chance.choice((1, 1, 2, 3))):
            title, _, summary = chance.choice(TEXTS).partition(". ")
            reason = (
                Reason.BASELINE if number == 0 else chance.choice((Reason.NEW, Reason.NEW, Reason.NEW, Reason.FLOOD))
            )
            new = entry(f"{name}{number}.{place}", feed=name, title=title, summary=summary, seen_at=at, reason=reason)
            if known.get(name) and chance.random() < 0.12:
                old = known[name].pop(chance.randrange(len(known[name])))
                new = replace(old, title=title, summary=summary, version=old.version + 1, reason=Reason.CHANGED)
            known.setdefault(name, []).append(new)
            found.append(new)
        yield name, at, tuple({one.key: one for one in found}.values())


def unrouted(active: ActiveConfig, name: str, at: datetime, entries: Sequence[Entry]) -> UnroutedPoll:
    hits = match(active, feed(name), entries, at)
    matched = {hit.entry_key for hit in hits}
    of_hits = tuple(one for one in entries if one.key in matched)
    return UnroutedPoll(feed=name, at=at, hits=hits, entries=of_hits, reports=describe(of_hits, hits, at), config=1)


async def poll(
    store: AnyStore,
    active: ActiveConfig,
    name: str,
    at: datetime,
    entries: Sequence[Entry],
    later: bool,
    parts: int = 1,
) -> None:
    """Commit a poll, in so many parts, its hits routed at once or later."""
    (state,) = await lease(store.feeds, name, at=at)
    state = polled(state, last_polled_at=at)
    for number in range(parts):
        some = tuple(entries[number::parts])
        asked = replace(unrouted(active, name, at, some), part=number)
        result = PollResult(state=state, entries=some, hits=asked.hits, unfinished=number < parts - 1)
        if later and asked.hits:
            await store.feeds.commit(result, owner="me", later=asked)
        else:
            question, route = decide(active.router, await StreamVocabulary().frequencies(), asked)
            await store.feeds.commit(result, owner="me", question=question, route=route)


async def all_hits(store: AnyStore) -> dict[str, Hit]:
    return {
        detail.hit.id: replace(detail.hit, entry_id=None) for detail in await store.catalog.hits(HitFilter(), limit=0)
    }


async def outcome(store: AnyStore) -> tuple[object, ...]:
    """What readers see of it: hits, stories with their reports, deliveries."""
    hits = await all_hits(store)
    names = sorted({hit.story for hit in hits.values() if hit.story})
    stories = [(await store.catalog.story(name))[0] for name in names]
    deliveries = {one.id: one for one in await store.catalog.deliveries(limit=0)}
    return hits, stories, deliveries


async def route(store: AnyStore, active: ActiveConfig, now: datetime, **asked: int) -> Routed:
    frequencies = await StreamVocabulary().frequencies()
    return await store.feeds.route_waiting(partial(decide, active.router, frequencies), now, **{"config": 1, **asked})


@pytest.fixture
async def other() -> AsyncIterator[MemoryStore]:
    async with MemoryStore(index_text=lambda one: one.title) as opened:
        yield opened


@pytest.mark.parametrize(("seed", "limit", "sources", "parts"), [(5, 500, 0, 1), (2, 7, 2, 1), (7, 500, 2, 3)])
async def test_routing_later_decides_as_routing_at_once(
    store: AnyStore, other: MemoryStore, seed: int, limit: int, sources: int, parts: int
) -> None:
    """However many hits one transaction routes, hits, stories and alerts are those of a commit after the other.

    Those that a story's spread makes, and digests of floods that are written in parts, too.
    """
    active, end = configuration(renotify_sources=sources), NOW + HOUR
    for one in (store, other):
        await one.feeds.sync([feed(name) for name in FEEDS], NOW)
    for name, at, entries in stream(seed):
        await poll(other, active, name, at, entries, later=False, parts=parts)
        await poll(store, active, name, at, entries, later=True, parts=parts)
    assert {hit.state for hit in (await all_hits(store)).values()} == {"new"}
    assert await store.catalog.deliveries(limit=0) == ()
    while (await store.feeds.unrouted(end)).due:
        assert (await route(store, active, end, limit=limit)).failed == ()
    assert await outcome(store) == await outcome(other)
    assert parts == 1 or "digest" in {one.kind.value for one in await store.catalog.deliveries(limit=0)}


async def test_an_article_is_routed_as_at_once(store: AnyStore, other: MemoryStore) -> None:
    """It waits behind its poll; what the poll's own text hits is alerted once, what only the article hits, too."""
    active = configuration()
    new = entry("k1", title="S-400 deal", seen_at=NOW)
    for one in (store, other):
        await one.feeds.sync([feed(name) for name in FEEDS], NOW)
        await poll(one, active, "a", NOW, [new], later=store.feeds.routes_later and one is store)
        (stored,) = await one.catalog.hits(HitFilter())
        whole = replace(stored.entry, content=TEXTS[1], version=2)
        found = match(active, feed("a"), [replace(whole, version=1)], NOW + MINUTE)
        hits = tuple(replace(hit, entry_version=2) for hit in found)
        reports = describe([whole], hits, NOW + MINUTE)
        asked = UnroutedPoll(feed="a", at=NOW + MINUTE, config=1, hits=hits, entries=(whole,), reports=reports)
        question, ask = decide(active.router, await StreamVocabulary().frequencies(), asked)
        assert await one.articles.fill(whole, NOW + MINUTE, question=question, route=ask, later=asked) == 1
    await poll(store, active, "b", NOW + MINUTE, [entry("k2", feed="b", title=TEXTS[2])], store.feeds.routes_later)
    await poll(other, active, "b", NOW + MINUTE, [entry("k2", feed="b", title=TEXTS[2])], later=False)
    while (await store.feeds.unrouted(NOW + HOUR)).due:
        assert (await route(store, active, NOW + HOUR)).failed == ()
    assert await outcome(store) == await outcome(other)
    states = {(hit.feed, hit.rule): hit.state.value for hit in (await all_hits(store)).values()}
    assert states[("a", "s400")] == states[("a", "turkey")] == "alerted"


async def test_a_poll_that_cannot_be_routed_holds_up_nobody(store: AnyStore) -> None:
    """It is tried again later, after longer and longer pauses; all others are routed, in their order."""
    active = configuration()
    await store.feeds.sync([feed(name) for name in FEEDS], NOW)
    for number, name in enumerate(("a", "b", "c")):
        await poll(store, active, name, NOW, [entry(name, feed=name, title=f"S-400 {number}", seen_at=NOW)], later=True)
    frequencies = await StreamVocabulary().frequencies()

    def decide_but_b(asked: UnroutedPoll) -> object:
        if asked.feed == "b":
            raise ZeroDivisionError("of course")
        return decide(active.router, frequencies, asked)

    failed = list[tuple[str, str]]()
    for _ in range(3):
        failed += (await store.feeds.route_waiting(decide_but_b, NOW, config=1)).failed  # type: ignore[arg-type]
    assert [name for name, _ in failed] == ["b"]
    assert "of course" in failed[0][1]
    states = {hit.feed: hit.state.value for hit in (await all_hits(store)).values()}
    assert states == {"a": "alerted", "b": "new", "c": "alerted"}
    waiting = await store.feeds.unrouted(NOW)
    assert (waiting.polls, waiting.oldest_at, waiting.due) == (1, NOW, False)
    soon = NOW + timedelta(seconds=6)
    assert (await store.feeds.route_waiting(decide_but_b, soon, config=1)).failed  # type: ignore[arg-type]
    assert not (await store.feeds.unrouted(soon + timedelta(seconds=6))).due
    assert (await route(store, active, soon + timedelta(seconds=11))).hits == 1
    assert (await store.feeds.unrouted(NOW + HOUR)).polls == 0


async def test_hits_wait_for_a_router_that_knows_their_rules(store: AnyStore) -> None:
    """Whoever has an older configuration leaves them to others, and ends instead of looking again and again."""
    active, clock = configuration(), FixedClock()
    await store.feeds.sync([feed("a")], NOW)
    await poll(store, active, "a", NOW, [entry(title="S-400", seen_at=NOW)], later=True)
    for number, hits in ((0, 0), (1, 1)):
        numbered = dataclasses.replace(active, number=number)
        context = Context(config=lambda numbered=numbered: numbered, clock=clock, owner="me")  # type: ignore[misc]
        heard: list[str] = []

        async def offered(channels: object, heard: list[str] = heard) -> None:
            heard.extend(channels)  # type: ignore[arg-type]

        became = Counter[str]()
        assert await HitRouter(context, store.feeds, offered, became.update).run() == hits
        assert heard == ["desk"] * hits
        assert became == Counter(alerted=hits)


async def test_a_silence_that_ended_while_hits_waited_held_for_them(store: AnyStore) -> None:
    """What was found during it is not alerted because routing came late; what was found after it is."""
    active = configuration()
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    await store.catalog.add_silence(Silence(rule="s400", until_at=NOW + MINUTE, created_at=NOW))
    for name, at in (("a", NOW), ("b", NOW + 2 * MINUTE)):
        await poll(store, active, name, at, [entry(name, feed=name, title=f"S-400 {name}", seen_at=at)], later=True)
    await route(store, active, NOW + HOUR)
    states = {hit.feed: hit.state.value for hit in (await all_hits(store)).values()}
    assert states == {"a": "suppressed", "b": "alerted"}


async def test_a_poll_says_what_will_become_of_its_hits(store: AnyStore) -> None:
    """Of entries that were there before the first poll it is known; the others are not routed yet, or are."""
    active = configuration()
    await store.feeds.sync([feed("a")], NOW)
    (state,) = await lease(store.feeds, "a")
    old = entry("k1", title="S-400 old", reason=Reason.BASELINE)
    entries = (old, entry("k2", title="S-400 deal signed"))
    asked = unrouted(active, "a", NOW, entries)
    result = PollResult(state=polled(state), entries=entries, hits=asked.hits)
    frequencies = await StreamVocabulary().frequencies()
    stored, said = await commit_poll(store.feeds, result, "me", asked, lambda: active.router, frequencies)
    assert [one.key for one in stored] == ["k1", "k2"]
    assert said == {
        "not alerted: already there at first poll": 1,
        "alert not decided yet" if store.feeds.routes_later else "alerted": 1,
    }


async def test_what_waits_is_seen(store: AnyStore) -> None:
    """The backlog tells how many polls have hits that nobody routed yet, and since when."""
    active = configuration()
    await store.feeds.sync([feed("a"), feed("b")], NOW)
    for name, at in (("a", NOW), ("b", NOW + MINUTE)):
        await poll(store, active, name, at, [entry(name, feed=name, title="S-400", seen_at=at)], later=True)
    assert (await store.catalog.backlog(NOW)).unrouted == Unrouted(2, NOW, due=True)
    assert (await route(store, active, NOW + HOUR)).polls == 2
    assert (await store.catalog.backlog(NOW + HOUR)).unrouted == Unrouted()
