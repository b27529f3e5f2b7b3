"""Subscription lists: OPML in (folders become tags) and out (the first tag becomes the folder)."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from html import unescape
from itertools import groupby
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from pydantic import TypeAdapter, ValidationError

from aggregator.core.errors import ParseError
from aggregator.core.settings import Feed
from aggregator.core.text import charset
from aggregator.core.text.urls import Login, canonical_url, login_in, pasted_urls
from aggregator.core.values import HttpUrl

MAX_BYTES = 10 * 2**20
WATCHED = "already configured"
TWICE = "listed twice"

_ADDRESS = re.compile(r"\bxmlurl\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_OUTLINE = re.compile(r"""<outline\b(?:[^<>"']++|"[^"<]{0,3000}+"|'[^'<]{0,3000}+'){0,60}+>""", re.IGNORECASE)
_CLOSED = re.compile(r"\s{0,100}</outline", re.IGNORECASE)
_PAIR = re.compile(r"""\b([A-Za-z]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_WEB = re.compile(r"(?:https?|feed):/*\w", re.IGNORECASE)
_DECLARATION = re.compile(r"<\?xml[^>]*\?>")
MAX_FEEDS = 10_000  # about what a file of feeds can hold, see source.MAX_BYTES


class OpmlOutline(NamedTuple):
    """A feed that an OPML document names."""

    url: str
    title: str
    tags: tuple[str, ...]
    user: str = ""
    password: str = ""

    @property
    def auth(self) -> dict[str, str]:
        """Return the keys of `auth`, if the document's address carried a name and password."""
        return Login(self.url, self.user, self.password).auth

    def row(self) -> dict[str, object]:
        """Return the keys of a feed in YAML."""
        row = {"url": self.url, "title": self.title, "tags": list(self.tags), "auth": self.auth}
        return {key: value for key, value in row.items() if value}


def from_opml(document: bytes) -> tuple[OpmlOutline, ...]:
    """Read every feed of an OPML (or FOAF, or iGoogle) document, in its order. Raises ParseError."""
    import listparser

    text = _text_of(document)
    times = Counter(unescape(double or single).strip() for double, single in _ADDRESS.findall(text))
    if times.total() > MAX_FEEDS:  # counted before it costs anything to read them
        raise _too_many()
    # In ASCII, because listparser reads charsets in one way with lxml and in another without.
    try:
        found = listparser.parse(text.encode("ascii", "xmlcharrefreplace"))
    except (ValueError, LookupError, RecursionError) as broken:
        raise _not_opml() from broken
    if not found.version and not found.feeds:
        raise _not_opml()
    if len(found.feeds) > MAX_FEEDS:
        raise _too_many()
    subscriptions = []
    for feed in found.feeds:
        login = login_in(pasted_urls(feed.url)[0])
        one = OpmlOutline(login.url, _text(feed.title), _tags(feed.categories), login.user, login.password)
        subscriptions += [one] * max(1, times[feed.url.strip()])  # listparser makes one of those that are named twice
    return tuple(subscriptions)


def left_out(document: bytes) -> tuple[tuple[str, str], ...]:
    """Return (what, why) of outlines that name something else than a feed, and of a document that is cut off.

    Raises ParseError.
    """
    text = _text_of(document)
    found: dict[str, str] = {}
    for outline in _OUTLINE.finditer(text):
        given = {name.lower(): unescape(double or single).strip() for name, double, single in _PAIR.findall(outline[0])}
        address = given.get("url") or given.get("htmlurl") or given.get("text") or given.get("title") or ""
        is_leaf = outline[0].endswith("/>") or _CLOSED.match(text, outline.end())
        if given.get("xmlurl") or not is_leaf or not _WEB.match(address):
            continue
        if given.get("type", "").lower() in ("link", "include") and given.get("url"):
            found[address] = "it may be a list of feeds, not a feed: download it and import it too"
        else:
            found[address] = "it has no xmlUrl; add it with `aggregator feeds add`"
    if "<opml" in text[:10_000].lower() and "</opml" not in text[-10_000:].lower():
        found["the rest"] = "the document ends before </opml>: download it again"
    return tuple(found.items())


def _text_of(document: bytes) -> str:
    if len(document) > MAX_BYTES:
        raise ParseError(f"the OPML document is larger than {MAX_BYTES // 2**20} MiB", found="hostile")
    text = charset.whole(charset.as_utf8(document)).decode("utf-8-sig").lstrip("\ufeff \t\r\n\0")
    return _DECLARATION.sub("", text)


def _not_opml() -> ParseError:
    return ParseError("not an OPML document; for addresses, use `aggregator feeds add URL`", transient=False)


def _too_many() -> ParseError:
    return ParseError(f"the document has more than {MAX_FEEDS} feeds; split it", transient=False)


def split_known(
    wanted: Iterable[OpmlOutline], known: Sequence[Feed]
) -> tuple[tuple[OpmlOutline, ...], tuple[tuple[str, str], ...]]:
    """Split feeds into those that can be added, and (url, why not) of the rest."""
    address: TypeAdapter[str] = TypeAdapter(HttpUrl)
    taken = {canonical_url(feed.url): WATCHED for feed in known}
    new: list[OpmlOutline] = []
    skipped: list[tuple[str, str]] = []
    for one in wanted:
        try:
            why = taken.get(canonical_url(address.validate_python(one.url)))
        except ValidationError:
            why = "not a web address"
        if why:
            skipped.append((one.url, why))
        else:
            new.append(one)
            taken[canonical_url(one.url)] = TWICE
    return tuple(new), tuple(skipped)


def to_opml(feeds: Iterable[Feed]) -> str:
    """Write an OPML 2.0 document; the first tag is the folder, the others are in `category`.

    What a category cannot hold, because it divides there, is a folder inside the first.

    Sources of other kinds are left out: to every other reader they would be feeds that fail.
    """
    feeds = [feed for feed in feeds if feed.kind == "feed"]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<opml version="2.0">', "  <head><title>Feeds</title></head>"]
    lines.append("  <body>")
    for folders, inside in groupby(sorted(feeds, key=_folders), key=_folders):
        indents = ["  " * (depth + 2) for depth in range(len(folders) + 1)]
        lines += [f"{indent}<outline text={_attribute(name)}>" for indent, name in zip(indents, folders, strict=False)]
        lines += [f"{indents[-1]}{_outline(feed)}" for feed in inside]
        lines += [f"{indent}</outline>" for indent in reversed(indents[:-1])]
    return "\n".join([*lines, "  </body>", "</opml>", ""])


def _outline(feed: Feed) -> str:
    name = _attribute(feed.title or feed.id)
    more = [tag for tag in feed.tags if tag not in _folders(feed)]
    category = f" category={_attribute(','.join(more))}" if more else ""
    return f'<outline type="rss" text={name} title={name} xmlUrl={_attribute(feed.url)}{category}/>'


def _folders(feed: Feed) -> tuple[str, ...]:
    """Return the first tag, and those that a category cannot hold."""
    return (*feed.tags[:1], *(tag for tag in feed.tags[1:] if set(tag) & set("/,")))


def _attribute(text: str) -> str:
    return quoteattr(" ".join(text.split()))


def _text(text: str | None) -> str:
    """Return one line without control characters, and not longer than a title."""
    return "".join(c for c in " ".join((text or "").split()) if c.isprintable())[:200]


def _tags(categories: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the names of the folders, outermost first, then the categories; what repeats one is left out."""
    folders_first = (*categories[-1:], *categories[:-1])  # listparser has the folders last
    return tuple(dict.fromkeys(name for path in folders_first for part in path if (name := _text(part))))
