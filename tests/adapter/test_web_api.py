"""The JSON API: the shapes of the commands, typed requests, exports, live updates."""

import asyncio
import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from datetime import timedelta
from functools import partial
from typing import Any

import feedparser
import pytest
from msgspec.structs import replace
from pydantic import BaseModel

from aggregator.core.errors import StoreError
from aggregator.core.model import Delivery, HitDetail, HitFilter
from aggregator.core.results import SearchResult
from aggregator.core.schemas import models
from aggregator.web import create_app
from aggregator.web.events import LATE, EventStream, event
from tests.support.http_client import HttpAnswer, HttpClient
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import NOW, detail_of, sample_tables


@pytest.fixture(scope="module")
def backend() -> MemoryBackend:
    """A desk that these tests may change as long as they look only at their own change."""
    return sample_tables()


@pytest.fixture(scope="module")
def client(backend: MemoryBackend) -> HttpClient:
    return HttpClient(create_app(backend))


SHAPES: tuple[tuple[str, type[BaseModel], bool], ...] = (
    ("/api/v1/hits", models.Hit, True),
    ("/api/v1/hits/00001389", models.Hit, False),
    ("/api/v1/hits/00001389/why", models.Explanation, True),
    ("/api/v1/entries/5001", models.Entry, False),
    ("/api/v1/stories/story-1", models.Story, False),
    ("/api/v1/rules", models.Rule, True),
    ("/api/v1/rules/f35", models.RuleDetail, False),
    ("/api/v1/rules/files", models.RulesFile, True),
    ("/api/v1/feeds", models.Feed, True),
    ("/api/v1/feeds/tass", models.Feed, False),
    ("/api/v1/deliveries", models.Delivery, True),
    ("/api/v1/deliveries/d1", models.DeliveryDetail, False),
    ("/api/v1/silences", models.Silence, True),
    ("/api/v1/search?q=S-400", models.EntryMatch, True),
    ("/api/v1/status", models.Status, False),
    ("/api/v1/stats", models.Stats, False),
    ("/healthz", models.HealthCheck, False),
    ("/readyz", models.HealthCheck, False),
)


@pytest.mark.parametrize(("path", "model", "many"), SHAPES)
def test_answers_have_the_documented_shape(client: HttpClient, path: str, model: type[BaseModel], many: bool) -> None:
    """What the OpenAPI document promises is what comes: every key, no other."""
    answer = client.get(path)
    assert answer.status == 200
    found = answer.json() if many else [answer.json()]
    assert found
    for one in found:
        model.model_validate(one, extra="forbid")
        optional = {"summary", "content"} if model is models.Entry else set()
        assert set(one) | optional == set(model.model_fields)


def walked(client: HttpClient, path: str | None) -> list[str]:
    """The ids of a whole listing, page after page."""
    seen: list[str] = []
    while path:
        answer = client.get(path)
        seen += [one["id"] for one in answer.json()]
        link = answer.header("link")
        path = link[1 : link.index(">")] if link else None
    return seen


def test_paging_gives_each_hit_once(client: HttpClient, backend: MemoryBackend) -> None:
    """The Link header leads through the whole listing."""
    assert sorted(walked(client, "/api/v1/hits?limit=50")) == sorted(backend.tables.hits)


def test_paging_gives_each_delivery_once(client: HttpClient, backend: MemoryBackend) -> None:
    """Of all states, or of some; a cursor that is none of ours is refused."""
    assert sorted(walked(client, "/api/v1/deliveries?limit=2")) == sorted(backend.tables.deliveries)
    some = {one.id for one in backend.tables.deliveries.values() if one.state.value in ("sent", "dead")}
    assert set(walked(client, "/api/v1/deliveries?limit=1&state=sent&state=dead")) == some
    assert client.get("/api/v1/deliveries?before=x").status == 404


