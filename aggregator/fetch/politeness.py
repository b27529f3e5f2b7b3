"""Turns: how many requests a host gets at once from this process, and how close together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

GAP_S = 1.0
SWEEP_AT = 8192


@dataclass(slots=True)
class _Host:
    free: asyncio.Semaphore
    waiting: int = 0
    not_before: float = field(default=float("-inf"))


class Politeness:
    """At most `per_host` requests to a host at a time; on public hosts a second between two.

    An operator who raises `per_host` above 1 has asked for more, and gets no gap either.
    `needs_gap` tells public hosts from private ones.
    """

    def __init__(self, per_host: int, needs_gap: Callable[[str], bool]) -> None:
        self._per_host = per_host
        self._needs_gap = needs_gap if per_host == 1 else lambda _: False
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait for a turn at `host` (a host_key) and hold it."""
        place = self._hosts.get(host)
        if place is None:
            place = self._hosts[host] = _Host(asyncio.Semaphore(self._per_host))
        place.waiting += 1
        try:
            async with place.free:
                await _wait(place)
                try:
                    yield
                finally:
                    self._leave(host, place)
        finally:
            place.waiting -= 1
            self._forget(host, place)

    def _leave(self, host: str, place: _Host) -> None:
        if self._needs_gap(host):
            place.not_before = asyncio.get_running_loop().time() + GAP_S

    def _forget(self, host: str, place: _Host) -> None:
        """Drop hosts that nobody waits for; those with a gap ahead stay until a sweep."""
        if place.waiting == 0 and place.not_before == float("-inf"):
            del self._hosts[host]
        elif len(self._hosts) > SWEEP_AT:
            now = asyncio.get_running_loop().time()
            idle = [name for name, host in self._hosts.items() if host.waiting == 0 and host.not_before < now]
            for name in idle:
                del self._hosts[name]


async def _wait(place: _Host) -> None:
    if (wait_s := place.not_before - asyncio.get_running_loop().time()) > 0:
        await asyncio.sleep(wait_s)
