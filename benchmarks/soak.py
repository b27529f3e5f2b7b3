"""A long run against a faulty world: whether memory or descriptors grow, and whether feeds are polled when due.

    python -m benchmarks.soak [--feeds 2000] [--minutes 60] [--every 60] [--json results.json]

Every request has one chance in ten to be answered by an error, half a document, no document, a reset or nothing at all;
a tenth of the feeds has a new entry each minute, and rules match some. Each 15 s the memory (PSS), the descriptors of
the whole process tree and the latest feed are noted. A line fitted to what came after the first third gives the slopes.
"""

import argparse
import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks import publisher
from benchmarks.end_to_end import free_port

SAMPLE_S = 15.0
FAULTS = ("error", "rest", "half", "reset", "silence", "rubbish", "elsewhere", "wrong length")


class Sample(NamedTuple):
    """Megabytes and descriptors of the tree; how late the latest feed is, in parts of its interval."""

    at_s: float
    pss_mb: float
    rss_mb: float
    descriptors: int
    processes: int
    polled: int
    entries: int
    lateness: float


class FaultyConnection(publisher.Connection):
    """Answers as `publisher` does, or not."""

    dice = random.Random(7)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if b"\r\n\r\n" not in self.buffer:
            return
        fault = self.dice.choice(FAULTS) if self.dice.random() < 0.1 else ""
        transport: asyncio.Transport = self.transport  # type: ignore[assignment]
        if fault == "reset":
            transport.abort()
        elif fault == "silence":
            return
        else:
            transport.write(self.answer(fault))
            transport.close()

    def answer(self, fault: str) -> bytes:
        head, _, headers = self.buffer.partition(b"\r\n")
        path = head.split()[1].decode()
        if fault == "error":
            return publisher.reply(500, b"", b"")
        if fault == "rest":
            return publisher.reply(503, b"Retry-After: 20\r\n", b"")
        if fault == "elsewhere":
            return publisher.reply(302, b"Location: /f/0\r\n", b"")
        if fault == "rubbish":
            return publisher.reply(200, b"Content-Type: text/xml\r\n", b"<rss><channel>" + self.dice.randbytes(20_000))
        found = publisher.respond(path, headers)
        if fault == "half":
            return found[: len(found) // 2]
        return found.replace(b"Content-Length: ", b"Content-Length: 9") if fault == "wrong length" else found


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(FaultyConnection, "0.0.0.0", port, backlog=4096)
    print("ready", flush=True)
    while True:
        await asyncio.sleep(60)
        publisher.STATE["version"] += 1
        assert server.is_serving()


def configure(folder: Path, feeds: int, rules: int, every_s: int, port: int, page: int) -> Path:
    lines = [
        f"settings: {{database: 'sqlite:///{folder}/db.sqlite', default_channels: [log],",
        f"  polling: {{min_interval: {every_s}s, per_host: 1}},",
        f'  http: {{allow: ["127.0.0.0/8"], timeout: 10s}}, web: {{listen: "127.0.0.1:{page}"}}}}',
        "channels: {log: {service: console}}",
        "feeds:",
        *(
            f'  - {{id: f{i}, url: "http://{publisher.address(i)}:{port}/f/{i}", every: {every_s}s}}'
            for i in range(feeds)
        ),
        "rules:",
        *(f'  - {{id: r{i}, any: ["zxq{i} watchword{i}", "S-{400 + i}"]}}' for i in range(rules)),
        "  - {id: some, all: [санкции, parliament, budget]}",
    ]
    config = folder / "config.yaml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def sample(pid: int, database: Path, began: float) -> Sample:
    pss = rss = descriptors = 0
    processes = tree(pid)
    for one in processes:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()[1:])
        pss, rss = pss + int(lines["Pss"].split()[0]), rss + int(lines["Rss"].split()[0])
        descriptors += len(os.listdir(f"/proc/{one}/fd"))
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        polled, latest = connection.execute(
            "SELECT count(last_polled_at), max((? - next_poll_at) / 1e6 / interval_s) FROM feeds "
            "WHERE lease_owner IS NULL AND interval_s > 0 AND next_poll_at > 0",
            (int(time.time() * 1e6),),
        ).fetchone()
        (entries,) = connection.execute("SELECT count(*) FROM entries").fetchone()
    at_s = time.monotonic() - began
    return Sample(at_s, pss / 1024, rss / 1024, descriptors, len(processes), polled, entries, max(0.0, latest or 0.0))


def slope_per_hour(samples: list[Sample], name: str) -> float:
    """The least-squares slope of a figure, among samples of equally many processes.

    Each round of polls starts parse workers and ends them. Were all samples one line, rounds that take longer on a busy
    machine would look like growth.
    """
    groups: dict[int, list[Sample]] = {}
    for one in samples:
        groups.setdefault(one.processes, []).append(one)
    above = below = 0.0
    for group in groups.values():
        times, values = [one.at_s / 3600 for one in group], [float(getattr(one, name)) for one in group]
        mean_t, mean_v = sum(times) / len(times), sum(values) / len(values)
        above += sum((at - mean_t) * (value - mean_v) for at, value in zip(times, values, strict=True))
        below += sum((at - mean_t) ** 2 for at in times)
    return above / below


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=2000)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=int, default=60, help="seconds between polls of a feed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.serve:
        asyncio.run(serve(wanted.serve))
        return
    port, samples = free_port(), list[Sample]()
    this = [sys.executable, "-m", "benchmarks.soak", "--serve", str(port)]
    server = subprocess.Popen(this, stdout=subprocess.PIPE)
    assert server.stdout
    server.stdout.readline()
    with tempfile.TemporaryDirectory() as folder:
        config = configure(Path(folder), wanted.feeds, wanted.rules, wanted.every, port, free_port())
        with (Path(folder) / "log").open("wb") as log:
            command = [sys.executable, "-m", "aggregator", "run", "--config", str(config)]
            service = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            began = time.monotonic()
            while time.monotonic() - began < wanted.minutes * 60:
                time.sleep(SAMPLE_S)
                if service.poll() is not None:
                    raise SystemExit(f"the service ended: {(Path(folder) / 'log').read_text()[-2000:]}")
                if "ready" not in (Path(folder) / "log").read_text(encoding="utf-8"):
                    continue
                samples.append(sample(service.pid, Path(folder) / "db.sqlite", began))
                print(" ".join(f"{name}={value:.4g}" for name, value in samples[-1]._asdict().items()), flush=True)
        finally:
            service.terminate()
            service.wait()
            server.terminate()
            server.wait()
    settled = [one for one in samples if one.at_s > wanted.minutes * 20]
    found = {f"{name} per hour": slope_per_hour(settled, name) for name in ("pss_mb", "rss_mb", "descriptors")}
    found["latest feed, in parts of its interval"] = max(one.lateness for one in settled)
    for name, value in found.items():
        print(f"{name:40} {value:.3g}")
    if wanted.json:
        wanted.json.write_text(json.dumps({"samples": [one._asdict() for one in samples], **found}, indent=2))


if __name__ == "__main__":
    main()