def test_paging_keeps_the_order_of_feeds_and_rules(client: HttpClient, backend: MemoryBackend) -> None:
    """Feeds by id, rules as they are written, each once; nothing comes after a rule that does not exist."""
    assert walked(client, "/api/v1/feeds?limit=2") == sorted(backend.tables.feeds)
    assert walked(client, "/api/v1/rules?limit=3") == [rule.id for rule in backend.current().config.rules]
    assert client.get("/api/v1/rules?after=nosuch").status == 404


def test_filters_are_instants_or_spans(client: HttpClient) -> None:
    """`since` takes an age, a day, an instant or a span of days; anything else is answered in words."""
    for since in ("24h", "2026-03-05", "thu", "yesterday", "2026-03-04..2026-03-05", "2026-03-05T00:00:00%2B03:00"):
        assert client.get(f"/api/v1/hits?since={since}").json()
    assert client.get("/api/v1/hits?since=..2020-01-01").json() == []
    assert client.get("/api/v1/hits?since=2026-03-05&until=2026-03-05").json()
    for wrong in ("last-night", "10", "99999999999w", "-3h", "2026-02-30", "2026-03-05..2026-03-01", ".."):
        answer = client.get(f"/api/v1/hits?since={wrong}")
        assert answer.status == 422
        assert "since" in answer.json()["detail"]
    assert client.get("/api/v1/hits?before=nonsense").status == 404
    assert client.get("/api/v1/hits?limit=0").status == 422
    assert client.get("/api/v1/hits?nosuch=1").status == 422


def test_marks_are_set_and_taken(client: HttpClient) -> None:
    """A mark is relevant, irrelevant or nothing."""
    path = "/api/v1/hits/0000138c/mark"
    assert client.ask("PUT", path, data={"mark": "relevant"}).json()["mark"] == "relevant"
    assert client.ask("PUT", path, data={"mark": None}).json()["mark"] is None
    assert client.ask("PUT", path, data={"mark": "odd"}).status == 422
    assert client.ask("PUT", "/api/v1/hits/nosuch/mark", data={"mark": None}).status == 404


def test_errors_are_one_sentence(client: HttpClient) -> None:
    """What does not exist, cannot be read or is not possible is said as JSON."""
    assert client.get("/api/v1/hits/nosuch").json() == {"detail": "no hit named 'nosuch'"}
    assert "did you mean 'caatsa'" in client.get("/api/v1/rules/catsa").json()["detail"]
    assert client.get("/api/v1/nosuch").status == 404
    assert client.ask("DELETE", "/api/v1/hits").status == 405
    assert client.get('/api/v1/search?q="open').status == 422
    assert client.post("/api/v1/feeds/discover", data={"url": "https://unreachable.example"}).status == 502


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "words"),
    [
        ("GET", "/api/v1/hits?limit=0", {}, 422, "limit: Input should be greater than"),
        ("GET", "/api/v1/entries/x", {}, 422, "entry_id: Input should be a valid integer"),
        (
            "POST",
            "/api/v1/feeds",
            {"data": {"url": "", "x": 1}},
            422,
            "url: String should have at least 1 character; x: ",
        ),
        ("POST", "/api/v1/feeds", {"data": [1]}, 422, "the body: "),
        ("POST", "/api/v1/feeds", {}, 422, "the body: Field required"),
        ("POST", "/api/v1/feeds", {"body": b"{bad", "headers": {"content-type": "application/json"}}, 422, "not JSON"),
        ("POST", "/api/v1/feeds", {"body": b"x" * 5_000_000}, 413, "larger than 4 MB"),
        ("GET", "/api/v1/hits", {"headers": {"host": "evil.example"}}, 421, "Unknown host name"),
        ("POST", "/api/v1/hits", {"headers": {"origin": "https://evil.example"}}, 403, "nothing was changed"),
        ("BREW", "/api/v1/hits", {}, 405, "Unknown method"),
        ("DELETE", "/api/v1/hits", {}, 405, "does not support that method"),
        ("GET", "/metrics/x", {}, 404, "no page at this address"),
    ],
)
def test_refusals_have_one_shape(
    client: HttpClient, method: str, path: str, sent: dict[str, Any], status: int, words: str
) -> None:
    """Whatever is wrong with a request, and whoever notices: one sentence under `detail`."""
    refused = client.ask(method, path, **sent)
    assert refused.status == status
    assert words in refused.json()["detail"]


