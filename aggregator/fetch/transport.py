"""The transport of every outgoing request: checked, bounded, and honest about who asks.

libcurl sends each hop (`curl`). By hand, because each is a rule of its own: redirects (each hop is checked and dialled
anew, and loses what belongs to another origin) and one deadline for everything. Never sent: Referer, a second try,
cookies but those that the very same chain of redirects set.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from multidict import CIMultiDictProxy

from aggregator.core.errors import BadStatus, FetchError, Forbidden, Unreachable
from aggregator.core.model import Validators
from aggregator.core.text.headers import is_header
from aggregator.fetch import url as addresses
from aggregator.fetch.budget import Budget, Hold
from aggregator.fetch.curl import CurlClient, Exchange, Hop
from aggregator.fetch.error_messages import describe_resolution
from aggregator.fetch.http_headers import header
from aggregator.fetch.proxy import Proxy
from aggregator.fetch.resolver import Given, Resolver, numeric
from aggregator.fetch.ssrf import AddressPolicy, is_public
from aggregator.fetch.url import ParsedUrl

if TYPE_CHECKING:
    from aggregator.fetch.cookies import Jar

MAX_HOPS = 5
DEFAULT_CONCURRENCY = 128
REDIRECTS = frozenset({301, 302, 303, 307, 308})
KEEP_METHOD = frozenset({307, 308})
ENCODINGS = "gzip, br"
BROKEN_UTF8 = re.compile("[\ud800-\udfff]")


class Request(Struct, frozen=True, kw_only=True):
    """A request.

    `home` is the configured address of the feed that asks; default: `url`, which a person named.
    `private` headers (credentials, keys) go only to its origin, and to nobody once another origin was
    passed. What `http.allow` opens is open to a request only if it covers `home` as well, and no
    more once a public address was passed; `inside`: False if there is no such feed. `validators`
    go only to the URL that gave them. `accepts` is the Accept header. `delta`: offer to take only
    what is new (RFC 3229), with an ETag to compare with. `known` is the digest of a packed body that need not
    be unpacked.
    """

    url: str
    method: str = "GET"
    accepts: str = "*/*"
    headers: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict)
    home: str = ""
    inside: bool = True
    validators: Validators | None = None
    delta: bool = False
    body: bytes = b""
    user_agent: str | None = None
    proxy: Proxy | None = None
    verify_tls: bool = True
    max_body_bytes: int | None = None
    known: bytes = b""


class Response(Struct, frozen=True, kw_only=True):
    """A complete answer. `hops` are (status, URL that answered with it); `url` gave this answer.

    The body is read only of a 2xx; of others the status and headers say what there is to know.
    `digest` is that of a packed body as it came; `unchanged`: it is the one that was known, and is left out.
    """

    url: str
    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    body: bytes = b""
    hops: tuple[tuple[int, str], ...] = ()
    elapsed_s: float = 0.0
    held: Hold | None = None
    digest: bytes = b""
    unchanged: bool = False

    def header(self, name: str) -> str:
        """Return a header's value byte for byte (as latin-1), or an empty string."""
        return header(self.headers, name)


class _RedirectState:
    """The progress of a request through its redirects, and the context for its errors."""

    __slots__ = ("given", "home", "hops", "jar", "place", "private_ok", "visited")

    def __init__(self, place: ParsedUrl, home: ParsedUrl, given: Given | None) -> None:
        self.place = place
        self.home = home
        self.given = given  # None: not looked up yet
        self.hops: tuple[tuple[int, str], ...] = ()
        self.private_ok = place.origin == home.origin
        self.jar: Jar | None = None
        self.visited = {(place.text, "")}

    @property
    def cookies(self) -> str:
        """Return the Cookie header for the current address, from what was set on the way."""
        return self.jar.header(self.place) if self.jar is not None else ""

    def pass_by(self, found: Sequence[str]) -> None:
        """Record where the address leads: after a public one, or a name left to a proxy, no private one is open."""
        if not found or any(map(is_public, found)):
            self.given = frozenset()

    def follow_redirect(self, status: int, headers: CIMultiDictProxy[str]) -> None:
        """Follow a redirect. Raises BadStatus, Forbidden."""
        location = _location(headers)
        if not location:
            raise BadStatus(
                f"{self.place.host}: redirect without Location", status=status, url=self.place.text, hops=self.hops
            )
        hops = (*self.hops, (status, self.place.text))
        following = addresses.join_url(self.place, location)
        if set_here := headers.getall("Set-Cookie", ()):
            if self.jar is None:
                from aggregator.fetch.cookies import Jar

                self.jar = Jar()
            self.jar.take(self.place, set_here, headers.get("Date", ""))
        visit = following.text, self.jar.header(following) if self.jar else ""
        if visit in self.visited:
            raise BadStatus(f"{self.place.host}: redirect loop", status=status, url=self.place.text, hops=hops)
        if len(hops) > MAX_HOPS:
            raise BadStatus(
                f"{self.place.host}: more than {MAX_HOPS} redirects", status=status, url=self.place.text, hops=hops
            )
        self.private_ok = self.private_ok and following.origin == self.place.origin
        self.place, self.hops = following, hops
        self.visited.add(visit)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConfig:
    """Settings of requests: permitted addresses, identity, time and size limits, proxy."""

    policy: AddressPolicy
    user_agent: str
    timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    max_body_bytes: int = 10 * 2**20
    proxy: Proxy | None = None

    @property
    def connect_s(self) -> float:
        """Return the seconds that an address has to answer."""
        return min(self.connect_timeout_s, self.timeout_s)


