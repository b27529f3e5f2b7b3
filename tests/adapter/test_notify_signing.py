"""Signed webhooks: what a receiver can rely on, checked with the example that the documentation gives it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from aggregator.app.clock import SystemClock
from aggregator.core.errors import DeliveryError
from aggregator.core.settings import Channel
from aggregator.notify import check_channels, open_notifier
from aggregator.notify.signing import signed
from benchmarks.alert_samples import alerts
from tests.support.receivers import Receiver, Request, receiver

SECRET = "0123456789abcdef-signing"
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def is_genuine() -> Callable[..., bool]:
    """The function in docs/channels.md, as a receiver would copy it."""
    (block,) = re.findall(r"```python\n(.*?)```", Path("docs/channels.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    found: Callable[..., bool] = names["is_genuine"]
    return found


def hook(peer: Receiver, **fields: Any) -> Channel:
    return Channel(name="hook", service="webhook", url=(SecretStr(f"{peer.url}/in"),), timeout="3s", **fields)


async def sent(kind: str = "digest", **fields: Any) -> Request:
    with receiver() as peer:
        await open_notifier(SystemClock()).send(hook(peer, **fields), alerts()[kind])
    (request,) = peer.requests
    return request


async def test_example_of_the_documentation_accepts_what_we_send(is_genuine: Callable[..., bool]) -> None:
    """A receiver that follows the page knows a request of ours, and no other secret does."""
    request = await sent(secret=SECRET)
    assert is_genuine(request.body, request.headers, SECRET)
    assert not is_genuine(request.body, request.headers, SECRET + "x")


async def test_nothing_that_is_signed_can_be_changed(is_genuine: Callable[..., bool]) -> None:
    """Neither a byte of the body nor the instant may differ, and an old request is refused."""
    request = await sent(secret=SECRET)
    instant = int(request.headers["X-Aggregator-Timestamp"])
    assert not is_genuine(request.body.replace(b"S-400", b"S-300"), request.headers, SECRET)
    assert not is_genuine(request.body, {**request.headers, "X-Aggregator-Timestamp": str(instant + 1)}, SECRET)
    assert not is_genuine(request.body, request.headers, SECRET, now=instant + 301)
    assert is_genuine(request.body, request.headers, SECRET, now=instant + 299)


async def test_headers_of_the_configuration_cannot_replace_the_signature(is_genuine: Callable[..., bool]) -> None:
    """Headers of one's own go along, but not in the place of ours."""
    request = await sent(secret=SECRET, headers={"X-Aggregator-Signature": "sha256=00", "X-Team": "desk"})
    assert is_genuine(request.body, request.headers, SECRET)
    assert request.headers["X-Team"] == "desk"


async def test_without_a_secret_nothing_is_signed() -> None:
    """No header pretends to be a signature."""
    assert not [name for name in (await sent()).headers if name.startswith("X-Aggregator-")]


def test_signature_is_constant() -> None:
    """The promise to receivers, as a vector that never changes."""
    at = datetime(2026, 3, 2, 8, 14, tzinfo=UTC)
    assert signed(b'{"id": "1"}', SECRET, at) == {
        "X-Aggregator-Timestamp": "1772439240",
        "X-Aggregator-Signature": "sha256=626f4a1a593d2dfad4163abdb1df47e2071a5653156431ca3d2e9e172a6de2b3",
    }


async def test_secret_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    """It is in no request, no error, no log at its loudest and no value that is printed."""
    caplog.set_level("DEBUG")
    with receiver() as peer:
        peer.answer = lambda request: (500, {}, f"{request.headers} {SECRET}".encode())
        channel = hook(peer, secret=SECRET)
        with pytest.raises(DeliveryError) as caught:
            await open_notifier(SystemClock()).send(channel, alerts()["instant"])
    (request,) = peer.requests
    for text in (str(caught.value), repr(channel), str(request.headers), request.body.decode(), caplog.text):
        assert SECRET not in text


def test_short_secret_is_refused() -> None:
    """A secret that can be guessed is named at its place."""
    channel = Channel(name="hook", service="webhook", url=(SecretStr("https://example.org/"),), secret="short")
    assert [(p.path, p.message) for p in check_channels([channel])] == [
        (("hook", "secret"), "a signing secret needs at least 16 characters")
    ]
