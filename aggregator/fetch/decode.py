"""Undoing Content-Encoding piece by piece, so that a bomb is cut off while it is still small.

Caps: the decoded size, and the ratio of decoded to received bytes once there is enough of it to
tell (a short, very regular document may well be 300 times smaller on the wire).
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli

from aggregator.core.errors import TooLarge, Unreachable

RATIO = 200
RATIO_FROM_BYTES = 256 * 1024
PIECE_BYTES = 64 * 1024
GZIP_MAGIC = b"\x1f\x8b"


class Decoder(Protocol):
    """One Content-Encoding; raises zlib.error or brotli.error on broken data."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` decodes to, at most PIECE_BYTES at a time."""
        ...

    def is_complete(self) -> bool:
        """Whether the encoded stream has reached its own end."""
        ...


class Identity:
    """Bytes as they come."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield data

    def is_complete(self) -> bool:
        return True


class Zlib:
    """gzip (of several members, RFC 1952), and deflate with or without its wrapper.

    A body that claims gzip and is not is taken as it is: servers and caches do that.
    """

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if gzip else None
        self._head = b""
        self._plain = False
        self._done = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if len(self._head) < 2:
            data = self._head + data
            self._head = data[:2]
            if len(self._head) < 2:
                return
            self._begin()
        if self._plain:
            yield data
            return
        while data and not self._done:
            inflate = self._inflate
            assert inflate is not None
            yield inflate.decompress(data, PIECE_BYTES)
            data = inflate.unconsumed_tail
            if inflate.eof:
                data = self._next_member(inflate.unused_data)

    def is_complete(self) -> bool:
        inflate = self._inflate
        return self._plain or self._done or not self._head or (inflate is not None and inflate.eof)

    def _begin(self) -> None:
        if self._gzip:
            self._plain = self._head != GZIP_MAGIC
        else:
            wrapped = self._head[0] & 0x0F == 8 and int.from_bytes(self._head, "big") % 31 == 0
            self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)

    def _next_member(self, rest: bytes) -> bytes:
        """Start on a further gzip member; zeros and rubbish after the last one are ignored."""
        if self._gzip and (rest.startswith(GZIP_MAGIC) or rest == GZIP_MAGIC[:1]):
            self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            return rest
        self._done = bool(rest)
        return b""


class Brotli:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self._fed = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._decompressor.is_finished():
            return
        self._fed = self._fed or bool(data)
        yield self._decompressor.process(data, output_buffer_limit=PIECE_BYTES)
        while not self._decompressor.can_accept_more_data():
            yield self._decompressor.process(b"", output_buffer_limit=PIECE_BYTES)

    def is_complete(self) -> bool:
        return not self._fed or bool(self._decompressor.is_finished())


def _decoder(encoding: str) -> Decoder | None:
    match encoding.strip().lower():
        case "" | "identity" | "none" | "utf-8":
            return Identity()
        case "gzip" | "x-gzip":
            return Zlib(gzip=True)
        case "deflate":
            return Zlib(gzip=False)
        case "br":
            return Brotli()
        case _:
            return None


class Body:
    """A body that grows under its caps. Raises TooLarge, Unreachable."""

    def __init__(self, encoding: str, *, max_bytes: int, host: str, url: str) -> None:
        decoder = _decoder(encoding)
        if decoder is None:
            raise Unreachable(f"{host}: answered in an encoding that was not asked for", connected=True, url=url)
        self._decoder = decoder
        self._max_bytes = max_bytes
        self._host = host
        self._url = url
        self._pieces: list[bytes] = []
        self._received = 0
        self._decoded = 0

    def feed(self, data: bytes) -> None:
        """Take received bytes."""
        self._received += len(data)
        try:
            for piece in self._decoder.pieces(data):
                self._decoded += len(piece)
                self._check()
                self._pieces.append(piece)
        except (zlib.error, brotli.error) as error:
            raise Unreachable(
                f"{self._host}: the compressed answer is damaged", connected=True, url=self._url
            ) from error

    def finish(self) -> bytes:
        """The whole decoded body."""
        if not self._decoder.is_complete():
            raise Unreachable(f"{self._host}: the compressed answer was cut short", connected=True, url=self._url)
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _check(self) -> None:
        if self._decoded > self._max_bytes:
            raise TooLarge(f"{self._host}: the document is larger than {in_words(self._max_bytes)}", url=self._url)
        if self._decoded > RATIO_FROM_BYTES and self._decoded > RATIO * self._received:
            raise TooLarge(
                f"{self._host}: the answer expands more than {RATIO} times; that is a decompression bomb",
                url=self._url,
            )


def in_words(size_bytes: int) -> str:
    """`10 MiB`, `512 KiB`, `300 bytes`."""
    for unit, name in ((2**20, "MiB"), (2**10, "KiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:g} {name}"
    return f"{size_bytes} bytes"
