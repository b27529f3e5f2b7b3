"""The cost of hostile feeds, and their effect on other feeds.

    python -m benchmarks.hostile [--seconds 20] [--rounds 12] [--json benchmarks/results/hostile.json]

First every hostile document and server (tests/support/hostile_documents.py) is polled alone by the real house:
what the feed's error says, seconds, CPU seconds of the process tree, the most memory that the main
process and all of its workers held, and whether a worker died of it. Then 100 healthy feeds, each with
a new entry at every poll, are polled every four seconds, in turn without and with the hostile ones
beside them; those once a minute each, the fastest that the default `polling.min_interval` allows, although
their failures would earn them hours. Goal: the 99th percentile of healthy polls within 20 %, the whole
tree below 600 MB.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeVar

import psutil

from benchmarks.end_to_end import free_port
from benchmarks.publisher import address

Row = TypeVar("Row", "Case", "Phase")

HEALTHY, EVERY_S = 100, 4
GOAL_RATIO, GOAL_MB = 1.2, 600
TIMEOUT_S = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What one poll of one hostile feed came to; `worker` is "lives", "died" or "none" (it was not needed)."""

    case: str
    outcome: str
    seconds: float
    cpu_s: float
    main_mb: float
    workers_mb: float
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """How healthy polls went for a while."""

    hostile: bool
    polls: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    tree_mb: float
    cpu_s: float
    hostile_polls: int


