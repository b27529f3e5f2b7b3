"""Incremental parsing: find the unchanged parts of a document by hashes of its bytes, and skip them.

A feed is an envelope around entries that stand side by side. If neither the envelope's meaning nor an
entry's bytes changed, reading that entry again gives what it gave before. `split_entries` finds the entries,
`FeedMemory` is what is kept of them from one poll to the next, `same_entries` is the cheapest comparison
(level 2), `unseen` makes a small document of what is new (level 3). See docs/decisions/0004-incremental-parsing.md.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple
from xml.parsers.expat import ExpatError, ParserCreate

from aggregator.core.text.charset import BOM
from aggregator.parse.fastxml.namespaces import are_usual, declarations
from aggregator.parse.payload import Payload

VERSION = 1
MAX_MIDDLE = 65536
MAX_ITEMS = 65535
MAX_MERGED = 5000  # entries remembered of parts; a whole document starts over

# Comments, CDATA sections and instructions are matched so that what stands inside them is not: in a
# well-formed document every other `<` begins a tag.
_MARKS = re.compile(
    rb"<!--(?:[^-]++|-(?!->))*+-->|<!\[CDATA\[(?:[^\]]++|\](?!\]>))*+\]\]>|<\?.*?\?>"
    rb"|<(?P<close>/?)(?:[\w.-]+:)?(?P<name>item|entry|channel|feed|rss|rdf|language)(?=[\s/>])"
    rb"(?:[^>\"']|\"[^\"]*\"|'[^']*')*>",
    re.DOTALL | re.IGNORECASE,
)
_INHERITED = re.compile(rb"<(?:[\w.-]+:)?(?:language|link)[\s>][^<]*", re.IGNORECASE)
_ENTRY = re.compile(rb"<(?:[\w.-]+:)?(?:item|entry)[\s/>]", re.IGNORECASE)
NAMELESS = bytes(4)
_HEADER = struct.Struct("<BI8s8s8sI16sH")
_ITEM = struct.Struct("<8s4s")


class Layout(NamedTuple):
    """The entries of a well-formed document in UTF-8: byte ranges, in order.

    `prefix` is the length of what every entry inherits from: declaration and start tags of ancestors.
    """

    text: bytes
    prefix: int
    ranges: tuple[tuple[int, int], ...]
    ambient: bytes

    def entry(self, place: int) -> bytes:
        """Return the bytes of one entry."""
        return self.text[slice(*self.ranges[place])]

    def only(self, *places: int) -> bytes:
        """Return the document with these entries and no others."""
        before, after = self.text[: self.ranges[0][0]], self.text[self.ranges[-1][1] :]
        return b"".join((before, *map(self.entry, places), after))


class FeedMemory(NamedTuple):
    """The memory between polls: hashes of envelope, entries (in order) and their names."""

    prefix: int
    prefix_hash: bytes
    headers_hash: bytes
    inherited_hash: bytes
    tail: int
    tail_hash: bytes
    items: tuple[tuple[bytes, bytes], ...]

    def packed(self) -> bytes:
        """Pack the memory as bytes, with the version of the format first."""
        head = _HEADER.pack(
            VERSION,
            self.prefix,
            self.prefix_hash,
            self.headers_hash,
            self.inherited_hash,
            self.tail,
            self.tail_hash,
            len(self.items),
        )
        return head + b"".join(_ITEM.pack(*item) for item in self.items)


def unpack_memory(memory: bytes | None) -> FeedMemory | None:
    """Unpack the memory from bytes; None if they are of another version, or damaged."""
    if not memory or memory[0] != VERSION or len(memory) < _HEADER.size:
        return None
    _, prefix, prefix_hash, headers_hash, inherited_hash, tail, tail_hash, count = _HEADER.unpack_from(memory)
    if len(memory) != _HEADER.size + count * _ITEM.size:
        return None
    items = tuple(_ITEM.iter_unpack(memory[_HEADER.size :]))
    return FeedMemory(prefix, prefix_hash, headers_hash, inherited_hash, tail, tail_hash, items)


def same_entries(memory: bytes | None, source: Payload) -> bool:
    """Tell whether only the part between the ancestors' tags and the first entry changed, and nothing inherited."""
    # Servers rewrite lastBuildDate or a comment at the top of every response. If prefix and tail (all entries)
    # are byte for byte as before, and the middle changed nothing that entries inherit (language and link of
    # the channel; xml:base is in the prefix), parsing would yield the same entries. The length of the tail says
    # where it must begin, so nothing is searched; a new entry in the middle is excluded by the last condition.
    known = unpack_memory(memory)
    if not known or not known.tail or headers_hash(source) != known.headers_hash:
        return False
    body, begin = source.body, len(source.body) - known.tail
    if not known.prefix <= begin <= known.prefix + MAX_MIDDLE:
        return False
    middle = body[known.prefix : begin]
    return (
        _hash(body[begin:], 16) == known.tail_hash
        and _hash(body[: known.prefix]) == known.prefix_hash
        and _inherited_hash(middle) == known.inherited_hash
        and not _ENTRY.search(middle)
    )


