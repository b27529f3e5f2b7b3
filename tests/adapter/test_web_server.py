"""Serving: a taken port is reported with its remedy; stopping does not wait for idle listeners."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from aggregator.core.errors import AggregatorError
from aggregator.web import create_app
from aggregator.web.server import Limits, bind, serve
from tests.support.sample_data import sample_tables


def test_a_taken_port_is_named_with_the_remedy() -> None:
    """The message names the port and the setting."""
    held = bind("127.0.0.1:0")
    port = held.getsockname()[1]
    try:
        with pytest.raises(AggregatorError, match=rf"port {port} is in use; .*settings\.web\.listen"):
            bind(f"127.0.0.1:{port}")
    finally:
        held.close()


def test_a_foreign_address_is_refused_in_words() -> None:
    """An address that this machine does not have is said as such."""
    for listen in ("192.0.2.1:8080", "no-such-host.invalid:8080"):
        with pytest.raises(AggregatorError, match="cannot listen on"):
            bind(listen)


def test_serving_leaves_signals_alone_and_ends_at_once() -> None:
    """Signal handlers stay the service's own; a reader of live news does not hold up the end."""

    async def story() -> tuple[int, str, float]:
        bound = bind("127.0.0.1:0")
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        task = asyncio.create_task(serve(create_app(sample_tables()), bound=bound))
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{address}/healthz") as answer:
                status = answer.status
            stream = await session.get(f"{address}/api/v1/events")
            first = (await stream.content.readline()).decode()
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            seconds = time.monotonic() - began
            stream.close()
        return status, first, seconds

    before = (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    status, first, seconds = asyncio.run(story())
    assert (status, first) == (200, "retry: 3000\n")
    assert seconds < 3
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A"
GET = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def served(limits: Limits | None = None) -> AsyncIterator[int]:
    """A site on a port of its own."""
    bound = bind("127.0.0.1:0")
    task = asyncio.create_task(serve(create_app(sample_tables()), bound=bound, limits=limits))
    try:
        yield bound.getsockname()[1]
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def asked(port: int, path: str, source: str = "127.0.0.1") -> int:
    """The status of one request; 0 where the connection was cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(GET.format(path).encode())
    try:
        line = await asyncio.wait_for(reader.readline(), 20)
    except ConnectionError:
        line = b""
    writer.close()
    return int(line.split()[1]) if line else 0


async def held(port: int, count: int, sent: bytes) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connections that sent something and then say nothing more."""
    found = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        found.append((reader, writer))
    return found


def test_a_probe_is_answered_behind_a_crowd() -> None:
    """600 half requests from its own address do not keep the probe from its answer, nor other addresses from theirs."""

    async def story() -> tuple[int, int, int, int]:
        async with served() as port:
            crowd = await held(port, 600, HALF)
            found = [await asked(port, "/healthz"), await asked(port, "/"), await asked(port, "/", "127.0.0.2")]
            for _, writer in crowd:
                writer.close()
            for _, writer in crowd:
                with suppress(ConnectionError):
                    await writer.wait_closed()
            return found[0], found[1], found[2], await asked(port, "/")

    assert asyncio.run(asyncio.wait_for(story(), 60)) == (200, 503, 200, 200)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HALF,
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /heal",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\npassword",
    ],
    ids=["nothing", "half a head", "one request", "one and a half", "half a body"],
)
def test_silence_is_cut_off(sent: bytes) -> None:
    """Whatever a connection is in the midst of, it ends where nothing more comes."""

    async def story() -> None:
        async with served(Limits(head_s=0.3, idle_s=1)) as port:
            [(reader, writer)] = await held(port, 1, sent)
            with suppress(ConnectionError):
                await reader.read()
            writer.close()

    asyncio.run(asyncio.wait_for(story(), 30))


def test_drops_of_a_head_do_not_prolong_it() -> None:
    """A byte now and then is no progress: the head as a whole has its time, also that of a second request."""

    async def story() -> int:
        async with served(Limits(head_s=0.3, idle_s=60)) as port:
            [(reader, writer)] = await held(port, 1, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await reader.readuntil(b"}")
            sent = 0
            with suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"G")
                    await writer.drain()
                    await asyncio.sleep(0.05)
                    sent += 1
            writer.close()
            return sent

    assert 0 < asyncio.run(asyncio.wait_for(story(), 30)) < 300


def test_streams_and_slow_answers_are_no_silence() -> None:
    """Live news goes on although the listener says nothing."""

    async def story() -> bytes:
        async with served(Limits(head_s=0.2, idle_s=1)) as port:
            [(reader, writer)] = await held(port, 1, b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await reader.readuntil(b"retry: 3000\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readuntil(b"never"), 2.5)
            alive = not reader.at_eof()
            writer.close()
            return b"alive" if alive else b"cut off"

    assert asyncio.run(asyncio.wait_for(story(), 30)) == b"alive"


def test_proxies_have_more_than_one_share() -> None:
    """Behind a proxy everybody comes from its address; the limit in all still holds."""
    site = create_app(sample_tables(trusted_proxies=["127.0.0.0/8"]))
    assert site.proxies == ("127.0.0.0/8",)

    async def story() -> list[int]:
        bound = bind("127.0.0.1:0")
        port = bound.getsockname()[1]
        task = asyncio.create_task(serve(site, bound=bound, limits=Limits(per_address=2, in_all=5)))
        crowd = await held(port, 3, HALF)
        found = [await asked(port, "/")]
        crowd += await held(port, 2, HALF)
        found += [await asked(port, "/"), await asked(port, "/healthz")]
        for _, writer in crowd:
            writer.close()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return found

    assert asyncio.run(asyncio.wait_for(story(), 30)) == [200, 503, 200]
