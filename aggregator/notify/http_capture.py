"""Capture of HTTP exchanges while Apprise is sending.

Apprise answers yes or no. Whether to try again, when, and whether the message may have arrived,
only the HTTP exchange tells. Every HTTP service of Apprise ends in a `requests.Session`; the
subclass here records what it sees for the send that runs in this context, and touches nothing
outside of one. It is put in place when notify/ loads Apprise; nobody else in the application uses
requests.

Receivers are untrusted. Their answers are read here, whatever the service then does with them: not
more than is of use, decoded under a limit, and with one deadline for all of it.
"""

import io
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.client import HTTPResponse
from time import monotonic
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests import sessions
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from aggregator.core.text.http_dates import http_date, retry_after_s
from aggregator.core.text.sanitize import clean_text
from aggregator.core.text.tls import certificate_fault, handshake_fault
from aggregator.notify.acceptance import Refusal
from aggregator.notify.bounded import Bounded, Overlong

MAX_CHARS = 300
MAX_ERROR_BYTES = 4 * 1024  # of a body that only says why
MAX_ANSWER_BYTES = 128 * 1024  # of one that a service reads itself: some echo the message
MAX_WIRE_BYTES = MAX_ANSWER_BYTES + 64 * 1024  # of everything: interim answers, head, framing, body
CHUNK_BYTES = 1024
DEFAULT_ANSWER_S = 30.0


@dataclass(slots=True)
class HttpCapture:
    """One send as the wire saw it. `written`: the request left, so it may have arrived.

    `answer_by` (monotonic seconds) is when everything that comes back must have come.

    `refused`: an answer of 2xx that takes nothing; `read_refusal` finds it in a body.

    `put_off`: recipients of a mail whom the server refused for now, with its words.

    `headers` go with each request; `sign` gives those that depend on the exact bytes of its body, which `amend` may
    change before; `read_answer` sees what accepts a message.
    """

    deadline_passed: bool = False
    answer_by: float | None = None
    written: bool = False
    status: int | None = None
    retry_after_s: float | None = None
    answer: str = ""
    refused: Refusal | None = None
    failure: str = ""
    put_off: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    sign: Callable[[bytes], Mapping[str, str]] | None = None
    read_refusal: Callable[[bytes], Refusal | None] = lambda _: None
    amend: Callable[[requests.PreparedRequest], None] = lambda _: None
    read_answer: Callable[[requests.Response], None] = lambda _: None


_capture: ContextVar[HttpCapture | None] = ContextVar("notes", default=None)


@contextmanager
def capturing(notes: HttpCapture) -> Iterator[None]:
    """Record everything that this context sends."""
    token = _capture.set(notes)
    try:
        yield
    finally:
        _capture.reset(token)


class _Adapter(HTTPAdapter):
    """An adapter that reads each answer at once, before hooks, redirects and services can touch it."""

    def build_response(self, request: requests.PreparedRequest, answer: Any) -> requests.Response:
        response = super().build_response(request, answer)
        if _capture.get() is not None:
            _read(response)
        return response


class _CapturingSession(sessions.Session):
    """A session that never follows redirects and records what happened."""

    def __init__(self) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())

    def get_redirect_target(self, response: requests.Response) -> str | None:
        """Ignore redirects: a receiver's target may be anything."""
        return None if _capture.get() is not None else super().get_redirect_target(response)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        try:
            return super().prepare_request(request)
        except ValueError as error:
            _note_impossible(error)
            raise

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        notes = _capture.get()
        if notes is None:
            return super().send(request, **options)
        if notes.deadline_passed:
            raise requests.ConnectTimeout("timed out before the request was sent", request=request)
        notes.amend(request)
        request.headers.update(notes.headers)
        if notes.sign is not None:
            request.headers.update(notes.sign(_bytes(request)))
        request.headers["Accept-Encoding"] = "identity"
        options["allow_redirects"], options["stream"] = False, True
        notes.written, notes.status = True, None
        try:
            response = super().send(request, **options)
        except ValueError as error:  # also what requests makes of one: an address or a header that cannot be
            _note_impossible(error)
            raise
        except requests.RequestException as error:
            notes.written = not _never_left(error)
            notes.failure = _describe_error(error)
            raise
        _record(notes, response)
        return response


def _note_impossible(error: ValueError) -> None:
    """Note a request that nobody could send; what it is made of is not quoted, it may hold a secret."""
    notes = _capture.get()
    if notes is None:
        return
    address = isinstance(error, requests.exceptions.InvalidURL) or "label" in str(error)
    what = "its address cannot be looked up" if address else "a header has characters that cannot be sent"
    notes.written = False
    notes.refused = Refusal(f"the request cannot be made: {what}", final=True)


class _Response(HTTPResponse):
    """An answer that cannot outlast the send that it belongs to, nor fill the memory."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        notes = _capture.get()
        if notes is None:
            return
        deadline = notes.answer_by if notes.answer_by is not None else monotonic() + DEFAULT_ANSWER_S
        self.fp.close()
        self.fp = io.BufferedReader(Bounded(sock, deadline=deadline, max_bytes=MAX_WIRE_BYTES))


def install_capture() -> None:
    """Install the recording session and the bounded answer in place of the libraries' own."""
    sessions.Session = _CapturingSession  # type: ignore[misc]
    HTTPConnection.response_class = _Response


