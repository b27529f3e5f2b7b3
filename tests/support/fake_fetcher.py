"""A fetcher without a network: documents at addresses, answered by the rules of HTTP that matter to a poll."""

from dataclasses import dataclass, field

from aggregator.core.errors import BadStatus, FetchError, Unreachable
from aggregator.core.model import CacheHints, FeedState, Fetched, NotModified, Validators
from aggregator.core.settings import Feed

MAX_HOPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FakePage:
    """What an address answers: a document, a bad status, or (status, location) of a redirect."""

    body: bytes = b""
    status: int = 200
    etag: str | None = None
    last_modified: str | None = None
    location: str | None = None
    content_type: str = "application/rss+xml"
    hints: CacheHints = field(default_factory=CacheHints)


@dataclass(slots=True)
class FakeFetcher:
    """Fetches from `pages`; an address that is not there refuses the connection. `asked` is a ledger of URLs."""

    pages: dict[str, FakePage | FetchError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def fetch(self, feed: Feed, state: FeedState) -> Fetched | NotModified:
        """As ports.Fetcher."""
        url, hops = state.url, list[tuple[int, str]]()
        while (page := self._page(url)).location is not None:
            hops.append((page.status, url))
            url = page.location
            if len(hops) > MAX_HOPS or url in (passed for _, passed in hops):
                raise BadStatus("redirects without end", status=page.status, url=url, hops=tuple(hops))
        if page.status != 200 and not (page.status == 226 and state.validators):
            raise _bad_status(page, url, tuple(hops))
        return _answer(page, url, state.validators, tuple(hops))

    def _page(self, url: str) -> FakePage:
        self.asked.append(url)
        page = self.pages.get(url)
        if isinstance(page, FetchError):
            raise page
        if page is None:
            raise Unreachable("connection refused", url=url)
        return page


def _bad_status(page: FakePage, url: str, hops: tuple[tuple[int, str], ...]) -> BadStatus:
    final = page.status in (401, 403, 404, 410)
    wait_s = page.hints.retry_after_s
    return BadStatus(
        f"HTTP {page.status}", status=page.status, url=url, transient=not final, retry_after_s=wait_s, hops=hops
    )


def _answer(
    page: FakePage, url: str, known: Validators | None, hops: tuple[tuple[int, str], ...]
) -> Fetched | NotModified:
    given = Validators(url=url, etag=page.etag, last_modified=page.last_modified)
    pair = given if page.etag or page.last_modified else None
    if known is not None and known.url == url and page.etag is not None and known.etag == page.etag:
        return NotModified(url=url, validators=pair, hints=page.hints, hops=hops)
    return Fetched(
        url=url,
        status=page.status,
        body=page.body,
        content_type=page.content_type,
        validators=pair,
        hints=page.hints,
        hops=hops,
        delta=page.status == 226,
    )
