"""Allowed names of the site, and the requests that come from its own pages.

A name that is not on the list is refused, so that a foreign name that resolves to this machine
(DNS rebinding) reaches nothing. An address instead of a name cannot be rebound and is let through.
"""

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from aggregator.core.errors import AggregatorError
from aggregator.core.text.urls import is_ip_address

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def split_listen(listen: str, setting: str = "settings.web.listen") -> tuple[str, int]:
    """Split `127.0.0.1:8080`, `[::1]:8080`, `:8080` (every address) or `8080` (loopback) into host and port."""
    host, colon, port = listen.rpartition(":")
    if not colon:
        host, port = "127.0.0.1", listen
    if not port.isdigit() or int(port) > 65535:
        raise AggregatorError(f"{setting}: {listen!r} is not an address; write for example 127.0.0.1:8080")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - a bare `:port` means every address


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_of(authority: str) -> str | None:
    """Return the lower-case host of a `Host` header; None if it is not one."""
    if not authority or any(c in authority for c in "/\\@?# \t,"):
        return None
    try:
        parts = urlsplit(f"//{authority}")
        host = parts.hostname
        parts.port  # noqa: B018 - raises where the port is not a number
    except ValueError:
        return None
    return host.rstrip(".") or None if host else None


def is_allowed_host(authority: str, listen: str, public_url: str | None = None) -> bool:
    """Tell whether this `Host` header names us."""
    host = host_of(authority)
    if host is None:
        return False
    bound, _ = split_listen(listen)
    public = urlsplit(public_url).hostname if public_url else None
    if host in LOCAL or host == public or host == bound.lower():
        return True
    return not is_loopback(bound) and (is_ip_address(host) or host == socket.gethostname().lower())


def is_same_origin(origin: str, authority: str, scheme: str, public_url: str | None = None) -> bool:
    """Tell whether an `Origin` header is the site's own."""
    own_origins = {f"{scheme}://{authority}".lower()}
    if public_url:
        public = urlsplit(public_url)
        own_origins.add(f"{public.scheme}://{public.netloc}".lower())
    return origin.lower() in own_origins


def is_same_site_form(
    *,
    fetch_site: str | None,
    origin: str | None,
    has_cookie: bool,
    authority: str,
    scheme: str,
    public_url: str | None = None,
) -> bool:
    """Tell whether a request that changes something was made by our own page or by a program.

    Browsers say where a request comes from (Sec-Fetch-Site, else Origin); a program says nothing,
    and is believed only if no cookie speaks for it.
    """
    if fetch_site is not None:
        return fetch_site in ("same-origin", "none")
    if origin is not None:
        return is_same_origin(origin, authority, scheme, public_url)
    return not has_cookie


def safe_next(target: str | None) -> str:
    """Return `target` if it is a path of this site, else `/`."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    if any(ord(c) < 0x21 or c == "\\" or ord(c) == 0x7F for c in target):
        return "/"
    parts = urlsplit(target)
    return target if not parts.scheme and not parts.netloc else "/"


def next_or_none(target: str) -> str:
    """Return where a form leads back to; empty if it names no page."""
    return safe_next(target) if target else ""