def _bytes(request: requests.PreparedRequest) -> bytes:
    """Return the body as bytes, so that nothing can encode a text differently later."""
    if isinstance(request.body, str):
        request.body = request.body.encode()
    if not isinstance(request.body, bytes):
        raise TypeError("a streamed body cannot be signed")
    return request.body


def _read(response: requests.Response) -> None:
    """Read as much of the body as is of use, once: the service then finds it there.

    The status stands, however the body ends: if it breaks off, or does not end, what came is kept.
    """
    limit = MAX_ANSWER_BYTES if response.ok else MAX_ERROR_BYTES
    body = bytearray()
    try:
        while len(body) < limit and (chunk := response.raw.read(CHUNK_BYTES, decode_content=False)):
            body += chunk
    except (HTTPError, OSError):
        pass
    finally:
        response.close()
    # Nothing else may be kept of it: these are requests' own fields for a body that has been read.
    response._content = _decoded(bytes(body), response.headers.get("Content-Encoding", ""), limit)
    response._content_consumed = True


def _decoded(body: bytes, encodings: str, limit: int) -> bytes:
    """Decode a body's content codings, at most `limit` bytes; empty if one is unknown.

    We ask for none; a small body in such a coding may become gigabytes.
    """
    for coding in reversed([word.strip().lower() for word in encodings.split(",") if word.strip()][:3]):
        if coding == "identity":
            continue
        if coding not in ("gzip", "x-gzip", "deflate"):
            return b""
        try:
            body = zlib.decompressobj(47).decompress(body, limit)  # 47: a gzip or a zlib head
        except zlib.error:
            return b""
    return body[:limit]


def _record(notes: HttpCapture, response: requests.Response) -> None:
    notes.status = response.status_code
    served_at = http_date(response.headers.get("Date", ""))
    notes.retry_after_s = retry_after_s(response.headers.get("Retry-After", ""), served_at)
    if response.status_code < 300:
        notes.refused = notes.refused or notes.read_refusal(response.content)
        notes.read_answer(response)
    else:
        notes.answer = _redirect(response) or clean_text(response.content.decode("utf-8", "replace"), MAX_CHARS)


def _never_left(error: requests.RequestException) -> bool:
    """Tell whether the request failed before anything of it could be written."""
    if isinstance(error, (requests.exceptions.SSLError, requests.ConnectTimeout, requests.exceptions.ProxyError)):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Tell whether an error of this kind is the cause."""
    return _cause(error, kind) is not None


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """Return the error of this kind that is the cause: the libraries wrap each other's errors. None: there is none."""
    for _ in range(10):
        if error is None or isinstance(error, kind):
            break
        parts = (*error.args, getattr(error, "reason", None))
        inner = next((one for one in parts if isinstance(one, BaseException)), None)
        error = inner or error.__cause__ or error.__context__
    return error if isinstance(error, kind) else None


def describe_tls(error: ssl.SSLError) -> str:
    """Describe a TLS connection that failed, for a person."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {certificate_fault(error.verify_code)}"
    return f"TLS: {handshake_fault(error.reason)}"


def _redirect(response: requests.Response) -> str:
    """Say where a receiver wants to be asked instead, without what may be a token; "" if it does not."""
    location = response.headers.get("Location", "")
    if response.status_code // 100 != 3 or not location:
        return ""
    asked = urlsplit(response.request.url or "")
    try:
        there = urlsplit(urljoin(response.request.url or "", location))
    except ValueError:
        there = urlsplit("")
    if there.scheme not in ("http", "https") or not there.netloc:
        return "redirects to something that is no web address"
    if (there.scheme, there.netloc) != (asked.scheme, asked.netloc):
        where = f"{there.scheme}://{clean_text(there.netloc.rpartition('@')[2], 100)}"
    elif there.path == asked.path + "/":
        where = "the same address with a / at its end"
    else:
        where = "another path of the same server"
    return f"redirects to {where}; redirects are not followed, write the new address in the channel"


def _describe_error(error: requests.RequestException) -> str:
    """Describe the failure for a person, without the URL (it may hold a token)."""
    if isinstance(error, requests.exceptions.SSLError):
        cause = _cause(error, ssl.SSLError)
        return describe_tls(cause) if isinstance(cause, ssl.SSLError) else "TLS: handshake failed"
    if isinstance(error, requests.ConnectTimeout):
        return "connection timed out"
    if _caused_by(error, Overlong):
        return "the response is endless"
    if isinstance(error, requests.Timeout) or _caused_by(error, TimeoutError):
        return "no response in time"
    if _never_left(error):
        reason = str(error).rsplit("] ", 1)[-1].rstrip("')\"")
        known = ("Connection refused", "Network is unreachable", "Name or service not known", "No route to host")
        return next((word for word in known if word in str(error)), "cannot connect: " + reason[:80])
    return "connection lost before a response"
