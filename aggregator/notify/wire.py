"""What really happened on the wire while Apprise was sending.

Apprise answers yes or no. Whether to try again, when, and whether the message may have arrived,
only the HTTP exchange tells. Every HTTP service of Apprise ends in a `requests.Session`; the
subclass here notes what it sees for the send that runs in this context, and touches nothing
outside of one. It is put in place when notify/ loads Apprise; nobody else in the house uses
requests.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from requests import sessions
from urllib3.exceptions import MaxRetryError, NewConnectionError

MOST_SIGNS = 300


@dataclass(slots=True)
class Notes:
    """One send as the wire saw it. `written`: the request left, so it may have arrived.

    `headers` go with each request; `sign` gives those that depend on the exact bytes of its body.
    """

    deadline_passed: bool = False
    written: bool = False
    status: int | None = None
    retry_after_s: float | None = None
    answer: str = ""
    failure: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    sign: Callable[[bytes], Mapping[str, str]] | None = None


_notes: ContextVar[Notes | None] = ContextVar("notes", default=None)


@contextmanager
def noting(notes: Notes) -> Iterator[None]:
    """Everything that this context sends is written down in `notes`."""
    token = _notes.set(notes)
    try:
        yield
    finally:
        _notes.reset(token)


class _Session(sessions.Session):
    """A session that never follows redirects and writes down what happened."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        notes = _notes.get()
        if notes is None:
            return super().send(request, **options)
        if notes.deadline_passed:
            raise requests.ConnectTimeout("the deadline passed before the request was sent", request=request)
        request.headers.update(notes.headers)
        if notes.sign is not None:
            request.headers.update(notes.sign(_bytes(request)))
        options["allow_redirects"] = False
        notes.written, notes.status = True, None
        try:
            response = super().send(request, **options)
        except requests.RequestException as error:
            notes.written = not _never_left(error)
            notes.failure = _words(error)
            raise
        _note(notes, response)
        return response


def listen() -> None:
    """Put the noting session in the place of requests' own."""
    sessions.Session = _Session  # type: ignore[misc]


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After field: delay or HTTP-date (RFC 9110, 10.2.3); None where it is neither."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    at = _date(header)
    return max(0.0, (at - now).total_seconds()) if at and now else None


def _bytes(request: requests.PreparedRequest) -> bytes:
    """The body as it goes out; a text is made bytes here, so that nothing can encode it otherwise later."""
    if isinstance(request.body, str):
        request.body = request.body.encode()
    if not isinstance(request.body, bytes):
        raise TypeError("only a body that is known as a whole can be signed")
    return request.body


def _note(notes: Notes, response: requests.Response) -> None:
    notes.status = response.status_code
    served = response.headers.get("Date")
    notes.retry_after_s = retry_after_s(response.headers.get("Retry-After"), _date(served))
    if not response.ok:
        notes.answer = " ".join(response.text[: MOST_SIGNS * 4].split())[:MOST_SIGNS]


def _date(header: str | None) -> datetime | None:
    """An HTTP-date; a Retry-After date is compared with the server's own clock."""
    try:
        at = parsedate_to_datetime(header) if header else None
    except (ValueError, TypeError, IndexError):
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


def _never_left(error: requests.RequestException) -> bool:
    """Did the request fail before anything of it could be written?"""
    if isinstance(error, (requests.exceptions.SSLError, requests.ConnectTimeout, requests.exceptions.ProxyError)):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _words(error: requests.RequestException) -> str:
    """The failure for a person, without the URL (it may hold a token)."""
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS error: the certificate or the connection was not accepted"
    if isinstance(error, requests.ConnectTimeout):
        return "no connection within the time allowed"
    if isinstance(error, requests.Timeout):
        return "no answer within the time allowed"
    if _never_left(error):
        reason = str(error).rsplit("] ", 1)[-1].rstrip("')\"")
        known = ("Connection refused", "Network is unreachable", "Name or service not known", "No route to host")
        return next((word for word in known if word in str(error)), "cannot connect: " + reason[:80])
    return "the connection broke before an answer came"
