"""A supervisor like systemd around the real process, and a healthy feed and channel beside whatever attacks it.

`Supervisor` starts the installed program with a notification socket, a watchdog and a limit of memory, kills it
for what systemd would kill it for, and starts it again. `Neighbour` publishes an entry a second and notes when
its alert arrives. `trial` runs one hostile case beside them and gives its `Outcome`.
"""

import asyncio
import http.client
import json
import os
import random
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.harness import PATIENCE_S, Publisher, Receiver, Service, wait_for
from tests.support.loopback import Loopback
from tests.support.receivers import free_port

MEMORY_BYTES = 2**30
WATCHDOG_S = 30.0
RESTART_S = 1.0
STOP_S = 12.0
HEALTHZ_S = 1.0
DELAY_S = 8.0  # from publishing to the alert, with a poll every second
LOOK_S = 0.1
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Supervisor:
    """Type=notify, WatchdogSec, MemoryMax and Restart=always, for one service."""

    def __init__(
        self,
        service: Service,
        *,
        watchdog_s: float = WATCHDOG_S,
        memory_bytes: int = MEMORY_BYTES,
        restart: bool = True,
    ) -> None:
        self.service = service
        self.watchdog_s, self.memory_bytes, self.restart = watchdog_s, memory_bytes, restart
        self.deaths: list[str] = []
        self.starts = 0
        self.peak_bytes = 0
        self.ready = threading.Event()
        self._folder = tempfile.TemporaryDirectory()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"{self._folder.name}/notify")
        service.environ |= {
            "NOTIFY_SOCKET": f"{self._folder.name}/notify",
            "WATCHDOG_USEC": str(int(watchdog_s * 1_000_000)),
        }
        self._fed_at = 0.0
        self._paused = False
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self, ready_within_s: float = PATIENCE_S) -> None:
        self._launch()
        self._thread.start()
        assert self.ready.wait(ready_within_s), self.service.log.read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """kill -9 of the process, as a fault from outside; it is not held against the service."""
        with self._lock:
            _end_tree(self.service)
            self._launch()

    def pause(self) -> None:
        """As `systemctl stop`: from now on an end is no reason to start again."""
        with self._lock:
            self._paused = True

    def resume(self) -> None:
        """As `systemctl start`."""
        with self._lock:
            self._paused = False
            self._launch()

    def terminate(self, within_s: float = 60.0) -> tuple[float, int | None]:
        """SIGTERM; gives the seconds until the end and the exit code (None: it had to be killed)."""
        self.pause()
        process, began = self.service.process, time.monotonic()
        assert process
        try:
            code = self.service.stop(within_s)
        except Exception:  # noqa: BLE001 - a process that ignores SIGTERM is what is looked for
            _end_tree(self.service)
            return within_s, None
        return time.monotonic() - began, code

    def close(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(5)
        _end_tree(self.service)
        self._socket.close()
        self._folder.cleanup()

    # --- what systemd does -----------------------------------------------------------------------

    def _launch(self) -> None:
        self.service.start()
        self.starts += 1
        self._fed_at = time.monotonic() + PATIENCE_S - self.watchdog_s  # systemd's watchdog begins with READY

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self._hear()
            with self._lock:
                if self._over.is_set():
                    return
                if self._paused:
                    continue
                why = self._verdict()
                if why is None:
                    continue
                self.deaths.append(why)
                _end_tree(self.service)
                if not self.restart or self._over.wait(RESTART_S):
                    return
                self._launch()

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            while said := self._socket.recv(4096).decode():
                self._fed_at = time.monotonic()
                if "READY=1" in said:
                    self.ready.set()

    def _verdict(self) -> str | None:
        """Why the process is to be ended and started anew, or None."""
        process = self.service.process
        assert process
        if (code := process.poll()) is not None:
            return f"ended by itself with {code}"
        held = tree_bytes(process.pid)
        self.peak_bytes = max(self.peak_bytes, held)
        if held > self.memory_bytes:
            return f"memory {held >> 20} MB"
        if time.monotonic() - self._fed_at > self.watchdog_s + LOOK_S:
            return "watchdog"
        return None


def tree_bytes(pid: int) -> int:
    """What a process and its children hold; memory that they share counts once, as in a control group."""
    total = 0
    with suppress(psutil.Error):
        main = psutil.Process(pid)
        for process in (main, *main.children(recursive=True)):
            total += _proportional(process.pid)
    return total


def _proportional(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.findall(r"^Pss: +(\d+) kB", text, re.MULTILINE)[0]) * 1024
    except (OSError, IndexError):
        with suppress(psutil.Error):
            return int(psutil.Process(pid).memory_info().rss)
        return 0


def _end_tree(service: Service) -> None:
    """The process and its workers, which a kill of the parent alone would leave for a moment."""
    process = service.process
    if process is None:
        return
    children: list[psutil.Process] = []
    with suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True)
    for each in (process, *children):
        with suppress(psutil.Error, ProcessLookupError):
            each.kill()
    process.wait()


