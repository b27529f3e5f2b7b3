"""Services over HTTP against a receiver on loopback: the shape of each request, and each kind of failure."""

import asyncio
import logging
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from pydantic import SecretStr

from aggregator.app.clock import SystemClock
from aggregator.core.errors import DeliveryError
from aggregator.core.model import Receipt
from aggregator.core.settings import Channel
from aggregator.core.text.tls import certificate_fault, handshake_fault
from aggregator.core.values import Referring
from aggregator.notify import check_channels, open_notifier, recipients
from benchmarks.alert_samples import alerts
from tests.support.certificates import server_context
from tests.support.receivers import Receiver, Request, free_port, receiver

WEB = "a webhook's url must start with https:// or http://"
DESKTOP = "dbus needs a desktop session, which a service does not have"
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Everything that reaches the program's log while a test runs, at its loudest."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    root, keeper = logging.getLogger(), Keeper()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(keeper)
    root.setLevel(level)


async def send(channel: Channel, kind: str = "instant", recipient: str = "") -> Receipt:
    return await open_notifier(SystemClock()).send(channel, alerts()[kind], recipient=recipient)


async def failure(channel: Channel) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(channel)
    return caught.value


def webhook(url: str, **fields: Any) -> Channel:
    return Channel(**{"name": "hook", "service": "webhook", "url": (SecretStr(url),), "timeout": "3s", **fields})


def local(service: str, peer: Receiver, **fields: Any) -> Channel:
    return Channel(name="c", service=service, host="127.0.0.1", port=str(peer.port), timeout="3s", **fields)


async def test_webhook_document() -> None:
    """The document has the promised fields, the key of the delivery in a header, and the bearer token."""
    with receiver() as peer:
        receipt = await send(webhook(f"{peer.url}/hooks/news?team=desk", token="s3cret-token"), "digest")
    (request,) = peer.requests
    assert (request.method, request.path) == ("POST", "/hooks/news?team=desk")
    assert request.headers["Idempotency-Key"] == "1f0c77aa90b2d4e6f811"
    assert request.headers["Authorization"] == "Bearer s3cret-token"
    assert request.headers["Content-Type"] == "application/json"
    document = request.json()
    assert set(document) == {
        "id", "kind", "subject", "text", "priority", "possible_repeat", "why", "more", "created_at", "page", "hits",
        "thread", "update",
    }  # fmt: skip
    assert (document["kind"], document["more"], len(document["hits"])) == ("digest", 37, 6)
    hit = document["hits"][0]
    assert hit["snippet"][hit["snippet"].find("S‑400") :].startswith("S‑400")
    assert hit["link"] == "https://tass.example/politics/1892"
    assert hit["spans"][0]["text"] == "S-400"
    assert receipt.detail == "127.0.0.1: accepted (200)"


async def test_plain_json_xml_and_form() -> None:
    """Apprise's own json, xml and form services get the key as well."""
    with receiver() as peer:
        for service in ("json", "xml", "form"):
            await send(Channel(name=service, url=(SecretStr(f"{service}://127.0.0.1:{peer.port}/x"),)))
    assert [request.headers["Idempotency-Key"] for request in peer.requests] == ["1f0c77aa90b2d4e6f811"] * 3
    assert "S-400" in peer.requests[0].json()["message"]
    assert b"<Message>" in peer.requests[1].body
    assert b"message=" in peer.requests[2].body


async def test_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack gets its own markup, links and marks, for one channel at a time."""
    with receiver() as peer:
        monkeypatch.setattr(NotifySlack, "webhook_url", peer.url)
        peer.answer = lambda _request: (200, {}, b"ok")
        tokens = {"token_a": "T1JJ3T3L2", "token_b": "A1BRTD4JD", "token_c": "TIiajkdnlazkcOXrIdevi7FQ"}
        channel = Channel(name="s", service="slack", targets=["#ops", "#desk"], timeout="3s", **tokens)
        assert recipients(channel) == ("#ops", "#desk")
        await send(channel, recipient="#desk")
    (request,) = peer.requests
    payload = request.json()
    assert payload["channel"] == "#desk"
    body = payload["attachments"][0]["text"]
    assert "<https://tass.example/politics/1892|tass.example>" in body
    assert "*S‑400*" in body
    assert payload["attachments"][0]["title"] == "", "Slack would read its signs"
    assert body.startswith("*Putin and Erdogan discuss S-400 deliveries despite CAATSA threat*")


async def test_discord(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discord gets escaped markdown and may ping nobody."""
    with receiver() as peer:
        monkeypatch.setattr(NotifyDiscord, "notify_url", peer.url)
        peer.answer = lambda _request: (204, {}, b"")
        await send(Channel(name="d", url=(SecretStr(f"discord://{'4' * 18}/{'B' * 68}"),), timeout="3s"), "digest")
    payload = peer.requests[0].json()
    text = payload.get("content") or payload["embeds"][0]["description"]
    assert r"S\-400" in text
    assert len(text) <= 2000
    assert "everyone" not in str(payload.get("allow_mentions", payload.get("allowed_mentions", "")))


