"""The cost of the store, against the usual way (an ORM session and a commit for each feed) in the same run.

    python benchmarks/store.py [--feeds 1000] [--entries 35] [--database URL]

Figures are CPU microseconds of the whole process and wall seconds; ratios are what to compare, on
any machine. Prints a table, and JSON with --json.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, registry

from aggregator.core.model import Entry, FeedState, Health, PollResult
from aggregator.core.settings import Feed
from aggregator.store import Store, open_store
from aggregator.store.schema import entries as entries_table
from aggregator.store.schema import feeds as feeds_table
from aggregator.store.schema import metadata

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt. " * 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that was measured: `count` of a `unit`."""

    name: str
    unit: str
    count: int
    cpu_s: float
    wall_s: float
    transactions: int | None = None

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.count * 1e6


async def measure(name: str, unit: str, count: int, work: Callable[[], Awaitable[int | None]]) -> Figure:
    wall, cpu = time.perf_counter(), time.process_time()
    transactions = await work()
    return Figure(
        name=name,
        unit=unit,
        count=count,
        cpu_s=time.process_time() - cpu,
        wall_s=time.perf_counter() - wall,
        transactions=transactions,
    )


def make_entry(feed: str, number: int) -> Entry:
    return Entry(
        feed=feed,
        key=f"{feed}-{number:08x}-key",
        aliases=(f"{feed}-{number:08x}-link", f"{feed}-{number:08x}-text"),
        guid=f"https://example.org/{feed}/{number}",
        link=f"https://example.org/{feed}/{number}",
        title=f"A title of usual length about things number {number}",
        summary=TEXT[:300],
        content=TEXT,
        author="Someone",
        categories=("news", "world"),
        published_at=NOW,
        seen_at=NOW,
        content_hash=number.to_bytes(16),
    )


class Bench:
    """The phases of a service's day, on one database."""

    def __init__(self, store: Store, feeds: int, entries: int) -> None:
        self.store, self.count, self.entries = store, feeds, entries
        self.names = [f"feed{n:05}" for n in range(feeds)]
        self.round = 0

    def transactions(self) -> int:
        return int(self.store.feeds._writer.transactions)  # type: ignore[attr-defined]

    async def claim(self) -> list[FeedState]:
        self.round += 1
        at, claimed = NOW + self.round * timedelta(hours=2), list[FeedState]()
        while batch := await self.store.feeds.claim_due(at, owner="bench", lease_s=600, limit=200):
            claimed += batch
        return claimed

    async def commit(self, states: list[FeedState], entries: Callable[[str], tuple[Entry, ...]]) -> int:
        """As the service does it: 128 polls in flight."""
        before, fixture = self.transactions(), asyncio.Semaphore(128)
        later = NOW + self.round * timedelta(hours=2) + timedelta(hours=1)

        async def one(state: FeedState) -> None:
            async with fixture:
                after = replace(state, health=Health.OK, last_polled_at=NOW, next_poll_at=later)
                await self.store.feeds.commit(PollResult(state=after, entries=entries(state.id)), owner="bench")

        await asyncio.gather(*map(one, states))
        return self.transactions() - before

    async def run(self) -> list[Figure]:
        figures: list[Figure] = []
        await self.store.feeds.sync([Feed(id=name, url=f"https://{name}.example/f") for name in self.names], NOW)
        made = {name: tuple(make_entry(name, n) for n in range(self.entries)) for name in self.names}
        states: list[FeedState] = []

        async def claim() -> None:
            states[:] = await self.claim()

        async def known() -> None:
            for name in self.names[:200]:
                keys, aliases = [e.key for e in made[name]], [a for e in made[name] for a in e.aliases]
                await self.store.feeds.known(name, keys, aliases)

        async def index() -> None:
            while await self.store.maintenance.index_text(1000):
                pass

        async def search() -> None:
            for _ in range(50):
                await self.store.catalog.search([["lorem"], ["number 7"]], limit=50)

        figures.append(await measure("claim", "feed", self.count, claim))
        total = self.count * self.entries
        figures.append(await measure("commit, all new", "entry", total, lambda: self.commit(states, made.__getitem__)))
        await claim()
        figures.append(
            await measure("commit, unchanged", "feed", self.count, lambda: self.commit(states, lambda _: ()))
        )
        await claim()
        new = {name: (make_entry(name, self.entries),) for name in self.names}
        figures.append(
            await measure("commit, one new", "feed", self.count, lambda: self.commit(states, new.__getitem__))
        )
        looked = min(200, self.count) * self.entries
        figures.append(await measure("known (entry with 2 aliases)", "entry", looked, known))
        figures.append(await measure("index text", "entry", total + self.count, index))
        figures.append(await measure("search", "query", 50, search))
        return figures


