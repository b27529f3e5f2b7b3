"""The security middleware: every route closed unless listed, and open only to authenticated requests."""

import base64
import itertools
import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from aggregator.core.errors import AggregatorError
from aggregator.web import create_app
from aggregator.web.app import _fastapi, create_metrics_app
from aggregator.web.auth import Authenticator, Guesses, LoginLimiter, Sessions
from aggregator.web.middleware import ACTS, COOKIE, HUBS, PUBLIC_PATHS, SecurityMiddleware
from aggregator.web.origins import safe_next, split_listen
from tests.support.http_client import HttpClient
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import sample_tables

PASSWORD = "correct horse battery staple"
TOKEN = "a-long-token-for-programs"


def closed(**web: Any) -> tuple[MemoryBackend, HttpClient]:
    """A site that asks for a password or a token."""
    credentials: dict[str, Any] = {"password": PASSWORD, "token": TOKEN}
    backend = sample_tables(**(credentials | web))
    return backend, HttpClient(create_app(backend))


def all_routes() -> list[tuple[str, str]]:
    """Every (method, path) that the site knows, with its parameters filled in."""
    found = iter_route_contexts([route for route in _fastapi().routes if not isinstance(route, Mount)])
    return sorted({(method, re.sub(r"\{[^}]*\}", "1", str(one.path))) for one in found for method in one.methods or ()})


def test_all_route_kinds_are_covered() -> None:
    """The list of routes that the other tests walk is not empty by accident."""
    known = set(all_routes())
    assert {("GET", "/"), ("POST", "/logout"), ("GET", "/api/v1/hits"), ("DELETE", "/api/v1/silences/1")} <= known
    assert {("GET", "/metrics"), ("GET", "/feeds/hits.atom"), ("POST", "/feeds/import"), ("GET", "/api/docs")} <= known
    assert len(known) > 60


def test_every_route_is_closed_to_the_unauthenticated() -> None:
    """Without a credential, or with a wrong one, nothing answers but what is open on purpose."""
    _, client = closed(listen="0.0.0.0:8080")
    wrong = (None, f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Bearer ", "Basic eDp5")
    for number, ((method, path), shown) in enumerate(itertools.product(all_routes(), wrong)):
        if method == "POST" and path == "/login":
            continue
        client.address = f"192.0.2.{number % 250}"  # one address that guesses so much is slowed down
        answer = client.ask(method, path, headers={"authorization": shown})
        assert answer.status == expected_of_a_stranger(method, path), (method, path, shown)


def expected_of_a_stranger(method: str, path: str) -> int:
    """200 where it is open on purpose; pages lead to the login, everything else asks for a token."""
    asked = "GET" if method == "HEAD" else method
    if (asked, path) in PUBLIC_PATHS:
        return 200
    if path.startswith(HUBS):  # open, but nobody's
        return 404 if asked == "GET" else 410
    if path.startswith(ACTS):  # opened by its signature, and this one has none
        return 403 if asked == "GET" else 422
    for_programs = path.startswith(("/api/v1", "/api/openapi", "/metrics")) or path.endswith((".atom", ".opml", ".csv"))
    return 303 if asked == "GET" and not for_programs else 401


@pytest.mark.parametrize("end", ["logout", "new password", "new token", "open to all"])
@pytest.mark.parametrize("credential", ["cookie", "token"])
def test_an_answer_without_end_ends_with_its_credential(end: str, credential: str) -> None:
    """A stream that was opened before a logout, or a change of credentials, is not for whoever opened it any more."""
    backend = sample_tables(password=PASSWORD, token=TOKEN, listen="0.0.0.0:8080")
    authenticator = Authenticator(lambda: backend.current().config.settings.web)
    sessions, scopes = Sessions(), list[Any]()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await PlainTextResponse("")(scope, receive, send)

    guard = SecurityMiddleware(
        endless, backend=backend, listen="0.0.0.0:8080", authenticator=authenticator, sessions=sessions
    )
    name = sessions.begin(backend.clock.now(), authenticator.era())
    shown = {"cookie": f"{COOKIE}={name}"} if credential == "cookie" else {"authorization": f"Bearer {TOKEN}"}
    assert HttpClient(guard).ask("GET", "/api/v1/events", headers=shown).status == 200
    [scope] = scopes
    assert scope["is_still_allowed"]()
    match end:
        case "logout":
            sessions.end(name)
        case "new password":
            backend.web(password="another long password", token=TOKEN)
        case "new token":
            backend.web(password=PASSWORD, token="another-long-token")
        case _:
            backend.web(password=None, token=None)
    kept = credential == "token" and end in ("logout", "new password")
    assert scope["is_still_allowed"]() == kept


def test_every_change_refuses_other_sites() -> None:
    """A request that changes something is refused where a browser says that it comes from elsewhere."""
    backend = sample_tables()
    client = HttpClient(create_app(backend))
    before = repr((backend.tables, backend.reloads, backend.text))
    foreign: tuple[dict[str, str | None], ...] = (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": None, "cookie": "aggregator_session=x"},
    )
    unsafe = [pair for pair in all_routes() if pair[0] not in ("GET", "HEAD")]
    assert len(unsafe) > 20
    for (method, path), headers in itertools.product(unsafe, foreign):
        if path.startswith(HUBS):  # judged by its signature, see test_web_websub.py
            continue
        assert client.ask(method, path, headers=headers).status == 403, (method, path, headers)
    assert repr((backend.tables, backend.reloads, backend.text)) == before


BASIC = "Basic " + base64.b64encode(f"reader:{TOKEN}".encode()).decode()
FROM_ELSEWHERE: tuple[dict[str, str | None], ...] = (
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "nonsense"},
    {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8080"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": None},
    {"origin": ""},
)