async def test_telegram(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram gets its HTML subset; the link shows its host."""
    with receiver() as peer:
        monkeypatch.setattr(NotifyTelegram, "notify_url", f"{peer.url}/bot")
        await send(
            Channel(
                name="t", service="telegram", bot_token="123456789:abcdefg_hijklmnop", to=["12315544"], timeout="3s"
            )
        )
    (request,) = peer.requests
    payload = request.json()
    assert request.path == "/bot123456789:abcdefg_hijklmnop/sendMessage"
    assert (str(payload["chat_id"]), payload["parse_mode"]) == ("12315544", "HTML")
    assert '<a href="https://tass.example/politics/1892">tass.example</a>' in payload["text"]
    assert payload["text"].startswith("<b>Putin and Erdogan")


async def test_ntfy() -> None:
    """ntfy gets a title, a short text and the link to click."""
    with receiver() as peer:
        await send(local("ntfy", peer, to=["news"]))
    payload = peer.requests[0].json()
    assert payload["topic"] == "news"
    assert payload["title"].startswith("Putin and Erdogan")
    assert peer.requests[0].headers["X-Click"] == "https://tass.example/politics/1892"
    assert "Washington warned Ankara" in payload["message"]


async def test_gotify() -> None:
    """Gotify gets title and message, its token in the header or the path, not in what we log."""
    with receiver() as peer:
        await send(local("gotify", peer, token="AbCdEfGhIjKlMnO"))
    payload = peer.requests[0].json()
    assert payload["title"].startswith("Putin and Erdogan")
    assert "Washington warned Ankara" in payload["message"]


async def test_matrix() -> None:
    """Matrix gets HTML with a plain body beside it, sent once under a transaction."""
    with receiver() as peer:
        peer.answer = _homeserver
        await send(local("matrix", peer, user="bot", password="pw-of-the-bot", to=["#ops:127.0.0.1"]))
    sent = next(request for request in peer.requests if "/send/m.room.message" in request.path)
    content = sent.json()
    assert content["format"] == "org.matrix.custom.html"
    assert "<strong>" in content["formatted_body"]
    assert "S‑400" in content["body"]


def _homeserver(request: Request) -> tuple[int, dict[str, str], bytes]:
    if "/login" in request.path:
        body = b'{"access_token": "tok", "home_server": "127.0.0.1", "user_id": "@bot:127.0.0.1", "device_id": "d"}'
    elif "/directory/room" in request.path or "/join" in request.path:
        body = b'{"room_id": "!room:127.0.0.1", "servers": ["127.0.0.1"]}'
    elif "/joined_rooms" in request.path:
        body = b'{"joined_rooms": ["!room:127.0.0.1"]}'
    elif "/state/m.room.encryption" in request.path:
        return 404, {"Content-Type": "application/json"}, b'{"errcode": "M_NOT_FOUND", "error": "none"}'
    else:
        body = b'{"event_id": "$1"}'
    return 200, {"Content-Type": "application/json"}, body


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        (500, True),
        (502, True),
        (503, True),
        (429, True),
        (408, True),
        (400, False),
        (401, False),
        (404, False),
        (410, False),
        (302, False),
    ],
)
async def test_statuses(status: int, transient: bool) -> None:
    """5xx, 408 and 429 are tried again; what the service refuses is final; the status and its words are told."""
    with receiver() as peer:
        peer.answer = lambda _request: (status, {"Location": "/elsewhere"}, b"no such hook")
        error = await failure(webhook(f"{peer.url}/x"))
    assert (error.transient, error.unknown) == (transient, False)
    assert str(status) in str(error)
    assert len(peer.requests) == 1
    if status != 302:
        assert "no such hook" in str(error)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "120"}, b"", 120.0),
        ({"Retry-After": "Mon, 02 Mar 2026 09:10:00 GMT", "Date": "Mon, 02 Mar 2026 09:00:00 GMT"}, b"", 600.0),
        ({}, b'{"message": "limited", "retry_after": 2.5}', 2.5),
        ({}, b'{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 3000}', 3.0),
        ({"Retry-After": "soon"}, b"", None),
    ],
)
async def test_patience_that_a_service_asks_for(headers: dict[str, str], body: bytes, seconds: float | None) -> None:
    """Retry-After in its three forms reaches the retry policy."""
    with receiver() as peer:
        peer.answer = lambda _request: (429, headers, body)
        error = await failure(webhook(peer.url))
    assert error.retry_after_s == seconds


async def test_no_listener() -> None:
    """A refused connection certainly delivered nothing."""
    error = await failure(webhook(f"http://127.0.0.1:{free_port()}/"))
    assert (error.transient, error.unknown) == (True, False)
    assert "Connection refused" in str(error)


async def test_a_connection_that_breaks_before_the_answer() -> None:
    """The request was read and no answer came: it may have arrived."""
    with receiver() as peer:
        peer.answer = lambda _request: None
        error = await failure(webhook(peer.url))
    assert error.unknown


async def test_a_service_that_hangs_is_left_at_the_deadline() -> None:
    """The deadline holds, and what was written counts as possibly arrived."""
    with receiver() as peer:
        peer.answer = _slow
        began = time.monotonic()
        error = await failure(webhook(peer.url, timeout="0.5s"))
        assert time.monotonic() - began < 2
    assert error.unknown


def _slow(_request: Request) -> tuple[int, dict[str, str], bytes]:
    time.sleep(1.5)
    return 200, {}, b""


async def test_hanging_channels_do_not_hold_up_others() -> None:
    """With one channel's places all taken, another channel still sends at once."""
    with receiver() as slow, receiver() as quick:
        slow.answer = _slow
        notifier, alert = open_notifier(SystemClock()), alerts()["instant"]
        await notifier.send(webhook(quick.url, name="warm"), alert)
        hanging = [asyncio.create_task(notifier.send(webhook(slow.url), alert)) for _ in range(12)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await notifier.send(webhook(quick.url, name="other"), alert)
        assert time.monotonic() - began < 1
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_no_secret_is_ever_shown(said: list[str]) -> None:
    """Neither errors nor logs at their loudest hold a token, a password or a URL with one."""
    secrets = ("TOKEN-in-path", "bearer-SECRET", "query-SECRET", "user-PASS", "bWU6dXNlci1QQVNT")
    with receiver() as peer:
        peer.answer = lambda request: (500, {}, f"echo {request.path} {request.headers}".encode())
        url = f"http://me:user-PASS@127.0.0.1:{peer.port}/TOKEN-in-path?key=query-SECRET"
        error = await failure(webhook(url, token="bearer-SECRET"))
        detail = [str(error), *said]
        detail += [
            repr(problem) for problem in check_channels([Channel(name="x", url=(SecretStr("foo://TOKEN-in-path"),))])
        ]
        detail += [repr(p) for p in check_channels([Channel(name="x", url=(SecretStr("slack://TOKEN-in-path/b/c"),))])]
    for secret in secrets:
        assert not [line for line in detail if secret in line], secret


@pytest.mark.parametrize(
    ("channel", "path", "message", "hint"),
    [
        ({"service": "slak"}, ("c", "service"), "no service named 'slak'", "did you mean 'slack'?"),
        ({"url": ["slak://a/b/c"]}, ("c", "url"), "no service named 'slak'", "did you mean 'slack'?"),
        ({"service": "ntfy", "topik": "x"}, ("c", "topik"), "ntfy has no field 'topik'", "did you mean 'topic'?"),
        ({"service": "telegram", "to": ["1"]}, ("c",), "tgram needs 'bot_token'", "Bot Token"),
        ({"service": "ntfy", "host": "h", "port": "x", "to": ["a"]}, ("c", "port"), "port: 'x' is not a number", None),
        ({"service": "webhook", "url": ["x://h/"]}, ("c", "url"), WEB, None),
        ({"service": "dbus"}, ("c", "service"), DESKTOP, None),
        ({"service": "webhook"}, ("c",), "a webhook needs url: https://…", None),
        ({"service": "console", "colour": "red"}, ("c", "colour"), "the console has no field 'colour'", "remove it"),
        ({}, ("c",), "the channel has no recipients", None),
    ],
)  # fmt: skip
async def test_mistakes(channel: dict[str, Any], path: tuple[str, ...], message: str, hint: str | None) -> None:
    """Each mistake in a channel is named at its place, with a proposal where there is one."""
    problems = check_channels([Channel(name="c", **channel)])
    assert (path, message, hint) in [(p.path, p.message, p.hint) for p in problems]


async def test_good_channels_have_no_problems() -> None:
    """The forms of the documentation pass."""
    good = [
        Channel(name="console", service="console"),
        Channel(name="mail", url=(SecretStr("mailtos://u:pw@smtp.example.org?to=a@example.org,b@example.org"),)),
        Channel(
            name="mail2", service="mailtos", host="smtp.example.org", user="u@example.org", password="p", to="a@b.no"
        ),
        Channel(name="ntfy", service="ntfys", host="ntfy.example.org", token="tk_x", to=["news"]),
        Channel(name="hook", service="webhook", url=(SecretStr("https://example.org/hook"),), headers={"X-Key": "k"}),
        Channel(name="matrix", service="matrixs", host="example.org", user="u", password="p", to=["#ops:example.org"]),
    ]
    assert check_channels(good) == ()
    assert [recipients(channel) for channel in good][1] == ("a@example.org", "b@example.org")


async def test_an_unusable_channel_dies_visibly() -> None:
    """A broken channel in a running service is a final failure with the reason, not a crash."""
    error = await failure(Channel(name="c", service="slak"))
    assert not error.transient
    assert "no service named 'slak'" in str(error)


@pytest.mark.parametrize("body", ["\x1b[31mred\x07", "\x9b2J", "\u202eevil\u2066", "a\u200bb\u00adc", "x\r\ny", "\x00"])
async def test_what_a_receiver_says_is_clean_before_it_is_kept(body: str) -> None:
    """Control, bidi and invisible characters of an answer go no further than the wire; its charset is its own."""
    with receiver() as peer:
        peer.answer = lambda _: (500, {"Content-Type": "text/plain; charset=undefined"}, f"no {body} way".encode())
        error = await failure(webhook(peer.url))
    assert "HTTP 500: no" in str(error)
    assert str(error).isprintable()


def several(*urls: str | SecretStr, service: str | None = "webhook") -> Channel:
    secrets = tuple(url if isinstance(url, SecretStr) else SecretStr(url) for url in urls)
    return Channel(name="hook", service=service, url=secrets, timeout="3s")


@pytest.mark.parametrize("service", ["webhook", None])
async def test_addresses_of_one_host_in_another_order(service: str | None) -> None:
    """A row that waits goes to the address that it was made for, wherever that stands in the list by now."""
    with receiver() as peer:
        url = peer.url if service else peer.url.replace("http://", "json://")
        before = several(f"{url}/a", f"{url}/b", service=service)
        of_a, of_b = recipients(before)
        for after in (before, several(f"{url}/b", f"{url}/c", f"{url}/a", service=service)):
            for name in (of_a, of_b):
                await send(after, recipient=name)
        await send(several(f"{url}/b", service=service), recipient=of_b)
        with pytest.raises(DeliveryError, match="no longer a recipient"):
            await send(several(f"{url}/b", service=service), recipient=of_a)
    assert [request.path for request in peer.requests] == ["/a", "/b", "/a", "/b", "/b"]


async def test_rows_of_before_addresses_were_told_apart() -> None:
    """An alert that waited under a host's name, alone or with a place, goes to the address in that place."""
    with receiver() as peer:
        now = several(f"{peer.url}/a", f"{peer.url}/b")
        for name in ("127.0.0.1", "127.0.0.1-2"):
            await send(now, recipient=name)
        for name in ("127.0.0.1-3", "127.0.0.1-0", "127.0.0.1-x", "127.0.0.2"):
            with pytest.raises(DeliveryError, match="no longer a recipient"):
                await send(now, recipient=name)
    assert [request.path for request in peer.requests] == ["/a", "/b"]


async def test_a_renewed_secret_in_one_of_several_addresses() -> None:
    """The address is the one that is written: with another value of its secret it is the same recipient."""
    with receiver() as peer:

        def hook(name: str, secret: str) -> Referring:
            return Referring(f"{peer.url}/{name}/{secret}", f"{peer.url}/{name}/${{{name.upper()}}}")

        of_a, of_b = recipients(several(hook("a", "old"), hook("b", "old")))
        now = several(hook("b", "new"), hook("a", "new"))
        await send(now, recipient=of_a)
        await send(now, recipient=of_b)
        one, two = (several(f"http://u:{secret}@h.example/a", "http://h.example/b") for secret in ("old", "new"))
        assert recipients(one) == recipients(two)
    assert [request.path for request in peer.requests] == ["/a/new", "/b/new"]


@contextmanager
def over_tls(name: str) -> Iterator[int]:
    """A server that shakes hands with this certificate; "" answers in plain text, "gone" hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with suppress(OSError), connection:
                connection.recv(1, 0 if name in ("", "gone") else socket.MSG_PEEK)
                if not name:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                elif name != "gone":
                    server_context(name).wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("good", "certificate is from an unknown issuer"),
        ("", "the server does not speak TLS on this port"),
        ("gone", "connection lost before a response"),
    ],
)
async def test_a_tls_connection_that_fails_says_why(name: str, words: str) -> None:
    """It is tried again, since nothing was sent, and the person knows whom to ask for what."""
    with over_tls(name) as port:
        error = await failure(webhook(f"https://127.0.0.1:{port}/hook"))
    assert words in str(error)
    assert error.transient


def test_words_for_certificates_and_handshakes() -> None:
    """What OpenSSL says by a number or in capitals; what it may say tomorrow stays readable."""
    assert certificate_fault(10) == "certificate expired"
    assert certificate_fault(99) == "certificate not trusted (code 99)"
    assert handshake_fault("TLSV13_ALERT_CERTIFICATE_REQUIRED") == "the server asks for a client certificate"
    assert handshake_fault("TLSV1_ALERT_PROTOCOL_VERSION") == handshake_fault("UNSUPPORTED_PROTOCOL")
    assert handshake_fault("SOMETHING_NEW") == "handshake failed (something new)"
    assert handshake_fault(None) == "handshake failed"


@pytest.mark.parametrize(
    ("path", "location", "words"),
    [
        ("/hook", "https://elsewhere.example/x?token=a-secret-token", "https://elsewhere.example;"),
        ("/hook", "/hook/", "the same address with a / at its end;"),
        ("/hook", "login", "another path of the same server;"),
        ("/hook", "//user:a-secret-token@other.example:8443/x", "http://other.example:8443;"),
        ("/hook", "javascript:alert(1)", "something that is no web address"),
        ("/hook", "http://[", "something that is no web address"),
    ],
)
async def test_a_redirect_says_where_to(path: str, location: str, words: str) -> None:
    """It is not followed; the person reads what to write instead, without what may be a token."""
    with receiver() as peer:
        peer.answer = lambda _request: (308, {"Location": location}, b"{}")
        error = await failure(webhook(peer.url + path))
    assert str(error).startswith(f"channel hook: 127.0.0.1: HTTP 308: redirects to {words}")
    assert not error.transient
    assert "a-secret-token" not in str(error)


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"token": "tok€n"}, ("token",), "token: it has characters that a header cannot have"),
        (
            {"token": "two\nlines"},
            ("token",),
            "token: it has a line break, or is a header that the program itself sets",
        ),
        ({"headers": {"X-Key": "ключ"}}, ("headers", "X-Key"), "X-Key: it has characters that a header cannot have"),
        ({"url": "http://a..example/"}, ("host",), "'a..example' is not a host name"),
        ({"url": f"http://{'a' * 64}.example/"}, ("host",), f"'{'a' * 64}.example' is not a host name"),
    ],
)
def test_what_could_never_be_sent(fields: dict[str, Any], path: tuple[str, ...], message: str) -> None:
    """The check names the field, instead of an alert that is tried for three days."""
    (problem,) = check_channels([webhook(**{"url": "http://example.org/", **fields})])
    assert (problem.path, problem.message) == (("hook", *path), message)
    assert problem.hint


async def test_what_cannot_be_sent_is_given_up_at_once() -> None:
    """A service whose address or header nobody can send says so, without what it holds."""
    for fields in ({"host": "a..example"}, {"host": "127.0.0.1", "port": "9", "user": "ключ", "password": "secret€"}):
        error = await failure(Channel(name="c", service="json", timeout="3s", **fields))
        assert "the request cannot be made" in str(error)
        assert (error.transient, error.unknown) == (False, False)
        assert "€" not in str(error)


async def test_a_login_in_another_script() -> None:
    """Basic authentication is UTF-8 where Latin-1 has not its letters."""
    with receiver() as peer:
        await send(webhook(peer.url, user="ключ", password="пароль€"))
        peer.answer = lambda request: (500, {}, request.headers["Authorization"].split()[1].encode())
        error = await failure(webhook(peer.url, user="ann", password="a-password"))
    expected = b64encode("ключ:пароль€".encode()).decode()
    assert peer.requests[0].headers["Authorization"] == f"Basic {expected}"
    assert str(error) == "channel hook: 127.0.0.1: HTTP 500: ***"
