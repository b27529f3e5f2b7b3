"""Faults of the world around the service, and what a person sees of them."""

import asyncio
import os
import re
import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator.app import load_config
from aggregator.app.application import open_application
from aggregator.app.clock import SystemClock
from aggregator.app.service import Service as InProcess
from aggregator.pipeline.delivery_batch import SPARE_S
from tests.support.harness import PATIENCE_S, Publisher, Receiver, Service, configuration, wait_for
from tests.support.receivers import Postbox, free_port, postbox

RULES = "  - {id: watch, any: [S-400]}\n"
DAY = timedelta(days=1)
FULL_BYTES = 64 * 1024  # no file may grow beyond this


def watched(publisher: Publisher, receiver: Receiver, service: Service, rules: str = RULES, channels: str = "") -> None:
    """One feed that was polled once, rules, and channels besides the backend."""
    publisher.publish("wire", "zero", "nothing of note")
    text = configuration(publisher, receiver, ["wire"], rules)
    service.write("all.yaml", text.replace("channels:\n", f"channels:\n{channels}"))
    assert service.call("poll", "--force").returncode == 0


def said(service: Service) -> dict[tuple[str, str], dict[str, Any]]:
    """The outbox by channel and recipient, without reports of losses."""
    rows = service.json("deliveries", "list", "--limit", "0")
    return {(row["channel"], row["recipient"]): row for row in rows if row["kind"] == "hit"}


@contextmanager
def mails(**faults: Any) -> Iterator[Postbox]:
    with postbox(**{name: faults.pop(name) for name in ("password",) if name in faults}) as box:
        for name, value in faults.items():
            setattr(box, name, value)
        yield box


def mail(name: str, port: int, to: str = "desk@example.org", more: str = "") -> str:
    server = f"service: mailto, host: 127.0.0.1, port: '{port}', from: a@example.org, timeout: 30s"
    return f"  {name}: {{{server}, to: [{to}]{more}}}\n"


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_what_each_failure_of_a_channel_leaves_behind(
    publisher: Publisher, receiver: Receiver, service: Service
) -> None:
    """A dozen channels fail each in its own way; each row says what happened, and who could be reached was reached."""
    answers = {"/busy": (503, {}), "/later": (429, {"Retry-After": "7200"}), "/gone": (410, {}), "/denied": (401, {})}
    receiver.reply = lambda message: answers.get(message["path"])
    receiver.hangs = lambda message: 6.0 if message["path"] == "/hangs" else 0.0
    three = "ann@example.org, nobody@example.org, bob@example.org"
    with (
        mails(refuse={"nobody@example.org": "550 no such user"}) as fine,
        mails(at_data="451 try later") as busy,
        mails(at_data="554 no spam") as never,
        mails(dies="early") as early,
        mails(dies="before the answer") as late,
        mails(password="right") as guarded,
    ):
        login = ", user: me, password: wrong"
        patience = dict.fromkeys(("fine", "busy", "later", "gone", "denied"), "30s") | {"hangs": "3s"}
        channels = "".join(
            f'  {name}: {{service: webhook, url: "http://{receiver.host}/{name}", timeout: {timeout}}}\n'
            for name, timeout in patience.items()
        ) + "".join(
            [
                mail("mail-three", fine.port, three),
                mail("mail-busy", busy.port),
                mail("mail-never", never.port),
                mail("mail-early", early.port),
                mail("mail-late", late.port),
                mail("mail-login", guarded.port, more=login),
                mail("mail-down", free_port()),
            ]
        )
        names = [line.split(":")[0].strip() for line in channels.splitlines()]
        rules = f"  - {{id: watch, any: [S-400], notify: [{', '.join(names)}]}}\n"
        watched(publisher, receiver, service, rules, channels)
        publisher.publish("wire", "one", "S-400 seen")
        service.call("poll", "--force")
        rows = said(service)
        seen = {name: (row["state"], row["attempts"]) for name, row in rows.items()}
        assert seen == {
            ("fine", "127.0.0.1"): ("sent", 1),
            ("busy", "127.0.0.1"): ("retry", 1),
            ("later", "127.0.0.1"): ("retry", 1),
            ("gone", "127.0.0.1"): ("dead", 1),
            ("denied", "127.0.0.1"): ("dead", 1),
            ("hangs", "127.0.0.1"): ("retry", 1),
            ("mail-three", "ann@example.org"): ("sent", 1),
            ("mail-three", "nobody@example.org"): ("dead", 1),
            ("mail-three", "bob@example.org"): ("sent", 1),
            ("mail-busy", "desk@example.org"): ("retry", 1),
            ("mail-never", "desk@example.org"): ("dead", 1),
            ("mail-early", "desk@example.org"): ("retry", 1),
            ("mail-late", "desk@example.org"): ("retry", 1),
            ("mail-login", "desk@example.org"): ("dead", 1),
            ("mail-down", "desk@example.org"): ("retry", 1),
        }
        words = {name[0]: row["last_error"] or "" for name, row in rows.items() if row["state"] != "sent"}
        for name, word in {"busy": "503", "later": "429", "gone": "410", "denied": "401", "mail-busy": "451"}.items():
            assert word in words[name], words[name]
        assert "550" in words["mail-three"]
        assert "554" in words["mail-never"]
        unsure = {name[0] for name, row in rows.items() if "may have arrived" in row["reason"]}
        assert unsure == {"hangs", "mail-late"}, "only who may have got it is in doubt"
        made_at, due_at = (
            datetime.fromisoformat(rows["later", "127.0.0.1"][name]) for name in ("created_at", "due_at")
        )
        assert due_at - made_at >= timedelta(hours=2), "the service that asked for patience gets it"
        assert not any("Traceback" in word for word in words.values())
        reported = [text for text in receiver.texts() if "Not delivered to" in text]
        assert len(reported) == 5, "every loss is told on the fallback channel, once"

        receiver.reply, receiver.hangs = (lambda _: None), (lambda _: 0.0)
        busy.at_data, early.dies, late.dies = None, "", ""
        open_rows = [row["id"] for row in rows.values() if row["state"] == "retry"]
        assert service.call("deliveries", "retry", *open_rows).returncode == 0
        service.call("poll")
        states = {name[0]: row["state"] for name, row in said(service).items() if row["id"] in open_rows}
        assert set(states.values()) == {"sent", "retry"}
        assert [name for name, state in states.items() if state == "retry"] == ["mail-down"]
        again = [message["body"] for message in receiver.accepted if message["path"] == "/hangs"]
        assert [body["possible_repeat"] for body in again] == [False, True]