@pytest.mark.parametrize("credential", ["cookie", "basic", "basic and cookie"])
def test_no_other_site_writes_with_what_a_browser_sends_by_itself(credential: str) -> None:
    """A session's cookie and a stored Basic login change nothing for a foreign page, whatever the route."""
    backend, client = closed()
    if "cookie" in credential:
        client.post("/login", form={"password": PASSWORD})
    shown = {"authorization": BASIC} if "basic" in credential else {}
    before = repr((backend.tables, backend.reloads, backend.text))
    unsafe = [(m, p) for m, p in all_routes() if m not in ("GET", "HEAD") and not p.startswith((HUBS, ACTS))]
    assert len(unsafe) > 20
    for (method, path), headers in itertools.product(unsafe, FROM_ELSEWHERE):
        if path == "/login" and credential == "basic" and headers.get("origin", 1) is None:
            continue  # a program may log in
        refused = client.ask(method, path, headers={**shown, **headers}).status
        assert refused == (403 if "cookie" in credential or path == "/login" else 401), (method, path, headers)
    assert repr((backend.tables, backend.reloads, backend.text)) == before


def test_our_own_page_and_programs_write() -> None:
    """The same routes open to the page's own forms with a cookie, and to a Bearer token without any origin."""
    _, client = closed()
    client.post("/login", form={"password": PASSWORD})
    for headers in ({}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}):
        assert client.post("/api/v1/reload", headers=dict(headers)).status == 200
    program = HttpClient(client.app, token=TOKEN)
    assert program.post("/api/v1/reload").status == 200
    assert program.post("/api/v1/reload", headers={"origin": "https://other.example"}).status == 200


def test_basic_opens_nothing_but_feeds() -> None:
    """What a browser keeps and sends by itself reads Atom and OPML; it neither writes nor opens a page."""
    _, client = closed()
    readable = {"/feeds/hits.atom", "/feeds/rules/1.atom", "/feeds/views/1.atom", "/feeds/views/1.csv", "/feeds.opml"}
    for method, path in all_routes():
        asked = "GET" if method == "HEAD" else method
        status = client.ask(method, path, headers={"authorization": BASIC, "origin": None}).status
        if path.startswith((HUBS, ACTS)) or (asked, path) in PUBLIC_PATHS or path == "/metrics" or path == "/login":
            continue
        if asked == "GET" and path in readable:
            assert status in (200, 404)
        else:
            assert status in (303, 401), (method, path)


