"""One verdict: the status, its page, /readyz and doctor agree about every kind of finding."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aggregator.app.doctor.checks import DatabaseFacts, Facts, diagnose
from aggregator.core.errors import ConfigError
from aggregator.core.model import (
    Backlog,
    ChannelAnswer,
    ChannelTest,
    Delivery,
    FeedState,
    Health,
    Overdue,
    Suspect,
)
from aggregator.web import create_app
from tests.support.http_client import HttpClient
from tests.support.memory_backend import MemoryBackend
from tests.support.memory_store import MemoryCatalog
from tests.support.sample_data import sample_tables

NOW = sample_tables().clock.now()
HOUR = timedelta(hours=1)
REFUSED = ConfigError(file="rules.yaml", line=3, column=5, message="unknown key 'anny'", hint="did you mean 'any'?")


def feed(**given: Any) -> FeedState:
    return FeedState(**{"id": "tass", "url": "https://a.example/", "configured_url": "https://a.example/", **given})


def unwell(**given: Any) -> Backlog:
    return Backlog(unwell=(feed(**given),), feeds_unwell=1)


FAILED = Delivery(id="d", channel="desk-email", created_at=NOW, due_at=NOW, attempts=1, last_error="no route")
TEST = ChannelTest(channel="desk-email", at=NOW, answers=(ChannelAnswer(recipient="", ok=False, detail="401"),))

# kind, area, severity, what is so.
CASES: list[tuple[str, str, str, Backlog]] = [
    ("config", "configuration", "error", Backlog()),
    ("disk", "database", "error", Backlog()),
    ("clock", "service", "error", Backlog(newest_poll_at=NOW + HOUR)),
    (
        "lag",
        "feeds",
        "error",
        Backlog(feeds=(Overdue(name="tass", due_at=NOW - HOUR, interval_s=60),), feeds_overdue=1),
    ),
    ("waiting", "alerts", "error", Backlog(channels=(Overdue(name="desk-email", due_at=NOW - HOUR, count=2),))),
    ("channel", "alerts", "warning", Backlog(broken=(FAILED,))),
    ("channel", "alerts", "warning", Backlog(failed_tests=(TEST,))),
    ("dead", "alerts", "warning", Backlog(dead=2)),
    ("never", "feeds", "warning", unwell(failures=1, last_error="HTTP 404")),
    ("failing", "feeds", "warning", unwell(health=Health.FAILING, failures=4, last_ok_at=NOW, last_error="HTTP 500")),
    ("blocked", "feeds", "warning", unwell(health=Health.BLOCKED, last_ok_at=NOW, last_error="HTTP 403")),
    ("gone", "feeds", "warning", unwell(health=Health.GONE, last_ok_at=NOW)),
    ("emptied", "feeds", "warning", unwell(health=Health.EMPTIED, last_ok_at=NOW)),
    ("silent", "feeds", "note", unwell(health=Health.SILENT, last_ok_at=NOW)),
    ("no_entries", "feeds", "note", unwell(health=Health.OK, last_ok_at=NOW)),
    ("deadly", "feeds", "warning", Backlog(suspects=(Suspect(kind="feed", name="tass", deaths=3),))),
    ("budget", "feeds", "warning", Backlog(over_budget=(("tass", 12),))),
]


class Steady(MemoryBackend):
    """A backend whose backlog is what a test says, and nothing else is wrong."""

    stuck = Backlog()

    @property
    def catalog(self) -> MemoryCatalog:
        stuck = self.stuck

        class Stuck(MemoryCatalog):
            async def backlog(self, now: object, **_: object) -> Backlog:
                return stuck

        return Stuck(self.tables)


@pytest.fixture
def asked() -> Callable[[str, Backlog], tuple[HttpClient, tuple[Any, ...]]]:
    """Give the site, and what doctor finds, where one thing is wrong."""

    def ask(kind: str, stuck: Backlog) -> tuple[HttpClient, tuple[Any, ...]]:
        backend = sample_tables()
        backend.__class__ = type("Case", (Steady,), {"stuck": stuck})
        backend.refused = (str(REFUSED),) if kind == "config" else ()
        backend.disk_free_bytes = free = 10**8 if kind == "disk" else 10**11
        known = DatabaseFacts(feeds=stuck.unwell or (feed(),), backlog=stuck)
        facts = Facts(now=NOW, python=(3, 12, 5), sqlite=(3, 45, 0), free_bytes=free, known=known)
        return HttpClient(create_app(backend)), diagnose(replace(facts, config=(REFUSED,) if kind == "config" else ()))

    return ask


@pytest.mark.parametrize(("kind", "area", "severity", "stuck"), CASES, ids=[case[0] for case in CASES])
def test_all_agree(
    asked: Callable[[str, Backlog], tuple[HttpClient, tuple[Any, ...]]],
    kind: str,
    area: str,
    severity: str,
    stuck: Backlog,
) -> None:
    """The kind and the severity are the same everywhere, and nothing is well where it is more than a note."""
    client, found = asked(kind, stuck)
    well = severity == "note"
    status, listed = client.get("/api/v1/status").json(), client.get("/api/v1/findings").json()
    for answer in (status, listed):
        assert [(one["kind"], one["area"], one["severity"]) for one in answer["findings"]] == [(kind, area, severity)]
        assert answer["ok"] is well
    ready, page = client.get("/readyz"), client.get("/status").text
    assert ready.status == (503 if severity == "error" else 200)
    assert ready.json()["ok"] is ready.json()["loops"][area] is well
    assert all(good for name, good in ready.json()["loops"].items() if name != area)
    assert f'class="verdict {"good" if well else "bad"}"' in page
    assert ("No problems" in page) is well
    assert [(one.kind, one.severity) for one in found] == [(kind, severity)]


def test_nothing_wrong_is_all_well(asked: Callable[[str, Backlog], tuple[HttpClient, tuple[Any, ...]]]) -> None:
    """Without a finding everybody says so."""
    client, found = asked("", Backlog())
    assert client.get("/api/v1/status").json()["ok"] is client.get("/readyz").json()["ok"] is True
    assert "No problems" in client.get("/status").text
    assert found == ()
