"""Permanent redirects: when they are believed."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from aggregator.core.model import FeedState
from aggregator.core.polling.redirects import follow, permanent_target

NOW = datetime(2026, 1, 5, tzinfo=UTC)
A, B, C, D = (f"http://{name}.example/" for name in "abcd")
STATE = FeedState(id="f", url=A, configured_url=A)


@pytest.mark.parametrize(
    ("hops", "final", "target"),
    [
        ((), A, None),
        (((301, A),), B, B),
        (((308, A), (301, B)), C, C),
        (((302, A),), B, None),
        (((302, A), (301, B)), C, None),
        (((301, A), (302, B)), C, B),
        (((301, A), (308, B), (307, C)), D, C),
    ],
)
def test_permanent_target(hops: tuple[tuple[int, str], ...], final: str, target: str | None) -> None:
    """Only an unbroken row of permanent redirects from the start leads anywhere."""
    assert permanent_target(hops, final) == target


def repeat(times: int, every: timedelta, final: str = B) -> FeedState:
    state = STATE
    for n in range(times):
        state = replace(
            state, **follow(state, ((301, state.url),) if state.url != final else (), final, NOW + n * every)._asdict()
        )
    return state


def test_confirmed() -> None:
    """Three confirmations over a day make a move; fewer, or faster, do not."""
    assert repeat(3, timedelta(hours=12)).url == B
    assert repeat(2, timedelta(days=9)).url == A
    assert repeat(90, timedelta(minutes=15)).url == A
    assert repeat(98, timedelta(minutes=15)).url == B


def test_another_target_starts_anew() -> None:
    """A target that changes, or a redirect that goes away, is forgotten."""
    state = replace(repeat(2, timedelta(days=1)))
    other = follow(state, ((301, A),), C, NOW + timedelta(days=2))
    assert (other.url, other.move_url, other.move_count) == (A, C, 1)
    assert follow(state, (), A, NOW + timedelta(days=2)) == (A, None, 0, None)


def test_after_the_move() -> None:
    """Once moved, nothing is left to confirm."""
    state = repeat(4, timedelta(hours=12))
    assert (state.url, state.move_url, state.move_count, state.move_since) == (B, None, 0, None)
