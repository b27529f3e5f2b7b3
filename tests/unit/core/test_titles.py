"""Outcomes of hits and reasons of deliveries, in the words that people read."""

from collections import Counter

import pytest

from aggregator.core.model import (
    UPDATE_TO,
    Because,
    DeliveryState,
    HitDelivery,
    HitDetail,
    HitState,
    JoinKind,
    NearMiss,
)
from aggregator.core.titles import delivery_reason, hit_outcome, reason_of_alert, reasons, retold
from tests.support.records import entry, hit


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (HitState.ALERTED, "", "alerted"),
        (HitState.ALERTED, "first mention in 30 d", "alerted: first mention in 30 d"),
        (HitState.COLLAPSED, "story already alerted", "duplicate of an alerted story"),
        (HitState.HELD, "baseline", "not alerted: already there at first poll"),
        (HitState.HELD, "alias", "not alerted: same entry under another id"),
        (HitState.HELD, "flood", "alerted in a digest: too many at once"),
        (HitState.HELD, "2 of 5 hits from 1 of 1 feeds in 6 h", "not alerted: 2 of 5 hits from 1 of 1 feeds in 6 h"),
        (HitState.SUPPRESSED, "silenced: parade day", "not alerted: silenced: parade day"),
        (HitState.SUPPRESSED, "", "not alerted"),
    ],
)
def test_an_outcome_needs_no_glossary(state: HitState, reason: str, words: str) -> None:
    """The engine's words stay in JSON; people read what happened."""
    assert hit_outcome(hit(state=state, reason=reason)) == words


def test_a_reason_without_words_of_its_own_is_shown_as_it_is() -> None:
    """Settings keep their names; sentences pass through."""
    assert delivery_reason("max_per_hour") == "rate limit (max_per_hour)"
    assert delivery_reason("given up after 72 h") == "given up after 72 h"


def test_what_became_of_hits_on_known_stories_is_counted_by_treatment() -> None:
    """Copies, folds and updates; nothing else."""
    states = [
        (HitState.ALERTED, ""),
        (HitState.ALERTED, "also matches S-400"),
        (HitState.ALERTED, f"{UPDATE_TO}Strike in Lyon"),
        (HitState.ALERTED, f"{UPDATE_TO}Storm in Bergen"),
        (HitState.COLLAPSED, ""),
        (HitState.FOLDED, ""),
        (HitState.HELD, "baseline"),
    ]
    hits = (hit(str(n), state=state, reason=reason) for n, (state, reason) in enumerate(states))
    assert retold(Counter(map(hit_outcome, hits))) == {"copy": 1, "folded": 1, "update": 2}


def test_an_alert_says_what_its_story_nearly_was() -> None:
    """A first alert has its near misses beside its reason, an update the reason of the join, a digest neither."""
    missed = Because(misses=(NearMiss(story="s2", title="Quake", feed="wire", reason="numbers differ (5.1 / 4.6)"),))
    joined = Because(kind=JoinKind.FOLLOW_UP, title="Quake", feed="wire", words=("quake", "van", "coast"), hours=2.0)
    first, update, other = (
        HitDetail(hit=hit(name, story=name, because=because), entry=entry(), rule_title="R", feed_title="Wire")
        for name, because in (("s1", missed), ("s2", joined), ("s3", None))
    )
    why = "first mention in 30 d; not joined: numbers differ (5.1 / 4.6) (“Quake”, wire)"
    assert reason_of_alert("first mention in 30 d", [first], update=False) == why
    assert reason_of_alert("update to: Quake", [update], update=True).startswith("update to “Quake” (wire): quake")
    assert reason_of_alert("3 feeds carry this story now", [update], update=True).startswith("3 feeds carry")
    assert reason_of_alert("", [other], update=False) == ""
    assert reason_of_alert("daily", [first, update], update=False) == "daily"


def test_a_reason_says_where_the_story_was_alerted() -> None:
    """A channel that one alert reached was reached, whatever became of others; a withdrawn one counts for nothing."""
    states = [
        ("mail", DeliveryState.DEAD), ("mail", DeliveryState.SENT), ("chat", DeliveryState.SENT),
        ("push", DeliveryState.HELD), ("pager", DeliveryState.DEAD), ("hook", DeliveryState.SUPPRESSED),
    ]  # fmt: skip
    alerts = [HitDelivery(id=str(n), channel=channel, state=state) for n, (channel, state) in enumerate(states)]
    because = Because(kind=JoinKind.RETELLING, title="T", feed="wire", words=("a", "b", "c"), hours=2.0)
    (line,) = reasons(because, earlier_alerts=alerts)
    assert line == (
        "same event as “T” (wire): a, b, c · 2.0 h apart"
        " · alerted on mail, chat · alert waits for push · alert failed on pager"
    )
    assert reasons(because)[0].endswith("2.0 h apart")