def split_entries(source: Payload, *, well_formed: bool) -> Layout | None:
    """Return the entries of a document, or None if they cannot be distinguished with certainty.

    Not split: nested entries, entries with anything between them, a `<language>` inside one, a document
    type, namespaces that mean something else to feedparser, and what is not well-formed.
    """
    text = source.body.removeprefix(BOM)
    found = _entries(text) if well_formed or _is_well_formed(text) else None
    if not found:
        return None
    prefix, ranges = found
    if b"<!DOCTYPE" in text[: ranges[0][0]]:
        return None
    # Each entry is hashed under a key made of everything that gives its bytes another meaning: namespace
    # prefixes, inherited base and language, and the headers. So equal hashes mean equal results, and a
    # change above the entries makes all of them new instead of being missed. A document type could define
    # entities (XML 1.0, 4.2), which change the meaning of bytes anywhere; such documents are read whole.
    declared = declarations(text)
    if not are_usual(declared):
        return None
    spaces = "\0".join(sorted(f"{name} {uri}" for name, uri in declared)).encode()
    inherited = b"".join(_INHERITED.findall(text, prefix, ranges[0][0]))
    ambient = _hash(b"\0".join((text[:prefix], inherited, headers_hash(source), spaces)), 16)
    return Layout(text, prefix, ranges, ambient)


def _entries(text: bytes) -> tuple[int, tuple[tuple[int, int], ...]] | None:
    """Return the length of the inherited part and the ranges of the entries."""
    prefix = start = 0
    ranges: list[tuple[int, int]] = []
    inside = False
    for mark in _MARKS.finditer(text):
        name = mark["name"]
        if name is None:
            continue
        name = name.lower()
        if name not in (b"item", b"entry"):
            if inside or (ranges and name == b"language"):
                return None
            if not ranges and not mark["close"] and name != b"language":
                prefix = mark.end()
            continue
        if mark["close"]:
            if not inside:
                return None
            inside = False
            ranges.append((start, mark.end()))
        elif inside or (ranges and text[ranges[-1][1] : mark.start()].strip()):
            return None
        elif mark[0].endswith(b"/>"):
            ranges.append(mark.span())
        else:
            inside, start = True, mark.start()
    return (prefix, tuple(ranges)) if ranges and not inside else None


def _is_well_formed(text: bytes) -> bool:
    try:
        ParserCreate("utf-8", " ").Parse(text, True)
    except ExpatError:
        return False
    return True


def item_hashes(layout: Layout) -> list[bytes]:
    """Return 8 bytes for each entry: of its own bytes and of everything that it inherits."""
    text, key = layout.text, layout.ambient
    return [blake2b(text[start:end], key=key, digest_size=8).digest() for start, end in layout.ranges]


def unseen(layout: Layout, hashes: Sequence[bytes], known: FeedMemory) -> tuple[list[int], bytes]:
    """Return the places of new entries, and a document of the first entry and those.

    The first entry leads even if it is known: feedparser lets the envelope colour the first entry it meets.
    """
    seen = {item for item, _ in known.items}
    new = [place for place, item in enumerate(hashes) if item not in seen]
    return new, layout.only(0, *(place for place in new if place))


def remember(layout: Layout, source: Payload, hashes: Sequence[bytes], names: Iterable[bytes]) -> bytes:
    """Build the memory of a document: `names` are the names of its first entries, as many as were read."""
    # Layout has the text without a byte order mark, the next poll compares raw bytes: offsets are moved by
    # the mark's length. Without a reliable offset (the text was converted) `tail` is 0, which disables level 2.
    raw, first = source.body, layout.ranges[0][0]
    offset = len(raw) - len(layout.text)
    if offset not in (0, 3) or not raw.endswith(layout.text):  # 3: a byte order mark
        offset = -1
    prefix, begin = layout.prefix + max(0, offset), first + max(0, offset)
    return FeedMemory(
        prefix=prefix,
        prefix_hash=_hash(raw[:prefix]),
        headers_hash=headers_hash(source),
        inherited_hash=_inherited_hash(raw[prefix:begin]),
        tail=len(raw) - begin if offset >= 0 else 0,
        tail_hash=_hash(raw[begin:], 16),
        items=tuple(zip(hashes, names, strict=False))[:MAX_ITEMS],
    ).packed()


def merged(memory: bytes | None, part: bytes | None) -> bytes | None:
    """Add the entries of a part to the memory of a whole document; None: it stays as it is."""
    known, added = unpack_memory(memory), unpack_memory(part)
    if not known or not added:
        return None
    items = tuple(dict((*added.items, *known.items)).items())[: max(MAX_MERGED, len(known.items))]
    return known._replace(items=items).packed() if set(items) != set(known.items) else None


def name_hash(guid: str | None, link: str | None) -> bytes:
    """Return 4 bytes for what names an entry; zeros for an entry without a name."""
    return _hash((guid or link or "").encode(), 4) if guid or link else NAMELESS


def headers_hash(source: Payload) -> bytes:
    """Return 8 bytes for the HTTP headers that change the meaning of entries."""
    return _hash("\0".join((source.url, source.content_type, source.content_language)).encode("utf-8", "surrogatepass"))


def _inherited_hash(text: bytes) -> bytes:
    return _hash(b"".join(_INHERITED.findall(text)))


def _hash(data: bytes, size: int = 8) -> bytes:
    return blake2b(data, digest_size=size).digest()
