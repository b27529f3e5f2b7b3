"""The real house (fetcher, parse workers, store), polling what it is told to, for `benchmarks.hostile`.

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

from aggregator.app import runtime as works_module
from aggregator.app.application import House, open_house
from aggregator.app.runtime import Works
from aggregator.config import load
from aggregator.pipeline.ingest import Polled

TICK_S = 1.0
polls: dict[str, list[float]] = defaultdict(list)
turns = count()  # from phase to phase, so that every hostile feed has its turn in one of them


async def poll(works: Works, feed: str) -> dict[str, Any]:
    """One poll of one feed, due or not."""
    done: list[Polled] = []
    await works.poller().once([feed], force=True, done=done.append)
    (polled,) = done
    return {"error": str(polled.error or ""), "new": polled.new, "seconds": polled.elapsed_s}


async def live(
    house: House, works: Works, live_s: float, hostile: list[str], again_s: float, awake: bool
) -> dict[str, Any]:
    """Tick for a while; gives how long each poll took."""
    for feed in hostile:
        await house.store.catalog.pause(feed, not awake, house.clock.now())
    polls.clear()
    poller, loop = works.poller(), asyncio.get_running_loop()
    per_tick = TICK_S / again_s * len(hostile) if awake else 0.0
    for number in range(int(live_s / TICK_S)):
        began = loop.time()
        for _ in range(int(number * per_tick), int((number + 1) * per_tick)):
            await house.store.catalog.poll_soon(hostile[next(turns) % len(hostile)], house.clock.now())
        await poller.tick()
        await asyncio.sleep(max(0.0, began + TICK_S - loop.time()))
    seconds = {feed: list(taken) for feed, taken in polls.items()}
    await poller.drain(60)
    return {"seconds": seconds}


async def main(path: Path) -> None:
    async with open_house(load(path, os.environ)) as house:
        works = await house.works()
        while line := await asyncio.to_thread(sys.stdin.readline):
            command = json.loads(line)
            if "poll" in command:
                answer = await poll(works, command["poll"])
            else:
                answer = await live(house, works, **command)
            print(json.dumps(answer), flush=True)


def record(_: object, polled: Polled) -> None:
    polls[polled.feed].append(polled.elapsed_s)


if __name__ == "__main__":
    works_module.observe_poll = record  # type: ignore[assignment]
    asyncio.run(main(Path(sys.argv[1])))
