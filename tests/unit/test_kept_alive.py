"""A task that should never end is restarted, and the failure is logged."""

import asyncio

import pytest

from aggregator.scheduler import kept_alive

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The service speaks asyncio."""
    return "asyncio"


async def test_it_is_started_again_whatever_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    """By an error, by a cancellation from within, by itself; a cancellation from outside ends it."""
    endings = [RuntimeError("first"), asyncio.CancelledError(), None]
    failed: list[tuple[str, str]] = []
    alive = asyncio.Event()

    async def run() -> None:
        if endings:
            if ending := endings.pop(0):
                raise ending
            return
        alive.set()
        await asyncio.sleep(60)

    def note(name: str, error: BaseException) -> None:
        failed.append((name, type(error).__name__))

    task = asyncio.create_task(kept_alive("clock", run, note, pause_s=0.0))
    await asyncio.wait_for(alive.wait(), 10)
    assert failed == [("clock", "RuntimeError"), ("clock", "CancelledError"), ("clock", "RuntimeError")]
    assert "clock failed and is started again" in caplog.text
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
