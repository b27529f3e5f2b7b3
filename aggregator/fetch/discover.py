"""Discovery of a site's feeds: the page itself, its links, known sites, common paths."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

from aggregator.core.errors import FetchError
from aggregator.core.model import Fetched, ParsedFeed
from aggregator.core.polling.intervals import usual_gap
from aggregator.core.text import charset
from aggregator.core.text.nesting import is_too_deep
from aggregator.core.text.urls import Login, login_in, pasted_urls
from aggregator.fetch.blocked_pages import bad_status
from aggregator.fetch.fetcher import ACCEPT, basic, document
from aggregator.fetch.known_sites import common_feeds, known_feeds
from aggregator.fetch.transport import Request, Response, Transport

PAGE_BYTES = 2**20
MAX_CANDIDATES = 12
MAX_TRIED = 26  # in all
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
FEED_SCHEME = re.compile(r"(?:feeds?|pcast|itpc|podcast|rss|zune):", re.IGNORECASE)
NAMED = re.compile(r"\b(?:rss|atom|rdf|feeds?|json ?feed|xml feed)\b", re.IGNORECASE)
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
    if page and (found := await asking.read(page)):
        return (found,)
    start = page.url if page else asking.tried[0].url
    stages: list[Sequence[str]] = [(*_known_places(start), *(declared(page) if page else ()))]
    if page:
        stages += [linked(page), common_feeds(start)]
    for stage in stages:
        if results := await asking.all_of(stage):
            return results
    if problem:
        raise problem
    return ()


def _known_places(url: str) -> tuple[str, ...]:
    """Return feeds of a well-known site; none if `url` is no address."""
    try:
        return known_feeds(url)
    except ValueError:
        return ()


def _addresses(url: str) -> tuple[str, ...]:
    """Return the addresses that a pasted text may mean; a bare name is tried as well."""
    meant = pasted_urls(url)
    return meant if "://" in meant[0] else (f"https://{meant[0]}", f"http://{meant[0]}")


def declared(page: Response) -> tuple[str, ...]:
    """Return the feeds that a page declares in its Link header and its head; surer types first, comments last."""
    tree, root = _tree(page)
    sure = [target for target, relations, kind, _ in _link_header(page) if "feed" in relations or kind in FEED_TYPES]
    perhaps: list[str | None] = []
    for node in tree.css("link[href]"):
        given = node.attributes
        relations = (given.get("rel") or "").lower().split()
        kind = (given.get("type") or "").lower().split(";")[0].strip()
        if {"feed", "service.feed"} & {*relations} or ("alternate" in relations and kind in FEED_TYPES):
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
        path = href.strip().partition("#")[0].partition("?")[0].lower()
        if path.endswith(FEED_ENDINGS):
            by_path.insert(0, href)
        elif IN_PATH.search(path):
            by_path.append(href)
        elif NAMED.search(_name(node)):
            by_name.append(href)
    return _comments_last(_absolute((*by_path, *by_name), root))


def _name(link: LexborNode) -> str:
    """Return what a link is called: its text, and what stands for it where it is a picture."""
    given = [link.attributes.get(key) for key in ("title", "aria-label")]
    return " ".join(filter(None, (link.text()[:80], *given, *(i.attributes.get("alt") for i in link.css("img[alt]")))))


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
        self._home: str | None = ""  # the address that was meant; empty: the one that is asked; None: none was usable

    async def first(self) -> tuple[Response | None, FetchError | None]:
        """Return the page at the first address that answers, or the error."""
        problem: FetchError | None = None
        for login in self.tried:
            try:
                page = await self._get(login.url)
            except FetchError as error:
                problem = problem or error
            else:
                self._home = login.url
                return page, None
        self._home = None
        return None, problem

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

    async def all_of(self, urls: Sequence[str]) -> tuple[DiscoveredFeed, ...]:
        """Return those of `urls` that are feeds, in their order; two addresses of one feed count once."""
        fixture = asyncio.Semaphore(CONCURRENCY)

        async def attempt(url: str) -> DiscoveredFeed | None:
            async with fixture:
                try:
                    return await self.read(await self._get(url))
                except FetchError:
                    return None  # a guess that was wrong

        chosen = [url for url in dict.fromkeys(urls) if url not in self._asked][: MAX_TRIED - len(self._asked)]
        self._asked.update(chosen)
        found = await asyncio.gather(*map(attempt, chosen))
        return tuple({candidate.url: candidate for candidate in found if candidate}.values())

    async def _get(self, url: str) -> Response:
        home, login = self._home, self.tried[0]
        private = {"Authorization": basic(login.user, login.password)} if login.auth and home is not None else {}
        request = Request(
            url=url, accepts=f"text/html, {ACCEPT}", home=home or "", inside=home is not None, private=private
        )
        response = await self._transport.request(request)
        if response.status != 200:
            raise bad_status(response)
        return response
