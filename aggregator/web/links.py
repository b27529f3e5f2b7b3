"""Addresses that open by themselves: a single feed for readers that know no password."""

import hashlib
import re
import secrets
from urllib.parse import parse_qs, quote, urlencode

from fastapi import Request
from starlette.types import Scope

from aggregator.core.errors import NotFound
from aggregator.core.model import FeedLink
from aggregator.ports.backend import Backend

MAX_TOKEN_CHARS = 200
VIEW = re.compile(r"/feeds/views/[A-Za-z0-9_-]{1,100}\.(atom|csv)")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def site_address(request: Request, backend: Backend) -> str:
    """Return the public address of the site, without a slash at its end."""
    public = backend.current().config.settings.web.public_url
    return (public or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")


def own_feed(backend: Backend, path: str) -> str:
    """Return the path if it is that of a feed that this site offers. Raises NotFound."""
    rules = [f"/feeds/rules/{quote(rule.id, safe='')}.atom" for rule in backend.current().config.rules]
    if path != "/feeds/hits.atom" and path not in rules and not VIEW.fullmatch(path):
        raise NotFound("feed", path, ["/feeds/hits.atom", *rules])
    return path


async def open_by_link(backend: Backend, path: str) -> str:
    """Make a token that opens the feed at `path` (and nothing else); return the path with it.

    The token has 256 bits and is stored as its digest only, so this is the one time that it can be shown.
    """
    token = secrets.token_urlsafe(32)
    await backend.catalog.add_feed_link(FeedLink(path=path, digest=_digest(token), created_at=backend.clock.now()))
    return f"{path}?{urlencode({'token': token})}"


async def links_of(backend: Backend, path: str) -> tuple[FeedLink, ...]:
    """Return what opens the feed at `path`, oldest first."""
    return tuple(link for link in await backend.catalog.feed_links() if link.path == path)


async def opens(backend: Backend, path: str, token: str) -> bool:
    """Tell whether a token opens the feed at `path`."""
    return await backend.catalog.opens_feed(path, _digest(token))


def token_in(scope: Scope) -> str:
    """Return the token in the address of a request that only reads; "" without one."""
    if scope["method"] not in ("GET", "HEAD") or b"token=" not in scope["query_string"]:
        return ""
    values = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20).get("token", [""])
    return values[0] if len(values[0]) <= MAX_TOKEN_CHARS else ""
