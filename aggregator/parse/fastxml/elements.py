"""Names, attributes, addresses and scopes of elements, as feedparser sees them."""

import re
from urllib.parse import urljoin
from xml.etree.ElementTree import Element

from aggregator.parse.fastxml.namespaces import name_of, prefix_of, words
from aggregator.parse.fastxml.text_type import unescape_if_html
from aggregator.parse.limits import MAX_ATTRIBUTES

MAX_DEPTH = 20
KINDS = {"text": "text/plain", "plain": "text/plain", "html": "text/html", "xhtml": "application/xhtml+xml"}

_PLAIN_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?/[^\x00-\x20\x7f;?#]*(?:\?[^\x00-\x20\x7f#]+)?(?:\#[^\x00-\x20\x7f]+)?"
)
_SLASHES = re.compile(r"^([A-Za-z][A-Za-z0-9+-.]*://)(/*)(.*?)")
_WEB = re.compile(r"https?://[^/?#\s]")
# Absolute addresses as they are mistyped: `https:/`, `http//`, `https:\\`, `http://https://`, `www.`.
_SLIP = re.compile(r"(?:(https?)(?::[/\\]+|//+))+(?=[^/?#\\])|www\.(?=[^/\s]+\.[^/\s])", re.IGNORECASE)
_IANA = "http://www.iana.org/assignments/relation/"  # RFC 4287, 7.1
_DATA = re.compile(r"xml|json|oembed", re.IGNORECASE)
_ADDRESS = re.compile(r"https?:|/|www\.", re.IGNORECASE)
_NO = frozenset({"false", "0", "no", "f", "n", "off"})
READ_ATTRIBUTES = words("base domain href ispermalink label lang lastmod mode rel scheme src term text type uri url")

_MAX_NAMES = 5000  # of elements, and of attributes, that are known by heart
_names: dict[str, str] = {}
_ATTRIBUTES: dict[str, str] = {}
HALF_ENTITY = re.compile(r"&([A-Za-z0-9_]+);")


class Unsupported(Exception):
    """Something that only feedparser knows how to read."""


def name(element: Element) -> str:
    """Return the element's short name; see namespaces.py."""
    found = _names.get(element.tag)
    if found is None:
        if len(_names) > _MAX_NAMES:
            _names.clear()
        found = _names[element.tag] = name_of(element.tag)
    return found


def attributes(element: Element) -> dict[str, str]:
    """Return attributes under the names that feedparser gives them; `type` in lower case."""
    if len(element.attrib) > MAX_ATTRIBUTES:
        raise Unsupported("attributes")
    found: dict[str, str] = {}
    for key, value in element.attrib.items():
        found[_ATTRIBUTES.get(key) or _attribute(key)] = value
    if "type" in found:
        found["type"] = found["type"].lower()
    if "rel" in found:
        found["rel"] = relation(found["rel"])
    return found


def relation(written: str) -> str:
    """Return a link's relation: `alternate` where it is one of several, the name of an IANA address, or missing."""
    words = written.lower().removeprefix(_IANA).split()
    return "alternate" if not words or "alternate" in words else " ".join(words)


def _attribute(key: str) -> str:
    prefix, local = "", key
    if key.startswith("{"):
        uri, _, local = key[1:].partition("}")
        known = prefix_of(uri)
        if not known and local.lower() in READ_ATTRIBUTES:
            raise Unsupported(f"attribute {key}")
        prefix = f"{known}:"
    short = f"{prefix}{local}".lower()
    if len(_ATTRIBUTES) < _MAX_NAMES:
        _ATTRIBUTES[key] = short
    return short


def resolve(base: str, uri: str) -> str:
    """Join `uri` and `base` as feedparser does; a slip in what is meant to be absolute makes it no relative one."""
    if _PLAIN_ADDRESS.fullmatch(uri):
        return uri
    if slip := _SLIP.match(uri):
        rest = uri[slip.end() :] if slip[1] else uri
        uri = f"{slip[1] or 'https'}://{rest.replace(chr(92), '/') if chr(92) in slip[0] else rest}"
    elif uri == "#":
        return ""
    try:
        return urljoin(base, _SLASHES.sub(r"\1\3", uri))
    except ValueError:
        return ""


def site_of(link: str | None) -> str | None:
    """Return the channel's link if others can be relative to it."""
    return link if link and _WEB.match(link) else None


def permalink(guid: str, attribute: str | None) -> str:
    """Return a guid that is an address, whole or relative; "" for one that only names its entry.

    `attribute`: `isPermaLink`. By default it is true (RSS 2.0), which says little: only what looks like an address
    is one then.
    """
    said = attribute.strip().lower() if attribute is not None else ""
    if said in _NO or (not said and not _ADDRESS.match(guid)) or any(map(str.isspace, guid)):
        return ""
    return guid


def scope(found: dict[str, str], base: str, lang: str | None) -> tuple[str, str | None]:
    """Return base address and language inside an element with these attributes."""
    if not found:
        return base, lang
    if written := found.get("xml:base", found.get("base")):
        base = resolve(base, written)
        if not base.startswith(("http://", "https://")):
            raise Unsupported("xml:base")
    given = found.get("xml:lang", found.get("lang"))
    return base, lang if given is None else given or None


def resolved_link(found: dict[str, str], base: str) -> tuple[str, str | None, bool, bool]:
    """Return relation, address, whether it is a page, and else whether it is a readable file, for a link.

    The address is None if it has to be the text of the element.
    """
    if not found:
        return "alternate", None, True, False
    relation = found.get("rel", "alternate")
    written = found.get("url", found.get("uri", found.get("href")))
    if not written and "href" not in found:
        return relation, None, relation == "alternate", False
    kind = found.get("type", "application/atom+xml" if relation == "self" else "text/html")
    page = relation == "alternate" and KINDS.get(kind, kind) in ("text/html", "application/xhtml+xml")
    return relation, resolve(base, written or found["href"]), page, not page and is_file(relation, kind)


def is_file(relation: str | None, kind: str | None) -> bool:
    """Tell whether a link leads to the entry in a form that people read, such as PDF, and not to data."""
    return relation == "alternate" and not _DATA.search(kind or "")


def written_link(element: Element, base: str) -> str:
    """Return the address in the text of a link; `?a=1&amp;b;=2` is what some make of `?a=1&b=2`."""
    value = leaf(element)
    return unescape_if_html(resolve(base, value) if value else value)


def leaf(element: Element) -> str:
    """Return the text of an element without children."""
    if len(element):
        raise Unsupported(f"markup in {element.tag}")
    return (element.text or "").strip()
