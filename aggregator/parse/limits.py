"""Documents that no honest publisher writes, found before feedparser meets them.

feedparser needs minutes for one element with 200,000 attributes and gigabytes for entities that repeat
each other; expat finds both in milliseconds. What is missed here meets the limits of the process.
"""

import re
from xml.parsers.expat import ExpatError, ParserCreate

from aggregator.core.text.prolog import prolog
from aggregator.parse.payload import rejected_as_hostile

MAX_DEPTH = 100
MAX_ATTRIBUTES = 200
MAX_NODES = 500_000
MAX_EXPANSION = 10 * 2**20

_ENTITY = re.compile(
    rb"<!ENTITY\s+(%\s+)?([\w.:-]+)\s+(?:\"([^\"]*)\"|'([^']*)'|(SYSTEM|PUBLIC)(?:\s+([\"'][^\"'>]*[\"']))?)"
)
# The sets of HTML's and ISO's entities: we have them all (html.entities), so that nothing has to be fetched.
_KNOWN_SET = re.compile(
    rb"[\"'](?:-//W3C//ENTITIES [^\"']*|(?:-//)?ISO[ \d:-]*//ENTITIES [^\"']*"
    rb"|[^\"']*\b(?:x?html-?)?(?:lat1|symbol|special)\.ent)[\"']",
    re.IGNORECASE,
)


def check_size(body: bytes) -> None:
    """Refuse more markup than a feed has. Cheap enough for every document."""
    if body.count(b"<") > 2 * MAX_NODES:
        raise rejected_as_hostile(f"The document has more than {MAX_NODES:,} elements.")


def check(body: bytes) -> None:
    """Refuse depth, attributes and entities beyond what feeds have. Raises Refused."""
    entities(body, body[: prolog(body).root])
    end = _check_well_formed(body)
    if end is not None:
        _check_tags(body[end:])


def entities(body: bytes, prologue: bytes) -> dict[bytes, bytes]:
    """Return the general entities that a document defines, by name. Raises Rejected for attacks."""
    total = 0
    found: dict[bytes, bytes] = {}
    for parameter, name, double, single, external, place in _ENTITY.findall(prologue):
        value = double or single
        if external and parameter and _KNOWN_SET.fullmatch(place):
            continue
        if external:
            raise rejected_as_hostile("The document refers to external files.")
        if b"&" in value.replace(b"&#", b"") and body.count(b"<!ENTITY") > 1:
            raise rejected_as_hostile("The document defines entities in terms of other entities.")
        total += len(value) * body.count(b"&" + name + b";")
        if total > MAX_EXPANSION:
            raise rejected_as_hostile("The document expands beyond the limit (its entities repeat each other).")
        if not parameter:
            found.setdefault(name, value)
    return found


def _check_well_formed(body: bytes) -> int | None:
    """Walk the document as far as it is well-formed; return the offset where it ceases to be."""
    depth = nodes = 0

    def start(_name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, nodes
        depth += 1
        nodes += 1
        if depth > MAX_DEPTH:
            raise rejected_as_hostile(f"The document is nested more than {MAX_DEPTH} levels deep.")
        if len(attributes) > MAX_ATTRIBUTES:
            raise rejected_as_hostile(f"An element has more than {MAX_ATTRIBUTES} attributes.")
        if nodes > MAX_NODES:
            raise rejected_as_hostile(f"The document has more than {MAX_NODES:,} elements.")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = ParserCreate("utf-8")  # whatever it declares: expat knows no charset of more than one byte
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(body, True)
    except ExpatError:
        return max(0, parser.ErrorByteIndex)
    return None


def _check_tags(rest: bytes) -> None:
    """Check the same in text that is no XML any more, by counting."""
    depth = 0
    for piece in rest.split(b"<"):
        tag = piece.partition(b">")[0]
        if tag.count(b"=") > MAX_ATTRIBUTES:
            raise rejected_as_hostile(f"An element has more than {MAX_ATTRIBUTES} attributes.")
        if tag[:1] == b"/":
            depth = max(0, depth - 1)
        elif tag[:1].isalpha() and tag[-1:] != b"/":
            depth += 1
            if depth > 20 * MAX_DEPTH:
                raise rejected_as_hostile("The document opens elements without closing them.")
