"""Trees of pages: decoded, bounded, with what their links are relative to. Runs inside a worker."""

from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from aggregator.core.text import charset
from aggregator.core.text.html import visible_text
from aggregator.core.text.nesting import is_too_deep
from aggregator.parse.payload import Payload, Rejected, rejected_as_hostile

MAX_NODES = 200_000


def tree(source: Payload) -> LexborHTMLParser:
    """Parse a page. Raises Rejected for more markup, or deeper, than a page has."""
    if source.body.count(b"<") > 2 * MAX_NODES:
        raise rejected_as_hostile(f"The page has more than {MAX_NODES:,} elements.")
    if is_too_deep(source.body):
        raise rejected_as_hostile("The page's elements are nested too deeply.")
    return LexborHTMLParser(charset.as_utf8(source.body, source.content_type))


def base_of(page: LexborHTMLParser, url: str) -> str:
    """Return what the links of a page are relative to."""
    base = page.css_first("base[href]")
    return joined(url, (base.attributes.get("href") or "") if base else "") or url


def joined(base: str, href: str) -> str:
    """Return where a link leads; empty: nowhere on the web."""
    try:
        url = urljoin(base, href.strip())
    except ValueError:
        return ""
    return url if url.startswith(("http://", "https://")) else ""


def text_of(node: LexborNode) -> str:
    """Return the visible text of an element, on one line."""
    return " ".join(visible_text(node.html or "").split())


def selected(node: LexborHTMLParser | LexborNode, selector: str) -> list[LexborNode]:
    """Return what a selector finds. Raises Rejected for one that is none."""
    try:
        return node.css(selector)
    except SelectolaxError:
        raise Rejected(f"`{selector}` is not a CSS selector.", "broken", transient=False) from None


def selector_problem(selector: str) -> str | None:
    """Return what is wrong with `selector@attribute`; None: nothing."""
    css = selector.partition("@")[0].strip()
    try:
        LexborHTMLParser("<p>").css(css or "p")
    except SelectolaxError:
        return f"{css!r} is not a CSS selector"
    return None
