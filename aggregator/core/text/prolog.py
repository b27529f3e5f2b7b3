"""The prolog of a document before its root element: declaration, comments, instructions, document type."""

import re
from typing import NamedTuple

_NEXT = re.compile(rb"<!--|<\?|<!DOCTYPE\b|<[A-Za-z_:\x80-\xff]", re.IGNORECASE)
_DOCTYPE = re.compile(
    rb"<!DOCTYPE(?:[^\[>\"']++|\"[^\"]*+\"|'[^']*+')*+"
    rb"(?:\[(?:[^\]\"'<]++|\"[^\"]*+\"|'[^']*+'|<!--(?:[^-]++|-(?!->))*+-->|<)*+\]\s*+)?+>",
    re.IGNORECASE,
)
_FEED = re.compile(rb"<(?:[\w.-]+:)?(?:rss|feed|rdf|channel)[\s>/]", re.IGNORECASE)


class Prolog(NamedTuple):
    """The start of the root element (the end of the text if there is none), and the range of the document type."""

    root: int
    doctype: tuple[int, int] | None


def prolog(text: bytes) -> Prolog:
    """Find the prolog of a document in UTF-8, well-formed or not; a tag inside a comment does not count."""
    at, doctype = 0, None
    while found := _NEXT.search(text, at):
        mark = found[0].upper()
        if mark == b"<!DOCTYPE":
            whole = _DOCTYPE.match(text, found.start())
            end = whole.end() if whole else text.find(b">", found.end()) + 1
            doctype = doctype or (found.start(), end or len(text))
        elif mark == b"<!--":
            end = text.find(b"-->", found.end()) + 3
            end = end if end > 2 else found.end()
        elif mark == b"<?":
            end = text.find(b">", found.end()) + 1
        else:
            return Prolog(found.start(), doctype)
        at = end or len(text)
    return Prolog(len(text), doctype)


def is_feed(text: bytes) -> bool:
    """Tell whether the root element is one that feeds have."""
    return _FEED.match(text, prolog(text[:65536]).root) is not None
