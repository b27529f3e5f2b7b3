"""The Fetcher: takes a feed and its state, returns a document or the news that nothing changed."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aggregator.core.errors import BadStatus
from aggregator.core.model import HASH_BYTES, FeedState, Fetched, NotModified, Validators
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.websub import HubSubscription, Unsubscription
from aggregator.fetch import proxy, ssrf, websub
from aggregator.fetch.blocked_pages import bad_status, challenge, login_page
from aggregator.fetch.budget import Budget
from aggregator.fetch.host_limiter import HostLimiter
from aggregator.fetch.http_headers import hints, links, refreshed, validators
from aggregator.fetch.proxy import Proxy
from aggregator.fetch.ssrf import AddressPolicy
from aggregator.fetch.transport import Request, Response, Transport, TransportConfig
from aggregator.ports import Clock

if TYPE_CHECKING:
    from pydantic import SecretStr

    from aggregator.core.settings import Feed, Http, Polling

ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
)
PAGES = "text/html, application/xhtml+xml;q=0.9, */*;q=0.1"
DOCUMENTS = frozenset({200, 203})
DELTA = 226


class HttpFetcher:
    """Fetches feeds, politely; see ports.Fetcher."""

    def __init__(
        self,
        transport: Transport,
        politeness: HostLimiter,
        config: Callable[["Http"], TransportConfig],
        clock: Clock | None = None,
    ) -> None:
        self.transport = transport
        self.politeness = politeness
        self._config = config
        self._clock = clock

    def reconfigure(self, http: "Http", polling: "Polling") -> None:
        """Apply other settings. Raises Forbidden for an invalid proxy, ValueError for an invalid `allow`."""
        self.transport.reconfigure(self._config(http), polling.concurrency)
        if polling.per_host != self.politeness.per_host:  # else who rests where is kept
            permit = self.politeness.permit
            self.politeness = HostLimiter(polling.per_host, needs_gap)
            self.politeness.permit = permit

    async def fetch(self, feed: "Feed", state: FeedState) -> Fetched | NotModified:
        """Make one conditional GET with its redirects, when the host's turn has come.

        Raises Unreachable, BadStatus, TooLarge, Forbidden.
        """
        known = state.body_hash[HASH_BYTES:]
        request = _request(feed, state.url, home=state.configured_url, validators=state.validators, known=known)
        async with self.politeness.turn(host_key(state.url)):
            response = await self.transport.request(request)
        if response.status == 304:
            return self._not_modified(state, response)
        return self._fetched(state, response)

    async def page(self, feed: "Feed", url: str) -> Fetched:
        """Fetch a page that a feed links to, when the host's turn has come, with the feed's settings and proxy.

        Credentials go to the feed's own origin only. Raises Unreachable, BadStatus, TooLarge, Forbidden.
        """
        request = _request(feed, url, home=feed.url, accepts=PAGES)
        async with self.politeness.turn(host_key(url)):
            response = await self.transport.request(request)
        if response.status not in DOCUMENTS or challenge(response):
            raise bad_status(response)
        if refusal := login_page(response):
            raise refusal
        return document(response, self._clock.now() if self._clock else None)

    async def subscribe(self, subscription: HubSubscription, callback: str, *, home: str | None) -> str | None:
        """See ports.Hub."""
        hub = subscription.address
        async with self.politeness.turn(host_key(hub)):
            return await websub.subscribe(
                self.transport,
                hub=hub,
                topic=subscription.topic,
                callback=callback,
                secret=subscription.secret,
                home=home,
            )

    async def unsubscribe(self, leaving: Unsubscription, callback: str) -> None:
        """See ports.Hub."""
        async with self.politeness.turn(host_key(leaving.hub)):
            await websub.unsubscribe(self.transport, hub=leaving.hub, topic=leaving.topic, callback=callback)

    def _not_modified(self, state: FeedState, response: Response) -> NotModified:
        old = state.validators
        if old is None or old.url != response.url:
            raise BadStatus(
                f"{urlsplit(response.url).hostname}: 304 Not Modified in response to an unconditional request",
                status=304,
                url=response.url,
                hops=response.hops,
            )
        return NotModified(
            url=response.url,
            validators=refreshed(old, response),
            hints=hints(response, self._clock.now() if self._clock else None),
            hops=response.hops,
            elapsed_s=response.elapsed_s,
        )

    def _fetched(self, state: FeedState, response: Response) -> Fetched:
        delta = response.status == DELTA and state.validators is not None
        if (response.status not in DOCUMENTS and not delta) or challenge(response):
            raise bad_status(response)
        if not response.unchanged and (refusal := login_page(response)):
            raise refusal
        return document(response, self._clock.now() if self._clock else None, delta=delta)


def document(response: Response, now: datetime | None = None, *, delta: bool = False) -> Fetched:
    """Return a response's body with what its headers say about it."""
    return Fetched(
        url=response.url,
        status=response.status,
        body=response.body,
        content_type=response.header("Content-Type"),
        content_language=response.header("Content-Language"),
        content_location=response.header("Content-Location"),
        validators=validators(response, response.url),
        hints=hints(response, now),
        hops=response.hops,
        links=links(response, response.url),
        delta=delta,
        elapsed_s=response.elapsed_s,
        held=response.held,
        digest=response.digest,
        unchanged=response.unchanged,
    )