@pytest.mark.parametrize("path", ["/search?q=a+OR+b", "/api/v1/search?q=a", "/rules/edit", "/api/v1/hits/export"])
def test_other_sites_ask_for_nothing_expensive(path: str) -> None:
    """An image or a link of a foreign page starts no search; our own page, an address typed and a program do."""
    client = HttpClient(create_app(sample_tables()))
    for site in ("cross-site", "same-site"):
        assert client.get(path, headers={"sec-fetch-site": site}).status == 403
    for headers in ({"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {}):
        assert client.get(path, headers=headers).status in (200, 422)
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status == 200
    _, guarded = closed()
    shown = {"authorization": f"Bearer {TOKEN}", "sec-fetch-site": "cross-site"}
    assert guarded.get(path, headers=dict(shown)).status in (200, 422)


def test_no_get_changes_anything() -> None:
    """A GET leaves the backend as it was, so that an image in a feed can do no harm."""
    backend = sample_tables()
    client = HttpClient(create_app(backend))
    before = repr((backend.tables, backend.reloads, backend.text))
    for method, path in all_routes():
        if method in ("GET", "HEAD") and path != "/api/v1/events":
            client.ask(method, path)
    assert repr((backend.tables, backend.reloads, backend.text)) == before


def test_token_opens_the_api() -> None:
    """The right token lets a program in, by Bearer or, for feed readers, by Basic."""
    _, client = closed()
    assert client.get("/api/v1/hits", headers={"authorization": f"Bearer {TOKEN}"}).status == 200
    basic = base64.b64encode(f"reader:{TOKEN}".encode()).decode()
    assert client.get("/feeds/hits.atom", headers={"authorization": f"Basic {basic}"}).status == 200
    for broken in ("Basic !!!", "Basic /w==", "Digest x", "Bearer"):
        assert client.get("/api/v1/hits", headers={"authorization": broken}).status == 401


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080", "LOCALHOST:8080", "news.example.org"])
def test_own_names_are_answered(host: str) -> None:
    """Loopback names and the public address are ours."""
    client = HttpClient(create_app(sample_tables(public_url="https://news.example.org")), host=host)
    assert client.get("/readyz").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8080",
        "evil.example@127.0.0.1",
        "127.0.0.1/evil",
        "127.0.0.1\\evil",
        "127.0.0.1:port",
        "",
        "192.0.2.1",
        "a,b",
    ],
)
def test_foreign_names_are_refused(host: str) -> None:
    """A name that was rebound to this machine reaches nothing, not even the login page."""
    client = HttpClient(create_app(sample_tables()), host=host)
    for path in ("/", "/login", "/healthz", "/static/site.css"):
        assert client.get(path).status == 421


def test_forwarded_headers_from_untrusted_addresses_are_ignored() -> None:
    """X-Forwarded-* changes nothing unless the proxy is named in the settings."""
    client = HttpClient(create_app(sample_tables()))
    answer = client.get("/", headers={"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"})
    assert answer.status == 200
    assert b"evil.example" not in answer.body
    assert answer.header("strict-transport-security") is None


