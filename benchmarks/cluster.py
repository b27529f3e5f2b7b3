"""A cluster under load and under fire: nothing lost, nothing polled twice at once, hosts left alone for a second.

    python -m benchmarks.cluster [--seconds 60] [--kills 20] [--rate 2] [--only S1 S3 S5] [--log requests.jsonl]
                                 [--feeds 100000] [--before FOLDER]

Three workers, a planner with the files, and a PostgreSQL of their own, which is restarted too. What was polled is told
from the log of the feeds' server (`python -m tests.support.cluster requests.jsonl` analyses it again).

S1  random kills of all nodes, restarts of PostgreSQL, a frozen node, the engine's jobs wiped
S2  a node killed for good: seconds until the feeds and alerts that it had in hand are taken up again
S3  public hosts: gaps between requests to each of them, with a kill
S4  CPU a poll, worker and PostgreSQL; `--before`: against a checkout of an earlier release, one process of it
S5  a backlog of overdue feeds: polls a second, and the longest time that a worker is idle
S6  a rule and a channel pushed: what is published ten seconds later is matched and sent by whatever node polls it
S7  how long commits wait while others have hits (`benchmarks.commits`)
S8  `--feeds` in the database: memory of a worker, CPU of `status`, what planning costs PostgreSQL
S9  two releases side by side, the older of which ends by itself
"""

import argparse
import asyncio
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psutil
import psycopg

from aggregator.config.stored import texts_digest, unparsed
from aggregator.core.polling.lanes import slot_of
from aggregator.store import open_store
from benchmarks import commits
from tests.support.cluster import MARK, Cluster, FeedServer, OwnPostgres, analysed, files, told, write_log
from tests.support.harness import Receiver, wait_for

WORKERS = ("w1", "w2", "w3")
AT_WORK = "SELECT 1 FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND lock LIKE 'poll:%'"

BUSY = """
SELECT name, id FROM nodes WHERE EXISTS (SELECT 1 FROM feeds WHERE lease_owner LIKE nodes.id || '/%')
AND EXISTS (SELECT 1 FROM deliveries WHERE state = 'sending' AND lease_owner LIKE nodes.id || '/%') LIMIT 1
"""


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
        wait_for(lambda: '"ready"' in self.cluster.desk.log.read_text(), seconds=180, what="the planner")
        for name in workers:
            self.cluster.run(name)

    def all_polled(self) -> None:
        every = len(self.feeds.feeds)
        wait_for(lambda: len({asked.feed for asked in list(self.feeds.log)}) == every, seconds=300, what="all feeds")


