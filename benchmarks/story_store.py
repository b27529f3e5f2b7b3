"""What a hit costs with a real database: describing it, and committing the poll that brought it, to SQLite.

    python -m benchmarks.story_store [--recent 1000,10000,100000]

The entries are those of `story_stream`, the steps those of pipeline/ingest.py: describe, ask, route and write in one
transaction. Entry, hit, story, report, keys and delivery are rows; fetching, parsing and matching are left out.
"""

import argparse
import asyncio
import gc
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

from aggregator.core import events
from aggregator.core.model import Entry, FeedState, PollResult, Vocabulary
from aggregator.core.routing import describe
from aggregator.core.settings import Feed
from aggregator.store import Store, open_store
from benchmarks.story_stream import START, hits_of, invented, stream

FEEDS = 300
FIRST = 500  # entries of a poll of those that are known before anything is measured
OWNER, LEASE_S = "benchmark", 1e9


async def milliseconds_per_poll(recent: int, measured: int = 100) -> dict[str, float]:
    """Return the processor time of a poll with one hit when `recent` entries are known: all, and of it describing."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'stories.db'}"
        async with open_store(url, index_text=lambda entry: entry.title.lower()) as store:
            await store.maintenance.upgrade()
            feeds = [Feed.model_validate({"id": f"feed-{n}", "url": f"https://news.example/{n}"}) for n in range(FEEDS)]
            await store.feeds.sync(feeds, START)
            claimed = await store.feeds.claim_due(START, owner=OWNER, lease_s=LEASE_S, limit=FEEDS, force=True)
            polls = _Polls(store, {state.id: state for state in claimed})
            for n in range(0, recent, FIRST):
                await polls.add(*(invented(i) for i in range(n, min(n + FIRST, recent))))
            gc.freeze()
            gc.set_threshold(25_000, 20, 50)
            began, polls.describing_s = process_time(), 0.0
            for n in range(recent, recent + measured):
                await polls.add(invented(n))
            whole_s = process_time() - began
            gc.unfreeze()
    return {name: round(1000 * s / measured, 2) for name, s in (("all", whole_s), ("describing", polls.describing_s))}


class _Polls:
    """Polls of one feed after the other, committed to a store by a router with one rule."""

    def __init__(self, store: Store, states: dict[str, FeedState]) -> None:
        self._store, self._states = store, states
        self._router, self._model = stream().router, events.FrequencyModel()
        self.describing_s = 0.0

    async def add(self, *entries: Entry) -> None:
        now = max(entry.seen_at for entry in entries)
        hits = hits_of(entries, now)
        frequencies = self._model.frozen()
        began = process_time()
        reports = describe(entries, hits, now, Vocabulary(frequencies))
        frequencies = events.with_poll(frequencies, [*reports.values()])
        question = self._router.query(hits, entries, now, reports, frequencies)
        self.describing_s += process_time() - began
        route = partial(
            self._router.route, hits, entries, now, reports=reports, frequencies=frequencies, question=question
        )
        # An unfinished poll keeps its lease.
        poll = PollResult(state=self._states[entries[0].feed], entries=entries, hits=tuple(hits), unfinished=True)
        await self._store.feeds.commit(poll, owner=OWNER, question=question, route=route)
        self._model.add(report.features for report in reports.values())


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recent", default="1000", help="numbers of entries that are known before")
    for recent in map(int, parser.parse_args().recent.split(",")):
        found = asyncio.run(milliseconds_per_poll(recent))
        print(f"{recent} recent entries: " + ", ".join(f"{name} {value} ms" for name, value in found.items()))


if __name__ == "__main__":
    main()
