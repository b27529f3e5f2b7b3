"""How answers travel: HEAD, compression, "not modified", and feeds that a token in the address opens."""

import gzip
import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from aggregator.web import create_app
from aggregator.web.app import _fastapi
from tests.support.http_client import HttpClient
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import detail_of, sample_tables

GZIP: dict[str, str | None] = {"accept-encoding": "gzip, deflate, br"}
PASSWORD = "correct horse battery staple"


@pytest.fixture
def backend() -> MemoryBackend:
    return sample_tables()


@pytest.fixture
def client(backend: MemoryBackend) -> HttpClient:
    return HttpClient(create_app(backend))


def readable() -> list[str]:
    """Every path that can be read, with its parameters filled in."""
    routes = iter_route_contexts([route for route in _fastapi().routes if not isinstance(route, Mount)])
    return sorted({re.sub(r"\{[^}]*\}", "1", str(one.path)) for one in routes if "GET" in (one.methods or ())})


def test_head_answers_as_get_does_everywhere(client: HttpClient) -> None:
    """The same status and the same head without a body, on every route; a stream ends at once."""
    for path in [*readable(), "/static/site.css", "/nowhere"]:
        head = client.ask("HEAD", path)
        assert head.body == b"", path
        if path != "/api/v1/events":
            full = client.get(path)
            wanted = [pair for pair in full.headers if pair[0] not in ("vary",)]
            assert (head.status, [pair for pair in head.headers if pair[0] not in ("vary",)]) == (full.status, wanted)
        else:
            assert head.status == 200


def test_a_refusal_names_head_where_get_is(client: HttpClient) -> None:
    """Allow lists HEAD too."""
    assert client.ask("DELETE", "/api/v1/hits").header("allow") == "GET, HEAD"


def test_pages_and_json_are_compressed(client: HttpClient) -> None:
    """For who takes it, and what is packed is the same text."""
    for path in ("/", "/api/v1/hits", "/feeds/hits.atom", "/api/v1/hits/export"):
        packed, plain = client.get(path, headers=GZIP), client.get(path)
        assert packed.header("content-encoding") == "gzip", path
        assert plain.header("content-encoding") is None
        assert gzip.decompress(packed.body) == plain.body
        assert len(packed.body) < len(plain.body) / 2
        assert "accept-encoding" in (packed.header("vary") or "")


@pytest.mark.parametrize("refused", ["", "br", "gzip;q=0", "identity"])
def test_who_does_not_take_gzip_gets_none(client: HttpClient, refused: str) -> None:
    """Another coding, or a weight of nothing, is no consent."""
    assert client.get("/", headers={"accept-encoding": refused}).header("content-encoding") is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_nobody_else_measures_our_pages(client: HttpClient, site: str) -> None:
    """A request that another site caused is answered uncompressed: lengths tell it nothing (BREACH)."""
    answer = client.get("/?rule=caatsa", headers={**GZIP, "sec-fetch-site": site})
    assert (answer.status, answer.header("content-encoding")) == (200, None)


def test_pictures_and_short_answers_stay_as_they_are(client: HttpClient) -> None:
    """What is packed already, or fits into one packet, is not packed."""
    for path in ("/static/icon-192.png", "/healthz"):
        assert client.get(path, headers=GZIP).header("content-encoding") is None


