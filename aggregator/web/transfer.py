"""How answers travel: HEAD as GET without its body, texts compressed, and feeds that say "not modified".

Compression is decided in docs/decisions/0020-compression.md: no page holds a CSRF token, and a request that another
site caused is answered uncompressed, so that nobody can learn a page's text from the lengths of answers (BREACH).
"""

import asyncio
import hashlib
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1000
LEVEL = 6
TEXTS = ("text/", "application/json", "application/atom+xml", "application/manifest+json", "image/svg+xml")
UNCOMPRESSED = ("text/event-stream",)
ONCE = "x-shown-once"
SHOWN_ONCE = {ONCE: "1"}  # marks an answer that shows a secret: it is not compressed, and the mark is taken off


class Transfer:
    """ASGI middleware for HEAD and compression."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            without_body = _WithoutBody(receive, send)
            await self._app({**scope, "method": "GET"}, without_body.receive, without_body.send)
            return
        compress = accepts_gzip(Headers(scope=scope)) and not came_from_another_site(Headers(scope=scope))
        await self._app(scope, receive, _Compressed(send, compress=compress).send)


def accepts_gzip(headers: Headers) -> bool:
    """Tell whether a client takes gzip (RFC 9110, 12.5.3)."""
    for part in headers.get("accept-encoding", "").lower().split(","):
        coding, _, quality = part.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def came_from_another_site(headers: Headers) -> bool:
    """Tell whether a browser says that another site caused the request."""
    return headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


class _WithoutBody:
    """The two ends of a HEAD request: the head is sent as it is, and a stream behind it is ended."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._answered = asyncio.Event()

    async def receive(self) -> Message:
        """Wait for what the client sends, or for the head of the answer: then it has left."""
        asked, answered = (asyncio.ensure_future(one) for one in (self._receive(), self._answered.wait()))
        try:
            await asyncio.wait((asked, answered), return_when=asyncio.FIRST_COMPLETED)
            return {"type": "http.disconnect"} if answered.done() else await asked  # type: ignore[return-value]
        finally:
            for one in (asked, answered):
                one.cancel()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send(message)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            self._answered.set()


class _Compressed:
    """The sending end of an answer: gzip where it is worth it, whole or in pieces as they come."""

    def __init__(self, send: Send, *, compress: bool) -> None:
        self._send = send
        self._compress = compress
        self._start: Message | None = None
        self._deflate: Callable[[bytes, bool], bytes] | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start is not None:
            self._begin(MutableHeaders(scope=self._start), body, more)
            await self._send(self._start)
            self._start = None
        if self._deflate is not None:
            body = self._deflate(body, more)
            if not body and more:
                return
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _begin(self, headers: MutableHeaders, body: bytes, more: bool) -> None:
        """Decide by the head and the first piece, and write the head."""
        secret = ONCE in headers
        if secret:
            del headers[ONCE]
        kind = headers.get("content-type", "")
        if not kind.startswith(TEXTS) or kind.startswith(UNCOMPRESSED) or "content-encoding" in headers:
            return
        headers.add_vary_header("accept-encoding")
        if secret or not self._compress or (not more and len(body) < MIN_BYTES):
            return
        self._deflate = _gzip()
        headers["content-encoding"] = "gzip"
        if "content-length" in headers:
            del headers["content-length"]


def _gzip() -> Callable[[bytes, bool], bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)

    def piece(body: bytes, more: bool) -> bytes:
        packed = packer.compress(body)
        return packed + packer.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)

    return piece


def unchanged_or(
    request: Request, answer: Callable[[], Response], *, about: object, changed_at: datetime | None
) -> Response:
    """Return `answer()` with ETag and Last-Modified, or 304 if the reader has just this (RFC 9110, 13.2.2).

    `about` is all that the answer is made of; it is written only if it is wanted. The tag is weak, because one and the
    same answer travels compressed and plain.
    """
    tag = f'W/"{hashlib.sha256(repr(about).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'
    marks = {"etag": tag, "cache-control": "private, no-cache"}
    if changed_at is not None:
        marks["last-modified"] = format_datetime(changed_at.astimezone(UTC), usegmt=True)
    if _has(request.headers, tag, changed_at):
        return Response(status_code=304, headers=marks)
    response = answer()
    response.headers.update(marks)
    return response


def _has(headers: Headers, tag: str, changed_at: datetime | None) -> bool:
    if (known := headers.get("if-none-match")) is not None:
        shown = tag.removeprefix("W/")
        return known.strip() == "*" or any(one.strip().removeprefix("W/") == shown for one in known.split(","))
    since = headers.get("if-modified-since")
    if since is None or changed_at is None:
        return False
    try:
        return changed_at.replace(microsecond=0) <= parsedate_to_datetime(since)
    except (ValueError, TypeError):  # no date, or one without a zone
        return False
