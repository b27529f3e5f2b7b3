"""When it is our own network that is down: then no feed is to blame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aggregator.core.errors import AggregatorError, Unreachable
from aggregator.core.model import FeedState
from aggregator.core.polling.pace import spread

WINDOW = timedelta(minutes=1)
FEWEST_HOSTS = 4
PROBE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Whether one poll got through to its host (what the host answered does not matter)."""

    at: datetime
    host: str
    connected: bool


def outcome(host: str, error: AggregatorError | None, now: datetime) -> Outcome:
    """The outcome of a poll of `host` that ended with `error`, or well."""
    cut_off = isinstance(error, Unreachable) and not error.connected
    return Outcome(at=now, host=host, connected=not cut_off)


def recent(outcomes: Sequence[Outcome], now: datetime) -> tuple[Outcome, ...]:
    """Those of the last minute."""
    return tuple(outcome for outcome in outcomes if now - outcome.at <= WINDOW)


def network_is_down(outcomes: Sequence[Outcome], now: datetime) -> bool:
    """Whether more than half of the distinct hosts polled in the last minute could not be reached.

    A host's latest outcome counts. Of fewer than four hosts nothing is concluded.
    """
    latest = {outcome.host: outcome.connected for outcome in sorted(recent(outcomes, now), key=lambda seen: seen.at)}
    lost = sum(not connected for connected in latest.values())
    return len(latest) >= FEWEST_HOSTS and lost * 2 > len(latest)


def postponed(state: FeedState, now: datetime) -> FeedState:
    """The feed's state when the network was down: probed again soon, no error counted."""
    return replace(state, next_poll_at=now + timedelta(seconds=PROBE_S * spread(state.id, now)))
