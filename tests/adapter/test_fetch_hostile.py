"""Hostile and broken servers: every one ends in an error in words, in time, within memory; the others go on."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from statistics import quantiles

import brotli
import pytest
from pydantic import SecretStr

from aggregator.core.errors import BadStatus, FetchError, Forbidden, TooLarge, Unreachable
from aggregator.core.model import Fetched
from aggregator.core.settings import Http, Polling
from aggregator.fetch import HttpFetcher, open_fetcher
from aggregator.fetch.host_limiter import HostLimiter
from aggregator.fetch.ssrf import AddressPolicy
from aggregator.fetch.transport import Request, Transport, TransportConfig
from tests.support.certificates import AUTHORITY, server_context
from tests.support.feed_values import feed, state_of
from tests.support.hostile_documents import ANSWERS, OK, gzip_bomb, slow_handshake
from tests.support.loopback import FEED, Loopback, answer, redirect

pytestmark = pytest.mark.anyio

HTTP = Http.model_validate({"allow": ["127.0.0.0/8"], "timeout": "1s", "connect_timeout": "500ms"})


async def fetch(fetcher: HttpFetcher, url: str) -> Fetched:
    found = await fetcher.fetch(feed("http://configured.example/"), state_of(url, configured_url=url))
    assert isinstance(found, Fetched)
    return found


@pytest.mark.parametrize("case", ANSWERS)
async def test_hostile_answers(case: str) -> None:
    """Each hostile answer gives the right error, in words, within the deadline."""
    said, kind, words = ANSWERS[case]
    loop = asyncio.get_running_loop()
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        began = loop.time()
        with pytest.raises(kind, match=words) as caught:
            await fetch(fetcher, site.script("/", said))
        assert loop.time() - began < 2.5
        assert "127.0.0.1" in str(caught.value) or kind is Forbidden
        assert len(str(caught.value)) < 200


async def test_memory_of_a_bomb() -> None:
    """A bomb of a gigabyte is cut before it takes more than a few megabytes."""
    bomb = answer(200, gzip_bomb(), Content_Encoding="gzip")
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        url = site.script("/", bomb)
        tracemalloc.start()
        with pytest.raises(TooLarge):
            await fetch(fetcher, url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 40 * 2**20


async def test_others_do_not_notice() -> None:
    """While hostile servers do their worst, an ordinary feed is fetched without a long pause."""
    worst = ["header flood", "endless body", "br bomb", "slow body", "endless chunks", "big, honest gzip"]
    async with Loopback() as site, open_fetcher(HTTP, Polling(per_host=64), version="0") as fetcher:
        quiet = site.script("/quiet", answer(200, FEED))
        urls = [site.script(f"/{n}", ANSWERS[case][0]) for n, case in enumerate(worst)]
        attacks = [asyncio.create_task(fetch(fetcher, url)) for url in urls * 2]
        ticks: list[float] = []
        loop = asyncio.get_running_loop()
        while not all(attack.done() for attack in attacks):
            ticks.append(loop.time())
            await fetch(fetcher, quiet)
        assert all(isinstance(attack.exception(), FetchError) for attack in attacks)
        waits = [later - earlier for earlier, later in pairwise(ticks)]
        assert quantiles(waits, n=20)[-1] < 0.5


@pytest.mark.parametrize(
    ("certificate", "words"),
    [("expired", "TLS: certificate expired"), ("other-name", "TLS: certificate is for another address")],
)
async def test_certificates(certificate: str, words: str) -> None:
    """What is wrong with a certificate is said; a good one passes."""
    for name, expected in ((certificate, words), ("good", None)):
        transport = Transport(
            TransportConfig(policy=AddressPolicy(["127.0.0.1"]), user_agent="x"), authorities=AUTHORITY
        )
        async with Loopback(tls=server_context(name)) as site:
            request = Request(url=site.script("/", answer(200, FEED)))
            if expected is None:
                assert (await transport.request(request)).body == FEED
            else:
                with pytest.raises(Unreachable, match=expected) as caught:
                    await transport.request(request)
                assert caught.value.connected
        transport.close()


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing at all."""
    await reader.read()
    writer.close()


