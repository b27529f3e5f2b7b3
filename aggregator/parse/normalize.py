"""Normalised entries: markup becomes visible text, addresses become absolute.

A reader (feedparser_reader.py, fastxml, jsonfeed.py) fills raw entries with what the document says; `to_record` is
the one place where that becomes what the rest of the application stores, so that readers cannot differ in it.
"""

import re
from functools import lru_cache
from html import unescape
from html.entities import html5
from typing import NamedTuple
from urllib.parse import quote, urljoin

from aggregator.core.text.charset import joined_references
from aggregator.core.text.html import visible_text
from aggregator.core.text.redirectors import destination
from aggregator.core.text.sanitize import MAX_NAME, MAX_TITLE, SPACE, UNSAFE, clean_lines, clean_text
from aggregator.parse.fastxml.namespaces import words
from aggregator.parse.fastxml.text_type import HTML_ELEMENTS
from aggregator.parse.workers.protocol import EntryRecord

MAX_TEXT = 2**20  # characters of one text, before its markup is removed
MAX_ADDRESS = 4096
RELATIONS = frozenset({"hub", "self", "prev-archive"})
MAX_LIST = 100  # categories or enclosures of one entry
EARLIEST = 921456000.0  # 15 March 1999, RSS 0.90: what is dated before the first feed was never dated
LATEST = 253370764800.0  # the year 9999 means "never", and its last hours are no date at all in zones east of UTC

Text = tuple[str, str]  # value, media type
NO_TITLE: Text = ("", "text/plain")
OTHER_TITLES = ("dc_title", "itunes_title", "media_title")  # which make a headline for want of one, in this order
Quarantined = tuple[bytes, str]  # an entry that could not be read: its bytes, the reason

_NO_TEXT = ("image/", "audio/", "video/")  # in base 64
_CDATA = re.compile(r"<! ?\[ ?CDATA ?\[", re.IGNORECASE)
_WEB = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_USUAL = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9._~:/?#@!$&'()*+,;=%-]*")
_NOT_IN_ADDRESSES = re.compile(rf"[{SPACE}\"<>\\^`{{|}}]")
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|([A-Za-z][A-Za-z0-9]{1,31}));")
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)(?=[\s/>])[^<>]*>")
_ANY_TAG = re.compile(r"</?([A-Za-z][\w:-]*)")
_ENDING = re.compile(r"</[a-z]|<(?:br|img|wbr|hr)\b[^<>]*>", re.IGNORECASE)
_LAYOUT = words("a abbr b big br center div em font h1 h2 h3 h4 hr i img p small span strong sub sup u wbr")
_LEFTOVER = re.compile(r"\w* ?\(([^()]+)|(.+?) <\w*>")
_LANG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4}")
_MAX_LANG = 39  # characters that it may match


class RawEntry:
    """One entry as its document gives it; `base` is the address that its links are relative to.

    `original` goes before `link`, as the address that a service replaced; `fallbacks` come after it. `more`
    are descriptions beside summary and contents, which often repeat them. `literal`: Atom, whose plain text
    means what it says (RFC 4287, 3.1.1.1).
    """

    __slots__ = (
        "base", "contents", "enclosures", "fallbacks", "guid", "lang", "link", "literal", "more", "original", "people",
        "published", "summary", "tags", "title", "updated",
    )  # fmt: skip

    def __init__(self) -> None:
        self.guid: str | None = None
        self.link: str | None = None
        self.original: str | None = None
        self.fallbacks: list[str] = []
        self.more: list[Text] = []
        self.literal = False
        self.title: Text = NO_TITLE
        self.summary: Text = ("", "text/html")
        self.contents: list[Text] = []
        self.people: list[str] = []
        self.tags: list[str] = []
        self.published: float | None = None
        self.updated: float | None = None
        self.enclosures: list[str] = []
        self.lang: str | None = None
        self.base = ""


class RawFeed:
    """A document's facts about itself; `links` are (relation, address) of the relations that we follow."""

    __slots__ = ("entries", "lang", "link", "links", "literal", "title", "warnings")

    def __init__(self) -> None:
        self.title: Text = NO_TITLE
        self.link: str | None = None
        self.lang: str | None = None
        self.literal = False
        self.links: list[tuple[str, str]] = []
        self.entries: list[RawEntry | Quarantined] = []
        self.warnings: list[str] = []

    def linked(self, relation: str | None, href: str | None) -> None:
        """Remember a link of the feed, if it is of use."""
        if relation in RELATIONS and href:
            self.links.append((relation, href))


class Found(NamedTuple):
    """What a reader of another kind than feeds found. `items` counts the entries of the whole document.

    `partial`: only those are given that `memory` did not have. The others as in protocol.ParseReply.
    """

    feed: RawFeed
    items: int
    partial: bool = False
    memory: bytes | None = None
    parts: tuple[tuple[str, str], ...] = ()
    select: tuple[tuple[str, str], ...] = ()
    nothing: str = ""


