"""The whole pipe: feeds per CPU-second of the process tree, from fetch to commit, matching included.

    python -m benchmarks.end_to_end [--feeds 1000] [--rules 100] [--json results.json]

Scenarios: cold (all new), 304 (nothing changed), 10 % new (one new entry in every tenth feed),
200 unchanged (no validators, the same bytes). Entries stored are compared with entries published.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.publisher import address, published

SCENARIOS = (("cold", 0, 1), ("304", 0, 1), ("10 % new", 1, 1), ("200 unchanged", 1, 0))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def configure(folder: Path, feeds: int, rules: int, port: int) -> Path:
    lines = [
        f"settings: {{database: 'sqlite:///{folder}/db.sqlite', default_channels: [console],",
        "  polling: {min_interval: 1s, concurrency: 256, per_host: 4, flood_limit: 100000},",
        '  http: {allow: ["127.0.0.0/8"]}, web: {enabled: false}}',
        "channels: {console: {service: console}}",
        "feeds:",
        *(f'  - {{id: f{i}, url: "http://{address(i)}:{port}/f/{i}", every: 1s}}' for i in range(feeds)),
        "rules:",
        *(f'  - {{id: r{i}, any: ["zxq{i} watchword{i}", "S-{400 + i}"]}}' for i in range(max(1, rules))),
    ]
    config = folder / "config.yaml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def timed(command: list[str]) -> tuple[Any, float, float, float]:
    """The command's JSON document, wall seconds, CPU seconds of its tree, peak MB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return json.loads(out), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.publisher", str(port)], stdout=subprocess.PIPE)
    assert server.stdout
    server.stdout.readline()
    rows = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            config = configure(Path(folder), wanted.feeds, wanted.rules, port)
            base = [sys.executable, "-m", "aggregator"]
            for name, version, validators in SCENARIOS:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_set?version={version}&validators={validators}").read()
                shape, wall, cpu, peak = timed([*base, "poll", "--force", "--json", "--config", str(config)])
                assert shape["feeds"]["polled"] == wanted.feeds, shape
                stored, *_ = timed([*base, "db", "stats", "--json", "--config", str(config)])
                expected = sum(published(feed, version) for feed in range(wanted.feeds))
                rows.append(
                    {
                        "scenario": name,
                        "feeds_per_cpu_s": round(wanted.feeds / cpu, 1),
                        "wall_s": round(wall, 2),
                        "cpu_s": round(cpu, 2),
                        "peak_mb": round(peak),
                        "stored": stored["entries"],
                        "published": expected,
                    }
                )
                print(
                    "{scenario:14} {feeds_per_cpu_s:8} feeds/CPU-s  wall {wall_s:6} s  peak {peak_mb:4} MB  "
                    "stored {stored}/{published}".format(**rows[-1]),
                    flush=True,
                )
    finally:
        server.terminate()
        server.wait()
    if wanted.json:
        wanted.json.write_text(json.dumps({"feeds": wanted.feeds, "rules": wanted.rules, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
