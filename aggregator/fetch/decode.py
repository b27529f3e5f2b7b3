"""Undoing Content-Encoding piece by piece, so that a bomb is cut off while it is still small.

The header is a claim. What it calls a coding without being one (`aws-chunked`, `utf-8`, `none`) means nothing, what is
plain although it claims gzip, br or deflate is taken as it is, and gzip is known by its first bytes, claimed or not.
Caps: the decoded size, and the ratio of decoded to received bytes once there is enough of it to
tell (a short, very regular document may well be 300 times smaller on the wire).
"""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Protocol

from aggregator.core.errors import TooLarge, Unreachable

RATIO = 200
RATIO_FROM_BYTES = 256 * 1024
PIECE_BYTES = 64 * 1024
GZIP_MAGIC = b"\x1f\x8b"
OURS = frozenset({"gzip", "x-gzip", "deflate", "br"})
NOT_OURS = frozenset(
    {"zstd", "x-zstd", "compress", "x-compress", "bzip2", "x-bzip2", "lzma", "xz", "exi", "dcb", "dcz"}
)
MAX_LAYERS = 3
LOOK_AT_BYTES = 64
WAIT_BYTES = 64 * 1024
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Decoder(Protocol):
    """One Content-Encoding; raises zlib.error on broken data, whichever it is."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded `data`, at most PIECE_BYTES at a time."""
        ...

    def is_complete(self) -> bool:
        """Tell whether the encoded stream has reached its own end."""
        ...


class IdentityDecoder:
    """Bytes as they arrive."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield data

    def is_complete(self) -> bool:
        return True


class ZlibDecoder:
    """gzip (of several members, RFC 1952), and deflate with or without its wrapper.

    A body that claims gzip and is not is taken as it is, or as deflate: servers and caches do that.
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
        wrapped = self._head[0] & 0x0F == 8 and int.from_bytes(self._head, "big") % 31 == 0
        if self._gzip and not wrapped:
            self._plain = self._head != GZIP_MAGIC
        else:
            self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)

    def _next_member(self, rest: bytes) -> bytes:
        """Start on a further gzip member; zeros and rubbish after the last one are ignored."""
        if self._gzip and (rest.startswith(GZIP_MAGIC) or rest == GZIP_MAGIC[:1]):
            self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            return rest
        self._done = bool(rest)
        return b""


class BrotliDecoder:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        import brotli  # few servers use it

        self._decompressor = brotli.Decompressor()
        self._error = brotli.error
        self._fed = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._decompressor.is_finished():
            return
        self._fed = self._fed or bool(data)
        try:
            piece = self._decompressor.process(data, output_buffer_limit=PIECE_BYTES)
            while piece or not self._decompressor.can_accept_more_data():  # it may hold more than it says
                yield piece
                piece = self._decompressor.process(b"", output_buffer_limit=PIECE_BYTES)
        except self._error as error:
            raise zlib.error(f"brotli: {error}") from error

    def is_complete(self) -> bool:
        return not self._fed or bool(self._decompressor.is_finished())


class Layer:
    """One coding, recognised by its claim and its first bytes. `claim` is empty if nothing was claimed."""

    def __init__(self, claim: str) -> None:
        self._claim = claim
        self._head = b""
        self._decoder: Decoder | None = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded `data`. Raises zlib.error; Unasked for a coding that is not ours."""
        if self._decoder is None:
            self._head += data
            if len(self._head) < LOOK_AT_BYTES:
                return
            self._decoder, data = self._detail(), self._head
        yield from self._decoder.pieces(data)

    def rest(self) -> Iterator[bytes]:
        """Yield what was too short to be recognised while more could come."""
        if self._decoder is None and self._head:
            self._decoder = self._detail()
            yield from self._decoder.pieces(self._head)

    def is_complete(self) -> bool:
        return self._decoder is None or self._decoder.is_complete()

    def _detail(self) -> Decoder:
        if self._head.startswith(GZIP_MAGIC):
            return ZlibDecoder(gzip=True)
        if self._claim in NOT_OURS and not _is_plain(self._head):
            raise Unasked
        if self._claim not in OURS or _is_plain(self._head):
            return IdentityDecoder()
        return BrotliDecoder() if self._claim == "br" else ZlibDecoder(gzip=self._claim != "deflate")


class Unasked(Exception):
    """The answer came in a coding that was not asked for."""


def _is_plain(head: bytes) -> bool:
    """Tell whether the first bytes are a document's: compressed ones soon contain control characters."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")):
        return True
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text[:1] in (b"<", b"{") and not CONTROL.search(text)