@pytest.mark.parametrize("play", [mute, slow_handshake])
async def test_slow_handshake(play: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
    """A server that never ends the TLS handshake, mute or byte by byte, is left at the connection's deadline."""
    server = await asyncio.start_server(play, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unreachable, match=r"no connection after 0\.5 s"):
            await fetch(fetcher, f"https://127.0.0.1:{port}/")
        assert asyncio.get_running_loop().time() - began < 1


async def test_no_server() -> None:
    """A refused connection and an unknown name are told apart, and neither counts as connected."""
    async with open_fetcher(HTTP, Polling(), version="0") as fetcher:
        for url, words in (("http://127.0.0.1:9/", "connection refused"), ("http://nobody.invalid/", "DNS")):
            with pytest.raises(Unreachable, match=words) as caught:
                await fetch(fetcher, url)
            assert not caught.value.connected


async def test_small_and_regular_is_no_bomb() -> None:
    """A short document that compresses 300 times is a document."""
    regular = FEED.replace(b"One.", b"word " * 40_000)
    packed = gzip.compress(regular)
    assert len(regular) > 200 * len(packed)
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        found = await fetch(fetcher, site.script("/", answer(200, packed, Content_Encoding="gzip")))
        assert found.body == regular


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(FEED[:200]) + gzip.compress(FEED[200:]), "gzip"),
        (gzip.compress(FEED) + b"\0" * 40, "x-gzip"),
        (FEED, "gzip"),
        (zlib.compress(FEED), "deflate"),
        (zlib.compress(FEED)[2:-4], "deflate"),
        (brotli.compress(FEED), "BR"),
        (FEED, "identity"),
        (FEED, ""),
    ],
)
async def test_encodings(body: bytes, encoding: str) -> None:
    """Every usual encoding is undone: gzip of several members, raw deflate, br, and a false claim of gzip."""
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        head = OK + f"Content-Encoding: {encoding}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        assert (await fetch(fetcher, site.script("/", head + chunks))).body == FEED


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(403, b"x", cf_mitigated="challenge", Server="cloudflare"), "a Cloudflare challenge"),
        (answer(503, b"x", cf_mitigated="challenge"), "a Cloudflare challenge"),
        (answer(403, b"x", Server="cloudflare", Content_Type="text/html"), "a Cloudflare block page"),
        (answer(403, b"x", Set_Cookie="datadome=abc; Path=/"), "a DataDome challenge"),
        (answer(405, b"x", x_amzn_waf_action="captcha"), "an AWS challenge"),
    ],
)
async def test_challenges(said: bytes, words: str) -> None:
    """Pages that ask "are you human?" are named."""
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        with pytest.raises(BadStatus, match=words) as caught:
            await fetch(fetcher, site.script("/", said))
        assert caught.value.found == "challenge"


async def test_login_page() -> None:
    """A redirect to a page for logging in is named; a feed at such an address is a feed."""
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        url = site.script("/feed", redirect(302, "/login?next=/feed"))
        site.script("/login?next=/feed", answer(200, b"<html>", Content_Type="text/html; charset=utf-8"))
        with pytest.raises(BadStatus, match="redirects to a login page") as caught:
            await fetch(fetcher, url)
        assert caught.value.found == "login page"
        for kind, body in (
            ("application/rss+xml", FEED),
            ("text/html", FEED),
            ("text/html", b"<!-- <html> -->\n<!DOCTYPE rss>" + FEED.partition(b"?>")[2]),
            ("text/html; charset=utf-8", b'\n{"version": "https://jsonfeed.org/version/1.1"}'),
        ):
            site.script("/login?next=/feed", answer(200, body, Content_Type=kind))
            assert (await fetch(fetcher, url)).body == body


