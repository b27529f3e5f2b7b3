"""Connecting: names to addresses, addresses past the address policy, sockets to the first that answers."""

import asyncio
import socket
from collections.abc import Sequence
from functools import lru_cache

import aiohappyeyeballs

from aggregator.core.errors import Forbidden
from aggregator.fetch import ssrf
from aggregator.fetch.resolver import ResolverPool
from aggregator.fetch.ssrf import AddressPolicy
from aggregator.fetch.url import ParsedUrl

RESOLVERS = 32
NAME_TTL_S = 60.0
MAX_CACHED_NAMES = 4096
SECOND_ADDRESS_AFTER_S = 0.25

Given = frozenset[ssrf.Entry]
AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


class Dialer:
    """Opens sockets to permitted addresses; resolved names are kept for a minute.

    The policy checks exactly what is dialled: a name that resolves differently the next time
    cannot slip by, because there is no next time between the check and the connection.
    """

    def __init__(self, guard: AddressPolicy) -> None:
        self.guard = guard
        self._names: dict[tuple[str, int], tuple[float, tuple[AddrInfo, ...]]] = {}
        self._resolvers = ResolverPool(RESOLVERS, lambda host, port: _look_up(host, port))

    def close(self) -> None:
        self._resolvers.close()

    async def given_to(self, home: ParsedUrl) -> Given:
        """Return what `http.allow` opens to a feed that is configured at `home`."""
        if not self.guard.all_entries:
            return frozenset()
        try:
            found = _literal(home) or await self._resolve(home.host, home.port)
        except OSError:
            found = ()
        return self.guard.given_to(home.host, home.port, [info[4][0] for info in found])

    async def permitted(self, address: ParsedUrl, given: Given) -> tuple[AddrInfo, ...]:
        """Return the addresses of `address` that may be dialled with what `allow` opens. Raises as `connect`."""
        return self._passed(_literal(address) or await self._resolve(address.host, address.port), address, given)

    async def connect(self, address: ParsedUrl, found: Sequence[AddrInfo]) -> socket.socket:
        """Connect a socket to one of the permitted places of `address`.

        Raises Forbidden, OSError (socket.gaierror if there is no such name).
        """
        sock = await _first(found)
        if self.guard.is_own(address.port) and sock.getsockname()[0] == sock.getpeername()[0]:
            sock.close()
            raise Forbidden(f"{address.host}: this is the service itself", url=address.text, transient=False)
        return sock

    async def trusted(self, address: ParsedUrl) -> socket.socket:
        """Connect a socket to the operator's own proxy, which needs no check. Raises OSError."""
        return await _first(_literal(address) or await self._resolve(address.host, address.port))

    def check_name(self, address: ParsedUrl, given: Given) -> tuple[AddrInfo, ...]:
        """Check what can be checked of an address that a proxy will resolve; return it if numeric. Raises Forbidden."""
        if address.host.rstrip(".").rpartition(".")[2] == "localhost":
            raise Forbidden(f"{address.host}: this is the proxy itself", url=address.text, transient=False)
        literal = _literal(address)
        return self._passed(literal, address, given) if literal else ()

    def _passed(self, found: Sequence[AddrInfo], address: ParsedUrl, given: Given) -> tuple[AddrInfo, ...]:
        refusals = [self.guard.refusal(info[4][0], info[4][1], address.host, given) for info in found]
        passed = tuple(info for info, refusal in zip(found, refusals, strict=True) if refusal is None)
        if not passed:
            raise Forbidden(f"{address.host}: {refusals[0]}", url=address.text, transient=False)
        return passed

    async def _resolve(self, host: str, port: int) -> tuple[AddrInfo, ...]:
        loop = asyncio.get_running_loop()
        until, found = self._names.get((host, port), (0.0, ()))
        if until < loop.time():
            found = tuple(await self._resolvers.ask(host, port))
            if len(self._names) >= MAX_CACHED_NAMES:
                self._names.clear()
            self._names[host, port] = (loop.time() + NAME_TTL_S, found)
        return found


@lru_cache(maxsize=16_384)
def _numeric(host: str) -> str | None:
    """Return the address meant by `127.1`, `0x7f000001`, `::1` …, as the system's own functions read it."""
    try:
        return str(ssrf.parse_ip(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if host[:1].isdigit() else None
    except OSError:
        return None


def _literal(address: ParsedUrl) -> tuple[AddrInfo, ...] | None:
    found = _numeric(address.host)
    if found is None:
        return None
    family = socket.AF_INET6 if ":" in found else socket.AF_INET
    return ((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (found, address.port)),)


def _look_up(host: str, port: int) -> list[AddrInfo]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)  # type: ignore[return-value]


async def _first(found: Sequence[AddrInfo]) -> socket.socket:
    """Connect a socket to the first address that answers (RFC 8305). Raises OSError."""
    if len(found) > 1:
        infos = [(family, kind, proto, name, place) for family, kind, proto, name, place in found]
        return await aiohappyeyeballs.start_connection(infos, happy_eyeballs_delay=SECOND_ADDRESS_AFTER_S)
    family, kind, proto, _, place = found[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock
