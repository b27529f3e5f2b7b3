"""When the network is down, no feed is to blame."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from aggregator.core.errors import BadStatus, Unreachable
from aggregator.core.model import FeedState
from aggregator.core.polling.outage import Reachability, network_is_down, postpone, reachability

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def outcomes(lost: int, reached: int, age_s: float = 0) -> list[Reachability]:
    at = NOW - timedelta(seconds=age_s)
    return [Reachability(at=at, host=f"h{n}", connected=n >= lost) for n in range(lost + reached)]


def test_more_than_half() -> None:
    """The network is down when more than half of the hosts of the last minute could not be reached."""
    assert network_is_down(outcomes(3, 2), NOW)
    assert not network_is_down(outcomes(2, 2), NOW)
    assert not network_is_down(outcomes(3, 2, age_s=61), NOW)


def test_few_hosts_prove_nothing() -> None:
    """Of three hosts nothing is concluded, however often they fail."""
    assert not network_is_down(outcomes(3, 0) * 10, NOW)


def test_latest_outcome_counts() -> None:
    """A host that came back is counted as back."""
    earlier = outcomes(5, 0, age_s=30)
    assert network_is_down(earlier, NOW)
    assert not network_is_down([*outcomes(0, 5), *earlier], NOW)


def test_what_is_an_outage() -> None:
    """Only a failed connection counts; a refusal in HTTP is an answer."""
    assert not reachability("h", Unreachable("x", url="u"), NOW).connected
    assert reachability("h", Unreachable("x", url="u", connected=True), NOW).connected
    assert reachability("h", BadStatus("x", status=500, url="u"), NOW).connected
    assert reachability("h", None, NOW).connected


def test_postponed() -> None:
    """A feed hit by an outage is probed within minutes, and nothing is held against it."""
    state = FeedState(id="f", url="u", configured_url="u", failures=1, last_error="x")
    after = postpone(state, NOW)
    assert after.next_poll_at is not None
    assert timedelta(seconds=60) <= after.next_poll_at - NOW <= timedelta(seconds=66)
    assert replace(after, next_poll_at=None) == state