def to_record(raw: RawEntry, feed_lang: str | None) -> EntryRecord:
    """Return the finished entry. A summary that only repeats the content is dropped."""
    contents = [content for content in raw.contents if content[0]]
    summary = "" if any(content[0] == raw.summary[0] for content in contents) else text(raw.summary)
    whole = headline(raw.title, raw.literal)
    title = clean_text(whole)
    if len(whole) > MAX_TITLE and not (summary or contents):  # what is cut off is found where it stands alone
        summary = whole
    return (
        (raw.guid or "").strip()[:MAX_ADDRESS] or None,
        _link(raw),
        title,
        summary,
        _content(contents, raw.more, summary),
        clean_text(", ".join(dict.fromkeys(filter(None, map(_person, raw.people[:MAX_LIST]))))),
        tuple(dict.fromkeys(filter(None, map(_short, raw.tags[:MAX_LIST])))),
        _believed(raw.published),
        _believed(raw.updated),
        _enclosures(raw),
        language(raw.lang) or feed_lang,
        None,
    )


def headline(title: Text, literal: bool) -> str:
    """Return a whole title, without entities that were escaped once too often; `literal` as in RawEntry."""
    shown = text(title)
    return shown if literal and title[1] == "text/plain" else _without_markup(_unescaped(shown))


def text(value: Text) -> str:
    """Return the visible text of a value, by its media type."""
    written, kind = value
    if kind.startswith(_NO_TEXT):
        return ""
    if "<![" in written or "<! [" in written:  # escaped together with what it holds
        written = _without_cdata(written)
    if kind == "text/plain":
        return clean_lines(written[:MAX_TEXT])
    if "</br>" in written:  # one line break in XHTML, two in HTML
        written = written.replace("<br></br>", "<br>")
    shown = visible_text(joined_references(written[:MAX_TEXT]))
    return _without_cdata(shown).strip() if shown.startswith("<![") else shown  # escaped once more


def _without_cdata(written: str) -> str:
    return _CDATA.sub("", written).replace("]]>", "") if _CDATA.search(written) else written


def address(url: str | None, base: str = "") -> str | None:
    """Return an absolute http(s) address without control characters; None for `javascript:` and its kin."""
    if not url:
        return None
    if _USUAL.fullmatch(url) and len(url) <= MAX_ADDRESS:
        return url
    url = _CONTROL.sub("", url.strip())
    if base and not _WEB.match(url):
        try:
            url = urljoin(base, url)
        except ValueError:
            return None
    url = UNSAFE.sub(lambda found: quote(found[0], errors="replace"), url)
    if not _WEB.match(url) or len(url) > MAX_ADDRESS:
        return None
    return _NOT_IN_ADDRESSES.sub(lambda sign: quote(sign[0]), url) if _NOT_IN_ADDRESSES.search(url) else url


def language(tag: str | None) -> str | None:
    """Return a language tag (RFC 5646) in lower case, or None if it is none."""
    tag = (tag or "").strip()
    return _language(tag) if 0 < len(tag) <= _MAX_LANG else None


@lru_cache(maxsize=256)
def _language(tag: str) -> str | None:
    return tag.replace("_", "-").lower() if _LANG.fullmatch(tag) else None


def _link(raw: RawEntry) -> str | None:
    """Return the address of the page itself, from behind a redirector if its link contains it."""
    for url in (raw.original, raw.link, *raw.fallbacks):
        if found := address(url):
            behind = destination(found)
            return found if behind is found else address(behind)
    return None


def _content(contents: list[Text], more: list[Text], summary: str) -> str:
    """Return all contents, and of further descriptions those that say more than summary and contents."""
    texts = list(filter(None, map(text, dict.fromkeys(contents))))
    for further in filter(None, map(text, more)):
        if further not in summary and not any(further in known for known in texts):
            texts.append(further)
    return "\n\n".join(texts)


def _believed(when: float | None) -> float | None:
    return when if when is not None and EARLIEST <= when < LATEST else None


def _short(written: str) -> str:
    """Return the text of a name or a term, which some write as markup. Most are those of the entry before."""
    return _read_short(written) if len(written) > MAX_NAME else _known_short(written)


def _read_short(written: str) -> str:
    found = _TAG.search(written) if "<" in written else None
    shown = visible_text(written) if found and found[1].lower() in HTML_ELEMENTS else clean_lines(written)
    return clean_text(_without_markup(_unescaped(shown)).replace("\n\n", ", "), MAX_NAME)


_known_short = lru_cache(maxsize=1024)(_read_short)


def _unescaped(shown: str) -> str:
    """Unescape references that are left over: somebody escaped the text twice, or three times."""
    if "&" not in shown:
        return shown
    return clean_lines(_REFERENCE.sub(_character, _REFERENCE.sub(_character, shown)))


def _without_markup(shown: str) -> str:
    """Remove tags that are left over, if all of them only lay out a line and one of them needs no end or has one."""
    if "<" not in shown or not _ENDING.search(shown):
        return shown
    names = {name.lower() for name in _ANY_TAG.findall(shown)}
    return visible_text(shown) if names <= _LAYOUT else shown


def _character(found: re.Match[str]) -> str:
    return unescape(found[0]) if not found[1] or f"{found[1]};" in html5 else found[0]


def _person(name: str) -> str:
    """Strip from a name the rest of an address whose top-level domain is longer than feedparser expects."""
    name = _short(name)
    if ("(" in name or "<" in name) and (found := _LEFTOVER.fullmatch(name)):
        name = found[1] or found[2]
    return name[1:-1].strip() if name.count('"') == 2 and name[0] == name[-1] == '"' else name


def _enclosures(raw: RawEntry) -> tuple[str, ...]:
    if not raw.enclosures:
        return ()
    found = (address(url, raw.base) for url in raw.enclosures[:MAX_LIST])
    return tuple(dict.fromkeys(filter(None, found)))
