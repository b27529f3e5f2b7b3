"""Logging in and out."""

import logging
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from aggregator.web.auth import SESSION_LIFE, Authenticator, LoginLimiter, Sessions
from aggregator.web.dependencies import BackendDep, TemplatesDep
from aggregator.web.filters import span
from aggregator.web.language import gettext
from aggregator.web.middleware import COOKIE, address_of, session_cookie
from aggregator.web.origins import safe_next

log = logging.getLogger(__name__)
router = APIRouter()

BROWSER = "aggregator_browser"  # opens nothing; only its wrong passwords are counted apart
BROWSER_LIFE = timedelta(days=365)

Next = Annotated[str, Field(max_length=2048)]


class LoginForm(BaseModel):
    """The login form."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, Field(max_length=100_000)]
    next: Next = "/"


@router.get("/login")
async def ask(request: Request, templates: TemplatesDep, next: Next = "/") -> Response:
    """Show the login form; a logged-in visitor is redirected."""
    if request.scope["identity"].is_authenticated:
        return RedirectResponse(safe_next(next), 303)
    return templates.render(request, "login.html", next=safe_next(next), problem=None)


@router.post("/login")
async def enter(
    request: Request, backend: BackendDep, templates: TemplatesDep, sent: Annotated[LoginForm, Form()]
) -> Response:
    """Check the password and begin a new session (never the one that came with the request)."""
    authenticator: Authenticator = request.app.state.authenticator
    sessions: Sessions = request.app.state.sessions
    login_limiter: LoginLimiter = request.app.state.login_limiter
    now, address, target = backend.clock.now(), address_of(request.scope), safe_next(sent.next)
    browser = request.cookies.get(BROWSER)
    source = login_limiter.source(address, browser)
    wait_s = login_limiter.wait_s(source, now)
    if wait_s > 0:
        problem = gettext("Too many wrong passwords. Try again in %(span)s.") % {"span": span(wait_s)}
        response: Response = templates.render(request, "login.html", status=429, next=target, problem=problem)
        response.headers["retry-after"] = str(round(wait_s) + 1)
        return response
    login_limiter.failed(source, now)  # counted before the check, so that parallel guesses cannot slip through
    await login_limiter.queue(source, now)
    if not await authenticator.knows_password(sent.password):
        if count := login_limiter.to_tell(source, now):
            log.warning("wrong password from %s (%d recently)", address, count)
        return templates.render(request, "login.html", status=401, next=target, problem=gettext("Wrong password."))
    login_limiter.succeeded(source)
    _forget(request, sessions)
    response = RedirectResponse(target, 303)
    _set(response, request, COOKIE, sessions.begin(now, authenticator.era()), SESSION_LIFE)
    if source == address:
        _set(response, request, BROWSER, login_limiter.remember_browser(), BROWSER_LIFE)
    return response


def _set(response: Response, request: Request, name: str, value: str, life: timedelta) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(life.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )


@router.post("/logout")
async def leave(request: Request) -> Response:
    """End the session here, not only in the browser."""
    _forget(request, request.app.state.sessions)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https")
    response.headers["clear-site-data"] = '"cache"'
    return response


def _forget(request: Request, sessions: Sessions) -> None:
    name = session_cookie(request.headers)
    if name:
        sessions.end(name)