def test_what_is_stuck_is_not_ready() -> None:
    """An alert due for ten minutes: /readyz is red and names the area only; the status and its page say the rest."""
    backend = sample_tables()
    stuck = Delivery(
        id="stuck", channel="desk-email", title="S-400", created_at=backend.clock.now(), due_at=backend.clock.now()
    )
    backend.tables.deliveries["stuck"] = stuck
    backend.clock.at += timedelta(minutes=11)
    client = HttpClient(create_app(backend))
    answer = client.get("/readyz")
    assert (answer.status, answer.json()["ok"], answer.json()["loops"]["alerts"]) == (503, False, False)
    assert "desk-email" not in answer.text
    status = client.get("/api/v1/status").json()
    assert status["ok"] is False
    [finding] = [one for one in status["findings"] if one["kind"] == "waiting"]
    assert "due on channel desk-email" in finding["what"]
    page = client.get("/status").text
    assert "due on channel desk-email" in page
    assert "channels test desk-email" in page


def test_a_store_that_fails_is_a_503() -> None:
    """A database that does not answer is said as such, and nothing is ready."""

    class Broken(MemoryBackend):
        @property
        def catalog(self) -> Any:
            raise StoreError("the database is locked")

    backend = sample_tables()
    client = HttpClient(create_app(backend))
    backend.__class__ = Broken
    assert client.get("/api/v1/hits").status == 503
    assert client.get("/readyz").status == 503
    assert "database is locked" in client.get("/").text


def test_search_says_how_far_it_looked() -> None:
    """Where the index does not help, page and API say how far they looked, and lead on."""

    class Slow(MemoryBackend):
        async def search(self, query: str, **asked: Any) -> SearchResult:
            assert asked["within_s"] < 0.1 if asked["before"] is None else asked["within_s"] > 1
            return SearchResult(more=4711, searched_back_to=NOW - timedelta(days=9))

    backend = sample_tables()
    backend.__class__ = Slow
    client = HttpClient(create_app(backend))
    said = client.get("/api/v1/search?q=/S-?400/&since=30d")
    assert said.json() == []
    assert said.header("looked-back-to") == "2026-02-24T14:20:00Z"
    assert said.header("link") == '</api/v1/search?q=%2FS-%3F400%2F&since=30d&before=4711>; rel="next"'
    page = client.get("/search?q=/S-?400/")
    assert "nothing found so far" in page.text
    assert 'href="/search?q=%2FS-%3F400%2F&amp;before=4711"' in page.text
    assert client.get("/search?q=x&before=4711").status == 200


def test_silences_come_and_go(client: HttpClient) -> None:
    """A silence is of one thing, for a while that makes sense."""
    made = client.post("/api/v1/silences", data={"rule": "caatsa", "for": "4h", "reason": "known"})
    assert made.status == 201
    assert made.json()["until_at"] == "2026-03-05T18:20:00Z"
    for wrong in (
        {"for": "4h"},
        {"rule": "a", "feed": "b"},
        {"rule": "a", "for": "soon"},
        {"rule": "a", "for": "9999d"},
    ):
        assert client.post("/api/v1/silences", data=wrong).status == 422
    assert client.ask("DELETE", f"/api/v1/silences/{made.json()['id']}").status == 204
    assert client.ask("DELETE", f"/api/v1/silences/{made.json()['id']}").status == 404


