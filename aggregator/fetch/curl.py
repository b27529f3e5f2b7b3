"""HTTP by libcurl on the event loop: one request to one address, dialled only where it is permitted to.

libcurl does the framing, TLS, HTTP/2, proxies and the race between addresses. Ours is what a guarded fetcher must
decide itself: which sockets are opened, how much is read, and what a body is packed in (`decode`). libcurl's sockets
are in a selector of their own, which the event loop sees as one descriptor: it does nothing for a single request.
"""

import asyncio
import ssl
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from socket import socket
from typing import NamedTuple

import pycurl
from multidict import CIMultiDict, CIMultiDictProxy

from aggregator.core.errors import FetchError, Forbidden, TooLarge, Unreachable
from aggregator.fetch.budget import Budget, Hold
from aggregator.fetch.decode import DecodedBody, format_size
from aggregator.fetch.error_messages import describe_error
from aggregator.fetch.http_headers import read_fields, read_status
from aggregator.fetch.proxy import Proxy
from aggregator.fetch.url import ParsedUrl

HEADERS, INTERIM = 128, 8  # lines of a head, and answers before the final one
SPARE_HANDLES = 64
END_OF_HEAD = (b"\r\n", b"\n")
WATCHED = {pycurl.POLL_IN: EVENT_READ, pycurl.POLL_OUT: EVENT_WRITE, pycurl.POLL_INOUT: EVENT_READ | EVENT_WRITE}
NO_SOCKET: int = pycurl.SOCKET_BAD
PROCEED: int = pycurl.PREREQFUNC_OK
ABORT: int = pycurl.PREREQFUNC_ABORT
PAUSE: int = pycurl.WRITEFUNC_PAUSE
PINNED_S = 2  # at the end of each transfer libcurl looks through all that it pinned; `Resolver` remembers names
NO_HEADERS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
STOP = 0  # of a header or a piece of the body: nothing of it was taken
PROXY_TYPES = {
    "http": pycurl.PROXYTYPE_HTTP,
    "socks5": pycurl.PROXYTYPE_SOCKS5,
    "socks5h": pycurl.PROXYTYPE_SOCKS5_HOSTNAME,
}
# One file is read once; of a folder, files are read for every connection.
AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class Hop(NamedTuple):
    """One request to one address.

    `host` is what libcurl connects to and checks the certificate of, `target` the request target. `permitted` are
    the only addresses that a socket is opened to: the host's, or the proxy's. `pins` are what names resolve to, as
    `host:port:address,…`. `through` is the address that a SOCKS proxy is asked for, not the name. `known`: see Request.
    """

    place: ParsedUrl
    host: str
    target: str
    method: str
    lines: Sequence[bytes]
    body: bytes
    permitted: Collection[str]
    own_ports: Collection[int]
    pins: Sequence[str]
    proxy: Proxy | None
    through: str
    user_agent: str
    verify_tls: bool
    max_body_bytes: int
    connect_s: float
    total_s: float
    known: bytes = b""


