"""List pages: the entries of a page by CSS selectors. Only the selector of entries is needed; the rest is guessed.

Without any selector, that of the entries is guessed as well (`feeds discover` proposes it): what repeats on the
page, has one link each, and texts as long as headlines.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from statistics import median
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

from aggregator.core.text.html import visible_text
from aggregator.parse import html, sniff
from aggregator.parse.dates import instant
from aggregator.parse.normalize import Found, RawEntry, RawFeed
from aggregator.parse.payload import Payload, Rejected

MAX_ENTRIES = 1000
MAX_LINKS = 3000  # that are looked at to guess
MAX_TRIED = 60  # selectors that are tried
MIN_ENTRIES = 3
MIN_TITLE = 12  # characters of a headline

HEADINGS = "h1, h2, h3, h4, h5, h6, [class*=title], [class*=headline], [class*=heading], [itemprop=headline]"
DATES = (
    "time[datetime]@datetime",
    "[itemprop=datePublished]@content",
    "[datetime]@datetime",
    "time",
    "[itemprop=datePublished]",
    "[class*=date]",
    "[class*=time]",
    "[class*=published]",
)
TEASERS = "p, [class*=summary], [class*=excerpt], [class*=teaser], [class*=description], [class*=lead]"
_LEAF_DATE = re.compile(r"\d{1,4}[./ -]\s?\w{1,12}\.?[./, -]\s?\d{2,4}|\w{3,12} \d{1,2}, \d{4}")
_CLASS = re.compile(r"[A-Za-z_][A-Za-z_-]*[0-9]{0,2}")
_ASIDE = frozenset({"nav", "header", "footer", "aside", "form", "menu"})
_REPEATING = frozenset({"article", "li", "tr", "dt", "section", "div", "a", "h2", "h3", "h4", "p"})
_OUTER = frozenset({"ul", "ol", "table", "tbody", "dl", "main", "section", "article", "div"})
_SCRIPT = re.compile(rb"<script\b", re.IGNORECASE)
_MAX_UP = 6
_NO_DATE = 40  # characters of a text that may be a date


def read(source: Payload, select: Mapping[str, str]) -> Found:
    """Return the entries that `select` finds, or that it would find if it had been guessed. Raises Rejected."""
    sniff.check_kind(source.body)
    page = html.tree(source)
    feed = RawFeed()
    named = page.css_first("title")
    feed.title = (named.text().strip() if named else "", "text/plain")
    root = page.css_first("html")
    feed.lang = root.attributes.get("lang") if root else None
    base = html.base_of(page, source.url)
    if not select.get("entry"):
        select = {"entry": _guessed(page, base, source.body)}
    found = _entries(page, base, select)
    feed.entries = list(found)
    nothing = ""
    if not found:
        if refusal := sniff.refusal(source.body):
            raise refusal
        nothing = f"The page answers, but `{select['entry']}` finds nothing{_why(page, source.body)}."
    return Found(feed, len(found), select=tuple(select.items()), nothing=nothing)


def _why(page: LexborHTMLParser, body: bytes) -> str:
    return ": its text is put there by JavaScript" if _is_built_by_script(page, body) else ""


def _is_built_by_script(page: LexborHTMLParser, body: bytes) -> bool:
    """Tell whether a page has scripts and next to no text of its own."""
    shown = page.body.html if page.body is not None else ""
    return bool(_SCRIPT.search(body)) and len(visible_text(shown or "")) < 400 and len(page.css("a[href]")) < 5


def _entries(page: LexborHTMLParser, base: str, select: Mapping[str, str]) -> list[RawEntry]:
    """Return the entries in their order; those with the same link are one, with the longest title."""
    links: dict[str, RawEntry] = {}
    found: list[RawEntry] = []
    for node in _outermost(html.selected(page, select["entry"]))[:MAX_ENTRIES]:
        raw = _entry(node, base, select)
        if not raw.title[0] and not raw.contents[0][0]:
            continue
        known = links.get(raw.link) if raw.link else None
        if known is None:
            found.append(raw)
            if raw.link:
                links[raw.link] = raw
            continue
        known.title = max(known.title, raw.title, key=lambda title: len(title[0]))
        known.published = known.published or raw.published
        known.summary = max(known.summary, raw.summary, key=lambda text: len(text[0]))
    return found


def _outermost(nodes: Iterable[LexborNode]) -> list[LexborNode]:
    """Return the nodes that are not inside another one of them; nodes come in the order of the document."""
    inside: set[int] = set()
    kept = []
    for node in nodes:
        above = node.parent
        while above is not None and above.mem_id not in inside:
            above = above.parent
        if above is None:
            kept.append(node)
        inside.add(node.mem_id)
    return kept


def _entry(node: LexborNode, base: str, select: Mapping[str, str]) -> RawEntry:
    raw = RawEntry()
    raw.base = base
    heading = None if "title" in select else _heading(node)
    link = _picked(node, select["link"]) if "link" in select else _link(node, heading)
    raw.link = html.joined(base, link) if link else None
    title = _picked(node, select["title"]) if "title" in select else html.text_of(heading) if heading else ""
    raw.title = title, "text/plain"
    when = instant(_picked(node, select["date"])) if "date" in select else _date(node)
    raw.published = when.timestamp() if when else None
    summary = _picked(node, select["summary"]) if "summary" in select else _teaser(node, title)
    raw.summary = summary, "text/plain"
    raw.contents = [("" if title or summary else html.text_of(node), "text/plain")]
    raw.lang = node.attributes.get("lang")
    return raw


def _picked(node: LexborNode, selector: str) -> str:
    """Return the text, or the attribute, that a selector finds inside an entry; empty: nothing."""
    css, at, attribute = selector.partition("@")
    found = html.selected(node, css.strip()) if css.strip() else [node]
    if at:
        return next((value for one in found if (value := one.attributes.get(attribute.strip()))), "").strip()
    return html.text_of(found[0]) if found else ""


def _heading(node: LexborNode) -> LexborNode | None:
    """Return the element with the headline: a heading, the longest link, or a link around everything."""
    for found in node.css(HEADINGS)[:5]:
        if found.text(strip=True):
            return found
    links = [(len(link.text(strip=True)), -place, link) for place, link in enumerate(node.css("a[href]")[:20])]
    longest = max(links, default=None)
    if longest and longest[0]:
        return longest[2]
    return node if node.tag in ("a", "h2", "h3", "h4") and node.text(strip=True) else None


def _link(node: LexborNode, heading: LexborNode | None) -> str:
    """Return the address of an entry: its headline's link, the link around it, or the first one in it."""
    if heading is not None:
        inner = heading if heading.tag == "a" else heading.css_first("a[href]")
        above, steps = heading.parent, 0
        while inner is None and above is not None and steps < _MAX_UP and above.mem_id != node.mem_id:
            inner = above if above.tag == "a" else None
            above, steps = above.parent, steps + 1
        if inner is not None and (href := inner.attributes.get("href")):
            return href
    if node.tag == "a" and (href := node.attributes.get("href")):
        return href
    found = [href for link in node.css("a[href]")[:20] if _leads_somewhere(href := link.attributes.get("href") or "")]
    return found[0] if found else ""


