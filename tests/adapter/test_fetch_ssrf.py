"""The address policy on every entry point: nine spellings of loopback, special addresses, DNS, redirects, proxies."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pycurl
import pytest

from aggregator.core.errors import FetchError, Forbidden
from aggregator.core.settings import Http, Polling
from aggregator.fetch import HttpFetcher, curl, open_fetcher, resolver
from aggregator.fetch import transport as transport_module
from aggregator.fetch.discover import discover
from aggregator.fetch.transport import Request
from aggregator.fetch.websub import subscribe
from tests.support.feed_values import feed, state_of
from tests.support.loopback import FEED, PUBLIC, Loopback, answer, make_public, redirect

pytestmark = pytest.mark.anyio

SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "localhost",
    "127。0。0。1",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "ⓛocalhost",
    "0",
    "[::]",
]


@asynccontextmanager
async def guarded(*allow: str, own_ports: tuple[int, ...] = ()) -> AsyncIterator[HttpFetcher]:
    http = Http.model_validate({"allow": list(allow), "timeout": "3s", "connect_timeout": "1s"})
    async with open_fetcher(http, Polling(), version="0", own_ports=own_ports) as fetcher:
        yield fetcher


async def fetch_feed(fetcher: HttpFetcher, url: str) -> None:
    await fetcher.fetch(feed("http://configured.example/"), state_of(url))


async def find_feeds(fetcher: HttpFetcher, url: str) -> None:
    async def never(_: object) -> None:
        """No feed."""

    await discover(url, fetcher.transport, never)


async def post(fetcher: HttpFetcher, url: str) -> None:
    await fetcher.transport.request(Request(url=url, method="POST", body=b"x=1"))


async def subscribe_to_hub(fetcher: HttpFetcher, url: str) -> None:
    await subscribe(
        fetcher.transport, hub=url, topic="http://a.example/", callback="http://b.example/", secret="s", lease_s=1
    )


async def fetch_page(fetcher: HttpFetcher, url: str) -> None:
    await fetcher.page(feed(url if url.startswith("http://127") else "http://configured.example/"), url)


async def fetch_feed_at(fetcher: HttpFetcher, url: str) -> None:
    await fetcher.fetch(feed(url), state_of(url))


ENTRY_POINTS = [fetch_feed, fetch_page, find_feeds, post, subscribe_to_hub]


@pytest.mark.parametrize("entry", ENTRY_POINTS)
@pytest.mark.parametrize("host", SPELLINGS)
async def test_spellings_of_loopback(host: str, entry: Callable[[HttpFetcher, str], object]) -> None:
    """However loopback is spelled, nobody is dialled."""
    async with Loopback() as site, guarded() as fetcher:
        with pytest.raises(Forbidden, match=r"not a public address|itself"):
            await entry(fetcher, site.url("/", host=host))  # type: ignore[misc]
        assert site.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", SPELLINGS)
async def test_redirects_to_loopback(status: int, host: str) -> None:
    """A redirect leads nowhere that a feed's own address could not."""
    async with Loopback(host="127.0.0.2") as site, Loopback() as inner, guarded(f"127.0.0.2:{site.port}") as fetcher:
        site.script("/hop", redirect(status, inner.url("/", host=host)))
        site.script("/feed", redirect(status, "/hop"))
        with pytest.raises(Forbidden):
            await fetch_feed(fetcher, site.url("/feed"))
        assert (len(site.asked), inner.connections) == (2, 0)


def dialled_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What sockets are opened for, from now on."""
    dialled: list[str] = []
    honest = curl.new_socket

    def new_socket(address: pycurl.CurlSockAddr) -> socket.socket:
        dialled.append(address.addr[0])
        return honest(address)

    monkeypatch.setattr(curl, "new_socket", new_socket)
    return dialled


async def test_names_that_change_their_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when asked first and private later is never dialled at the private address."""
    answers = iter([PUBLIC, "127.0.0.1", "127.0.0.1"])
    make_public(monkeypatch)
    monkeypatch.setattr(resolver, "_look_up", lambda _, __: [next(answers)])
    monkeypatch.setattr(resolver, "NAME_TTL_S", -1.0)
    dialled = dialled_by(monkeypatch)
    async with guarded() as fetcher:
        for words in ("connection refused", "not a public address"):
            with pytest.raises(FetchError, match=words):
                await fetch_feed(fetcher, "http://rebinding.example:9/")
    assert dialled == [PUBLIC]