def test_silences_are_of_what_exists(client: HttpClient) -> None:
    """A name that nobody knows is refused with its name; durations are those of the configuration."""
    post = partial(client.post, "/api/v1/silences")
    refused = post(data={"rule": "catsa", "for": "4h"})
    assert refused.status == 404
    assert refused.json() == {"detail": "no rule named 'catsa' (did you mean 'caatsa'?)"}
    assert post(data={"feed": "tas", "for": "4h"}).json() == {"detail": "no feed named 'tas' (did you mean 'tass'?)"}
    assert "'nosuch'" in post(data={"story": "nosuch", "for": "4h"}).json()["detail"]
    for span, until in (("1h30m", "15:50"), ("90 m", "15:50"), ("1.5h", "15:50")):
        made = post(data={"story": "story-1", "for": span})
        assert made.json()["until_at"] == f"2026-03-05T{until}:00Z"
        client.ask("DELETE", f"/api/v1/silences/{made.json()['id']}")
    form = {"what": "rule", "rule": "catsa", "last": "8h"}
    assert "did you mean" in client.post("/silences/add", form=form).text


def test_rules_are_checked_previewed_and_saved() -> None:
    """The file is checked with places, previewed, and saved only over what was read."""
    backend = sample_tables()
    client = HttpClient(create_app(backend))
    file = client.get("/api/v1/rules/files").json()[0]
    bad = client.post("/api/v1/rules/check", data={"name": file["name"], "text": "bad: 1\n"}).json()
    assert (bad["ok"], bad["problems"][0]["line"]) == (False, 1)
    edit = {"name": file["name"], "text": file["text"] + "# more\n"}
    preview = client.post("/api/v1/rules/preview", data=edit).json()
    models.Preview.model_validate(preview, extra="forbid")
    assert [(c["added"], c["removed"]) for c in preview["changes"]] == [(14, 3)]
    assert client.ask("PUT", "/api/v1/rules/file", data=edit | {"digest": "0"}).status == 409
    refused = client.ask("PUT", "/api/v1/rules/file", data=edit | {"digest": file["digest"], "text": "bad"})
    assert (refused.status, refused.json()["problems"][0]["line"]) == (422, 1)
    assert refused.json()["detail"].startswith("rules.yaml:1:1: error: ")
    assert client.ask("PUT", "/api/v1/rules/file", data=edit | {"digest": file["digest"]}).status == 200
    assert backend.text.endswith("# more\n")
    assert client.post("/api/v1/rules/check", data={"name": "../etc/passwd", "text": ""}).status == 404


def test_reload_says_what_is_wrong() -> None:
    """A broken configuration is a 422 with places; a sound one a 200."""
    backend = sample_tables()
    client = HttpClient(create_app(backend))
    assert client.post("/api/v1/reload").json()["ok"] is True
    backend.text += "bad: 1\n"
    answer = client.post("/api/v1/reload")
    assert (answer.status, answer.json()["problems"][0]["file"]) == (422, "rules.yaml")


def test_deliveries_are_retried_and_cancelled() -> None:
    """By ids, with a count; states filter the listing."""
    backend = sample_tables()
    client = HttpClient(create_app(backend))
    assert [d["id"] for d in client.get("/api/v1/deliveries?state=dead").json()] == ["d3"]
    assert len(client.get("/api/v1/deliveries?state=dead&state=held").json()) == 2
    assert client.post("/api/v1/deliveries/retry", data={"ids": ["d3", "nosuch"]}).json() == {"count": 1}
    assert client.post("/api/v1/deliveries/cancel", data={"ids": ["d2"]}).json() == {"count": 1}
    assert client.get("/api/v1/deliveries?state=odd").status == 422
    assert client.get("/api/v1/deliveries/d0").json()["acknowledged_at"] is None
    assert client.post("/api/v1/deliveries/acknowledge", data={"ids": ["d0", "nosuch"]}).json() == {"count": 1}
    assert client.get("/api/v1/deliveries/d0").json()["acknowledged_at"] == "2026-03-05T14:20:00Z"


