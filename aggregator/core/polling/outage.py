"""Detection of local network or database outages, during which no feed is blamed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from aggregator.core.errors import AggregatorError, Unreachable
from aggregator.core.model import FeedState
from aggregator.core.polling.intervals import jittered

WINDOW = timedelta(minutes=1)
MIN_HOSTS = 4
UNDECIDED_FOR = timedelta(seconds=5)
PROBE_S = 60.0
FIRST_STORE_PROBE_S, STORE_PROBE_S = 5.0, 45.0  # with the jitter still within a minute


class Reachability(Struct, frozen=True, kw_only=True):
    """The outcome of one poll for its host: reached or not (its answer does not matter)."""

    at: datetime
    host: str
    connected: bool


def reachability(host: str, error: AggregatorError | None, now: datetime) -> Reachability:
    """Return the outcome of a poll of `host` that ended with `error`, or without."""
    cut_off = isinstance(error, Unreachable) and not error.connected
    return Reachability(at=now, host=host, connected=not cut_off)


def recent_outcomes(outcomes: Sequence[Reachability], now: datetime) -> tuple[Reachability, ...]:
    """Return the outcomes of the last minute."""
    return tuple(outcome for outcome in outcomes if now - outcome.at <= WINDOW)


def undecided(asked_at: Mapping[str, datetime], now: datetime) -> frozenset[str]:
    """Return the hosts that were asked so recently that their silence means nothing yet."""
    return frozenset(host for host, at in asked_at.items() if now - at < UNDECIDED_FOR)


def network_is_down(outcomes: Sequence[Reachability], now: datetime, undecided: Collection[str] = ()) -> bool:
    """Tell whether more than half of the distinct hosts polled in the last minute could not be reached.

    A host's latest outcome counts. Of fewer than four hosts nothing is concluded. `undecided` hosts
    count as reachable: just after a start the first to fail are the dead ones, which fail at once.
    """
    latest = {
        outcome.host: outcome.connected for outcome in sorted(recent_outcomes(outcomes, now), key=lambda seen: seen.at)
    }
    lost = sum(not connected for connected in latest.values())
    asked = len(latest.keys() | undecided)
    return len(latest) >= MIN_HOSTS and lost * 2 > asked


def store_probe_s(faults: int) -> float:
    """Return the seconds until the next poll of a feed whose last `faults` polls the database did not take."""
    return min(FIRST_STORE_PROBE_S * 2.0 ** min(faults - 1, 10), STORE_PROBE_S)


def postpone(state: FeedState, now: datetime, pause_s: float = PROBE_S) -> FeedState:
    """Return a feed's state after a local outage: polled again soon, no error counted."""
    return replace(state, next_poll_at=now + timedelta(seconds=pause_s * jittered(state.id, now)))
