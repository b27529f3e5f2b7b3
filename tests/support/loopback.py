"""A scripted HTTP server on loopback: says byte for byte what a test wants, and remembers what it was asked.

    async with Loopback() as site:
        site.script("/feed", answer(200, FEED, ETag='"a"'), answer(304))
        ...
        assert site.asked[1].header("If-None-Match") == '"a"'

The answers to a target (or else to its path) are given in order; the last one is repeated. An answer is bytes, or a
coroutine function that is handed the writer.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import pytest

from aggregator.fetch import ssrf, transport

# Loopback as well, but `make_public` has the address policy take it for an address on the internet.
PUBLIC = "127.93.184.34"

Play = Callable[[asyncio.StreamWriter], Awaitable[None]]
Answer = bytes | Play

FEED = b"""<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel><title>Loopback News</title><link>http://loopback.example/</link>
<item><title>First</title><link>http://loopback.example/1</link><guid>1</guid>
<pubDate>Mon, 05 Jan 2026 08:00:00 GMT</pubDate><description>One.</description></item>
<item><title>Second</title><link>http://loopback.example/2</link><guid>2</guid>
<pubDate>Mon, 05 Jan 2026 07:00:00 GMT</pubDate><description>Two.</description></item>
</channel></rss>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """A request as it arrived; headers keep their order, case and bytes (as latin-1)."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float

    def header(self, name: str) -> str | None:
        """The header's value, or None; asserts that it was not sent twice."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} was sent {len(found)} times"
        return found[0] if found else None


def answer(status: int = 200, body: bytes = b"", reason: str = "X", /, **headers: str) -> bytes:
    """A response; underscores in header names stand for hyphens. The length is added, unless given."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    framed = {"content-length", "transfer-encoding"} & {name.lower() for name in named}
    if not framed and status not in (204, 304):
        named["Content-Length"] = str(len(body))
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in named.items())]
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1" if max(head) <= "\xff" else "utf-8") + body


def redirect(status: int, location: str, **headers: str) -> bytes:
    """A redirect."""
    return answer(status, Location=location, **headers)


def make_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have PUBLIC, which nobody but this machine can reach, taken for an address that everybody can."""
    honest = ssrf.is_public
    for module in (ssrf, transport):
        monkeypatch.setattr(module, "is_public", lambda address: address == PUBLIC or honest(address))


def drip(head: bytes, byte: bytes = b"a", every_s: float = 0.05) -> Play:
    """Says `head` and then one byte at a time, for ever."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(every_s)

    return play


def flood(head: bytes, piece: bytes, times: int = 10**9) -> Play:
    """Says `head` and then `piece` again and again, as fast as it is taken."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(times):
            if writer.is_closing():
                return
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # drain alone does not let the client run

    return play


async def silence(writer: asyncio.StreamWriter) -> None:
    """Accepts the request and never answers."""
    await asyncio.sleep(3600)


@dataclass(slots=True)
class Loopback:
    """The server; `asked` is everything it heard, `connections` how often it was dialled."""

    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    asked: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    port: int = 0
    _scripts: dict[str, list[Answer]] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def script(self, target: str, *answers: Answer) -> str:
        """Set what `target` answers, and give its URL."""
        self._scripts[target] = list(answers)
        return self.url(target)

    def url(self, target: str = "/", host: str | None = None) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{host or self.host}:{self.port}{target}"

    def heard(self, target: str) -> list[ReceivedRequest]:
        """The requests for one target."""
        return [asked for asked in self.asked if asked.target == target]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return  # the client hung up, which is its right
        except asyncio.CancelledError:
            return  # the test is over; asyncio would log a cancelled connection as an error
        finally:
            self.in_flight -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in head[1:-2]))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        body = await reader.readexactly(length)
        self.asked.append(
            ReceivedRequest(
                method=method, target=target, headers=headers, body=body, at=asyncio.get_running_loop().time()
            )
        )
        path = target.partition("?")[0]
        script = self._scripts.get(target) or self._scripts.get(path) or [answer(404, b"no such page")]
        step = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        else:
            await step(writer)
