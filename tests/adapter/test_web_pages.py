"""The pages without a browser: what they hold, and that they stay light however much there is."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from fastapi import Request
from msgspec.structs import replace

from aggregator.core.settings import Config
from aggregator.web import create_app
from aggregator.web.pages.search import SHOWN
from aggregator.web.pages.story import folded, story_versions
from aggregator.web.templating import Templates
from tests.support.http_client import HttpClient
from tests.support.memory_backend import Loaded, MemoryBackend
from tests.support.sample_data import detail_of, sample_tables

MAX_BYTES = 100_000
MANY = 3000
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def crowded() -> HttpClient:
    """A site of thousands of feeds and rules."""
    backend: MemoryBackend = sample_tables()
    feeds = [{"id": f"feed{n}", "url": f"https://{n}.example/"} for n in range(MANY)]
    rules = [{"id": f"rule{n}", "any": ["x"]} for n in range(MANY)]
    backend.loaded = Loaded(Config.model_validate({"feeds": feeds, "rules": rules}))
    return HttpClient(create_app(backend))


@pytest.mark.parametrize("path", ["/", "/?rule=rule7", "/rules", "/rules?page=75", "/feeds", "/status"])
def test_pages_stay_light(crowded: HttpClient, path: str) -> None:
    """No page lists thousands of names."""
    assert len(crowded.get(path).body) < MAX_BYTES


def test_rules_are_listed_by_the_page(crowded: HttpClient) -> None:
    """Each rule stands on one page, in the order of the file."""
    assert 'href="/rules/rule39"' in crowded.get("/rules").text
    second = crowded.get("/rules?page=2").text
    assert 'href="/rules/rule40"' in second
    assert 'href="/rules/rule39"' not in second
    assert "page 2 of 75" in second


def test_a_filter_of_thousands_is_typed(crowded: HttpClient) -> None:
    """Where a list would be too long, the id is written, and what was chosen stays."""
    assert '<input name="rule" value="rule7"' in crowded.get("/?rule=rule7").text


def test_a_story_is_on_one_page_only() -> None:
    """Older leads through all pages; each story, and each entry that is alone, has one card with all of its sources."""
    backend = sample_tables()
    client = HttpClient(create_app(backend))
    cards: list[str] = []
    path = "/?show=all"
    for _ in range(100):
        text = client.get(path).text
        cards += re.findall(r'id="hit-(\w+)"', text)
        older = re.search(r'href="([^"]+)" rel="next"', text)
        if older is None:
            break
        path = unescape(older[1])
    else:
        pytest.fail("the pages never end")
    detail = {hit.id: hit.story or f"{hit.feed}/{hit.entry_key}" for hit in backend.tables.hits.values()}
    assert len(detail) > len(set(detail.values())) > 60
    assert sorted(detail[card] for card in cards) == sorted(set(detail.values()))


def test_an_edit_of_anything_else_is_answered_in_the_editor() -> None:
    """What was typed stands there again, with the sentence that says what differs."""
    client = HttpClient(create_app(sample_tables()))
    for do in ("check", "preview", "save"):
        typed = "channels: {evil: {url: 'json://evil.example'}}\n"
        answer = client.post("/rules/edit", form={"name": "rules.yaml", "text": typed, "digest": "x", "do": do})
        assert answer.status == 409
        assert "only rules and lists can be changed here" in answer.text
        assert "json://evil.example" in answer.text
    sent = {"name": "rules.yaml", "text": "channels: {}\n"}
    for method, path, more in (("POST", "check", {}), ("POST", "preview", {}), ("PUT", "file", {"digest": "x"})):
        answer = client.ask(method, f"/api/v1/rules/{path}", data={**sent, **more})
        assert (answer.status, "only rules and lists" in answer.json()["detail"]) == (409, True), path


@pytest.mark.parametrize("address", ["https://me:hunter2@a.example/", "feed://me:hunter2@a.example/x"])
def test_a_login_that_was_pasted_is_not_shown_again(address: str) -> None:
    """The form comes back with the address alone."""
    answer = HttpClient(create_app(sample_tables())).post("/feeds/discover", form={"url": address})
    assert "a.example/" in answer.text
    assert "hunter2" not in answer.text


def test_a_report_is_compared_with_the_one_that_it_develops() -> None:
    """Not with the first only: what it adds to the earlier one that is most like it; copies fold under their own."""
    first = "Ankara takes delivery of two S-400 batteries, the ministry said on Monday."
    second = f"{first} Washington warned of sanctions."
    other = "Analysts in Oslo doubt that the radars work with the rest of the air defence of the alliance."
    texts = [first, second, other, f"{second} Moscow protested.", other]
    details = tuple(
        detail_of(n, feed, "S-400", text, START + timedelta(minutes=n), "s400-turkey")
        for n, (feed, text) in enumerate(zip("abcde", texts, strict=True), 1)
    )
    versions = story_versions(details)
    assert [one.base and one.base.hit.feed for one in versions] == [None, "a", None, "b", "c"]
    assert [run.text.strip() for run in versions[3].changes if run.mark == "new"] == ["Moscow protested."]
    assert versions[4].like == 100
    assert [(one.detail.hit.feed, [s.detail.hit.feed for s in same]) for one, same in folded(versions)] == [
        ("a", []),
        ("b", []),
        ("c", ["e"]),
        ("d", []),
    ]


def test_an_entry_of_forty_rules_names_the_first() -> None:
    """Its card, its page and its alert say how many more there are; a story, too, has the choice of languages."""
    backend = sample_tables()
    tables = backend.tables
    hit = tables.hits["00001389"]
    for number in range(40):
        tables.hits[f"many-{number}"] = replace(hit, id=f"many-{number}", rule=f"many-{number}")
    tables.deliveries["d0"] = replace(tables.deliveries["d0"], rules=tuple(f"many-{n}" for n in range(40)))
    client = HttpClient(create_app(backend))
    for path, more in (
        ("/?show=all", "+17…"),
        ("/hits/00001389", "+38"),
        ("/alerts/d0", "+36"),
        ("/stories/story-1", "+38"),
    ):
        page = client.get(path).text
        assert f">{more}</a>" in page, path
        assert '<option value="de" lang="de">Deutsch</option>' in page, path
    assert client.get("/alerts/d0").text.count('href="/rules/many-39"') == 1, "its page names all of them"


def test_a_page_hides_no_value_that_every_page_needs() -> None:
    """A template's own value of such a name would break what frames it: it is refused at once."""
    backend = sample_tables()
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    with pytest.raises(ValueError, match="languages"):
        Templates(backend).render(Request(scope), "error.html", languages=[])


