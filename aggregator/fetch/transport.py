"""The transport of every outgoing request: checked, bounded, and honest about who asks.

By hand, because each is a rule of its own: redirects (each hop is checked and dialled anew, and
loses what belongs to another origin), decompression (under caps), deadlines (one for everything).
Never sent: Referer, a second try, cookies but those that the very same chain of redirects set.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from aiohttp import ClientError
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDictProxy

from aggregator.core.errors import BadStatus, FetchError, Forbidden, TooLarge, Unreachable
from aggregator.core.model import Validators
from aggregator.fetch import proxy as proxies
from aggregator.fetch import url as addresses
from aggregator.fetch.budget import Budget, Hold
from aggregator.fetch.connection import HttpConnection, header, read_all
from aggregator.fetch.cookies import Jar
from aggregator.fetch.decode import DecodedBody, format_size
from aggregator.fetch.dialer import AddrInfo, Dialer, Given
from aggregator.fetch.error_messages import describe_error as error_in_words
from aggregator.fetch.proxy import Proxy
from aggregator.fetch.ssrf import AddressPolicy, is_public
from aggregator.fetch.url import ParsedUrl

MAX_HOPS = 5
DEFAULT_CONCURRENCY = 128
HEAD_BYTES = 256 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
KEEP_METHOD = frozenset({307, 308})
ENCODINGS = "gzip, br"
OURS = frozenset({"host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "expect"})
FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
BROKEN_UTF8 = re.compile("[\ud800-\udfff]")
LINE_BREAK = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request.

    `home` is the configured address of the feed that asks; default: `url`, which a person named.
    `private` headers (credentials, keys) go only to its origin, and to nobody once another origin was
    passed. What `http.allow` opens is open to a request only if it covers `home` as well, and no
    more once a public address was passed; `inside`: False if there is no such feed. `validators`
    go only to the URL that gave them. `accepts` is the Accept header. `delta`: offer to take only
    what is new (RFC 3229), with an ETag to compare with.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A complete answer. `hops` are (status, URL that answered with it); `url` gave this answer.

    The body is read only of a 2xx; of others the status and headers say what there is to know.
    """

    url: str
    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    body: bytes = b""
    hops: tuple[tuple[int, str], ...] = ()
    elapsed_s: float = 0.0
    held: Hold | None = None

    def header(self, name: str) -> str:
        """Return a header's value byte for byte (as latin-1), or an empty string."""
        return header(self.headers, name)


