"""Feeds on the pages: poll with an answer, change, bulk actions; the same by the API."""

import tempfile
from collections.abc import AsyncIterator
from errno import EROFS
from pathlib import Path

import pytest

from aggregator.app.application import open_application
from aggregator.app.backend import AppBackend
from aggregator.config import load
from aggregator.core.results import PollOutcome
from aggregator.web import create_app
from aggregator.web.pages import feeds
from tests.support.http_client import HttpClient
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import sample_tables

FEEDS = "feeds:\n  - url: https://a.example/feed  # slow\n    id: a\n  - url: https://b.example/feed\n    id: b\n"


@pytest.fixture
def backend() -> MemoryBackend:
    return sample_tables()


@pytest.fixture
def client(backend: MemoryBackend) -> HttpClient:
    return HttpClient(create_app(backend))


def test_a_poll_says_what_came_of_it(client: HttpClient, backend: MemoryBackend) -> None:
    """New entries and hits, or the error, or that it goes on by itself."""
    for outcome, done, words in (
        (PollOutcome(feed="tass", new=3, hits=1), "polled=3&hits=1", "3 new entries, 1 hit"),
        (PollOutcome(feed="tass"), "polled=0&hits=0", "nothing new"),
        (PollOutcome(feed="tass", error="HTTP 404"), "done=poll_failed", "The poll failed"),
        (None, "done=polled", "Poll queued"),
    ):
        backend.polls = {"tass": outcome} if outcome else {}
        answer = client.post("/feeds/tass/poll", form={})
        assert done in (answer.header("location") or "")
        assert words in client.get(answer.header("location") or "").text
    backend.polls = {"tass": PollOutcome(feed="tass", new=2)}
    found = client.ask("POST", "/api/v1/feeds/tass/poll-now").json()
    assert found == {"feed": "tass", "done": True, "new": 2, "hits": 0, "error": ""}
    assert client.post("/feeds/nosuch/poll", form={}).status == 404


def test_feeds_are_changed_in_bulk(client: HttpClient, backend: MemoryBackend) -> None:
    """Pause, resume, tag, untag and remove those that are ticked; an unknown one changes nothing."""
    two, undo = "id=tass&id=bloomquist&", [""]

    def bulk(words: str) -> int:
        headers: dict[str, str | None] = {"content-type": "application/x-www-form-urlencoded"}
        answer = client.post("/feeds/bulk", body=(two + words).encode(), headers=headers)
        undo.append((answer.header("location") or "").partition("undo=")[2])
        return answer.status

    def tags() -> list[tuple[str, ...]]:
        return [feed.tags for feed in backend.loaded.config.feeds if feed.id in ("tass", "bloomquist")]

    def paused() -> list[bool]:
        return [backend.tables.feeds[name].paused_at is not None for name in ("tass", "bloomquist")]

    assert bulk("do=pause") == 303
    assert paused() == [True, True]
    client.post(f"/undo/{undo[-1]}", form={"next": "/feeds"})
    assert paused() == [False, False]
    assert bulk("do=pause") == 303
    assert bulk("do=resume") == 303
    assert paused() == [False, False]
    client.post(f"/undo/{undo[-1]}", form={"next": "/feeds"})
    assert paused() == [True, True]
    client.post("/feeds/tass/pause")
    assert paused() == [False, True]
    assert bulk("do=tag&tag=wire") == 303
    assert all("wire" in one for one in tags())
    assert bulk("do=untag&tag=wire") == 303
    assert not any("wire" in one for one in tags())
    assert bulk("do=poll") == 303
    assert bulk("id=nosuch&do=remove") == 404
    assert len(tags()) == 2
    assert bulk("do=remove") == 303
    assert tags() == []


def test_all_feeds_of_most_stand_on_one_page(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a box to tick each, their tags and counts, and no charts where they would cost too much."""
    page = client.get("/feeds").text
    assert page.count("data-select aria") == page.count('id="feed-') > 3
    assert 'class="tag"' in page
    assert page.count(">Entries</th>") == page.count(">Activity, 30 days</th>") == 1
    monkeypatch.setattr(feeds, "DRAWN", 3)
    many = client.get("/feeds").text
    assert many.count('id="feed-') == page.count('id="feed-')
    assert ">Activity, 30 days</th>" not in many
    assert many.count(">Entries</th>") == 1
    assert many.count('data-label="Hits"') == many.count('id="feed-')


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[AppBackend]:
    """The backend over files and a database."""
    (tmp_path / "feeds.yaml").write_text(FEEDS)
    (tmp_path / "settings.yaml").write_text(
        f"settings: {{database: 'sqlite:///{tmp_path}/a.db', web: {{enabled: false}}}}\n"
    )
    async with open_application(load(tmp_path, {})) as app:
        await app.store.feeds.sync(list(app.current.feeds.values()), app.clock.now())
        yield AppBackend(app, tmp_path)


@pytest.mark.anyio
async def test_a_change_is_written_and_undone(real: AppBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Title, tags and interval come into the file, comments stay, and the undo is the file of before.

    Where the file is read-only the page says what to do, and what was typed is kept.
    """

    def read_only(*_: object, **__: object) -> None:
        raise OSError(EROFS, "Read-only file system")

    client = HttpClient(create_app(real))
    form = {"title": "Agency", "tags": "news, wire", "every": "30m"}
    answer = await client.call("POST", "/feeds/a/change", form=form)
    assert answer.status == 303
    written = (real.path / "feeds.yaml").read_text()
    assert written == FEEDS.replace(
        "    id: a\n", "    id: a\n    title: Agency\n    tags: [news, wire]\n    every: 30m\n"
    )
    undo = (answer.header("location") or "").partition("undo=")[2]
    assert (await client.call("POST", f"/undo/{undo}", form={"next": "/feeds"})).status == 303
    assert (real.path / "feeds.yaml").read_text() == FEEDS
    wrong = await client.call("POST", "/feeds/a/change", form={"title": "Kept", "every": "soon"})
    assert (wrong.status, 'value="Kept"' in wrong.text) == (422, True)
    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    refused = await client.call("POST", "/feeds/a/change", form={"title": "Kept"})
    assert (refused.status, 'value="Kept"' in refused.text) == (409, True)
    assert "make its folder writable" in refused.text
    monkeypatch.undo()
    assert (await client.call("PATCH", "/api/v1/feeds/b", data={"tags": ["x"]})).status == 200
    assert (await client.call("DELETE", "/api/v1/feeds/a")).status == 200
    assert (real.path / "feeds.yaml").read_text() == (
        "feeds:\n  - url: https://b.example/feed\n    id: b\n    tags: [x]\n"
    )