def test_a_full_disk(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """No file may grow: the service says so, goes on, and stores and tells everything when there is room again."""
    watched(publisher, receiver, service)
    service.start()
    wait_for(lambda: "ready" in service.log.read_text(), what="the service")
    assert service.process
    before = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, before[1]))
    for number in range(40):
        publisher.publish("wire", f"k{number}", f"S-400 number {number}", "word " * 2000)
    wait_for(lambda: re.search("disk is full|cannot be read or written", service.log.read_text()), what="the complaint")
    assert service.process.poll() is None
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, before)
    wait_for(lambda: len(receiver.accepted) >= 40, what="everything")
    time.sleep(1)
    assert len({message["body"]["id"] for message in receiver.accepted}) == len(receiver.accepted) == 40
    assert service.stop() == 0
    assert service.call("db", "check").returncode == 0


def test_a_service_that_is_suspended(publisher: Publisher, receiver: Receiver, service: Service) -> None:
    """Stopped in the midst of its work and continued later, it goes on and says nothing twice."""
    watched(publisher, receiver, service)
    receiver.hangs = lambda _: 1.0
    publisher.publish("wire", "one", "S-400 seen")
    service.start()
    assert service.process
    wait_for(lambda: receiver.begun, what="the sending")
    os.kill(service.process.pid, signal.SIGSTOP)
    publisher.publish("wire", "two", "S-400 again")
    time.sleep(3)
    os.kill(service.process.pid, signal.SIGCONT)
    wait_for(lambda: len(receiver.accepted) >= 2, what="both")
    time.sleep(1)
    assert service.stop() == 0
    assert len(receiver.accepted) == 2


def test_rule_feed_and_channel_leave_while_alerts_wait(
    publisher: Publisher, receiver: Receiver, service: Service
) -> None:
    """What was found under a rule that is gone is still told; a channel that is gone is waited for, then buried."""
    rules = "  - {id: slow, any: [S-400], deliver: daily 03:00}\n  - {id: lost, any: [S-400], notify: [old]}\n"
    old = f'  old: {{service: webhook, url: "http://{receiver.host}/old", quiet_hours: "00:00-23:59"}}\n'
    watched(publisher, receiver, service, rules, old)
    publisher.publish("wire", "one", "S-400 seen")
    service.call("poll", "--force")
    waiting = service.json("deliveries", "list")
    assert {(row["channel"], row["state"]) for row in waiting} == {("desk", "held"), ("old", "held")}
    service.write("all.yaml", configuration(publisher, receiver, ["other"], "  - {id: new, any: [F-35]}\n"))
    service.call("deliveries", "retry", *[row["id"] for row in waiting])
    service.call("poll", "--force")
    after = {row["channel"]: row for row in service.json("deliveries", "list") if row["kind"] == "hit"}
    assert after["desk"]["state"] == "sent"
    assert after["old"]["state"] == "pending"
    with closing(sqlite3.connect(service.folder / "var" / "aggregator.db")) as database, database:
        database.execute("UPDATE deliveries SET due_at = due_at - ?", (2 * 86_400 * 10**6,))
        database.execute("UPDATE deliveries SET wake_at = due_at WHERE wake_at IS NOT NULL")
    service.call("poll", "--force")
    after = {row["channel"]: row for row in service.json("deliveries", "list") if row["kind"] == "hit"}
    assert after["old"]["state"] == "dead"
    assert "no longer configured" in after["old"]["last_error"]
    assert any("S-400 seen" in text for text in receiver.texts())


