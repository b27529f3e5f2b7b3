"""The page and the API: `create_app(backend)` makes them, `serve(app, listen)` puts them on a port.

Importing this package is cheap; the web framework is loaded when an app is made.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aggregator.ports.backend import Backend
    from aggregator.web.app import WebApp


def create_app(backend: "Backend") -> "WebApp":
    """Create the whole site as an ASGI app; see aggregator.web.app."""
    from aggregator.web.app import create_app as create

    return create(backend)


async def serve(app: "WebApp", listen: str) -> None:
    """Serve until cancelled; see aggregator.web.server."""
    from aggregator.web.server import bind
    from aggregator.web.server import serve as run

    await run(app, bound=bind(listen))