class Transport:
    """Sends requests. Raises Unreachable, BadStatus (about redirects), TooLarge, Forbidden.

    `authorities` is a file of certificates to trust instead of the system's.
    """

    def __init__(
        self, config: TransportConfig, *, authorities: Path | None = None, budget: Budget | None = None
    ) -> None:
        self._config = config
        self._resolver = Resolver(config.policy)
        self._authorities = authorities
        self._client: CurlClient | None = None
        self.budget = budget or Budget(DEFAULT_CONCURRENCY, config.max_body_bytes)

    def reconfigure(self, config: TransportConfig, concurrency: int = DEFAULT_CONCURRENCY) -> None:
        """Apply other settings; requests under way may end with the old ones."""
        self.budget.reconfigure(concurrency, config.max_body_bytes)
        self._config = config
        self._resolver.policy = config.policy

    def close(self) -> None:
        self._resolver.close()
        if self._client is not None:
            self._client.close()
            self._client = None

    async def check_allowed(self, url: str) -> None:
        """Check that a request to this address would be permitted. Raises Forbidden.

        A name that cannot be looked up now passes: it is checked again whenever it is dialled.
        """
        place = addresses.parse_url(url)
        deadline = asyncio.get_running_loop().time() + self._config.connect_s
        with suppress(OSError):  # time-outs too
            given = await self._resolver.given_to(place, deadline)
            if self._config.proxy is not None:
                self._resolver.check_name(place, given)
            else:
                await self._resolver.permitted(place, given, deadline)

    async def request(self, request: Request) -> Response:
        """Return the final answer, whatever its status, after at most five redirects."""
        place = addresses.parse_url(request.url)
        home = addresses.parse_url(request.home) if request.home else place
        redirect = _RedirectState(place, home, None if request.inside else frozenset())
        started = asyncio.get_running_loop().time()
        try:
            while True:
                response = await self._visit(request, redirect, started)
                if response is not None:
                    return response
        except FetchError as error:
            error.hops = error.hops or redirect.hops
            raise

    async def _visit(self, request: Request, redirect: _RedirectState, started: float) -> Response | None:
        """Ask one address; return None if it redirected to another."""
        loop = asyncio.get_running_loop()
        hop = await self._hop(request, redirect, started)
        exchange = Exchange(hop, self.budget, loop.create_future())
        try:
            await self._curl().perform(exchange)
            if exchange.status in REDIRECTS and (request.method == "GET" or exchange.status in KEEP_METHOD):
                redirect.follow_redirect(exchange.status, exchange.headers)
                return None
            await exchange.unpacked(started + self._config.timeout_s)
            body = exchange.document()
        except BaseException as error:
            exchange.drop()  # the error keeps these frames for as long as somebody keeps the error
            if isinstance(error, TimeoutError):
                raise self._late(redirect, opened=exchange.opened, connected=exchange.connected) from error
            raise
        digest, unchanged = exchange.packed
        return Response(
            url=redirect.place.text,
            status=exchange.status,
            reason=exchange.reason,
            headers=exchange.headers,
            body=body,
            hops=redirect.hops,
            elapsed_s=loop.time() - started,
            held=exchange.held,
            digest=digest,
            unchanged=unchanged,
        )

    async def _hop(self, request: Request, redirect: _RedirectState, started: float) -> Hop:
        """Find out where to dial, and write the request."""
        config, place, proxy = self._config, redirect.place, request.proxy or self._config.proxy
        now = asyncio.get_running_loop().time()
        deadline = started + config.timeout_s
        connected_by = min(deadline, now + config.connect_s)
        try:
            if redirect.given is None:
                redirect.given = await self._resolver.given_to(redirect.home, connected_by)
            if proxy is not None and proxy.resolves:
                found = self._resolver.check_name(place, redirect.given)
            else:
                found = await self._resolver.permitted(place, redirect.given, connected_by)
            redirect.pass_by(found)
            dialled = found if proxy is None else await self._resolver.trusted(proxy.address, connected_by)
        except TimeoutError as error:
            raise self._late(redirect, opened=False, connected=False) from error
        except OSError as error:
            raise describe_resolution(error, host=place.host, url=place.text, hops=redirect.hops) from error
        except ValueError as error:  # of codecs
            raise Unreachable(f"{place.host}: request failed ({error})", url=place.text, hops=redirect.hops) from error
        name = proxy.address if proxy is not None else place
        now = asyncio.get_running_loop().time()
        return Hop(
            place=place,
            host=numeric(place.host) or place.host,
            target=f"http://{place.authority}{place.target}" if _is_relayed(place, proxy) else place.target,
            method=request.method,
            lines=self._lines(request, redirect, proxy),
            body=request.body,
            permitted=dialled,
            own_ports=config.policy.own_ports if proxy is None else (),
            pins=() if numeric(name.host) else (_pin(name, dialled),),
            proxy=proxy,
            through=_bracketed(found[0]) if proxy is not None and not proxy.resolves else "",
            user_agent=request.user_agent or config.user_agent,
            verify_tls=request.verify_tls,
            max_body_bytes=request.max_body_bytes or config.max_body_bytes,
            connect_s=connected_by - now,
            total_s=deadline - now,
            known=request.known,
        )

    def _curl(self) -> CurlClient:
        """Return the client of the running loop."""
        if self._client is None or self._client.loop is not asyncio.get_running_loop():
            self._client = CurlClient(self._authorities)
        return self._client

    def _lines(self, request: Request, redirect: _RedirectState, proxy: Proxy | None) -> list[bytes]:
        """Return the header lines for this hop."""
        place = redirect.place
        agent = request.user_agent or self._config.user_agent
        of_its_own = request.headers or request.private or redirect.jar or proxy or request.method != "GET"
        if not of_its_own and (usual := _usual(agent, request.accepts)):  # nearly all
            lines = [f"Host: {place.authority}"]
            if request.validators is not None and request.validators.url == place.text:
                lines += _conditions(request.validators, delta=request.delta)
            return [*(line.encode("latin-1") for line in lines), *usual]
        fields = {
            "user-agent": ("User-Agent", agent),
            "accept": ("Accept", request.accepts),
            "accept-encoding": ("Accept-Encoding", ENCODINGS),
        }
        for own in (request.headers, request.private if redirect.private_ok else {}):
            fields.update({name.lower(): (name, value) for name, value in own.items()})
        if cookies := redirect.cookies:
            _, given = fields.get("cookie", ("Cookie", ""))
            fields["cookie"] = ("Cookie", f"{given}; {cookies}" if given else cookies)
        lines = [f"Host: {place.authority}", *(_field(name, value, place) for name, value in fields.values())]
        if request.validators is not None and request.validators.url == place.text:
            lines += _conditions(request.validators, delta=request.delta)
        lines.append("Connection: close")
        if _is_relayed(place, proxy):
            lines.append("Proxy-Connection:")  # libcurl's own are left out
        if request.method != "GET":
            lines.append("Expect:")
            if "content-type" not in fields:
                lines.append("Content-Type:")
        return [line.encode("latin-1") for line in lines]

    def _late(self, redirect: _RedirectState, *, opened: bool, connected: bool) -> FetchError:
        waited = f"{self._config.timeout_s:g} s" if opened else f"{self._config.connect_s:g} s"
        what = "no complete response" if opened else "no connection"
        return Unreachable(
            f"{redirect.place.host}: {what} after {waited}",
            connected=connected,
            url=redirect.place.text,
            hops=redirect.hops,
        )


