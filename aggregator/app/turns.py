"""Costly work takes turns: so much of it at once, a short queue, and for the rest an answer at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aggregator.core.errors import Busy

MAX_WAITING = 4  # beyond those at work; each may read a megabyte of YAML, or match all that is stored


@dataclass(slots=True)
class Turns:
    """Bound costly work of one kind: a maximum at once, and a short queue."""

    what: str
    at_once: int
    _free: asyncio.Semaphore = field(init=False)
    _here: int = 0

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.at_once)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it. Raises Busy."""
        if self._here >= self.at_once + MAX_WAITING:
            raise Busy(f"{MAX_WAITING} {self.what} are already waiting; try again in a moment")
        self._here += 1
        try:
            async with self._free:
                yield
        finally:
            self._here -= 1