@contextmanager
def stage(
    options: argparse.Namespace,
    feeds: int,
    *,
    hosts: int = 12,
    delay_s: float = 0.02,
    every: str = "2s",
    public: int = 0,
    named: bool = False,
) -> Iterator[Stage]:
    postgres = OwnPostgres()
    server = FeedServer([f"feed{number}" for number in range(feeds)], hosts=hosts, delay_s=delay_s)
    receiver = Receiver()
    with tempfile.TemporaryDirectory(prefix="aggregator-cluster-") as folder:
        cluster = Cluster(Path(folder), postgres.create("aggregator"))
        for name, text in files(server, receiver, every=every, public=public, named=named).items():
            cluster.desk.write(name, text.replace("settings:\n", f"settings:\n  database: '{cluster.url}'\n"))
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
        shares = {"restart": 10, "freeze": 5, "truncate": 3}
        part = min(1.0, options.seconds / 600)
        events = [what for what, count in shares.items() for _ in range(max(1, round(count * part)))]
        chance.shuffle(events)
        published, kills, done = 0, 0, Counter[str]()
        began, pause = time.monotonic(), options.seconds / max(1, options.kills)
        next_kill, thaw_at = began + pause, 0.0
        every_event = options.seconds / (len(events) + 1)
        next_event, waiting = began + every_event, iter(events)
        while time.monotonic() - began < options.seconds:
            on.feeds.publish(chance.choice(on.feeds.feeds), f"k{published}", f"S-400 mark{published:05d}")
            published += 1
            time.sleep(1 / options.rate)
            now = time.monotonic()
            if thaw_at and now > thaw_at:
                on.cluster.thaw("w3")
                thaw_at = 0.0
            if now > next_kill:
                name = chance.choice([n for n in ("desk", *WORKERS) if n != "w3" or not thaw_at])
                on.cluster.nodes[name].kill()
                on.cluster.again(name)
                kills, next_kill = kills + 1, next_kill + pause
            if now > next_event:
                what, next_event = next(waiting, ""), next_event + every_event
                if what == "truncate":
                    on.cluster.rows("TRUNCATE procrastinate_jobs CASCADE")
                elif what == "restart":
                    on.postgres.restart()
                elif what == "freeze":
                    on.cluster.freeze("w3")
                    thaw_at = max(thaw_at, now) + min(40.0, options.seconds / 3)
                done[what] += 1
        on.cluster.thaw("w3")
        wanted, waited = {f"mark{number:05d}" for number in range(published)}, time.monotonic()
        await_marks(on.receiver, wanted)
        accepted, marked = told(on.receiver)
        found = analysed(list(on.feeds.log))
        lost, repeats = len(wanted - accepted.keys()), sum(count - 1 for count in accepted.values())
        unmarked = sum(max(0, count - 1 - marked[mark]) for mark, count in accepted.items())
        interruptions = kills + done["restart"] + done["freeze"]
        row.note(
            f"{kills} kills, {done['restart']} restarts of PostgreSQL, {done['freeze']} times frozen, "
            f"{done['truncate']} times all jobs wiped, {published} alerts"
        )
        row.note(f"lost {lost}", not lost)
        row.note(f"repeats {repeats}, unmarked {unmarked}", not unmarked and repeats <= interruptions)
        row.note(f"polled twice at once {len(found.twice_at_once)} of {found.requests}", not found.twice_at_once)
        row.note(f"all arrived {time.monotonic() - waited:.0f} s after the last")
        row.note("db check clean", on.cluster.desk.call("db", "check").returncode == 0)
        unsent = on.cluster.rows("SELECT count(*) FROM deliveries WHERE state <> 'sent'")[0][0]
        row.note(f"{unsent} alerts not sent", not unsent)
        row.note("no hits left unrouted", on.cluster.rows("SELECT count(*) FROM unrouted") == [(0,)])
    return row


def await_marks(receiver: Receiver, wanted: set[str], patience_s: float = 60.0) -> None:
    """Wait for all marks, as long as any arrive: one channel is served by one sender, and what is late is not lost."""
    arrived, since = -1, time.monotonic()
    while not wanted <= told(receiver)[0].keys() and time.monotonic() - since < patience_s:
        if len(told(receiver)[0]) > arrived:
            arrived, since = len(told(receiver)[0]), time.monotonic()
        time.sleep(0.5)


def s2(options: argparse.Namespace) -> Row:
    """A kill without a restart, of a node that has feeds and alerts in hand."""
    row = Row(bar="S2")
    with stage(options, 40, delay_s=2.0, every="5s") as on:
        on.receiver.hangs = lambda _: 1.0
        on.start(("w1", "w2"))
        on.all_polled()
        for number, feed in enumerate(on.feeds.feeds[:10]):  # what died with a node is sent after all the others
            on.feeds.publish(feed, f"k{number}", f"S-400 mark{number:05d}")
        wait_for(lambda: on.cluster.rows(BUSY), seconds=90, what="a node that polls and sends")
        ((victim, owner),) = on.cluster.rows(BUSY)
        held = {name for (name,) in on.cluster.rows(f"SELECT id FROM feeds WHERE lease_owner LIKE '{owner}/%'")}
        sending = f"SELECT id FROM deliveries WHERE state = 'sending' AND lease_owner LIKE '{owner}/%'"
        alerts = [name for (name,) in on.cluster.rows(sending)]
        on.cluster.nodes[victim].kill()
        killed = time.monotonic()
        wait_for(
            lambda: held <= {asked.feed for asked in list(on.feeds.log) if asked.ended > killed + 2.5},
            seconds=90,
            what="the feeds in hand",
        )
        took = time.monotonic() - killed
        row.note(f"{len(held)} feeds in hand polled again {took:.1f} s after a kill", took <= 30)
        given = ", ".join(f"'{name}'" for name in alerts)
        left = f"SELECT id FROM deliveries WHERE id IN ({given}) AND state <> 'sent'"
        wait_for(lambda: not on.cluster.rows(left), seconds=90, what="the alerts in hand")
        took = time.monotonic() - killed
        row.note(f"{len(alerts)} alerts in hand sent after {took:.1f} s", took <= 31)  # the receiver takes one
        on.postgres.restart()
        restarted = time.monotonic()
        wait_for(
            lambda: len({asked.feed for asked in list(on.feeds.log) if asked.began > restarted}) == 40,
            seconds=90,
            what="all feeds",
        )
        took = time.monotonic() - restarted
        row.note(f"all feeds polled {took:.1f} s after a restart of PostgreSQL", took <= 30)
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


