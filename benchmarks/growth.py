"""What a poll, a claim, a search, a page and pruning cost with 10⁵, 10⁶ and 10⁷ stored entries, side by side.

    python -m benchmarks.growth --folder DIR [--sizes 100000 1000000 10000000] [--postgres] [--json FILE]

Databases are made in DIR (12 GB for 10⁷) and used again; `growth_data.py` says what is in them. They are measured in
turn, round by round, and the least of the rounds counts: CPU of this process, and of PostgreSQL's, which hold all that
depends on the database (documents are handed over by a stand-in, not fetched). The last column is the largest size
against the smallest.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import yaml
from starlette.types import ASGIApp

from aggregator.app.application import Application, open_application
from aggregator.app.backend import AppBackend
from aggregator.config import load
from aggregator.core.model import FeedState, Fetched, NotModified
from aggregator.core.settings import Feed
from aggregator.pipeline.ingest import Ingestor
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.polled import PolledFeed
from aggregator.web import create_app
from benchmarks.archive import WORDS, Size, feed_id, write_config
from benchmarks.growth_data import NAMES, Growth, grow, word
from benchmarks.pages import addresses, ask
from tests.support.cluster import OwnPostgres
from tests.support.inline_parser import inline_parser

FEEDS, POLLED, NEW = 1_000, 200, 100
LISTED = 20  # entries of a document
ROUNDS = 6
PRUNED = 500
IDS = re.compile(r"[0-9a-f]{16,}|story\d+|(?<=entries/)\d+")  # which differ from size to size
SEARCHES = (
    ("rare word", {"q": "zanzibar"}),
    ("frequent word", {"q": "minister"}),
    ("two frequent words", {"q": "minister AND sanctions"}),
    ("phrase", {"q": '"missile summit"'}),
    ("frequent, last day", {"q": "minister", "since": "24h"}),
    ("nothing", {"q": "zebra"}),
    ("frequent words, nothing", {"q": "minister AND zebra"}),
    ("expression", {"q": "/ze+bra/"}),
)


class Publisher:
    """Hands over documents as a fetcher would: all unchanged, or with one entry more each time."""

    def __init__(self) -> None:
        self.changes = False
        self._draw = random.Random(7)
        self._listed: dict[str, list[str]] = {}
        self._count = 0

    async def fetch(self, feed: Feed, state: FeedState) -> Fetched | NotModified:
        if not self.changes:
            return NotModified(url=state.url)
        listed = self._listed.setdefault(feed.id, [self._item(feed.id) for _ in range(LISTED)])
        listed[:] = [self._item(feed.id), *listed[:-1]]
        body = f"<rss version='2.0'><channel><title>{feed.id}</title>{''.join(listed)}</channel></rss>"
        return Fetched(url=state.url, status=200, body=body.encode(), content_type="application/rss+xml")

    def _item(self, feed: str) -> str:
        """An entry with one word that a rule looks for."""
        self._count += 1
        said = [word(self._draw.randrange(NAMES)) for _ in range(40)]
        title = " ".join([self._draw.choice(WORDS), *said[:7]]).capitalize()
        link = f"https://{feed}.example/new/{self._count}"
        date = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} GMT"
        return (
            f"<item><title>{title}</title><link>{link}</link><guid>{link}</guid><pubDate>{date}</pubDate>"
            f"<description>{' '.join(said[7:])}.</description></item>"
        )


@dataclass(slots=True, kw_only=True)
class Installation:
    """One size: an open application, what it serves, and what was measured, in milliseconds."""

    entries: int
    app: Application
    site: ASGIApp
    publisher: Publisher
    poller: Poller
    pages: Mapping[str, str]
    server_s: Callable[[], float]
    least: dict[str, float] = field(default_factory=dict)

    async def measure(self, name: str, count: int, work: Callable[[], Awaitable[object]]) -> None:
        """Keep the least that one of `count` took."""
        began = time.process_time() + self.server_s()
        await work()
        took_ms = (time.process_time() + self.server_s() - began) * 1e3 / count
        self.least[name] = min(took_ms, self.least.get(name, took_ms))

    async def round(self) -> None:
        """Do everything once."""
        feeds, now = self.app.store.feeds, self.app.clock.now()
        names = [feed_id(n) for n in range(POLLED)]

        async def claim() -> None:
            for start in range(0, POLLED, NEW):
                chosen = names[start : start + NEW]
                claimed = await feeds.claim_due(now, owner="bench", lease_s=60, limit=NEW, ids=chosen, force=True)
                assert len(claimed) == NEW
                await feeds.release(chosen, owner="bench")

        async def claim_nothing() -> None:
            for _ in range(20):
                await feeds.claim_due(now - timedelta(days=1), owner="bench", lease_s=60, limit=NEW, per_host=2)

        done: list[PolledFeed] = []
        await self.measure("claim, per feed", POLLED, claim)
        await self.measure("claim of nothing", 20, claim_nothing)
        self.publisher.changes = False
        await self.measure("poll, unchanged", POLLED, lambda: self.poller.once(names, force=True, done=done.append))
        self.publisher.changes = True
        new = names[:NEW]
        await self.measure("poll, one new entry", NEW, lambda: self.poller.once(new, force=True, done=done.append))
        assert all(one.error is None for one in done), done[0].error
        await self.measure("full-text index, per entry", NEW, lambda: self.app.store.maintenance.index_text())
        for name, asked in SEARCHES:
            await self.measure(f"search: {name}", 1, partial(ask, self.site, f"/search?{urlencode(asked)}"))
        for name, page in self.pages.items():
            await self.measure(name, 1, partial(ask, self.site, page))

    async def prune(self) -> None:
        """Remove the oldest few, once: it takes what the other sizes keep."""
        found = await self.app.store.catalog.entries(limit=1, by="recorded")
        oldest = found[0].seen_at - timedelta(microseconds=6_307_200) * (self.entries - PRUNED)
        age_s = (self.app.clock.now() - oldest).total_seconds()
        maintenance, now = self.app.store.maintenance, self.app.clock.now()
        for name in ("prune of 500 entries, in all", "prune of nothing, in all"):
            await self.measure(name, 1, lambda: maintenance.prune(now, entries_s=age_s, content_s=90 * 86400))


@asynccontextmanager
async def installed(folder: Path, entries: int, server: OwnPostgres | None) -> AsyncIterator[Installation]:
    """Open the installation of a size, made first where it is not there."""
    size = Size(entries=entries, feeds=FEEDS, rules=40)
    write_config(folder, size)
    url, made = f"sqlite:///{folder}/full.db", (folder / "made").exists()
    if server:
        url, made = server.create(f"growth{entries}"), False
        (folder / "settings.yaml").write_text(
            yaml.safe_dump({"settings": {"database": url, "default_channels": ["desk"]}})
        )
    elif not made:
        (folder / "full.db").unlink(missing_ok=True)
    if not made:
        async with open_application(load(folder, {})) as app:
            await app.store.feeds.sync(app.loaded.config.feeds, app.clock.now())
        began = time.perf_counter()
        grow(url, Growth(entries=entries, feeds=FEEDS, now=datetime.now(UTC)))
        print(f"{entries:,} entries made in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        (folder / "made").touch()
    async with open_application(load(folder, {})) as app:
        publisher = Publisher()
        ingestor = Ingestor(app.context, feeds=app.store.feeds, fetcher=publisher, parser=inline_parser())
        yield Installation(
            entries=entries,
            app=app,
            site=create_app(AppBackend(app, folder)),
            publisher=publisher,
            poller=Poller(app.context, ingestor, app.store.feeds),
            pages={
                IDS.sub("…", path): path
                for path in await addresses(app.store.catalog)
                if not path.startswith("/search") and "export" not in path
            },
            server_s=server.cpu_s if server else float,
        )


async def run(folder: Path, sizes: Sequence[int], server: OwnPostgres | None) -> list[Installation]:
    async with AsyncExitStack() as stack:
        all_sizes = []
        for entries in sizes:
            place = folder / f"{'postgres' if server else 'sqlite'}-{entries}"
            all_sizes.append(await stack.enter_async_context(installed(place, entries, server)))
        for number in range(ROUNDS + 1):
            for one in all_sizes:
                await one.round()
                if not number:  # templates, statements and the index of rules are made in the first round
                    one.least.clear()
            print(f"round {number} of {ROUNDS}", file=sys.stderr, flush=True)
        for one in all_sizes:
            await one.prune()
        return all_sizes


def show(all_sizes: Sequence[Installation]) -> None:
    print(f"{'CPU ms':50}", *(f"{one.entries:>12,}" for one in all_sizes), f"{'growth':>9}")
    for name, first in all_sizes[0].least.items():
        taken = [one.least.get(name, 0.0) for one in all_sizes]
        print(f"{name:50}", *(f"{ms:>12.3f}" for ms in taken), f"{taken[-1] / max(first, 1e-9):>9.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--postgres", action="store_true", help="on a server of its own, which goes again")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    server = OwnPostgres() if given.postgres else None
    try:
        all_sizes = asyncio.run(run(given.folder, given.sizes, server))
    finally:
        if server:
            server.close()
    show(all_sizes)
    if given.json:
        given.json.write_text(json.dumps({one.entries: one.least for one in all_sizes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