async def test_mixed_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name's addresses only the public ones are dialled."""
    make_public(monkeypatch)
    monkeypatch.setattr(resolver, "_look_up", lambda _, __: ["10.0.0.1", PUBLIC, "::1", "169.254.169.254"])
    dialled = dialled_by(monkeypatch)
    async with guarded() as fetcher:
        with pytest.raises(FetchError, match="refused"):
            await fetch_feed(fetcher, "http://mixed.example:9/")
    assert dialled == [PUBLIC]


async def test_the_second_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first of a name's addresses does not answer, the next one does; a trailing dot changes nothing."""
    async with Loopback() as site, guarded("127.0.0.0/8", f"two.example:{site.port}") as fetcher:
        monkeypatch.setattr(resolver, "_look_up", lambda _, __: ["127.0.0.9", "127.0.0.1"])
        site.script("/", answer(200, FEED))
        dialled = dialled_by(monkeypatch)
        await fetch_feed_at(fetcher, site.url("/", host="two.example"))
        assert dialled == ["127.0.0.9", "127.0.0.1"]
        await fetch_feed_at(fetcher, site.url("/", host="two.lan."))
        assert [asked.header("Host") for asked in site.asked] == [f"two.example:{site.port}", f"two.lan.:{site.port}"]


async def test_sockets_are_opened_for_checked_addresses_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever libcurl wants to dial, and whoever is at the other end in the end, was checked for this very request."""
    monkeypatch.setattr(transport_module, "_pin", lambda place, _: f"+{place.host}:{place.port}:127.0.0.1")
    async with Loopback() as site, guarded(f"name.example:{site.port}") as fetcher:
        monkeypatch.setattr(resolver, "_look_up", lambda _, __: ["127.0.0.9"])
        with pytest.raises(Forbidden, match=r"127\.0\.0\.1 is not an address that was checked"):
            await fetch_feed_at(fetcher, site.url("/", host="name.example"))
        monkeypatch.setattr(curl.Exchange, "open_socket", lambda _, __, address: curl.new_socket(address))
        with pytest.raises(Forbidden, match=r"127\.0\.0\.1 is not an address that was checked"):
            await fetch_feed_at(fetcher, site.url("/", host="name.example"))
        assert site.asked == []


async def test_names_of_two_requests_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each goes where its own lookup led, although libcurl keeps names for all of them."""
    found = iter(["127.0.0.1", "127.0.0.2"] * 20)
    monkeypatch.setattr(resolver, "_look_up", lambda _, __: [next(found)])
    monkeypatch.setattr(resolver, "NAME_TTL_S", -1.0)
    async with Loopback(host="0.0.0.0") as site, guarded(f"name.example:{site.port}") as fetcher:
        site.script("/", answer(200, FEED))
        fetcher.reconfigure(Http(allow=(f"name.example:{site.port}",)), Polling(per_host=64))
        dialled = dialled_by(monkeypatch)
        url = site.url("/", host="name.example")
        request = Request(url=url, home=url)
        await asyncio.gather(*(fetcher.transport.request(request) for _ in range(10)))
    assert set(dialled) <= {"127.0.0.1", "127.0.0.2"}
    assert len(site.asked) == 10


