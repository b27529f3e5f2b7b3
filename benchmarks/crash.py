"""The guarantee of delivery: kill -9 at random and at every named point, then compare the ledgers.

    python -m benchmarks.crash [--kills 1000] [--lanes 3] [--seed 1] [--cluster] [--json benchmarks/results/crash.json]

A publisher keeps account of what it published, a receiver of what it accepted. Between them the
real service (tests/support/fault_injection.py) dies again and again, then lives in peace until nothing
waits. Lost: published, never accepted. Repeated: acceptances beyond an alert's first. Marked:
repeats that say that they may be one. Cautious: first tellings that say so too. Stuck: deliveries
that are not `sent` in the end.
"""

import argparse
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread

import psycopg

from tests.support.cluster import OwnPostgres
from tests.support.fault_injection import CLUSTER_POINTS, POINTS
from tests.support.harness import Publisher, Receiver, configuration

AT_RANDOM = "at random"
PLACES = (AT_RANDOM, *POINTS)
FEEDS = ("alpha", "beta", "gamma")
SHARE = 40  # kills on one ground
MAX_LIFE_S = 180.0  # on a busy machine
TIMEOUT_S = 120.0  # in peace, without any progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of everything that was published around the kills at one point."""

    point: str
    kills: int = 0
    published: int = 0
    lost: int = 0
    repeated: int = 0
    marked: int = 0
    cautious: int = 0
    stuck: int = 0

    def __add__(self, other: "Account") -> "Account":
        own, others = asdict(self), asdict(other)
        del own["point"]
        return Account(point=self.point, **{name: number + others[name] for name, number in own.items()})

    @property
    def kept(self) -> bool:
        """Does the guarantee hold? Nothing lost, no more repeats than kills, every one of them marked."""
        return not self.lost and not self.stuck and self.repeated <= self.kills and self.marked == self.repeated


