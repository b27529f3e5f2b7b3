"""When things run: APScheduler ticks, the database knows.

Nothing that matters lives in the scheduler: its jobs are a handful of ticks, and a missed tick
is made up by the next. The traps of APScheduler 3.11 are closed here, once: a job that is late
must still run (`misfire_grace_time=None`), piled-up runs become one (`coalesce`), and no
exception may reach the scheduler, since a failing job update kills it silently.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from aggregator.core.delivery import due_at
from aggregator.core.errors import AggregatorError

log = logging.getLogger(__name__)

Tick = Callable[[], Awaitable[object]]


async def kept_alive(
    name: str,
    run: Callable[[], Awaitable[object]],
    failed: Callable[[str, BaseException], object] | None = None,
    *,
    pause_s: float = 5.0,
) -> None:
    """Run what should never end, and again after a pause where it ends all the same; until cancelled."""
    while True:
        ended: BaseException
        try:
            await run()
            ended = RuntimeError("it ended unexpectedly")
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            ended = error
        log.error("%s failed and is started again in %g s: %r", name, pause_s, ended, exc_info=ended)
        if failed is not None:
            failed(name, ended)
        await asyncio.sleep(pause_s)


class FixedPause(BaseTrigger):  # type: ignore[misc]  # the library is untyped
    """A fixed number of seconds after the last time, or after now if that has passed.

    The library's own interval lists every time that was missed: millions after a week of sleep.
    """

    def __init__(self, seconds_between: float) -> None:
        self.length = timedelta(seconds=seconds_between)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        after = (previous_fire_time or now) + self.length
        return after if after > now else now + self.length


class ByRhythm(BaseTrigger):  # type: ignore[misc]  # the library is untyped
    """Instants of a rhythm on a zone's clock: the same as those of digests, even across clock changes."""

    def __init__(self, rhythm: str, zone: str) -> None:
        self.rhythm, self.zone = rhythm, zone

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        return due_at(self.rhythm, max(previous_fire_time or now, now), self.zone)


class Scheduler:
    """Named ticks, each with a heart that is seen beating.

    `beat(name)` is called after every tick that ended well; the watchdog reads those beats, so
    that a loop that hangs or fails forever is noticed although the process lives.
    """

    def __init__(self, loop: Callable[[str], None], failed: Callable[[str, BaseException], None]) -> None:
        self._beat = loop
        self._failed = failed
        self._running: set[asyncio.Task[Any]] = set()
        self._faults: dict[str, str] = {}
        # It warns whenever a tick outlasts its pause; here that is by design, and beats tell of those that hang.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        self._scheduler = AsyncIOScheduler(
            timezone=ZoneInfo("UTC"),
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )

    def every(self, name: str, seconds_between: float, tick: Tick, *, now: datetime) -> None:
        """Run `tick` now and then at a fixed interval; never two at once."""
        pause = FixedPause(seconds_between)
        self._scheduler.add_job(self._guarded(name, tick), pause, id=name, next_run_time=now, replace_existing=True)

    def rhythm(self, name: str, rhythm: str, zone: str, tick: Tick) -> None:
        """Run `tick` by a rhythm of the configuration (`hourly`, `daily 08:00`, a duration …)."""
        self._scheduler.add_job(self._guarded(name, tick), ByRhythm(rhythm, zone), id=name, replace_existing=True)

    def resume(self, now: datetime) -> None:
        """Go on from `now`: the clock was set back, and every next time still lies where it had been."""
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=job.trigger.get_next_fire_time(None, now))

    def soon(self, name: str, now: datetime) -> None:
        """Run a tick at once instead of at its next time; unknown names are fine."""
        job = self._scheduler.get_job(name)
        if job and job.next_run_time > now:
            job.modify(next_run_time=now)

    def names(self, prefix: str) -> frozenset[str]:
        """Return the ticks whose names begin like this."""
        return frozenset(job.id for job in self._scheduler.get_jobs() if job.id.startswith(prefix))

    def forget(self, name: str) -> None:
        """Stop a tick; unknown names are fine."""
        if self._scheduler.get_job(name):
            self._scheduler.remove_job(name)

    def start(self) -> None:
        self._scheduler.start()

    async def stop(self, grace_s: float) -> None:
        """Start no further tick; those under way get `grace_s` seconds to end, then are cancelled."""
        self._scheduler.pause()  # not shutdown yet: that would cancel them at once
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._scheduler.shutdown(wait=False)

    def _guarded(self, name: str, tick: Tick) -> Tick:
        async def guarded() -> None:
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            try:
                await tick()
            except AggregatorError as error:  # a fault of the world: one line, and not the same one every second
                known, self._faults[name] = self._faults.get(name), str(error)
                log.log(logging.DEBUG if known == str(error) else logging.ERROR, "tick %s failed: %s", name, error)
                self._failed(name, error)
            except (Exception, asyncio.CancelledError) as error:  # a bug must stop one tick, not the service
                if task.cancelling():
                    raise
                log.exception("tick %s failed", name)
                self._failed(name, error)
            else:
                self._faults.pop(name, None)
                self._beat(name)
            finally:
                self._running.discard(task)

        return guarded
