"""Discovery of a site's feeds: the page itself, its links, known sites, common paths."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from aggregator.core.errors import FetchError, Forbidden
from aggregator.core.model import Fetched, ParsedFeed
from aggregator.core.polling.intervals import usual_gap
from aggregator.core.text import charset
from aggregator.core.text.nesting import is_too_deep
from aggregator.core.text.urls import Login, login_in, pasted_urls
from aggregator.fetch.blocked_pages import bad_status
from aggregator.fetch.fetcher import ACCEPT, basic, document
from aggregator.fetch.known_sites import common_feeds, generated_feeds, known_feeds
from aggregator.fetch.transport import Request, Response, Transport

PAGE_BYTES = 2**20
MAX_CANDIDATES = 12
MAX_TRIED = 30  # in all
MAX_LISTS = 3
LINK = re.compile(r"<([^<>]*)>([^<]*)")
PARAMETER = re.compile(r";\s*([\w*-]+)\s*=\s*(?:\"([^\"]*)\"|([^\s;,]+))")
CONCURRENCY = 4
LATEST = 5
FEED_TYPES = ("application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml")
# Types that say less: of a link with one of these, what parses tells.
_LOOSE = """
application/json application/xml application/rss application/atom application/rdf application/x-rss+xml
application/x-atom+xml application/x-rdf+xml text/xml text/rss text/rss+xml text/atom text/atom+xml text/json
text/rdf text/rdf+xml application/x-feed+json application/jsonfeed+json application/feed
"""
LOOSE_TYPES = frozenset(_LOOSE.split())
OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+-]*:(?!\d)")
FEED_SCHEME = re.compile(r"(?:feeds?|pcast|itpc|podcast|rss|zune):", re.IGNORECASE)
NAMED = re.compile(r"\b(?:rss|atom|rdf|feeds?|json ?feed|xml feed)\b", re.IGNORECASE)
ICON = re.compile(r"(?<![^\W_])rss(?![^\W_])", re.IGNORECASE)
REFRESH = re.compile(r"\s*[0-5]\s*[;,]\s*url\s*=\s*[\"']?\s*([^\"'\s>]+)", re.IGNORECASE)
IN_PATH = re.compile(r"(?:^|[/._-])(?:rss2?|feeds?|atom|rdf)(?=$|[/._-])", re.IGNORECASE)
FEED_ENDINGS = (
    ".rss",
    ".atom",
    ".rdf",
    "/feed",
    "/feed/",
    "/rss",
    "/rss/",
    "/atom",
    "rss.xml",
    "feed.xml",
    "atom.xml",
    "feed.json",
)

Read = Callable[[Fetched], Awaitable[ParsedFeed | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredFeed:
    """A feed that was found and read. `latest` are its newest entries, `rhythm_s` their usual gap."""

    url: str
    title: str = ""
    entries: int = 0
    newest_at: datetime | None = None
    latest: tuple[tuple[datetime | None, str], ...] = ()
    rhythm_s: float | None = None


async def discover(url: str, transport: Transport, read: Read) -> tuple[DiscoveredFeed, ...]:
    """Return the feeds behind `url`, best first; just the one if `url` is a feed itself.

    `url` is an address as people paste it (see `pasted_urls`); a name and password in it go to its origin only.
    `read` parses a document, or returns None if it is no feed. What the page's head names is tried first, then its
    links, then the usual places, until something is a feed. Raises FetchError if the page cannot be fetched and no
    feed is known without it.
    """
    asking = _Asking(transport, read, tuple(map(login_in, _addresses(url))))
    page, problem = await asking.first()
    if page and not problem and (found := await asking.read(page)):
        return (found,)
    start = page.url if page else asking.tried[0].url
    if results := await asking.all_of((*_known_places(start), *(declared(page) if page else ()))):
        return results
    if page and (results := await asking.all_of(linked(page), lists=True)):
        return results
    if results := await asking.all_of([url for each in asking.lists for url in (*declared(each), *linked(each))]):
        return results
    if page and (results := await asking.all_of((*generated_feeds(start, _generator(page)), *common_feeds(start)))):
        return results
    if problem:
        raise problem
    return ()


def _hides_feeds(page: Response) -> bool:
    """Tell whether feeds may be found although a page was refused: to programs, or as a front page that is none."""
    return page.status in (403, 405, 406) or (page.status == 404 and urlsplit(page.url).path in ("", "/"))


def _known_places(url: str) -> tuple[str, ...]:
    """Return feeds of a well-known site; none if `url` is no address."""
    try:
        return known_feeds(url)
    except ValueError:
        return ()


def _addresses(url: str) -> tuple[str, ...]:
    """Return the addresses that a pasted text may mean; a bare name is tried as well. Raises Forbidden."""
    meant = pasted_urls(url)
    bare = meant[0]
    if "://" in bare or OTHER_SCHEME.match(bare):  # which the transport names
        return meant
    if not bare or bare.startswith(("/", "./", "../", "~")):
        what = f"{bare!r} is the name of a file, not a web address" if bare else "there is no address"
        raise Forbidden(f"{what}; write for example https://example.org", url=url, transient=False)
    return (f"https://{bare}", f"http://{bare}")


def declared(page: Response) -> tuple[str, ...]:
    """Return the feeds that a page declares in its Link header and its head; surer types first, comments last."""
    tree, root = _tree(page)
    sure = [target for target, relations, kind, _ in _link_header(page) if "feed" in relations or kind in FEED_TYPES]
    perhaps: list[str | None] = []
    for node in tree.css("link[href]"):
        given = node.attributes
        relations = (given.get("rel") or "").lower().split()
        kind = (given.get("type") or "").lower().split(";")[0].strip()
        if {"feed", "service.feed", "rss", "atom"} & {*relations} or ("alternate" in relations and kind in FEED_TYPES):
            sure.append(given.get("href") or "")
        elif "alternate" in relations and (
            kind in LOOSE_TYPES or (not kind and NAMED.search(f"{given.get('title')} {given.get('href')}"))
        ):
            perhaps.append(given.get("href"))
    return _comments_last(_absolute((*sure, *perhaps), root))


def linked(page: Response) -> tuple[str, ...]:
    """Return the links of a page that look like feeds, by their path or their text."""
    tree, root = _tree(page)
    by_path: list[str | None] = []
    by_name: list[str | None] = []
    for node in tree.css("a[href]"):
        href = node.attributes.get("href") or ""
        place = _joined(root, href) or ""
        path = place.partition("#")[0].partition("?")[0].partition("://")[2].partition("/")[2].lower()
        if f"/{path}".endswith(FEED_ENDINGS):
            by_path.insert(0, href)
        elif IN_PATH.search(path):
            by_path.append(href)
        elif NAMED.search(_name(node)) or _has_icon(node):
            by_name.append(href)
    return _comments_last(_absolute((*by_path, *by_name), root))


def _name(link: LexborNode) -> str:
    """Return what a link is called: its text, and what stands for it where it is a picture."""
    given = [link.attributes.get(key) for key in ("title", "aria-label")]
    return " ".join(filter(None, (link.text()[:80], *given, *(i.attributes.get("alt") for i in link.css("img[alt]")))))


def _has_icon(link: LexborNode) -> bool:
    """Tell whether a link shows the sign of RSS, by the name of its class (`fa fa-rss`, `icon-rss`)."""
    classes = (node.attributes.get("class") for node in (link, *link.css("i[class], span[class], svg[class]")))
    return any(ICON.search(written) for written in classes if written)


def _generator(page: Response) -> str:
    meta = _tree(page)[0].css_first("meta[name=generator i]")
    return (meta.attributes.get("content") or "") if meta else ""


def _refreshed(page: Response) -> str | None:
    """Return the page that this one sends its readers to at once."""
    tree, root = _tree(page)
    meta = tree.css_first("meta[http-equiv=refresh i]")
    found = REFRESH.match((meta.attributes.get("content") or "") if meta else "")
    return next(iter(_absolute([found[1]], root)), None) if found else None


def _tree(page: Response) -> tuple[LexborHTMLParser, str]:
    """Parse the page; return its tree and what its links are relative to."""
    body = page.body[:PAGE_BYTES]
    if is_too_deep(body):  # quadratic for the parser, and no page of a site
        body = b""
    tree = LexborHTMLParser(charset.as_utf8(body, page.header("Content-Type")))
    base = tree.css_first("base[href]")
    return tree, _joined(page.url, (base.attributes.get("href") or "") if base else "") or page.url


def _joined(root: str, href: str) -> str | None:
    """Return where a link on a page leads; None: nowhere."""
    try:
        return urljoin(root, href.strip())
    except ValueError:
        return None


def _link_header(page: Response) -> list[tuple[str, list[str], str, str]]:
    """Return targets of the Link header with their relations, types and titles (RFC 8288)."""
    found = []
    for target, parameters in LINK.findall(",".join(page.headers.getall("Link", ()))):
        given = {key.lower(): (quoted or bare) for key, quoted, bare in PARAMETER.findall(parameters)}
        relations = given.get("rel", "").lower().split()
        if "alternate" in relations or "feed" in relations:
            found.append((target, relations, given.get("type", "").lower(), given.get("title", "")))
    return found


def _comments_last(urls: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(urls, key=lambda found: "comments" in found))[:MAX_CANDIDATES]


def _absolute(hrefs: Iterable[str | None], root: str) -> list[str]:
    found: dict[str, None] = {}
    for written in hrefs:
        for href in _meant((written or "").strip()):
            url = _joined(root, href)
            if href and url and url.startswith(("http://", "https://")):
                found.setdefault(url.partition("#")[0])
    return list(found)


def _meant(href: str) -> tuple[str, ...]:
    """Return the addresses that a link means: of `feed:` and its kin what stands behind, by either scheme."""
    if not (scheme := FEED_SCHEME.match(href)):
        return (href,)
    rest = href[scheme.end() :]
    return pasted_urls(href) if "://" in rest or rest.startswith("//") else (rest,)


class _Asking:
    """One search: how it asks and reads, and the pasted addresses (the likeliest first)."""

    def __init__(self, transport: Transport, read: Read, tried: tuple[Login, ...]) -> None:
        self.tried = tried
        self._transport = transport
        self._read = read
        self._asked: set[str] = set()
        self.lists: list[Response] = []  # pages that looked like feeds and may list some
        self._home: str | None = ""  # the address that was meant; empty: the one that is asked; None: none was usable

    async def first(self) -> tuple[Response | None, FetchError | None]:
        """Return the page at the first address that answers, or the error; both of a page that may only be refused."""
        problem: FetchError | None = None
        for login in self.tried:
            try:
                page = await self._answer(login.url)
            except FetchError as error:
                problem = problem or error
                continue
            if page.status == 200:
                self._home = login.url
                return await self._shown(page), None
            problem = problem or bad_status(page)
            if _hides_feeds(page):
                self._home = login.url
                return page, problem
        self._home = None
        return None, problem

    async def _shown(self, page: Response) -> Response:
        """Return the page behind one that only leads there."""
        try:
            return await self._get(target) if (target := _refreshed(page)) and target != page.url else page
        except FetchError:
            return page

    async def read(self, page: Response) -> DiscoveredFeed | None:
        """Return the page as a feed, if it is one."""
        parsed = await self._read(document(page))
        if parsed is None:
            return None
        dates = [entry.published_at for entry in parsed.entries if entry.published_at]
        return DiscoveredFeed(
            url=page.url,
            title=parsed.title,
            entries=parsed.items,
            newest_at=max(dates, default=None),
            latest=tuple((entry.published_at, entry.title) for entry in parsed.entries[:LATEST]),
            rhythm_s=usual_gap(dates),
        )

    async def all_of(self, urls: Sequence[str], *, lists: bool = False) -> tuple[DiscoveredFeed, ...]:
        """Return those of `urls` that are feeds, in their order; two addresses of one feed count once.

        `lists`: remember the others, which may be pages that list feeds.
        """
        fixture = asyncio.Semaphore(CONCURRENCY)

        async def attempt(url: str) -> DiscoveredFeed | None:
            async with fixture:
                try:
                    answer = await self._get(url)
                    found = await self.read(answer)
                except FetchError:
                    return None  # a guess that was wrong
            if lists and found is None and len(self.lists) < MAX_LISTS:
                self.lists.append(answer)
            return found

        chosen = [url for url in dict.fromkeys(urls) if url not in self._asked][: MAX_TRIED - len(self._asked)]
        self._asked.update(chosen)
        found = await asyncio.gather(*map(attempt, chosen))
        return tuple({candidate.url: candidate for candidate in found if candidate}.values())

    async def _get(self, url: str) -> Response:
        response = await self._answer(url)
        if response.status != 200:
            raise bad_status(response)
        return response

    async def _answer(self, url: str) -> Response:
        home, login = self._home, self.tried[0]
        private = {"Authorization": basic(login.user, login.password)} if login.auth and home is not None else {}
        request = Request(
            url=url, accepts=f"text/html, {ACCEPT}", home=home or "", inside=home is not None, private=private
        )
        return await self._transport.request(request)