@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n" * 2])
@pytest.mark.parametrize("step", [1, 7, 10**6])
@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: {0}\r\nContent-Length: {0}\r\n",
        "content-length: {0}, {0}\r\n",
        "Content-Length: {0}\r\nX: y\r\nCONTENT-LENGTH:{0} ,{0}\r\n",
    ],
)
async def test_a_length_that_is_said_twice(interim: bytes, step: int, lines: str) -> None:
    """The same one each time is one length (RFC 9110, 8.6), wherever the packets are cut."""
    said = interim + OK + lines.format(len(FEED)).encode() + b"\r\n" + FEED

    async def play(writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(said), step):
            writer.write(said[start : start + step])
            await asyncio.sleep(0)

    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        assert (await fetch(fetcher, site.script("/", play))).body == FEED


@pytest.mark.parametrize("lines", ["Content-Length: {0}\r\nContent-Length: 5\r\n", "Content-Length: {0}, 5\r\n"])
async def test_two_lengths_are_no_answer(lines: str) -> None:
    """Which of them would hold is what attacks live on."""
    said = OK + lines.format(len(FEED)).encode() + b"\r\n" + FEED
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        with pytest.raises(Unreachable, match="not valid HTTP"):
            await fetch(fetcher, site.script("/", said))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "HTTP 404 Not Found; check the address"),
        (410, "HTTP 410 Gone; the feed was permanently removed"),
        (401, "HTTP 401 Unauthorized; login required"),
        (500, "HTTP 500 Internal Server Error"),
        (429, "HTTP 429 Too Many Requests; too many requests"),
    ],
)
async def test_statuses_in_words(status: int, words: str) -> None:
    """A bad status comes with its name and a remedy, and never with what the server called it."""
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        with pytest.raises(BadStatus, match=words) as caught:
            await fetch(fetcher, site.script("/", answer(status, b"<script>", "<b>evil</b>")))
        assert caught.value.transient == (status >= 429)
        assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [{"X": "a\r\nHost: evil.example"}, {"Host": "evil.example"}, {"Content-Length": "5"}, {"A b": "c"}, {"X": "a\0"}],
)
async def test_configured_headers(headers: dict[str, str]) -> None:
    """A header can neither break the request apart nor change where it goes, wherever it comes from.

    `check` refuses what is written in a configuration; this is what holds behind it. Its value is not shown.
    """
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        url = site.script("/", answer(200, FEED))
        unchecked = feed(url).model_copy(update={"headers": {name: SecretStr(text) for name, text in headers.items()}})
        with pytest.raises(Forbidden, match="cannot be set") as caught:
            await fetcher.fetch(unchecked, state_of(url))
        assert "evil" not in str(caught.value)
        assert site.asked == []


async def test_headers_replace_ours() -> None:
    """A feed's own headers and User-Agent take the place of the usual ones; other scripts go out as UTF-8."""
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        url = site.script("/", answer(200, FEED))
        own = feed(url, user_agent="Mine/1", headers={"accept": "text/xml", "X-Name": "Ü"}, auth={"bearer": "t"})
        await fetcher.fetch(own, state_of(url))
        (asked,) = site.asked
        assert (asked.header("User-Agent"), asked.header("Accept")) == ("Mine/1", "text/xml")
        assert asked.header("X-Name") == "Ü".encode().decode("latin-1")
        assert asked.header("Authorization") == "Bearer t"


async def test_politeness() -> None:
    """Turns are taken in order, survive errors and cancellation, and leave nothing behind."""
    polite = HostLimiter(1, needs_gap=lambda _: False)
    order: list[int] = []

    async def ask(number: int) -> None:
        async with polite.turn("h"):
            order.append(number)
            await asyncio.sleep(0.01)
            if number == 1:
                raise ValueError

    tasks = [asyncio.create_task(ask(number)) for number in range(5)]
    await asyncio.sleep(0.005)
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 1, 3, 4]
    assert [type(result) for result in results[1:3]] == [ValueError, asyncio.CancelledError]
    assert polite._places == {}