def _leads_somewhere(href: str) -> bool:
    return bool(href.strip()) and not href.strip().lower().startswith(("#", "javascript:", "mailto:", "tel:"))


def _date(node: LexborNode) -> datetime | None:
    for selector in DATES:
        css, at, attribute = selector.partition("@")
        for found in node.css(css)[:5]:
            written = (found.attributes.get(attribute) or "") if at else html.text_of(found)
            if written and len(written) <= 2 * _NO_DATE and (when := instant(written)):
                return when
    for line in visible_text(node.html or "").split("\n")[:20]:
        for piece in re.split(r"\s[|·•–—]\s", line.strip()):
            if len(piece) <= _NO_DATE and _LEAF_DATE.search(piece) and (when := instant(piece.strip(" ():"))):
                return when
    return None


def _teaser(node: LexborNode, title: str) -> str:
    texts = (html.text_of(found) for found in node.css(TEASERS)[:10])
    return next((text for text in texts if len(text) > 2 * MIN_TITLE and text != title and text not in title), "")


# --- guessing ------------------------------------------------------------------------------------


class _Guess(NamedTuple):
    """How good a selector is, and among equals how short."""

    score: float
    shortness: int
    selector: str


def _guessed(page: LexborHTMLParser, base: str, body: bytes) -> str:
    """Return the selector of what looks most like a list of entries. Raises Rejected."""
    links = [link for link in page.css("a[href]")[:MAX_LINKS] if _is_headline(link)]
    tried: Counter[str] = Counter()
    for link in links:
        tried.update(set(_selectors(link)))
    likely = [selector for selector, count in tried.most_common(4 * MAX_TRIED) if count >= MIN_ENTRIES][:MAX_TRIED]
    best = max((_Guess(_score(page, base, selector), -len(selector), selector) for selector in likely), default=None)
    if best is None or best.score <= 0:
        if refusal := sniff.refusal(body):
            raise refusal
        if _is_built_by_script(page, body):
            raise Rejected("The page is built by JavaScript in the browser: there is no list in it to read.", "html")
        raise Rejected("No list of entries was found on the page.", "html")
    return best.selector


