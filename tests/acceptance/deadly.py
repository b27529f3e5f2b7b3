"""The real program with a fatal input: an entry or an alert that says BOMB kills the process that works on it.

    python -m tests.acceptance.deadly run --config CONFIG

What a document does to the machine (memory, time) is not the point here, but that the process dies
without a word. Rests after deaths of alerts are short, so that a test sees their end; the rest of a feed after its
third death is long, so that none does.
"""

import os
import signal
import sys
from typing import Any

import aggregator.core.delivery.retry
import aggregator.core.polling.schedule
import aggregator.notify.apprise_notifier
import aggregator.pipeline.ingest_entries
import aggregator.pipeline.matching
from aggregator.cli import main

_match_all = aggregator.pipeline.matching.match_all
_send = aggregator.notify.apprise_notifier.AppriseNotifier.send


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _deadly_match(active: Any, feed: Any, entries: Any, now: Any) -> Any:
    if any("BOMB in a document" in entry.title for entry in entries):
        _die()
    return await _match_all(active, feed, entries, now)


async def _deadly_send(self: Any, channel: Any, alert: Any, *, recipient: str = "") -> Any:
    if "BOMB in an alert" in alert.title and channel.name == "desk":
        _die()
    return await _send(self, channel, alert, recipient=recipient)


if __name__ == "__main__":
    aggregator.core.delivery.retry.FIRST_RETRY_S = 1.0
    aggregator.core.polling.schedule.REST_FACTOR = 1000.0
    vars(aggregator.pipeline.ingest_entries)["match_all"] = _deadly_match  # where polls look it up
    aggregator.notify.apprise_notifier.AppriseNotifier.send = _deadly_send  # type: ignore[method-assign]
    sys.argv[0] = "aggregator"
    main()