class Life:
    """One run of the service, seen from outside."""

    def __init__(self, parent: "subprocess.Popen[str]", point: str, passage: int) -> None:
        assert parent.stdin
        assert parent.stdout
        parent.stdin.write(json.dumps({"point": point, "passage": passage}) + "\n")
        parent.stdin.flush()
        self.pid = int(parent.stdout.readline())
        self.code: int | None = None
        self._parent = parent
        self._reaper = Thread(target=self._reap)
        self._reaper.start()

    def _reap(self) -> None:
        assert self._parent.stdout
        self.code = int(self._parent.stdout.readline())

    def over(self, within_s: float) -> bool:
        self._reaper.join(within_s)
        return self.code is not None

    def end(self, number: int) -> None:
        """Send a signal and wait."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        if not self.over(60):
            raise AssertionError("the service does not end")


class Ground:
    """A publisher, a receiver and a warm parent of services that die."""

    def __init__(self, folder: Path, seed: object, database: str = "") -> None:
        """`database`: the address of one, on PostgreSQL; default: a file of SQLite."""
        self.dice = random.Random(str(seed))
        self.database, self.log = database or f"sqlite:///{folder / 'crash.db'}", folder / "log.txt"
        self.publisher, self.receiver = Publisher(), Receiver()
        self.publisher.window = 10_000  # what comes and goes between two polls is another matter
        self.ledger: list[str] = []
        self.kills = 0
        for feed in FEEDS:
            self.publisher.publish(feed, "zero", "nothing of note")
        config = folder / "config.yaml"
        config.write_text(self._configuration(), encoding="utf-8")
        self.parent = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fault_injection", str(config), str(self.log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _configuration(self) -> str:
        text = configuration(self.publisher, self.receiver, FEEDS, "  - {id: watch, any: [S-400]}", every="200ms")
        text = text.replace("min_interval: 1s", "min_interval: 200ms, first_poll: alert")
        return text.replace("settings:\n", f"settings:\n  database: '{self.database}'\n")

    def publish(self, entries: int) -> None:
        for _ in range(entries):
            feed, mark = self.dice.choice(FEEDS), f"mark{len(self.ledger):06d}"
            self.ledger.append(mark)
            self.publisher.publish(feed, mark, f"S-400 {mark} seen near {feed}")

    def kill(self, point: str) -> None:
        """One life with news in it, and its violent end."""
        self.publish(self.dice.randint(1, 3))
        if point == AT_RANDOM:
            life = Life(self.parent, "", 1)
            life.over(self.dice.uniform(0.02, 1.2))
            life.end(signal.SIGKILL)
        else:
            life = Life(self.parent, point, self.dice.randint(1, 3))
            self._await_trap(life)
        assert life.code == -signal.SIGKILL, f"it ended with {life.code}: {self.log.read_text()[-2000:]}"
        self.kills += 1

    def _await_trap(self, life: Life) -> None:
        deadline = time.monotonic() + MAX_LIFE_S
        while not life.over(0.5):
            self.publish(1)
            if time.monotonic() > deadline:
                life.end(signal.SIGTERM)
                raise AssertionError(f"nothing fell into the trap: {self.log.read_text()[-2000:]}")

    def peace(self) -> None:
        """Let the service live until everything has arrived and nothing waits, or it is clear that it will not."""
        life = Life(self.parent, "", 1)
        done, since = -1, time.monotonic()
        while self.waiting() and time.monotonic() - since < TIMEOUT_S:
            if len(self.receiver.accepted) > done:
                done, since = len(self.receiver.accepted), time.monotonic()
            time.sleep(0.2)
        life.end(signal.SIGTERM)
        assert life.code == 0, self.log.read_text()[-2000:]

    def waiting(self) -> bool:
        return bool(self.stuck() or set(self.ledger) - self.accepted().keys())  # the cheap question first

    def accepted(self) -> dict[str, list[bool]]:
        """By mark, each acceptance in order: did it say that it may be a repeat?"""
        with self.receiver.lock:
            bodies = [message["body"] for message in self.receiver.accepted]
        found: dict[str, list[bool]] = {}
        for body in bodies:
            for mark in set(re.findall(r"mark\d{6}", json.dumps(body))):
                found.setdefault(mark, []).append(bool(body["possible_repeat"]))
        return found

    def stuck(self) -> int:
        where = self.database.removeprefix("sqlite:///").replace("+psycopg", "")
        connect = psycopg.connect if where.startswith("postgresql") else sqlite3.connect
        try:
            with closing(connect(where)) as database:
                states = Counter(state for (state,) in database.execute("SELECT state FROM deliveries"))
        except psycopg.errors.UndefinedTable:  # no life was long enough to make it
            return 1
        return states.total() - states["sent"]

    def account(self, point: str) -> Account:
        accepted = self.accepted()
        return Account(
            point=point,
            kills=self.kills,
            published=len(self.ledger),
            lost=len(set(self.ledger) - accepted.keys()),
            repeated=sum(len(marks) - 1 for marks in accepted.values()),
            marked=sum(sum(marks[1:]) for marks in accepted.values()),
            cautious=sum(marks[0] for marks in accepted.values()),
            stuck=self.stuck(),
        )

    def close(self) -> None:
        self.parent.communicate(timeout=20)
        self.publisher.close()
        self.receiver.close()


def try_point(point: str, kills: int, seed: object, database: str = "") -> Account:
    """So many kills at one point, then peace; gives the account."""
    with tempfile.TemporaryDirectory() as folder, closing(Ground(Path(folder), f"{point}/{seed}", database)) as ground:
        for _ in range(kills):
            ground.kill(point)
        ground.peace()
        return ground.account(point)


def shares(kills: int, places: Sequence[str]) -> list[tuple[str, int]]:
    """The kills dealt out: equally to the points, a ground for every forty."""
    dealt: list[tuple[str, int]] = []
    for number, point in enumerate(places):
        left = kills // len(places) + (number < kills % len(places))
        while left > 0:
            dealt.append((point, min(left, SHARE)))
            left -= SHARE
    return dealt


def crash(kills: int, lanes: int, seed: object = 1, server: OwnPostgres | None = None) -> list[Account]:
    """One account for each point, with their sum at the end; `server`: on databases of it, as a cluster."""
    places = PLACES if server is None else (AT_RANDOM, *CLUSTER_POINTS)
    jobs = [
        (point, share, f"{seed}/{number}", server.create(f"ground{number}") if server else "")
        for number, (point, share) in enumerate(shares(kills, places))
    ]
    with ThreadPoolExecutor(lanes) as fixture:
        parts = fixture.map(lambda job: try_point(*job), jobs)
        accounts = {point: Account(point=point) for point in places}
        for part in parts:
            accounts[part.point] += part
    return [*accounts.values(), sum(accounts.values(), Account(point="all"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=3, help="grounds at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cluster", action="store_true", help="on PostgreSQL, with the points of a cluster")
    wanted = parser.parse_args()
    began = time.perf_counter()
    with closing(OwnPostgres()) if wanted.cluster else nullcontext() as server:
        accounts = crash(wanted.kills, wanted.lanes, wanted.seed, server)
    seconds = round(time.perf_counter() - began, 1)
    names = [name for name in asdict(accounts[0]) if name != "point"]
    print(f"{'killed':15}" + "".join(f"{name:>10}" for name in names))
    for account in accounts:
        print(f"{account.point:15}" + "".join(f"{getattr(account, name):10}" for name in names))
    print(f"{seconds} s, {'the guarantee holds' if accounts[-1].kept else 'THE GUARANTEE IS BROKEN'}")
    if wanted.json:
        rows = [asdict(account) for account in accounts]
        wanted.json.write_text(json.dumps({"seed": wanted.seed, "seconds": seconds, "rows": rows}, indent=2) + "\n")
    sys.exit(0 if accounts[-1].kept else 1)


if __name__ == "__main__":
    main()
