"""One budget for the bytes that are held at once: large documents wait, small ones never, and no wait is endless."""

import asyncio
import gc

import pytest

from aggregator.core.errors import Busy, FetchError
from aggregator.fetch import budget
from aggregator.fetch.budget import Budget, incoming
from aggregator.fetch.ssrf import AddressPolicy
from aggregator.fetch.transport import Request, Response, Transport, TransportConfig
from tests.support.loopback import FEED, Loopback, Play, answer, silence

pytestmark = pytest.mark.anyio

MIB = 2**20


@pytest.fixture
def anyio_backend() -> str:
    """The service speaks asyncio."""
    return "asyncio"


def held_back(size: int) -> Play:
    """A document of `size` bytes whose last byte never comes."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range((size - 1) // 4096):
            writer.write(b" " * 4096)
            await writer.drain()
        await silence(writer)

    return play


def transport(places: int, *, timeout_s: float = 20.0) -> tuple[Transport, Budget]:
    """A way out with room for so many documents of 1 MiB, beside small ones of 16 KiB."""
    total = (places + 1) * MIB + 64 * 16 * 1024
    made = Budget(64, MIB, total)
    made.small_bytes = 16 * 1024
    made.places = places
    config = TransportConfig(
        policy=AddressPolicy(["127.0.0.1"]), user_agent="x", timeout_s=timeout_s, max_body_bytes=MIB
    )
    return Transport(config, budget=made), made


async def test_large_documents_take_turns() -> None:
    """Never more than there are places for; every one is read in the end, and all places come back."""
    body = b"x" * (MIB - 1)
    way_out, fixture = transport(2)
    most = 0
    async with Loopback() as site:
        url = site.script("/", answer(200, body))

        async def one() -> int:
            nonlocal most
            response = await way_out.request(Request(url=url))
            most = max(most, fixture.taken)
            size = len(response.body)
            del response
            return size

        assert await asyncio.gather(*(one() for _ in range(20))) == [len(body)] * 20
    gc.collect()
    assert (1 <= most <= 2, fixture.taken) == (True, 0)


async def test_held_back_bytes_starve_no_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty senders keep the last byte back: small feeds are read at once, a large one in a few turns."""
    monkeypatch.setattr(budget, "HELD_S", 0.05)
    way_out, fixture = transport(3)
    async with Loopback() as site:
        slow = site.script("/slow", held_back(MIB))
        small = site.script("/small", answer(200, FEED))
        large = site.script("/large", answer(200, b"y" * (MIB // 2)))
        senders = [asyncio.create_task(way_out.request(Request(url=slow))) for _ in range(50)]
        while fixture.taken < 3:  # noqa: ASYNC110 -- what is waited for is a count
            await asyncio.sleep(0.01)
        held = 0
        for _ in range(10):
            assert (await way_out.request(Request(url=small))).body == FEED
            held = max(held, fixture.taken)
        assert held <= 3
        async with asyncio.timeout(15):
            response = await way_out.request(Request(url=large))
        assert len(response.body) == MIB // 2
        del response
        for sender in senders:
            sender.cancel()
        outcomes = await asyncio.gather(*senders, return_exceptions=True)
        assert any(isinstance(one, FetchError) and "slow download" in str(one) for one in outcomes)
        del outcomes, senders
    gc.collect()
    assert fixture.taken == 0


async def test_a_failed_document_gives_its_place_back() -> None:
    """Cut off, too large or late: the place is free when the error is raised, whoever keeps the error."""
    way_out, fixture = transport(1, timeout_s=1.0)
    async with Loopback() as site:
        cut = b"HTTP/1.1 200 X\r\nContent-Length: 900000\r\n\r\n" + b"x" * 500_000
        site.script("/cut", cut)
        site.script("/late", held_back(MIB))
        site.script("/large", answer(200, b"x" * (2 * MIB), Transfer_Encoding="identity"))
        errors: list[object] = []
        for path in ("/cut", "/late", "/large", "/cut"):
            errors += await asyncio.gather(way_out.request(Request(url=site.url(path))), return_exceptions=True)
            assert fixture.taken == 0
        assert all(isinstance(error, FetchError) for error in errors)


async def test_readers_hold_their_places() -> None:
    """A document that waits to be parsed still counts, and is not hurried; it goes with its last use, or by hand."""
    way_out, fixture = transport(1)
    async with Loopback() as site:
        url = site.script("/", answer(200, b"x" * (MIB // 2)))
        first: Response | None = await way_out.request(Request(url=url))
        waiting = asyncio.create_task(way_out.request(Request(url=url)))
        await asyncio.sleep(0.2)
        assert (fixture.taken, waiting.done()) == (1, False)
        del first
        gc.collect()
        second = await asyncio.wait_for(waiting, 10)
        assert second.held is not None
        second.held.release()
        second.held.release()
        assert fixture.taken == 0


def test_the_sum_is_within_the_budget() -> None:
    """Whatever is configured, shares and places fit together, and there is at least one place."""
    for concurrency in (1, 128, 2000):
        for most in (MIB, 10 * MIB, 40 * MIB):
            made = Budget(concurrency, most)
            assert made.small_bytes * concurrency + (made.places + 1) * most <= budget.BUDGET_BYTES
            assert made.places >= 1
    assert Budget(128, 2**30).places == 1


async def test_what_is_pushed_to_us_takes_a_place_too() -> None:
    """A large push holds one of the places until it was read in; small ones need none; who finds none comes again."""
    _, fixture = transport(1)
    read = asyncio.Event()

    async def body() -> bytes:
        await read.wait()
        return b"x" * (MIB // 2)

    async with incoming(fixture, MIB // 2, body) as first, incoming(fixture, 1000, body) as small:
        reading = asyncio.ensure_future(first())
        await asyncio.sleep(0)
        assert fixture.taken == 1
        async with incoming(fixture, None, body) as second:
            waiting = asyncio.ensure_future(second())
            await asyncio.sleep(0.01)
            assert fixture.taken == 1
            read.set()
            assert len(await reading) == len(await small()) == MIB // 2
            await asyncio.sleep(0.01)
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    assert fixture.taken == 0


async def test_a_push_that_drips_gives_its_place_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender is told to come again; the others go on."""
    monkeypatch.setattr(budget, "HELD_S", 0.1)
    _, fixture = transport(1)

    async def drip() -> bytes:
        await asyncio.sleep(60)
        return b""

    async def whole() -> bytes:
        return b"x"

    async with incoming(fixture, None, drip) as slow, incoming(fixture, None, whole) as quick:
        dripping = asyncio.ensure_future(slow())
        await asyncio.sleep(0.01)
        waiting = asyncio.ensure_future(quick())
        with pytest.raises(Busy):
            await asyncio.wait_for(dripping, 10)
        assert await asyncio.wait_for(waiting, 10) == b"x"
