"""Messages between the service and a parse worker: typed structs as MessagePack, each in a frame with its length.

A worker that was taken over by a hostile document can lie about that document, and no more: whatever it
sends is either one of the values below or an InvalidMessage.
"""

import struct
from typing import Annotated, Literal

import msgspec

HELLO = b"ready\n"
HEADER = struct.Struct("<I")
MAX_FRAME = 256 * 2**20

Seconds = Annotated[float, msgspec.Meta(ge=0, le=10**10)]
Hints = tuple[Seconds | None, Seconds | None, tuple[int, ...], tuple[int, ...]]  # ttl, period, hours, days to skip

Instant = Annotated[float, msgspec.Meta(ge=-62_135_596_800, le=253_402_300_799)]  # seconds since 1970, years 1 to 9999
EntryRecord = tuple[
    str | None,  # guid
    str | None,  # link
    str,  # title
    str,  # summary
    str,  # content
    str,  # author
    tuple[str, ...],  # categories
    Instant | None,  # published
    Instant | None,  # updated
    tuple[str, ...],  # enclosures
    str | None,  # lang
    str | None,  # raw hash
]

InvalidMessage = msgspec.DecodeError


Kind = Literal["sitemap", "page", "watch", "mail"]
Pairs = tuple[tuple[str, str], ...]


class How(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How a document is read that is no feed: model.Reading. `quiet`: polls so far that found nothing changed.

    `attachments`: text of PDF files in mail is read, too.
    """

    kind: Kind
    select: Pairs = ()
    ignore: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    quiet: int = 0
    attachments: bool = True


class Job(msgspec.Struct, tag="feed", array_like=True, frozen=True, gc=False):
    """A document to read; `memory` is what was remembered of the last one. `how` is None for a feed."""

    body: bytes
    url: str
    content_type: str
    content_language: str
    memory: bytes | None
    how: How | None = None


class ArticlePage(msgspec.Struct, tag="page", array_like=True, frozen=True, gc=False):
    """A web page of which the article is wanted."""

    body: bytes
    url: str
    content_type: str


class ParseReply(msgspec.Struct, tag="feed", array_like=True, frozen=True, gc=False):
    """What a feed says. `items` counts the entries of the document, of which `entries` are the new ones."""

    parse_level: Literal["full", "delta"]
    title: str
    link: str | None
    lang: str | None
    entries: tuple[EntryRecord, ...]
    items: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    hints: Hints
    hub: str | None
    self_url: str | None
    prev_archive: str | None
    warnings: tuple[str, ...]
    quarantined: tuple[tuple[bytes, str], ...]  # the bytes of an entry, the reason
    memory: bytes | None
    parts: Pairs = ()  # of an index of sitemaps: address, time of its change
    select: Pairs = ()
    nothing: str = ""


class Article(msgspec.Struct, tag="article", array_like=True, frozen=True, gc=False):
    """The text of an article."""

    text: str


class Refusal(msgspec.Struct, tag="refusal", array_like=True, frozen=True, gc=False):
    """A sentence that says why a document was not read, ParseError's word for it, whether it may differ next time."""

    message: str
    found: str
    transient: bool


Request = Job | ArticlePage
Reply = ParseReply | Article | Refusal


class Answer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One reply for each job of a batch; `leaving`: the worker ends with this answer."""

    leaving: bool
    replies: list[Reply]


TOO_MUCH_MEMORY = Refusal("The document needs more memory than a feed is allowed.", "hostile", False)

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(list[Request])
_answers = msgspec.msgpack.Decoder(Answer)


def frame(message: list[Request] | Answer) -> bytes:
    """Put the length of a message before it."""
    payload = _encoder.encode(message)
    return HEADER.pack(len(payload)) + payload


def decode_requests(payload: bytes) -> list[Request]:
    """Read a batch of jobs. Raises InvalidMessage."""
    return _requests.decode(payload)


def decode_answer(payload: bytes) -> Answer:
    """Read an answer. Raises InvalidMessage where it is anything but the values above."""
    return _answers.decode(payload)
