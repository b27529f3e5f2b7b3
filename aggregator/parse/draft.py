"""Entries between the document and the wire: markup becomes visible text, addresses become absolute.

A reader (reference.py, lean.py, jsonfeed.py) fills drafts with what the document says; `row` is the one
place where that becomes what the rest of the house stores, so that readers cannot differ in it.
"""

import re
from urllib.parse import quote, urljoin

from aggregator.core.text.html import visible_text
from aggregator.core.text.sanitize import MAX_NAME, MAX_TITLE, UNSAFE, clean_lines, clean_text

MAX_TEXT = 2**20  # characters of one text, before its markup is removed
MAX_ADDRESS = 4096
RELATIONS = frozenset({"hub", "self", "prev-archive"})
MAX_LIST = 100  # categories or enclosures of one entry

Row = tuple[
    str | None,  # guid
    str | None,  # link
    str,  # title
    str,  # summary
    str,  # content
    str,  # author
    tuple[str, ...],  # categories
    float | None,  # published, seconds since 1970
    float | None,  # updated
    tuple[str, ...],  # enclosures
    str | None,  # lang
    str | None,  # raw hash
]
Text = tuple[str, str]  # value, media type
Poison = tuple[bytes, str]  # an entry that could not be read: its bytes, the reason

_WEB = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x20\x7f]+")
_LEFTOVER = re.compile(r"\w* ?\(([^()]+)|(.+?) <\w*>")
_LANG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4}")


class Draft:
    """One entry as its document gives it; `base` is the address that its links are relative to."""

    __slots__ = (
        "base", "contents", "enclosures", "guid", "lang", "link", "people", "published", "summary", "tags", "title",
        "updated",
    )  # fmt: skip

    def __init__(self) -> None:
        self.guid: str | None = None
        self.link: str | None = None
        self.title: Text = ("", "text/plain")
        self.summary: Text = ("", "text/html")
        self.contents: list[Text] = []
        self.people: list[str] = []
        self.tags: list[str] = []
        self.published: float | None = None
        self.updated: float | None = None
        self.enclosures: list[str] = []
        self.lang: str | None = None
        self.base = ""


class FeedDraft:
    """What a document says about itself; `links` are (relation, address) of the relations that we follow."""

    __slots__ = ("entries", "lang", "link", "links", "title", "warnings")

    def __init__(self) -> None:
        self.title: Text = ("", "text/plain")
        self.link: str | None = None
        self.lang: str | None = None
        self.links: list[tuple[str, str]] = []
        self.entries: list[Draft | Poison] = []
        self.warnings: list[str] = []

    def linked(self, relation: str | None, href: str | None) -> None:
        """Remember a link of the feed, if it is of use."""
        if relation in RELATIONS and href:
            self.links.append((relation, href))


def row(draft: Draft, feed_lang: str | None) -> Row:
    """The finished entry. A summary that only repeats the content is dropped."""
    contents = [content for content in draft.contents if content[0]]
    summary = "" if any(content[0] == draft.summary[0] for content in contents) else text(draft.summary)
    whole = text(draft.title)
    title = clean_text(whole)
    if len(whole) > MAX_TITLE and not (summary or contents):  # what is cut off is found where it stands alone
        summary = whole
    return (
        (draft.guid or "").strip()[:MAX_ADDRESS] or None,
        address(draft.link),
        title,
        summary,
        "\n\n".join(filter(None, map(text, dict.fromkeys(contents)))),
        clean_text(", ".join(dict.fromkeys(filter(None, map(_person, draft.people[:MAX_LIST]))))),
        tuple(dict.fromkeys(filter(None, (clean_text(tag, MAX_NAME) for tag in draft.tags[:MAX_LIST])))),
        draft.published,
        draft.updated,
        _enclosures(draft),
        language(draft.lang) or feed_lang,
        None,
    )


def text(value: Text) -> str:
    """Visible text of a value, by its media type."""
    written, kind = value
    if kind == "text/plain":
        return clean_lines(written[:MAX_TEXT])
    if "</br>" in written:  # one line break in XHTML, two in HTML
        written = written.replace("<br></br>", "<br>")
    return visible_text(written[:MAX_TEXT])


def address(url: str | None, base: str = "") -> str | None:
    """An absolute http(s) address without control characters; None for `javascript:` and its kin."""
    if not url:
        return None
    url = _CONTROL.sub("", url)
    if base and not _WEB.match(url):
        try:
            url = urljoin(base, url)
        except ValueError:
            return None
    url = UNSAFE.sub(lambda found: quote(found[0], errors="replace"), url)
    return url if _WEB.match(url) and len(url) <= MAX_ADDRESS else None


def language(tag: str | None) -> str | None:
    """A language tag (RFC 5646) in lower case, or None where it is none."""
    tag = (tag or "").strip()
    return tag.replace("_", "-").lower() if _LANG.fullmatch(tag) else None


def _person(name: str) -> str:
    """A name without what is left of an address whose top-level domain is longer than feedparser expects."""
    name = clean_text(name, MAX_NAME)
    if found := _LEFTOVER.fullmatch(name):
        return found[1] or found[2]
    return name


def _enclosures(draft: Draft) -> tuple[str, ...]:
    if not draft.enclosures:
        return ()
    found = (address(url, draft.base) for url in draft.enclosures[:MAX_LIST])
    return tuple(dict.fromkeys(filter(None, found)))
