"""Live updates for open pages: one poll of the store serves every listener (server-sent events).

The store is asked, not the pipeline, so that hits of other processes are reported too. Nothing is
asked while nobody listens. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta

from aggregator.core.errors import AggregatorError
from aggregator.core.model import HitDetail, HitFilter
from aggregator.core.schemas import hit_json
from aggregator.ports import Catalog, Clock
from aggregator.web.params import cursor

log = logging.getLogger(__name__)

POLL_S = 2.0
PING_S = 15.0
OVERLAP = timedelta(seconds=10)
BATCH_SIZE = 100
QUEUE = 200
MAX_LISTENERS = 100


class TooManyListeners(AggregatorError):
    """Every place in front of the stream is taken."""


def event(detail: HitDetail) -> str:
    """Format one event; its id is a cursor, which a browser sends back when it reconnects."""
    return f"id: {cursor(detail, 'recorded')}\nevent: hit\ndata: {json.dumps(hit_json(detail), ensure_ascii=False)}\n\n"


class EventStream:
    """The listeners, and the one task that looks for new hits."""

    def __init__(self, catalog: Catalog, clock: Clock, *, look_s: float = POLL_S) -> None:
        self._catalog = catalog
        self._clock = clock
        self._look_s = look_s
        self._listeners: set[asyncio.Queue[HitDetail | None]] = set()
        self._task: asyncio.Task[None] | None = None

    def require_room(self) -> None:
        """Check that there is room for a listener. Raises TooManyListeners."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise TooManyListeners(f"too many open pages ({MAX_LISTENERS}); close one")

    async def listen(self, since: tuple[datetime, str] | None = None) -> AsyncIterator[str]:
        """Yield events from now on, or from where a listener was cut off; a comment when it is quiet."""
        queue = self._join()
        try:
            yield "retry: 3000\n\n"
            for detail in await self._missed(since):
                yield event(detail)
            while True:
                try:
                    item = await asyncio.wait_for(queue.get(), PING_S)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if item is None:
                    return
                yield event(item)
        finally:
            self._leave(queue)

    async def close(self) -> None:
        """End every stream, so that a stopping server need not wait for its readers."""
        for queue in self._listeners:
            queue.put_nowait(None)
        await self._stop()

    def _join(self) -> "asyncio.Queue[HitDetail | None]":
        queue: asyncio.Queue[HitDetail | None] = asyncio.Queue()
        self._listeners.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look(self._clock.now()))
        return queue

    def _leave(self, queue: "asyncio.Queue[HitDetail | None]") -> None:
        self._listeners.discard(queue)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _missed(self, since: tuple[datetime, str] | None) -> tuple[HitDetail, ...]:
        if since is None:
            return ()
        found = await self._catalog.hits(HitFilter(since=since[0], by="recorded"), limit=BATCH_SIZE)
        return tuple(detail for detail in reversed(found) if (detail.hit.created_at, detail.hit.id) > since)

    async def _look(self, start: datetime) -> None:
        """Look every few seconds; the overlap catches commits that were slow to become visible."""
        sent_before: dict[str, datetime] = {}
        while True:
            await asyncio.sleep(self._look_s)
            now = self._clock.now()
            try:
                recent = HitFilter(since=max(start, now - OVERLAP), by="recorded")
                found = await self._catalog.hits(recent, limit=BATCH_SIZE)
            except AggregatorError as error:
                log.warning("live updates suspended: %s", error)
                continue
            except Exception:  # listeners wait for this one task: it must not end by a bug
                log.exception("a live update failed; continuing")
                continue
            for detail in reversed(found):
                if detail.hit.id not in sent_before:
                    sent_before[detail.hit.id] = detail.hit.created_at
                    self._tell(detail)
            sent_before = {k: at for k, at in sent_before.items() if now - at < 6 * OVERLAP}

    def _tell(self, detail: HitDetail) -> None:
        for queue in self._listeners:
            if queue.qsize() < QUEUE:  # a reader that does not read misses news, and nobody waits for it
                queue.put_nowait(detail)
