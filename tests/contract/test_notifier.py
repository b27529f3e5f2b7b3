"""The promises of every notifier: the fake, the console, a webhook and a mail server."""

import asyncio
import io
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from aggregator.app.clock import SystemClock
from aggregator.core.errors import DeliveryError
from aggregator.core.settings import Channel
from aggregator.notify import open_notifier, recipients
from aggregator.ports import Notifier
from benchmarks.alert_samples import alerts
from tests.support.fake_notifier import FakeNotifier
from tests.support.receivers import free_port, postbox, receiver

pytestmark = pytest.mark.anyio
HEADLINE = "Putin and Erdogan discuss S-400 deliveries despite CAATSA threat"


@dataclass
class Case:
    """A notifier with a channel that works, and where they exist, one that refuses and one that hangs."""

    notifier: Notifier
    works: Channel
    heard: Callable[[], str]
    refuses: Channel | None = None
    hangs: Channel | None = None
    closing: ExitStack = field(default_factory=ExitStack)


def fake() -> Case:
    notifier = FakeNotifier(
        fails={"bad": DeliveryError("channel bad: refused", channel="bad", transient=False)},
        waits={"slow": asyncio.Event()},
    )
    channels = {name: Channel(name=name, service="console", timeout="0.3s") for name in ("works", "bad", "slow")}
    return Case(notifier, channels["works"], lambda: " ".join(notifier.titles()), channels["bad"], channels["slow"])


def console() -> Case:
    stream = io.StringIO()
    return Case(open_notifier(SystemClock(), stream), Channel(name="works", service="console"), stream.getvalue)


def silent_peer(closing: ExitStack) -> int:
    """A port that takes connections and never says a word."""
    server = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
    port: int = server.getsockname()[1]
    return port


def webhook() -> Case:
    closing = ExitStack()
    peer = closing.enter_context(receiver())
    peer.answer = lambda request: (410 if "gone" in request.path else 200, {}, b"")

    def channel(name: str, url: str, timeout: str = "3s") -> Channel:
        return Channel(name=name, service="webhook", url=(SecretStr(url),), timeout=timeout)

    return Case(
        open_notifier(SystemClock()),
        channel("works", peer.url),
        lambda: " ".join(request.json()["subject"] for request in peer.requests),
        channel("bad", f"{peer.url}/gone"),
        channel("slow", f"http://127.0.0.1:{silent_peer(closing)}", "0.4s"),
        closing,
    )


def mail() -> Case:
    closing = ExitStack()
    box = closing.enter_context(postbox())
    box.refuse["nobody@example.org"] = "550 no such user"

    def channel(name: str, port: int, to: str = "desk@example.org", timeout: str = "3s") -> Channel:
        url = f"mailto://127.0.0.1:{port}?from=a@example.org&to={to}"
        return Channel(name=name, url=(SecretStr(url),), timeout=timeout)

    return Case(
        open_notifier(SystemClock()),
        channel("works", box.port),
        lambda: " ".join(str(message["Subject"]) for message in box.mails),
        channel("bad", box.port, "nobody@example.org"),
        channel("slow", silent_peer(closing), timeout="0.4s"),
        closing,
    )


@pytest.fixture(params=[fake, console, webhook, mail], ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Each notifier in turn."""
    made: Case = request.param()
    with made.closing:
        yield made


async def test_an_accepted_alert_gives_a_receipt(case: Case) -> None:
    """The peer has the headline, and the receipt says what it answered."""
    receipt = await case.notifier.send(case.works, alerts()["instant"])
    assert HEADLINE in case.heard()
    assert receipt.detail


@pytest.mark.parametrize("kind", ["instant", "urgent", "digest", "notice"])
async def test_every_kind_of_alert_can_be_said(case: Case, kind: str) -> None:
    """Alerts, repeats, digests and notices are all accepted."""
    await case.notifier.send(case.works, alerts()[kind])
    assert case.heard()


async def test_a_refusal_is_a_delivery_error(case: Case) -> None:
    """What the peer refuses for good is told as permanent, with the channel's name."""
    if case.refuses is None:
        pytest.skip("a console refuses nothing")
    with pytest.raises(DeliveryError) as caught:
        await case.notifier.send(case.refuses, alerts()["instant"])
    assert (caught.value.channel, caught.value.transient, caught.value.unknown) == ("bad", False, False)
    assert "channel bad" in str(caught.value)


async def test_the_deadline_holds(case: Case) -> None:
    """A peer that never answers is left after the channel's timeout."""
    if case.hangs is None:
        pytest.skip("a console does not hang")
    await case.notifier.send(case.works, alerts()["instant"])
    began = time.monotonic()
    with pytest.raises(DeliveryError):
        await case.notifier.send(case.hangs, alerts()["instant"])
    assert time.monotonic() - began < case.hangs.timeout_s + 1


async def test_sends_can_run_at_the_same_time(case: Case) -> None:
    """Many sends at once are all accepted."""
    await asyncio.gather(*(case.notifier.send(case.works, alerts()["instant"]) for _ in range(10)))
    assert case.heard().count(HEADLINE) >= 10


async def test_a_port_without_a_listener() -> None:
    """A peer that is not there is a temporary failure that delivered nothing."""
    channel = Channel(name="c", service="webhook", url=(SecretStr(f"http://127.0.0.1:{free_port()}"),))
    assert recipients(channel) == ("127.0.0.1",)
    with pytest.raises(DeliveryError) as caught:
        await open_notifier(SystemClock()).send(channel, alerts()["instant"])
    assert (caught.value.transient, caught.value.unknown) == (True, False)
