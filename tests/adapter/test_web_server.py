"""Serving: a taken port is said with its remedy; stopping waits for nobody who only listens."""

import asyncio
import signal
import time

import aiohttp
import pytest

from aggregator.core.errors import AggregatorError
from aggregator.web import create_app
from aggregator.web.server import bind, serve
from tests.fakes.morning import morning


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
        task = asyncio.create_task(serve(create_app(morning()), bound=bound))
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
