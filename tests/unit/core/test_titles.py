"""Outcomes of hits and reasons of deliveries, in the words that people read."""

import pytest

from aggregator.core.model import HitState
from aggregator.core.titles import delivery_reason, hit_outcome
from tests.support.records import hit


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
