"""The JSON shapes keep the keys that docs and scripts rely on."""

import json
from datetime import UTC, datetime, timedelta, timezone

from aggregator.core import schemas
from aggregator.core.model import (
    Attempt,
    Delivery,
    Entry,
    FeedState,
    FeedSummary,
    Fingerprint,
    Hit,
    HitDetail,
    LoopStatus,
    RuleStats,
    Silence,
    Span,
    Stats,
    Status,
    Story,
    Validators,
)
from aggregator.core.settings import Feed, RuleConfig

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPAN = Span(field="title", start=0, end=5, text="S-400", term="S-400")
ENTRY = Entry(
    id=7, feed="tass", key="k", title="S-400 sold", link="https://example.org/1", published_at=NOON, seen_at=NOON
)
HIT = Hit(
    id="h1", rule="s400", feed="tass", entry_key="k", entry_id=7, spans=(SPAN,), snippet="S-400 sold", created_at=NOON
)
TOLD = HitDetail(hit=HIT, entry=ENTRY, feed_title="TASS", rule_title="S-400", also_in=("Defense News",))


def test_instants_are_utc_with_a_z() -> None:
    """An instant in any zone is written in UTC."""
    assert schemas.instant(NOON.astimezone(timezone(timedelta(hours=3)))) == "2026-03-01T12:00:00Z"
    assert schemas.instant(None) is None


def test_feed_shape() -> None:
    """A feed carries every key of the contract, and its own title where none is configured."""
    state = FeedState(
        id="tass",
        url="https://example.org/f",
        configured_url="https://example.org/f",
        title="TASS",
        validators=Validators(url="https://example.org/f", etag='"a"'),
    )
    shape = schemas.feed_json(FeedSummary(state=state, entries=3), Feed(url="https://example.org/f", tags=("news",)))
    contract = (
        "id url title tags state etag last_modified last_polled_at next_poll_at last_status failures last_error "
        "entries newest_at interval_s"
    )
    assert set(contract.split()) <= set(shape)
    assert (shape["title"], shape["tags"], shape["etag"], shape["state"]) == ("TASS", ["news"], '"a"', "new")


def test_hit_shape() -> None:
    """A hit carries its entry, its spans and who else told the story."""
    shape = schemas.hit_json(TOLD)
    assert {"id", "rule", "feed", "entry", "spans", "snippet", "story", "created_at", "state"} <= set(shape)
    assert shape["entry"] == {
        "id": 7,
        "title": "S-400 sold",
        "link": "https://example.org/1",
        "published_at": "2026-03-01T12:00:00Z",
    }
    assert shape["spans"] == [{"field": "title", "start": 0, "end": 5, "text": "S-400", "term": "S-400"}]
    assert shape["also_in"] == ["Defense News"]


def test_delivery_shapes() -> None:
    """A delivery carries its state, and in detail every try."""
    delivery = Delivery(id="d1", channel="desk", rules=("s400",), hits=("h1",), created_at=NOON, due_at=NOON)
    shape = schemas.delivery_detail_json(delivery, [Attempt(delivery="d1", number=1, started_at=NOON)], [TOLD])
    contract = "id channel rules hits state reason attempts due_at sent_at last_error title"
    assert set(contract.split()) <= set(shape)
    assert shape["attempt_history"][0]["number"] == 1
    assert shape["hit_details"][0]["id"] == "h1"


def test_rule_shape() -> None:
    """A rule is given in the YAML's own keys, with precision only where something was marked."""
    rule = RuleConfig.model_validate({"id": "s400", "any": ["S-400"], "in": ["title"], "max_age": "7d"})
    shape = schemas.rule_json(rule, RuleStats(rule="s400", relevant=3, irrelevant=1, days=(("2026-03-01", 4),)))
    assert shape["definition"]["any"] == ["S-400"]
    assert shape["definition"]["in"] == ["title"]
    assert shape["precision"] == 0.75
    assert shape["days"] == [{"day": "2026-03-01", "hits": 4}]
    assert schemas.rule_json(rule)["precision"] is None


def test_status_is_not_ok_when_a_loop_is_late() -> None:
    """One late loop turns the whole status."""
    loops = (
        LoopStatus(name="poll", last_at=NOON, timeout_s=30),
        LoopStatus(name="deliver", last_at=None, timeout_s=30, late=True),
    )
    stats = Stats(feeds=1, entries=2, hits=3, deliveries=4, bytes=5)
    shape = schemas.status_json(Status(version="1", now_at=NOON, loops=loops, stats=stats))
    assert shape["ok"] is False
    assert [loop["ok"] for loop in shape["loops"]] == [True, False]
    assert shape["stats"] == {"feeds": 1, "entries": 2, "hits": 3, "deliveries": 4, "bytes": 5}


def test_every_shape_is_plain_json() -> None:
    """Each shape survives a round through JSON unchanged."""
    story = Story(id="s", title="t", fingerprint=Fingerprint(facts=frozenset({"x"})), first_at=NOON, last_at=NOON)
    silence = Silence(rule="s400", until_at=NOON, created_at=NOON)
    for shape in (
        schemas.entry_json(ENTRY),
        schemas.story_json(story, [TOLD]),
        schemas.silence_json(silence),
        schemas.match_json("s400", [SPAN]),
    ):
        assert json.loads(json.dumps(shape)) == shape
    assert "content" not in schemas.entry_json(ENTRY, text=False)
