"""feedparser's parsers, with the rules replaced that lose or misattribute what an entry says.

feedparser is right about most of what feeds do, and the fast reader follows it. Where it is wrong, both
follow docs/decisions/0011-corrections.md: an entry has its own link and headline, never one of another
article that an extension names; each description is kept; relative links belong to the site.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from typing import Any

from feedparser import api
from feedparser.mixin import _FeedParserMixin

from aggregator.parse.fastxml.elements import permalink, relation, resolve, site_of
from aggregator.parse.fastxml.namespaces import KNOWN_PREFIXES, prefix_of, renamed
from aggregator.parse.fastxml.text_type import unescape_if_html

_ENTRIES = frozenset({"item", "entry"})


class _Corrections(_FeedParserMixin):  # type: ignore[misc]
    """Comes before feedparser's own rules; keeps its results in entries, under names that feedparser has not.

    `own_link`, `permalink`, `site`: addresses. `more`: texts with media types. `dc_title`, `itunes_title` and
    `media_title`: headlines for want of another.
    """

    tolerant = False  # whether tags may be left open
    _summaryKey: str | None  # noqa: N815 -- feedparser's

    def __init__(self, baseuri: str, *arguments: Any) -> None:
        self._document = baseuri
        self._strange: list[str] = []  # open elements from the first one of a vocabulary that nobody knows
        self._described = self._resolves_link = self._link_is_text = self._link_is_own = False
        self._title_before = -1
        self._permalink_says: str | None = None
        self._depths: dict[str, int] = {}
        super().__init__(baseuri, *arguments)

    # --- what belongs to others --------------------------------------------------------------------

    def unknown_starttag(self, tag: str, attrs: Any) -> Any:
        if self._strange:
            if not (self.tolerant and tag in _ENTRIES):
                self._strange.append(tag)
                return None
            self._strange.clear()
        elif self.inentry and not self.incontent and (self._is_foreign(tag) or tag == "textinput"):
            self._strange.append(tag)
        return super().unknown_starttag(tag, attrs)

    def unknown_endtag(self, tag: str) -> Any:
        if self._strange:
            if tag not in self._strange:
                if tag not in _ENTRIES:
                    return None
                self._strange.clear()
            else:
                while self._strange.pop() != tag:
                    pass
                if self._strange:
                    return None
        return super().unknown_endtag(tag)

    def handle_data(self, text: str, escape: int = 1) -> Any:
        return None if len(self._strange) > 1 else super().handle_data(text, escape)

    def _is_foreign(self, tag: str) -> bool:
        prefix, colon, _ = tag.partition(":")
        prefix = self.namespacemap.get(prefix, prefix)
        return bool(colon and prefix) and prefix.lower() not in KNOWN_PREFIXES

    def _entry(self) -> Any:
        """Return the entry that facts belong to now, or None."""
        return self.entries[-1] if self.inentry and not self.insource and not self.inimage else None

    def _start_item(self, attrs_d: Any) -> None:
        self._described = False
        self._depths = {}
        super()._start_item(attrs_d)
        self.entries[-1]["site"] = site_of(self.feeddata.get("link"))

    _start_entry = _start_item

    # --- headlines -----------------------------------------------------------------------------------

    def _start_source(self, attrs_d: Any) -> None:
        self._title_before = self.title_depth
        super()._start_source(attrs_d)

    def _end_source(self) -> None:
        super()._end_source()
        self.title_depth = self._title_before

    def _start_image(self, attrs_d: Any) -> None:
        before = self.title_depth
        super()._start_image(attrs_d)
        if self.inentry:
            self.title_depth = before

    def _start_other_title(self, key: str, attrs_d: Any) -> None:
        if key == "dc_title" and self._entry() is None:
            super()._start_title(attrs_d)
        else:
            self.push_content(key, attrs_d, "text/plain", 1)

    def _end_other_title(self, key: str) -> None:
        if key == "dc_title" and self._entry() is None:
            super()._end_title()
        else:
            self.pop_content(key)

    _start_dc_title = partialmethod(_start_other_title, "dc_title")
    _end_dc_title = partialmethod(_end_other_title, "dc_title")
    _start_itunes_title = partialmethod(_start_other_title, "itunes_title")
    _end_itunes_title = partialmethod(_end_other_title, "itunes_title")
    _start_media_title = partialmethod(_start_other_title, "media_title")
    _end_media_title = partialmethod(_end_other_title, "media_title")

    def _start_textinput(self, attrs_d: Any) -> None:
        if self.inentry:  # feedparser expects it in a channel only, and raises
            self.push("textinput", 0)
        else:
            super()._start_textinput(attrs_d)

    _start_textInput = _start_textinput  # noqa: N815 -- feedparser's

    # --- descriptions --------------------------------------------------------------------------------

    def _start_description(self, attrs_d: Any) -> None:
        if not self._begins_more(attrs_d, "text/html"):
            super()._start_description(attrs_d)

    def _start_summary(self, attrs_d: Any) -> None:
        if not self._begins_more(attrs_d, "text/plain"):
            super()._start_summary(attrs_d)

    def _start_abstract(self, attrs_d: Any) -> None:
        if self._begins_more(attrs_d, "text/plain"):
            return
        if self.inentry and "summary" in self._get_context() and not self.hasContent:
            super()._start_description(attrs_d)
        else:
            super()._start_abstract(attrs_d)

    def _begins_more(self, attrs_d: Any, kind: str) -> bool:
        """Tell whether an entry that has a description and content is given one more description."""
        if self._entry() is None:
            return False
        if self._described and self.hasContent:
            self._summaryKey = "more"
            self.push_content("more", attrs_d, kind, 1)
            return True
        self._described = True
        return False

    def _end_description(self) -> None:
        if not self._ends_more():
            super()._end_description()

    _end_abstract = _end_description

    def _end_summary(self) -> None:
        if not self._ends_more():
            super()._end_summary()

    def _ends_more(self) -> bool:
        if self._summaryKey != "more":
            return False
        self._summaryKey = None
        value, kind = self.pop("more"), self.contentparams.get("type")
        self.incontent -= 1
        self.contentparams.clear()
        if value and self.inentry:
            self.entries[-1].setdefault("more_texts", []).append((value, kind))
        return True

    # --- addresses -----------------------------------------------------------------------------------

    def resolve_uri(self, uri: str) -> Any:
        entry = self._entry() if self._resolves_link else None
        if entry is None:
            return super().resolve_uri(uri)
        return resolve(self._link_base(entry), uri)

    def _link_base(self, entry: Any) -> str:
        """Return xml:base, else the site, else the address of the document."""
        return (entry.get("site") if self.baseuri == self._document else None) or self.baseuri or ""

    def _start_link(self, attrs_d: Any) -> None:
        if "rel" in attrs_d:
            attrs_d["rel"] = relation(attrs_d["rel"])
        entry = self._entry()
        before = entry.pop("link", None) if entry is not None else None
        self._resolves_link = True
        super()._start_link(attrs_d)
        self._resolves_link = False
        self._link_is_text = "href" not in attrs_d
        self._link_is_own = attrs_d.get("rel", "alternate") == "alternate"
        if entry is not None and not self._link_is_text and not (before and entry.get("link_is_text")):
            self._own_link(entry, before)
        elif before is not None:
            entry["link"] = before

    def _end_link(self) -> None:
        entry = self._entry()
        before = entry.get("link") if entry is not None else None
        self._resolves_link = True
        super()._end_link()
        self._resolves_link = False
        if entry is not None and self._link_is_text and not self._link_is_own:
            entry.pop("link", None)
            entry.update({"link": before} if before else {})
        elif entry is not None and self._link_is_text:
            written = entry.get("link")
            self._own_link(entry, before)
            entry["link_is_text"] = bool(written) and entry.get("link") == written
        self._link_is_text = False

    def _own_link(self, entry: Any, before: str | None) -> None:
        """Replace a link by one at the same depth or above; an empty one replaces nothing."""
        found = entry.get("link")
        if found and self.depth <= self._depths.get("link", self.depth):
            self._depths["link"] = self.depth
        elif before is None:
            entry.pop("link", None)
        else:
            entry["link"] = before

    def _start_guid(self, attrs_d: Any) -> None:
        super()._start_guid(attrs_d)
        self._permalink_says = attrs_d.get("ispermalink")
        if self._entry() is not None:
            self.guidislink = 0  # so that it is kept as it is written

    _start_id = _start_guid

    def _end_guid(self) -> None:
        entry = self._entry()
        if entry is None:
            super()._end_guid()
            return
        pieces = self.elementstack[-1][2] if self.elementstack and self.elementstack[-1][0] == "id" else []
        written = "".join(p.decode() if isinstance(p, bytes) else p for p in pieces).strip()
        if self.pop("id") is not None and self.depth <= self._depths.get("id", self.depth):
            self._depths["id"] = self.depth
            address = permalink(written, self._permalink_says)
            entry["permalink"] = unescape_if_html(resolve(self._link_base(entry), address)) if address else ""

    _end_id = _end_guid


class _Strict(_Corrections, api.StrictFeedParser):  # type: ignore[misc]
    """Well-formed documents, where an element's namespace is certain."""

    _entry_namespace: str | None = None

    def startElementNS(self, name: Any, qname: Any, attrs: Any) -> None:  # noqa: N802 -- as SAX calls it
        if name[1].lower() in _ENTRIES and not self.inentry:
            self._entry_namespace = name[0]
        super().startElementNS(*self._called(name, qname), attrs)

    def endElementNS(self, name: Any, qname: Any) -> None:  # noqa: N802 -- as SAX calls it
        super().endElementNS(*self._called(name, qname))

    def _called(self, name: tuple[str | None, str], qname: str | None) -> tuple[Any, Any]:
        uri, local = name
        if known := renamed(uri or "", local):
            return known, None
        if uri and uri != self._entry_namespace and self.inentry and prefix_of(uri) is None and not self.incontent:
            return name, qname if qname and ":" in qname else f"foreign-{len(uri)}:{local}"
        return name, qname


class _Loose(_Corrections, api.LooseFeedParser):  # type: ignore[misc]
    """Documents that are no XML any more."""

    tolerant = True

    def unknown_starttag(self, tag: str, attrs: Any) -> Any:
        return super().unknown_starttag(_loosely_renamed(tag), attrs)

    def unknown_endtag(self, tag: str) -> Any:
        return super().unknown_endtag(_loosely_renamed(tag))


def _loosely_renamed(tag: str) -> str:
    prefix, _, local = tag.rpartition(":")
    known = renamed(prefix, local) if prefix or len(tag) > len("encoded") else None
    return known[1] if known and known[1] == "fullitem" else tag


@contextmanager
def corrected() -> Iterator[None]:
    """Make `feedparser.parse` use our rules inside the context; for one thread at a time."""
    stock = api.StrictFeedParser, api.LooseFeedParser
    api.StrictFeedParser, api.LooseFeedParser = _Strict, _Loose
    try:
        yield
    finally:
        api.StrictFeedParser, api.LooseFeedParser = stock