def claims(encoding: str) -> list[str]:
    """Return the codings that a Content-Encoding names, the outermost first."""
    named = [name.strip().lower() for name in encoding.split(",")]
    return [name for name in reversed(named) if name in OURS or name in NOT_OURS]


class DecodedBody:
    """A body that grows under its caps. Raises TooLarge, Unreachable.

    `known` is the digest of a packed body that need not be unpacked: the first WAIT_BYTES wait for the end, which
    shows whether this is the same (`unchanged`).
    """

    def __init__(self, encoding: str, *, max_bytes: int, host: str, url: str, known: bytes = b"") -> None:
        named = claims(encoding)
        if len(named) > MAX_LAYERS:
            raise Unreachable(
                f"{host}: the response is compressed more than {MAX_LAYERS} times", connected=True, url=url
            )
        self._layers = [Layer(name) for name in (*named, "")]  # the last one: packed once more than the header says
        self._decoded = [0] * len(self._layers)
        self._max_bytes = max_bytes
        self._host = host
        self._url = url
        self._pieces: list[bytes] = []
        self._received = 0
        self._hash = blake2b(encoding.encode("utf-8", "replace"), digest_size=16) if named else None
        self._known = known
        self._waiting: list[bytes] | None = [] if named and known else None
        self._waiting_bytes = 0
        self.unchanged = False

    @property
    def digest(self) -> bytes:
        """Return by what the body is recognised as it came, with its coding; empty if it was not packed."""
        return self._hash.digest() if self._hash is not None else b""

    def feed(self, data: bytes) -> int:
        """Take received bytes; return the size of the document so far."""
        if self._hash is not None:
            self._hash.update(data)
        if self._waiting is None:
            return self._take(data)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        return self._waiting_bytes if self._waiting_bytes <= WAIT_BYTES else max(self._unpacked())

    def end(self) -> Iterator[int]:
        """Unpack what waited for the end, unless it is known; yield the size of the document after each piece."""
        if self._waiting is not None and self.digest == self._known:
            self._waiting, self.unchanged = None, True
        yield from self._unpacked()

    def _unpacked(self) -> Iterator[int]:
        waiting, self._waiting = self._waiting or (), None
        for data in waiting:
            yield self._take(data)

    def _take(self, data: bytes) -> int:
        self._received += len(data)
        with self._damage():
            self._unpack(data, 0)
        return self._decoded[-1]

    def discard(self) -> None:
        """Drop everything received."""
        self._pieces.clear()
        self._waiting = None

    def finish(self) -> bytes:
        """Return the whole decoded body, of which all is unpacked; empty if it is unchanged."""
        if self.unchanged:
            return b""
        with self._damage():
            for place, layer in enumerate(self._layers):
                for piece in layer.rest():
                    self._keep(piece, place)
        if not all(layer.is_complete() for layer in self._layers):
            raise Unreachable(f"{self._host}: the compressed response is truncated", connected=True, url=self._url)
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _unpack(self, data: bytes, place: int) -> None:
        for piece in self._layers[place].pieces(data):
            self._keep(piece, place)

    def _keep(self, piece: bytes, place: int) -> None:
        """Pass a piece from one layer to the next; each has the same caps."""
        self._decoded[place] += len(piece)
        self._check(self._decoded[place])
        if place + 1 < len(self._layers):
            self._unpack(piece, place + 1)
        else:
            self._pieces.append(piece)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Describe an exception of a decoder."""
        try:
            yield
        except Unasked as error:
            message = f"{self._host}: unsupported Content-Encoding"
            raise Unreachable(message, connected=True, url=self._url) from error
        except zlib.error as error:
            message = f"{self._host}: the compressed response is corrupt"
            raise Unreachable(message, connected=True, url=self._url) from error

    def _check(self, decoded: int) -> None:
        if decoded > self._max_bytes:
            raise TooLarge(f"{self._host}: the document is larger than {format_size(self._max_bytes)}", url=self._url)
        if decoded > RATIO_FROM_BYTES and decoded > RATIO * self._received:
            raise TooLarge(
                f"{self._host}: the response expands more than {RATIO} times (decompression bomb)",
                url=self._url,
            )


def format_size(size_bytes: int) -> str:
    """Format a size: `10 MiB`, `512 KiB`, `300 bytes`."""
    for unit, name in ((2**20, "MiB"), (2**10, "KiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:g} {name}"
    return f"{size_bytes} bytes"
