"""Where a pass spends its time: milliseconds of CPU of `poll --force`, by stage, for each scenario.

    python -m benchmarks.stages [--feeds 1000] [--rules 1000]

Start-up is timed between its steps. The polls themselves run a second time under cProfile, whose shares (by the
package that the time was spent in) are laid on the time that they take without it. Work in other processes, which
parse, is not in it.
"""

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.end_to_end import SCENARIOS, configure, free_port

PARTS = (
    ("libcurl", ("pycurl", "aggregator/fetch/curl", "selectors", "_socket")),
    ("fetch", ("aggregator/fetch", "yarl", "multidict", "urllib", "ipaddress")),
    ("decide", ("aggregator/core/polling", "aggregator/pipeline", "dataclasses", "datetime")),
    ("match", ("aggregator/core/rules", "aggregator/core/text", "re/", "unicodedata")),
    ("stories, routing", ("aggregator/core/stories", "aggregator/core/routing", "rensa")),
    ("store", ("aggregator/store", "sqlalchemy", "sqlite3")),
    ("parse (its front)", ("aggregator/parse", "msgspec")),
    ("loop", ("asyncio", "uvloop", "select", "concurrent", "threading", "queue")),
)


def part_of(file: str, function: str) -> str:
    for name, marks in PARTS:
        if any(mark in file or mark in function for mark in marks):
            return name
    return "other"


def child(config: str) -> None:
    """One pass in this process; prints {stage: ms} to stderr."""
    stages: dict[str, float] = {}
    at = time.process_time()

    def step(name: str) -> None:
        nonlocal at
        now = time.process_time()
        stages[name] = stages.get(name, 0.0) + (now - at) * 1e3
        at = now

    sys.argv = ["aggregator", "poll", "--force", "--json", "--config", config]
    from aggregator import app
    from aggregator.app import application, usable  # noqa: F401
    from aggregator.cli import main as command
    from aggregator.pipeline.poll import Poller
    from aggregator.store import factory  # noqa: F401

    step("imports")
    honest_load, honest_once = app.load_config, Poller.once
    profile = cProfile.Profile() if os.environ.get("PROFILED") else None

    def load_config(*given: Any, **more: Any) -> Any:
        step("between")
        loaded = honest_load(*given, **more)
        step("configuration, rules compiled")
        return loaded

    async def once(self: Poller, *given: Any, **more: Any) -> None:
        step("database opened, feeds synchronised")
        if profile:
            profile.enable()
        await honest_once(self, *given, **more)
        if profile:
            profile.disable()
        step("polls")

    vars(app)["load_config"] = load_config
    Poller.once = once  # type: ignore[method-assign]
    try:
        command()
    except SystemExit:
        pass
    finally:
        step("end")
        shares = Counter[str]()
        if profile:
            found: Any = pstats.Stats(profile)
            for (file, _, function), (_, _, own, _, _) in found.stats.items():
                shares[part_of(file, function)] += own
        print(json.dumps({"stages": stages, "shares": shares}), file=sys.stderr)


def run(config: Path, profiled: bool) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "benchmarks.stages", "--child", str(config)]
    environ = {**os.environ, "PROFILED": "1" if profiled else ""}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    measured: dict[str, dict[str, float]] = json.loads(ended.stderr.splitlines()[-1])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child:
        child(wanted.child)
        return
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.publisher", str(port)], stdout=subprocess.PIPE)
    assert server.stdout
    server.stdout.readline()
    try:
        with tempfile.TemporaryDirectory() as folder:
            config = configure(Path(folder), wanted.feeds, wanted.rules, port)
            for number, (name, version, validators) in enumerate(SCENARIOS):
                asked = [version, version + 1] if number == 2 else [version, version]
                figures = []
                for profiled, at in zip((False, True), asked, strict=True):
                    if name == "cold":
                        (Path(folder) / "db.sqlite").unlink(missing_ok=True)
                    address = f"http://127.0.0.1:{port}/_set?version={at}&validators={validators}"
                    urllib.request.urlopen(address).read()
                    figures.append(run(config, profiled))
                plain, shares = figures[0]["stages"], figures[1]["shares"]
                print(f"\n{name}: {sum(plain.values()):.0f} ms")
                for stage, ms in plain.items():
                    print(f"  {ms:8.0f} ms  {stage}")
                    if stage == "polls":
                        for part, share in sorted(shares.items(), key=lambda one: -one[1]):
                            print(f"    {ms * share / sum(shares.values()) / wanted.feeds * 1e3:8.0f} µs/poll  {part}")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