async def ours(url: str, feeds: int, entries: int) -> list[Figure]:
    def fold(entry: Entry) -> str:
        return f"{entry.title} {entry.summary} {entry.content}".lower()

    async with open_store(url, index_text=fold) as store:
        await store.maintenance.upgrade()
        return await Bench(store, feeds, entries).run()


async def usual(path: Path, feeds: int, entries: int) -> list[Figure]:
    """The same tables and pragmas through an ORM session, one commit for each feed."""
    mapping = registry()
    feed_row, entry_row = type("FeedRow", (), {}), type("EntryRow", (), {})
    mapping.map_imperatively(feed_row, feeds_table)
    mapping.map_imperatively(entry_row, entries_table)
    from aggregator.store import mappers
    from aggregator.store.feed_sync import _new

    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        metadata.create_all(connection)
    names = [f"feed{n:05}" for n in range(feeds)]
    with Session(engine) as session:
        session.execute(feeds_table.insert(), [_new(Feed(id=n, url=f"https://{n}.example/f"), NOW) for n in names])
        session.commit()

    async def unchanged() -> int:
        for number, name in enumerate(names):
            with Session(engine) as session:
                row: Any = session.get(feed_row, name)
                row.last_polled_at = NOW
                row.next_poll_at = number + 1
                session.commit()
        return feeds

    async def all_new() -> int:
        for name in names:
            with Session(engine) as session:
                for number in range(entries):
                    row = entry_row()
                    for column, value in mappers.entry_values(make_entry(name, number)).items():
                        setattr(row, column, value)
                    session.add(row)
                session.commit()
        return feeds

    return [
        await measure("ORM commit, all new", "entry", feeds * entries, all_new),
        await measure("ORM commit, unchanged", "feed", feeds, unchanged),
    ]


def show(figures: list[Figure]) -> None:
    print(f"{'':34} {'CPU µs each':>12} {'each/s wall':>12} {'transactions/each':>18}")
    for figure in figures:
        share = "" if figure.transactions is None else f"{figure.transactions / figure.count:.4f}"
        rate = figure.count / figure.wall_s
        print(f"{figure.name + ', per ' + figure.unit:<44} {figure.cpu_us:>6.1f} {rate:>10,.0f} {share:>14}")
    by_name = {figure.name: figure for figure in figures}
    for name in ("commit, all new", "commit, unchanged"):
        if (base := by_name.get(f"ORM {name}")) is not None:
            print(f"{name}: {base.cpu_us / by_name[name].cpu_us:.1f} times less CPU than the ORM")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=1000)
    parser.add_argument("--entries", type=int, default=35)
    parser.add_argument("--database", help="default: a new SQLite file")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.database or f"sqlite:///{folder}/ours.db"
        figures = asyncio.run(ours(url, given.feeds, given.entries))
        if not given.database:
            figures += asyncio.run(usual(Path(folder) / "usual.db", given.feeds, given.entries))
    if given.json:
        print(json.dumps([{"name": f.name, "unit": f.unit, "cpu_us": f.cpu_us, "wall_s": f.wall_s} for f in figures]))
    else:
        show(figures)


if __name__ == "__main__":
    main()