class TargetProcess:
    """The application under attack, seen from outside."""

    def __init__(self, config: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.target_process", str(config)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._main = psutil.Process(self._process.pid)
        self._watching = threading.Event()
        self.main_mb = self.workers_mb = self.tree_mb = 0.0

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def workers(self) -> set[int]:
        return {child.pid for child in self._main.children()}

    def cpu_s(self) -> float:
        """Processor time of the tree, of the dead too."""
        used: float = sum(self._main.cpu_times()[:4])
        for child in self._main.children(recursive=True):
            try:
                used += sum(child.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
        return used

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keeps the peaks of memory meanwhile."""
        self.main_mb = self.workers_mb = self.tree_mb = 0.0
        self._watching.set()
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        try:
            yield
        finally:
            self._watching.clear()
            watcher.join()

    def _watch(self) -> None:
        while self._watching.is_set():
            main = _resident_mb(self._main)
            workers = sum(map(_resident_mb, self._main.children(recursive=True)))
            self.main_mb, self.workers_mb = max(self.main_mb, main), max(self.workers_mb, workers)
            self.tree_mb = max(self.tree_mb, main + workers)
            time.sleep(0.01)

    def end(self) -> None:
        self._process.communicate(timeout=60)


def _resident_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def configure(folder: Path, villains: Sequence[str], port: int) -> Path:
    """A file for the application: healthy feeds h0 …, hostile ones v0 …"""
    feeds = [
        f'  - {{id: h{n}, url: "http://{address(n * 10)}:{port}/f/{n * 10}", every: {EVERY_S}s}}'
        for n in range(HEALTHY)
    ]
    feeds += [f'  - {{id: v{n}, url: "{url}", every: 300s}}' for n, url in enumerate(villains)]
    lines = [
        f"settings: {{database: 'sqlite:///{folder}/db.sqlite', default_channels: [console],",
        "  polling: {min_interval: 1s},",
        f'  http: {{allow: ["127.0.0.0/8"], timeout: {TIMEOUT_S}s, connect_timeout: 1s}}, web: {{enabled: false}}}}',
        "channels: {console: {service: console}}",
        "feeds:",
        *feeds,
        "rules:",
        '  - {id: watch, any: ["S-400", "watchword"]}',
    ]
    config = folder / "config.yaml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def measure(target: TargetProcess, number: int, case: str) -> Case:
    """One poll of one hostile feed, with a warm worker beside it."""
    target.ask(poll="h0")
    before, used = target.workers(), target.cpu_s()
    with target.watched():
        answer = target.ask(poll=f"v{number}")
    after = target.workers()
    return Case(
        case=case,
        outcome=answer["error"] or f"read, {answer['new']} new",
        seconds=round(answer["seconds"], 2),
        cpu_s=round(target.cpu_s() - used, 2),
        main_mb=round(target.main_mb),
        workers_mb=round(target.workers_mb),
        worker="lives" if before <= after else "ended",
    )


@contextmanager
def news(port: int) -> Iterator[None]:
    """Every second a new entry in each healthy feed, and never a 304."""
    over = threading.Event()

    def publish() -> None:
        version = 0
        while not over.wait(1.0):
            version += 1
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_set?version={version}&validators=0").read()

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        yield
    finally:
        over.set()
        publisher.join()


def live(target: TargetProcess, seconds: float, hostile: Sequence[str], again_s: float, *, awake: bool) -> Phase:
    """Healthy feeds for a while, and hostile ones beside them or not."""
    used = target.cpu_s()
    with target.watched():
        taken = target.ask(live_s=seconds, hostile=list(hostile), again_s=again_s, awake=awake)["seconds"]
    healthy = [1000 * one for feed, times in taken.items() if feed.startswith("h") for one in times]
    cuts = quantiles(healthy, n=100)
    return Phase(
        hostile=awake,
        polls=len(healthy),
        p50_ms=round(cuts[49], 1),
        p99_ms=round(cuts[98], 1),
        max_ms=round(max(healthy), 1),
        tree_mb=round(target.tree_mb),
        cpu_s=round(target.cpu_s() - used, 1),
        hostile_polls=sum(len(times) for feed, times in taken.items() if feed.startswith("v")),
    )


def serve(stack: ExitStack, *command: str) -> str:
    """Start a server; gives its first line."""
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    assert process.stdout
    return process.stdout.readline()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of each phase")
    parser.add_argument("--rounds", type=int, default=12, help="of both phases")
    parser.add_argument("--again", type=float, default=60, help="seconds until a hostile feed is polled again")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    port = free_port()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        urls = {
            case: url
            for case, url in json.loads(serve(stack, "benchmarks.hostile_servers")).items()
            if wanted.only in case
        }
        serve(stack, "benchmarks.publisher", str(port))
        target = TargetProcess(configure(Path(folder), list(urls.values()), port))
        stack.callback(target.end)
        with news(port):
            cases = [shown(measure(target, number, case), case_line) for number, case in enumerate(urls)]
            villains = [f"v{number}" for number in range(len(urls))]
            for number in range(HEALTHY):  # evenly, as feeds of long standing are
                target.ask(poll=f"h{number}")
                time.sleep(EVERY_S / HEALTHY)
            live(target, 2 * EVERY_S, villains, wanted.again, awake=False)
            phases = [
                shown(live(target, wanted.seconds, villains, wanted.again, awake=awake), phase_line)
                for _ in range(wanted.rounds)
                for awake in (False, True)
            ]
    ratio, most_mb = verdict(phases)
    print(f"p99 {ratio:.2f} × of alone (goal {GOAL_RATIO}), tree {most_mb:.0f} MB at most (goal {GOAL_MB})")
    if wanted.json:
        shape = {"cases": [asdict(case) for case in cases], "phases": [asdict(phase) for phase in phases]}
        wanted.json.write_text(json.dumps(shape | {"p99_ratio": round(ratio, 3), "tree_mb": most_mb}, indent=2) + "\n")


def verdict(phases: Sequence[Phase]) -> tuple[float, float]:
    """The median phases of both kinds compared, and the most memory."""
    alone, beside = (median(phase.p99_ms for phase in phases if phase.hostile is kind) for kind in (False, True))
    return beside / alone, max(phase.tree_mb for phase in phases)


def case_line(case: Case) -> str:
    return (
        f"{case.case:42.42} {case.seconds:6.2f} s {case.cpu_s:6.2f} CPU-s  main {case.main_mb:4.0f} MB"
        f"  workers {case.workers_mb:4.0f} MB  {case.worker:5}  {case.outcome}"
    )


def phase_line(phase: Phase) -> str:
    beside = f"{phase.hostile_polls} hostile polls beside" if phase.hostile else "alone"
    return (
        f"{phase.polls:6} healthy polls  p50 {phase.p50_ms:6.1f} ms  p99 {phase.p99_ms:6.1f} ms"
        f"  max {phase.max_ms:7.1f} ms  tree {phase.tree_mb:4.0f} MB  {phase.cpu_s:5.1f} CPU-s  {beside}"
    )


def shown(row: Row, line: Callable[[Row], str]) -> Row:
    print(line(row), flush=True)
    return row


if __name__ == "__main__":
    main()
