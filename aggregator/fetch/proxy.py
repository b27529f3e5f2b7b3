"""The operator's proxy: HTTP (CONNECT, RFC 9110 §9.3.6) and SOCKS 5 (RFC 1928, RFC 1929).

The proxy decides what it dials. With `socks5` the target is resolved and checked here first; `http` and
`socks5h` leave names to the proxy (as one must behind a corporate proxy or for Tor), and then only
numeric targets and `localhost` can be checked.
"""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from aggregator.core.errors import Forbidden
from aggregator.fetch.url import ParsedUrl

DEFAULT_PORTS = {"http": 8080, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy as configured."""

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
