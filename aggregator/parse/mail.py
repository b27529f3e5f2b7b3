"""Messages of mail (RFC 5322, MIME) as entries: subject, sender, text, names of attachments, text of PDF files.

One message is one document, so that a hostile one is refused alone. The standard library's parser meets it only
after its headers, its parts and their nesting have been counted.
"""

import re
from collections.abc import Sequence
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import getaddresses
from fnmatch import fnmatchcase

from aggregator.core.text import charset
from aggregator.core.text.html import visible_text
from aggregator.core.text.sanitize import clean_text
from aggregator.parse import pdf
from aggregator.parse.dates import instant
from aggregator.parse.normalize import Found, RawEntry, RawFeed, address
from aggregator.parse.payload import Payload, Rejected, rejected_as_hostile

MAX_HEADER_BYTES = 64 * 1024
MAX_FIELD = 4096  # characters of one field
MAX_BOUNDARIES = 50
MAX_PARTS = 20_000
MAX_DEPTH = 30
MAX_ATTACHMENTS = 50
MAX_TEXT = 2**20

_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_BOUNDARY = re.compile(rb"boundary\s*\*?\d*\*?\s*=", re.IGNORECASE)
_ADDRESS = re.compile(r"<(https?://[^<>\s]+)>")
_PLAIN_ENOUGH = 0.2  # of the HTML's text: shorter plain text only says where to look


def read(source: Payload, senders: Sequence[str], *, attachments: bool = True) -> Found:
    """Return a message as an entry; none if it is from somebody else than `senders`. Raises Rejected.

    `attachments`: text of PDF files is read as well.
    """
    message = BytesParser(policy=compat32).parsebytes(_bounded(source.body))
    feed = RawFeed()
    if senders and not _is_from(message, senders):
        return Found(feed, 0, partial=True)
    raw = RawEntry()
    raw.title = _field(message, "Subject"), "text/plain"
    raw.literal = True
    raw.people = [name or place for name, place in _people(message)]
    when = instant(_field(message, "Date"))
    raw.published = when.timestamp() if when else None
    found = _ADDRESS.search(_field(message, "Archived-At"))
    raw.link = address(found[1]) if found else None
    reading = _Reading(attachments=attachments)
    text = reading.text(message)
    names = ", ".join(dict.fromkeys(reading.names))
    pieces = [text, f"Attachments: {names}" if names else "", *reading.pdf]
    raw.contents = [("\n\n".join(filter(None, pieces))[:MAX_TEXT], "text/plain")]
    feed.entries = [raw]
    return Found(feed, 1, partial=True)


def _bounded(message: bytes) -> bytes:
    """Return a message with no more headers than honest ones have. Raises Rejected for too many parts."""
    if len(_BOUNDARY.findall(message)) > MAX_BOUNDARIES:
        raise rejected_as_hostile(f"The message has parts within parts, more than {MAX_BOUNDARIES} times.")
    if message.count(b"\n--") > MAX_PARTS or message.lower().count(b"message/rfc822") > MAX_BOUNDARIES:
        raise rejected_as_hostile(f"The message has more than {MAX_PARTS:,} parts.")
    message = message.lstrip(b"\r\n")
    end = _END_OF_HEADERS.search(message)
    if end is None and b":" not in message[:MAX_HEADER_BYTES]:
        raise Rejected("This is not a message of mail.", "broken")
    head = message[: end.start() if end else len(message)]
    if len(head) <= MAX_HEADER_BYTES:
        return message
    kept = head[: head.rfind(b"\n", 0, MAX_HEADER_BYTES) + 1].rstrip(b"\r\n")
    return kept + b"\n\n" + (message[end.end() :] if end else b"")


def _is_from(message: Message, senders: Sequence[str]) -> bool:
    places = [place.lower() for _, place in _people(message)]
    return any(fnmatchcase(place, wanted.lower()) for place in places for wanted in senders)


def _people(message: Message) -> list[tuple[str, str]]:
    written = _raw(message, "From")
    return [(_decoded(name), place) for name, place in getaddresses([written])[:10]]


def _field(message: Message, name: str) -> str:
    return _decoded(_raw(message, name))


def _raw(message: Message, name: str) -> str:
    """Return a field as it was sent, with bytes beyond ASCII as surrogates."""
    wanted = name.lower()
    return next((str(value)[:MAX_FIELD] for key, value in message.raw_items() if key.lower() == wanted), "")


def _decoded(written: str) -> str:
    """Decode the words of a header (RFC 2047); raw bytes are read as the charset that they look like."""
    raw = written.encode("utf-8", "surrogateescape")
    text = charset.as_utf8(raw).decode("utf-8-sig", "replace") if not written.isascii() else written
    try:
        return " ".join(str(make_header(decode_header(text))).split())
    except (LookupError, ValueError, MessageError):  # an unknown charset, a part of what base64 needs
        return " ".join(text.split())


def _file_name(part: Message) -> str | None:
    """Return the name of the file that a part is; "" if it cannot be read, None if there is none."""
    try:
        name = part.get_filename()
    except (LookupError, ValueError):  # parameters (RFC 2231) in a charset that is none
        return ""
    return clean_text(_decoded(str(name or "")[:MAX_FIELD]), 200) or None


class _Reading:
    """The text of a message, and what hangs on it."""

    def __init__(self, *, attachments: bool) -> None:
        self.names: list[str] = []
        self.pdf: list[str] = []
        self._attachments = attachments

    def text(self, part: Message, depth: int = 0) -> str:
        """Return the visible text of a part and of everything in it."""
        if depth > MAX_DEPTH:
            raise rejected_as_hostile(f"The message is nested more than {MAX_DEPTH} levels deep.")
        kind = part.get_content_type()
        if part.is_multipart():
            below = [one for one in part.get_payload() if isinstance(one, Message)]
            texts = [self.text(one, depth + 1) for one in below]
            if kind == "multipart/alternative":
                return _best(texts, [one.get_content_type() for one in below])
            return "\n\n".join(filter(None, texts))
        name = _file_name(part)
        is_text = kind.startswith(("text/", "multipart/"))  # the latter without its boundary
        if name is not None or part.get_content_disposition() == "attachment" or not is_text:
            self._attach(part, kind, name or "")
            return ""
        data = part.get_payload(decode=True)
        written = charset.as_utf8(data if isinstance(data, bytes) else b"", str(part.get("Content-Type", "")))
        text = written.decode("utf-8-sig", "replace")[: 2 * MAX_TEXT]
        return visible_text(text) if kind == "text/html" else text.strip()

    def _attach(self, part: Message, kind: str, name: str) -> None:
        if len(self.names) >= MAX_ATTACHMENTS:
            return
        if name:
            self.names.append(name)
        if not self._attachments or not (kind == "application/pdf" or name.lower().endswith(".pdf")):
            return
        data = part.get_payload(decode=True)
        if isinstance(data, bytes) and pdf.is_available():
            try:
                self.pdf.append(pdf.text(data))
            except Rejected as refused:
                self.pdf.append(f"({name or 'PDF'}: {refused.message})")


def _best(texts: list[str], kinds: list[str]) -> str:
    """Return the plain form of a text, or the HTML where the plain one says next to nothing."""
    longest = max(texts, key=len, default="")
    plain = next((text for text, kind in zip(texts, kinds, strict=True) if kind == "text/plain" and text), "")
    return plain if len(plain) >= _PLAIN_ENOUGH * len(longest) and plain else longest
