"""The operator's proxy: HTTP (CONNECT, RFC 9110 §9.3.6) and SOCKS 5 (RFC 1928, RFC 1929).

The proxy decides what it dials. With `socks5` the target is resolved and checked here first; `http` and
`socks5h` leave names to the proxy (as one must behind a corporate proxy or for Tor), and then only
numeric targets and `localhost` can be checked.
"""

import asyncio
import socket
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from aggregator.core.errors import Forbidden, Unreachable
from aggregator.fetch.url import ParsedUrl

DEFAULT_PORTS = {"http": 8080, "https": 443, "socks5": 1080, "socks5h": 1080}
ANSWER_BYTES = 16_384
SOCKS_ERRORS = {
    1: "general failure",
    2: "not allowed",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time-out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy as configured; `authorization` is the value of a Proxy-Authorization header."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    @property
    def resolves(self) -> bool:
        """Tell whether names are left to the proxy."""
        return self.scheme != "socks5"

    @property
    def address(self) -> ParsedUrl:
        """Return what to dial; its text carries no credentials."""
        place = f"{self.host}:{self.port}"
        return ParsedUrl(f"{self.scheme}://{place}", self.scheme, self.host, self.port, place, "")

    @property
    def authorization(self) -> str | None:
        if not self.user:
            return None
        return "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


def parse_proxy(url: str) -> Proxy:
    """Read `http://[user:password@]host[:port]`, `socks5://…` or `socks5h://…`. Raises Forbidden."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise Forbidden("the proxy URL is not valid", url="proxy", transient=False) from error
    if parts.scheme not in ("http", "socks5", "socks5h") or not parts.hostname:
        wanted = "http://host:port, socks5://host:port or socks5h://host:port"
        raise Forbidden(f"the proxy must be {wanted}", url="proxy", transient=False)
    return Proxy(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


async def tunnel(sock: socket.socket, proxy: Proxy, target: ParsedUrl) -> None:
    """Ask an HTTP proxy for a tunnel to `target`. Raises Unreachable, OSError."""
    lines = [f"CONNECT {_place(target.host, target.port)} HTTP/1.1", f"Host: {_place(target.host, target.port)}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = await loop.sock_recv(sock, 1)  # no byte further: what follows is the tunnel's
        if not data or len(answer) > ANSWER_BYTES:
            raise Unreachable("no response from the proxy", url=target.text)
        answer += data
    status = answer.split(b"\r\n", 1)[0].split(b" ")[1:2]
    if status != [b"200"]:
        shown = status[0].decode("latin-1") if status else "an unreadable response"
        raise Unreachable(f"the proxy refused a tunnel to {target.host} (HTTP {shown})", url=target.text)


async def socks5(sock: socket.socket, proxy: Proxy, host: str, port: int, url: str) -> None:
    """Have a SOCKS proxy connect to `host` (a name or a numeric address). Raises Unreachable, OSError."""
    loop = asyncio.get_running_loop()
    methods = b"\x00\x02" if proxy.user else b"\x00"
    await loop.sock_sendall(sock, b"\x05" + bytes([len(methods)]) + methods)
    version, method = await _exactly(sock, 2, url)
    if version != 5 or method not in methods:
        raise Unreachable("not a SOCKS 5 proxy, or other credentials are required", url=url)
    if method == 2:
        await _log_in(sock, proxy, url)
    await loop.sock_sendall(sock, b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"))
    _, code, _, kind = await _exactly(sock, 4, url)
    if code:
        raise Unreachable(f"the proxy could not connect: {SOCKS_ERRORS.get(code, f'code {code}')}", url=url)
    rest = {1: 4, 4: 16}.get(kind) or (await _exactly(sock, 1, url))[0]
    await _exactly(sock, rest + 2, url)


async def _log_in(sock: socket.socket, proxy: Proxy, url: str) -> None:
    user, password = proxy.user.encode()[:255], proxy.password.encode()[:255]
    message = b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password
    await asyncio.get_running_loop().sock_sendall(sock, message)
    _, status = await _exactly(sock, 2, url)
    if status:
        raise Unreachable("the proxy rejected the credentials", url=url)


async def _exactly(sock: socket.socket, size: int, url: str) -> bytes:
    got = b""
    while len(got) < size:
        data = await asyncio.get_running_loop().sock_recv(sock, size - len(got))
        if not data:
            raise Unreachable("proxy closed the connection", url=url)
        got += data
    return got


def _socks_address(host: str) -> bytes:
    for family, kind in ((socket.AF_INET, b"\x01"), (socket.AF_INET6, b"\x04")):
        try:
            return kind + socket.inet_pton(family, host)
        except OSError:
            continue
    name = host.encode("ascii")
    return b"\x03" + bytes([len(name)]) + name


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
