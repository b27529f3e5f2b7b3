"""The whole site: API and pages behind the guard."""

from collections.abc import Sequence
from importlib.resources import as_file, files

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from aggregator import __version__
from aggregator.ports.backend import Desk
from aggregator.web import api, pages, websub
from aggregator.web.api import system
from aggregator.web.auth import Doorkeeper, Sessions, Throttle
from aggregator.web.errors import answer_errors
from aggregator.web.events import Live
from aggregator.web.middleware import MAX_BODY_BYTES, Guard
from aggregator.web.templating import Pages

FOR_EVER = "public, max-age=31536000, immutable"
NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}


class _Static(StaticFiles):
    """Files whose address carries their digest never change."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200 and scope["query_string"].startswith(b"v="):
            response.headers["cache-control"] = FOR_EVER
        return response


class Site:
    """The ASGI app. `close` ends the live streams, which a stopping server would wait for.

    `proxies` are the addresses and networks that many visitors may come from at once.
    """

    def __init__(self, app: ASGIApp, live: Live | None = None, proxies: Sequence[str] = ()) -> None:
        self._app = app
        self._live = live
        self.proxies = tuple(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def close(self) -> None:
        if self._live is not None:
            await self._live.close()


def create_app(desk: Desk) -> Site:
    """The site over a desk.

    Raises AggregatorError where it would listen beyond loopback without any credential.
    """
    doorkeeper = Doorkeeper(lambda: desk.current().config.settings.web)
    sessions = Sessions()
    live = Live(desk.catalog, desk.clock)
    app = _fastapi()
    app.state.desk, app.state.live, app.state.pages = desk, live, Pages(desk)
    app.state.doorkeeper, app.state.sessions, app.state.throttle = doorkeeper, sessions, Throttle()
    web = desk.current().config.settings.web
    guarded: ASGIApp = Guard(app, desk=desk, listen=web.listen, doorkeeper=doorkeeper, sessions=sessions)
    proxies = web.trusted_proxies
    if proxies:
        guarded = ProxyHeadersMiddleware(guarded, trusted_hosts=list(proxies))  # type: ignore[arg-type,assignment]
    return Site(guarded, live, proxies)


def create_figures(desk: Desk, listen: str) -> Site:
    """Health and figures alone, for a process without a page; behind the same guard, with the same errors."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY)  # type: ignore[arg-type]
    app.include_router(system.plain)
    app.state.desk = desk
    doorkeeper = Doorkeeper(lambda: desk.current().config.settings.web)
    return Site(Guard(app, desk=desk, listen=listen, doorkeeper=doorkeeper, sessions=Sessions()))


def _fastapi() -> FastAPI:
    app = FastAPI(
        title="aggregator",
        version=__version__,
        description="Watches feeds and tells people what they care about. The shapes are those of `--json`.",
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
    answer_errors(app)
    return app
