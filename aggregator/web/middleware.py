"""The security middleware in front of every route: host, headers, origin, credentials. Deny by default.

A route is open only if OPEN names it; routes that are added later are closed until listed there.
"""

import base64
import binascii
import logging
from dataclasses import dataclass
from functools import partial
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from markupsafe import escape
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aggregator.core.settings import Web
from aggregator.ports import Clock
from aggregator.ports.backend import Backend
from aggregator.web import links
from aggregator.web.auth import Authenticator, Guesses, Sessions
from aggregator.web.language import LANGUAGE_COOKIE, Language, gettext, negotiate, speaking
from aggregator.web.origins import (
    SAFE_METHODS,
    is_allowed_host,
    is_loopback,
    is_same_site_form,
    safe_next,
    split_listen,
)
from aggregator.web.transfer import came_from_another_site

log = logging.getLogger(__name__)

COOKIE = "aggregator_session"
PUBLIC_PATHS = frozenset({("GET", "/login"), ("POST", "/login"), ("GET", "/healthz"), ("GET", "/readyz")})
PROBES = ("/healthz", "/readyz")  # say nothing but whether the service lives
STATIC = "/static/"
ACTS = "/act/"  # links in alerts: their signature is the credential
HUBS = "/websub/"  # hubs show no credentials; what they bring is judged by its signature
FEEDS_OUT = (".atom", ".opml", ".csv")  # for programs that can show a token by HTTP Basic, or in the address, only
# What costs processor time, or a place in front of the stream: no foreign page may ask for it (an <img> would do).
EXPENSIVE = ("/search", "/rules/edit", "/api/v1/", "/feeds.opml")
MAX_BODY_BYTES = 4 * 2**20
TOO_LARGE = f"The body is larger than {MAX_BODY_BYTES // 2**20} MB."
UNKNOWN_NAME = "Unknown host name; set settings.web.public_url to the URL that others use."
METHODS = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """The way a request was let in: "open" (nothing asked), "session", "token" (Bearer), "reader" (Basic), "link" (a
    token in the address of a single feed), "stranger".

    Only a Bearer token is never sent by a browser on its own.
    """

    method: str

    @property
    def is_authenticated(self) -> bool:
        return self.method != "stranger"


class SecurityMiddleware:
    """ASGI middleware; `scope["identity"]` tells the routes how the request was authenticated.

    `scope["is_still_allowed"]()` tells those that answer without end whether it still would be.

    `listen` is that of the start: a reload cannot move the socket. Raises AggregatorError if
    others could reach a site without credentials.
    """

    def __init__(
        self, app: ASGIApp, *, backend: Backend, listen: str, authenticator: Authenticator, sessions: Sessions
    ) -> None:
        self._app = app
        self._backend = backend
        self._authenticator = authenticator
        self._sessions = sessions
        self._guesses = Guesses()
        self._listen = listen
        authenticator.require_for(self._listen)

    @property
    def _web(self) -> Web:
        return self._backend.current().config.settings.web

    @property
    def _clock(self) -> Clock:
        return self._backend.clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websocket route exists
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        identity = self._recognise(scope, headers)
        if not identity.is_authenticated and await self._opened_by_link(scope):
            identity = Identity("link")
        if not identity.is_authenticated and (_shown_token(scope, headers) or links.token_in(scope)):
            await self._wrong_token(scope)
        scope["identity"] = identity
        scope["is_still_allowed"] = partial(self._is_still_allowed, scope, headers)
        with speaking(_language(scope, headers)):
            target = self._refusal(scope, headers, identity) or self._app
            await target(scope, receive, _dressed(send, scope))

    def _is_still_allowed(self, scope: Scope, headers: Headers) -> bool:
        """Tell whether an answer that goes on may do so: logins end, credentials change. It is no use of a session."""
        if self._authenticator.weak_for(self._listen):
            return False
        return self._recognise(scope, headers, used=False).is_authenticated

    def _recognise(self, scope: Scope, headers: Headers, *, used: bool = True) -> Identity:
        if not self._authenticator.closed():
            return Identity("open")
        if token := _shown_token(scope, headers):
            way, shown = token
            if self._authenticator.knows_token(shown):
                return Identity(way)
        cookie = session_cookie(headers)
        if cookie and self._sessions.alive(cookie, self._clock.now(), self._authenticator.era(), used=used):
            return Identity("session")
        return Identity("stranger")

    async def _opened_by_link(self, scope: Scope) -> bool:
        """Tell whether a token in the address opens this feed; it opens nothing else."""
        token = links.token_in(scope) if scope["path"].endswith(FEEDS_OUT) else ""
        return bool(token) and await links.opens(self._backend, scope["path"], token)

    async def _wrong_token(self, scope: Scope) -> None:
        """Count a wrong token, log it now and then, and keep a guessing client waiting."""
        address = address_of(scope)
        count = self._guesses.failed(address, self._clock.now())
        if heard := self._guesses.to_tell(address, self._clock.now()):
            log.warning("wrong token from %s (%d recently)", address, heard)
        await self._guesses.slow_down(count)

    def _refusal(self, scope: Scope, headers: Headers, identity: Identity) -> Response | None:
        method, path = scope["method"], scope["path"]
        authority = headers.get("host", "")
        if path not in PROBES and (
            weak := self._authenticator.weak_for(self._listen)
        ):  # a reload took the password away, or shortened it
            return _refuse(path, 503, f"The web UI is closed: {weak.wrong}.")
        if len(headers.getlist("host")) != 1 or not is_allowed_host(authority, self._listen, self._web.public_url):
            return _refuse(path, 421, UNKNOWN_NAME)
        if method not in METHODS:
            return _refuse(path, 405, "Unknown method.", {"allow": ", ".join(sorted(METHODS))})
        if path.startswith(HUBS) and method in ("GET", "POST"):
            return None
        if not identity.is_authenticated and not self._open(method, path):
            if method not in SAFE_METHODS and not is_for_programs(path):
                return _logged_out(headers, authority)
            return _ask_to_log_in(path, scope["query_string"].decode("latin-1"))
        if (
            method not in SAFE_METHODS
            and identity.method != "token"
            and not self._from_our_page(scope, headers, authority)
        ):
            return _refuse(path, 403, "This request did not come from a page of this site; nothing was changed.")
        if identity.method != "token" and path.startswith(EXPENSIVE) and came_from_another_site(headers):
            return _refuse(path, 403, "Requests from other sites are refused; open this from a page of this site.")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:  # the framework refuses it too, but in its own words
            return _refuse(path, 413, TOO_LARGE)
        return None

    def _open(self, method: str, path: str) -> bool:
        asked = "GET" if method == "HEAD" else method
        if (asked, path) in PUBLIC_PATHS or (asked == "GET" and path.startswith(STATIC)):
            return True
        if asked in ("GET", "POST") and path.startswith(ACTS):
            return True
        return (asked, path) == ("GET", "/metrics") and is_loopback(split_listen(self._listen)[0])

    def _from_our_page(self, scope: Scope, headers: Headers, authority: str) -> bool:
        return is_same_site_form(
            fetch_site=headers.get("sec-fetch-site"),
            origin=headers.get("origin"),
            has_cookie="cookie" in headers,
            authority=authority,
            scheme=scope.get("scheme", "http"),
            public_url=self._web.public_url,
        )


