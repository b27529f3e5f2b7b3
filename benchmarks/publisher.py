"""A loopback publisher for the benchmarks: N feeds of 35 entries, fast enough not to be the bottleneck.

GET /f/7          feed 7, at the version that /_set named (every tenth feed has one more entry per version)
GET /_set?version=1&validators=0
GET /_stats       {"requests", "not_modified", "entries"}

Every feed has an address of its own in 127/8, so that politeness towards one host does not hold.
"""

import asyncio
import json
import random
import sys
from functools import lru_cache
from urllib.parse import parse_qsl
from zlib import crc32

ENTRIES = 35
TEXT = """government minister report energy market defence border agreement talks election court police health science
climate russia turkey europe washington sanctions trade export missile system delivery parliament budget analyst
official source sikkerhet forsvar regjeringen санкции оборона правительство savunma hükümet Verteidigung Regierung"""
WORDS = TEXT.split()
STATE = {"version": 0, "validators": 1, "requests": 0, "not_modified": 0}


def address(number: int) -> str:
    """The loopback address of feed `number`."""
    number += 256
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


@lru_cache(maxsize=200_000)
def entry(feed: int, number: int) -> str:
    dice = random.Random(feed * 1000 + number)
    title = " ".join(dice.choices(WORDS, k=9)).capitalize()
    text = "".join(f"&lt;p&gt;{' '.join(dice.choices(WORDS, k=60))}.&lt;/p&gt;" for _ in range(3))
    link = f"http://news{feed}.example/{number}"
    day, hour = 1 + number % 28, dice.randrange(24)
    return (
        f"<item><title>{title}</title><link>{link}</link><guid>{link}</guid>"
        f"<pubDate>{day:02} Jan 2026 {hour:02}:00:00 GMT</pubDate><description>{text}</description></item>"
    )


def published(feed: int, version: int) -> int:
    """How many entries a feed has brought out by a version."""
    return ENTRIES + (version if feed % 10 == 0 else 0)


@lru_cache(maxsize=20_000)
def document(feed: int, version: int) -> bytes:
    last = published(feed, version)
    items = "".join(entry(feed, number) for number in range(last - 1, last - 1 - ENTRIES, -1))
    head = f"<?xml version='1.0' encoding='UTF-8'?><rss version='2.0'><channel><title>News {feed}</title><link>http://news{feed}.example/</link>"
    return f"{head}<description>benchmark</description>{items}</channel></rss>".encode()


def respond(path: str, headers: bytes) -> bytes:
    path, _, query = path.partition("?")
    if path == "/_set":
        STATE.update({key: int(value) for key, value in parse_qsl(query)})
        return reply(200, b"", b"ok")
    if path == "/_stats":
        return reply(200, b"", json.dumps(STATE).encode())
    feed = int(path.rpartition("/")[2])
    STATE["requests"] += 1
    body = document(feed, STATE["version"] if feed % 10 == 0 else 0)
    if not STATE["validators"]:
        return reply(200, b"Content-Type: application/rss+xml\r\n", body)
    etag = b'"%08x"' % crc32(body)
    if etag in headers:
        STATE["not_modified"] += 1
        return b"HTTP/1.1 304 Not Modified\r\nETag: " + etag + b"\r\nConnection: close\r\n\r\n"
    return reply(200, b"Content-Type: application/rss+xml\r\nETag: " + etag + b"\r\n", body)


def reply(status: int, headers: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %d OK\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, headers, len(body), body)


class Connection(asyncio.Protocol):
    """One request, one answer."""

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if b"\r\n\r\n" in self.buffer:
            head, _, headers = self.buffer.partition(b"\r\n")
            self.transport.write(respond(head.split()[1].decode(), headers))  # type: ignore[attr-defined]
            self.transport.close()


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "0.0.0.0", port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
