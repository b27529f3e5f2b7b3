"""Hubs are asked side by side: what goes wrong with one concerns no other."""

from typing import Any

import pytest

from aggregator.core.errors import StoreError
from aggregator.core.polling.websub import HubSubscription, Offer, SubscriptionState, Unsubscription
from aggregator.pipeline.websub import WebSub
from tests.unit.pipeline.builders import NOW, poll_fixture

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The service speaks asyncio."""
    return "asyncio"


class Hubs:
    """Four hubs, of which two break in ways that nobody expects."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def subscribe(self, subscription: HubSubscription, callback: str, *, home: str | None) -> str | None:
        self.asked.append(subscription.hub)
        if "label" in subscription.hub:
            raise UnicodeError("label empty or too long")
        if "bug" in subscription.hub:
            raise RuntimeError("a bug")
        return None

    async def unsubscribe(self, leaving: Unsubscription, callback: str) -> None:
        self.asked.append(leaving.hub)
        raise LookupError("another bug")


class Rows:
    """Subscriptions in memory."""

    def __init__(self, fails: bool = False) -> None:
        self.saved: dict[str, HubSubscription] = {}
        self.fails = fails
        self.untold = [Unsubscription(callback="x", hub="http://left.example/", topic="t", left_at=NOW)]

    async def offers(self) -> tuple[Offer, ...]:
        hubs = ("http://label.example/", "http://good.example/", "http://bug.example/", "http://other.example/")
        return tuple(Offer(feed=f"f{n}", hub=hub, topic="t") for n, hub in enumerate(hubs))

    async def all(self) -> tuple[HubSubscription, ...]:
        return tuple(self.saved.values())

    async def save(self, subscription: HubSubscription) -> None:
        if self.fails:
            raise StoreError("the disk is full")
        self.saved[subscription.feed] = subscription

    async def leaving(self) -> tuple[Unsubscription, ...]:
        return tuple(self.untold)

    async def mark_requested(self, callback: str) -> None:
        self.untold.clear()


async def push_over(hubs: Hubs, rows: Rows) -> WebSub:
    fixture = await poll_fixture(web={"enabled": True, "public_url": "https://public.example/"})
    given: dict[str, Any] = {"subscriptions": rows, "hub": hubs, "feeds": fixture.store.feeds, "catalog": None}
    return WebSub(
        fixture.context,
        **given,
        ingestor=fixture.poller._ingestor,
        secret=lambda: "s",
    )


async def test_one_hub_s_error_stops_that_hub_only(caplog: pytest.LogCaptureFixture) -> None:
    """All are asked, the loop goes on, the two that broke rest for a day; the log has the reasons."""
    hubs, rows = Hubs(), Rows()
    push = await push_over(hubs, rows)
    assert await push.tick() == 5
    assert len(hubs.asked) == 5
    state = {one.hub.split("/")[2].split(".")[0]: one.standing for one in rows.saved.values()}
    assert state == {
        "label": SubscriptionState.DENIED,
        "good": SubscriptionState.REQUESTED,
        "bug": SubscriptionState.DENIED,
        "other": SubscriptionState.REQUESTED,
    }
    assert caplog.text.count("a hub failed") == 3
    assert await push.tick() == 0


async def test_a_store_that_fails_fails_the_tick() -> None:
    """That is no hub's error: the loop reports it, after every hub had its turn."""
    push = await push_over(Hubs(), Rows(fails=True))
    with pytest.raises(StoreError, match="disk is full"):
        await push.tick()
