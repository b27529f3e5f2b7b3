"""Fetching through the operator's proxy: HTTP and SOCKS 5, with and without credentials."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address

import pytest

from aggregator.core.errors import Forbidden, Unreachable
from aggregator.fetch import proxy as proxies
from aggregator.fetch.ssrf import AddressPolicy
from aggregator.fetch.transport import Request, Transport, TransportConfig
from tests.support.certificates import AUTHORITY, server_context
from tests.support.loopback import FEED, Loopback, answer, redirect

pytestmark = pytest.mark.anyio

OPEN = AddressPolicy(["127.0.0.0/8"])


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Relay:
    """A proxy: speaks CONNECT and SOCKS 5, and leads everything to the one server behind it."""

    def __init__(self, behind: int, *, user: bytes = b"", status: bytes = b"200", socks_code: int = 0) -> None:
        self.behind, self.user, self.status, self.socks_code = behind, user, status, socks_code
        self.asked: list[str] = []
        self.heads: list[str] = []
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            first = await reader.readexactly(1)
            await (self._socks(reader, writer) if first == b"\x05" else self._connect(reader, writer))
        writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        self.asked.append(head.split(" ")[1])
        writer.write(b"HTTP/1.1 " + self.status + b" X\r\n\r\n")
        if self.status == b"200":
            await self._lead_on(reader, writer)

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = 2 if self.user else 0
        writer.write(bytes([5, wanted if wanted in methods else 255]))
        if self.user:
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            await reader.readexactly((await reader.readexactly(1))[0])
            writer.write(bytes([1, user != self.user]))
        kind = (await reader.readexactly(4))[3]
        size = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        host = await reader.readexactly(size)
        await reader.readexactly(2)
        self.asked.append(host.decode() if kind == 3 else str(ip_address(host)))
        writer.write(bytes([5, self.socks_code, 0, 1]) + b"\0" * 6)
        if not self.socks_code:
            await self._lead_on(reader, writer)

    async def _lead_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.behind)
        try:
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        finally:
            inner_writer.close()


@asynccontextmanager
async def relay(site: Loopback, **how: object) -> AsyncIterator[Relay]:
    made = Relay(site.port, **how)  # type: ignore[arg-type]
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


def transport(url: str, guard: AddressPolicy = OPEN) -> Transport:
    config = TransportConfig(
        policy=guard, user_agent="x", timeout_s=2, connect_timeout_s=1, proxy=proxies.parse_proxy(url)
    )
    return Transport(config, authorities=AUTHORITY)


async def test_plain_through_http_proxy() -> None:
    """A plain request names the whole address to an HTTP proxy, with the proxy's credentials and no tunnel."""
    async with Loopback() as proxy:
        proxy.script("http://news.example/feed?x", answer(200, FEED))
        sender = transport(f"http://u%40:p@127.0.0.1:{proxy.port}")
        assert (await sender.request(Request(url="http://news.example/feed?x"))).body == FEED
        (asked,) = proxy.asked
        assert asked.header("Host") == "news.example"
        assert asked.header("Proxy-Authorization") == "Basic " + b64encode(b"u@:p").decode()


async def test_tls_through_http_proxy() -> None:
    """A TLS request asks an HTTP proxy for a tunnel; credentials go to the proxy, not to the site."""
    async with Loopback(tls=server_context()) as site, relay(site) as between:
        site.script("/feed", answer(200, FEED))
        sender = transport(f"http://u:p@127.0.0.1:{between.port}")
        assert (await sender.request(Request(url="https://localhost.example:444/feed", verify_tls=False))).body == FEED
        assert between.asked == ["localhost.example:444"]
        assert "Proxy-Authorization: Basic " in between.heads[0]
        assert site.asked[0].header("Proxy-Authorization") is None


@pytest.mark.parametrize("status", [b"403", b"407", b"502"])
async def test_refused_tunnel(status: bytes) -> None:
    """A proxy that refuses a tunnel is named as the culprit."""
    async with Loopback() as site, relay(site, status=status) as between:
        with pytest.raises(Unreachable, match=f"proxy refused a tunnel .* {status.decode()}"):
            await transport(f"http://127.0.0.1:{between.port}").request(Request(url="https://news.example/"))


async def test_socks() -> None:
    """socks5 resolves and checks here, socks5h leaves the name to the proxy; both log in."""
    async with Loopback() as site, relay(site, user=b"me") as between:
        site.script("/feed", answer(200, FEED))
        for scheme, seen in (("socks5", "127.0.0.1"), ("socks5h", "news.example")):
            sender = transport(f"{scheme}://me:secret@127.0.0.1:{between.port}")
            host = "localhost" if scheme == "socks5" else "news.example"
            assert (await sender.request(Request(url=f"http://{host}/feed"))).body == FEED
            assert ip_address(between.asked[-1]).is_loopback if scheme == "socks5" else between.asked[-1] == seen


async def test_socks_refusals() -> None:
    """What a SOCKS proxy refuses is said in words, and never shows the password."""
    async with Loopback() as site:
        async with relay(site, user=b"me") as between:
            with pytest.raises(Unreachable, match="rejected the credentials"):
                await transport(f"socks5h://you:secret@127.0.0.1:{between.port}").request(
                    Request(url="http://a.example/")
                )
            with pytest.raises(Unreachable, match="other credentials") as caught:
                await transport(f"socks5h://127.0.0.1:{between.port}").request(Request(url="http://a.example/"))
            assert "secret" not in str(caught.value)
        reasons = ["general failure", "not allowed", "network unreachable", "host unreachable", "connection refused"]
        for code, reason in enumerate([*reasons, "time-out"], 1):
            async with relay(site, socks_code=code) as between:
                with pytest.raises(Unreachable, match=f"could not connect: {reason}"):
                    await transport(f"socks5h://127.0.0.1:{between.port}").request(Request(url="http://a.example/"))


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "localhost", "10.0.0.1", "10.0.0.1.", "127.1."]
)
async def test_guard_behind_a_proxy(host: str, scheme: str) -> None:
    """What can be checked behind a proxy is checked, on redirects too: the proxy may stand where others may not."""
    closed = AddressPolicy()
    async with Loopback() as proxy:
        sender = transport(f"{scheme}://127.0.0.1:{proxy.port}", closed)
        with pytest.raises(Forbidden):
            await sender.request(Request(url=f"http://{host}/"))
        assert proxy.asked == []
        if scheme == "http":
            proxy.script("http://news.example/", redirect(302, f"http://{host}/"))
            with pytest.raises(Forbidden):
                await sender.request(Request(url="http://news.example/"))


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_names_below_localhost(scheme: str) -> None:
    """Where the proxy resolves, every name below localhost is taken for the proxy itself."""
    with pytest.raises(Forbidden, match="proxy itself"):
        await transport(f"{scheme}://127.0.0.1:9").request(Request(url="http://a.localhost/"))


@pytest.mark.parametrize("url", ["ftp://p:1", "socks4://p:1", "p:8080", "http://", "http://p:port"])
def test_unreadable_proxies(url: str) -> None:
    """A proxy that cannot be read is refused with the forms that can."""
    with pytest.raises(Forbidden, match="proxy"):
        proxies.parse_proxy(url)
