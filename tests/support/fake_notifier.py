"""A notifier that fails on demand, and records what it was asked to send."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aggregator.core.errors import DeliveryError
from aggregator.core.model import Alert, Receipt
from aggregator.core.settings import Channel


@dataclass
class FakeNotifier:
    """`fails` raises, by `channel` or `channel/recipient`; `waits` blocks, by the channel's name; the
    deadline holds as in the real one.

    `put_off` are recipients who do not get what the others get. `before` is called with the channel's name before
    each send: a place to let time pass.
    """

    said: list[tuple[str, Alert, str]] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)
    waits: dict[str, asyncio.Event] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _: None
    put_off: tuple[tuple[str, str], ...] = ()

    async def send(self, channel: Channel, alert: Alert, *, recipient: str = "") -> Receipt:
        self.before(channel.name)
        if channel.name in self.waits:
            try:
                async with asyncio.timeout(channel.timeout_s):
                    await self.waits[channel.name].wait()
            except TimeoutError:
                message = f"channel {channel.name}: no response within {channel.timeout_s:g} s"
                raise DeliveryError(message, channel=channel.name, unknown=True) from None
        for name in (channel.name, f"{channel.name}/{recipient}"):
            if name in self.fails:
                raise self.fails[name]
        self.said.append((channel.name, alert, recipient))
        return Receipt(detail="ok", message_id=f"message {len(self.said)}", put_off=self.put_off)

    def titles(self) -> list[str]:
        return [alert.title for _, alert, _ in self.said]
