"""Response headers: validators, freshness, Retry-After, links.

RFC 9110 §8.8 (validators), §10.2.3 (Retry-After); RFC 9111 §4.2, §5.2 (freshness); RFC 8288 (Link).
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from urllib.parse import urljoin

from multidict import CIMultiDict, CIMultiDictProxy

from aggregator.core.model import CacheHints, Validators
from aggregator.core.text import http_dates

MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,10})", re.IGNORECASE)
LINK = re.compile(r"<([^<>]*)>([^<]*)")
REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]+))", re.IGNORECASE)


def read_status(line: bytes) -> tuple[int, str]:
    """Read a status line, which libcurl has found to be one."""
    _, _, rest = line.decode("latin-1").partition(" ")
    code, _, reason = rest.strip().partition(" ")
    return int(code), reason.strip()


def read_fields(lines: Sequence[bytes]) -> CIMultiDict[str]:
    """Read header lines; UTF-8 where it is, other bytes as surrogates."""
    fields: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, colon, value = line.decode("utf-8", "surrogateescape").partition(":")
        if colon:
            fields.add(name.strip(), value.strip(" \t\r\n"))
    return fields


class HasHeaders(Protocol):
    """Something with headers: a Response."""

    def header(self, name: str) -> str:
        """Return the value byte for byte, empty if absent."""
        ...


def header(headers: CIMultiDictProxy[str], name: str) -> str:
    """Return a header's value, each character one byte as received (latin-1); empty if absent."""
    value = headers.get(name, "")
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")


def validators(response: HasHeaders, url: str) -> Validators | None:
    """Return the validators of this response, exactly as written; None if it has none."""
    etag, modified = response.header("ETag"), response.header("Last-Modified")
    if not etag and not modified:
        return None
    return Validators(url=url, etag=etag or None, last_modified=modified or None)


def refreshed(old: Validators, response: HasHeaders) -> Validators | None:
    """Return the pair after a 304: what it names replaces the old (RFC 9111 §4.3.4); None: nothing was named."""
    etag, modified = response.header("ETag"), response.header("Last-Modified")
    if not etag and not modified:
        return None
    return Validators(url=old.url, etag=etag or old.etag, last_modified=modified or old.last_modified)


NO_HINTS = CacheHints()


def hints(response: HasHeaders, now: datetime | None = None) -> CacheHints:
    """Return the caching hints, in seconds. `s-maxage` is for shared caches and ignored.

    Dates are read relative to the response's own Date, else to `now`; without either they say
    nothing.
    """
    control, expires, retry = (
        response.header("Cache-Control"),
        response.header("Expires"),
        response.header("Retry-After"),
    )
    if not control and not expires and not retry:
        return NO_HINTS
    sent_at = http_dates.http_date(response.header("Date")) or now
    found = MAX_AGE.search(control)
    if found:
        age = response.header("Age").strip()
        left_s = float(found[1]) - (float(age) if age.isdigit() and len(age) <= 10 else 0.0)
        return CacheHints(max_age_s=max(0.0, left_s), retry_after_s=http_dates.retry_after_s(retry, sent_at))
    return CacheHints(
        expires_s=http_dates.seconds_until(expires, sent_at), retry_after_s=http_dates.retry_after_s(retry, sent_at)
    )


def links(response: HasHeaders, url: str) -> tuple[tuple[str, str], ...]:
    """Return (relation, absolute URL) of every Link header's target."""
    text = response.header("Link")
    if not text:
        return ()
    found = []
    for target, parameters in LINK.findall(text):
        relations = REL.search(parameters)
        for relation in (relations[1] or relations[2]).lower().split() if relations else ():
            try:
                found.append((relation, urljoin(url, target.strip())))
            except ValueError:
                continue
    return tuple(found)
