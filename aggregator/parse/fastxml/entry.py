"""One entry, read from an ElementTree element exactly as feedparser would by our corrections, or not at all.

feedparser is a state machine over elements in document order; what it keeps depends on what came before
and how deep it stood. `EntryReader` has that state and those rules for the elements that feeds use.
Whatever it is not sure about raises Unusual, and the whole document goes to feedparser.
"""

from collections.abc import Callable, Iterable
from xml.etree.ElementTree import Element

from aggregator.parse.dates import instant
from aggregator.parse.fastxml.authors import byline
from aggregator.parse.fastxml.elements import (
    HALF_ENTITY,
    KINDS,
    MAX_DEPTH,
    Unsupported,
    attributes,
    leaf,
    name,
    permalink,
    resolve,
    resolved_link,
    scope,
    site_of,
    written_link,
)
from aggregator.parse.fastxml.namespaces import FOREIGN, words
from aggregator.parse.fastxml.text_type import looks_like_html, unescape_if_html
from aggregator.parse.fastxml.xhtml import markup
from aggregator.parse.normalize import NO_TITLE, OTHER_TITLES, RawEntry

_XHTML = "application/xhtml+xml"
_READABLE = frozenset({"text/plain", "text/html", _XHTML})
_PERSON_PARTS = {
    "name": "name",
    "itunes_name": "name",
    "email": "email",
    "itunes_email": "email",
    "uri": "href",
    "url": "href",
    "homepage": "href",
}
_SOURCE_PARTS = words("id title link updated author contributor subtitle rights generator icon logo category")
# Plain names that feedparser would store over something that we read.
_DANGEROUS = words(
    "authors body channel date date_parsed description_detail entries feed guidislink items links textinput rss"
    " published_parsed updated_parsed title_detail summary_detail tags svg math xhtml_body item entry"
)
_HOLDS_MARKUP = words("copyright dc_rights feedburner_browserfriendly info itunes_subtitle rights subtitle tagline")


