"""What pages, the API and polls ask of the database does not grow with its age: SQLite's own steps are counted.

`python -m benchmarks.growth` measures the same in seconds, with up to ten million entries.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from aggregator.app.application import Application, open_application
from aggregator.app.backend import AppBackend
from aggregator.config import load
from aggregator.core.model import HitFilter
from aggregator.web import create_app
from benchmarks import growth_data
from benchmarks.archive import Size, feed_id, write_config
from benchmarks.growth_data import Growth, grow
from benchmarks.pages import ask

pytestmark = pytest.mark.anyio

YOUNG, OLD = 6_000, 24_000  # entries: ten weeks, nine months
STEP_S = 1_000
FEEDS = 20
EACH = 50  # virtual machine instructions to a count


class Steps:
    """Instructions that SQLite has executed."""

    def __init__(self, app: Application) -> None:
        self.count = 0
        database = app.store.feeds._reader._database  # type: ignore[attr-defined]
        for engine in (database._reading, database._writing):
            event.listen(engine, "checkout", self._watch)

    def _watch(self, connection: Any, *_: object) -> None:
        connection.set_progress_handler(self._step, EACH)

    def _step(self) -> int:
        self.count += EACH
        return 0


@asynccontextmanager
async def grown(folder: Path, entries: int) -> AsyncIterator[Application]:
    """Open an installation with as many entries."""
    write_config(folder, Size(entries=entries, feeds=FEEDS, rules=40))
    async with open_application(load(folder, {})) as app:
        now = app.clock.now()
        await app.store.feeds.sync(app.loaded.config.feeds, now)
    grow(f"sqlite:///{folder}/full.db", Growth(entries=entries, feeds=FEEDS, now=now))
    async with open_application(load(folder, {})) as app:
        yield app


async def costs(app: Application, folder: Path) -> dict[str, int]:
    """Return the instructions for each page, as it costs the second time, and for a claim."""
    steps, site, found = Steps(app), create_app(AppBackend(app, folder)), dict[str, int]()
    (detail,) = await app.store.catalog.hits(HitFilter(), limit=1)
    pages = {
        "hit": f"/hits/{detail.hit.id}",
        "story": f"/api/v1/stories/{detail.hit.story}",
    } | {
        path: path
        for path in (
            "/", "/?since=24h", "/rules", "/feeds", f"/feeds/{feed_id(7)}", "/alerts",
            "/alerts?state=dead", "/status", "/api/v1/hits", "/api/v1/rules", "/api/v1/stats", "/api/v1/status",
            "/search?q=minister",
        )
    }  # fmt: skip
    for name, path in pages.items():
        for _ in range(2):
            steps.count = 0
            status, _size = await ask(site, path)
            assert status == 200, path
            found[name] = steps.count
    steps.count = 0
    claimed = await app.store.feeds.claim_due(app.clock.now(), owner="me", lease_s=60, limit=9, force=True)
    await app.store.feeds.known(claimed[0].id, ["nothing"], ["nothing"])
    found["claim"] = steps.count
    return found


async def test_an_old_database_costs_what_a_young_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the entries, and no page asks a fifth more of the database."""
    monkeypatch.setattr(growth_data, "STEP", STEP_S * 1_000_000)
    monkeypatch.setattr(growth_data, "VARIETY", 60)
    monkeypatch.setattr("aggregator.web.pages.hits.MOST_COUNTED", 40)  # else more are counted where there are more
    found = list[dict[str, int]]()
    for entries in (YOUNG, OLD):
        folder = tmp_path / str(entries)
        async with grown(folder, entries) as app:
            found.append(await costs(app, folder))
    young, old = found
    dearer = {name: (young[name], old[name]) for name in young if old[name] > 1.2 * young[name] + EACH}
    assert not dearer