def address_of(scope: Scope) -> str:
    """Return the address of a request; that of the visitor behind a trusted proxy."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _shown_token(scope: Scope, headers: Headers) -> tuple[str, str] | None:
    """Return how a token is shown, and the token: by Bearer, or by Basic as the password on feed readers' paths."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return "token", value.strip()
    if scheme.lower() == "basic" and scope["method"] in ("GET", "HEAD") and scope["path"].endswith(FEEDS_OUT):
        try:
            pair = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return "reader", pair.partition(":")[2]
    return None


def _language(scope: Scope, headers: Headers) -> Language:
    """Return the language of a page: what was chosen, else what the browser asks for; programs get English."""
    if scope["path"].startswith((STATIC, "/api/v1/")):
        return negotiate("", "")
    return negotiate(_cookie(headers, LANGUAGE_COOKIE) or "", headers.get("accept-language", ""))


def session_cookie(headers: Headers) -> str | None:
    """Return the session's name from the Cookie header."""
    return _cookie(headers, COOKIE)


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return morsel.value if morsel else None


def is_for_programs(path: str) -> bool:
    """Tell whether a path answers with JSON rather than a page."""
    return path.startswith(("/api/", "/metrics", "/healthz", "/readyz")) and path != "/api/docs"


def _refuse(path: str, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    if is_for_programs(path):
        return JSONResponse({"detail": message}, status, headers)
    return PlainTextResponse(message + "\n", status, headers)


def _logged_out(headers: Headers, authority: str) -> Response:
    """Answer a form whose session has ended, with the way back to its page; a redirect would pass for a success."""
    came_from = urlsplit(headers.get("referer", ""))
    page = f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path
    back = safe_next(page) if came_from.netloc == authority else "/"
    login = escape(f"/login?next={quote(back, safe='')}")
    words, link = escape(gettext("You are logged out; nothing was changed.")), escape(gettext("Log in"))
    text = (
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<title>aggregator</title><link rel="stylesheet" href="/static/site.css">'
        f'<main class="empty"><h1>{words}</h1><p><a href="{login}">{link}</a></p></main>'
    )
    return HTMLResponse(text, 401)


def _ask_to_log_in(path: str, query: str) -> Response:
    if is_for_programs(path) or path.endswith(FEEDS_OUT):
        challenge = "Basic" if path.endswith(FEEDS_OUT) else "Bearer"
        asked_for = {"www-authenticate": f'{challenge} realm="aggregator"'}
        return _refuse(path, 401, "Authentication required: Authorization: Bearer TOKEN.", asked_for)
    wanted = path + (f"?{query}" if query else "")
    return RedirectResponse("/login" + (f"?next={quote(wanted, safe='')}" if wanted != "/" else ""), 303)


def _dressed(send: Send, scope: Scope) -> Send:
    """Add the protective headers to every answer."""

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if "cache-control" not in headers:
                headers["cache-control"] = "no-store"
            if scope.get("scheme") == "https":
                headers["strict-transport-security"] = "max-age=31536000"
        await send(message)

    return dressed