def _is_headline(link: LexborNode) -> bool:
    if not _leads_somewhere(link.attributes.get("href") or "") or len(link.text(strip=True)) < MIN_TITLE:
        return False
    above, steps = link.parent, 0
    while above is not None and steps < 2 * _MAX_UP:
        if above.tag in _ASIDE:
            return above.tag == "header" and above.parent is not None and above.parent.tag == "article"
        above, steps = above.parent, steps + 1
    return True


def _selectors(link: LexborNode) -> Iterator[str]:
    """Yield selectors that find the link, or one of the elements around it."""
    node: LexborNode | None = link
    for _ in range(_MAX_UP):
        if node is None or node.tag in ("body", "html", "-undef"):
            return
        classes = [name for name in (node.attributes.get("class") or "").split() if _CLASS.fullmatch(name)]
        yield from (f"{node.tag}.{name}" for name in classes[:4])
        if node.tag == "article":
            yield "article"
        above = node.parent
        if node.tag in _REPEATING and above is not None and above.tag in _OUTER:
            names = [name for name in (above.attributes.get("class") or "").split() if _CLASS.fullmatch(name)]
            identity = above.attributes.get("id") or ""
            if _CLASS.fullmatch(identity):
                yield f"#{identity} > {node.tag}"
            yield from (f"{above.tag}.{name} > {node.tag}" for name in names[:2])
            if not names and not identity:
                yield f"{above.tag} > {node.tag}"
        node = above


def _score(page: LexborHTMLParser, base: str, selector: str) -> float:
    """Rate a selector: many entries with a link of their own, long titles, dates; nothing else found."""
    nodes = _outermost(html.selected(page, selector))[:300]
    if len(nodes) < MIN_ENTRIES:
        return 0.0
    entries = [_entry(node, base, {"entry": selector}) for node in nodes]
    good = {raw.link: raw for raw in entries if raw.link and len(raw.title[0]) >= MIN_TITLE}
    if len(good) < MIN_ENTRIES:
        return 0.0
    share = len(good) / len(nodes)
    dated = sum(raw.published is not None for raw in good.values()) / len(good)
    teased = sum(bool(raw.summary[0]) for raw in good.values()) / len(good)
    crowded = sum(_links_within(node) > 4 for node in nodes) / len(nodes)
    length = min(median(len(raw.title[0]) for raw in good.values()), 80) / 80
    return (
        float(min(len(good), 30) ** 0.5)
        * share
        * share
        * length
        * (1 + 1.5 * dated + 0.3 * teased)
        * (1 - 0.7 * crowded)
    )


def _links_within(node: LexborNode) -> int:
    return len({href for link in node.css("a[href]")[:50] if len(link.text(strip=True)) >= MIN_TITLE
                and _leads_somewhere(href := link.attributes.get("href") or "")})  # fmt: skip
