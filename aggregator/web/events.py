"""Live updates for open pages: one poll of the store serves every listener (server-sent events).

The store is asked, not the pipeline, so that hits of other processes are reported too. Nothing is
asked while nobody listens. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count

from msgspec.structs import replace

from aggregator.core.errors import AggregatorError
from aggregator.core.model import HitDetail, HitFilter
from aggregator.core.schemas import hit_json
from aggregator.ports import Catalog, Clock
from aggregator.web.params import cursor

log = logging.getLogger(__name__)

POLL_S = 2.0
PING_S = 15.0
OVERLAP = timedelta(seconds=10)
LATE = timedelta(minutes=2)  # how long after its time a hit may become visible: in a cluster, hits are routed later
LOOKS_FOR_LATE = 10  # how often: at every tenth look
BATCH_SIZE = 100
MAX_FOUND = 2000  # of one look, or of what a listener missed
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

    async def listen(
        self, since: tuple[datetime, str] | None = None, *, is_allowed: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[str]:
        """Yield events from now on, or from where a listener was cut off; a comment when it is quiet.

        Ends where the listener does not keep up (it comes back and gets what it missed), or may no longer listen.
        """
        queue = self._join()
        try:
            yield "retry: 3000\n\n"
            missed = await self._missed(since)
            for detail in missed:
                yield event(detail)
            sent_before = {detail.hit.id for detail in missed}
            while True:
                try:
                    item = await asyncio.wait_for(queue.get(), PING_S)
                except TimeoutError:
                    if not is_allowed():
                        return
                    yield ": still here\n\n"
                    continue
                if item is None or not is_allowed():
                    return
                if item.hit.id not in sent_before:
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

    async def _missed(self, since: tuple[datetime, str] | None) -> list[HitDetail]:
        if since is None:
            return []
        return [detail for detail in await self._found(since[0]) if detail.place("recorded") > since]

    async def _found(self, since: datetime) -> list[HitDetail]:
        """Return the hits since then, oldest first; of very many the newest. Raises AggregatorError."""
        found: list[HitDetail] = []
        wanted = HitFilter(since=since, by="recorded")
        while len(found) < MAX_FOUND:
            page = await self._catalog.hits(wanted, limit=BATCH_SIZE)
            found += page
            if len(page) < BATCH_SIZE:
                break
            wanted = replace(wanted, before=page[-1].place("recorded"))
        return found[::-1]

    async def _look(self, start: datetime) -> None:
        """Look every few seconds; the overlap catches commits that were slow to become visible."""
        sent_before: dict[str, datetime] | None = None  # until it is known what was there before anybody listened
        for look in count():
            now = self._clock.now()
            try:
                found = await self._found(now - (OVERLAP if look % LOOKS_FOR_LATE else LATE))
                if now < start:  # the clock was set back: what lies ahead of it is not new
                    sent_before = (sent_before or {}) | {one.hit.id: one.recorded_at for one in found}
                    start = now
                elif sent_before is None:
                    sent_before = {one.hit.id: one.recorded_at for one in found if one.recorded_at < start}
                for detail in found:
                    if detail.hit.id not in sent_before:
                        sent_before[detail.hit.id] = detail.recorded_at
                        self._tell(detail)
                sent_before = {k: at for k, at in sent_before.items() if now - at < 2 * LATE}
            except AggregatorError as error:
                log.warning("live updates suspended: %s", error)
            except Exception:  # listeners wait for this one task: it must not end by a bug
                log.exception("a live update failed; continuing")
            await asyncio.sleep(self._look_s)

    def _tell(self, detail: HitDetail) -> None:
        for queue in tuple(self._listeners):
            queue.put_nowait(detail)
            if queue.qsize() > QUEUE:  # nobody waits for a reader that does not read
                self._listeners.discard(queue)
                queue.put_nowait(None)
