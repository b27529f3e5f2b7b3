"""The ticks of the service, where the clock does not run as it should."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from aggregator.scheduler import Scheduler

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


@pytest.fixture
def traveller() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as moved:
        yield moved


@pytest.mark.parametrize("hours", [-24, 24, 24 * 365])
async def test_a_clock_that_jumps(traveller: time_machine.Traveller, hours: int) -> None:
    """Forward, ticks go on by themselves; set back, they go on when told, and daily ones with them."""
    ticks: list[str] = []

    async def tick(name: str) -> None:
        ticks.append(name)

    schedule = Scheduler(lambda _: None, lambda _, error: ticks.append(str(error)))
    schedule.every("poll", 0.05, lambda: tick("poll"), now=NOW)
    schedule.rhythm("heartbeat", "daily 09:01", "UTC", lambda: tick("heartbeat"))
    schedule.start()
    await asyncio.sleep(0.2)
    traveller.shift(timedelta(hours=hours))
    before = len(ticks)
    if hours < 0:
        await asyncio.sleep(0.2)
        assert len(ticks) <= before + 1, "the trap of the library is gone: resume() may go too"
        schedule.resume(NOW + timedelta(hours=hours))
    await asyncio.sleep(0.3)
    assert ticks[before:].count("poll") >= 3
    if hours < 0:
        traveller.move_to(NOW + timedelta(hours=hours, minutes=1, seconds=1))
        schedule._scheduler.wakeup()
        await asyncio.sleep(0.1)
    assert ticks.count("heartbeat") == 1, "today's, in the new time"
    await schedule.stop(1)


async def test_a_long_tick_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """A tick that outlasts its pause runs once at a time, and the library does not warn of it."""
    running, most = 0, 0

    async def tick() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.15)
        running -= 1

    schedule = Scheduler(lambda _: None, lambda _, error: None)
    schedule.every("poll", 0.02, tick, now=NOW)
    schedule.start()
    await asyncio.sleep(0.4)
    await schedule.stop(1)
    assert most == 1
    assert caplog.messages == []
