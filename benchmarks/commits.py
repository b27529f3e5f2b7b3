"""How long commits of polls wait on PostgreSQL while others have hits: S7 of `benchmarks.cluster`.

    python -m benchmarks.commits [--polls 2000] [--processes 3] [--rate 100] [--at-once]

Each process writes its share of the polls, so many a second (more than it can: as fast as it can); every second one has
a hit. Waits are from the call of a commit to its return, of which 20 ms are for gathering a group. One process routes,
as in a cluster. `--at-once`: hits are routed inside their commits instead, as on SQLite and as it was before.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from msgspec import structs

from aggregator.core.model import Entry, FeedState, PollResult, UnroutedPoll
from aggregator.core.routing import describe
from aggregator.core.rules import compile_rule
from aggregator.core.settings import Config, Feed, RuleConfig
from aggregator.pipeline.context import ActiveConfig, Context, activate
from aggregator.pipeline.matching import match
from aggregator.pipeline.routing import HitRouter, decide
from aggregator.pipeline.vocabulary import StreamVocabulary
from aggregator.store import Store, open_store
from tests.support.cluster import OwnPostgres

WARM_UP = 4  # polls of each process that are not measured
WORDS = ("Turkey", "Russia", "battery", "missile", "contract", "sanctions", "delivery", "ministry", "regiment", "radar")


class WallClock:
    """The time of day."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def configuration() -> ActiveConfig:
    rule = RuleConfig.model_validate({"id": "s400", "any": ["S-400"]})
    channels = {"desk": {"name": "desk", "service": "console"}}
    config = Config.model_validate({"rules": (rule,), "channels": channels, "settings": {"default_channels": ["desk"]}})
    return replace(activate(config, [compile_rule(rule, {})]), number=1)


def feeds(process: int, polls: int) -> list[Feed]:
    names = [f"p{process}n{number}" for number in range(polls)]
    return [Feed.model_validate({"id": name, "url": f"https://{name}.example/feed"}) for name in names]


def entry(feed: str, number: int, now: datetime) -> Entry:
    """News of its own, now and then a copy of what another process has."""
    number = number % 40 if number % 10 == 0 else number
    said = " ".join(WORDS[number * step % len(WORDS)] for step in (1, 3, 5, 7, 11)) + f" {number}"
    title = f"S-400: {said}"
    return Entry(feed=feed, key=f"{feed}-k", title=title, summary=f"{title}, said {number}.", seen_at=now)


async def write(
    store: Store, active: ActiveConfig, wanted: Sequence[Feed], *, rate: float, at_once: bool
) -> tuple[list[float], list[float]]:
    """Commit a poll of each of these feeds, `rate` a second; return the waits without and with hits, in seconds."""
    frequencies, waits = await StreamVocabulary().frequencies(), (list[float](), list[float]())
    named, now = [feed.id or "" for feed in wanted], datetime.now(UTC)
    claimed = await store.feeds.claim_due(now, owner="me", lease_s=600, limit=len(wanted), ids=named, force=True)
    began = time.perf_counter()

    async def poll(number: int, state: FeedState) -> None:
        await asyncio.sleep(began + number / rate - time.perf_counter())
        now = datetime.now(UTC)
        state = structs.replace(state, last_polled_at=now, next_poll_at=now + timedelta(hours=1))
        asked = UnroutedPoll(feed=state.id, at=now, config=1)
        if number % 2:
            entries = (entry(state.id, number, now),)
            hits = match(active, wanted[0], entries, now)
            asked = structs.replace(asked, hits=hits, entries=entries, reports=describe(entries, hits, now))
        result = PollResult(state=state, entries=asked.entries, hits=asked.hits)
        called = time.perf_counter()
        if not asked.hits:
            await store.feeds.commit(result, owner="me")
        elif at_once:
            question, route = decide(active.router, frequencies, asked)
            await store.feeds.commit(result, owner="me", question=question, route=route)
        else:
            await store.feeds.commit(result, owner="me", later=asked)
        waits[bool(asked.hits)].append(time.perf_counter() - called)

    await asyncio.gather(*(poll(number, state) for number, state in enumerate(claimed)))
    return waits


