"""The limiter of requests per host: how many at once from this process, and how close together."""

import asyncio
from collections.abc import Callable, Iterable

from aggregator.core.polling.hosts import GAP_S

SWEEP_AT = 8192


class _HostSlot:
    """A host that requests are queueing for, or have just left."""

    __slots__ = ("free_at", "turns", "users")

    def __init__(self, per_host: int) -> None:
        self.turns = asyncio.Semaphore(per_host)
        self.users = 0
        self.free_at = 0.0


class Turn:
    """A place in a host's queue; `async with` waits for it and holds it."""

    __slots__ = ("_host", "_place", "_politeness")

    def __init__(self, politeness: "HostLimiter", host: str, place: _HostSlot) -> None:
        self._politeness = politeness
        self._host = host
        self._place = place

    async def __aenter__(self) -> None:
        place = self._place
        place.users += 1
        try:
            await place.turns.acquire()
            try:
                if place.free_at and (wait_s := place.free_at - asyncio.get_running_loop().time()) > 0:
                    await asyncio.sleep(wait_s)
                self._politeness.permit()
            except BaseException:
                place.turns.release()
                raise
        except BaseException:
            place.users -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._place.turns.release()
        self._place.users -= 1
        self._politeness.leave(self._host, self._place)


class HostLimiter:
    """At most `per_host` requests to a host at a time, and a second between two on public hosts.

    An operator who raises `per_host` above 1 has asked for more, and gets no gap either.
    `needs_gap` tells public hosts from private ones. Turns are given in the order of asking. `permit` is called just
    before each request; what it raises is raised instead of the request.
    """

    def __init__(self, per_host: int, needs_gap: Callable[[str], bool]) -> None:
        self.per_host = per_host
        self._needs_gap = needs_gap if per_host == 1 else lambda _: False
        self._places: dict[str, _HostSlot] = {}
        self.permit: Callable[[], object] = _anything

    def turn(self, host: str) -> Turn:
        """Return the next turn at `host` (a host_key)."""
        place = self._places.get(host)
        if place is None:
            place = self._places[host] = _HostSlot(self.per_host)
        return Turn(self, host, place)

    def rest_s(self, hosts: Iterable[str]) -> float:
        """Return how many seconds the last of these hosts is still to be left alone."""
        now = asyncio.get_running_loop().time()
        return max((self._places[host].free_at - now for host in hosts if host in self._places), default=0.0)

    def leave(self, host: str, place: _HostSlot) -> None:
        """Start the gap; forget hosts that nobody waits for."""
        if self._needs_gap(host):
            place.free_at = asyncio.get_running_loop().time() + GAP_S
            if len(self._places) > SWEEP_AT:
                self._sweep()
        elif place.users == 0:
            self._places.pop(host, None)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for host in [name for name, place in self._places.items() if place.users == 0 and place.free_at < now]:
            del self._places[host]


def _anything() -> None:
    """Permit every request."""
