"""One request and its answer over one connection: the framing is aiohttp's, the rest is bare.

aiohttp's ClientSession costs about twice as much per new connection as its protocol and C parser
alone (docs/fetching.md has the figures), and what it adds — pool, cookies, redirects, its own
decompression — is what this service does by hand or not at all. A connection serves one request.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDictProxy

LINE_BYTES = 8190
FIELD_BYTES = 16_384
HEADERS = 128
BUFFER_BYTES = 65_536
INTERIM = 8
SLICE_BYTES = 16_384


class Exchange(ResponseHandler):
    """A protocol that writes its request at once and holds the answer.

    Bounds: 128 headers of 16 KiB, a status line of 8 KiB, 8 interim answers, `most_bytes` in all (the
    wrapping of chunks can be endless without a byte of a body); reading pauses when 64 KiB wait.
    Deadlines are the caller's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, request: bytes, *, most_bytes: int) -> None:
        super().__init__(loop)
        self._request = request
        self._left_bytes = most_bytes
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
        else:
            super().data_received(data)

    @property
    def overran(self) -> bool:
        """Whether more was sent than any answer may have."""
        return self._left_bytes < 0

    async def answer(self) -> tuple[RawResponseMessage, StreamReader]:
        """The head of the final answer, and its body to come.

        Raises aiohttp's ClientError and HttpProcessingError, OSError.
        """
        for _ in range(INTERIM):
            message, body = await self.read()
            if message.code >= 200:
                return message, body
        raise ClientPayloadError("nothing but interim answers")


async def read_all(body: StreamReader, take: Callable[[bytes], None]) -> None:
    """Hand a body over as it comes, in slices small enough not to hold up the other feeds.

    Raises ClientPayloadError where the body is shorter than announced or its chunks are cut.
    """
    while data := await body.readany():
        for start in range(0, len(data), SLICE_BYTES):
            take(data[start : start + SLICE_BYTES])
            if start:
                await asyncio.sleep(0)


def header(headers: CIMultiDictProxy[str], name: str) -> str:
    """A header's value, each character one byte as it came (latin-1); empty where absent."""
    value = headers.get(name, "")
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")
