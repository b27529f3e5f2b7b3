"""Findings of a status: values in, findings out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aggregator.core.findings import feed_finding, feed_is_overdue, findings, is_healthy
from aggregator.core.model import (
    Backlog,
    Delivery,
    FeedState,
    Finding,
    Health,
    LoopStatus,
    Node,
    Overdue,
    Process,
    Status,
    Suspect,
    Unrouted,
)
from aggregator.core.schemas import status_json

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EMPTY = Backlog()


def status(backlog: Backlog = EMPTY, **rest: object) -> Status:
    return Status(version="1", now_at=NOW, backlog=backlog, **rest)  # type: ignore[arg-type]


def only(found: tuple[Finding, ...]) -> Finding:
    [finding] = found
    return finding


def test_a_service_that_does_its_work_has_no_findings() -> None:
    """Work that is due for a moment is not stuck."""
    channels = (Overdue(name="desk", due_at=NOW - 10 * MINUTE, count=40),)
    assert findings(status(Backlog(oldest_feed_due_at=NOW - MINUTE, channels=channels))) == ()


def test_a_feed_is_overdue_by_its_own_interval() -> None:
    """More than twice the interval, a minute at least; one that was never answered is given a quarter of an hour."""
    assert feed_is_overdue(NOW - 31 * MINUTE, 900.0, NOW)
    assert not feed_is_overdue(NOW - 30 * MINUTE, 900.0, NOW)
    assert not feed_is_overdue(NOW - 2 * MINUTE, 1.0, NOW)
    assert feed_is_overdue(NOW - 3 * MINUTE, 1.0, NOW)
    assert not feed_is_overdue(NOW - 30 * MINUTE, None, NOW)


def test_a_list_that_is_not_fetched_is_reported() -> None:
    """What its rules look for is as old as its last version."""
    old = Overdue(name="sanctions", due_at=NOW - timedelta(days=5), interval_s=86_400.0)
    one = only(findings(status(lists=(old,))))
    assert (one.kind, one.severity) == ("list", "warning")
    assert one.what == "list sanctions has not been fetched for 5 d: its rules go by the last version"


def test_overdue_feeds_are_named_and_counted() -> None:
    """The first few by name with how long they wait, the others by number."""
    feeds = tuple(Overdue(name=f"f{n}", due_at=NOW - 60 * MINUTE, interval_s=600.0) for n in range(10))
    found = findings(status(Backlog(feeds=feeds, feeds_overdue=30)))
    assert [(one.severity, one.area) for one in found] == [("error", "feeds")] * 6
    assert found[0].what == "feed f0 has been due for 1 h, more than twice its interval, 10 min"
    assert found[-1].what.startswith("25 more feeds are overdue")
    assert all(one.remedy for one in found)


def test_an_alert_that_is_due_for_ten_minutes_is_a_finding_of_its_channel() -> None:
    """Each channel for itself: a stuck one is named, a quick one is not."""
    late = Overdue(name="mail", due_at=NOW - 11 * MINUTE, count=3)
    finding = only(findings(status(Backlog(channels=(late, Overdue(name="desk", due_at=NOW))))))
    assert (finding.severity, finding.area) == ("error", "alerts")
    assert finding.what == "3 alerts are overdue on channel mail, the oldest by 11 min"
    assert "channels test mail" in finding.remedy


@pytest.mark.parametrize(
    ("roles", "waits_s", "says"),
    [
        (("poll", "deliver"), 6, "no node has the role route"),
        (("poll", "route"), 6, ""),
        (("poll", "route"), 61, "the oldest for 1 min: nobody is alerted to them"),
        ((), 61, "hits of 2 polls wait to be routed"),
    ],
)
def test_hits_that_nobody_routes_are_an_error(roles: tuple[str, ...], waits_s: int, says: str) -> None:
    """At once where no process has the role, else when those that have it do not get to them."""
    node = Node(id="n", name="n", roles=roles, version="1", schema="1", started_at=NOW, heartbeat_at=NOW)
    waiting = Backlog(unrouted=Unrouted(2, NOW - timedelta(seconds=waits_s), due=True))
    found = findings(status(waiting, nodes=(node,) if roles else ()))
    unrouted = [finding for finding in found if finding.kind == "unrouted"]
    assert [(finding.severity, says in finding.what) for finding in unrouted] == ([("error", True)] if says else [])


def test_what_was_under_way_at_two_deaths_is_a_warning() -> None:
    """One death is chance; the second is reported with what rests, and for how long."""
    suspects = (
        Suspect(kind="feed", name="once", deaths=1),
        Suspect(kind="feed", name="bomb", deaths=3, until=NOW + 20 * MINUTE),
        Suspect(kind="delivery", name="d1", deaths=2),
    )
    feed, alert = findings(status(Backlog(suspects=suspects)))
    assert (feed.severity, feed.what) == (
        "warning",
        "the service crashed 3 times while processing feed bomb; paused for 20 min",
    )
    assert "d1" in alert.what


def test_late_loops_are_findings_wherever_they_are_seen() -> None:
    """Those of this process, and those that another one tells of itself."""
    loops = (LoopStatus(name="poll", last_at=NOW, timeout_s=45.0, late=True),)
    other = Process(pid=1, started_at=NOW, roles=("deliver",), page=None, loops=(("deliver", False), ("poll", False)))
    found = findings(status(loops=loops, processes=(other,)))
    assert [one.what for one in found] == [f"loop {name} is not responding" for name in ("deliver", "poll")]


def test_the_worst_comes_first_and_decides() -> None:
    """`ok` of the status is True only where no finding is a warning or an error."""
    backlog = Backlog(
        suspects=(Suspect(kind="feed", name="bomb", deaths=2),),
        channels=(Overdue(name="mail", due_at=NOW - 60 * MINUTE),),
    )
    shape = status_json(status(backlog))
    assert [one["severity"] for one in shape["findings"]] == ["error", "warning"]
    assert set(shape["findings"][0]) >= {"severity", "area", "what", "remedy"}
    assert shape["ok"] is False
    assert status_json(status())["ok"] is True
    note = Finding(kind="k", severity="note", area="feeds", what="w", remedy="r")
    assert is_healthy((note,))


def test_a_feed_over_its_daily_budget_is_a_warning() -> None:
    """It is named with what was left out, and does not take the service out of rotation."""
    [found] = findings(status(Backlog(over_budget=(("flood", 4990),))))
    assert (found.severity, found.area) == ("warning", "feeds")
    assert "feed flood" in found.what
    assert "4990" in found.what
    assert "daily_entries" in found.remedy


def feed_state(**given: Any) -> FeedState:
    address = "https://a.example/feed"
    return FeedState(**{"id": "a", "url": address, "configured_url": address, **given})


@pytest.mark.parametrize(
    ("state", "severity", "says"),
    [
        ({"health": Health.NEW, "failures": 1, "last_error": "HTTP 404"}, "warning", "first poll failed: HTTP 404"),
        ({"health": Health.NEW, "failures": 2, "last_error": "no"}, "warning", "never worked, 2 polls failed: no"),
        ({"health": Health.FAILING, "failures": 3, "last_error": "no", "last_ok_at": NOW}, "warning", "3 polls failed"),
        ({"health": Health.GONE}, "warning", "permanently removed"),
        ({"health": Health.SILENT, "last_ok_at": NOW}, "note", "unusually quiet"),
        ({"health": Health.OK, "last_ok_at": NOW}, "note", "no entries yet"),
    ],
)
def test_feeds_that_need_a_look_are_named_at_once(state: dict[str, object], severity: str, says: str) -> None:
    """One that never worked after its first poll; one without entries has a state of its own."""
    finding = only(findings(status(Backlog(unwell=(feed_state(**state),), feeds_unwell=1))))
    assert (finding.severity, finding.area) == (severity, "feeds")
    assert finding.what.startswith(f"feed a: {says}")
    assert finding.remedy
    assert is_healthy((finding,)) is (severity == "note")


def test_a_feed_that_works_is_no_finding() -> None:
    """Neither is one that waits for its first poll, or failed once after it had worked."""
    for state in (
        feed_state(health=Health.OK, last_ok_at=NOW, items=3, newest_at=NOW),
        feed_state(health=Health.NEW),
        feed_state(health=Health.OK, last_ok_at=NOW, failures=1, items=3, newest_at=NOW),
    ):
        assert feed_finding(state) is None


def test_disk_clock_channels_and_dead_alerts_are_findings() -> None:
    """The worst first, each with its remedy."""
    failed = Delivery(id="d", channel="mail", created_at=NOW, due_at=NOW, last_error="channel mail: no route; ask")
    backlog = Backlog(broken=(failed,), dead=2, newest_poll_at=NOW + 10 * MINUTE)
    found = findings(status(backlog, disk_free_bytes=5 * 10**8))
    assert [one.kind for one in found] == ["clock", "disk", "channel", "dead"]
    assert [one.severity for one in found] == ["error", "warning", "warning", "warning"]
    assert found[2].what.startswith("the last attempt on channel mail failed: no route")
    assert "channels test mail" in found[2].remedy
    assert findings(status(disk_free_bytes=10**8))[0].severity == "error"