def test_feeds_are_added_polled_and_paused() -> None:
    """What the pages can do, programs can."""
    backend = sample_tables()
    client = HttpClient(create_app(backend))
    assert client.post("/api/v1/feeds", data={"url": "https://new.example/feed"}).status == 201
    keys = {"kind": "page", "select": {"entry": "article"}}
    page = {"url": "https://new.example/news", "id": "news", **keys}
    assert client.post("/api/v1/feeds", data=page).json()["id"] == "news"
    assert backend.asked_keys == keys
    assert client.post("/api/v1/feeds", data=page | {"kind": "carrier pigeon"}).status == 422
    paused = client.ask("PUT", "/api/v1/feeds/tass/paused", data={"paused": True})
    assert paused.json()["state"] == "paused"
    assert client.post(f"/api/v1/undo/{paused.header('x-undo')}").json()["kind"] == "feed paused"
    assert client.get("/api/v1/feeds/tass").json()["state"] == "ok"
    assert client.post("/api/v1/feeds/tass/poll").json()["next_poll_at"] == "2026-03-05T14:20:00Z"
    assert client.post("/api/v1/feeds/nosuch/poll").status == 404
    assert client.post("/api/v1/feeds/import", body=b"<opml/>").json()["added"] == ["one", "two"]
    found = client.post("/api/v1/feeds/discover", data={"url": "https://bloomquist.example"}).json()
    assert [one["known_as"] for one in found] == [None, "tass"]


def test_edits_are_undone_like_everything_else() -> None:
    """An edit's answer names its undo, which is one of the same kind; a revoked address opens its feed again."""
    client = HttpClient(create_app(sample_tables()))
    before = client.get("/api/v1/rules/files").json()
    edited = client.ask("PUT", "/api/v1/rules/caatsa/enabled", data={"enabled": False})
    assert edited.header("x-undo") == f"edit-{edited.json()['edit']}"
    done = client.post(f"/api/v1/undo/{edited.header('x-undo')}").json()
    assert (done["kind"], done["count"]) == ("edit of caatsa", 1)
    assert client.get("/api/v1/rules/files").json() == before
    assert client.post("/api/v1/undo/edit-999").status == 404
    assert client.post("/api/v1/undo/edit-x").status == 404
    link = client.post("/api/v1/feed-links", data={"path": "/feeds/rules/f35.atom"}).json()
    undo = client.ask("DELETE", f"/api/v1/feed-links/{link['id']}").header("x-undo")
    assert client.get("/api/v1/feed-links").json() == []
    assert client.post(f"/api/v1/undo/{undo}").status == 200
    assert [one["id"] for one in client.get("/api/v1/feed-links").json()] == [link["id"]]


def hostile(backend: MemoryBackend, text: str) -> None:
    detail = detail_of(6666, "tass", text, text, backend.clock.now(), "caatsa")
    backend.tables.entries[6666] = replace(detail.entry, link=text)
    backend.tables.hits["hostile"] = replace(detail.hit, id="hostile", snippet=text)


def _csv_text(answer: HttpAnswer) -> str:
    """The text as Excel reads it: by its byte order mark it knows that this is UTF-8."""
    assert answer.body.startswith(b"\xef\xbb\xbf")
    return answer.body.decode("utf-8-sig")


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", " =1", "＝1", '"=1'])
def test_csv_is_no_formula(text: str) -> None:
    """No cell of an export begins like a formula, and every cell comes back through a CSV reader."""
    backend = sample_tables()
    hostile(backend, text)
    rows = list(
        csv.reader(
            io.StringIO(_csv_text(HttpClient(create_app(backend)).get("/api/v1/hits/export?rule=caatsa")), newline="")
        )
    )
    assert rows[0][0] == "created_at"
    assert {len(row) for row in rows} == {13}
    assert not [cell for row in rows for cell in row if cell.lstrip()[:1] in tuple("=+-@＝＋－＠")]
    assert any(text.strip() in cell for row in rows for cell in row)


def test_exports_are_whole() -> None:
    """An export holds every hit, in pages of the store that nobody sees."""
    backend = sample_tables()
    for number in range(1200):
        detail = detail_of(
            20000 + number, "tass", "CAATSA", "CAATSA", backend.clock.now() - timedelta(hours=number), "caatsa"
        )
        backend.tables.hits[detail.hit.id], backend.tables.entries[20000 + number] = detail.hit, detail.entry
    client = HttpClient(create_app(backend))
    lines = client.get("/api/v1/hits/export?format=jsonl").text.splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == len(backend.tables.hits)
    assert len(list(csv.reader(io.StringIO(client.get("/api/v1/hits/export").text)))) == len(lines) + 1


