"""The deliver verb: what is due goes out once, and every outcome is written down.

Every channel has a queue of its own, so a slow one delays nobody: a tick gives each idle channel
its turn and leaves those alone that are still busy with an earlier one.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from aggregator.core.model import Delivery
from aggregator.core.routing import no_recipients
from aggregator.core.settings import Channel, Config
from aggregator.pipeline.outgoing import SPARE_S, Batch, Counts
from aggregator.ports import Clock, Notifier, Outbox

BATCH = 1000  # rows claimed at a time: a day's digest is one message


class Deliver:
    """Empties the outbox. One instance per process; `owner` names its leases."""

    def __init__(
        self,
        outbox: Outbox,
        notifier: Notifier,
        config: Callable[[], Config],
        clock: Clock,
        *,
        owner: str,
        recipients: Callable[[Channel], Sequence[str]] = no_recipients,
    ) -> None:
        self._outbox, self._notifier, self._config, self._clock = outbox, notifier, config, clock
        self._owner, self._recipients = owner, recipients
        self._turns: dict[str, asyncio.Task[Counts]] = {}
        self._stopping = False

    async def tick(self, now: datetime, *, wait_s: float | None = None) -> Counts:
        """Give every idle channel its turn; gives what became of the deliveries.

        Waits at most `wait_s` seconds (None: until all turns are over); a turn that takes longer
        is counted by the tick that finds it finished. Raises StoreError.
        """
        if not self._stopping and await self._waiting(now):
            for name, channel in self._config().channels.items():
                if name not in self._turns:
                    self._turns[name] = asyncio.create_task(self._turn(channel, now))
        if self._turns:
            await asyncio.wait(self._turns.values(), timeout=wait_s)
        counts = self._collect()
        if not self._turns and not self._stopping and await self._waiting(now):
            counts.add(await self._bury(now))
        return counts

    async def stop(self, within_s: float = 8.0) -> Counts:
        """Claim nothing new, let what is being sent finish, give the rest back."""
        self._stopping = True
        if self._turns:
            _, late = await asyncio.wait(self._turns.values(), timeout=within_s)
            for turn in late:
                turn.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return self._collect()

    def _collect(self) -> Counts:
        """The counts of the turns that are over; raises what one of them raised."""
        total = Counts()
        over = [self._turns.pop(name) for name in list(self._turns) if self._turns[name].done()]
        for turn in over:
            if not turn.cancelled():
                total.add(turn.result())
        return total

    async def _turn(self, channel: Channel, now: datetime) -> Counts:
        """Everything that is due on one channel, until nothing is."""
        counts = Counts()
        while not self._stopping:
            claimed = await self._claim(now, channel.timeout_s, [channel.name])
            if not claimed:
                break
            batch = self._batch(channel)
            counts.add(await batch.run(claimed))
            if not batch.more and len(claimed) < BATCH:
                break
        return counts

    async def _waiting(self, now: datetime) -> bool:
        """Is anything due? One look, so that an idle service writes nothing."""
        due_at = await self._outbox.next_due_at()
        return due_at is not None and due_at <= now

    async def _bury(self, now: datetime) -> Counts:
        """What waits for a channel that left the configuration would wait for ever; say so."""
        counts, known = Counts(), self._config().channels
        claimed = await self._claim(now, SPARE_S, None)
        stray = [delivery for delivery in claimed if delivery.channel not in known]
        for delivery in stray:
            gone = Channel(name=delivery.channel, service="removed")
            counts.add(await self._batch(gone).bury([delivery], f"channel {gone.name} is no longer configured"))
        late = [delivery.id for delivery in claimed if delivery.channel in known]
        if late:
            await self._outbox.release(late, owner=self._owner)
        return counts

    async def _claim(self, now: datetime, timeout_s: float, channels: Sequence[str] | None) -> tuple[Delivery, ...]:
        lease_s = 2 * (timeout_s + SPARE_S)
        return await self._outbox.claim(now, owner=self._owner, lease_s=lease_s, limit=BATCH, channels=channels)

    def _batch(self, channel: Channel) -> Batch:
        return Batch(
            channel=channel,
            config=self._config(),
            outbox=self._outbox,
            notifier=self._notifier,
            clock=self._clock,
            owner=self._owner,
            recipients=self._recipients,
        )