class Probe:
    """Asks /healthz twice a second; remembers the slowest answer."""

    def __init__(self, port: int) -> None:
        self.port, self.slowest_s, self.red = port, 0.0, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(15)

    def _ask(self) -> None:
        while not self._over.wait(0.5):
            began = time.monotonic()
            status = get(self.port, "/healthz", timeout_s=10)[0]
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.red += status != 200


def get(port: int, path: str, timeout_s: float = 10.0) -> tuple[int, str]:
    """An answer of the page: status and text; 0 where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


class Neighbour:
    """The healthy feed: an entry a second under one rule, and when its alert was accepted."""

    def __init__(self, publisher: Publisher, receiver: Receiver) -> None:
        self.publisher, self.receiver = publisher, receiver
        self.published: dict[str, float] = {}
        self.arrived: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._receives = receiver.answer
        receiver.answer = self._note  # type: ignore[method-assign]
        publisher.publish("healthy", "zero", "nothing of note")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(5)

    def _publish(self) -> None:
        words = random.Random(7)
        while True:
            key = f"beacon{len(self.published):04d}"
            title = " ".join(f"{words.getrandbits(40):x}" for _ in range(6))  # no two tell the same story
            self.published[key] = time.monotonic()
            self.publisher.publish("healthy", key, f"{key} lighthouse {title}")
            if self._over.wait(1.0):
                return

    def _note(self, method: str, path: str, headers: Any, body: bytes) -> Any:
        now = time.monotonic()
        for key in re.findall(r"beacon\d{4}", body.decode(errors="replace")):
            self.arrived.setdefault(key, now)
        return self._receives(method, path, headers, body)

    def slowest_s(self, since: float = 0.0) -> float:
        """The longest way from publishing to the alert, of what was published after `since`; what waits counts."""
        now = time.monotonic()
        return max((self.arrived.get(key, now) - at for key, at in self.published.items() if at >= since), default=0.0)

    def missing(self) -> set[str]:
        return self.published.keys() - self.arrived.keys()


# --- one hostile case ------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Attack:
    """What a case adds to the configuration, what it does, and what it looks for afterwards."""

    feeds: Sequence[tuple[str, str]] = ()  # (id, URL)
    channels: str = ""  # lines of YAML
    rules: str = ""
    settings: str = ""
    collapse: bool = False
    allow: str = '"127.0.0.0/8"'
    culprit: str = ""  # must be named by the log or by doctor; "": harmless to everybody, so nobody needs to say so
    act: Callable[["Arena"], None] = lambda _: None
    check: Callable[["Arena"], str] = lambda _: ""  # a sentence: what is wrong


@dataclass(kw_only=True)
class Outcome:
    """What one case did to the service and to its neighbours."""

    case: str
    deaths: list[str]
    delay_s: float
    healthz_s: float
    peak_mb: float
    stop_s: float
    named: str
    faults: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.faults


@dataclass(kw_only=True)
class Arena:
    """The service under its supervisor, with its neighbours, while one case runs."""

    folder: Path
    service: Service
    supervisor: Supervisor
    publisher: Publisher
    receiver: Receiver
    neighbour: Neighbour
    probe: Probe
    port: int

    def log(self) -> str:
        return self.service.log.read_text(errors="replace") if self.service.log.exists() else ""

    def database(self) -> Path:
        return self.folder / "var" / "aggregator.db"


Case = Callable[[ExitStack], Attack]


def written(arena: Arena, attack: Attack) -> str:
    """The configuration: the healthy feed and channel, and what the attack brings."""
    feeds = [("healthy", f"{arena.publisher.url}/healthy"), *attack.feeds]
    listed = "".join(f"  - {{id: {name}, url: '{url}', every: 1s}}\n" for name, url in feeds)
    settings = attack.settings if "polling:" in attack.settings else POLLING + attack.settings
    return f"""\
