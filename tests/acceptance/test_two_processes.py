"""Two services on one database: they share the work, and nothing is lost, sent twice or polled twice."""

import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.harness import Publisher, Receiver, Service, configuration, wait_for
from tests.support.postgres import PostgresServer, postgres

__all__ = ["postgres"]

FEEDS = tuple(f"feed-{number}" for number in range(8))
ROUNDS = 12


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shared.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create()


@pytest.mark.slow
def test_two_services_share_one_database(
    publisher: Publisher, receiver: Receiver, database: str, tmp_path: Path
) -> None:
    """Both start at the same moment on an empty database and run side by side while news comes in."""
    for feed in FEEDS:
        publisher.publish(feed, "zero", "nothing of note")
    text = configuration(publisher, receiver, FEEDS, "  - {id: watch, any: [S-400]}")
    text = text.replace("settings:\n", f"settings:\n  database: '{database}'\n")
    services = [Service(tmp_path / name) for name in ("one", "two")]
    for service in services:
        service.write("all.yaml", text)
        service.start()
    try:
        wait_for(lambda: all("ready" in s.log.read_text() for s in services), what="both services")
        wait_for(lambda: {feed for feed, _ in publisher.requests} == set(FEEDS), what="a look at every feed")
        began, before = time.monotonic(), len(publisher.requests)
        marks = [f"mark{number:03d}" for number in range(ROUNDS * len(FEEDS))]
        for number, mark in enumerate(marks):
            publisher.publish(FEEDS[number % len(FEEDS)], mark, f"S-400 {mark}")
            time.sleep(0.05)
        wait_for(lambda: set(marks) <= told(receiver).keys(), what="every mark")
        time.sleep(1.5)
        seconds, polls = time.monotonic() - began, len(publisher.requests) - before
        assert [service.stop() for service in services] == [0, 0]
    finally:
        for service in services:
            if service.process and service.process.poll() is None:
                service.kill()
    assert told(receiver) == dict.fromkeys(marks, 1)
    assert not any(message["body"]["possible_repeat"] for message in receiver.accepted)
    assert polls <= (seconds + 2) * len(FEEDS), "together they poll no more often than one of them would"
    assert services[0].call("db", "check").returncode == 0


def told(receiver: Receiver) -> Counter[str]:
    return Counter(mark for text in receiver.texts() for mark in set(re.findall(r"mark\d{3}", text)))
