"""uvicorn inside the running event loop, without its signal handling, and with limits on connections.

A source that opens connections and says nothing holds no more of them than its share, and not for long.
Beyond the share a few connections are still answered, but only the question whether the service
lives: a probe must not take a crowd at the port for a failed part of the process.
"""

import asyncio
import contextlib
import errno
import logging
import socket
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from aggregator.core.errors import AggregatorError
from aggregator.web.app import WebApp
from aggregator.web.auth import as_address, neighbourhood
from aggregator.web.origins import split_listen

log = logging.getLogger(__name__)

DRAIN_S = 5
BACKLOG = 256
ALIVE = "/healthz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on the idle time of a connection, and on their number."""

    head_s: float = 10.0  # for the whole head of a request, from its first byte or the connection's start
    idle_s: float = 30.0  # without a byte: between requests, inside a body, or of an answer that is not taken
    per_address: int = 50
    in_all: int = 500
    spare: int = 100  # beyond these, for ALIVE only; where there are more, the oldest is cut off
    spare_head_s: float = 3.0


class _Quiet(uvicorn.Server):
    """A server without signal handlers: signals belong to the service as a whole."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Seats:
    """The open connections, by address; those of trusted proxies count in all only."""

    def __init__(self, limits: Limits, proxies: Sequence[str]) -> None:
        self.limits = limits
        self._proxies = [ip_network(place.strip(), strict=False) for place in proxies]
        self._taken: dict[_Connection, str] = {}
        self._by_address: Counter[str] = Counter()
        self._spare: OrderedDict[_Connection, None] = OrderedDict()

    def take(self, connection: "_Connection", address: str) -> bool:
        """Tell whether there is a place; else the connection is a spare one, and may push out the oldest of those."""
        key = "" if self._trusted(address) else neighbourhood(address)
        if len(self._taken) < self.limits.in_all and (not key or self._by_address[key] < self.limits.per_address):
            self._taken[connection] = key
            self._by_address[key] += 1
            return True
        self._spare[connection] = None
        if len(self._spare) > self.limits.spare:
            oldest, _ = self._spare.popitem(last=False)
            oldest.transport.abort()
        return False

    def leave(self, connection: "_Connection") -> None:
        self._spare.pop(connection, None)
        if (key := self._taken.pop(connection, None)) is not None:
            self._by_address[key] -= 1
            if not self._by_address[key]:
                del self._by_address[key]

    def _trusted(self, address: str) -> bool:
        known = as_address(address)
        return known is not None and any(known in network for network in self._proxies)


class _Connection(H11Protocol):
    """One connection, which is cut off if it keeps us waiting."""

    seats: _Seats

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._cut: asyncio.TimerHandle | None = None
        self._waits_for_head = False
        self._is_spare = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._is_spare = not self.seats.take(self, self.client[0] if self.client else "")
        if self._is_spare:
            self.app = _only_alive(self.app)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            if not self._waits_for_head:
                self._wait_for_head()
        elif self.cycle.more_body:
            self._cut_in(self.seats.limits.idle_s)
        else:
            self._go_on()

    def on_response_complete(self) -> None:
        self._go_on()
        super().on_response_complete()  # sets the time between two requests, or begins one that has arrived already
        if self._is_spare:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._cut_in(self.seats.limits.idle_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._go_on()
        self.seats.leave(self)
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        limits = self.seats.limits
        self._cut_in(limits.spare_head_s if self._is_spare else limits.head_s)
        self._waits_for_head = True

    def _cut_in(self, seconds: float) -> None:
        self._go_on()
        self._cut = self.loop.call_later(seconds, self.transport.abort)

    def _go_on(self) -> None:
        self._waits_for_head = False
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None


def _only_alive(app: Any) -> ASGIApp:
    """Return the app for a connection beyond the limits."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == ALIVE:
            await app(scope, receive, send)
        else:
            headers = {"retry-after": "10", "connection": "close"}
            await PlainTextResponse("Too many connections; try again.\n", 503, headers)(scope, receive, send)

    return answer


def bind(listen: str, setting: str = "settings.web.listen") -> socket.socket:
    """Open a listening socket. Raises AggregatorError with the remedy (in `setting`) if the port is not available."""
    host, port = split_listen(listen, setting)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AggregatorError(f"cannot listen on {listen}: this machine has no address {host!r}") from error
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
            f"stop the program that uses it, or set {setting} to another port"
        )
    if error.errno == errno.EACCES:
        return f"cannot listen on {listen}: port {port} needs privileges; set {setting} above 1023"
    return f"cannot listen on {listen}: {error.strerror or error}"


async def serve(app: WebApp, *, bound: socket.socket, limits: Limits | None = None) -> None:
    """Serve on a socket from `bind` until cancelled, then let open requests end within DRAIN_S seconds."""

    class Connection(_Connection):
        seats = _Seats(limits or Limits(), app.proxies)

    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=DRAIN_S,
        timeout_keep_alive=round(Connection.seats.limits.idle_s),
        h11_max_incomplete_event_size=32 * 1024,
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
