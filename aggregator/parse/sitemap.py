"""Sitemaps (https://www.sitemaps.org/protocol.html): Google's for news, plain ones, indexes, lists of addresses.

A plain sitemap has no titles: the words of an address's slug stand in for one. Of a sitemap with more addresses
than are read, those that are not remembered come first.
"""

import re
from hashlib import blake2b
from typing import Literal
from urllib.parse import unquote, urlsplit
from xml.parsers.expat import ExpatError, ParserCreate

from aggregator.core.text import charset
from aggregator.core.text.prolog import prolog
from aggregator.parse import limits, repair, sniff
from aggregator.parse.dates import instant
from aggregator.parse.normalize import Found, RawEntry, RawFeed, address
from aggregator.parse.payload import Payload, Rejected, rejected_as_hostile

MAX_ENTRIES = 5000
MAX_DEPTH = 50
MAX_VALUE = 4096  # characters of one value
MAX_PARTS = 50_000  # of an index, as the protocol says
MIN_LETTERS = 3  # of a slug with words
_MARK = b"S1"
_HASH_BYTES = 6
_PLAIN = re.compile(r"https?://\S+")
_ENDING = re.compile(r"\.(?:[sx]?html?|php\d?|aspx?|jsp|cfm)$", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{5,}|(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,}|[a-z]{1,3}[0-9]{4,}")
_MODEL = re.compile(r"(?<![\w-])([A-Za-z]) ([0-9]{2,4})(?![\w-])")
_FRONT = frozenset({"index", "default", "home"})


def read(source: Payload, memory: bytes | None) -> Found | None:
    """Return the addresses of a sitemap as entries, or the parts of an index; None: it is a feed. Raises Rejected."""
    found = _read(source, memory)
    if found is not None:
        found.feed.title = urlsplit(source.url).hostname or "", "text/plain"
    return found


def _read(source: Payload, memory: bytes | None) -> Found | None:
    sniff.check_kind(source.body)
    limits.check_size(source.body)
    body = charset.whole(source.body)
    limits.entities(body, body[: prolog(body).root])
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _of_list(body, memory)
    rows = _Rows()
    try:
        rows.take(body)
    except ExpatError as error:
        rows = _Rows(":")  # many declare no namespace of their extensions
        try:
            rows.take(repair.ampersands(body))
        except ExpatError:
            if rows.root is None:
                raise sniff.reject(body, str(error)) from None
            if rows.root in ("urlset", "sitemapindex"):
                raise Rejected(f"The sitemap is not well-formed XML ({error}).", "broken") from None
    if rows.root == "sitemapindex":
        parts = [(found, row.get("lastmod", "")) for row in rows.found if (found := address(row.get("loc")))]
        return Found(RawFeed(), len(parts), parts=tuple(dict(parts[:MAX_PARTS]).items()))
    if rows.root != "urlset":
        return None
    return _selected([entry for row in rows.found if (entry := _entry(row, source.url))], memory)


def _of_list(body: bytes, memory: bytes | None) -> Found:
    """Return the addresses of a sitemap in plain text, one a line."""
    lines = body.decode("utf-8-sig", "replace").split()
    urls = [line for line in lines if _PLAIN.fullmatch(line)]
    if len(urls) < len(lines):
        raise Rejected("This is plain text, not a sitemap.", "broken")
    return _selected([entry for url in urls if (entry := _entry({"loc": url}))], memory)


def _selected(entries: list[RawEntry], memory: bytes | None) -> Found:
    feed = RawFeed()
    if len(entries) <= MAX_ENTRIES:
        feed.entries = list(entries)
        return Found(feed, len(entries))
    known = _unpacked(memory)
    hashes = [blake2b((entry.link or "").encode(), digest_size=_HASH_BYTES).digest() for entry in entries]
    unseen = [place for place, name in enumerate(hashes) if name not in known]
    unseen.sort(key=lambda place: entries[place].published or entries[place].updated or 0.0, reverse=True)
    chosen = sorted(unseen[:MAX_ENTRIES])
    feed.entries = [entries[place] for place in chosen]
    first = not known
    remembered = set(hashes) if first else (known & set(hashes)) | {hashes[place] for place in chosen}
    if first:
        feed.warnings.append(f"The sitemap has {len(entries):,} addresses; the youngest {MAX_ENTRIES:,} were read.")
    return Found(feed, len(entries), partial=not first, memory=_MARK + b"".join(sorted(remembered)))


def _unpacked(memory: bytes | None) -> frozenset[bytes]:
    if not memory or not memory.startswith(_MARK):
        return frozenset()
    data = memory[len(_MARK) :]
    return frozenset(data[at : at + _HASH_BYTES] for at in range(0, len(data), _HASH_BYTES))


def _entry(row: dict[str, str], base: str = "") -> RawEntry | None:
    link = address(row.get("loc"), base)
    if not link:
        return None
    raw = RawEntry()
    raw.link = link
    given = row.get("news:title") or row.get("video:title")
    raw.title = given or title_of(link), "text/plain"
    raw.summary = row.get("video:description", ""), "text/plain"
    published, updated = instant(row.get("news:publication_date", "")), instant(row.get("lastmod", ""))
    raw.published = published.timestamp() if published else None
    raw.updated = updated.timestamp() if updated else None
    raw.lang = row.get("news:language") or None
    raw.tags = [tag.strip() for tag in row.get("news:keywords", "").split(",") if tag.strip()]
    return raw


def title_of(url: str) -> str:
    """Return the words of an address's slug: `/2024/india-gets-s-400-news-12345.html` → India gets s-400 news."""
    parts = urlsplit(url)
    best = ""
    for segment in reversed(parts.path.split("/")):
        name = _ENDING.sub("", unquote(segment, errors="replace"))
        words = [word for word in re.split(r"[-_+.,\s]+", name) if word and not _NUMBER.fullmatch(word.lower())]
        if sum(map(str.isalpha, "".join(words))) < MIN_LETTERS or name.lower() in _FRONT:
            continue
        text = _MODEL.sub(r"\1-\2", " ".join(words))
        if len(words) > 1:
            best = text
            break
        best = best or text
    return best[:1].upper() + best[1:] if best else parts.hostname or url


class _Rows:
    """The values of each `<url>` or `<sitemap>`, by local name; those of Google's extensions with `news:` before it.

    `mark` separates namespaces, or else prefixes, from local names.
    """

    def __init__(self, mark: Literal[" ", ":"] = " ") -> None:
        self._mark = mark
        self.root: str | None = None
        self.found: list[dict[str, str]] = []
        self._row: dict[str, str] | None = None
        self._text: list[str] = []
        self._depth = 0

    def take(self, body: bytes) -> None:
        """Read a document. Raises ExpatError, Rejected."""
        parser = ParserCreate("utf-8", self._mark if self._mark == " " else None)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.Parse(body, True)

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise rejected_as_hostile(f"The sitemap is nested more than {MAX_DEPTH} levels deep.")
        local = name.rpartition(self._mark)[2]
        if self._depth == 1:
            self.root = local
        elif self._depth == 2 and local in ("url", "sitemap"):
            self._row = {}
        self._text.clear()

    def _end(self, name: str) -> None:
        space, _, local = name.rpartition(self._mark)
        if self._depth == 2:
            if self._row:
                self.found.append(self._row)
            self._row = None
        elif self._row is not None and (value := "".join(self._text).strip()):
            kind = "news:" if "news" in space else "video:" if "video" in space else ""
            if kind or (self._depth == 3 and "image" not in space):
                self._row.setdefault(kind + local, value[:MAX_VALUE])
        self._text.clear()
        self._depth -= 1