def test_atom_is_read_by_readers() -> None:
    """The feeds out are Atom that feedparser likes, whatever stands in the hits."""
    backend = sample_tables()
    hostile(backend, "]]><script>alert(1)</script>\x00\x0b\ufffe & <b> \U0001f600")
    client = HttpClient(create_app(backend))
    for path in ("/feeds/hits.atom", "/feeds/rules/caatsa.atom"):
        answer = client.get(path)
        assert (answer.header("content-type") or "").startswith("application/atom+xml")
        parsed = feedparser.parse(answer.body)
        assert not parsed.bozo
        assert parsed.version == "atom10"
        assert len({entry.id for entry in parsed.entries}) == len(parsed.entries) > 3
        assert "<script" not in parsed.entries[0].summary
    assert client.get("/feeds/rules/nosuch.atom").status == 404


def test_an_empty_atom_feed_stands() -> None:
    """A rule without hits has a feed too."""
    answer = HttpClient(create_app(sample_tables())).get("/feeds/rules/hypersonic.atom")
    assert ET.fromstring(answer.body).findtext("{http://www.w3.org/2005/Atom}updated") == "2026-03-05T14:20:00+00:00"


def test_health_is_red_when_a_loop_is_late() -> None:
    """A hung loop turns the whole answer, by name and without more."""
    backend = sample_tables()
    client = HttpClient(create_app(backend))
    assert client.get("/healthz").status == 200
    backend.late = frozenset({"poll"})
    answer = client.get("/healthz")
    assert (answer.status, answer.json()["loops"]["poll"]) == (503, False)
    assert set(answer.json()) == {"ok", "loops"}


def test_secrets_are_nowhere() -> None:
    """Neither password nor token nor a channel's address stands in any answer."""
    backend = sample_tables(password="zebra-password", token="zebra-token")
    client = HttpClient(create_app(backend), token="zebra-token")
    for path in ("/", "/status", "/rules/edit", "/api/v1/status", "/api/openapi.json", "/feeds.opml", "/metrics"):
        body = client.get(path).text
        assert "zebra" not in body
        assert "smtp.example.org" not in body


def test_the_document_names_every_route(client: HttpClient) -> None:
    """OpenAPI describes the API and nothing of the pages; our own page of it loads nothing from others."""
    document = client.get("/api/openapi.json").json()
    assert "/api/v1/hits" in document["paths"]
    assert not [
        path for path in document["paths"] if not path.startswith(("/api/v1/", "/healthz", "/readyz", "/metrics"))
    ]
    page = client.get("/api/docs").text
    assert all(path in page for path in document["paths"])
    assert "https://" not in page


def test_live_updates_are_sent_once() -> None:
    """Each new hit is told once to every listener, from the moment of listening on."""

    async def story() -> list[str]:
        backend = sample_tables()
        live = EventStream(backend.catalog, backend.clock, look_s=0.01)
        first, second = live.listen(), live.listen()
        opened = [await anext(first), await anext(second)]
        assert all(line.startswith("retry") for line in opened)
        backend.clock.at += timedelta(seconds=1)
        for number in (8001, 8002):
            detail = detail_of(number, "tass", "CAATSA", "CAATSA", backend.clock.now(), "caatsa")
            backend.tables.hits[detail.hit.id], backend.tables.entries[number] = detail.hit, detail.entry
        heard = [await anext(first), await anext(first), await anext(second), await anext(second)]
        await asyncio.sleep(0.05)
        await live.close()
        rest = [line async for line in first] + [line async for line in second]
        assert rest == []
        return heard

    heard = asyncio.run(story())
    ids = [json.loads(line.split("data: ")[1])["id"] for line in heard]
    assert ids == ["00001f41", "00001f42"] * 2


