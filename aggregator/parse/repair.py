"""Mistakes that feeds make and readers trip over, mended before anybody reads."""

import re
from html.entities import name2codepoint

from aggregator.parse.source import Source

_WIDE = re.compile(rb"(?:utf|ucs|u|csucs|iso-10646-ucs)[-_]?(?:16|32|2|4)\w*", re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"'][^>]*\?>")
_DECLARATION = re.compile(rb"<\?xml[^>]{0,1000}\?>")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
_AMPERSAND = re.compile(
    rb"<!\[CDATA\[(?:[^\]]++|\](?!\]>))*+\]\]>|<!--(?:[^-]++|-(?!->))*+-->"
    rb"|&(#[0-9]+;|#[xX][0-9A-Fa-f]+;|[A-Za-z][\w.-]*;)?"
)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]+|\xef\xbf[\xbe\xbf]|\xed[\xa0-\xbf][\x80-\xbf]")
_ROOT = re.compile(rb"<\w")
_FLOOD = re.compile(rb"\s{64,}")
_XML_NAMES = frozenset({b"lt;", b"gt;", b"amp;", b"quot;", b"apos;"})


def head(source: Source) -> Source:
    """White space before the declaration is dropped, and a claim of UTF-16 that the bytes themselves refute."""
    body = source.body.lstrip(b" \t\r\n") if source.body[:1].isspace() else source.body
    content_type = source.content_type
    plain = body.removeprefix(b"\xef\xbb\xbf")[:1] == b"<" and body[1:2] != b"\0"
    declared = _DECLARED.search(body[:500]) if plain else None
    if declared and _WIDE.fullmatch(declared[1]):
        body = body[: declared.start()] + body[declared.end() :]
    charset = _CHARSET.search(content_type) if plain else None
    if charset and _WIDE.fullmatch(charset[1].encode()):
        content_type = content_type.partition(";")[0]
    if body is source.body and content_type is source.content_type:
        return source
    return Source(body, source.url, content_type, source.content_language)


def ampersands(text: bytes) -> bytes:
    """A document in which every & is a reference that XML knows, without the characters that XML forbids.

    `AT&T`, `?a=1&b=2` and `&nbsp;` are what makes most broken feeds broken.
    """
    return _CONTROL.sub(b"", _AMPERSAND.sub(_reference, text))


def _reference(found: re.Match[bytes]) -> bytes:
    whole, name = found[0], found[1]
    if not whole.startswith(b"&") or (name and (name in _XML_NAMES or name.startswith(b"#"))):
        return whole
    if name and (code := name2codepoint.get(name[:-1].decode())):
        return chr(code).encode()
    return b"&amp;" + whole[1:]


def for_feedparser(body: bytes) -> bytes:
    """Defused: no flood of white space before the root, and a declaration on a line of its own.

    Two of feedparser's regular expressions are quadratic or worse on those.
    """
    root = _ROOT.search(body)
    at = root.start() if root else len(body)
    body = _FLOOD.sub(b"\n", body[:at]) + body[at:]
    if declaration := _DECLARATION.match(body):
        return body[: declaration.end()] + b"\n" + body[declaration.end() :]
    return body


def closed(text: bytes) -> bytes:
    """An ill-formed document without a comment or CDATA section that never ends, which swallows the rest."""
    for opening, closing in ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>")):
        last = text.rfind(closing)
        unclosed = text.find(opening, last + 1 if last >= 0 else 0)
        if unclosed >= 0:
            text = text[:unclosed]
    return text
