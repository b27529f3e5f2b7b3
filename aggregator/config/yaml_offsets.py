"""Source positions of a value's characters: through quotes, escapes and folded lines."""

import re
from collections.abc import Iterator

from aggregator.config.yaml_tree import ScalarNode

_DOUBLE = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|\r?\n[ \t]*|.)|[ \t\r\n]+|[^\\ \t\r\n]", re.DOTALL
)
_SINGLE = re.compile(r"''|[ \t\r\n]+|[^ \t\r\n]")
_PLAIN = re.compile(r"[ \t\r\n]+|[^ \t\r\n]")
_BLANKS = re.compile(r"[ \t\r\n]+")


def index_of(scalar: ScalarNode, offset: int) -> int:
    """Return the code point of the source that gave code point `offset` of the scalar's text.

    Exact for every visible character; within white space that YAML folded, the nearest place.
    """
    raw = scalar.source.text[scalar.start : scalar.end]
    if not scalar.style and "\n" not in raw:
        return scalar.start + min(offset, len(scalar.text))
    last = scalar.start
    for start, place, width in _pieces(scalar, raw):
        if offset < start + width:
            return scalar.start + place + (offset - start)
        last = scalar.start + place + max(width, 1)
    return last


def _pieces(scalar: ScalarNode, raw: str) -> Iterator[tuple[int, int, int]]:
    """Yield (offset in the text, offset in the source, code points) of each run that stayed together."""
    pattern, begin, end = _PLAIN, 0, len(raw)
    if scalar.style in ("'", '"'):
        pattern, begin, end = (_SINGLE if scalar.style == "'" else _DOUBLE), 1, len(raw) - 1
    elif scalar.style in ("|", ">"):
        begin = raw.find("\n") + 1
    at = 0
    for found in pattern.finditer(raw, begin, end):
        piece = found[0]
        if not piece.isspace():
            width = 0 if piece.startswith(("\\\n", "\\\r")) else 1
        elif scalar.style in ("|", ">"):
            blanks = _BLANKS.match(scalar.text, at)
            width = len(blanks[0]) if blanks else 0
        else:
            lines = piece.count("\n")
            width = len(piece) if not lines else max(1, lines - 1)
        yield at, found.start(), width
        at += width
