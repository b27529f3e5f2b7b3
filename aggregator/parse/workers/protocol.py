"""What goes over the pipe between the service and a parse worker: marshalled tuples in frames.

marshal, because it is the fastest and, unlike pickle, makes nothing but plain values: a worker that was
taken over by a hostile document can lie about that document, and no more.
"""

import marshal
import struct
from typing import Any

from aggregator.parse.normalize import EntryRecord

HELLO = b"ready\n"
HEADER = struct.Struct("<I")
MAX_FRAME = 256 * 2**20

Job = tuple[bytes, str, str, str, bytes | None]  # body, url, content type, content language, memory
ArticlePage = tuple[bytes, str, str]  # body, url, content type
Article = tuple[str]  # text
Hints = tuple[float | None, float | None, tuple[int, ...], tuple[int, ...]]
ParseReply = tuple[
    str,  # parse level
    str,  # title
    str | None,  # link
    str | None,  # lang
    tuple[EntryRecord, ...],
    int,  # items
    Hints,
    str | None,  # hub
    str | None,  # self
    str | None,  # previous archive
    tuple[str, ...],  # warnings
    tuple[tuple[bytes, str], ...],  # quarantined
    bytes | None,  # memory
]
Refusal = tuple[str, str, bool]  # message, found, transient
TOO_MUCH_MEMORY: Refusal = ("The document needs more memory than a feed is allowed.", "hostile", False)


def frame(message: Any) -> bytes:
    """Return a message with its length before it."""
    payload = marshal.dumps(message)
    return HEADER.pack(len(payload)) + payload


def unframe(payload: bytes) -> Any:
    """Return the message of a frame. Raises ValueError, EOFError or TypeError on nonsense."""
    return marshal.loads(payload)  # noqa: S302 -- a worker's bytes, and marshal builds only plain values