def test_a_search_is_narrowed_saved_and_followed() -> None:
    """Facets count what matches and lead on; a saved search has a page, Atom and CSV, and is no filter of hits."""
    backend = sample_tables()
    client = HttpClient(create_app(backend))
    page = client.get("/search?q=S-400&facets=1").text
    assert 'href="/search?facets=1&amp;q=S-400&amp;feed=tass"' in page
    assert 'href="/rules/new?query=S-400"' in page
    assert 'class="card"' in page
    shown, counted = page.count('class="card"'), re.search(r"Of all (\d+) entries that match", page)
    assert counted
    assert shown == SHOWN < int(counted[1]), "the facets count more than the page shows"
    assert 'rel="next">Older' in page
    only = client.get("/search?q=S-400&feed=tass&by=relevance").text
    assert re.findall(r'class="from" href="/feeds/(\w+)"', only)
    assert set(re.findall(r'class="from" href="/feeds/(\w+)"', only)) == {"tass"}
    saved = client.post("/api/v1/views", data={"name": "TASS on S-400", "query": "q=S-400&feed=tass&since=30d"}).json()
    assert (saved["id"], saved["query"]) == ("tass-on-s-400", "q=S-400&feed=tass&since=30d")
    assert client.post("/api/v1/views", data={"name": "x", "query": 'q="open'}).status == 422
    assert "/search?q=S-400&amp;feed=tass&amp;since=30d" in client.get("/search").text
    assert "/search?q=S-400&amp;feed=tass&amp;since=30d" in client.get("/views").text
    atom, table = client.get(saved["atom"]), client.get(saved["csv"])
    assert (atom.status, table.status) == (200, 200)
    assert "TASS on S-400" in atom.text
    assert atom.text.count("<entry>") == table.text.count("\n") - 1 > 0
    assert {row["feed"] for row in client.get("/api/v1/search?q=S-400&feed=tass").json()} == {"tass"}
