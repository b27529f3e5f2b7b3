"""Delivery: what is due goes out once, and every outcome is recorded.

Every channel has a queue of its own, so a slow one delays nobody: a tick gives each idle channel
its turn and leaves those alone that are still busy with an earlier one. A turn may take longer
than a lease, so it claims a few rows at a time, each time with the current time.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aggregator.core.errors import StoreError
from aggregator.core.model import Delivery
from aggregator.core.settings import Channel
from aggregator.pipeline.context import Context
from aggregator.pipeline.delivery_batch import CONCURRENCY, SPARE_S, Circuit, DeliveryBatch
from aggregator.pipeline.delivery_counts import DeliveryCounts
from aggregator.ports import Notifier, Outbox

if TYPE_CHECKING:
    from aggregator.core.settings import Config

log = logging.getLogger(__name__)

# A lease lasts two deadlines. This many attempts end within it even where each takes its whole
# deadline; a process that dies holds back no more than these.
LEASE_DEADLINES = 2
MAX_CLAIMED = CONCURRENCY * LEASE_DEADLINES
UNKNOWN_CHANNEL = timedelta(minutes=10)  # how long an alert waits for a channel that is not in the configuration
UNKNOWN_TO_NEWCOMER = timedelta(days=1)
MAX_FOLDED = 1000  # held rows claimed beside these: a day's digest is one message, and folding sends nothing


class Deliver:
    """Empties the outbox. One instance per process."""

    def __init__(self, context: Context, outbox: Outbox, notifier: Notifier) -> None:
        self._context, self._outbox, self._notifier = context, outbox, notifier
        self._turns: dict[str, asyncio.Task[DeliveryCounts]] = {}
        self._counts = DeliveryCounts()
        self._config_seen: Config | None = None
        self._config_since = context.now()
        self._stopping = False

    async def tick(self, now: datetime, *, wait_s: float | None = None) -> DeliveryCounts:
        """Give every idle channel its turn; return the counts of outcomes.

        Waits at most `wait_s` seconds (None: until all turns are over); a turn that takes longer
        is counted by the tick that finds it finished. Raises StoreError.
        """
        self._note_config(now)
        due = await self._due_channels(now)
        channels = self._context.active.config.channels if due else {}
        usable = {name for name, channel in channels.items() if channel.available}
        for name in due & usable - self._turns.keys():
            turn = self._turn(channels[name], self._context.owner)
            self._turns[name] = asyncio.create_task(turn, name=f"deliver {name}")
        if self._turns:
            await asyncio.wait(self._turns.values(), timeout=wait_s)
        if unknown := due - channels.keys():
            self._counts.add(await self._give_up(unknown, now))
        return self._collect()

    async def serve(self, name: str, owner: str, over: Callable[[], bool]) -> DeliveryCounts:
        """Send what is due on one channel, until nothing is or `over()`; `owner` holds the leases. Raises StoreError.

        Where one process serves a channel at a time, its order, its rate and its digests are those of one queue.
        """
        channel = self._context.active.config.channels.get(name)
        if channel is None or not channel.available:
            return DeliveryCounts()
        return await self._turn(channel, owner, over)

    async def offers(self, now: datetime) -> frozenset[str]:
        """Return the channels with something due that can be sent; what nobody knows is given up in time.

        Raises StoreError.
        """
        self._note_config(now)
        due, known = await self._due_channels(now), self._context.active.config.channels.keys()
        if unknown := due - known:
            self._counts.add(await self._give_up(unknown, now))
        return due & known

    async def stop(self, within_s: float = 8.0) -> DeliveryCounts:
        """Claim nothing new, let what is being sent finish, release the rest."""
        self._stopping = True
        if self._turns:
            _, late = await asyncio.wait(self._turns.values(), timeout=within_s)
            for turn in late:
                turn.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return self._collect()

    def _collect(self) -> DeliveryCounts:
        """Return the counts of finished turns. A failed turn is logged; raises the first such StoreError."""
        failed: BaseException | None = None
        for name in [name for name, turn in self._turns.items() if turn.done()]:
            turn = self._turns.pop(name)
            error = None if turn.cancelled() else turn.exception()
            if error is not None:
                bug = None if isinstance(error, StoreError) else error
                log.error("delivery to channel %s failed: %s", name, error, exc_info=bug)
                failed = failed or error
            elif not turn.cancelled():
                self._counts.add(turn.result())
        if failed is not None:
            raise failed  # the counts are kept for the next tick
        counts, self._counts = self._counts, DeliveryCounts()
        return counts

    def _note_config(self, now: datetime) -> None:
        """Note since when the configuration is in force, here or in the whole cluster."""
        active = self._context.active
        if self._config_seen is not active.config or self._config_since > now:
            self._config_seen, self._config_since = active.config, active.since or now

    async def _turn(self, channel: Channel, owner: str, over: Callable[[], bool] = lambda: False) -> DeliveryCounts:
        """Send everything that is due on one channel, until nothing is or nothing moves."""
        counts, circuit = DeliveryCounts(), Circuit(channel.timeout_s)
        while not self._stopping and not over():
            claimed = await self._claim(channel.timeout_s, [channel.name], owner)
            if not claimed:
                break
            batch = self._batch(channel, circuit, owner)
            counts.add(await batch.run(claimed))
            if not batch.progress or (not batch.more and len(claimed) < MAX_CLAIMED):
                break
        return counts

    async def _due_channels(self, now: datetime) -> frozenset[str]:
        """Return the channels on which something is due. A cheap look first: an idle service writes nothing."""
        due_at = None if self._stopping else await self._outbox.next_due_at()
        return frozenset() if due_at is None or due_at > now else await self._outbox.due_channels(now)

    async def _give_up(self, unknown: frozenset[str], now: datetime) -> DeliveryCounts:
        """Give up what has waited for a while for an unknown channel, visibly; it would wait indefinitely.

        Not at once: another process may know the channel, or the next edit brings it back. A process that has had
        its configuration for a moment only (one pass of `poll`) leaves more time to others.
        """
        patience = UNKNOWN_CHANNEL if now - self._config_since >= UNKNOWN_CHANNEL else UNKNOWN_TO_NEWCOMER
        late, counts = sorted(unknown & await self._outbox.due_channels(now - patience)), DeliveryCounts()
        claimed = await self._claim(SPARE_S, late, self._context.owner) if late else ()
        if waiting := [delivery.id for delivery in claimed if delivery.due_at > now - patience]:
            await self._outbox.release(waiting, owner=self._context.owner)
        for delivery in claimed:
            if delivery.due_at <= now - patience:
                gone = Channel(name=delivery.channel, service="removed")
                batch = self._batch(gone, Circuit(SPARE_S))
                counts.add(await batch.give_up([delivery], f"channel {gone.name} is no longer configured"))
        return counts

    async def _claim(self, timeout_s: float, channels: Sequence[str], owner: str) -> tuple[Delivery, ...]:
        return await self._outbox.claim(
            self._context.now(),
            owner=owner,
            lease_s=self._lease_s(timeout_s),
            limit=MAX_CLAIMED,
            held=MAX_FOLDED,
            channels=channels,
        )

    @staticmethod
    def _lease_s(timeout_s: float) -> float:
        return LEASE_DEADLINES * (timeout_s + SPARE_S)

    def _batch(self, channel: Channel, circuit: Circuit, owner: str | None = None) -> DeliveryBatch:
        return DeliveryBatch(
            channel=channel,
            active=self._context.active,
            outbox=self._outbox,
            notifier=self._notifier,
            clock=self._context.clock,
            owner=owner or self._context.owner,
            link_key=self._context.link_key,
            lease_s=self._lease_s(channel.timeout_s),
            circuit=circuit,
            stopping=lambda: self._stopping,
        )
