"""Element names as feedparser knows them: one short prefix for each namespace, lower case throughout.

`{http://purl.org/dc/elements/1.1/}Creator` is `dc_creator`; what belongs to RSS, RDF Site Summary or Atom
has no prefix; what feedparser does not know is FOREIGN.
"""

import re

PREFIXES = {
    "": "",
    "http://backend.userland.com/rss": "",
    "http://blogs.law.harvard.edu/tech/rss": "",
    "http://purl.org/rss/1.0/": "",
    "http://my.netscape.com/rdf/simple/0.9/": "",
    "http://example.com/newformat#": "",
    "http://example.com/necho": "",
    "http://purl.org/echo/": "",
    "uri/of/echo/namespace#": "",
    "http://purl.org/pie/": "",
    "http://purl.org/atom/ns#": "",
    "http://www.w3.org/2005/atom": "",
    "http://purl.org/rss/1.0/modules/rss091#": "",
    "http://webns.net/mvcb/": "admin",
    "http://purl.org/rss/1.0/modules/aggregation/": "ag",
    "http://purl.org/rss/1.0/modules/annotate/": "annotate",
    "http://media.tangent.org/rss/1.0/": "audio",
    "http://backend.userland.com/blogchannelmodule": "blogChannel",
    "http://creativecommons.org/ns#license": "cc",
    "http://web.resource.org/cc/": "cc",
    "http://cyber.law.harvard.edu/rss/creativecommonsrssmodule.html": "creativeCommons",
    "http://backend.userland.com/creativecommonsrssmodule": "creativeCommons",
    "http://purl.org/rss/1.0/modules/company": "co",
    "http://purl.org/rss/1.0/modules/content/": "content",
    "http://my.theinfo.org/changed/1.0/rss/": "cp",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://purl.org/rss/1.0/modules/email/": "email",
    "http://purl.org/rss/1.0/modules/event/": "ev",
    "http://rssnamespace.org/feedburner/ext/1.0": "feedburner",
    "http://freshmeat.net/rss/fm/": "fm",
    "http://xmlns.com/foaf/0.1/": "foaf",
    "http://www.w3.org/2003/01/geo/wgs84_pos#": "geo",
    "http://www.georss.org/georss": "georss",
    "http://www.opengis.net/gml": "gml",
    "http://postneo.com/icbm/": "icbm",
    "http://purl.org/rss/1.0/modules/image/": "image",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "http://example.com/dtds/podcast-1.0.dtd": "itunes",
    "http://purl.org/rss/1.0/modules/link/": "l",
    "http://search.yahoo.com/mrss": "media",
    "http://search.yahoo.com/mrss/": "media",
    "http://madskills.com/public/xml/rss/module/pingback/": "pingback",
    "http://prismstandard.org/namespaces/1.2/basic/": "prism",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
    "http://www.w3.org/2000/01/rdf-schema#": "rdfs",
    "http://purl.org/rss/1.0/modules/reference/": "ref",
    "http://purl.org/rss/1.0/modules/richequiv/": "reqv",
    "http://purl.org/rss/1.0/modules/search/": "search",
    "http://purl.org/rss/1.0/modules/slash/": "slash",
    "http://schemas.xmlsoap.org/soap/envelope/": "soap",
    "http://purl.org/rss/1.0/modules/servicestatus/": "ss",
    "http://hacks.benhammersley.com/rss/streaming/": "str",
    "http://purl.org/rss/1.0/modules/subscription/": "sub",
    "http://purl.org/rss/1.0/modules/syndication/": "sy",
    "http://schemas.pocketsoap.com/rss/mydescmodule/": "szf",
    "http://purl.org/rss/1.0/modules/taxonomy/": "taxo",
    "http://purl.org/rss/1.0/modules/threading/": "thr",
    "http://purl.org/rss/1.0/modules/textinput/": "ti",
    "http://madskills.com/public/xml/rss/module/trackback/": "trackback",
    "http://wellformedweb.org/commentapi/": "wfw",
    "http://purl.org/rss/1.0/modules/wiki/": "wiki",
    "http://www.w3.org/1999/xhtml": "xhtml",
    "http://www.w3.org/1999/xlink": "xlink",
    "http://www.w3.org/xml/1998/namespace": "xml",
    "http://podlove.org/simple-chapters": "psc",
}
FOREIGN = ""
KNOWN_PREFIXES = frozenset(prefix.lower() for prefix in PREFIXES.values() if prefix)
_FEEDBURNER, _ITUNES = "http://rssnamespace.org/feedburner/ext/1.0", "http://www.itunes.com/dtds/podcast-1.0.dtd"
_FULL_TEXTS = frozenset({"fulltext", "fullcontent", "fullarticle", "articlebody", "contentencoded", "bodytext"})
_PLAY, _TURBO = "google.com/schemas/play-podcasts", "turbo.yandex"
ATOM_URI = "http://www.w3.org/2005/atom"
RSS1_URI = "http://purl.org/rss/1.0/"