feeds:
{listed}channels:
  desk: {{service: webhook, url: "{arena.receiver.url}/desk"}}
{attack.channels}settings:
  default_channels: [desk]
  http: {{allow: [{attack.allow}], timeout: 5s}}
  stories: {{collapse: {str(attack.collapse).lower()}}}
  web: {{listen: "127.0.0.1:{arena.port}"}}
  logging: {{format: console}}
{settings}rules:
  - {{id: beacon, any: [lighthouse], notify: [desk]}}
{attack.rules}"""


POLLING = "  polling: {every: 1s, min_interval: 1s, per_host: 8}\n"


def trial(
    name: str,
    case: Case,
    folder: Path,
    *,
    seconds: float = 20.0,
    healthz_s: float = HEALTHZ_S,
    delay_s: float = DELAY_S,
    watchdog_s: float = WATCHDOG_S,
    memory_bytes: int = MEMORY_BYTES,
) -> Outcome:
    """Run the service with one attack for so many seconds and judge what became of everybody."""
    with ExitStack() as stack:
        publisher, receiver = Publisher(), Receiver()
        stack.callback(publisher.close)
        stack.callback(receiver.close)
        attack = case(stack)
        service, port = Service(folder), free_port()
        supervisor = Supervisor(service, watchdog_s=watchdog_s, memory_bytes=memory_bytes)
        stack.callback(supervisor.close)
        arena = Arena(
            folder=folder,
            service=service,
            supervisor=supervisor,
            publisher=publisher,
            receiver=receiver,
            neighbour=Neighbour(publisher, receiver),
            probe=Probe(port),
            port=port,
        )
        service.write("all.yaml", written(arena, attack))
        supervisor.start()
        wait_for(lambda: publisher.requests, what="the first poll")
        arena.neighbour.start()
        arena.probe.start()
        stack.callback(arena.probe.stop)
        attack.act(arena)
        time.sleep(seconds)
        return _judge(name, arena, attack, healthz_s, delay_s)


def _judge(name: str, arena: Arena, attack: Attack, healthz_s: float, delay_s: float) -> Outcome:
    delay = arena.neighbour.slowest_s()
    arena.probe.stop()  # doctor and its start are not what is measured
    arena.neighbour.stop()
    fault = attack.check(arena)
    named = _named(arena, attack.culprit) if attack.culprit else "-"
    deaths = list(arena.supervisor.deaths)
    stop_s, code = arena.supervisor.terminate()
    outcome = Outcome(
        case=name,
        deaths=deaths,
        delay_s=delay,
        healthz_s=arena.probe.slowest_s,
        peak_mb=arena.supervisor.peak_bytes / 2**20,
        stop_s=stop_s,
        named=named,
    )
    log = arena.log()
    loud = CONTROL.search(log)
    outcome.faults = [
        words
        for words, wrong in (
            (f"killed: {', '.join(deaths)}", deaths),
            (f"healthy alerts late by {delay:.1f} s", delay > delay_s),
            (f"healthz took {outcome.healthz_s:.1f} s", outcome.healthz_s > healthz_s),
            (f"healthz red {arena.probe.red} times", arena.probe.red),
            (f"nobody names {attack.culprit}", attack.culprit and not named),
            ("a traceback in the log", "Traceback" in log),
            (f"a raw {loud[0]!r} in the log" if loud else "", loud),
            (f"SIGTERM took {stop_s:.1f} s, code {code}", stop_s > STOP_S or code != 0),
            (fault, fault),
        )
        if wrong
    ]
    return outcome


def _named(arena: Arena, culprit: str) -> str:
    """The readable message that names the culprit: of doctor, else of the log; "": there is none."""
    done = arena.service.call("doctor", "--json")
    with suppress(ValueError):
        findings = json.loads(done.stdout)
        for finding in findings.get("troubles", findings.get("findings", [])):
            if culprit in str(finding.get("about", finding)) or culprit in str(finding):
                return f"{finding.get('about', '')}: {finding.get('message', finding)}"[:200]
    for line in arena.log().splitlines():
        if re.search(r"warning|error|critical", line) and culprit in line:
            return line[:200]
    return ""


# --- hostile peers -------------------------------------------------------------------------------


class Peers:
    """An event loop in a thread, for scripted servers (tests/support/loopback.py) and raw ones."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Any) -> Any:
        """Run a coroutine there, to its end."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def site(self, host: str = "127.9.0.1") -> Loopback:
        """A loopback server at a host of its own; it ends with the loop."""
        site: Loopback = self.run(Loopback(host=host).__aenter__())
        if site._server:
            self._servers.append(site._server)
        return site

    def raw(self, converse: Callable[[Any, Any], Any], host: str = "127.9.0.1") -> int:
        """A server that is handed reader and writer; gives its port."""

        async def handled(reader: Any, writer: Any) -> None:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await converse(reader, writer)
            writer.close()

        server: asyncio.Server = self.run(asyncio.start_server(handled, host, 0))
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        async def end() -> None:
            for server in self._servers:
                server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
            await asyncio.sleep(0.1)

        with suppress(Exception):
            self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


def peers(stack: ExitStack) -> Peers:
    """Peers that end with the case."""
    made = Peers()
    stack.callback(made.close)
    return made


def workers_of(service: Service) -> list[psutil.Process]:
    """The parse workers of the service: its children that run Python."""
    assert service.process
    with suppress(psutil.Error):
        children: list[psutil.Process] = psutil.Process(service.process.pid).children(recursive=True)
        return children
    return []


def kill_one_worker(service: Service) -> bool:
    """As the kernel does when memory is short; False where there is no worker."""
    for child in workers_of(service):
        with suppress(psutil.Error):
            os.kill(child.pid, signal.SIGKILL)
            return True
    return False
