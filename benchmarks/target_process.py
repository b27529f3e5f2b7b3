"""The real application (fetcher, parse workers, store), polling on command, for `benchmarks.hostile`.

    python -m benchmarks.target_process CONFIG

Reads commands as lines of JSON and answers each with one:

    {"poll": FEED}                                   {"error", "new", "seconds"}
    {"live_s": 30, "hostile": [FEED, …], "again_s": 5, "awake": true}
                                                     {"seconds": {FEED: [of each poll, …]}}

`live_s` lets the poller tick as the service does. The hostile feeds are paused, or, `awake`, each is made
due every `again_s` seconds, whatever its failures earned it.
"""

import asyncio
import json
import os
import sys
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import Any

from aggregator.app import runtime as runtime_module
from aggregator.app.application import Application, open_application
from aggregator.app.runtime import Runtime
from aggregator.config import load
from aggregator.pipeline.polled import PolledFeed

TICK_S = 1.0
polls: dict[str, list[float]] = defaultdict(list)
turns = count()  # from phase to phase, so that every hostile feed has its turn in one of them


async def poll(runtime: Runtime, feed: str) -> dict[str, Any]:
    """One poll of one feed, due or not."""
    done: list[PolledFeed] = []
    await runtime.poller().once([feed], force=True, done=done.append)
    (polled,) = done
    return {"error": str(polled.error or ""), "new": polled.new, "seconds": polled.elapsed_s}


async def live(
    app: Application, runtime: Runtime, live_s: float, hostile: list[str], again_s: float, awake: bool
) -> dict[str, Any]:
    """Tick for a while; gives how long each poll took."""
    for feed in hostile:
        await app.store.catalog.pause(feed, not awake, app.clock.now())
    polls.clear()
    poller, loop = runtime.poller(), asyncio.get_running_loop()
    per_tick = TICK_S / again_s * len(hostile) if awake else 0.0
    for number in range(int(live_s / TICK_S)):
        began = loop.time()
        for _ in range(int(number * per_tick), int((number + 1) * per_tick)):
            await app.store.catalog.poll_soon(hostile[next(turns) % len(hostile)], app.clock.now())
        await poller.tick()
        await asyncio.sleep(max(0.0, began + TICK_S - loop.time()))
    seconds = {feed: list(taken) for feed, taken in polls.items()}
    await poller.drain(60)
    return {"seconds": seconds}


async def main(path: Path) -> None:
    async with open_application(load(path, os.environ)) as app:
        runtime = await app.runtime()
        while line := await asyncio.to_thread(sys.stdin.readline):
            command = json.loads(line)
            if "poll" in command:
                answer = await poll(runtime, command["poll"])
            else:
                answer = await live(app, runtime, **command)
            print(json.dumps(answer), flush=True)


def record(_: object, polled: PolledFeed) -> None:
    polls[polled.feed].append(polled.elapsed_s)


if __name__ == "__main__":
    vars(runtime_module)["observe_poll"] = record  # where the runtime looks it up
    asyncio.run(main(Path(sys.argv[1])))
