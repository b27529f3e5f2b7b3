"""A cluster under load and under fire: nothing lost, nothing polled twice at once, hosts left alone for a second.

    python -m benchmarks.cluster [--seconds 60] [--kills 20] [--only S1 S3 S5] [--log requests.jsonl]

Three workers, a planner with the files, and a PostgreSQL of their own, which is restarted too. What was polled is told
from the log of the feeds' server (`python -m tests.support.cluster requests.jsonl` analyses it again).

S1  random kills of all nodes, restarts of PostgreSQL, a frozen node, the engine's jobs wiped
S2  a node killed for good: seconds until the feeds that it had in hand are polled again
S3  public hosts: gaps between requests to each of them, with a kill
S5  a backlog of overdue feeds: polls a second, and the longest time without a request
S6  a rule and a channel pushed: what is published ten seconds later is matched and sent by whatever node polls it
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.support.cluster import MARK, Cluster, FeedServer, OwnPostgres, analysed, files, told, write_log
from tests.support.harness import Receiver, wait_for

WORKERS = ("w1", "w2", "w3")


@dataclass(kw_only=True)
class Row:
    """A line of the table."""

    bar: str
    measured: list[str] = field(default_factory=list)
    passed: bool = True

    def note(self, words: str, good: bool = True) -> None:
        self.measured.append(words if good else f"{words} (!)")
        self.passed = self.passed and good


@dataclass(kw_only=True)
class Stage:
    """Everything that a scenario plays with."""

    postgres: OwnPostgres
    cluster: Cluster
    feeds: FeedServer
    receiver: Receiver
    options: argparse.Namespace

    def start(self, workers: tuple[str, ...] = WORKERS) -> None:
        self.cluster.run("desk", "--roles", "plan,web", command="run")
        wait_for(lambda: '"ready"' in self.cluster.desk.log.read_text(), seconds=60, what="the planner")
        for name in workers:
            self.cluster.run(name)

    def all_polled(self) -> None:
        every = len(self.feeds.feeds)
        wait_for(lambda: len({asked.feed for asked in list(self.feeds.log)}) == every, seconds=90, what="all feeds")


@contextmanager
def stage(
    options: argparse.Namespace,
    feeds: int,
    *,
    hosts: int = 12,
    delay_s: float = 0.02,
    every: str = "2s",
    public: int = 0,
) -> Iterator[Stage]:
    postgres = OwnPostgres()
    server = FeedServer([f"feed{number}" for number in range(feeds)], hosts=hosts, delay_s=delay_s)
    receiver = Receiver()
    with tempfile.TemporaryDirectory(prefix="aggregator-cluster-") as folder:
        cluster = Cluster(Path(folder), postgres.create("aggregator"))
        for name, text in files(server, receiver, every=every, public=public).items():
            cluster.desk.write(name, text)
        try:
            yield Stage(postgres=postgres, cluster=cluster, feeds=server, receiver=receiver, options=options)
        finally:
            if options.log:
                write_log(server.log, Path(options.log))
            cluster.close()
            server.close()
            receiver.close()
            postgres.close()


def s1(options: argparse.Namespace) -> Row:
    """Kills, restarts, a frozen node, wiped jobs."""
    row, chance = Row(bar="S1"), random.Random(options.seed)
    with stage(options, 40) as on:
        on.start()
        on.all_polled()
        published, kills, restarts, frozen = 0, 0, 0, 0
        began, pause = time.monotonic(), options.seconds / max(1, options.kills)
        next_kill, thaw_at = began + pause, 0.0
        special = iter(["truncate", "restart", "freeze"] * 9)
        every_special, next_special = options.seconds / 7, began + options.seconds / 7
        while time.monotonic() - began < options.seconds:
            on.feeds.publish(chance.choice(on.feeds.feeds), f"k{published}", f"S-400 mark{published:05d}")
            published += 1
            time.sleep(0.1)
            now = time.monotonic()
            if thaw_at and now > thaw_at:
                on.cluster.thaw("w3")
                thaw_at = 0.0
            if now > next_kill:
                name = chance.choice([n for n in ("desk", *WORKERS) if n != "w3" or not thaw_at])
                on.cluster.nodes[name].kill()
                on.cluster.again(name)
                kills, next_kill = kills + 1, next_kill + pause
            if now > next_special:
                what, next_special = next(special), next_special + every_special
                if what == "truncate":
                    on.cluster.rows("TRUNCATE procrastinate_jobs CASCADE")
                elif what == "restart":
                    on.postgres.restart()
                    restarts += 1
                elif not thaw_at:
                    on.cluster.freeze("w3")
                    frozen, thaw_at = frozen + 1, now + min(40.0, options.seconds / 3)
        on.cluster.thaw("w3")
        wanted, waited = {f"mark{number:05d}" for number in range(published)}, time.monotonic()
        try:
            wait_for(lambda: wanted <= told(on.receiver)[0].keys(), seconds=90, what="all marks")
        except AssertionError:
            row.note("waited 90 s in vain", False)
        accepted, marked = told(on.receiver)
        found = analysed(list(on.feeds.log))
        lost, repeats = len(wanted - accepted.keys()), sum(count - 1 for count in accepted.values())
        unmarked = sum(max(0, count - 1 - marked[mark]) for mark, count in accepted.items())
        row.note(f"{kills} kills, {restarts} restarts of PostgreSQL, {frozen} frozen, {published} alerts")
        row.note(f"lost {lost}", not lost)
        row.note(f"repeats {repeats}, unmarked {unmarked}", not unmarked and repeats <= kills)
        row.note(f"polled twice at once {len(found.twice_at_once)} of {found.requests}", not found.twice_at_once)
        row.note(f"all arrived {time.monotonic() - waited:.0f} s after the last")
        row.note("db check clean", on.cluster.desk.call("db", "check").returncode == 0)
    return row


def s2(options: argparse.Namespace) -> Row:
    """A kill without a restart."""
    row = Row(bar="S2")
    with stage(options, 40, delay_s=0.3) as on:
        on.start(("w1", "w2"))
        on.all_polled()
        time.sleep(5)
        on.cluster.nodes["w1"].kill()
        killed = time.monotonic()
        wait_for(
            lambda: len({asked.feed for asked in list(on.feeds.log) if asked.began > killed + 0.5}) == 40,
            seconds=60,
            what="all feeds",
        )
        took = time.monotonic() - killed
        row.note(f"all feeds polled again {took:.1f} s after a kill", took <= 30)
        on.postgres.restart()
        restarted = time.monotonic()
        wait_for(
            lambda: len({asked.feed for asked in list(on.feeds.log) if asked.began > restarted}) == 40,
            seconds=60,
            what="all feeds",
        )
        took = time.monotonic() - restarted
        row.note(f"and {took:.1f} s after a restart of PostgreSQL", took <= 30)
    return row


def s3(options: argparse.Namespace) -> Row:
    """Public hosts, through the server as a proxy."""
    row = Row(bar="S3")
    with stage(options, 600, every="60s", public=15, delay_s=0.05) as on:
        on.start()
        wait_for(lambda: len(on.feeds.log) > 50, seconds=60, what="requests")
        time.sleep(options.seconds / 2)
        on.cluster.nodes["w2"].kill()
        on.cluster.again("w2")
        time.sleep(options.seconds / 2)
        found = analysed(list(on.feeds.log))
        row.note(f"gaps < 0.95 s: {found.short_gaps} of {found.gaps}", not found.short_gaps)
        row.note(f"at most {found.most_at_a_host} at once per host", found.most_at_a_host == 1)
    return row


def s5(options: argparse.Namespace) -> Row:
    """A backlog."""
    row = Row(bar="S5")
    for workers in (("w1",), WORKERS):
        with stage(options, 3000, hosts=100, delay_s=0.05, every="1h") as on:
            on.start(workers)
            wait_for(lambda: len(on.feeds.log) > 100, seconds=60, what="the first polls")
            began, cpu = time.monotonic(), on.cluster.cpu_s()
            on.all_polled()
            took, spent = time.monotonic() - began, on.cluster.cpu_s() - cpu
            times = sorted(asked.began for asked in list(on.feeds.log))
            idle = max(b - a for a, b in pairwise(times))
            polls = (len(on.feeds.log) - 100) / took
            row.note(
                f"{len(workers)} workers: {polls:.0f} polls/s, {spent / took:.2f} cores, longest pause {idle:.1f} s"
            )
    return row


def s6(options: argparse.Namespace) -> Row:
    """A rule and a channel are pushed, by an edit of the files."""
    row, chance = Row(bar="S6"), random.Random(options.seed)
    columns = "SELECT id, url, enabled, configured, configured_url, options FROM feeds ORDER BY id"
    with stage(options, 40) as on:
        on.start()
        on.all_polled()
        desk = on.cluster.desk
        old = on.cluster.node("old")
        for name in ("feeds.yaml", "settings.yaml"):
            old.write(name, (desk.config / name).read_text().replace("id: feed7,", "id: feed7, enabled: false,"))
        text = (desk.config / "settings.yaml").read_text()
        channel = f"channels:\n  late: {{service: webhook, url: 'http://{on.receiver.host}/late'}}\n"
        rule = "rules:\n  - {id: late, any: [CAATSA], notify: [late]}\n"
        desk.write("settings.yaml", text.replace("channels:\n", channel).replace("rules:\n", rule))
        time.sleep(10)
        followed = {node["name"]: node["config"] for node in desk.json("status")["nodes"]}
        row.note(f"nodes on number 2: {sum(map((2).__eq__, followed.values()))} of 4", set(followed.values()) == {2})
        for number in range(200):
            on.feeds.publish(chance.choice(on.feeds.feeds), f"k{number}", f"CAATSA mark{number:05d}")
            time.sleep(0.05)
        before = on.cluster.rows(columns)
        codes = [old.call(*words.split()).returncode for words in ("hits list", "rules apply --since 1d", "feeds list")]
        changed = sum(a != b for a, b in zip(before, on.cluster.rows(columns), strict=True))
        row.note(f"rows of feeds that commands with an old folder changed: {changed}", not changed and not any(codes))
        wanted = {f"mark{number:05d}" for number in range(200)}

        def lost() -> set[str]:
            with on.receiver.lock:
                sent = [str(message["body"]) for message in on.receiver.accepted if message["path"] == "/late"]
            return wanted - {mark for body in sent for mark in MARK.findall(body)}

        try:
            wait_for(lambda: not lost(), seconds=90, what="all marks")
        except AssertionError:
            row.note("waited 90 s in vain", False)
        row.note(f"lost {len(lost())} of 200", not lost())
    return row


SCENARIOS: dict[str, Callable[[argparse.Namespace], Row]] = {"S1": s1, "S2": s2, "S3": s3, "S5": s5, "S6": s6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--log", default="")
    options = parser.parse_args()
    for name, scenario in SCENARIOS.items():
        if not options.only or name in options.only:
            row = scenario(options)
            print(f"| {row.bar} | {'; '.join(row.measured)} | {'passed' if row.passed else 'FAILED'} |", flush=True)


if __name__ == "__main__":
    main()
