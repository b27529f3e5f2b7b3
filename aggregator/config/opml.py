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

    if len(document) > MAX_BYTES:
        raise ParseError(f"the OPML document is larger than {MAX_BYTES // 2**20} MiB", found="hostile")
    text = charset.whole(charset.as_utf8(document)).decode("utf-8-sig").lstrip("\ufeff \t\r\n\0")
    text = _DECLARATION.sub("", text)
    times = Counter(unescape(double or single).strip() for double, single in _ADDRESS.findall(text))
    if times.total() > MAX_FEEDS:  # counted before it costs anything to read them
        raise _too_many()
    # In ASCII, because listparser reads charsets in one way with lxml and in another without.
    try:
        found = listparser.parse(text.encode("ascii", "xmlcharrefreplace"))
    except (ValueError, LookupError, RecursionError) as broken:
        raise ParseError("not an OPML document", transient=False) from broken
    if not found.version and not found.feeds:
        raise ParseError("not an OPML document", transient=False)
    if len(found.feeds) > MAX_FEEDS:
        raise _too_many()
    subscriptions = []
    for feed in found.feeds:
        login = login_in(pasted_urls(feed.url)[0])
        one = OpmlOutline(login.url, _text(feed.title), _tags(feed.categories), login.user, login.password)
        subscriptions += [one] * max(1, times[feed.url.strip()])  # listparser makes one of those that are named twice
    return tuple(subscriptions)


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
    """Write an OPML 2.0 document; tags beyond the first are in `category`.

    Sources of other kinds are left out: to every other reader they would be feeds that fail.
    """
    feeds = [feed for feed in feeds if feed.kind == "feed"]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<opml version="2.0">', "  <head><title>Feeds</title></head>"]
    lines.append("  <body>")
    for folder, inside in groupby(sorted(feeds, key=_folder), key=_folder):
        if folder:
            lines.append(f"    <outline text={_attribute(folder)}>")
        lines += [f"{'      ' if folder else '    '}{_outline(feed)}" for feed in inside]
        if folder:
            lines.append("    </outline>")
    return "\n".join([*lines, "  </body>", "</opml>", ""])


def _outline(feed: Feed) -> str:
    name = _attribute(feed.title or feed.id)
    more = [tag for tag in feed.tags[1:] if not set(tag) & set("/,")]
    category = f" category={_attribute(','.join(more))}" if more else ""
    return f'<outline type="rss" text={name} title={name} xmlUrl={_attribute(feed.url)}{category}/>'


def _folder(feed: Feed) -> str:
    return feed.tags[0] if feed.tags else ""


def _attribute(text: str) -> str:
    return quoteattr(" ".join(text.split()))


def _text(text: str | None) -> str:
    """Return one line without control characters, and not longer than a title."""
    return "".join(c for c in " ".join((text or "").split()) if c.isprintable())[:200]


def _tags(categories: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for path in categories for part in path if (name := _text(part))))
