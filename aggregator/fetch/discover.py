"""From a site's address to its feeds: the page itself, its links, known habits, common paths."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from aggregator.core.errors import FetchError
from aggregator.core.model import Fetched, ParsedFeed
from aggregator.core.polling.pace import usual_gap
from aggregator.fetch.fetcher import ACCEPT, document
from aggregator.fetch.places import common_places, known_places
from aggregator.fetch.refusals import bad_status
from aggregator.fetch.transport import Request, Response, Transport

PAGE_BYTES = 2**20
AT_MOST = 12
AT_ONCE = 4
LATEST = 5
FEED_TYPES = ("application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml")
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
class Candidate:
    """A feed that was found and read. `latest` are its newest entries, `rhythm_s` their usual gap."""

    url: str
    title: str = ""
    entries: int = 0
    newest_at: datetime | None = None
    latest: tuple[tuple[datetime | None, str], ...] = ()
    rhythm_s: float | None = None


async def discover(url: str, transport: Transport, read: Read) -> tuple[Candidate, ...]:
    """The feeds behind `url`, best first; just the one where `url` is a feed itself.

    `read` parses a document, or gives None where it is no feed. An address without a scheme is
    tried with https, then http. Raises FetchError where the page cannot be had and no feed is
    known without it.
    """
    page, problem, home = await _page(url, transport)
    address = page.url if page else url
    if page and (found := await _read(page, read)):
        return (found,)
    named = (*_known_places(url), *(linked(page) if page else ()))
    results = await _try_all(named, transport, read, home)
    if not results and page:
        results = await _try_all(common_places(address), transport, read, home)
    if not results and problem:
        raise problem
    return results


def _known_places(url: str) -> tuple[str, ...]:
    """Feeds of a site whose habits are known; of none where `url` is no address."""
    try:
        return known_places(url)
    except ValueError:
        return ()


def linked(page: Response) -> tuple[str, ...]:
    """The feeds that a page names: in its head, else in its links; comment feeds last."""
    tree = LexborHTMLParser(page.body[:PAGE_BYTES])
    base = tree.css_first("base[href]")
    root = _joined(page.url, (base.attributes.get("href") or "") if base else "") or page.url
    head = [
        node.attributes.get("href")
        for node in tree.css("link[rel~=alternate][href]")
        if (node.attributes.get("type") or "").lower().split(";")[0].strip() in FEED_TYPES
    ]
    body = [] if head else [node.attributes.get("href") for node in tree.css("a[href]")]
    likely = chain(head, (href for href in body if href and _looks_like_feed(href)))
    return tuple(sorted(_absolute(likely, root), key=lambda found: "comments" in found))


def _looks_like_feed(href: str) -> bool:
    return href.partition("#")[0].partition("?")[0].lower().endswith(FEED_ENDINGS)


def _joined(root: str, href: str) -> str | None:
    """Where a link on a page leads; None: nowhere."""
    try:
        return urljoin(root, href.strip())
    except ValueError:
        return None


def _absolute(hrefs: Iterable[str | None], root: str) -> list[str]:
    found: dict[str, None] = {}
    for href in hrefs:
        url = _joined(root, href or "")
        if href and url and url.startswith(("http://", "https://")):
            found.setdefault(url.partition("#")[0])
    return list(found)[:AT_MOST]


async def _page(url: str, transport: Transport) -> tuple[Response | None, FetchError | None, str | None]:
    """The page at `url`, or what stood in the way; and the address that was meant."""
    tried = [url] if "://" in url else [f"https://{url}", f"http://{url}"]
    problem: FetchError | None = None
    for address in tried:
        try:
            return await _get(address, transport), None, address
        except FetchError as error:
            problem = problem or error
    return None, problem, None


async def _get(url: str, transport: Transport, home: str | None = "") -> Response:
    """`home`: the address that a person named; None: nobody named a usable one."""
    request = Request(url=url, accepts=f"text/html, {ACCEPT}", home=home or "", inside=home is not None)
    response = await transport.request(request)
    if response.status != 200:
        raise bad_status(response)
    return response


async def _try_all(urls: Sequence[str], transport: Transport, read: Read, home: str | None) -> tuple[Candidate, ...]:
    """Those of `urls` that are feeds, in their order; two addresses of one feed count once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def attempt(url: str) -> Candidate | None:
        async with room:
            try:
                return await _read(await _get(url, transport, home), read)
            except FetchError:
                return None  # a guess that was wrong

    unique = list(dict.fromkeys(urls))[:AT_MOST]
    found = await asyncio.gather(*(attempt(url) for url in unique))
    return tuple({candidate.url: candidate for candidate in found if candidate}.values())


async def _read(page: Response, read: Read) -> Candidate | None:
    parsed = await read(document(page))
    if parsed is None:
        return None
    dates = [entry.published_at for entry in parsed.entries if entry.published_at]
    return Candidate(
        url=page.url,
        title=parsed.title,
        entries=parsed.items,
        newest_at=max(dates, default=None),
        latest=tuple((entry.published_at, entry.title) for entry in parsed.entries[:LATEST]),
        rhythm_s=usual_gap(dates),
    )