def test_forwarded_headers_of_a_named_proxy_are_believed() -> None:
    """Behind a proxy that is named, the cookie is secure and the limit counts the real address."""
    backend = sample_tables(password=PASSWORD, trusted_proxies=["127.0.0.1"], public_url="https://127.0.0.1:8080")
    client = HttpClient(create_app(backend))
    sent = {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7", "origin": "https://127.0.0.1:8080"}
    answer = client.post("/login", form={"password": PASSWORD}, headers=dict(sent))
    assert "Secure" in answer.cookies()[0]
    assert answer.header("strict-transport-security")


def test_beyond_loopback_a_credential_is_needed() -> None:
    """Without password and token the site refuses to be reachable, and says what to set."""
    for listen in ("0.0.0.0:8080", "[::]:8080", "192.0.2.1:80", ":8080"):
        with pytest.raises(AggregatorError, match=r"settings\.web\.password"):
            create_app(sample_tables(listen=listen))
    create_app(sample_tables(listen="0.0.0.0:8080", token=TOKEN))
    create_app(sample_tables(listen="[::1]:8080"))


def test_beyond_loopback_a_credential_is_no_guess() -> None:
    """A short token or password is refused where others can reach the page, and is the owner's affair where not."""
    for name, secret in (("token", "1"), ("token", "x" * 11), ("password", "seven77")):
        with pytest.raises(AggregatorError, match=rf"settings\.web\.{name} has fewer than"):
            closed(listen="0.0.0.0:8080", **{name: secret})
        weak: dict[str, Any] = {name: secret}
        create_app(sample_tables(listen="127.0.0.1:8080", **weak))


def test_a_reload_that_takes_the_password_away_closes_the_site() -> None:
    """The socket cannot move, so a site that asks for nothing any more answers nothing."""
    backend, client = closed(listen="0.0.0.0:8080")
    backend.web(password=None, token=None, listen="127.0.0.1:8080")
    assert client.get("/api/v1/hits").status == 503
    backend.web(password=None, token="1")
    answer = client.get("/api/v1/hits", headers={"authorization": "Bearer 1"})
    assert (answer.status, "fewer than 12" in answer.text) == (503, True)


def test_login_begins_a_new_session_and_logout_ends_it_here() -> None:
    """A session named beforehand is worthless, and a copied cookie dies with the logout."""
    _, client = closed()
    client.jar["aggregator_session"] = "chosen-by-an-attacker"
    answer = client.post("/login", form={"password": PASSWORD, "next": "/rules"})
    assert (answer.status, answer.header("location")) == (303, "/rules")
    cookie = answer.cookies()[0]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    stolen = dict(client.jar)
    assert stolen["aggregator_session"] != "chosen-by-an-attacker"
    assert client.get("/").status == 200
    assert client.post("/logout").status == 303
    client.jar = stolen
    assert client.get("/").status == 303


def test_login_again_ends_the_session_before() -> None:
    """Two logins of one browser leave one session."""
    _, client = closed()
    client.post("/login", form={"password": PASSWORD})
    first = dict(client.jar)
    client.post("/login", form={"password": PASSWORD})
    assert client.get("/").status == 200
    client.jar = first
    assert client.get("/").status == 303


def test_logout_by_get_does_not_exist() -> None:
    """An image cannot log anybody out."""
    _, client = closed()
    client.post("/login", form={"password": PASSWORD})
    assert client.get("/logout").status in (404, 405)
    assert client.get("/").status == 200


def test_sessions_grow_old() -> None:
    """A session ends after a week without use, and with every change of the password."""
    backend, client = closed()
    client.post("/login", form={"password": PASSWORD})
    backend.clock.at += timedelta(days=6)
    assert client.get("/").status == 200
    backend.clock.at += timedelta(days=8)
    assert client.get("/").status == 303
    client.post("/login", form={"password": PASSWORD})
    backend.web(password="another one")
    assert client.get("/").status == 303


def test_guessing_is_limited() -> None:
    """After five wrong passwords an address waits, even with the right one, for seconds; another does not."""
    backend, client = closed()
    for _ in range(5):
        assert client.post("/login", form={"password": "guess"}).status == 401
    for _ in range(30):  # what is turned away counts for nothing
        answer = client.post("/login", form={"password": PASSWORD})
        assert answer.status == 429
    assert 1 <= int(answer.header("retry-after") or 0) <= 3
    other = HttpClient(client.app, address="127.0.0.9")
    assert other.post("/login", form={"password": PASSWORD}).status == 303
    backend.clock.at += timedelta(seconds=2)
    assert client.post("/login", form={"password": PASSWORD}).status == 303
    assert client.post("/login", form={"password": "guess"}).status == 401


def test_the_wait_grows_with_every_guess() -> None:
    """Trying again as soon as possible gives few tries in a day, and no wait is longer than a minute."""
    backend, login_limiter = sample_tables(), LoginLimiter()
    now, attempts, longest = backend.clock.now(), 0, 0.0
    until = now + timedelta(days=1)
    while now < until:
        wait_s = login_limiter.wait_s("192.0.2.1", now)
        longest = max(longest, wait_s)
        now += timedelta(seconds=wait_s)
        login_limiter.failed("192.0.2.1", now)
        attempts += 1
    assert longest == 60
    assert attempts < 5000
    for _ in range(20):  # parallel ones are counted before they are checked
        login_limiter.failed("192.0.2.2", now)
    assert login_limiter.wait_s("192.0.2.2", now) == 60


def test_guesses_of_others_lock_no_owner_out() -> None:
    """Thirty wrong passwords from one address, and a hundred from many, leave the right one right elsewhere."""
    backend, client = closed()
    for _ in range(30):
        client.post("/login", form={"password": "guess"})
    other = HttpClient(client.app, address="127.0.0.9")
    assert other.post("/login", form={"password": PASSWORD}).status == 303
    login_limiter = LoginLimiter()
    for number in range(100):
        login_limiter.failed(f"198.51.100.{number}", backend.clock.now())
    assert login_limiter.wait_s("127.0.0.9", backend.clock.now()) == 0
    for number in range(100):
        login_limiter.failed(f"2001:db8::{number:x}", backend.clock.now())
    assert login_limiter.wait_s("2001:db8::ffff", backend.clock.now()) > 0
    for number in range(10):  # IPv4 on a socket for both families
        login_limiter.failed(f"::ffff:203.0.113.{number}", backend.clock.now())
    assert login_limiter.wait_s("::ffff:203.0.113.99", backend.clock.now()) == 0


def test_a_session_is_not_asked_about_guesses() -> None:
    """While its address is locked, and shows wrong tokens too, a session goes on."""
    _, client = closed()
    client.post("/login", form={"password": PASSWORD})
    stranger = HttpClient(client.app)
    for _ in range(6):
        stranger.post("/login", form={"password": "guess"})
        stranger.get("/api/v1/hits", headers={"authorization": "Bearer wrong-wrong"})
    assert client.get("/").status == 200
    assert client.get("/api/v1/hits", headers={"authorization": "Bearer wrong-wrong"}).status == 200


def test_a_browser_that_was_inside_has_a_count_of_its_own() -> None:
    """Whoever guesses behind the same address does not keep the owner out; the owner's own guesses count."""
    _, client = closed()
    client.post("/login", form={"password": PASSWORD})
    client.post("/logout")
    assert client.get("/").status == 303
    stranger = HttpClient(client.app)
    for _ in range(6):
        stranger.post("/login", form={"password": "guess"})
    assert stranger.post("/login", form={"password": PASSWORD}).status == 429
    assert client.post("/login", form={"password": PASSWORD}).status == 303
    client.post("/logout")
    for _ in range(5):
        client.post("/login", form={"password": "guess"})
    assert client.post("/login", form={"password": PASSWORD}).status == 429


def test_wrong_tokens_are_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A line a minute, and one for ten times as many, says how many an address showed; no line says what."""
    backend, client = closed()
    with caplog.at_level("WARNING"):
        for number in range(15):
            client.get("/api/v1/hits", headers={"authorization": f"Bearer guess-{number}"})
        backend.clock.at += timedelta(minutes=2)
        client.get("/feeds/hits.atom", headers={"authorization": "Basic " + base64.b64encode(b"u:guess-x").decode()})
    detail = [record.getMessage() for record in caplog.records if "token" in record.getMessage()]
    assert detail == [f"wrong token from 127.0.0.1 ({count} recently)" for count in (1, 10, 16)]
    assert "guess" not in caplog.text


def test_who_goes_on_guessing_tokens_waits() -> None:
    """After twenty wrong ones the answers come one after the other; the right token is never asked to wait."""
    _, client = closed()
    waited: list[int] = []

    class Slowed(Guesses):
        async def slow_down(self, count: int) -> None:
            waited.append(count)

    guard = next(g for g in _inside(client.app) if isinstance(g, SecurityMiddleware))
    guard._guesses = Slowed()
    for _ in range(25):
        client.get("/api/v1/hits", headers={"authorization": "Bearer wrong-wrong"})
    assert client.get("/api/v1/hits", headers={"authorization": f"Bearer {TOKEN}"}).status == 200
    assert waited == list(range(1, 26))


def _inside(app: object) -> list[object]:
    """An app and what it wraps."""
    inner = getattr(app, "_app", None)
    return [app, *(_inside(inner) if inner is not None else ())]


def test_long_passwords_count_to_their_last_letter() -> None:
    """No byte of a long password is cut off, and an absurdly long guess costs nothing."""
    long = "x" * 100
    backend = sample_tables(password=long + "a")
    client = HttpClient(create_app(backend))
    assert client.post("/login", form={"password": long + "b"}).status == 401
    assert client.post("/login", form={"password": "y" * 50_000}).status == 401
    assert client.post("/login", form={"password": long + "a"}).status == 303


def test_a_hash_may_stand_for_the_password() -> None:
    """The configuration may hold an argon2id hash instead of the words."""
    from argon2 import PasswordHasher

    client = HttpClient(create_app(sample_tables(password=PasswordHasher().hash(PASSWORD))))
    assert client.post("/login", form={"password": PASSWORD}).status == 303


def test_a_token_alone_locks_the_pages_too() -> None:
    """Where only a token is configured, people log in with it."""
    client = HttpClient(create_app(sample_tables(token=TOKEN)))
    assert client.get("/").status == 303
    assert client.post("/login", form={"password": "wrong"}).status == 401
    assert client.post("/login", form={"password": TOKEN}).status == 303
    assert client.get("/").status == 200


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "https://evil.example", "\\\\evil", "/\t/evil.example", "javascript:alert(1)",
     "/%0d%0aX: y\r\n", " /", "", "evil", "///evil", "/ok\n//evil"],
)  # fmt: skip
def test_next_leads_nowhere_else(target: str) -> None:
    """Only a path of this site is followed."""
    assert safe_next(target) == "/"


def test_the_login_follows_only_paths() -> None:
    """The form's own `next` is not believed either."""
    _, client = closed()
    answer = client.post("/login", form={"password": PASSWORD, "next": "//evil.example"})
    assert answer.header("location") == "/"


def test_next_keeps_a_path_with_its_question() -> None:
    """The page that was asked for comes after the login."""
    _, client = closed()
    asked = client.get("/alerts?state=dead")
    assert asked.header("location") == "/login?next=%2Falerts%3Fstate%3Ddead"
    assert safe_next("/alerts?state=dead") == "/alerts?state=dead"


@pytest.mark.parametrize(
    "path", ["/", "/login", "/api/v1/hits", "/nothing", "/static/site.css", "/healthz", "/api/v1/x"]
)
def test_protective_headers_are_on_every_answer(path: str) -> None:
    """The policy allows nothing inline, nothing foreign, no frame; nothing is sniffed."""
    answer = HttpClient(create_app(sample_tables())).get(path)
    policy = answer.header("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("server") is None


def test_answers_are_not_kept_by_caches() -> None:
    """Pages and data are private; only files whose address carries their digest are kept."""
    client = HttpClient(create_app(sample_tables()))
    assert client.get("/").header("cache-control") == "no-store"
    assert client.get("/static/site.css?v=1").header("cache-control") == "public, max-age=31536000, immutable"


def test_static_files_do_not_lead_out_of_their_folder() -> None:
    """Paths that climb find nothing."""
    client = HttpClient(create_app(sample_tables()))
    for path in ("/static/../site.py", "/static/%2e%2e/site.py", "/static//etc/passwd", "/static/..%2fsite.py"):
        assert client.get(path).status == 404


def test_large_bodies_are_refused() -> None:
    """More than 4 MiB is not read."""
    client = HttpClient(create_app(sample_tables()))
    assert client.post("/api/v1/feeds/import", body=b"x" * (4 * 2**20 + 1)).status == 413
    assert client.post("/login", form={"password": "x" * (5 * 2**20)}).status == 413


def test_unknown_methods_are_refused() -> None:
    """TRACE and inventions are no way in."""
    client = HttpClient(create_app(sample_tables()))
    for method in ("TRACE", "CONNECT", "PROPFIND", "get"):
        assert client.ask(method, "/").status == 405


def test_unknown_keys_are_refused() -> None:
    """A request cannot set what its form does not have."""
    client = HttpClient(create_app(sample_tables()))
    sent = {"rule": "f35", "for": "1h", "id": 7, "until_at": "2099-01-01T00:00:00Z"}
    assert client.post("/api/v1/silences", data=sent).status == 422
    assert client.post("/hits/00001389/mark", form={"mark": "relevant", "rule": "x"}).status == 422


def test_metrics_are_open_on_loopback_only() -> None:
    """Prometheus on the same machine needs no token; beyond it does."""
    _, near = closed()
    assert near.get("/metrics").status == 200
    _, far = closed(listen="0.0.0.0:8080")
    assert far.get("/metrics").status == 401
    assert far.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status == 200


def test_listen_is_read_in_every_spelling() -> None:
    """Host and port, with brackets, without a host, without anything."""
    assert split_listen("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split_listen("[::1]:80") == ("::1", 80)
    assert split_listen(":80") == ("0.0.0.0", 80)
    assert split_listen("8080") == ("127.0.0.1", 8080)
    for wrong in ("host:port", "host:99999", "x"):
        with pytest.raises(AggregatorError, match=r"settings\.web\.listen"):
            split_listen(wrong)


def test_figures_beyond_loopback_ask_for_the_token() -> None:
    """A worker's address keeps the rules of the page: health is open, figures are not, and never without a secret."""
    with pytest.raises(AggregatorError, match="neither a password nor a token"):
        create_metrics_app(sample_tables(), "0.0.0.0:9464")
    site = create_metrics_app(sample_tables().web(token=TOKEN), "0.0.0.0:9464")
    stranger, monitor = HttpClient(site), HttpClient(site, token=TOKEN)
    assert [stranger.get(path).status for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 401]
    assert monitor.get("/metrics").status == 200
    assert monitor.get("/api/v1/hits").status == 404
    assert HttpClient(create_metrics_app(sample_tables(), "127.0.0.1:9464")).get("/metrics").status == 200
