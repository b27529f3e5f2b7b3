"""One request and its answer over one connection: the framing is aiohttp's, the rest is bare.

aiohttp's ClientSession costs about twice as much per new connection as its protocol and C parser
alone (docs/fetching.md has the figures), and what it adds — pool, cookies, redirects, its own
decompression — is what this service does by hand or not at all. A connection serves one request.
"""

import asyncio
import re
from collections.abc import Callable
from typing import cast

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDictProxy

from aggregator.fetch.budget import Hold

LINE_BYTES = 8190
FIELD_BYTES = 16_384
HEADERS = 128
BUFFER_BYTES = 65_536
INTERIM = 8
SLICE_BYTES = 2_048  # may decode to 200 times as much
PAUSE_BYTES = 16_384
HELD_BYTES = 65_536
INTERIM_HEAD = re.compile(rb"HTTP/1\.[01] 1\d\d")
END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(rb"(?<=\n)content-length[ \t]*:([^\r\n]*)\r?\n", re.IGNORECASE)


def _said_once(head: bytes) -> bytes:
    """Remove the repetition of a Content-Length; the parser refuses two different ones.

    RFC 9110, 8.6: on several lines, or as a list on one.
    """
    lengths = LENGTH.findall(head)
    if len(lengths) < 2 and b"," not in b"".join(lengths):
        return head
    if len({value.strip() for line in lengths for value in line.split(b",")}) != 1:
        return head
    value = lengths[0].split(b",")[0].strip()
    return LENGTH.sub(b"", head).replace(b"\n", b"\nContent-Length: " + value + b"\r\n", 1)


class HttpConnection(ResponseHandler):
    """A protocol that writes its request at once and holds the answer.

    Bounds: 128 headers of 16 KiB, a status line of 8 KiB, 8 interim answers, `most_bytes` in all (the
    wrapping of chunks can be endless without a byte of a body); reading pauses when 64 KiB wait.
    Deadlines are the caller's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, request: bytes, *, most_bytes: int) -> None:
        super().__init__(loop)
        self._request = request
        self._head: bytes | None = b""  # what came of the final answer's head, until it is whole
        self._left_bytes = most_bytes
        self.gave_up = False
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=BUFFER_BYTES,
            max_line_size=LINE_BYTES,
            max_field_size=FIELD_BYTES,
            max_headers=HEADERS,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not through the base class: it would only set TCP_NODELAY, which both loops do themselves.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._left_bytes -= len(data)
        if self.overran and self.transport is not None:
            self.transport.abort()
        elif self._head is None:
            super().data_received(data)
        else:
            self._begin(self._head + data, max(0, len(self._head) - 3))

    def _begin(self, data: bytes, searched: int) -> None:
        """Pass the head on when it is complete, its length given once (the parser refuses a repeated one)."""
        while end := END_OF_HEAD.search(data, searched):
            head, data, searched = data[: end.end()], data[end.end() :], 0
            if INTERIM_HEAD.match(head):
                super().data_received(head)
                continue
            self._head = None
            super().data_received(_said_once(head) + data)
            return
        self._head = data if len(data) < HELD_BYTES else None
        if self._head is None:
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head and exc is None:
            super().data_received(self._head)
        self._head = None
        super().connection_lost(exc)

    @property
    def overran(self) -> bool:
        """Tell whether more was sent than any answer may have."""
        return self._left_bytes < 0

    async def answer(self) -> tuple[RawResponseMessage, StreamReader]:
        """Return the head of the final answer, and its body to come.

        Raises aiohttp's ClientError and HttpProcessingError, OSError.
        """
        for _ in range(INTERIM):
            message, body = await self.read()
            if message.code >= 200:
                return message, body
        raise ClientPayloadError("only interim responses")


async def read_all(body: StreamReader, take: Callable[[bytes], int], hold: Hold) -> None:
    """Pass a body on as it arrives, in slices small enough not to delay the other feeds.

    `take` returns how large the document has become; before it outgrows its share, this waits for a place
    in the budget and pauses the sender. Raises ClientPayloadError if the body is shorter than announced or
    its chunks are cut.
    """
    while data := await body.readany():
        for start in range(0, len(data), SLICE_BYTES):
            if hold.needs_place(take(data[start : start + SLICE_BYTES])):
                await hold.take_place()
            if start % PAUSE_BYTES == 0 and start:
                await asyncio.sleep(0)


def header(headers: CIMultiDictProxy[str], name: str) -> str:
    """Return a header's value, each character one byte as received (latin-1); empty if absent."""
    value = headers.get(name, "")
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")
