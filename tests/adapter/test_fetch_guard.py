"""The guard on every entry point: nine spellings of loopback, special addresses, DNS, redirects, proxies."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from aggregator.core.errors import FetchError, Forbidden
from aggregator.core.settings import Http, Polling
from aggregator.fetch import HttpFetcher, dial, open_fetcher
from aggregator.fetch.discover import discover
from aggregator.fetch.transport import Request
from aggregator.fetch.websub import subscribe
from tests.adapter.loopback import FEED, Loopback, answer, redirect
from tests.adapter.values import feed, state_of

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
        raise AssertionError("nothing can have been fetched")

    await discover(url, fetcher.transport, never)


async def post(fetcher: HttpFetcher, url: str) -> None:
    await fetcher.transport.request(Request(url=url, method="POST", body=b"x=1"))


async def subscribe_to_hub(fetcher: HttpFetcher, url: str) -> None:
    await subscribe(
        fetcher.transport, hub=url, topic="http://a.example/", callback="http://b.example/", secret="s", lease_s=1
    )


ENTRY_POINTS = [fetch_feed, find_feeds, post, subscribe_to_hub]


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


async def test_names_that_change_their_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when asked first and private later is never dialled at the private address."""
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])

    def look_up(host: str, port: int) -> list[dial.AddrInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    dialled: list[str] = []

    async def connect(found: tuple[dial.AddrInfo, ...]) -> socket.socket:
        dialled.extend(info[4][0] for info in found)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(dial, "_look_up", look_up)
    monkeypatch.setattr(dial, "_first", connect)
    monkeypatch.setattr(dial, "NAMES_FOR_S", -1.0)
    async with guarded() as fetcher:
        for _ in range(2):
            with pytest.raises(FetchError):
                await fetch_feed(fetcher, "http://rebinding.example/")
    assert dialled == ["93.184.216.34"]


async def test_mixed_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name's addresses only the public ones are dialled."""
    mixed = ["10.0.0.1", "93.184.216.34", "::1", "169.254.169.254"]
    monkeypatch.setattr(dial, "_look_up", lambda _, port: [(0, 1, 6, "", (address, port)) for address in mixed])
    dialled: list[str] = []

    async def connect(found: tuple[dial.AddrInfo, ...]) -> socket.socket:
        dialled.extend(info[4][0] for info in found)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(dial, "_first", connect)
    async with guarded() as fetcher:
        with pytest.raises(Exception, match="refused"):
            await fetch_feed(fetcher, "http://mixed.example/")
    assert dialled == ["93.184.216.34"]


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
        fetcher.adopt(Http(allow=(f"127.0.0.1:{site.port}",)), Polling())
        await fetch_feed(fetcher, url)
        fetcher.adopt(Http(), Polling())
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
