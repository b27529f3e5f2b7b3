"""Findings of doctor from facts; no disk, no clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from aggregator.app.doctor.checks import DatabaseFacts, DoctorFinding, ExposedFile, Facts, WebPort, diagnose
from aggregator.app.doctor.probe import file_system
from aggregator.core.errors import ConfigError
from aggregator.core.model import Backlog, Delivery, FeedState, Health, Overdue, RuleStats
from aggregator.store.inspect import DatabaseState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOUND = DatabaseState(
    name="database x.db", path=Path("x.db"), newest="0001", revision="0001", bytes=5 * 10**9, checked=True
)
WELL = Facts(now=NOW, python=(3, 12, 5), sqlite=(3, 45, 0), database=SOUND, free_bytes=10**11)


def feed(name: str = "wire", **changes: object) -> FeedState:
    polled = NOW - timedelta(minutes=5)
    state = FeedState(
        id=name,
        url=f"https://{name}.example/feed",
        configured_url=f"https://{name}.example/feed",
        health=Health.OK,
        last_polled_at=polled,
        next_poll_at=polled + timedelta(minutes=15),
    )
    return structs.replace(state, **changes)


def delivery(**changes: object) -> Delivery:
    made = Delivery(id="d1", channel="desk", title="S-400 seen", created_at=NOW, due_at=NOW)
    return structs.replace(made, **changes)


def only(facts: Facts) -> DoctorFinding:
    [finding] = diagnose(facts)
    return finding


def known(*feeds: FeedState, **rest: object) -> Facts:
    return replace(WELL, known=replace(DatabaseFacts(feeds=feeds or (feed(),)), **rest))  # type: ignore[arg-type]


def test_nothing_wrong_is_nothing_said() -> None:
    """A sound installation has no troubles."""
    assert diagnose(WELL) == diagnose(known()) == ()


@pytest.mark.parametrize(
    ("facts", "kind", "severity", "remedy"),
    [
        (replace(WELL, python=(3, 10, 4)), "version", "error", "Python 3.11"),
        (replace(WELL, python=(3, 11, 7)), "unpatched", "note", "Python 3.11.10"),
        (replace(WELL, python=(3, 12, 4)), "unpatched", "note", "Python 3.12.5"),
        (replace(WELL, sqlite=(3, 31, 1)), "version", "error", "SQLite 3.35.0"),
        (replace(WELL, fts5=False), "version", "error", "build with FTS5"),
        (
            replace(WELL, missing=(("full_text of feed wire", "fulltext"),)),
            "extra",
            "error",
            "aggregator-watch[fulltext]",
        ),
        (replace(WELL, free_bytes=10**8), "disk", "error", "retention"),
        (replace(WELL, free_bytes=4 * 10**9), "disk", "warning", "retention"),
        (replace(WELL, file_system="nfs4"), "network", "error", "local disk"),
        (replace(WELL, database=replace(SOUND, writable=False)), "unwritable", "error", "write permission"),
        (replace(WELL, database=replace(SOUND, exists=False)), "missing", "note", "aggregator run"),
        (replace(WELL, database=replace(SOUND, revision="9999")), "newer", "error", "newer program"),
        (replace(WELL, database=replace(SOUND, revision=None)), "older", "warning", "db upgrade"),
        (replace(WELL, database=replace(SOUND, damage=("row 7 missing",))), "damaged", "error", "latest backup"),
        (replace(WELL, database=replace(SOUND, checked=False)), "unchecked", "note", "db check"),
        (replace(WELL, database_error="it is locked; end that process"), "database", "error", "end that process"),
        (replace(WELL, page=WebPort(listen="0.0.0.0:80", open_to_all=True)), "open", "error", "web.password"),
        (replace(WELL, page=WebPort(listen="127.0.0.1:80", holder="another")), "port", "error", "web.listen"),
        (replace(WELL, page=WebPort(listen="", holder="us", late=("poll",))), "late", "error", "log"),
        (replace(WELL, exposed=(ExposedFile(path="s", mode=0o644, why="secret"),)), "secret", "error", "chmod o-r s"),
        (
            replace(WELL, exposed=(ExposedFile(path="s", mode=0o666, why="writable"),)),
            "writable",
            "error",
            "chmod o-w s",
        ),
        (replace(WELL, known=DatabaseFacts()), "nothing", "warning", "feeds add"),
        (known(feed(health=Health.FAILING, failures=4)), "failing", "warning", "discover"),
        (known(feed(health=Health.BLOCKED)), "blocked", "warning", "user_agent"),
        (known(feed(health=Health.GONE)), "gone", "warning", "feeds remove wire"),
        (known(feed(health=Health.EMPTIED)), "emptied", "warning", "moved"),
        (known(feed(health=Health.SILENT)), "silent", "note", "aggregator feeds show wire"),
        (known(feed(health=Health.MOVED)), "moved", "note", "url"),
        (known(backlog=Backlog(newest_poll_at=NOW + 2 * HOUR)), "clock", "error", "clock"),
        (known(from_future={"wire": 3}), "future", "note", "nothing to do"),
        (known(backlog=Backlog(dead=2), last_dead=(delivery(last_error="403"),)), "dead", "warning", "retry"),
        (
            known(backlog=Backlog(channels=(Overdue(name="desk", due_at=NOW - HOUR),))),
            "waiting",
            "error",
            "aggregator run",
        ),
        (known(backlog=Backlog(broken=(delivery(),))), "channel", "warning", "channels test desk"),
        (known(rules=(RuleStats(rule="f35"),), entries=5000), "mute", "note", "backtest f35"),
    ],
)
def test_each_finding_has_its_remedy(facts: Facts, kind: str, severity: str, remedy: str) -> None:
    """One fact that is wrong is one trouble with its severity and what to do."""
    finding = only(facts)
    assert (finding.kind, finding.severity) == (kind, severity)
    assert remedy in finding.remedy


def test_a_service_that_stands_still_and_one_that_lags() -> None:
    """All feeds untouched for hours is a stopped service; one late feed beside fresh ones is a lag."""
    old = feed("old", last_polled_at=NOW - timedelta(hours=9), next_poll_at=NOW - timedelta(hours=8))
    assert only(known(old)).kind == "stopped"
    backlog = Backlog(feeds=(Overdue(name="old", due_at=NOW - 8 * HOUR, interval_s=900.0),), feeds_overdue=1)
    assert only(known(old, feed("fresh"), backlog=backlog)).kind == "lag"
    assert only(known(old, backlog=backlog)).kind == "stopped"
    assert only(known(feed(last_polled_at=None, next_poll_at=NOW))).kind == "stopped"


def test_feeds_that_wait_for_a_reason_do_not_lag() -> None:
    """Paused, gone, leased, and asked by their host to wait."""
    late: dict[str, Any] = {"last_polled_at": NOW - timedelta(hours=9), "next_poll_at": NOW - timedelta(hours=8)}
    assert diagnose(known(feed(health=Health.PAUSED, **late))) == ()
    assert diagnose(known(feed(lease_owner="x", **late))) == ()
    assert diagnose(known(feed(**late), limited=frozenset({"wire"}))) == ()


def test_a_slow_clock_shows_in_many_feeds() -> None:
    """One feed that dates ahead is its own affair; most of them are the clock's."""
    feeds = [feed(name) for name in "abcd"]
    assert only(known(*feeds, from_future={"a": 1, "b": 2, "c": 1})).kind == "clock"