def words(text: str) -> frozenset[str]:
    """Split the words of a text, for sets that read best without quotes."""
    return frozenset(text.split())


# Prefixes that mean something in feedparser's code, whatever namespace they stand for.
MEANINGFUL = words(
    "admin cc content creativecommons dc dcterms feedburner georss gml itunes media psc rdf xhtml xlink xml"
)
_USUAL = words("content dc dcterms feedburner itunes media")
_MEANT = {prefix: uri for uri, prefix in reversed(PREFIXES.items()) if prefix in _USUAL}
_DECLARATION = re.compile(rb"""xmlns(?::([\w.-]+))?\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def name_of(tag: str) -> str:
    """Return an ElementTree tag (`{uri}local`) as one short name, or FOREIGN."""
    uri, _, local = tag[1:].partition("}") if tag.startswith("{") else ("", "", tag)
    uri, local = renamed(uri, local) or (uri, local)
    prefix = prefix_of(uri)
    if prefix is None:
        return FOREIGN
    return f"{prefix.lower()}_{local.lower()}" if prefix else local.lower()


def renamed(uri: str, local: str) -> tuple[str, str] | None:
    """Return feedparser's name for an element of a vocabulary that it does not know, or None.

    `full-text` is what Russian publishers give to aggregators, whose namespaces are many; `origLink` is
    the address that a publisher's service replaced by its own.
    """
    name, uri = local.lower(), uri.lower()
    if name.replace("-", "").replace("_", "") in _FULL_TEXTS or (
        name == "content" and (_TURBO in uri or uri == "turbo")
    ):
        return "", "fullitem"
    if name == "origlink":
        return _FEEDBURNER, "origlink"
    if _PLAY in uri and name == "description":
        return _ITUNES, "summary"
    return None


def prefix_of(uri: str) -> str | None:
    """Return feedparser's prefix for a namespace, None if it has none."""
    uri = uri.lower()
    return "" if "backend.userland.com/rss" in uri else PREFIXES.get(uri)


def respelled(xml: bytes) -> bytes:
    """Correct unknown namespaces of usual prefixes: with https, without the last slash, of another version.

    Full texts, authors and dates are in elements that would belong to no vocabulary otherwise.
    """
    return _DECLARATION.sub(_respelled, xml)


def _respelled(found: re.Match[bytes]) -> bytes:
    prefix, uri = (part.decode("utf-8", "replace") for part in (found[1] or b"", found[2] or found[3] or b""))
    meant = _MEANT.get(prefix.lower())
    if meant is None or prefix_of(uri) is not None:
        return found[0]
    is_in_tag = found.string.rfind(b"<", 0, found.start()) > found.string.rfind(b">", 0, found.start())
    return f'xmlns:{prefix}="{meant}"'.encode() if is_in_tag else found[0]


def declarations(xml: bytes) -> set[tuple[str, str]]:
    """List every (prefix, namespace) that is declared, and perhaps some that only look declared."""
    found = set[tuple[bytes, ...]]()
    at = xml.find(b"xmlns")  # many times as quick as to match, and most stand in the first line
    while at >= 0:
        if declaration := _DECLARATION.match(xml, at):
            found.add(declaration.groups(b""))
        at = xml.find(b"xmlns", declaration.end() if declaration else at + 5)
    return {(prefix.decode("utf-8", "replace"), (a or b).decode("utf-8", "replace")) for prefix, a, b in found}


def are_usual(declared: set[tuple[str, str]]) -> bool:
    """Tell whether each prefix means the same to feedparser as in the document."""
    meanings: dict[str, str | None] = {}
    for prefix, uri in declared:
        known, written = prefix_of(uri), prefix.lower()
        if known is None and (not written or written in MEANINGFUL):
            return False
        if written in MEANINGFUL and written != (known or "").lower():
            return False
        if written and meanings.setdefault(written, known) != known:
            return False
    return True
