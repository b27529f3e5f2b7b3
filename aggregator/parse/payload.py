"""A document for a reader, with the HTTP headers that matter, and the ways to refuse it."""

from typing import NamedTuple

IN_UTF8 = "application/xml; charset=utf-8"


class Payload(NamedTuple):
    """Decoded bytes and the headers that change their meaning; `url` is where they came from."""

    body: bytes
    url: str
    content_type: str = ""
    content_language: str = ""

    def rewritten(self, text: bytes) -> "Payload":
        """Return the same document after a repair: in UTF-8, whatever it says of itself."""
        return Payload(text, self.url, IN_UTF8, self.content_language)


class Rejected(Exception):
    """The document is not a feed, or may not be read; inside a worker what ParseError is outside.

    `found` is a word of ParseError's; `transient` is False where the same bytes will fail again.
    """

    def __init__(self, message: str, found: str, *, transient: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.found = found
        self.transient = transient


class ReaderFailure(Exception):
    """A reader itself failed on a document."""


def rejected_as_hostile(message: str) -> Rejected:
    """Refuse bytes that no honest feed is made of."""
    return Rejected(message, "hostile", transient=False)