def test_live_updates_are_caught_up() -> None:
    """After a break a listener hears what it missed, and nothing twice."""

    async def story() -> str:
        backend = sample_tables()
        found = await backend.catalog.hits(HitFilter(), limit=3)
        live = EventStream(backend.catalog, backend.clock, look_s=0.01)
        stream = live.listen((found[2].hit.created_at, found[2].hit.id))
        lines = [await anext(stream) for _ in range(3)]
        await live.close()
        return "".join(lines)

    assert asyncio.run(story()).count("event: hit") == 2


def test_live_updates_end_with_the_login() -> None:
    """Who may no longer read is told of no further hit."""

    async def story() -> list[str]:
        backend = sample_tables()
        live = EventStream(backend.catalog, backend.clock, look_s=0.01)
        allowed = True
        stream = live.listen(is_allowed=lambda: allowed)
        heard = [await anext(stream)]
        for number in (8001, 8002):
            backend.clock.at += timedelta(seconds=1)
            detail = detail_of(number, "tass", "CAATSA", "CAATSA", backend.clock.now(), "caatsa")
            backend.tables.hits[detail.hit.id], backend.tables.entries[number] = detail.hit, detail.entry
            heard += [line async for line in stream] if not allowed else [await anext(stream)]
            allowed = False
        await live.close()
        return heard

    heard = asyncio.run(story())
    assert [line.count("event: hit") for line in heard] == [0, 1]


@pytest.mark.parametrize("listens", [True, False], ids=["all the time", "after a break"])
def test_a_burst_is_told_whole(listens: bool) -> None:
    """More hits than one page holds: a listener gets all; a slow one is sent away, and gets the rest later."""

    async def story() -> tuple[list[str], list[str]]:
        backend = sample_tables()
        live = EventStream(backend.catalog, backend.clock, look_s=0.01)
        stream = live.listen()
        assert (await anext(stream)).startswith("retry")
        last = (backend.clock.now(), "")
        backend.clock.at += timedelta(seconds=1)
        made = []
        for number in range(8001, 8501):
            detail = detail_of(number, "tass", "CAATSA", "CAATSA", backend.clock.now(), "caatsa")
            backend.tables.hits[detail.hit.id], backend.tables.entries[number] = detail.hit, detail.entry
            made.append(detail.hit.id)
        heard: list[str] = []
        if listens:
            heard = [ids_of(line) async for line in stream]
            last = (backend.clock.now(), heard[-1])
            assert len(heard) < len(made)
        stream = live.listen(last)
        await anext(stream)
        heard += [ids_of(await anext(stream)) for _ in range(len(made) - len(heard))]
        await live.close()
        return heard, made

    def ids_of(line: str) -> str:
        return str(json.loads(line.split("data: ")[1])["id"])

    heard, made = asyncio.run(story())
    assert heard == made


def test_live_updates_survive_late_commits_and_clocks() -> None:
    """A hit that is routed a minute after it was found is told, what was there before is not; a clock may go back."""

    async def story() -> list[str]:
        backend = sample_tables()
        looks: list[HitFilter] = []

        class Watched:
            async def hits(self, wanted: HitFilter, *, limit: int) -> tuple[HitDetail, ...]:
                looks.append(wanted)
                return await backend.catalog.hits(wanted, limit=limit)

        async def looked() -> None:
            for _ in range(2):  # one may have begun before
                looks.clear()
                while not looks:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        live = EventStream(Watched(), backend.clock, look_s=0.01)  # type: ignore[arg-type]
        stream = live.listen()
        await anext(stream)
        await looked()
        heard = []
        for number, seconds in ((8001, -60), (8002, 1), (8003, -3600)):
            if seconds < -LATE.total_seconds():
                backend.clock.at += timedelta(seconds=seconds)
                await looked()
            at = backend.clock.now() + timedelta(seconds=max(seconds, -60))
            detail = detail_of(number, "tass", "CAATSA", "CAATSA", at, "caatsa")
            backend.tables.hits[detail.hit.id], backend.tables.entries[number] = detail.hit, detail.entry
            heard.append(await asyncio.wait_for(anext(stream), 60))
        await live.close()
        return heard

    ids = [json.loads(line.split("data: ")[1])["id"] for line in asyncio.run(story())]
    assert ids == ["00001f41", "00001f42", "00001f43"]


