"""feedparser's guess whether a "plain" text is HTML, and its repair of letters that were encoded twice.

The fast reader has to make the same guesses; a test compares these with feedparser's own.
"""

import re
from html.entities import entitydefs

from aggregator.parse.fastxml.namespaces import words

HTML_ELEMENTS = words(
    "a abbr acronym address area article aside audio b big blockquote br button canvas caption center cite code col"
    " colgroup command datagrid datalist dd del details dfn dialog dir div dl dt em event-source fieldset figcaption"
    " figure font footer form h1 h2 h3 h4 h5 h6 header hr i img input ins kbd keygen label legend li m map menu meter"
    " multicol nav nextid noscript ol optgroup option output p pre progress q s samp section select small sound source"
    " spacer span strike strong sub sup table tbody td textarea tfoot th thead time tr tt u ul var video"
)

_CLOSING_OR_ENTITY = re.compile(r"</(\w+)>|&#?\w+;")
_TAG_NAME = re.compile(r"</?(\w+)")
_ENTITY_NAME = re.compile(r"&(\w+);")
_C1 = re.compile(r"[\x80-\x9f]")
_TWICE = re.compile(r"[\x00-\x7f]*+[\xc2-\xf4][\x80-\xbf]")  # the first letter beyond ASCII is the start of another
_WINDOWS = {code: letter for code in range(128, 160) if (letter := bytes([code]).decode("cp1252", "ignore"))}


def looks_like_html(text: str) -> bool:
    """Tell whether a text has a closing tag or an entity, and no tag or entity that HTML does not know."""
    if "<" not in text and "&" not in text:
        return False
    if not _CLOSING_OR_ENTITY.search(text):
        return False
    if any(name.lower() not in HTML_ELEMENTS for name in _TAG_NAME.findall(text)):
        return False
    return all(name in entitydefs for name in _ENTITY_NAME.findall(text))


def unescape_if_html(text: str) -> str:
    """Repair UTF-8 that was taken for ISO 8859-1 and encoded again, and Windows letters in the control range."""
    if text.isascii():
        return text
    if _TWICE.match(text):
        text = _decoded_again(text)
    return text.translate(_WINDOWS) if not text.isprintable() and _C1.search(text) else text


def _decoded_again(text: str) -> str:
    try:
        return text.encode("iso-8859-1").decode("utf-8")
    except UnicodeError:
        return text