def test_many_like_findings_are_counted() -> None:
    """A hundred failing feeds are ten lines and a number; the worst troubles come first."""
    feeds = [feed(f"f{number}", health=Health.FAILING) for number in range(100)]
    found = diagnose(known(*feeds, backlog=Backlog(dead=1)))
    assert len(found) == 12
    assert found[0].kind == "dead"
    assert "90 more" in found[-1].message


def test_mistakes_of_the_configuration_keep_their_place() -> None:
    """File, line and column; the loader's hint is the remedy."""
    wrong = ConfigError(file="a.yaml", line=2, column=3, message="unknown key", hint="did you mean 'any'?")
    finding = only(replace(WELL, config=(wrong,)))
    assert (finding.about, finding.remedy) == ("a.yaml:2:3", "did you mean 'any'?")
    assert only(replace(WELL, config=(replace(wrong, severity="warning"),))).severity == "warning"


def test_the_file_system_is_that_of_the_nearest_mount() -> None:
    """The longest mount point above the path wins; nothing known is an empty word."""
    mounts = (
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "36 22 0:40 / /srv rw shared:1 - nfs4 host:/srv rw\n"
        "37 36 0:41 / /srv/my\\040disk rw - xfs /dev/sdb rw\n"
    )
    assert file_system(Path("/srv/news/a.db"), mounts) == "nfs4"
    assert file_system(Path("/srv/my disk/a.db"), mounts) == "xfs"
    assert file_system(Path("/srvx/a.db"), mounts) == "ext4"
    assert file_system(Path("/srv/a.db"), "") == ""
