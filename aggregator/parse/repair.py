"""Repairs of common mistakes in feeds, before any reader sees them."""

import re
from html.entities import html5, name2codepoint

from aggregator.core.text import charset
from aggregator.core.text.prolog import prolog
from aggregator.parse import limits
from aggregator.parse.payload import Payload

_DECLARATION = re.compile(rb"<\?xml[^>]{0,1000}\?>")
_AMPERSAND = re.compile(
    rb"<!\[CDATA\[(?:[^\]]++|\](?!\]>))*+\]\]>|<!--(?:[^-]++|-(?!->))*+-->"
    rb"|&(#[0-9]+;|#[xX][0-9A-Fa-f]+;|[A-Za-z][\w.-]*;)?"
)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]+|\xef\xbf[\xbe\xbf]")
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_ROOT = re.compile(rb"<\w")
_FLOOD = re.compile(rb"\s{64,}")
_XML_NAMES = frozenset({b"lt;", b"gt;", b"amp;", b"quot;", b"apos;"})


def declared_head(source: Payload) -> Payload:
    """Return the document in UTF-8, without white space before the declaration."""
    body = charset.as_utf8(source.body, source.content_type)
    if body[:1].isspace():
        body = body.lstrip(b" \t\r\n")
    while body.startswith(charset.BOM + charset.BOM):
        body = body.removeprefix(charset.BOM)
    return source if body is source.body else source._replace(body=body)


def _code(digits: bytes) -> int:
    """Return the number in a reference, or -1."""
    try:
        return int(digits[1:], 16) if digits[:1] in b"xX" else int(digits)
    except ValueError:
        return -1


def without_doctype(source: Payload) -> Payload:
    """Replace the document type's entities; those of HTML come from our own table, never from a file.

    Raises Refused for a document type that is hostile.
    """
    body = source.body
    found = prolog(body)
    if not found.doctype:
        return source
    begin, end = found.doctype
    own = limits.entities(body, body[begin:end])
    body = body[:begin] + body[end:]
    return source._replace(body=ampersands(body, own) if b"&" in body else body)


def ampersands(text: bytes, own: dict[bytes, bytes] | None = None) -> bytes:
    """Make every & a reference that XML knows, and drop the characters that XML forbids.

    `AT&T`, `?a=1&b=2` and `&nbsp;` break most broken feeds. `own`: entities that the document defines.
    """
    defined = own or {}

    def reference(found: re.Match[bytes]) -> bytes:
        whole, name = found[0], found[1]
        if not name:
            return b"&amp;" if whole == b"&" else whole
        if name[:1] == b"#":
            return _numbered(whole, name[1:-1])
        if name in _XML_NAMES:
            return whole
        if (value := defined.get(name[:-1])) is not None:
            return value
        content = _named(name.decode("ascii", "replace"))
        return content.encode() if content else b"&amp;" + whole[1:]

    text = charset.joined(_AMPERSAND.sub(reference, text))
    return _CONTROL.sub(b"", _SURROGATE.sub(b"\xef\xbf\xbd", text) if b"\xed" in text else text)


def _named(name: str) -> str | None:
    """Return the text of an entity of HTML, by its name and semicolon."""
    code = name2codepoint.get(name[:-1])
    return chr(code) if code else html5.get(name)


def _numbered(whole: bytes, digits: bytes) -> bytes:
    """Resolve a numeric reference; what XML forbids becomes what it was meant to be, U+FFFD or nothing."""
    code = _code(digits[:12])
    if 0x20 <= code < 0xD800 or code in (9, 10, 13) or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000:
        return whole
    if 0xD800 <= code < 0xE000:
        return chr(code).encode("utf-8", "surrogatepass")  # two of them are joined afterwards
    return b"" if 0 < code < 0x20 else b"\xef\xbf\xbd"


def for_feedparser(body: bytes) -> bytes:
    """Defuse white space before the root, and put the declaration on a line of its own.

    Two of feedparser's regular expressions are quadratic or worse on those.
    """
    root = _ROOT.search(body)
    at = root.start() if root else len(body)
    body = _FLOOD.sub(b"\n", body[:at]) + body[at:]
    if declaration := _DECLARATION.match(body):
        return body[: declaration.end()] + b"\n" + body[declaration.end() :]
    return body


def closed(text: bytes) -> bytes:
    """Close a comment or CDATA section that never ends, which would swallow the rest."""
    for opening, closing in ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>")):
        last = text.rfind(closing)
        unclosed = text.find(opening, last + 1 if last >= 0 else 0)
        if unclosed >= 0:
            text = text[:unclosed]
    return text