def s4(options: argparse.Namespace) -> Row:
    """CPU a poll, against one process of an earlier release."""
    row, figures = Row(bar="S4"), list[float]()
    for before in [options.before, ""] if options.before else [""]:
        with stage(options, 2000, hosts=200, delay_s=0.0, every="1h") as on:
            if before:
                on.cluster.desk.environ["PYTHONPATH"] = before
            on.cluster.run("desk", command="run")
            on.all_polled()
            time.sleep(3)
            polls, cpu = len(on.feeds.log), on.cluster.cpu_s() + on.postgres.cpu_s()
            for _ in range(3):  # 125 feeds in each of the 16 lanes
                wanted = len(on.feeds.log) + 2000
                on.cluster.rows("UPDATE feeds SET next_poll_at = 1")
                wait_for(lambda wanted=wanted: len(on.feeds.log) >= wanted, seconds=90, what="a round")  # type: ignore[misc]
                time.sleep(1)
            polls, cpu = len(on.feeds.log) - polls, on.cluster.cpu_s() + on.postgres.cpu_s() - cpu
            figures.append(cpu * 1000 / polls)
            row.note(f"{'before' if before else 'now'}: {figures[-1]:.2f} ms a poll, process and PostgreSQL ({polls})")
    if options.before:
        row.note(f"ratio {figures[1] / figures[0]:.2f}", figures[1] <= 1.2 * figures[0])
    return row


def s5(options: argparse.Namespace) -> Row:
    """A backlog."""
    row = Row(bar="S5")
    for workers in (("w1",), WORKERS):
        with stage(options, 5000, hosts=200, delay_s=0.05, every="1h", named=True) as on:
            on.start(workers)
            on.all_polled()
            wait_for(lambda: not on.cluster.rows(AT_WORK), seconds=60, what="the end of the first polls")
            first, cpu, began = len(on.feeds.log), on.cluster.cpu_s(), time.monotonic()
            on.cluster.rows("UPDATE feeds SET next_poll_at = 1")
            wait_for(lambda first=first: len(on.feeds.log) >= first + 5000, seconds=90, what="all feeds")  # type: ignore[misc]
            took, spent = time.monotonic() - began, on.cluster.cpu_s() - cpu
            log = sorted(on.feeds.log[first:], key=lambda asked: asked.began)
            due = log[int(len(log) * 0.95)].began  # then some lanes are empty, and their workers may be idle
            idle = dict[str, float]()
            for name in workers:
                own = [began, *(asked.began for asked in log if asked.node == name and asked.began < due), due]
                idle[name] = max(b - a for a, b in pairwise(own))
            polls = len(log) / took
            row.note(
                f"{len(workers)} workers: {polls:.0f} polls/s, {spent / took:.2f} cores",
                len(workers) > 1 or polls >= 500 or spent / took >= 0.7,
            )
            row.note(f"idle for {max(idle.values()):.1f} s at most", len(workers) == 1 or max(idle.values()) <= 2)
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