@pytest.mark.parametrize("path", ["/feeds/hits.atom", "/feeds/rules/caatsa.atom", "/feeds.opml"])
def test_own_feeds_say_not_modified(client: HttpClient, backend: MemoryBackend, path: str) -> None:
    """A reader that shows the tag, or the date, is answered 304 until something is new."""
    first = client.get(path)
    tag, date = first.header("etag"), first.header("last-modified")
    assert tag
    assert date
    backend.clock.at += timedelta(minutes=5)
    for shown in ({"if-none-match": tag}, {"if-none-match": f'"x", {tag}'}, {"if-modified-since": date}):
        again = client.get(path, headers={**shown, **GZIP})
        assert (again.status, again.body) == (304, b"")
        assert again.header("etag") == tag
    assert client.get(path, headers={"if-none-match": '"other"', "if-modified-since": date}).status == 200
    assert client.get(path, headers={"if-modified-since": "last Tuesday"}).status == 200
    if path != "/feeds.opml":
        detail = detail_of(7777, "tass", "CAATSA waiver", "CAATSA", backend.clock.now(), "caatsa")
        backend.tables.hits[detail.hit.id], backend.tables.entries[7777] = detail.hit, detail.entry
        assert client.get(path, headers={"if-none-match": tag}).status == 200
        assert client.get(path, headers={"if-modified-since": date}).status == 200


def closed() -> tuple[MemoryBackend, HttpClient, HttpClient]:
    """A site with a password: its backend, a person who is logged in, a stranger."""
    backend = sample_tables(password=PASSWORD)
    app = create_app(backend)
    person = HttpClient(app)
    person.post("/login", form={"password": PASSWORD})
    return backend, person, HttpClient(app)


def test_a_token_in_the_address_opens_one_feed() -> None:
    """It is shown once, uncompressed; it opens that feed for reading and nothing else, until it is revoked."""
    backend, person, stranger = closed()
    path = "/feeds/rules/caatsa.atom"
    page = person.post("/feed-links", form={"path": path, "next": "/rules/caatsa"}, headers=GZIP)
    assert page.status == 200
    assert page.header("content-encoding") is None
    assert page.header("x-shown-once") is None
    shown = re.search(r'value="(http://[^"]*token=[^"]*)"', page.text)
    assert shown
    address = urlsplit(shown[1])
    assert stranger.get(f"{address.path}?{address.query}").status == 200
    assert stranger.ask("HEAD", f"{address.path}?{address.query}").status == 200
    for other in ("/feeds/hits.atom", "/feeds/rules/f35.atom", "/feeds.opml", "/api/v1/hits"):
        assert stranger.get(f"{other}?{address.query}").status == 401
    assert stranger.get(f"/?{address.query}").status == 303
    assert stranger.post(f"{address.path}?{address.query}").status in (401, 405)
    assert address.query.removeprefix("token=") not in repr(backend.tables)
    (link,) = backend.tables.feed_links.values()
    assert person.post(f"/feed-links/{link.id}/revoke", form={"next": "/rules"}).status == 303
    assert stranger.get(f"{address.path}?{address.query}").status == 401


def test_links_are_made_and_revoked_by_the_api() -> None:
    """The same by programs; only feeds of this site can be opened."""
    _, person, stranger = closed()
    made = person.ask("POST", "/api/v1/feed-links", data={"path": "/feeds/hits.atom"})
    assert made.status == 201
    address = urlsplit(made.json()["address"])
    assert stranger.get(f"{address.path}?{address.query}").status == 200
    (listed,) = person.get("/api/v1/feed-links").json()
    assert listed["address"] is None
    assert person.ask("DELETE", f"/api/v1/feed-links/{listed['id']}").status == 204
    assert stranger.get(f"{address.path}?{address.query}").status == 401
    for wrong in ("/feeds.opml", "/api/v1/hits", "/feeds/../status.atom", "https://evil.example/x.atom"):
        assert person.ask("POST", "/api/v1/feed-links", data={"path": wrong}).status == 404


def test_the_site_can_be_installed(client: HttpClient) -> None:
    """The page names a manifest whose icons exist, and the policy admits it."""
    page = client.get("/")
    found = re.search(r'rel="manifest" href="([^"]+)"', page.text)
    assert found
    manifest = client.get(found[1])
    assert (manifest.header("content-type") or "").startswith("application/manifest+json")
    assert "manifest-src 'self'" in (page.header("content-security-policy") or "")
    for icon in manifest.json()["icons"]:
        assert client.get(icon["src"]).status == 200