class Exchange:
    """A request under way, and its answer."""

    def __init__(self, hop: Hop, budget: Budget, finished: asyncio.Future[None]) -> None:
        self.hop = hop
        self.finished = finished
        self.status = 0
        self.reason = ""
        self.headers = NO_HEADERS
        self.connected = self.opened = self.gave_up = False
        self.held: Hold | None = None
        self.problem: Exception | None = None
        self.handle: pycurl.Curl | None = None
        self._budget = budget
        self._lines: list[bytes] = []
        self._interim = 0
        self._announced: int | None = None
        self._received = 0
        self._body: DecodedBody | None = None
        self._place: asyncio.Task[None] | None = None

    # --- called by libcurl; what they return tells it how to go on -------------------------------------

    def open_socket(self, _: int, address: pycurl.CurlSockAddr) -> socket | int:
        """Open a socket to an address that is about to be dialled, or refuse to."""
        if address.addr[0] not in self.hop.permitted:
            self._refuse(f"{address.addr[0]} is not an address that was checked")
            return NO_SOCKET
        return new_socket(address)

    def before_request(self, peer: str, local: str, peer_port: int, _: int) -> int:
        """Check once more who is at the other end; nothing has been said yet."""
        if peer not in self.hop.permitted:
            self._refuse(f"{peer} is not an address that was checked")
            return ABORT
        if peer_port in self.hop.own_ports and peer == local:
            self._refuse("this is the service itself")
            return ABORT
        self.connected = self.opened = True
        return PROCEED

    def take_header(self, line: bytes) -> int | None:
        """Collect the lines of the answer's head; trailers and the answers of proxies are left out."""
        if self.status or not self.opened:
            return None
        if line not in END_OF_HEAD:
            self._lines.append(line)
            if len(self._lines) <= HEADERS + 1:
                return None
            self.problem = TooLarge(f"{self.hop.place.host}: the response headers are too large", url=self._url)
            return STOP
        status, reason = read_status(self._lines[0])
        if self._lines[0].startswith(b"HTTP/2") and self.hop.place.scheme == "http":  # nobody has agreed on that
            self.problem = self._unreachable("the response is not valid HTTP")
            return STOP
        if status < 200:
            self._interim += 1
            self._lines.clear()
            if status != 101 and self._interim < INTERIM:
                return None
            self.problem = self._unreachable("incomplete response")
            return STOP
        self.status, self.reason = status, reason
        self.headers = CIMultiDictProxy(read_fields(self._lines[1:]))
        self._lines.clear()
        if not 200 <= status < 300:
            return None if status == 304 else STOP  # the status and headers say what there is to know
        try:
            self._expect()
        except FetchError as error:
            self.problem = error
            return STOP
        return STOP if self._announced == 0 else None

    def take_body(self, data: bytes) -> int | None:
        """Take a piece of the body; wait for a place in the budget before it outgrows its share."""
        if self._body is None or self.held is None:
            return STOP
        if self._place is not None and not self._place.done():
            return PAUSE
        self._received += len(data)
        try:
            size = self._body.feed(data)
            if self._received > 2 * self.hop.max_body_bytes:
                raise TooLarge(f"{self.hop.place.host}: framing overhead exceeds the limit", url=self._url)
            if self._announced is not None and self._received > self._announced:
                raise self._unreachable("the response is longer than announced")
        except FetchError as error:
            self.problem = error
            return STOP
        if self.held.needs_place(size):
            self._place = asyncio.get_running_loop().create_task(self._take_place(self.held))
        return STOP if self._received == self._announced else None

    # --------------------------------------------------------------------------------------------------

    async def unpacked(self, deadline: float) -> None:
        """Unpack what waited for the end, with a place if it needs one. Raises TimeoutError, FetchError."""
        if self._body is None or self.held is None:
            return
        await self._place_taken(deadline)
        for size in self._body.end():
            if self.held.needs_place(size):
                self._place = asyncio.get_running_loop().create_task(self._take_place(self.held))
                await self._place_taken(deadline)

    async def _place_taken(self, deadline: float) -> None:
        """Wait for the place of a document that came whole before it had one. Raises TimeoutError."""
        if self._place is not None and not self._place.done():
            async with asyncio.timeout_at(deadline):
                await self._place

    def document(self) -> bytes:
        """Return the decoded body of an answer that has ended. Raises TooLarge, Unreachable."""
        if self._body is None or self.held is None:
            return b""
        if self._announced is not None and self._received < self._announced:
            raise self._unreachable("incomplete response")
        if self.gave_up:
            raise self.given_up()
        body = self._body.finish()
        self.held.complete()
        return body

    def drop(self) -> None:
        """Drop what was received, and the place that it took."""
        if self._body is not None:
            self._body.discard()
        if self._place is not None:
            self._place.cancel()
        if self.held is not None:
            self.held.release()

    def given_up(self) -> FetchError:
        """Return the error for a download that others did not wait for."""
        return self._unreachable("aborted a large, slow download because other feeds were waiting")

    @property
    def packed(self) -> tuple[bytes, bool]:
        """Return the digest of a packed body as it came, and whether it is the known one, which was not unpacked."""
        return (self._body.digest, self._body.unchanged) if self._body is not None else (b"", False)

    @property
    def is_complete(self) -> bool:
        """Tell whether all that is wanted has arrived, whatever libcurl makes of the end."""
        if self.problem is not None or self.gave_up or not self.status:
            return False
        return self._body is None or (self._announced is not None and self._received >= self._announced)

    @property
    def _url(self) -> str:
        return self.hop.place.text

    def _unreachable(self, words: str) -> FetchError:
        return Unreachable(f"{self.hop.place.host}: {words}", connected=True, url=self._url)

    def _refuse(self, words: str) -> None:
        self.problem = Forbidden(f"{self.hop.place.host}: {words}", url=self._url, transient=False)

    def _expect(self) -> None:
        """Prepare for the body. Raises TooLarge, Unreachable for two lengths or none that can be one."""
        lengths = {one.strip() for line in self.headers.getall("Content-Length", ()) for one in line.split(",")}
        chunked = "Transfer-Encoding" in self.headers
        if lengths:
            (length,) = lengths if len(lengths) == 1 else ("",)
            if not (length.isascii() and length.isdigit()) or (
                chunked and "chunked" in self.headers["Transfer-Encoding"].lower()
            ):
                raise self._unreachable("the response is not valid HTTP")
            self._announced = int(length[:20])
        most = self.hop.max_body_bytes
        host, known = self.hop.place.host, self.hop.known
        if self._announced is not None and self._announced > most:
            raise TooLarge(f"{host}: the document is larger than {format_size(most)}", url=self._url)
        encoding = ",".join(self.headers.getall("Content-Encoding", ()))
        self._body = DecodedBody(encoding, max_bytes=most, host=host, url=self._url, known=known)
        self.held = self._budget.hold(self._give_up)

    async def _take_place(self, held: Hold) -> None:
        await held.take_place()
        if self.handle is not None:
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if self.handle is None or self.finished.done():
            return
        try:
            self.handle.pause(pycurl.PAUSE_CONT)
        except pycurl.error:  # the piece that had to wait was refused, or the last one
            if not self.is_complete and self.problem is None:
                self.problem = self._unreachable("incomplete response")
            self.finished.set_result(None)

    def _give_up(self) -> None:
        self.gave_up = True
        if not self.finished.done():
            self.finished.set_result(None)


