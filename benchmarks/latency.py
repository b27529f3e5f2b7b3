"""How long an entry takes from its publication until its alert is accepted, with the real service.

    python -m benchmarks.latency [--feeds 1000] [--every 60] [--minutes 3] [--hub] [--json FILE]

A server on loopback is publisher, hub and receiver of alerts in one, so that all instants are of one clock. Entries
come out at random, in random feeds. The interval of a feed is up to a tenth longer than `every` (docs/fetching.md):
that and 2 s are the bound. What the service adds is counted from the request that found the entry. `--hub`: feeds are
pushed, and polled once an hour.
"""

import argparse
import asyncio
import hmac
import json
import random
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from benchmarks.end_to_end import free_port
from benchmarks.publisher import WORDS, address, reply

SPREAD = 1.1
MARGIN_S = 2.0
LISTED = 20
TOKEN = re.compile(rb"token\d+")
Headers = Mapping[bytes, bytes]


class World:
    """Feeds, their hub, and the receiver; when each entry came out, was asked for, and was alerted."""

    def __init__(self, port: int, feeds: int, *, hub: bool) -> None:
        self.port, self.hub = port, hub
        self.entries = [[self._entry(feed, str(number)) for number in range(LISTED)] for feed in range(feeds)]
        self.published: dict[str, float] = {}
        self.asked: dict[str, float] = {}
        self.accepted: dict[str, float] = {}
        self.requests: list[list[float]] = [[] for _ in range(feeds)]
        self.subscribed: dict[int, dict[str, str]] = {}
        self._under_way = set[asyncio.Task[None]]()

    def is_known(self) -> bool:
        """Tell whether every feed was asked for, or its hub."""
        return len(self.subscribed) == len(self.entries) if self.hub else all(self.requests)

    def publish(self, feed: int) -> None:
        """Bring out an entry that a rule looks for; a hub tells of it at once."""
        token = f"token{len(self.published)}"
        self.published[token] = time.monotonic()
        self.entries[feed] = [self._entry(feed, token, f"Zanzibar {token}"), *self.entries[feed][: LISTED - 1]]
        if self.hub:
            self._begin(self._push(feed, token))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.split(b"\r\n")
            headers = dict(line.lower().split(b": ", 1) for line in lines if line)
            body = await reader.readexactly(int(headers.get(b"content-length", 0)))
            writer.write(self.answer(first.split()[1].decode(), headers, body))
            await writer.drain()
        writer.close()

    def answer(self, path: str, headers: Headers, body: bytes) -> bytes:
        now = time.monotonic()
        if path == "/alerts":
            for token in TOKEN.findall(body):
                self.accepted.setdefault(token.decode(), now)
            return reply(200, b"", b"ok")
        if path == "/hub":
            self._begin(self._confirm({name: values[0] for name, values in parse_qs(body.decode()).items()}))
            return reply(202, b"", b"")
        feed = int(path.rpartition("/")[2])
        self.requests[feed].append(now)
        document = self.document(feed)
        etag = b'"%s"' % self.entries[feed][0].encode().hex()[:200].encode()
        if headers.get(b"if-none-match") == etag:
            return b"HTTP/1.1 304 Not Modified\r\nETag: %s\r\nConnection: close\r\n\r\n" % etag
        for token in TOKEN.findall(document):
            self.asked.setdefault(token.decode(), now)
        link = f'Link: <http://{address(feed)}:{self.port}/hub>; rel="hub"\r\n'.encode() if self.hub else b""
        return reply(200, b"Content-Type: application/rss+xml\r\nETag: %s\r\n%s" % (etag, link), document)

    def document(self, feed: int) -> bytes:
        head = f"<?xml version='1.0'?><rss version='2.0'><channel><title>News {feed}</title>"
        return f"{head}{''.join(self.entries[feed])}</channel></rss>".encode()

    def _entry(self, feed: int, name: str, words: str = "") -> str:
        said = " ".join(random.choices(WORDS, k=9))
        link = f"http://news{feed}.example/{name}"
        return f"<item><title>{words} {said}</title><link>{link}</link><guid>{link}</guid></item>"

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _confirm(self, form: dict[str, str]) -> None:
        asked = {"hub.mode": "subscribe", "hub.topic": form["hub.topic"], "hub.challenge": "mellon"}
        await self._request(f"{form['hub.callback']}?{urlencode(asked | {'hub.lease_seconds': '864000'})}")
        self.subscribed[int(form["hub.topic"].rpartition("/")[2])] = form

    async def _push(self, feed: int, token: str) -> None:
        form, body = self.subscribed[feed], self.document(feed)
        signed = hmac.new(form["hub.secret"].encode(), body, "sha256").hexdigest()
        headers = {"X-Hub-Signature": f"sha256={signed}", "Content-Type": "application/rss+xml"}
        self.asked[token] = time.monotonic()
        await self._request(form["hub.callback"], body, headers)

    async def _request(self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> None:
        request = urllib.request.Request(url, body, headers or {})
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=60).read())