class _RedirectState:
    """The progress of a request through its redirects, and the context for its errors."""

    __slots__ = ("connected", "given", "home", "hops", "jar", "opened", "place", "private_ok", "visited")

    def __init__(self, place: ParsedUrl, home: ParsedUrl, given: Given | None) -> None:
        self.place = place
        self.home = home
        self.given = given  # None: not looked up yet
        self.hops: tuple[tuple[int, str], ...] = ()
        self.connected = self.opened = False
        self.private_ok = place.origin == home.origin
        self.jar: Jar | None = None
        self.visited = {(place.text, "")}

    @property
    def cookies(self) -> str:
        """Return the Cookie header for the current address, from what was set on the way."""
        return self.jar.header(self.place) if self.jar is not None else ""

    def pass_by(self, found: Sequence[AddrInfo]) -> None:
        """Record where the address leads: after a public one, or a name left to a proxy, no private one is open."""
        if not found or any(is_public(info[4][0]) for info in found):
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
            self.jar = self.jar or Jar()
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
        self.connected = self.opened = False


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
    """Sends requests. Raises Unreachable, BadStatus (about redirects), TooLarge, Forbidden."""

    def __init__(
        self, config: TransportConfig, *, verified: ssl.SSLContext | None = None, budget: Budget | None = None
    ) -> None:
        self._config = config
        self._dialer = Dialer(config.policy)
        self.budget = budget or Budget(DEFAULT_CONCURRENCY, config.max_body_bytes)
        self._verified = verified
        self._unverified: ssl.SSLContext | None = None

    def reconfigure(self, config: TransportConfig, concurrency: int = DEFAULT_CONCURRENCY) -> None:
        """Apply other settings; requests under way may end with the old ones."""
        self.budget.reconfigure(concurrency, config.max_body_bytes)
        self._config = config
        self._dialer.guard = config.policy

    def close(self) -> None:
        self._dialer.close()

    async def check_allowed(self, url: str) -> None:
        """Check that a request to this address would be permitted. Raises Forbidden.

        A name that cannot be looked up now passes: it is checked again whenever it is dialled.
        """
        place = addresses.parse_url(url)
        with suppress(OSError):  # time-outs too
            async with asyncio.timeout(self._config.connect_s):
                given = await self._dialer.given_to(place)
                if self._config.proxy is not None:
                    self._dialer.check_name(place, given)
                else:
                    await self._dialer.permitted(place, given)

    async def request(self, request: Request) -> Response:
        """Return the final answer, whatever its status, after at most five redirects."""
        place = addresses.parse_url(request.url)
        home = addresses.parse_url(request.home) if request.home else place
        redirect = _RedirectState(place, home, None if request.inside else frozenset())
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(started + self._config.connect_s) as clock:
                while True:
                    response = await self._visit(request, redirect, clock, started)
                    if response is not None:
                        return response
        except TimeoutError as error:
            raise self._late(redirect) from error
        except FetchError as error:
            error.hops = error.hops or redirect.hops
            raise
        except (ClientError, HttpProcessingError, OSError, ValueError) as error:  # ValueError: of codecs, TLS, sockets
            raise error_in_words(
                error,
                host=redirect.place.host,
                url=redirect.place.text,
                connected=redirect.connected,
                hops=redirect.hops,
            ) from error

    async def _visit(
        self, request: Request, redirect: _RedirectState, clock: asyncio.Timeout, started: float
    ) -> Response | None:
        """Ask one address; return None if it redirected to another."""
        loop = asyncio.get_running_loop()
        deadline = started + self._config.timeout_s
        exchange = await self._open(request, redirect)
        transport = exchange.transport
        try:
            redirect.opened = True
            clock.reschedule(deadline)
            head, stream = await exchange.answer()
            if head.code in REDIRECTS and (request.method == "GET" or head.code in KEEP_METHOD):
                redirect.follow_redirect(head.code, head.headers)
                clock.reschedule(min(deadline, loop.time() + self._config.connect_s))
                return None
            body, held = b"", None
            if 200 <= head.code < 300:
                ingestor = self._ingestor(request, redirect, head.headers)
                held = self.budget.hold(partial(_give_up, exchange))
                try:
                    await read_all(stream, ingestor.feed, held)
                    if exchange.gave_up:
                        raise _given_up(redirect)
                    body = ingestor.finish()
                except BaseException:
                    ingestor.discard()  # the error keeps these frames for as long as somebody keeps the error
                    held.release()
                    raise
                held.complete()
        except ClientError as error:
            if exchange.gave_up:
                raise _given_up(redirect) from error
            if exchange.overran:
                raise TooLarge(
                    f"{redirect.place.host}: framing overhead exceeds the limit", url=redirect.place.text
                ) from error
            raise
        finally:
            if transport is not None:
                transport.abort()
        return Response(
            url=redirect.place.text,
            status=head.code,
            reason=head.reason or "",
            headers=head.headers,
            body=body,
            hops=redirect.hops,
            elapsed_s=loop.time() - started,
            held=held,
        )

    async def _open(self, request: Request, redirect: _RedirectState) -> HttpConnection:
        """Dial, through the proxy if there is one, shake hands, and send the request."""
        place, proxy = redirect.place, request.proxy or self._config.proxy
        message = self._message(request, redirect, proxy)
        loop = asyncio.get_running_loop()

        def exchange() -> HttpConnection:
            return HttpConnection(loop, message, most_bytes=2 * self._most_bytes(request) + HEAD_BYTES)

        tls = self._tls(verify=request.verify_tls) if place.scheme == "https" else None
        sock = await (self._through(proxy, redirect) if proxy else self._direct(redirect))
        redirect.connected = True
        try:
            _, protocol = await loop.create_connection(
                exchange, sock=sock, ssl=tls, server_hostname=place.host if tls else None
            )
        except BaseException:
            sock.close()
            raise
        return protocol

    async def _direct(self, redirect: _RedirectState) -> socket.socket:
        found = await self._dialer.permitted(redirect.place, await self._given(redirect))
        redirect.pass_by(found)
        return await self._dialer.connect(redirect.place, found)

    async def _given(self, redirect: _RedirectState) -> Given:
        """Return what `http.allow` opens to this request."""
        if redirect.given is None:
            redirect.given = await self._dialer.given_to(redirect.home)
        return redirect.given

    async def _through(self, proxy: Proxy, redirect: _RedirectState) -> socket.socket:
        """Connect a socket through the proxy (or to the proxy, for a relayed request)."""
        place, given = redirect.place, await self._given(redirect)
        if proxy.resolves:
            found = self._dialer.check_name(place, given)
            host = place.host
        else:
            found = await self._dialer.permitted(place, given)
            host = found[0][4][0]
        redirect.pass_by(found)
        sock = await self._dialer.trusted(proxy.address)
        try:
            if proxy.scheme != "http":
                await proxies.socks5(sock, proxy, host, place.port, place.text)
            elif place.scheme == "https":
                await proxies.tunnel(sock, proxy, place)
        except BaseException:
            sock.close()
            raise
        return sock

    def _message(self, request: Request, redirect: _RedirectState, proxy: Proxy | None) -> bytes:
        """Build the request's bytes for this hop; a plain request through an HTTP proxy names the whole address."""
        place = redirect.place
        relayed = proxy if proxy is not None and proxy.scheme == place.scheme == "http" else None
        target = f"http://{place.authority}{place.target}" if relayed else place.target
        fields = {
            "user-agent": ("User-Agent", request.user_agent or self._config.user_agent),
            "accept": ("Accept", request.accepts),
            "accept-encoding": ("Accept-Encoding", ENCODINGS),
        }
        for own in (request.headers, request.private if redirect.private_ok else {}):
            fields.update({name.lower(): (name, value) for name, value in own.items()})
        if cookies := redirect.cookies:
            _, given = fields.get("cookie", ("Cookie", ""))
            fields["cookie"] = ("Cookie", f"{given}; {cookies}" if given else cookies)
        if relayed and relayed.authorization:
            fields["proxy-authorization"] = ("Proxy-Authorization", relayed.authorization)
        lines = [f"{request.method} {target} HTTP/1.1", f"Host: {place.authority}"]
        lines += [_field(name, value, place) for name, value in fields.values()]
        if request.validators is not None and request.validators.url == place.text:
            lines += _conditions(request.validators, delta=request.delta)
        if request.method != "GET":
            lines.append(f"Content-Length: {len(request.body)}")
        lines.append("Connection: close\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1") + request.body

    def _most_bytes(self, request: Request) -> int:
        return request.max_body_bytes or self._config.max_body_bytes

    def _ingestor(self, request: Request, redirect: _RedirectState, headers: CIMultiDictProxy[str]) -> DecodedBody:
        most = self._most_bytes(request)
        announced = headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) > most:
            raise TooLarge(
                f"{redirect.place.host}: the document is larger than {format_size(most)}", url=redirect.place.text
            )
        encoding = ",".join(headers.getall("Content-Encoding", ()))
        return DecodedBody(encoding, max_bytes=most, host=redirect.place.host, url=redirect.place.text)

    def _tls(self, *, verify: bool) -> ssl.SSLContext:
        """Return a prebuilt context: loading the authorities costs as much as a hundred requests."""
        if verify:
            if self._verified is None:
                self._verified = ssl.create_default_context()
            return self._verified
        if self._unverified is None:
            self._unverified = ssl.create_default_context()
            self._unverified.check_hostname = False
            self._unverified.verify_mode = ssl.CERT_NONE
        return self._unverified

    def _late(self, redirect: _RedirectState) -> FetchError:
        waited = f"{self._config.timeout_s:g} s" if redirect.opened else f"{self._config.connect_s:g} s"
        what = "no complete response" if redirect.opened else "no connection"
        return Unreachable(
            f"{redirect.place.host}: {what} after {waited}",
            connected=redirect.connected,
            url=redirect.place.text,
            hops=redirect.hops,
        )


def _given_up(redirect: _RedirectState) -> FetchError:
    return Unreachable(
        f"{redirect.place.host}: aborted a large, slow download because other feeds were waiting",
        connected=True,
        url=redirect.place.text,
        hops=redirect.hops,
    )


def _give_up(exchange: HttpConnection) -> None:
    """Break off an answer; its reader sees a cut connection."""
    exchange.gave_up = True
    if exchange.transport is not None:
        exchange.transport.abort()


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
    """Build a header line; what a person typed goes out as UTF-8. Raises Forbidden."""
    if name.lower() in OURS or not FIELD_NAME.fullmatch(name) or LINE_BREAK.search(value):
        raise Forbidden(f"{place.host}: the header {name!r} cannot be set", url=place.text, transient=False)
    text = value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")
    return f"{name}: {text}"