@pytest.mark.parametrize("named", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HTTPS_PROXY"])
async def test_the_environment_names_no_proxy(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the settings do: a proxy of the environment would dial where the policy does not look."""
    async with Loopback() as site, Loopback() as proxy, guarded("127.0.0.0/8") as fetcher:
        monkeypatch.setenv(named, proxy.url())
        await fetch_feed_at(fetcher, site.script("/", answer(200, FEED)))
        assert (len(site.asked), proxy.connections) == (1, 0)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        " file:///etc/passwd",
        "source:file:///etc/passwd",
        "\tfile:/etc/passwd",
        "javascript:alert(1)",
        "gopher://127.0.0.1/",
        "http://inside\\@outside.example/",
        "http://outside.example\\@127.0.0.1/",
        "http://127.0.0.1@outside.example/",
        "http://user:pass@outside.example/",
        "http:///etc/passwd",
        "http://",
        "//outside.example/",
        "/etc/passwd",
        "http://out side.example/",
        "http://outside.example\n.evil.example/",
        "http://[::1/",
        "http://outside.example:99999/",
        "http://outside.example:port/",
        "http://[fe80::1%25eth0]/",
    ],
)
async def test_addresses_that_two_parsers_read_differently(url: str) -> None:
    """Odd schemes, credentials, backslashes and broken hosts are refused before anything is dialled."""
    async with guarded() as fetcher:
        with pytest.raises(Forbidden):
            await fetch_feed(fetcher, url)


LABEL = "a" * 64
IMPOSSIBLE = [
    "http://a..example/",
    "http://.example/",
    "http://a.example../",
    f"http://{LABEL}.example/",
    f"http://{LABEL}ü.example/",
    "http://" + "a." * 126 + "example/",
    "http://ü..example/",
    "http://a\u3002\u3002example/",
    "http://xn--\u00fc.example/",
    "http://\ud800.example/",
    "http://a.example:0/",
    "http://a.example:65536/",
    "http://a.example:-1/",
    "http://a.example:8o/",
    "http://a.example:\u0668\u0660/",
    "http://a.example:80:80/",
    "http://a\x00.example/",
    "http://a\x07.example/",
    "http://a\u0085.example/",
    "http://a\u200b\u202e.example\\/",
    "http://a b.example/",
    "http://a%00.example/",
    "http://a%2e%2e.example/",
    "http://a,b.example/",
    "http://*.example/",
    "http://[::1/",
    "http://::1/",
    "http://[::ffff:1.2.3.4.5]/",
    "http://[v1.x]/",
    "http://[12345::]/",
    "http://[]/",
    "http://[::1]x/",
    "http://[fe80::1%25eth0]/",
    "http://@/",
    "http://:80/",
    "http:///x",
    "http://\u2100.example/",
]


@pytest.mark.parametrize("url", IMPOSSIBLE)
async def test_impossible_addresses(url: str) -> None:
    """What is no web address is a FetchError in words at every way out, never another error, and nobody is dialled."""
    async with guarded() as fetcher:
        for entry in ENTRY_POINTS:
            with pytest.raises(FetchError) as caught:
                await entry(fetcher, url)
            assert str(caught.value).isprintable()
            assert str(caught.value)


@pytest.mark.parametrize("url", [url for url in IMPOSSIBLE if url != "http:///x" and "%25" not in url])
async def test_redirects_to_impossible_addresses(url: str) -> None:
    """Nor can a redirect or a link on a page make any other error; the message names who redirects."""
    async with Loopback() as site, guarded("127.0.0.1") as fetcher:
        raw = url.encode("utf-8", "surrogatepass").replace(b"\0", b"%00").decode("latin-1")
        start = site.script("/feed", redirect(307, raw))
        for entry in (fetch_feed_at, subscribe_to_hub, fetch_page):
            with pytest.raises(FetchError, match=r"127\.0\.0\.1") as caught:
                await entry(fetcher, start)
            assert str(caught.value).isprintable()
        links = "".join(f'<link rel=alternate type="application/rss+xml" href="{url}"><a href="{url}rss">x</a>')
        page = f'<base href="{url}">{links}'.encode("utf-8", "surrogatepass")
        await find_feeds(fetcher, site.script("/page", answer(200, page)))


async def test_allow() -> None:
    """What the operator names is open: host and port, an address, a network; and nothing beside it."""
    async with Loopback() as site:
        site.script("/", answer(200, FEED))
        port = site.port
        for allowed in (f"127.0.0.1:{port}", "127.0.0.1", "127.0.0.0/8", f"localhost:{port}"):
            async with guarded(allowed) as fetcher:
                await fetch_feed(fetcher, site.url("/", host="localhost" if "localhost" in allowed else None))
        for other in (f"127.0.0.1:{port + 1}", "10.0.0.0/8", f"localhost:{port}"):
            async with guarded(other) as fetcher:
                with pytest.raises(Forbidden):
                    await fetch_feed(fetcher, site.url("/"))


async def test_an_edit_opens_and_closes() -> None:
    """Settings that are taken over count from the next request on."""
    async with Loopback() as site, guarded() as fetcher:
        url = site.script("/", answer(200, FEED))
        with pytest.raises(Forbidden):
            await fetch_feed(fetcher, url)
        fetcher.reconfigure(Http(allow=(f"127.0.0.1:{site.port}",)), Polling())
        await fetch_feed(fetcher, url)
        fetcher.reconfigure(Http(), Polling())
        with pytest.raises(Forbidden):
            await fetch_feed(fetcher, url)


async def test_own_address() -> None:
    """The service does not fetch from itself, even where loopback is open."""
    async with Loopback() as site, guarded("127.0.0.0/8", own_ports=(site.port,)) as fetcher:
        with pytest.raises(Forbidden, match="itself"):
            await fetch_feed(fetcher, site.url("/"))
        assert site.asked == []


def test_unreadable_allow() -> None:
    """An entry of `allow` that means nothing is an error, not a hole."""

    async def open_it() -> None:
        async with guarded("everything"):
            await asyncio.sleep(0)

    with pytest.raises(ValueError, match="everything"):
        asyncio.run(open_it())