def s7(_: argparse.Namespace) -> Row:
    """Commits while others route."""
    row = Row(bar="S7")
    for rate, processes in ((40.0, 3), (1e4, 3), (1e4, 1)):
        found = commits.measure(2000, processes, rate, at_once=False)
        pace = f"{rate:.0f} polls/s asked" if rate < 1e4 else "as fast as they can"
        row.note(
            f"{processes} processes, {pace}: {found['polls_s']:.0f} polls/s, router {found['behind_s']:.1f} s behind"
        )
        if rate < 1e4:
            waits = f"commits without hits wait {found['p50']:.0f} ms, p99 {found['p99']:.0f} ms"
            row.note(waits, found["p99"] < 50)
            row.note(f"with hits {found['hits_p50']:.0f} ms, p99 {found['hits_p99']:.0f} ms")
    return row


def s8(options: argparse.Namespace) -> Row:
    """Many feeds."""
    row = Row(bar="S8")
    with stage(options, 10, every="1h") as on:
        on.cluster.run("desk", "--roles", "plan", command="run")
        wait_for(lambda: '"ready"' in on.cluster.desk.log.read_text(), seconds=60, what="a push")
        on.cluster.desk.stop()
        multiply(on.cluster, options.feeds)
        on.cluster.run("w1")
        wait_for(lambda: '"ready"' in on.cluster.nodes["w1"].log.read_text(), seconds=60, what="the worker")
        on.cluster.run("p1", "--roles", "plan", command="run")
        wait_for(lambda: '"ready"' in on.cluster.nodes["p1"].log.read_text(), seconds=120, what="the planner")
        time.sleep(20)  # the workers' own memory, and the first count of lanes
        process = on.cluster.nodes["w1"].process
        assert process
        rss = psutil.Process(process.pid).memory_info().rss / 1e6
        row.note(f"{options.feeds:,} feeds: a worker holds {rss:.0f} MB", rss <= 250)
        cpu = on.postgres.cpu_s()
        time.sleep(20)
        planning = (on.postgres.cpu_s() - cpu) / 20 * 1000
        row.note(f"PostgreSQL {planning:.0f} ms a second with a planner and a worker, nothing due", planning <= 50)
        for name in ("p1", "w1"):
            on.cluster.nodes[name].kill()
        on.cluster.rows("UPDATE feeds SET next_poll_at = 1, paused_at = NULL")
        cpu = on.postgres.cpu_s()
        asyncio.run(look_for_work(on.cluster, 20))
        planning = (on.postgres.cpu_s() - cpu) / 20 * 1000
        row.note(f"a look for work with all of them due costs it {planning:.0f} ms", planning <= 50)
        write_files(on.cluster, options.feeds)
        for name, where in (("w1", "without files"), ("desk", "with them")):
            spent = resource.getrusage(resource.RUSAGE_CHILDREN)
            shown = on.cluster.nodes[name].call("status", "--json", timeout=240)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            status = after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
            row.note(f"`status` {where} {status:.1f} s of CPU", status <= 2 and shown.returncode == 0)
    return row


