"""One document, from bytes to rows: unpack, recognise, repair, read. Runs inside a worker."""

import zlib

from aggregator.core.text.html import plain_text
from aggregator.parse import reference
from aggregator.parse.draft import FeedDraft, address, language, row, text
from aggregator.parse.hints import hints
from aggregator.parse.source import Source
from aggregator.parse.wire import Answer, Job

MAX_ENTRIES = 5000


class Refused(Exception):
    """The document is not a feed, or may not be read; the pipe's form of ParseError."""

    def __init__(self, message: str, found: str, *, transient: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.found = found
        self.transient = transient


def read(job: Job, max_body_bytes: int) -> Answer:
    """The entries of one document. Raises Refused."""
    body, url, content_type, content_language, _memory = job
    source = Source(unpacked(body, max_body_bytes), url, content_type, content_language)
    feed, version = reference.read(source)
    if not version and not feed.entries:
        raise Refused("This is not a feed.", "broken")
    return answer(feed, source, "full", None)


def answer(feed: FeedDraft, source: Source, rung: str, memory: bytes | None) -> Answer:
    """What is sent back for a feed that was read."""
    lang = language(feed.lang)
    drafts = feed.entries[:MAX_ENTRIES]
    links: dict[str, str] = {}
    for rel, href in feed.links:
        if found := address(href, source.url):
            links.setdefault(rel.lower(), found)
    return (
        rung,
        text(feed.title).replace("\n", " "),
        address(feed.link),
        lang,
        tuple(row(draft, lang) for draft in drafts),
        len(feed.entries),
        hints(source.body),
        links.get("hub"),
        links.get("self"),
        links.get("prev-archive"),
        tuple(map(plain_text, feed.warnings)),
        (),
        memory,
    )


def unpacked(body: bytes, max_bytes: int) -> bytes:
    """The body, decompressed where it is gzip (by its magic number, whatever the headers said)."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        stream = zlib.decompressobj(wbits=31)
        plain = stream.decompress(body, max_bytes)
    except zlib.error as error:
        raise Refused(f"The gzipped document is damaged ({error}).", "broken") from error
    if stream.unconsumed_tail:
        raise Refused(f"The document unpacks to more than {max_bytes // 2**20} MiB.", "hostile", transient=False)
    if not stream.eof:
        raise Refused("The gzipped document is cut off.", "broken")
    return plain