class Moved(SystemClock):
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


def test_a_clock_that_is_set(
    publisher: Publisher, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day ahead and back again: polls and alerts go on within seconds, and nothing is told twice."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aggregator.app.service.CLOCK_S", 0.2)
    publisher.publish("wire", "zero", "nothing of note")
    file = tmp_path / "all.yaml"
    file.write_text(configuration(publisher, receiver, ["wire"], RULES))
    (tmp_path / "var").mkdir()

    async def accepted(number: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(receiver.accepted) < number:  # noqa: ASYNC110 - it grows in another thread
                await asyncio.sleep(0.05)

    async def story() -> None:
        async with open_application(load_config(file)) as app:
            app.clock = clock = Moved()
            service = InProcess(app, await app.runtime(), file, frozenset({"poll", "deliver"}))
            running = asyncio.create_task(service.run())
            while not publisher.requests:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            for number, by in enumerate((timedelta(), DAY, timedelta(), -DAY), start=1):
                clock.by = by
                publisher.publish("wire", f"k{number}", f"S-400 number {number}")
                await accepted(number)
            assert not any(loop.late for loop in service.heart.statuses(clock.now()))
            service._stop_requested()
            await running

    asyncio.run(asyncio.wait_for(story(), 4 * PATIENCE_S))
    assert len(receiver.accepted) == 4


def test_an_alert_leaves_as_soon_as_it_is_queued(
    publisher: Publisher, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that matched gives its channel a turn: though the next regular one is an hour away, the alert comes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aggregator.app.service.DELIVER_S", 3600.0)
    publisher.publish("wire", "zero", "nothing of note")
    file = tmp_path / "all.yaml"
    file.write_text(configuration(publisher, receiver, ["wire"], RULES))
    (tmp_path / "var").mkdir()

    async def story() -> None:
        async with open_application(load_config(file)) as app:
            service = InProcess(app, await app.runtime(), file, frozenset({"poll", "deliver"}))
            running = asyncio.create_task(service.run())
            for number in range(2):
                while publisher.polls("wire") < 2:  # noqa: ASYNC110 - it grows in another thread
                    await asyncio.sleep(0.05)
                publisher.publish("wire", f"k{number}", f"S-400 number {number}")
                async with asyncio.timeout(PATIENCE_S):
                    while len(receiver.accepted) <= number:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            service._stop_requested()
            await running

    asyncio.run(asyncio.wait_for(story(), 2 * PATIENCE_S))


def test_a_queue_that_outlasts_many_leases(
    publisher: Publisher, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow receiver beside one that hangs, with leases of 2 s: in many leases' time everything is sent once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aggregator.pipeline.deliver.LEASE_DEADLINES", 2.0 / (30 + SPARE_S))
    hanging = f'  hanging: {{service: webhook, url: "http://{receiver.host}/hangs", timeout: 1s}}\n'
    rules = "  - {id: watch, any: [S-400], notify: [desk, hanging]}\n"
    text = configuration(publisher, receiver, ["wire"], rules).replace('/desk"}', '/desk", timeout: 30s}')
    file = tmp_path / "all.yaml"
    file.write_text(text.replace("channels:\n", f"channels:\n{hanging}"))
    (tmp_path / "var").mkdir()
    receiver.hangs = lambda message: 2.0 if message["path"] == "/hangs" else 0.25
    publisher.publish("wire", "zero", "nothing of note")
    at: list[float] = []

    async def story() -> None:
        async with open_application(load_config(file)) as app:
            service = InProcess(app, await app.runtime(), file, frozenset({"poll", "deliver"}))
            running = asyncio.create_task(service.run())
            while not publisher.requests:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            for number in range(40):
                publisher.publish("wire", f"k{number}", f"S-400 number {number}")
            while len(at) < 40:
                await asyncio.sleep(0.05)
                sent = sum(message["path"] == "/desk" for message in receiver.accepted)
                at.extend([time.monotonic()] * (sent - len(at)))
            service._stop_requested()
            await running

    asyncio.run(asyncio.wait_for(story(), PATIENCE_S))
    detail = [message["body"]["id"] for message in receiver.accepted if message["path"] == "/desk"]
    assert len(set(detail)) == len(detail) == 40
    assert at[-1] - at[0] > 2, "it took longer than a lease"