def multiply(cluster: Cluster, feeds: int) -> None:
    """Make copies of the first feed, on a host of its own for every four, none of them due for an hour."""
    names = [
        name
        for (name,) in cluster.rows(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_name = 'feeds' AND column_name NOT IN ('id', 'host', 'slot', 'next_poll_at')"
        )
    ]
    slots = [slot_of(f"host{number}.example") for number in range(feeds // 4 + 1)]
    with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE slots (number int, slot int)")
        with connection.cursor().copy("COPY slots FROM STDIN") as copy:
            for row in enumerate(slots):
                copy.write_row(row)
        columns = ", ".join(f'"{name}"' for name in names)
        connection.execute(
            f"""INSERT INTO feeds (id, host, slot, next_poll_at, {columns})
            SELECT 'copy' || n, 'host' || n / 4 || '.example', s.slot, (extract(epoch from now()) + 3600) * 1000000,
            {columns} FROM (SELECT * FROM feeds ORDER BY id LIMIT 1) f, generate_series(1, {feeds}) n
            JOIN slots s ON s.number = n / 4""".encode()
        )
        connection.execute("VACUUM ANALYZE feeds")  # else autovacuum does so while something is measured


def write_files(cluster: Cluster, feeds: int) -> None:
    """Write files of so many feeds to the node that has them, and put them in force without reading them."""
    desk, part = cluster.desk, 9000
    for start in range(0, feeds, part):
        rows = (
            f"  - {{id: copy{n}, url: 'https://host{n // 4}.example/feed/{n}', every: 1h}}\n"
            for n in range(start, start + part)
        )
        desk.write(f"feeds{start:07}.yaml", "feeds:\n" + "".join(rows))
    found = unparsed(desk.config, desk.environ)
    assert found is not None
    cluster.rows(f"UPDATE configs SET digest = '{texts_digest(found[1])}'")


async def look_for_work(cluster: Cluster, times: int) -> None:
    """Ask what is due, as the planner does every second."""
    async with open_store(cluster.url, index_text=lambda entry: entry.title) as store:
        assert store.cluster
        for _ in range(times):
            await store.cluster.due_lanes(datetime.now(UTC), 256)


def s9(options: argparse.Namespace) -> Row:
    """Two releases side by side."""
    row, chance = Row(bar="S9"), random.Random(options.seed)
    with stage(options, 40) as on:
        for name in ("desk", "w1", "w2"):
            on.cluster.release(name, "97.0")
        on.start(("w1", "w2"))
        on.all_polled()
        for name in ("desk", "w3"):
            on.cluster.release(name, "99.0", needs="97.0")
        on.cluster.desk.call("db", "upgrade")
        on.cluster.run("w3")
        published, began = 0, time.monotonic()

        def publish(seconds: float) -> None:
            nonlocal published
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                on.feeds.publish(chance.choice(on.feeds.feeds), f"k{published}", f"S-400 mark{published:05d}")
                published += 1
                time.sleep(0.1)

        publish(options.seconds)
        side_by_side = time.monotonic() - began
        on.cluster.rows("UPDATE cluster SET value = '98.0' WHERE name = 'oldest_program'")
        told_at, ended = time.monotonic(), list[int | None]()
        publish(15)
        for name in ("desk", "w1", "w2"):
            process = on.cluster.nodes[name].process
            assert process
            ended.append(process.wait(30))
        row.note(f"3 older nodes ended by themselves within {time.monotonic() - told_at:.0f} s", ended == [1, 1, 1])
        on.cluster.run("desk", "--roles", "plan,web", command="run")
        wanted = {f"mark{number:05d}" for number in range(published)}
        try:
            wait_for(lambda: wanted <= told(on.receiver)[0].keys(), seconds=90, what="all marks")
        except AssertionError:
            row.note("waited 90 s in vain", False)
        accepted, marked = told(on.receiver)
        lost, found = len(wanted - accepted.keys()), analysed(list(on.feeds.log))
        unmarked = sum(max(0, count - 1 - marked[mark]) for mark, count in accepted.items())
        row.note(f"side by side for {side_by_side:.0f} s: lost {lost} of {published}", not lost)
        row.note(f"unmarked repeats {unmarked}, polled twice at once {len(found.twice_at_once)}", not unmarked)
    return row


SCENARIOS: dict[str, Callable[[argparse.Namespace], Row]] = {
    "S1": s1, "S2": s2, "S3": s3, "S4": s4, "S5": s5, "S6": s6, "S7": s7, "S8": s8, "S9": s9,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=float, default=2.0, help="of S1: alerts a second")
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--log", default="")
    parser.add_argument("--feeds", type=int, default=100_000, help="of S8")
    parser.add_argument("--before", default="", help="of S4: the folder of an earlier release")
    options = parser.parse_args()
    for name, scenario in SCENARIOS.items():
        if not options.only or name in options.only:
            row = scenario(options)
            print(f"| {row.bar} | {'; '.join(row.measured)} | {'passed' if row.passed else 'FAILED'} |", flush=True)


if __name__ == "__main__":
    main()
