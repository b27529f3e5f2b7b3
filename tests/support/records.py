"""Values that the store's contracts are tried with; each argument is what a test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from aggregator.core.model import (
    Delivery,
    Entry,
    FeedState,
    Fingerprint,
    Health,
    Hit,
    PollResult,
    RoutingQuery,
    RoutingResult,
    Story,
    StoryKeys,
    UnroutedPoll,
)
from aggregator.core.settings import Feed
from aggregator.core.stories import keys
from aggregator.ports import Feeds
from aggregator.store import Store
from tests.support.memory_store import MemoryStore

AnyStore = Store | MemoryStore

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def feed(name: str = "a", **given: Any) -> Feed:
    return Feed(**{"id": name, "url": f"https://{name}.example/feed", **given})


def entry(key: str = "k1", **given: Any) -> Entry:
    return Entry(**{"feed": "a", "key": key, "title": f"Title {key}", "content_hash": b"1", "seen_at": NOW, **given})


def hit(name: str = "h1", key: str = "k1", **given: Any) -> Hit:
    return Hit(**{"id": name, "rule": "r", "feed": "a", "entry_key": key, "created_at": NOW, **given})


def story(name: str = "s1", **given: Any) -> Story:
    known = Fingerprint(url_key="u1", title_key="t1", signature=b"\x00\xff", bands=("b1", "b2"), facts=frozenset({"f"}))
    return Story(**{"id": name, "title": "T", "fingerprint": known, "first_at": NOW, "last_at": NOW, **given})


def making(*stories: Story, **rest: Any) -> RoutingResult:
    """What routing decides that makes these stories, to be found by the keys of their fingerprints."""
    found_by = tuple(StoryKeys(one.id, one.last_at, keys(one.fingerprint)) for one in stories)
    return RoutingResult(stories=stories, keys=found_by, **rest)


def like(fingerprint: Fingerprint, **rest: Any) -> RoutingQuery:
    """The question for stories that share a key with this one."""
    return RoutingQuery(lookups=(tuple(keys(fingerprint)),), **rest)


def delivery(name: str = "d1", **given: Any) -> Delivery:
    return Delivery(**{"id": name, "channel": "desk", "created_at": NOW, "due_at": NOW, **given})


async def lease(feeds: Feeds, *names: str, owner: str = "me", at: datetime = NOW) -> tuple[FeedState, ...]:
    """Claim feeds that the configuration has, due or not."""
    return await feeds.claim_due(at, owner=owner, lease_s=300, limit=100, ids=names, force=True)


def polled(state: FeedState, **changes: Any) -> FeedState:
    """The state after a poll that went well."""
    after = {"health": Health.OK, "last_polled_at": NOW, "next_poll_at": NOW + HOUR, **changes}
    return replace(state, **after)


async def stored(store: AnyStore, *entries: Entry, **rest: Any) -> tuple[Entry, ...]:
    """Write entries through a poll of their feed, with the hits and whatever else a poll may bring."""
    name = entries[0].feed if entries else "a"
    if name not in {summary.state.id for summary in await store.catalog.feeds()}:
        configured = [summary.state.id for summary in await store.catalog.feeds()]
        await store.feeds.sync([feed(known) for known in (*configured, name)], NOW)
    (state,) = await lease(store.feeds, name)
    routed: RoutingResult | None = rest.pop("routed", None)
    later: UnroutedPoll | None = rest.pop("later", None)
    route = None if routed is None else lambda _: routed
    poll = PollResult(state=polled(state), entries=entries, **rest)
    return await store.feeds.commit(poll, owner="me", question=RoutingQuery(), route=route, later=later)
