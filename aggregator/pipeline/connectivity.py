"""Detection of local outages from the polls of the last minute. An outage is logged once, and so is its end."""

import logging
from collections import deque
from datetime import datetime

from aggregator.core.errors import AggregatorError
from aggregator.core.polling import outage
from aggregator.ports import Clock

log = logging.getLogger(__name__)


class OutageDetector:
    """Gathers how polls ended, and which are under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._outcomes: deque[outage.Reachability] = deque(maxlen=2000)
        self._asked_at: dict[str, datetime] = {}
        self._down_since: datetime | None = None

    def begin(self, host: str) -> None:
        """Note that a host is being asked, so that nothing is concluded from its silence yet."""
        self._asked_at.setdefault(host, self._clock.now())

    def end(self, host: str) -> None:
        """Note that a host was asked."""
        self._asked_at.pop(host, None)

    def record_outcome(self, host: str, error: AggregatorError | None) -> bool:
        """Count how a poll of `host` ended; tell whether that was the fault of our own network."""
        now = self._clock.now()
        outcome = outage.reachability(host, error, now)
        self._outcomes.append(outcome)
        if outcome.connected and self._down_since is None:
            return False
        down = outage.network_is_down(tuple(self._outcomes), now, outage.undecided(self._asked_at, now))
        self._tell(now, down=down)
        return down and not outcome.connected

    def _tell(self, now: datetime, *, down: bool) -> None:
        if down and self._down_since is None:
            self._down_since = now
            log.warning("most hosts are unreachable: the local network is down; not counting errors until it is back")
        elif not down and self._down_since is not None:
            log.warning("hosts are reachable again after %.0f s", (now - self._down_since).total_seconds())
            self._down_since = None