async def worker(url: str, process: int, polls: int, rate: float, at_once: bool) -> None:
    """Write a share of the polls, from a line on stdin on; say how long that took, and the waits."""
    async with open_store(url, index_text=lambda one: one.title) as store:
        active, wanted = configuration(), feeds(process, polls + WARM_UP)
        await write(store, active, wanted[polls:], rate=1e4, at_once=at_once)  # connects, and makes the statements
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.perf_counter()
        waits = await write(store, active, wanted[:polls], rate=rate, at_once=at_once)
        print(json.dumps({"took_s": time.perf_counter() - began, "waits": waits}), flush=True)


async def router(url: str) -> None:
    """Route what waits until a line comes, as the job of a cluster does."""
    active, over = configuration(), asyncio.Event()
    async with open_store(url, index_text=lambda one: one.title) as store:
        routing = HitRouter(Context(config=lambda: active, clock=WallClock(), owner="me"), store.feeds)
        print("ready", flush=True)

        async def listen() -> None:
            await asyncio.to_thread(sys.stdin.readline)
            over.set()

        listening, hits, cpu = asyncio.create_task(listen()), 0, time.process_time()
        while not over.is_set():
            hits += await routing.run()
            await asyncio.sleep(0.02)
        began = time.perf_counter()
        hits += await routing.run()
        behind = time.perf_counter() - began
        print(json.dumps({"hits": hits, "behind_s": behind, "cpu_s": time.process_time() - cpu}), flush=True)
        await listening


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.commits", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def told(process: "subprocess.Popen[str]") -> dict[str, object]:
    assert process.stdout
    found: dict[str, object] = json.loads(process.stdout.readline())
    return found


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def measure(polls: int, processes: int, rate: float, *, at_once: bool) -> dict[str, float]:
    """Return what so many processes did: polls a second, the router's lag, and waits in ms without and with hits."""
    with closing(OwnPostgres()) as server:
        url = server.create("commits")

        async def prepare() -> None:
            async with open_store(url, index_text=lambda one: one.title) as store:
                await store.maintenance.upgrade()
                wanted = [feed for number in range(processes) for feed in feeds(number, polls // processes + WARM_UP)]
                await store.feeds.sync(wanted, datetime.now(UTC))

        asyncio.run(prepare())
        mode = ["--rate", str(rate / processes), *(["--at-once"] if at_once else [])]
        share = str(polls // processes)
        workers = [start("--worker", str(number), "--url", url, "--polls", share, *mode) for number in range(processes)]
        routing = None if at_once else start("--router", "--url", url)
        began = time.perf_counter()
        for one in workers:
            go(one)
        found = [told(one) for one in workers]
        took = time.perf_counter() - began
        result = {"polls_s": polls / took}
        if routing is not None:
            go(routing)
            lag = told(routing)
            result |= {"hits": float(str(lag["hits"])), "behind_s": float(str(lag["behind_s"]))}
            result["router_ms"] = float(str(lag["cpu_s"])) * 1000 / max(1.0, result["hits"])
        for one in (*workers, *([routing] if routing else [])):
            one.communicate(timeout=30)
        for place, name in enumerate(("", "hits_")):
            waits = sorted(wait * 1000 for one in found for wait in one["waits"][place])  # type: ignore[index]
            for said, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                result[name + said] = waits[min(len(waits) - 1, int(len(waits) * part))]
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polls", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rate", type=float, default=100.0, help="polls a second, of all processes together")
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("--worker", type=int, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--router", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.worker is not None:
        asyncio.run(worker(wanted.url, wanted.worker, wanted.polls, wanted.rate, wanted.at_once))
    elif wanted.router:
        asyncio.run(router(wanted.url))
    else:
        found = measure(wanted.polls, wanted.processes, wanted.rate, at_once=wanted.at_once)
        print(", ".join(f"{name} {value:.1f}" for name, value in found.items()))


if __name__ == "__main__":
    main()
