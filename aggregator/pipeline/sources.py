"""The fetcher of every kind of source: mailboxes by one adapter, the web by another, and pages as robots.txt allows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aggregator.core.errors import BadStatus, FetchError, Forbidden
from aggregator.core.model import FeedState, Fetched, NotModified
from aggregator.core.polling.robots import MAX_AGE_S, Robots, parse_robots, robots_url
from aggregator.ports import Clock, Fetcher, Pages

if TYPE_CHECKING:
    from aggregator.core.settings import Feed

ASKS_FIRST = frozenset({"sitemap", "page", "watch"})
MAX_SITES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    until: datetime
    robots: Robots


class SourceFetcher:
    """See ports.Fetcher."""

    def __init__(self, web: Fetcher, pages: Pages, mail: Fetcher, clock: Clock) -> None:
        self._web = web
        self._pages = pages
        self._mail = mail
        self._clock = clock
        self._sites: dict[str, _Known] = {}

    async def fetch(self, feed: "Feed", state: FeedState) -> Fetched | NotModified:
        """Fetch what there is of a source. Raises as the adapters do, and Forbidden where robots.txt says so."""
        if feed.kind == "mail":
            return await self._mail.fetch(feed, state)
        if feed.kind not in ASKS_FIRST:
            return await self._web.fetch(feed, state)
        await self.check_allowed(feed, state.url)
        answer = await self._web.fetch(feed, state)
        if isinstance(answer, Fetched) and robots_url(answer.url) != robots_url(state.url):
            try:
                await self.check_allowed(feed, answer.url)
            except FetchError:
                if answer.held is not None:
                    answer.held.release()
                raise
        return answer

    async def robots(self, feed: "Feed", url: str) -> Robots:
        """Return what the site of `url` says to programs, as it was at most a day ago; nothing without a file.

        Raises FetchError where that cannot be found out now.
        """
        where, now = robots_url(url), self._clock.now()
        known = self._sites.get(where)
        if known is None or known.until <= now:
            known = _Known(until=now + timedelta(seconds=MAX_AGE_S), robots=await self._read(feed, where))
            if len(self._sites) >= MAX_SITES:
                self._sites.clear()
            self._sites[where] = known
        return known.robots

    async def _read(self, feed: "Feed", where: str) -> Robots:
        try:
            page = await self._pages.page(feed, where)
        except BadStatus as error:
            if 400 <= error.status < 500 and error.status != 429:
                return Robots()  # RFC 9309, 2.3.1.3
            raise
        try:
            return parse_robots(page.body.decode("utf-8", "replace"))
        finally:
            if page.held is not None:
                page.held.release()

    async def check_allowed(self, feed: "Feed", url: str) -> None:
        """Raise Forbidden where robots.txt forbids an address."""
        if refusal := (await self.robots(feed, url)).refusal(url):
            site = robots_url(url).removeprefix("https://").removeprefix("http://")
            raise Forbidden(f"{site} asks programs not to read this page ({refusal})", url=url, transient=False)
