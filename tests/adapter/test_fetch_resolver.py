"""Name resolution in threads: answers, errors, and a resolver that hangs."""

import asyncio
import socket
import subprocess
import sys
import threading
import time

import pytest

from aggregator.fetch.resolver import ResolverPool

pytestmark = pytest.mark.anyio

HANGING = """
import asyncio, time
from aggregator.core.errors import Unreachable
from aggregator.core.settings import Http, Polling
from aggregator.fetch import open_fetcher, resolver
from aggregator.fetch.transport import Request

resolver._look_up = lambda host, port: time.sleep(60)

async def main():
    http = Http.model_validate({"timeout": "300ms", "connect_timeout": "300ms"})
    async with open_fetcher(http, Polling(), version="0") as fetcher:
        try:
            await fetcher.transport.request(Request(url="http://hangs.example/"))
        except Unreachable as error:
            print(error)

asyncio.run(main())
"""


async def test_answers_and_errors() -> None:
    """Each question has its own answer, or its own error, on no more threads than allowed."""
    threads = set[str]()

    def look_up(host: str, port: int) -> str:
        threads.add(threading.current_thread().name)
        time.sleep(0.002)
        if host == "nobody":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return f"{host}:{port}"

    resolvers = ResolverPool(3, look_up)
    found = await asyncio.gather(*(resolvers.ask(f"h{n}", n) for n in range(20)))
    assert found == [f"h{n}:{n}" for n in range(20)]
    with pytest.raises(socket.gaierror):
        await resolvers.ask("nobody", 1)
    assert len(threads) <= 3
    resolvers.close()


async def test_one_at_a_time_needs_one_thread() -> None:
    """Threads are started for questions that wait."""
    resolvers = ResolverPool(8, lambda _, __: threading.current_thread().name)
    assert len({await resolvers.ask("h", 1) for _ in range(5)}) == 1
    resolvers.close()


async def test_a_cancelled_lookup_is_not_answered() -> None:
    """A question that was given up is not asked, and its thread goes on."""
    asked, gate = list[str](), threading.Event()

    def look_up(host: str, port: int) -> str:
        asked.append(host)
        gate.wait(5)
        return host

    resolvers = ResolverPool(1, look_up)
    first, second = (asyncio.create_task(resolvers.ask(host, 1)) for host in ("first", "second"))
    await asyncio.sleep(0.02)
    second.cancel()
    gate.set()
    assert await first == "first"
    assert await resolvers.ask("third", 1) == "third"
    assert asked == ["first", "third"]
    resolvers.close()


def test_a_hanging_resolver_does_not_keep_the_process() -> None:
    """The poll fails in time, and so does the process end."""
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=50, check=True)
    assert ended.stdout.strip() == "hangs.example: no connection after 0.3 s"
    assert ended.stderr == ""
    assert time.monotonic() - began < 30
