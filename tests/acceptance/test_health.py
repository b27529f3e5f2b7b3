"""Signs of life: a loop that hangs turns /healthz red and starves the watchdog; systemd hears of the rest."""

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from aggregator.app import load_config, open_application
from aggregator.app.clock import SystemClock
from aggregator.app.service import LOOP_TIMEOUT_S, Service
from aggregator.telemetry.systemd import notify, watchdog_s
from tests.support.harness import PATIENCE_S, Publisher, Receiver, configuration, wait_for
from tests.support.harness import Service as Process

ROLES = frozenset({"poll", "deliver", "web"})
RED_WITHIN_S = 60
VITAL = {"poll", "deliver", "index", "config", "figures"}  # without them, news waits or nobody knows


class Supervisor:
    """systemd's end of the notification socket."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(self.path)
        self.heard: list[str] = []

    def hear(self) -> list[str]:
        """All messages so far."""
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self.socket.close()
        self.folder.cleanup()


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with closing(Supervisor()) as made:
        yield made


class Moved(SystemClock):
    """The machine's clock, moved ahead by what the test likes."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_s)


class Stuck:
    """A poller whose tick never ends."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()

    async def tick(self) -> int:
        self.entered.set()
        await asyncio.Event().wait()
        return 0

    async def drain(self, grace_s: float) -> None:
        """Nothing is under way."""


async def _answer(address: str) -> tuple[int, dict[str, bool]]:
    async with aiohttp.ClientSession() as session, session.get(f"{address}healthz") as answer:
        return answer.status, (await answer.json())["loops"]


async def _soon(truth: object, seconds: float = PATIENCE_S) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not truth():  # type: ignore[operator]
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


def test_a_hung_loop_turns_health_red_within_a_minute(
    tmp_path: Path,
    publisher: Publisher,
    receiver: Receiver,
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The poll loop hangs: green at 25 s, red before 60 s, named, alone; systemd is not told that all is well."""
    monkeypatch.setenv("NOTIFY_SOCKET", supervisor.path)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.chdir(tmp_path)
    publisher.publish("wire", "0", "nothing")
    file = tmp_path / "all.yaml"
    text = configuration(publisher, receiver, ["wire"], "  - {id: s400, any: [S-400]}")
    file.write_text(text.replace("enabled: false", "listen: '127.0.0.1:0'"))
    (tmp_path / "var").mkdir()

    async def story() -> None:
        async with open_application(load_config(file)) as app:
            clock, stuck = Moved(), Stuck()
            app.clock = clock
            service = Service(app, await app.runtime(), file, ROLES)
            service.poller = stuck  # type: ignore[assignment]
            address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            running = asyncio.create_task(service.run(ready=lambda at: address.set_result(at or "")))
            await stuck.entered.wait()
            at = await address
            timeout = {loop.name: loop.timeout_s for loop in service.heart.statuses(clock.now())}
            assert {name for name in VITAL if timeout[name] > RED_WITHIN_S} == set()

            clock.ahead_s = LOOP_TIMEOUT_S - 20
            status, loops = await _answer(at)
            assert (status, loops["poll"]) == (200, True)
            await _soon(lambda: "WATCHDOG=1" in supervisor.hear())

            clock.ahead_s = RED_WITHIN_S - 1
            fed = len([word for word in supervisor.hear() if word == "WATCHDOG=1"])
            status, loops = await _answer(at)
            assert (status, loops["poll"]) == (503, False)
            while not (loops["deliver"] and loops["config"]):  # once they have ticked under the new clock
                await asyncio.sleep(0.2)
                status, loops = await _answer(at)
            assert (status, loops["poll"]) == (503, False)
            assert len([word for word in supervisor.hear() if word == "WATCHDOG=1"]) <= fed + 1
            service._stop_requested()
            await running

    asyncio.run(asyncio.wait_for(story(), 2 * PATIENCE_S))
    assert supervisor.hear()[0] == "READY=1"
    assert supervisor.hear()[-1] == "STOPPING=1"


def test_systemd_hears_ready_watchdog_and_stopping(
    publisher: Publisher, receiver: Receiver, tmp_path: Path, supervisor: Supervisor
) -> None:
    """The real process: READY once the loops run, WATCHDOG in time, STOPPING at SIGTERM."""
    environ = {**os.environ, "NOTIFY_SOCKET": supervisor.path, "WATCHDOG_USEC": "1000000"}
    service = Process(tmp_path, environ)
    publisher.publish("wire", "0", "nothing")
    service.write("all.yaml", configuration(publisher, receiver, ["wire"], "  - {id: s400, any: [S-400]}"))
    service.start()
    wait_for(lambda: supervisor.hear().count("WATCHDOG=1") >= 3, what="three signs of life")
    assert supervisor.heard[0] == "READY=1"
    assert service.stop() == 0
    assert supervisor.hear()[-1] == "STOPPING=1"
    assert set(supervisor.heard) == {"READY=1", "WATCHDOG=1", "STOPPING=1"}


def test_abstract_sockets_and_absent_supervisors(monkeypatch: pytest.MonkeyPatch) -> None:
    """`@name` is an abstract address; without a socket, or with a dead one, nothing is sent and nothing fails."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0aggregator-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@aggregator-test-{os.getpid()}")
        assert notify("READY=1")
        assert heard.recv(100) == b"READY=1"
    assert not notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not notify("READY=1")


def test_the_watchdog_is_fed_twice_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of WATCHDOG_USEC; nothing where the watchdog is meant for another process."""
    monkeypatch.setenv("WATCHDOG_USEC", "120000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_s() == 60
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_s() is None
    monkeypatch.delenv("WATCHDOG_USEC")
    assert watchdog_s() is None