class CurlClient:
    """libcurl's multi interface on the running event loop."""

    def __init__(self, authorities: Path | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self._authorities = authorities
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._sockets = DefaultSelector()
        self._watched: set[int] = set()
        self._timer: asyncio.Handle | None = None
        self._running: dict[pycurl.Curl, Exchange] = {}
        self._spare: list[pycurl.Curl] = []
        self.loop.add_reader(self._sockets.fileno(), self._proceed)

    def close(self) -> None:
        """Break off what is under way."""
        self.loop.remove_reader(self._sockets.fileno())
        for handle, exchange in list(self._running.items()):
            self._remove(handle, exchange)
            exchange.finished.cancel()
        self._set_timer(-1)
        self._multi.close()
        self._sockets.close()

    async def perform(self, exchange: Exchange) -> None:
        """Send the request, and wait until the answer has come. Raises FetchError, TimeoutError."""
        handle = self._spare.pop() if self._spare else pycurl.Curl()
        self._configure(handle, exchange)
        exchange.handle = handle
        self._running[handle] = exchange
        self._multi.add_handle(handle)
        try:
            await exchange.finished
        finally:
            self._remove(handle, exchange)
        if exchange.problem is not None:
            raise exchange.problem
        if exchange.gave_up:
            raise exchange.given_up()

    def _remove(self, handle: pycurl.Curl, exchange: Exchange) -> None:
        if self._running.pop(handle, None) is None:
            return
        self._multi.remove_handle(handle)
        exchange.handle = None
        if len(self._spare) < SPARE_HANDLES:
            handle.reset()  # options of one request, credentials above all, are not those of another
            self._spare.append(handle)

    def _configure(self, handle: pycurl.Curl, exchange: Exchange) -> None:
        hop, setopt = exchange.hop, handle.setopt
        place, proxy = hop.place, hop.proxy
        host = f"[{hop.host}]" if ":" in hop.host else hop.host
        # The path is no part of it, so there is nothing in it that two parsers could read differently.
        setopt(pycurl.URL, f"{place.scheme}://{host}:{place.port}/")
        setopt(pycurl.REQUEST_TARGET, hop.target)
        setopt(pycurl.HTTPHEADER, hop.lines)
        setopt(pycurl.OPENSOCKETFUNCTION, exchange.open_socket)
        setopt(pycurl.PREREQFUNCTION, exchange.before_request)
        setopt(pycurl.HEADERFUNCTION, exchange.take_header)
        setopt(pycurl.WRITEFUNCTION, exchange.take_body)
        setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        setopt(pycurl.NOSIGNAL, 1)
        setopt(pycurl.FRESH_CONNECT, 1)  # a connection that was opened for one feed serves no other
        setopt(pycurl.FORBID_REUSE, 1)
        setopt(pycurl.HTTP_CONTENT_DECODING, 0)
        setopt(pycurl.IGNORE_CONTENT_LENGTH, 1)  # checked by `Exchange`, which notices when more comes
        setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(hop.connect_s * 1000)))
        setopt(pycurl.TIMEOUT_MS, max(1, int(hop.total_s * 1000)))
        setopt(pycurl.PROXY, f"{proxy.scheme}://{proxy.address.authority}" if proxy else "")  # never the environment's
        setopt(pycurl.NOPROXY, "")
        setopt(pycurl.DNS_CACHE_TIMEOUT, PINNED_S if hop.pins else 0)
        if hop.method != "GET":
            setopt(pycurl.POSTFIELDS, hop.body)
            setopt(pycurl.CUSTOMREQUEST, hop.method)
        if hop.pins:
            setopt(pycurl.RESOLVE, hop.pins)
        if place.scheme == "https":
            self._configure_tls(handle, verify=hop.verify_tls)
        if proxy is not None:
            setopt(pycurl.PROXYTYPE, PROXY_TYPES[proxy.scheme])
            setopt(pycurl.USERAGENT, hop.user_agent)  # what the proxy sees when it is asked for a tunnel
            if proxy.user:
                setopt(pycurl.PROXYAUTH, pycurl.HTTPAUTH_BASIC)
                setopt(pycurl.PROXYUSERNAME, proxy.user)
                setopt(pycurl.PROXYPASSWORD, proxy.password)
            if hop.through:
                setopt(pycurl.CONNECT_TO, [f"::{hop.through}:{place.port}"])

    def _configure_tls(self, handle: pycurl.Curl, *, verify: bool) -> None:
        handle.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        if not verify:
            handle.setopt(pycurl.SSL_VERIFYPEER, 0)
            handle.setopt(pycurl.SSL_VERIFYHOST, 0)
            return
        path = self._authorities or _authorities()
        if path is not None:
            handle.setopt(pycurl.CAPATH if path.is_dir() else pycurl.CAINFO, str(path))

    # --- libcurl's sockets and timer ------------------------------------------------------------------

    def _watch(self, wanted: int, fd: int, _: object, __: object) -> None:
        if wanted == pycurl.POLL_REMOVE:
            if fd in self._watched:
                self._watched.remove(fd)
                self._sockets.unregister(fd)
            return
        (self._sockets.modify if fd in self._watched else self._sockets.register)(fd, WATCHED[wanted])
        self._watched.add(fd)

    def _set_timer(self, wait_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if wait_ms < 0:
            self._timer = None
        elif wait_ms == 0:
            self._timer = self.loop.call_soon(self._time_out)
        else:
            self._timer = self.loop.call_later(wait_ms / 1000, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _proceed(self) -> None:
        """Go on with the requests whose sockets are ready."""
        act = self._multi.socket_action
        for key, events in self._sockets.select(0):
            act(key.fd, events)  # EVENT_READ and EVENT_WRITE are libcurl's CSELECT_IN and CSELECT_OUT
        self._collect()

    def _collect(self) -> None:
        """Settle the requests that have ended."""
        left = 1
        while left:
            left, ended, failed = self._multi.info_read()
            for handle in ended:
                self._settle(handle)
            for handle, code, message in failed:
                self._settle(handle, code, message)

    def _settle(self, handle: pycurl.Curl, code: int = 0, message: str = "") -> None:
        exchange = self._running[handle]
        exchange.connected = exchange.connected or handle.getinfo(pycurl.CONNECT_TIME) > 0
        if exchange.problem is None and not exchange.is_complete and (code or not exchange.status):
            place, code = exchange.hop.place, code or pycurl.E_GOT_NOTHING
            exchange.problem = describe_error(
                handle, code, message, host=place.host, url=place.text, connected=exchange.connected
            )
        if not exchange.finished.done():
            exchange.finished.set_result(None)


class Socket(socket):
    """A socket of which pycurl makes a copy at once: this one ends with its last reference."""

    def __del__(self) -> None:
        self.close()


def new_socket(address: pycurl.CurlSockAddr) -> socket:
    """Open a socket for an address, which libcurl will connect it to."""
    return Socket(address.family, address.socktype, address.protocol)


@cache
def _authorities() -> Path | None:
    """Return the file or folder of the authorities that this machine trusts, as Python's own TLS finds it."""
    named = ssl.get_default_verify_paths()
    for path in map(Path, filter(None, (named.cafile, *AUTHORITIES, named.capath))):
        if path.exists():
            return path
    return None