def configure(folder: Path, world: World, every_s: int, page: int) -> Path:
    port, every = world.port, "1h" if world.hub else f"{every_s}s"
    lines = [
        f"settings: {{database: 'sqlite:///{folder}/db.sqlite', default_channels: [desk],",
        f"  stories: {{collapse: false}}, polling: {{every: {every}, min_interval: 1s}},",
        "  http: {allow: ['127.0.0.0/8']},",
        f"  web: {{listen: '127.0.0.1:{page}', public_url: 'http://127.0.0.1:{page}', password: mellon}}}}",
        f"channels: {{desk: {{service: webhook, url: 'http://127.0.0.1:{port}/alerts'}}}}",
        "feeds:",
        *(f"  - {{id: f{feed}, url: 'http://{address(feed)}:{port}/f/{feed}'}}" for feed in range(len(world.entries))),
        "rules:",
        "  - {id: watched, any: [zanzibar]}",
        *(f"  - {{id: r{number}, any: ['watchword{number}', 'S-{400 + number}']}}" for number in range(100)),
    ]
    (folder / "config.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "config.yaml"


async def watch(world: World, minutes: float, per_s: float, patience_s: float) -> None:
    """Publish for so long, then wait until the last alert has come."""
    while not world.is_known():  # noqa: ASYNC110 - a benchmark
        await asyncio.sleep(0.2)
    await asyncio.sleep(5.0)  # of which the last poll needs a part
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until:
        await asyncio.sleep(random.expovariate(per_s))
        world.publish(random.randrange(len(world.entries)))
    given_up = time.monotonic() + patience_s
    while len(world.accepted) < len(world.published) and time.monotonic() < given_up:  # noqa: ASYNC110
        await asyncio.sleep(0.2)


def figures(world: World, every_s: float) -> dict[str, float | int]:
    """Return seconds, by what they are of."""
    found: dict[str, float | int] = {"published": len(world.published), "accepted": len(world.accepted)}
    alerted = [(token, at) for token, at in world.accepted.items() if token in world.published]
    spans = {
        "publication to alert": [at - world.published[token] for token, at in alerted],
        "request to alert": [at - world.asked[token] for token, at in alerted if token in world.asked],
        "between requests": [b - a for asked in world.requests for a, b in pairwise(asked[1:])],
    }
    if world.hub:
        del spans["between requests"]
    for name, taken in spans.items():
        taken.sort()
        for part, at in (("median", 0.5), ("p99", 0.99), ("longest", 1.0)):
            found[f"{name}, {part}"] = round(taken[min(len(taken) - 1, int(len(taken) * at))], 2) if taken else 0.0
    found["bound"] = MARGIN_S if world.hub else every_s * SPREAD + MARGIN_S
    return found


async def run(feeds: int, every_s: int, minutes: float, per_s: float, *, hub: bool) -> dict[str, float | int]:
    world = World(free_port(), feeds, hub=hub)
    server = await asyncio.start_server(world.serve, "0.0.0.0", world.port, backlog=4096)
    with tempfile.TemporaryDirectory() as folder:
        config, log = configure(Path(folder), world, every_s, free_port()), Path(folder) / "log"
        with log.open("wb") as file:
            command = [sys.executable, "-m", "aggregator", "run", "--config", str(config)]
            service = await asyncio.create_subprocess_exec(*command, stdout=file, stderr=file)
        try:
            await watch(world, minutes, per_s, every_s * SPREAD + 60)
            if service.returncode is not None:
                raise SystemExit(f"the service ended: {log.read_text(encoding='utf-8')[-2000:]}")
        finally:
            service.terminate()
            await service.wait()
            server.close()
    return figures(world, every_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=1000)
    parser.add_argument("--every", type=int, default=60, help="seconds between polls of a feed")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--per-second", type=float, default=4.0, help="entries that come out")
    parser.add_argument("--hub", action="store_true", help="feeds are pushed by a hub")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = asyncio.run(run(given.feeds, given.every, given.minutes, given.per_second, hub=given.hub))
    for name, value in found.items():
        print(f"{name:35} {value:>10}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