def test_events_are_single_lines() -> None:
    """A line break in a hit cannot make an event of its own."""

    text = "x\n\nevent: hit\ndata: y\r\rid: 7\u2028"
    detail = detail_of(1, "tass", text, text, NOW, "caatsa")
    lines = re.split(r"\r\n|\r|\n", event(detail))  # as the specification has it
    assert [line.split(":")[0] for line in lines] == ["id", "event", "data", "", ""]


def test_marks_of_cards_are_undone(client: HttpClient) -> None:
    """Marks of many name their undo, which works once; other actions do too."""
    answer = client.post("/api/v1/hits/marks", data={"ids": ["00001389"], "mark": "irrelevant"})
    undo = answer.header("x-undo")
    assert answer.status == 200
    assert undo
    story = client.get("/api/v1/stories/story-1").json()
    assert {hit["mark"] for hit in story["hits"]} == {"irrelevant"}
    assert answer.json()["count"] == len(story["hits"]) > 1
    assert client.post(f"/api/v1/undo/{undo}").json()["kind"] == "irrelevant"
    assert {hit["mark"] for hit in client.get("/api/v1/stories/story-1").json()["hits"]} == {None}
    assert client.post(f"/api/v1/undo/{undo}").status == 409
    assert client.post("/api/v1/undo/none").status == 404
    silenced = client.post("/api/v1/silences", data={"rule": "caatsa"})
    client.post(f"/api/v1/undo/{silenced.header('x-undo')}")
    assert "caatsa" not in [one["rule"] for one in client.get("/api/v1/silences").json()]


def test_labels_notes_and_views(client: HttpClient) -> None:
    """A story carries labels and notes; filters have names and addresses of their own."""
    put = client.ask("PUT", "/api/v1/stories/story-1/labels", data={"labels": [" Watch  This", "watch this", "b", " "]})
    assert put.json() == {"labels": ["b", "watch this"]}
    assert client.get("/api/v1/labels").json() == [{"label": "b", "stories": 1}, {"label": "watch this", "stories": 1}]
    assert {hit["story"] for hit in client.get("/api/v1/hits?label=b").json()} == {"story-1"}
    client.post(f"/api/v1/undo/{put.header('x-undo')}")
    assert client.get("/api/v1/stories/story-1/labels").json() == {"labels": []}
    note = client.post("/api/v1/stories/story-1/notes", data={"text": "Ask <b>legal</b>."})
    assert client.get("/api/v1/stories/story-1/notes").json() == [note.json()]
    assert client.ask("DELETE", f"/api/v1/notes/{note.json()['id']}").status == 204
    view = client.post("/api/v1/views", data={"name": "Fighters, week", "query": "?rule=f35&since=7d&limit=3&x=1"})
    assert (view.status, view.json()["query"]) == (201, "rule=f35&since=7d")
    assert view.json()["atom"] == "/feeds/views/fighters-week.atom"
    rows = client.get(view.json()["csv"]).text
    assert rows.count("\r\n") == 1 + len(client.get("/api/v1/hits?rule=f35&since=7d&limit=1000").json())
    assert client.get("/feeds/views/none.atom").status == 404
    assert client.post("/api/v1/views", data={"name": "x", "query": "since=never"}).status == 422
    assert client.post("/api/v1/views", data={"name": "x", "query": "mark=wrong"}).status == 422
    assert client.ask("DELETE", "/api/v1/views/fighters-week").status == 204
    facets = client.get("/api/v1/hits/facets?rule=f35").json()
    assert [one["value"] for one in facets["rules"]] == ["f35"]


def test_hits_name_their_alerts(client: HttpClient) -> None:
    """Which alerts report a hit, on which channel, and when they are sent or due."""
    hit = client.get("/api/v1/hits/00001389").json()
    assert [(one["id"], one["channel"], one["state"]) for one in hit["deliveries"]] == [
        ("d0", "console", "sent"), ("d1", "desk-email", "retry"),
    ]  # fmt: skip
