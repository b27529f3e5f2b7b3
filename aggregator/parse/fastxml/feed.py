"""The fast reader: well-formed RSS, RDF Site Summary and Atom in a fraction of feedparser's time.

It returns what feedparser_reader.py does, or raises Unsupported; docs/decisions/0004-incremental-parsing.md says
how that is enforced. ElementTree builds the tree in C; only documents without a DTD come here, so entities cannot
be defined.
"""

import re
from xml.etree.ElementTree import Element, ParseError, XMLParser

from aggregator.core.text.charset import BOM
from aggregator.parse.fastxml.elements import (
    HALF_ENTITY,
    KINDS,
    Unsupported,
    attributes,
    leaf,
    name,
    resolve,
    resolved_link,
    scope,
    site_of,
    written_link,
)
from aggregator.parse.fastxml.entry import EntryReader
from aggregator.parse.fastxml.namespaces import ATOM_URI, RSS1_URI, are_usual, declarations, words
from aggregator.parse.fastxml.text_type import looks_like_html, unescape_if_html
from aggregator.parse.normalize import RawFeed
from aggregator.parse.payload import Payload

_ROOT = re.compile(rb"<\w")
_PICTURE_PARTS = words("title link description url href width height name")
_FEED_PARTS = words(
    "abstract atom channel content content_encoded dc_description dc_language dc_title description entries entry feed"
    " fullitem guid id image item items itunes_summary language link links media_description media_title rss source"
    " summary svg textinput title"
)

_SUMMARIES = words("summary itunes_summary")
_DESCRIPTIONS = words("description dc_description media_description")
_CONTENTS = words("content content_encoded fullitem")


def read_feed(source: Payload) -> RawFeed:
    """Read a document in UTF-8 as feedparser does. Raises Unsupported; ParseError if it is not well-formed."""
    text = source.body.removeprefix(BOM)
    start = _ROOT.search(text)
    if not start or b"<!DOCTYPE" in text[: start.start()]:
        raise Unsupported("a document type")
    declared = declarations(text)
    if not are_usual(declared):
        raise Unsupported("namespaces")
    parser = XMLParser(encoding="utf-8")  # noqa: S314 -- without a DTD there are no entities
    parser.feed(text)
    return _Reader(source, parser.close(), declared).read()


class _Reader:
    """Feed-level facts, and the place of the entries."""

    def __init__(self, source: Payload, root: Element, declared: set[tuple[str, str]]) -> None:
        self._root = root
        self._address = source.url
        self._declared = {uri.lower() for _, uri in declared}
        self._feed = RawFeed()
        self._feed.lang = (source.content_language or "").replace("_", "-") or None
        found = attributes(root)
        self._base, self._lang = scope(found, resolve(source.url, source.url), source.content_language or None)
        if not self._base.startswith(("http://", "https://")):
            raise Unsupported("an address that is not on the web")
        self._version = self._declared_version()
        self._feed.literal = self._version.startswith("atom")
        self._has_content = self._has_summary = False
        if self._lang and name(root) in ("feed", "rss"):
            self._feed.lang = self._lang.replace("_", "-")

    def read(self) -> RawFeed:
        kind = name(self._root)
        if kind == "feed":
            self._level(self._root)
        elif kind in ("rss", "rdf_rdf"):
            self._channels(self._root, kind)
        else:
            raise Unsupported(f"root {kind}")
        return self._feed

    def _channels(self, root: Element, kind: str) -> None:
        seen = False
        for child in root:
            called = name(child)
            if called == "channel" and not seen:
                seen = True
                found = attributes(child)
                before = self._base, self._lang
                if "lastmod" in found or "href" in found:
                    raise Unsupported("a channel with an address of its own")
                self._base, self._lang = scope(found, *before)
                self._level(child)
                self._base, self._lang = before
            elif called == "item":
                self._entry(child)
            elif seen and kind == "rdf_rdf" and called in ("image", "textinput"):
                _picture(child)
            else:
                _nothing(child, called)

    def _level(self, parent: Element) -> None:
        """Read the elements of a channel or an Atom feed."""
        once: set[str] = set()
        for child in parent:
            called = name(child)
            if called in ("item", "entry"):
                self._entry(child)
            elif called in ("title", "language", "dc_language", "id"):
                if called in once or (called == "title" and self._feed.entries):
                    raise Unsupported(f"a {called} where none is expected")
                once.add(called)
                self._fact(child, called)
            elif called == "link":
                self._link(child)
            elif called in ("image", "textinput"):
                _picture(child)
            elif called in _SUMMARIES or called in _DESCRIPTIONS or called in _CONTENTS:
                leaf(child)
                self._described(called)
            else:
                _nothing(child, called)

    def _entry(self, element: Element) -> None:
        site = site_of(self._feed.link)
        reader = EntryReader(self._address, self._base, self._lang, self._version, self._has_content, site)
        self._feed.entries.append(reader.read(element))
        self._has_content = False

    def _described(self, called: str) -> None:
        """Take a second description of the feed for content, which feedparser remembers in the next entry."""
        if called in _CONTENTS or (self._has_summary and not self._has_content):
            self._has_content = self._has_summary = True
        elif called in _SUMMARIES:
            self._has_summary = True

    def _fact(self, element: Element, called: str) -> None:
        found = attributes(element)
        value = unescape_if_html(leaf(element))
        if called == "title":
            kind = found.get("type", "text/plain")
            kind = KINDS.get(kind, kind)
            if kind not in ("text/plain", "text/html") or found.get("mode") == "base64":
                raise Unsupported(f"title of type {kind}")
            if kind == "text/plain" and not self._version.startswith("atom") and looks_like_html(value):
                kind = "text/html"
            self._feed.title = value, kind
        elif called == "id":
            if self._feed.link is None and found.get("ispermalink", "true") == "true":
                self._feed.link = resolve(scope(found, self._base, None)[0], value) if value else value
        else:
            self._feed.lang = value

    def _link(self, element: Element) -> None:
        found = attributes(element)
        base = scope(found, self._base, None)[0]
        relation, href, page, _ = resolved_link(found, base)
        if href is None:
            href = HALF_ENTITY.sub(r"&\g<1>", written_link(element, base))
        elif len(element):
            raise Unsupported("markup in link")
        if page:
            self._feed.link = href
        self._feed.linked(relation, href)

    def _declared_version(self) -> str:
        """Return as much of feedparser's version as decides how it guesses at markup."""
        kind, uri = name(self._root), self._root.tag[1:].partition("}")[0].lower()
        if kind == "rss":
            return "rss"
        if (ATOM_URI in self._declared) != (uri == ATOM_URI) or (kind == "feed" and RSS1_URI in self._declared):
            raise Unsupported("Atom mixed with something else")
        return ("atom10" if uri == ATOM_URI else "atom") if kind == "feed" else "rdf"


def _picture(element: Element) -> None:
    if any(len(part) or name(part) not in _PICTURE_PARTS for part in element):
        raise Unsupported("image")


def _nothing(element: Element, called: str) -> None:
    """Check that nothing in an element that is skipped matters to feedparser."""
    if called in _FEED_PARTS and called != "items":
        raise Unsupported(called)
    if len(element) and any(name(part) in _FEED_PARTS for part in element.iter() if part is not element):
        raise Unsupported(f"{called} with parts")


__all__ = ["ParseError", "Unsupported", "read_feed"]
