"""The site: API and pages behind the security middleware."""

from collections.abc import Sequence
from importlib.resources import as_file, files

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from aggregator import __version__
from aggregator.ports.backend import Backend
from aggregator.web import api, pages, websub
from aggregator.web.api import system
from aggregator.web.auth import Authenticator, LoginLimiter, Sessions
from aggregator.web.errors import install_error_handlers
from aggregator.web.events import EventStream
from aggregator.web.middleware import MAX_BODY_BYTES, SecurityMiddleware
from aggregator.web.templating import Templates
from aggregator.web.transfer import Transfer

IMMUTABLE = "public, max-age=31536000, immutable"
NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}


class _Static(StaticFiles):
    """Static files, which never change because their address carries their digest."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200 and scope["query_string"].startswith(b"v="):
            response.headers["cache-control"] = IMMUTABLE
        return response


class WebApp:
    """The ASGI app. `close` ends the live streams, which a stopping server would wait for.

    `proxies` are the addresses and networks that many visitors may come from at once.
    """

    def __init__(self, app: ASGIApp, events: EventStream | None = None, proxies: Sequence[str] = ()) -> None:
        self._app = app
        self._live = events
        self.proxies = tuple(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def close(self) -> None:
        if self._live is not None:
            await self._live.close()


def create_app(backend: Backend) -> WebApp:
    """Create the site over a backend.

    Raises AggregatorError if it would listen beyond loopback without any credential.
    """
    authenticator = Authenticator(lambda: backend.current().config.settings.web)
    sessions = Sessions()
    events = EventStream(backend.catalog, backend.clock)
    app = _fastapi()
    app.state.backend, app.state.events, app.state.templates = backend, events, Templates(backend)
    app.state.authenticator, app.state.sessions, app.state.login_limiter = authenticator, sessions, LoginLimiter()
    web = backend.current().config.settings.web
    guarded: ASGIApp = Transfer(
        SecurityMiddleware(app, backend=backend, listen=web.listen, authenticator=authenticator, sessions=sessions)
    )
    proxies = web.trusted_proxies
    if proxies:
        guarded = ProxyHeadersMiddleware(guarded, trusted_hosts=list(proxies))  # type: ignore[arg-type,assignment]
    return WebApp(guarded, events, proxies)


def create_metrics_app(backend: Backend, listen: str) -> WebApp:
    """Create an app with health and metrics alone, for a process without pages; same middleware, same errors."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY)  # type: ignore[arg-type]
    app.include_router(system.plain)
    app.state.backend = backend
    authenticator = Authenticator(lambda: backend.current().config.settings.web)
    guarded = SecurityMiddleware(app, backend=backend, listen=listen, authenticator=authenticator, sessions=Sessions())
    return WebApp(Transfer(guarded))


def _fastapi() -> FastAPI:
    app = FastAPI(
        title="aggregator",
        version=__version__,
        description="Watches feeds and alerts people. Responses have the same shape as the commands' `--json` output.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        max_body_size=MAX_BODY_BYTES,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,  # type: ignore[arg-type]
    )
    app.include_router(api.router)
    app.include_router(pages.router)
    app.include_router(websub.router)
    with as_file(files("aggregator.web").joinpath("static")) as directory:
        app.mount("/static", _Static(directory=directory), name="static")
    install_error_handlers(app)
    return app
