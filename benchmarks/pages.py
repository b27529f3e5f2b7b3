"""The cost of the pages over a full database: server time and bytes of each page and route.

    python -m benchmarks.pages [--entries 1000000] [--feeds 1000] [--folder DIR] [--json FILE]

The database is filled with the store's own tables and served by the real site over the real desk;
nothing touches a network. Each address is asked eleven times, the first is not counted. Figures
are medians: CPU milliseconds of the whole process, wall milliseconds, bytes of the body before and
after compression. A folder that is named is kept, and filled only once.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlencode, urlsplit

from starlette.types import ASGIApp, Message

from aggregator.app.application import open_application
from aggregator.app.backend import AppBackend
from aggregator.config import load
from aggregator.core.model import HitFilter
from aggregator.ports import Catalog
from aggregator.web import create_app
from benchmarks.archive import Size, feed_id, fill, write_config

TIMES = 10
GOAL_CPU_MS, GOAL_MS, GOAL_BYTES = 50.0, 100.0, 60_000  # bytes as they are sent, compressed
HEADERS = [(b"host", b"127.0.0.1:8080")]
SEARCHES = (
    {"q": "sanctions"},  # in most entries
    {"q": "sanctions", "since": "24h"},
    {"q": '"missile summit"'},
    {"q": 'drone AND "ceasefire tariff" NOT ferry'},
    {"q": '"case 4242"'},  # in next to none
    {"q": "title:zebra"},  # in none
    {"q": "case NEAR/2 minister"},  # both everywhere, never together
    {"q": "/ze+bra/"},  # no index helps
    {"q": "/ze+bra/", "since": "24h"},
    {"q": "zebra OR /ze+bra/"},
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One address."""

    path: str
    status: int
    cpu_ms: float
    wall_ms: float
    size_bytes: int
    sent_bytes: int

    @property
    def met(self) -> bool:
        """Pages have a goal; what is exported or listed for programs is as long as it is."""
        return self.cpu_ms <= GOAL_CPU_MS and self.wall_ms < GOAL_MS and self.sent_bytes <= GOAL_BYTES


async def ask(site: ASGIApp, path: str, *more: tuple[bytes, bytes]) -> tuple[int, int]:
    """(status, bytes) of a GET; `more` are further headers."""
    parts = urlsplit(path)
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "",
        "headers": [*HEADERS, *more], "client": ("127.0.0.1", 40000), "server": ("127.0.0.1", 8080),
    }  # fmt: skip
    status, size, waiting = 0, 0, [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(3600)
        return waiting.pop()

    async def send(message: Message) -> None:
        nonlocal status, size
        status = message.get("status", status)
        size += len(message.get("body", b""))

    await site(scope, receive, send)
    return status, size


async def measure(site: ASGIApp, path: str) -> Figure:
    """Medians; what is hopelessly slow is asked once."""
    cpu, wall, status, size = [], [], 0, 0
    for turn in range(TIMES + 1):
        cpu_at, wall_at = time.process_time(), time.perf_counter()
        status, size = await ask(site, path)
        took_ms = (time.perf_counter() - wall_at) * 1000
        if turn or took_ms > GOAL_MS * 20:
            cpu.append((time.process_time() - cpu_at) * 1000)
            wall.append(took_ms)
        if took_ms > GOAL_MS * 20:
            break
    _, sent = await ask(site, path, (b"accept-encoding", b"gzip"))
    return Figure(path, status, round(median(cpu), 1), round(median(wall), 1), size, sent)


async def addresses(catalog: Catalog) -> list[str]:
    """Every page, every route of the API that can be asked, and searches of each kind."""
    detail = (await catalog.hits(HitFilter(), limit=2000))[-1]
    hit, story, feed = detail.hit.id, detail.hit.story, feed_id(7)
    (delivery,) = await catalog.deliveries(limit=1)
    pages = [
        "/", "/?rule=rule003", f"/?feed={feed}", "/?mark=relevant", "/?since=24h", f"/hits/{hit}", f"/stories/{story}",
        "/rules", "/rules/rule003", "/rules/edit", "/feeds", "/feeds?state=ok&page=9", "/feeds/add", f"/feeds/{feed}",
        "/alerts", "/alerts?state=dead", f"/alerts/{delivery.id}", "/search", "/status", "/start",
        f"/silences/add?hit={hit}", "/feeds/hits.atom", "/feeds/rules/rule003.atom",
        "/feeds.opml", "/login", "/api/docs", "/api/openapi.json",
    ]  # fmt: skip
    routes = [
        "hits", f"hits/{hit}", f"hits/{hit}/why", "hits/export?since=7d", f"stories/{story}",
        f"entries/{detail.entry.id}",
        "rules", "rules/rule003", "rules/files", "feeds", f"feeds/{feed}", "deliveries", "deliveries?state=dead",
        f"deliveries/{delivery.id}", "silences", "status", "stats", "search?q=sanctions",
    ]  # fmt: skip
    found = [f"/search?{urlencode(asked)}" for asked in SEARCHES]
    return [*pages, *found, *(f"/api/v1/{route}" for route in routes), "/healthz", "/readyz", "/metrics"]


async def run(folder: Path, size: Size) -> list[Figure]:
    database = folder / "full.db"
    empty = not database.exists()
    write_config(folder, size)
    async with open_application(load(folder, {})) as app:
        if empty:
            await asyncio.to_thread(fill, database, size, datetime.now(UTC))
        while await app.store.maintenance.index_text():  # what a migration left to be indexed anew
            pass
        runtime = await app.runtime()
        await runtime.measure()
        site = create_app(AppBackend(app, folder, metrics_source=runtime.metrics.text))
        await ask(site, "/")  # templates are compiled once
        return [show(await measure(site, path)) for path in await addresses(app.store.catalog)]


def show(one: Figure) -> Figure:
    """Print a line as soon as it is known."""
    answer = "" if one.status == 200 else f" ({one.status})"
    note = "" if one.met else "  over"
    sizes = f"{one.size_bytes:>10,} {one.sent_bytes:>9,}"
    print(f"{one.path + answer:60} {one.cpu_ms:>9.1f} {one.wall_ms:>9.1f} {sizes}{note}", flush=True)
    return one


@contextmanager
def place(given: Path | None) -> Iterator[Path]:
    """The folder that was named, or one that goes again."""
    if given is not None:
        yield given
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--feeds", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, help="keep the database here, and use it again")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    share = given.entries / 1_000_000
    size = Size(entries=given.entries, feeds=given.feeds, hits=int(50_000 * share), deliveries=int(20_000 * share))
    print(f"{'':60} {'CPU ms':>9} {'wall ms':>9} {'bytes':>10} {'sent':>9}")
    with place(given.folder) as folder:
        figures = asyncio.run(run(folder, size))
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in figures], indent=1) + "\n")


if __name__ == "__main__":
    main()
