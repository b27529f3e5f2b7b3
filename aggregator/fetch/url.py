"""The only parser of web addresses. What two parsers could read differently is refused."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from yarl import URL

from aggregator.core.errors import Forbidden
from aggregator.core.text.urls import DEFAULT_PORTS, host_error, split_plain

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
AUTHORITY = re.compile(r"[A-Za-z]+://([^/?#]*)")
UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
CLEAN = re.compile(r"[!$-;=?-Z\[\]_a-z~]*")


class ParsedUrl(NamedTuple):
    """A web address, ready to be dialled and asked for; everything is ASCII.

    `text` is the address as it was given, stripped and without its fragment.
    """

    text: str
    scheme: str
    host: str
    port: int
    authority: str
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Return what credentials are bound to (RFC 6454)."""
        return (self.scheme, self.host, self.port)


@lru_cache(maxsize=16_384)
def parse_url(text: str) -> ParsedUrl:
    """Read an absolute http or https address. Raises Forbidden."""
    if plain := split_plain(text):
        shown = plain.host if plain.port == DEFAULT_PORTS[plain.scheme] else f"{plain.host}:{plain.port}"
        return ParsedUrl(text, plain.scheme, plain.host, plain.port, shown, plain.target)
    text = text.strip().partition("#")[0]
    scheme = SCHEME.match(text)
    if scheme is None or scheme[1].lower() not in DEFAULT_PORTS:
        named = f"{scheme[1]}: is not" if scheme else "a URL without a scheme is not"
        raise Forbidden(f"{named} supported; use http or https", url=text, transient=False)
    authority = AUTHORITY.match(text)
    if authority is None or not authority[1]:
        raise Forbidden("the URL has no host; write for example https://example.org/feed", url=text, transient=False)
    if "@" in authority[1]:
        raise Forbidden("a URL must not contain credentials; use `auth`", url=_bare(text), transient=False)
    if "\\" in authority[1] or UNPRINTABLE.search(authority[1]):
        raise Forbidden("invalid character in host name", url=text, transient=False)
    return _address(text)


def join_url(base: ParsedUrl, location: str) -> ParsedUrl:
    """Return where a `Location` seen at `base` leads (RFC 3986 §5). Raises Forbidden, naming who redirected."""
    try:
        return parse_url(urljoin(base.text, location.strip()))
    except ValueError as error:
        raise Forbidden(f"{base.host}: invalid redirect target: {error}", url=base.text, transient=False) from error
    except Forbidden as error:
        raise Forbidden(f"{base.host}: redirect to {_shown(location)}: {error}", url=base.text) from error


def _address(text: str) -> ParsedUrl:
    try:
        url = URL(text, encoded=CLEAN.fullmatch(text) is not None)
        host, port = url.raw_host, url.port
        if urlsplit(text).port != url.explicit_port:
            raise ValueError("its port is ambiguous")
    except ValueError as error:  # UnicodeError, too
        raise Forbidden(f"not a web address: {_shown(str(error))}", url=text, transient=False) from error
    if not host or not port or not host.isascii():
        raise Forbidden("the URL has no host; write for example https://example.org/feed", url=text, transient=False)
    if "[" in text.split("/", 3)[2] and ":" not in host:
        raise Forbidden("not a web address: only IPv6 addresses go in brackets", url=text, transient=False)
    if wrong := host_error(host):
        raise Forbidden(f"not a web address: {wrong}", url=text, transient=False)
    scheme, host = url.scheme.lower(), host.lower()
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == DEFAULT_PORTS[scheme] else f"{shown}:{port}"
    target = url.raw_path_qs if url.raw_path_qs.startswith("/") else f"/{url.raw_path_qs}"
    return ParsedUrl(text, scheme, host, port, authority, target)


def _shown(text: str) -> str:
    """Shorten untrusted words for an error, without anything that does not print."""
    printable = "".join(char if char.isprintable() else "\ufffd" for char in _bare(text))
    return printable if len(printable) <= 100 else f"{printable[:99]}…"


def _bare(text: str) -> str:
    """Strip the credentials from an address, for messages."""
    return re.sub(r"//[^/?#]*@", "//", text)
