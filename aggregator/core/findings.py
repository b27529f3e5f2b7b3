"""Findings about the running service, computed from its status.

The status page, `status`, `/readyz` and `doctor` all use this one function. A loop that ticks is no
proof that work gets done, so the work itself is checked: what is due and not done.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from aggregator.core.cluster_findings import SILENT_S, cluster_findings
from aggregator.core.errors import brief
from aggregator.core.humanize import span
from aggregator.core.model import Backlog, FeedState, Finding, Health, Overdue, Severity, Status, Suspect

FEED_INTERVALS = 2.0  # a feed is overdue by more than this many of its intervals
MIN_INTERVAL_S = 60.0  # what counts as an interval at least: a poll itself takes time
ASSUMED_INTERVAL_S = 900.0  # of a feed that has none yet
DELIVERY_S = 600.0  # an alert is overdue that was due for so long
SUSPECT_DEATHS = 2  # one process that died in the midst of something proves nothing
MAX_NAMED = 5
UNROUTED_S, NOBODY_S = 60.0, 5.0  # so long hits may wait, where somebody routes and where nobody does
FULL_BYTES, SCARCE_BYTES = 200 * 10**6, 10**9  # free on the disk
DRIFT = timedelta(minutes=5)  # by how much clocks may differ

ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


def findings(status: Status) -> tuple[Finding, ...]:
    """Return all findings, the worst first."""
    found = [
        *_database(status.database_fault),
        *_config(status.config_errors, running=bool(status.loops or status.processes)),
        *_loops(status),
        *cluster_findings(status.nodes, status.queue, status.engine, status.engine_fault),
        *_unrouted(status),
        *_deliveries(status.backlog.channels, status.now_at),
        *_feeds(status.backlog.feeds, status.backlog.feeds_overdue, status.now_at),
        *_suspects(status.backlog.suspects, status.now_at),
        *_over_budget(status.backlog.over_budget),
        *_clock(status.backlog.newest_poll_at, status.now_at),
        *_disk(status.disk_free_bytes),
        *_channels(status.backlog, status.channels),
        *_lists(status.lists, status.now_at),
        *_unwell(status.backlog),
        *_unfolding(status.backlog.unfolding),
    ]
    return tuple(sorted(found, key=lambda finding: ORDER[finding.severity]))


def is_healthy(found: tuple[Finding, ...]) -> bool:
    """Tell whether the service is healthy; notes do not count."""
    return all(finding.severity == "note" for finding in found)


def feed_is_overdue(due_at: datetime, interval_s: float | None, now: datetime) -> bool:
    """Tell whether a feed should have been polled long ago, by its own interval in seconds."""
    interval = ASSUMED_INTERVAL_S if interval_s is None else max(interval_s, MIN_INTERVAL_S)
    return now - due_at > timedelta(seconds=FEED_INTERVALS * interval)


def _unrouted(status: Status) -> Iterator[Finding]:
    """Yield that hits wait for their routing, and so nobody is alerted to them."""
    polls, oldest_at, _ = status.backlog.unrouted
    waits = timedelta() if oldest_at is None else status.now_at - oldest_at
    alive = [node for node in status.nodes if node.silent_s <= SILENT_S]
    nobody = bool(alive) and not any("route" in node.roles for node in alive)
    if waits > timedelta(seconds=NOBODY_S if nobody else UNROUTED_S):
        hits = f"hits of {'1 poll wait' if polls == 1 else f'{polls:,} polls wait'}"
        what = f"{hits} to be routed, the oldest for {span(waits.total_seconds())}: nobody is alerted to them"
        what += "; no node has the role route" if nobody else ""
        remedy = "start a process with the role route, for example `aggregator worker`"
        yield Finding(
            kind="unrouted",
            severity="error",
            area="service",
            what=what,
            remedy=remedy if nobody else f"{remedy}; the logs of those that have it say why they do not",
        )


def _unfolding(rules: tuple[str, ...]) -> Iterator[Finding]:
    for rule in rules:
        yield Finding(
            kind="unfolding",
            severity="note",
            area="alerts",
            what=f"two folds of rule {rule} were undone within a week; its retellings are sent as updates for a month",
            remedy=f"nothing to do, or decide it yourself: retellings: update or alert in rule {rule}",
        )


def _database(fault: str) -> Iterator[Finding]:
    if fault:
        what, _, remedy = fault.partition("; ")
        remedy = remedy or "check settings.database and the system log"
        yield Finding(kind="database", severity="error", area="database", what=what, remedy=remedy)


def _config(errors: tuple[str, ...], *, running: bool) -> Iterator[Finding]:
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        meanwhile = ", and the previous one is still running" if running else ""
        what = f"the configuration on disk is invalid{meanwhile}: {errors[0]}{more}"
        remedy = "correct it, then run `aggregator check`"
        yield Finding(kind="config", severity="error", area="configuration", what=what, remedy=remedy)


def _loops(status: Status) -> Iterator[Finding]:
    late = {loop.name for loop in status.loops if loop.late}
    late.update(name for process in status.processes for name, well in process.loops or () if not well)
    for name in sorted(late):
        remedy = "check the log for its last error; if there is none, restart the service"
        yield Finding(
            kind="late", severity="error", area="service", what=f"loop {name} is not responding", remedy=remedy
        )


def _feeds(overdue: tuple[Overdue, ...], count: int, now: datetime) -> Iterator[Finding]:
    for feed in overdue[:MAX_NAMED]:
        every = f", {span(feed.interval_s)}" if feed.interval_s else ""
        what = f"feed {feed.name} has been due for {span(now - feed.due_at)}, more than twice its interval{every}"
        yield _overdue_feed(what)
    if count > MAX_NAMED:
        yield _overdue_feed(f"{count - MAX_NAMED} more feeds are overdue by more than twice their interval")


def _overdue_feed(what: str) -> Finding:
    remedy = "check that `aggregator run` is running and what it logs; otherwise raise settings.polling.concurrency"
    return Finding(kind="lag", severity="error", area="feeds", what=what, remedy=remedy)


def _deliveries(due: tuple[Overdue, ...], now: datetime) -> Iterator[Finding]:
    for channel in due:
        if now - channel.due_at <= timedelta(seconds=DELIVERY_S):
            continue
        alerts = "1 alert is overdue" if channel.count == 1 else f"{channel.count} alerts are overdue"
        what = f"{alerts} on channel {channel.name}, the oldest by {span(now - channel.due_at)}"
        test = f"`aggregator channels test {channel.name}`"
        remedy = f"check that `aggregator run` is running; {test} shows how the channel responds"
        yield Finding(kind="waiting", severity="error", area="alerts", what=what, remedy=remedy)


def _suspects(suspects: tuple[Suspect, ...], now: datetime) -> Iterator[Finding]:
    for suspect in suspects:
        if suspect.deaths < SUSPECT_DEATHS:
            continue
        waits = f"; paused for {span(suspect.until - now)}" if suspect.until and suspect.until > now else ""
        if suspect.kind == "feed":
            what = f"the service crashed {suspect.deaths} times while processing feed {suspect.name}{waits}"
            remedy = f"inspect its document; pause the feed, or remove it with `aggregator feeds remove {suspect.name}`"
        else:
            what = f"the service crashed {suspect.deaths} times while sending alert {suspect.name}{waits}"
            remedy = f"inspect it and its channel with `aggregator deliveries show {suspect.name}`"
        area = "feeds" if suspect.kind == "feed" else "alerts"
        yield Finding(kind="deadly", severity="warning", area=area, what=what, remedy=remedy)


def _clock(newest_poll_at: datetime | None, now: datetime) -> Iterator[Finding]:
    if newest_poll_at and newest_poll_at - now > DRIFT:
        what = f"this machine's clock is {span(newest_poll_at - now)} behind the last poll in the database"
        remedy = "set this machine's clock (chrony, systemd-timesyncd)"
        yield Finding(kind="clock", severity="error", area="service", what=what, remedy=remedy)


def _disk(free_bytes: int | None) -> Iterator[Finding]:
    if free_bytes is not None and free_bytes < SCARCE_BYTES:
        full = free_bytes < FULL_BYTES
        what = f"the disk is {'full' if full else 'nearly full'}: {free_bytes // 10**6:,} MB free"
        remedy = "free space, or lower settings.retention and run `aggregator db prune`"
        yield Finding(kind="disk", severity="error" if full else "warning", area="database", what=what, remedy=remedy)


def _channels(backlog: Backlog, known: frozenset[str] | None) -> Iterator[Finding]:
    failures = {one.channel: one.last_error or one.reason for one in backlog.broken}
    for test in backlog.failed_tests:
        failures[test.channel] = next((answer.detail for answer in test.answers if not answer.ok), "")
    for name, said in sorted(failures.items()):
        if known is not None and name not in known:
            continue
        what = f"the last attempt on channel {name} failed: {brief(said.removeprefix(f'channel {name}: '))}"
        remedy = f"correct it, then `aggregator channels test {name}`"
        yield Finding(kind="channel", severity="warning", area="alerts", what=what, remedy=remedy)
    if backlog.dead:
        what = "1 alert was given up" if backlog.dead == 1 else f"{backlog.dead:,} alerts were given up"
        remedy = "`aggregator deliveries list --state dead`, then `deliveries retry ID` or `deliveries ack ID`"
        yield Finding(kind="dead", severity="warning", area="alerts", what=what, remedy=remedy)


def _lists(overdue: tuple[Overdue, ...], now: datetime) -> Iterator[Finding]:
    for one in overdue:
        what = f"list {one.name} has not been fetched for {span(now - one.due_at)}: its rules go by the last version"
        remedy = f"`aggregator lists fetch {one.name}` says why"
        yield Finding(kind="list", severity="warning", area="rules", what=what, remedy=remedy)


def _unwell(backlog: Backlog) -> Iterator[Finding]:
    for state in backlog.unwell[:MAX_NAMED]:
        if found := feed_finding(state):
            yield replace(found, what=f"feed {state.id}: {found.what}")
    if backlog.feeds_unwell > MAX_NAMED:
        what = f"{backlog.feeds_unwell - MAX_NAMED:,} more feeds need a look"
        yield Finding(kind="unwell", severity="note", area="feeds", what=what, remedy="`aggregator feeds list`")


def feed_finding(state: FeedState) -> Finding | None:
    """Return what is wrong with a feed, without its name; None: nothing. One that never worked is reported at once.

    Nothing in it quotes the feed's address, which may hold a secret.
    """
    look = f"`aggregator feeds show {state.id}` has its address; if it moved, `aggregator feeds discover SITE`"
    found: dict[Health, tuple[Severity, str, str]] = {
        Health.FAILING: ("warning", f"{state.failures} polls failed: {state.last_error}", look),
        Health.BLOCKED: (
            "warning",
            f"blocked by the site: {state.last_error}",
            "contact the site's owner, or set user_agent, auth or proxy for the feed",
        ),
        Health.GONE: (
            "warning",
            "permanently removed by the publisher (410)",
            f"run `aggregator feeds remove {state.id}`, or find its replacement",
        ),
        Health.EMPTIED: (
            "warning",
            "responds with no entries",
            f"open the address in `aggregator feeds show {state.id}` and check whether the feed has moved",
        ),
        Health.SILENT: (
            "note",
            "unusually quiet: no new entries",
            f"open the address in `aggregator feeds show {state.id}` and compare",
        ),
        Health.MOVED: (
            "note",
            "now fetched from another address",
            f"update its url to the one in `aggregator feeds show {state.id}`",
        ),
    }
    if state.failures and state.last_ok_at is None and state.health not in (Health.GONE, Health.BLOCKED):
        polls = "first poll failed" if state.failures == 1 else f"never worked, {state.failures} polls failed"
        kind = "failing" if state.health is Health.FAILING else "never"
        return Finding(kind=kind, severity="warning", area="feeds", what=f"{polls}: {state.last_error}", remedy=look)
    if state.health in found:
        severity, what, remedy = found[state.health]
        return Finding(kind=state.health.value, severity=severity, area="feeds", what=what, remedy=remedy)
    if state.last_ok_at and not state.items and state.newest_at is None:
        remedy = f"open the address in `aggregator feeds show {state.id}` and compare"
        return Finding(kind="no_entries", severity="note", area="feeds", what="no entries yet", remedy=remedy)
    return None


def _over_budget(feeds: tuple[tuple[str, int], ...]) -> Iterator[Finding]:
    for name, left_out in feeds[:MAX_NAMED]:
        what = f"feed {name} used up its daily storage budget; {left_out} entries that no alert needs were left out"
        remedy = "see why so much of it is new; else raise settings.polling.daily_entries or daily_size"
        yield Finding(kind="budget", severity="warning", area="feeds", what=what, remedy=remedy)
