"""What a site offers to watch, with what it would give: its feeds, else its sitemaps, else the list on its page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from aggregator.app.runtime import Runtime
from aggregator.core.errors import AggregatorError, FetchError, Forbidden, ParseError
from aggregator.core.model import FeedState, Fetched, ParsedFeed
from aggregator.core.polling.intervals import usual_gap
from aggregator.core.results import Discovery, FeedCandidate
from aggregator.core.settings import Feed
from aggregator.core.short_names import BadShortName, expand
from aggregator.core.text.opening import opening
from aggregator.core.text.urls import Login, login_in, pasted_urls
from aggregator.core.values import maildir

LATEST = 5
MAX_SITEMAPS = 6
SITEMAPS = ("/sitemap_news.xml", "/news-sitemap.xml", "/sitemap-news.xml", "/sitemap.xml", "/sitemap_index.xml")

Keys = Mapping[str, Any]
NO_KEYS: Keys = {}


def address_and_login(text: str) -> Login:
    """Return the address that a pasted text means, without the password in it; a short name stays what it is."""
    text = text.strip()
    if is_short(text) or maildir(text) is not None:
        return Login(text)
    if text.lower().startswith("imaps:"):
        login = login_in(text)
        url = f"imaps://{quote(login.user, safe='')}@{login.url[len('imaps://') :]}" if login.user else login.url
        return Login(url, login.user, login.password)
    return login_in(pasted_urls(text)[0])


def is_short(text: str) -> bool:
    """Tell whether a text is a short name. Raises AggregatorError for one whose value its service cannot have."""
    try:
        return expand(text.strip()) is not None
    except BadShortName as error:
        message, _, hint = str(error).partition("; ")
        raise AggregatorError(f"{message} ({hint})" if hint else message) from error


class SourceFinder:
    """Finds sources; `known` are those that are watched already."""

    def __init__(self, runtime: Runtime, known: Iterable[Feed]) -> None:
        self._runtime = runtime
        self._known = {(feed.url, feed.kind): feed.id for feed in known}

    async def find(self, text: str, keys: Keys = NO_KEYS, *, local: bool = False) -> Discovery:
        """Return what can be watched at an address, best first. `keys` of a feed: only this is looked for.

        `local`: a Maildir of this machine may be read. Raises FetchError, ParseError, AggregatorError.
        """
        login = address_and_login(text)
        if maildir(login.url) is not None and not local:
            raise Forbidden(
                "a Maildir is added at the command line or in the file: a page does not read this machine's files",
                url=login.url,
                transient=False,
            )
        if login.url.startswith(("imaps:", "maildir:")):
            keys = {**keys, "kind": "mail"}
        if keys or is_short(login.url):
            return Discovery(candidates=(await self._look(login, keys),))
        feeds, page = await self._feeds(text)
        if feeds or page is None:
            return Discovery(candidates=feeds)
        found = list(await self._sitemaps(login._replace(url=page.url)))
        try:
            found.append(await self._list_on(page))
        except (FetchError, ParseError) as error:
            return Discovery(candidates=tuple(found), nothing=str(error))
        return Discovery(candidates=tuple(found))

    async def _feeds(self, text: str) -> tuple[tuple[FeedCandidate, ...], Fetched | None]:
        """Return the feeds behind an address, and the page there. Raises FetchError."""
        from aggregator.fetch.discover import discover as discover_feeds

        runtime = self._runtime
        read: list[Fetched] = []

        async def remembering(document: Fetched) -> ParsedFeed | None:
            read.append(document)
            return await runtime.read(document)

        found = await discover_feeds(text, runtime.fetcher.transport, remembering)
        candidates = tuple(
            FeedCandidate(
                url=c.url,
                title=c.title,
                entries=c.entries,
                newest_at=c.newest_at,
                titles=tuple(title for _, title in c.latest),
                existing_id=self._known.get((c.url, "feed")),
                rhythm_s=c.rhythm_s,
            )
            for c in found
        )
        return candidates, read[0] if read else None

    async def _list_on(self, page: Fetched) -> FeedCandidate:
        """Return the list on a page that was fetched already. Raises FetchError, ParseError."""
        feed = Feed.model_validate({"url": page.url, "id": "candidate", "kind": "page"})
        await self._runtime.sources.check_allowed(feed, page.url)
        blank = FeedState(id=feed.id, url=page.url, configured_url=page.url)
        return self._candidate(page.url, feed, await self._runtime.parser.parse(page, blank, reading=feed.reading))

    async def _sitemaps(self, login: Login) -> Sequence[FeedCandidate]:
        """Return the first sitemap with entries: one that robots.txt names, or at the usual places."""
        parts = urlsplit(login.url)
        root = f"{parts.scheme}://{parts.netloc}"
        try:
            feed = Feed.model_validate({"url": login.url, "id": "sitemap", "kind": "sitemap"})
            named = (await self._runtime.sources.robots(feed, login.url)).sitemaps
        except (FetchError, ValidationError):
            return ()
        likely = sorted(named, key=lambda url: "news" not in url.lower())
        for url in dict.fromkeys((*likely[:MAX_SITEMAPS], *(root + path for path in SITEMAPS))):
            try:
                candidate = await self._look(login._replace(url=url), {"kind": "sitemap"})
            except AggregatorError:
                continue  # a guess that was wrong
            if candidate.titles:
                return (candidate,)
        return ()

    async def _look(self, login: Login, keys: Keys) -> FeedCandidate:
        """Read one source as its first poll would, and return it with what it gives. Raises AggregatorError."""
        try:
            feed = Feed.model_validate({"url": login.url, "id": "candidate", "auth": login.auth or None, **keys})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or login.url
            message = "there is no such key" if first["type"] == "extra_forbidden" else first["msg"]
            raise ParseError(f"{place}: {message.removeprefix('Value error, ')}", found="key") from None
        found = await self._runtime.look(feed)
        if found.nothing:
            raise ParseError(found.nothing, found="empty")
        return self._candidate(login.url, feed, found)

    def _candidate(self, url: str, feed: Feed, found: ParsedFeed) -> FeedCandidate:
        dates = [at for entry in found.entries if (at := entry.published_at or entry.updated_at)]
        latest = list(found.entries)
        if len(dates) == len(latest):
            latest.sort(key=lambda entry: entry.published_at or entry.updated_at or dates[0], reverse=True)
        return FeedCandidate(
            url=url,
            title=found.title,
            kind=feed.kind,
            select=dict(found.select) or (dict(feed.reading.select) if feed.select else {}),
            entries=found.items,
            newest_at=max(dates, default=None),
            titles=tuple(entry.title or opening(entry.content or entry.summary) for entry in latest[:LATEST]),
            existing_id=self._known.get((feed.url, feed.kind)),
            rhythm_s=usual_gap(dates),
        )