@lru_cache(maxsize=64)
def _usual(user_agent: str, accepts: str) -> tuple[bytes, ...]:
    """Return the header lines of a request without any of its own; empty if one of them cannot be set."""
    named = (("User-Agent", user_agent), ("Accept", accepts), ("Accept-Encoding", ENCODINGS))
    lines = [_header_line(name, value) for name, value in named]
    return () if None in lines else tuple(f"{line}".encode("latin-1") for line in (*lines, "Connection: close"))


def _is_relayed(place: ParsedUrl, proxy: Proxy | None) -> bool:
    """Tell whether a proxy is asked for the whole address, not for a connection to it."""
    return proxy is not None and proxy.scheme == place.scheme == "http"


def _pin(place: ParsedUrl, found: Sequence[str]) -> str:
    """Return what a name resolves to, as libcurl takes it; `+`: for a minute."""
    return f"+{place.host}:{place.port}:{','.join(map(_bracketed, found))}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _location(headers: CIMultiDictProxy[str]) -> str:
    """Return where a redirect leads; UTF-8 as many servers write it, or else latin-1."""
    location = headers.get("Location", "")
    return header(headers, "Location") if BROKEN_UTF8.search(location) else location


def _conditions(validators: Validators, *, delta: bool) -> list[str]:
    """Return validators as received: stored as latin-1, so that each character is one byte of the server's."""
    lines = []
    if validators.etag is not None:
        lines.append(f"If-None-Match: {validators.etag}")
        if delta:
            lines.append("A-IM: feed")
    if validators.last_modified is not None:
        lines.append(f"If-Modified-Since: {validators.last_modified}")
    return lines


def _field(name: str, value: str, place: ParsedUrl) -> str:
    """Build a header line. Raises Forbidden."""
    line = _header_line(name, value)
    if line is None:
        raise Forbidden(f"{place.host}: the header {name!r} cannot be set", url=place.text, transient=False)
    return line


def _header_line(name: str, value: str) -> str | None:
    """Build a header line, or None if it cannot be one; what a person typed goes out as UTF-8."""
    if not is_header(name, value):
        return None
    text = value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")
    return f"{name}: {text}" if text.strip() else f"{name};"  # as libcurl wants an empty one
