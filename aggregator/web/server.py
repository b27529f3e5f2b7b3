"""uvicorn inside the event loop that is running, without its signal handling."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator

import uvicorn

from aggregator.core.errors import AggregatorError
from aggregator.web.hosts import split_listen
from aggregator.web.site import Site

log = logging.getLogger(__name__)

DRAIN_S = 5
BACKLOG = 256


class _Quiet(uvicorn.Server):
    """Signals belong to the service, not to one of its rooms."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(listen: str, setting: str = "settings.web.listen") -> socket.socket:
    """A listening socket; raises AggregatorError with the remedy (in `setting`) where the port cannot be had."""
    host, port = split_listen(listen, setting)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AggregatorError(f"cannot listen on {listen}: {host!r} is not an address of this machine") from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise AggregatorError(_why_not(listen, port, setting, error)) from error
    return bound


def _why_not(listen: str, port: int, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"cannot listen on {listen}: port {port} is in use; "
            f"stop the program that holds it, or set {setting} to another port"
        )
    if error.errno == errno.EACCES:
        return f"cannot listen on {listen}: port {port} needs privileges; set {setting} above 1023"
    return f"cannot listen on {listen}: {error.strerror or error}"


async def serve(app: Site, *, bound: socket.socket) -> None:
    """Serve on a socket from `bind` until cancelled, then let open requests end within DRAIN_S seconds."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=DRAIN_S,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=32 * 1024,
        limit_concurrency=500,
    )
    server = _Quiet(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    log.info("listening at http://%s:%d", *bound.getsockname()[:2])
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.should_exit = True
        await app.close()
        await task
        raise
    finally:
        bound.close()