class EntryReader:
    """Reads the elements of one entry into `draft`, in document order."""

    def __init__(
        self, address: str, base: str, lang: str | None, version: str, has_content: bool, site: str | None
    ) -> None:
        self.draft = RawEntry()
        self.draft.base = address
        self._address, self._site = address, site
        self._base, self._lang, self._version = base, lang, version
        self._is_atom = self.draft.literal = version.startswith("atom")
        self._has_content, self._has_summary = has_content, False
        self._described = False
        self._files: list[str] = []
        self._permalink = "", ""  # base, as it is written
        self._other_titles: dict[str, tuple[str, str]] = {}
        self._link_is_text = False  # which an RSS entry's own is; beside it, one in an attribute is an extension's
        self._title_depth = -1
        self._depths: dict[str, int] = {}
        self._dates: dict[str, str] = {}
        self._byline: str | None = None
        self._people: list[dict[str, str]] = []
        self._first_person: dict[str, str] | None = None
        self._tags: list[list[str | None]] = []
        self._own_lang: str | None = None
        self._scopes: dict[str, tuple[str, str | None]] = {}
        self._content_scopes: list[tuple[str, str | None]] = []

    def read(self, element: Element) -> RawEntry:
        """Read the whole entry. Raises Unsupported."""
        if element.attrib:
            found = attributes(element)
            if "lastmod" in found or "href" in found:
                raise Unsupported("an entry with an address of its own")
            self._base, self._lang = scope(found, self._base, self._lang)
            self.draft.guid = found.get("rdf:about") or None
        self._children(element, 1)
        return self._finished()

    def _children(self, parent: Iterable[Element], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Unsupported("depth")
        for child in parent:
            called = name(child)
            if handler := _HANDLERS.get(called):
                handler(self, child, depth)
            elif called in _DANGEROUS:
                raise Unsupported(called)
            elif len(child) and called != FOREIGN:
                self._inside(child, called, depth)

    def _inside(self, element: Element, called: str, depth: int) -> None:
        """Read elements inside an unknown one as if that were not there.

        Not so in a vocabulary that nobody knows: what stands there is about something else.
        """
        if called in _HOLDS_MARKUP:
            raise Unsupported(called)
        if element.attrib:
            found = attributes(element)
            if scope(found, self._base, self._lang) != (self._base, self._lang):
                raise Unsupported("a scope around elements")
        self._children(element, depth + 1)

    def _finished(self) -> RawEntry:
        raw = self.draft
        raw.people = [found for found in (p.get("name") or p.get("email") for p in self._people) if found]
        raw.tags = [term for term in (tag[0] or tag[2] for tag in self._tags) if term]
        raw.published = self._date("published")
        if raw.published is None:
            raw.published = self._date("created")
        raw.updated = self._date("updated")
        scopes = [self._scopes[key] for key in ("title", "summary") if key in self._scopes] + self._content_scopes
        if scopes:
            raw.base = scopes[0][0]
        if raw.base == self._address and self._site:
            raw.base = self._site
        raw.fallbacks = self._files[:1]
        if not site_of(raw.link) and (written := self._permalink[1]):
            raw.fallbacks.append(unescape_if_html(resolve(self._link_base(self._permalink[0]), written)))
        if not raw.title[0]:
            titles = (self._other_titles.get(key, NO_TITLE) for key in OTHER_TITLES)
            raw.title = next((title for title in titles if title[0]), NO_TITLE)
        raw.lang = self._own_lang or next((lang.replace("_", "-") for _, lang in scopes if lang), None)
        return raw

    def _date(self, key: str) -> float | None:
        written = self._dates.get(key)
        when = instant(written) if written else None
        return when.timestamp() if when else None

    def _uppermost(self, key: str, depth: int) -> bool:
        """Tell whether a value found at this depth replaces an earlier one."""
        before = self._depths.get(key)
        if before is None or depth <= before:
            self._depths[key] = depth
            return True
        return False

    # --- texts -----------------------------------------------------------------------------------

    def _marked(self, element: Element, default: str) -> tuple[str, str, str, str | None]:
        """Return an element's value that may hold markup, with media type, base address and language."""
        kind, base, lang = default, self._base, self._lang
        if element.attrib:
            found = attributes(element)
            kind = found.get("type", default)
            kind = KINDS.get(kind, kind)
            if kind not in _READABLE or found.get("mode") == "base64":
                raise Unsupported(f"content of type {kind}")
            base, lang = scope(found, base, lang)
        if kind == _XHTML:
            return unescape_if_html(markup(element, unwrap=self._version == "atom10")), kind, base, lang
        value = unescape_if_html(leaf(element))
        if kind == "text/plain" and not self._is_atom and looks_like_html(value):
            kind = "text/html"
        return value, kind, base, lang

    def _title(self, element: Element, depth: int) -> None:
        value, kind, base, lang = self._marked(element, "text/plain")
        if not -1 < self._title_depth <= depth:
            self.draft.title = (value if self._uppermost("title", depth) else self.draft.title[0]), kind
            self._scopes["title"] = base, lang
        if value:
            self._title_depth = depth

    def _other_title(self, element: Element, depth: int) -> None:
        """Take a title of another vocabulary, perhaps that of a picture, only if there is no other."""
        value, kind, _, _ = self._marked(element, "text/plain")
        key = name(element)
        if self._uppermost(key, depth):
            self._other_titles[key] = value, kind

    def _described_by(self, element: Element, depth: int, default: str) -> None:
        """Take the first description as summary, the next as content, and further ones as `more`."""
        if self._has_summary and not self._has_content:
            self._content(element, depth)
        elif self._described and self._has_content:
            value, kind, _, _ = self._marked(element, default)
            if value:
                self.draft.more.append((value, kind))
        else:
            self._replace_summary(element, depth, default)
        self._described = True

    def _replace_summary(self, element: Element, depth: int, default: str) -> None:
        value, kind, base, lang = self._marked(element, default)
        self.draft.summary = (value if self._uppermost("summary", depth) else self.draft.summary[0]), kind
        self._scopes["summary"] = base, lang
        self._has_summary = True

    def _description(self, element: Element, depth: int) -> None:
        self._described_by(element, depth, "text/html")

    def _summary(self, element: Element, depth: int) -> None:
        self._described_by(element, depth, "text/plain")

    def _abstract(self, element: Element, depth: int) -> None:
        self._described_by(element, depth, "text/plain")

    def _content(self, element: Element, _depth: int, default: str = "text/plain") -> None:
        self._has_content = True
        value, kind, base, lang = self._marked(element, default)
        self.draft.contents.append((value, kind))
        self._content_scopes.append((base, lang))
        if not self._has_summary:
            self._has_summary = True
            self.draft.summary = value, "text/html"

    def _encoded(self, element: Element, depth: int) -> None:
        self._content(element, depth, "text/html")

    # --- addresses -------------------------------------------------------------------------------

    def _guid(self, element: Element, depth: int) -> None:
        found = attributes(element) if element.attrib else {}
        written = leaf(element)
        if self._uppermost("id", depth):
            self.draft.guid = unescape_if_html(written)
            self._permalink = scope(found, self._base, None)[0], permalink(written, found.get("ispermalink"))

    def _link_base(self, base: str) -> str:
        """Return xml:base, else the site, else the address of the document."""
        return self._site if self._site and base == self._address else base

    def _link(self, element: Element, depth: int) -> None:
        found = attributes(element) if element.attrib else {}
        base = self._link_base(scope(found, self._base, None)[0])
        relation, href, page, is_file = resolved_link(found, base)
        is_text = href is None
        if href is None:
            href = written_link(element, base)
            if "&" in href:
                href = HALF_ENTITY.sub(r"&\g<1>", href.replace("&amp;", "&"))
        elif len(element):
            raise Unsupported("markup in link")
        if page and href and (is_text or not self._link_is_text) and self._uppermost("link", depth):
            self.draft.link = href
            self._link_is_text = is_text
        if is_file and href:
            self._files.append(href)
        if relation == "enclosure" and href:
            self.draft.enclosures.append(href)

    def _enclosure(self, element: Element, _depth: int) -> None:
        found = attributes(element)
        if href := found.get("url", found.get("uri", found.get("href"))):
            self.draft.enclosures.append(href)
        if len(element):
            raise Unsupported("markup in enclosure")

    # --- dates, people, categories ---------------------------------------------------------------

    def _dated(self, key: str, element: Element, depth: int) -> None:
        value = unescape_if_html(leaf(element))
        if self._uppermost(key, depth):
            self._dates[key] = value

    def _published(self, element: Element, depth: int) -> None:
        self._dated("published", element, depth)

    def _updated(self, element: Element, depth: int) -> None:
        self._dated("updated", element, depth)

    def _created(self, element: Element, depth: int) -> None:
        self._dated("created", element, depth)

    def _author(self, element: Element, depth: int) -> None:
        person: dict[str, str] = {}
        self._people.append(person)
        for part in element:
            called = name(part)
            if called in _PERSON_PARTS:
                key, value = _PERSON_PARTS[called], leaf(part)
                self._first_person = {} if self._first_person is None else self._first_person
                self._first_person[key] = value  # feedparser gives the first author the names of later ones
                self._complete(person)
                person[key] = value
            elif not _is_idle(part, called):
                raise Unsupported(f"{called} in author")
        if len(element) and not person:
            raise Unsupported("an author without a name")
        value = "" if len(element) else unescape_if_html(leaf(element))
        if self._uppermost("author", depth):
            self._byline = value
        self._complete(person)

    def _complete(self, person: dict[str, str]) -> None:
        """Complete an empty person from the byline; else the byline names that person."""
        if not person:
            person.update(byline(self._byline))
            if person and self._first_person is None:
                self._first_person = person
        elif named := person.get("name") or person.get("email"):
            email = person.get("email")
            self._byline = f"{named} ({email})" if email and person.get("name") else named

    def _contributor(self, element: Element, _depth: int) -> None:
        if any(len(part) or name(part) not in _PERSON_PARTS for part in element):
            raise Unsupported("contributor")

    def _category(self, element: Element, _depth: int, scheme: str | None = None) -> None:
        found = attributes(element) if element.attrib else {}
        self._tag(found.get("term"), found.get("scheme", found.get("domain", scheme)), found.get("label"))
        self._category_text(element)

    def _media_category(self, element: Element, _depth: int) -> None:
        found = attributes(element) if element.attrib else {}
        found.setdefault("scheme", "http://search.yahoo.com/mrss/category_schema")
        self._tag(found.get("term"), found["scheme"], found.get("label"))
        self._category_text(element)

    def _itunes_category(self, element: Element, depth: int) -> None:
        found = attributes(element) if element.attrib else {}
        self._tag(found.get("text"), "http://www.itunes.com/", None)
        if not len(element):
            self._category_text(element)
        elif any(name(part) != "itunes_category" or (part.tail or "").strip() for part in element):
            raise Unsupported("markup in a category")
        elif (element.text or "").strip():
            raise Unsupported("text around categories")
        for part in element:
            self._itunes_category(part, depth + 1)

    def _category_text(self, element: Element) -> None:
        if not (value := unescape_if_html(leaf(element))):
            return
        if self._tags and not self._tags[-1][0]:
            self._tags[-1][0] = value
        else:
            self._tag(value, None, None)

    def _keywords(self, element: Element, _depth: int) -> None:
        if element.attrib:
            raise Unsupported("keywords with attributes")
        scheme = "http://www.itunes.com/" if name(element) == "itunes_keywords" else None
        for term in unescape_if_html(leaf(element)).split(","):
            if term.strip():
                self._tag(term.strip(), scheme, None)

    def _tag(self, term: str | None, scheme: str | None, label: str | None) -> None:
        tag = [term, scheme, label]
        if any(tag) and tag not in self._tags:
            self._tags.append(tag)

    # --- the rest --------------------------------------------------------------------------------

    def _language(self, element: Element, depth: int) -> None:
        value = unescape_if_html(leaf(element))
        if self._uppermost("language", depth):
            self._own_lang = value

    def _source(self, element: Element, depth: int) -> None:
        """Skip what is said about another feed."""
        for part in element:
            called = name(part)
            if called not in _SOURCE_PARTS:
                if not _is_idle(part, called):
                    raise Unsupported(f"{called} in source")
            elif called in ("author", "contributor"):
                self._contributor(part, depth)
            else:
                leaf(part)

    def _image(self, element: Element, _depth: int) -> None:
        leaf(element)

    def _original(self, element: Element, depth: int) -> None:
        """Take the address of the page if `link` leads to a service that counts readers."""
        value = unescape_if_html(leaf(element))
        if not element.attrib and self._uppermost("original", depth):
            self.draft.original = value


def _is_idle(element: Element, called: str) -> bool:
    """Tell whether feedparser makes nothing of an element, wherever it stands."""
    return not len(element) and called not in _HANDLERS and (not called or "_" in called)


_Handler = Callable[[EntryReader, Element, int], None]
_HANDLERS: dict[str, _Handler] = {}


def _register(handler: _Handler, names: str) -> None:
    _HANDLERS.update(dict.fromkeys(names.split(), handler))


_register(EntryReader._title, "title")
_register(EntryReader._other_title, " ".join(OTHER_TITLES))
_register(EntryReader._description, "description dc_description media_description")
_register(EntryReader._summary, "summary itunes_summary")
_register(EntryReader._abstract, "abstract")
_register(EntryReader._content, "content")
_register(EntryReader._encoded, "content_encoded fullitem")
_register(EntryReader._original, "feedburner_origlink")
_register(EntryReader._guid, "guid id")
_register(EntryReader._link, "link")
_register(EntryReader._enclosure, "enclosure")
_register(EntryReader._published, "published issued pubdate dcterms_issued")
_register(EntryReader._updated, "updated modified lastbuilddate dc_date dcterms_modified")
_register(EntryReader._created, "created dcterms_created")
_register(EntryReader._author, "author managingeditor dc_author dc_creator itunes_author")
_register(EntryReader._contributor, "contributor")
_register(EntryReader._category, "category keywords dc_subject")
_register(EntryReader._media_category, "media_category")
_register(EntryReader._itunes_category, "itunes_category")
_register(EntryReader._keywords, "itunes_keywords media_keywords")
_register(EntryReader._language, "language dc_language")
_register(EntryReader._source, "source")
_register(EntryReader._image, "image")