@asynccontextmanager
async def open_fetcher(
    http: "Http",
    polling: "Polling",
    *,
    version: str,
    about: str | None = None,
    own_ports: Sequence[int] = (),
    clock: Clock | None = None,
) -> AsyncIterator[HttpFetcher]:
    """Open a fetcher for these settings.

    `about` is where publishers find the operator; `own_ports` are the ones this service listens on;
    `clock` helps to read dates of servers that send no Date. Raises Forbidden for an invalid proxy,
    ValueError for an invalid `allow`.
    """
    ourselves = f"aggregator/{version}" + (f" (+{about})" if about else "")
    config = partial(_transport_config, ourselves=ourselves, own_ports=tuple(own_ports))
    budget = Budget(polling.concurrency, http.max_body_bytes)
    fetcher = HttpFetcher(
        Transport(config(http), budget=budget), HostLimiter(polling.per_host, needs_gap), config, clock
    )
    try:
        yield fetcher
    finally:
        fetcher.transport.close()


def _transport_config(http: "Http", *, ourselves: str, own_ports: Sequence[int]) -> TransportConfig:
    return TransportConfig(
        policy=AddressPolicy(http.allow, own_ports),
        user_agent=http.user_agent or ourselves,
        timeout_s=http.timeout_s,
        connect_timeout_s=http.connect_timeout_s,
        max_body_bytes=http.max_body_bytes,
        proxy=proxy.parse_proxy(http.proxy.get_secret_value()) if http.proxy else None,
    )


def needs_gap(host: str) -> bool:
    """Tell whether a host_key names a foreign server, to be left a second between requests."""
    name = host.rpartition(":")[0].strip("[]")
    if not name:
        return True
    try:
        return ssrf.is_public(name)
    except ValueError:
        return False


def _request(
    feed: "Feed",
    url: str,
    *,
    home: str,
    accepts: str = ACCEPT,
    validators: Validators | None = None,
    known: bytes = b"",
) -> Request:
    return Request(
        url=url,
        accepts=accepts,
        private=_private(feed) if feed.auth or feed.headers else {},
        home=home,
        validators=validators,
        delta=validators is not None,
        user_agent=feed.user_agent,
        proxy=_proxy(feed.proxy) if feed.proxy else None,
        verify_tls=feed.verify_tls,
        known=known,
    )


def _private(feed: "Feed") -> dict[str, str]:
    """Return the feed's own headers and credentials."""
    headers = {name: value.get_secret_value() for name, value in feed.headers.items()}
    if feed.auth and feed.auth.bearer:
        headers["Authorization"] = f"Bearer {feed.auth.bearer.get_secret_value()}"
    elif feed.auth and feed.auth.user is not None:
        password = feed.auth.password.get_secret_value() if feed.auth.password else ""
        headers["Authorization"] = basic(feed.auth.user, password)
    return headers


def basic(user: str, password: str) -> str:
    """Return the value of the Authorization header (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


@lru_cache(maxsize=256)
def _proxy(url: "SecretStr") -> Proxy:
    return proxy.parse_proxy(url.get_secret_value())
