"""Threshold, spike, first mention, and lessons from marks."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aggregator.core.model import RuleHistory
from aggregator.core.rules import compile_rule, fires, propose
from aggregator.core.rules.triggers import lookback_s
from aggregator.core.settings import RuleConfig

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def config(**keys: Any) -> RuleConfig:
    """A rule with conditions."""
    return RuleConfig.model_validate({"id": "r", "any": ["S-400"], **keys})


def history(*hours_ago: float, feeds: str = "abcdefgh", alerted: float | None = None) -> RuleHistory:
    """Hits so many hours ago, oldest first, each from the next feed."""
    hits = tuple((NOW - timedelta(hours=ago), feeds[n % len(feeds)], f"h{n}") for n, ago in enumerate(hours_ago))
    last = None if alerted is None else NOW - timedelta(hours=alerted)
    return RuleHistory(rule="r", hits=hits, last_alert_at=last)


def test_without_conditions_every_hit_fires() -> None:
    """No threshold, no waiting."""
    assert fires(config(), history(0), NOW).fires
    assert lookback_s(config()) == 0


def test_threshold_counts_hits_and_feeds_in_its_window() -> None:
    """Enough hits, from enough feeds, young enough; the alert lists what made it."""
    wanted = config(threshold={"hits": 3, "within": "6h", "sources": 2})
    verdict = fires(wanted, history(9, 5, 1, 0), NOW)
    assert verdict.fires
    assert verdict.hits == ("h1", "h2", "h3")
    assert not fires(wanted, history(9, 8, 1, 0), NOW).fires
    assert not fires(wanted, history(3, 2, 1, 0, feeds="a"), NOW).fires
    assert "2 of 3 hits" in fires(wanted, history(1, 0), NOW).reason


def test_a_threshold_starts_again_after_its_alert() -> None:
    """Hits that were told do not count towards the next alert."""
    wanted = config(threshold={"hits": 2, "within": "6h"})
    assert not fires(wanted, history(2, 1, 0, alerted=1), NOW).fires
    assert fires(wanted, history(2, 1, 0.5, 0, alerted=1), NOW).fires


def test_a_spike_is_measured_against_the_usual() -> None:
    """Three times the usual is a spike; three hits of a rule that often has three are not."""
    wanted = config(spike={"factor": 3, "within": "6h"})
    assert fires(wanted, history(2, 1, 0), NOW).fires
    assert not fires(wanted, history(1, 0), NOW).fires
    busy = [float(h) for h in range(160, 6, -2)]
    assert not fires(wanted, history(*busy, 4, 2, 0), NOW).fires
    assert fires(wanted, history(*busy, 5, 4.5, 4, 3.5, 3, 2.5, 2, 1.5, 1, 0), NOW).fires
    assert not fires(wanted, history(2, 1, 0, alerted=1), NOW).fires


def test_first_mention_fires_once() -> None:
    """The first hit in 90 days, and the next not."""
    wanted = config(first_in="90d")
    assert fires(wanted, history(0), NOW).hits == ("h0",)
    assert fires(wanted, history(91 * 24, 0), NOW).fires
    assert not fires(wanted, history(5, 0), NOW).fires
    assert lookback_s(wanted) == 90 * 86400


def test_marks_propose_exclusions_with_their_counts() -> None:
    """Words of irrelevant hits that relevant ones do not have; never the rule's own words."""
    rule = compile_rule(config(), {})
    relevant = [f"Turkey takes S-400 number {n}, ministers insisted" for n in range(10)]
    irrelevant = [f"The S-400 museum opens hall {n} after the holiday, which ministers praised" for n in range(10)]
    best = propose(rule, relevant, irrelevant, limit=20)
    assert "museum" in [proposal.term for proposal in best]
    assert best[0].why == "in 10 of 10 irrelevant hits and 0 of 10 relevant ones"
    assert not {"s", "400", "the", "after", "which", "ministers"} & {proposal.term.lower() for proposal in best}
    assert propose(rule, relevant, irrelevant[:9]) == propose(rule, relevant[:9], irrelevant) == ()


def test_no_word_that_many_entries_have_is_proposed() -> None:
    """What is common in the stored entries says nothing about a subject, in any language."""
    rule = compile_rule(config(), {})
    relevant, irrelevant = ["Turkey takes the S-400"] * 10, ["Museum S-400 ndiyo sana"] * 10
    common = {"sana": 30, "ndiyo": 2, "museum": 3}
    found = propose(rule, relevant, irrelevant, frequencies=common, entries=1000)
    assert [proposal.term for proposal in found] == ["Museum", "ndiyo"]
    few = propose(rule, relevant, irrelevant, frequencies=common, entries=50)  # of which each is one of many
    assert "sana" in [proposal.term for proposal in few]
