"""Cookies of one request and its redirects: some servers require the cookie that they have just set.

The jar is made by the first redirect that sets one, and is thrown away with the answer; nothing is kept between polls.
RFC 6265 and its successor's additions (prefixes, public suffixes), within caps.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from aggregator.core.polling.hosts import registrable
from aggregator.core.text.http_dates import http_date
from aggregator.fetch.url import ParsedUrl

MAX_COOKIES = 20
MAX_BYTES = 4096
MAX_BYTES_SENT = 8192
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
DASHED = re.compile(r"(\d\d)-(\w{3})-(\d{2,4})")
VALUE = re.compile(r"[^\x00-\x1f\x7f]*")


class Cookie(NamedTuple):
    """One cookie; `host_only`: `domain` is the one host that gets it."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool

    def suits(self, place: ParsedUrl) -> bool:
        """Tell whether the cookie is sent to this address."""
        if self.secure and place.scheme != "https":
            return False
        host = _unit(place)
        if host != self.domain and (self.host_only or not host.endswith("." + self.domain)):
            return False
        path = place.target.partition("?")[0]
        return path == self.path or path.startswith(self.path if self.path.endswith("/") else self.path + "/")


class Jar:
    """The cookies of one request and its redirects."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def take(self, place: ParsedUrl, lines: Sequence[str], date: str = "") -> None:
        """Store the cookies of an answer's Set-Cookie headers; invalid ones are ignored.

        `date` is the answer's own Date header.
        """
        for line in lines[:MAX_COOKIES]:
            if (found := _read(line, place, date)) is None:
                continue
            cookie, gone = found
            key = cookie.domain, cookie.path, cookie.name
            self._cookies.pop(key, None)
            if not gone and len(self._cookies) < MAX_COOKIES:
                self._cookies[key] = cookie

    def header(self, place: ParsedUrl) -> str:
        """Return the Cookie header for a request to this address (longest path first), or an empty string."""
        suited = sorted((c for c in self._cookies.values() if c.suits(place)), key=lambda cookie: -len(cookie.path))
        text = ""
        for cookie in suited:
            longer = f"{text}; {cookie.name}={cookie.value}" if text else f"{cookie.name}={cookie.value}"
            text = longer if len(longer) <= MAX_BYTES_SENT else text
        return text


def _read(line: str, place: ParsedUrl, date: str) -> tuple[Cookie, bool] | None:
    """Parse a Set-Cookie header; tell whether it deletes the cookie. None if it may not be set here."""
    pair, *rest = line.split(";")
    name, equals, value = (part.strip() for part in pair.partition("="))
    if not equals or not NAME.fullmatch(name) or not VALUE.fullmatch(value) or len(pair) > MAX_BYTES:
        return None
    attributes = {key.strip().lower(): text.strip() for key, _, text in (part.partition("=") for part in rest)}
    secure = "secure" in attributes
    domain = attributes.get("domain", "").lower().removeprefix(".")
    path = attributes.get("path", "")
    if secure and place.scheme != "https":
        return None
    if domain and domain != place.host and not _may_share(domain, place.host):
        return None
    host_only = not domain or registrable(place.host) is None
    lowered = name.lower()
    if lowered.startswith(("__secure-", "__host-")) and not secure:
        return None
    if lowered.startswith("__host-") and (domain or path != "/"):
        return None
    if not path.startswith("/"):
        path = place.target.partition("?")[0].rpartition("/")[0] or "/"
    bound_to = _unit(place) if host_only else domain
    return Cookie(name, value, bound_to, path, host_only, secure), _is_over(attributes, date)


def _unit(place: ParsedUrl) -> str:
    """Return the scope of a cookie: a public host by its name, an address or a private name with its port."""
    return place.host if registrable(place.host) else f"{place.host}:{place.port}"


def _may_share(domain: str, host: str) -> bool:
    """Tell whether a host may set cookies for this domain: a parent, but not above its registrable domain."""
    own_domain = registrable(host) if host.endswith("." + domain) else None
    return own_domain is not None and (domain == own_domain or domain.endswith("." + own_domain))


def _is_over(attributes: dict[str, str], date: str) -> bool:
    """Tell whether the cookie only deletes an earlier one; the server's own `Date` is the reference."""
    age = attributes.get("max-age", "")
    if re.fullmatch(r"-?\d{1,20}", age):
        return int(age) <= 0
    ends, now = http_date(DASHED.sub(r"\1 \2 \3", attributes.get("expires", ""))), http_date(date)
    return ends is not None and ends <= (now or datetime(2000, 1, 1, tzinfo=UTC))
