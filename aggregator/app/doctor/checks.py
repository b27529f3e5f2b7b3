"""Diagnose an installation: facts in, findings with remedies out. The facts are gathered in probe.py."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from aggregator import DISTRIBUTION
from aggregator.core.errors import ConfigError, brief
from aggregator.core.findings import FULL_BYTES, SCARCE_BYTES, feed_finding, findings
from aggregator.core.humanize import span
from aggregator.core.model import Backlog, Delivery, FeedState, Finding, Health, Overdue, RuleStats, Severity, Status
from aggregator.store.inspect import DatabaseState

PYTHON = (3, 11)
# The first releases whose email package does not write line ends out of encoded words (CVE-2024-6923).
PATCHED: Mapping[tuple[int, ...], tuple[int, ...]] = {(3, 11): (3, 11, 10), (3, 12): (3, 12, 5)}
SQLITE = (3, 35, 0)  # the first that knows RETURNING
NETWORKED = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs",
     "nfs4", "smb3", "smbfs"}
)  # fmt: skip
MAX_LAG = timedelta(minutes=15)
MIN_ENTRIES = 1000  # a rule that matches none of this many deserves a look
OF_FEEDS = frozenset({"unwell", "never", "no_entries", *map(str, Health)})  # said of every feed by itself
MAX_NAMED = 10  # findings of one kind that are listed one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFinding:
    """A problem and its remedy. `kind` is a stable word for programs; a note is no reason to act at once."""

    kind: str
    severity: Severity
    about: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPort:
    """The program on the page's port: none, this one, or another."""

    listen: str
    holder: Literal["nobody", "us", "another"] = "nobody"
    late: tuple[str, ...] = ()
    open_to_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposedFile:
    """A file that others on this machine can read or write although they should not."""

    path: str
    mode: int
    why: Literal["secret", "writable", "database"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """Facts from the database about the past. `limited` feeds wait because their host asked for it."""

    feeds: tuple[FeedState, ...] = ()
    limited: frozenset[str] = frozenset()
    rules: tuple[RuleStats, ...] = ()
    entries: int = 0
    from_future: Mapping[str, int] = field(default_factory=dict)
    last_dead: tuple[Delivery, ...] = ()
    backlog: Backlog = field(default_factory=Backlog)
    channels: frozenset[str] | None = None
    lists: tuple[Overdue, ...] = ()
    cluster: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All gathered facts; None or empty: unknown, or nothing was there."""

    now: datetime
    python: tuple[int, ...]
    sqlite: tuple[int, ...]
    fts5: bool = True
    config: tuple[ConfigError, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()  # (what is configured, the extra that it needs)
    database: DatabaseState | None = None
    database_error: str = ""
    file_system: str = ""
    free_bytes: int | None = None
    page: WebPort | None = None
    exposed: tuple[ExposedFile, ...] = ()
    known: DatabaseFacts | None = None


def diagnose(facts: Facts) -> tuple[DoctorFinding, ...]:
    """Return all findings, the worst first, otherwise in the order in which to fix them."""
    found = [
        *_programs(facts),
        *_config(facts.config),
        *_extras(facts.missing),
        *_database(facts),
        *_disk(facts),
        *(_page(facts.page) if facts.page else ()),
        *_files(facts.exposed),
        *(_stored(facts.known, facts.now) if facts.known else ()),
    ]
    order: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda finding: order[finding.severity]))


# --- the machine ---------------------------------------------------------------------------------


def _programs(facts: Facts) -> Iterator[DoctorFinding]:
    for name, has, needs in (("Python", facts.python[:2], PYTHON), ("SQLite", facts.sqlite, SQLITE)):
        if has < needs:
            yield _error(
                "version", name, f"version {_dotted(has)} is too old", f"install {name} {_dotted(needs)} or newer"
            )
    patched = PATCHED.get(facts.python[:2])
    if patched and facts.python < patched:
        message = (
            f"version {_dotted(facts.python)} lacks the fix for CVE-2024-6923 (mail headers); "
            "aggregator does not use the affected code, other programs may"
        )
        yield _note("unpatched", "Python", message, f"install Python {_dotted(patched)} or newer")
    if not facts.fts5:
        yield _error("version", "SQLite", "built without full-text search (FTS5)", "use a Python build with FTS5")


def _extras(missing: Sequence[tuple[str, str]]) -> Iterator[DoctorFinding]:
    for what, extra in missing:
        remedy = f"pip install '{DISTRIBUTION}[{extra}]', or remove the key"
        yield _error("extra", what, f"requires the extra {extra}, which is not installed", remedy)


def _disk(facts: Facts) -> Iterator[DoctorFinding]:
    if facts.free_bytes is None:
        return
    free, size = facts.free_bytes, facts.database.bytes if facts.database else 0
    remedy = "free some space, or shorten settings.retention and run `aggregator db prune`"
    if free < FULL_BYTES:
        yield _error("disk", "disk", f"only {free / 1e6:.0f} MB are free", remedy)
    elif free < max(SCARCE_BYTES, size):
        yield _warning(
            "disk", "disk", f"only {free / 1e6:.0f} MB are free, too little for a backup on the same disk", remedy
        )


def _files(exposed: Sequence[ExposedFile]) -> Iterator[DoctorFinding]:
    for file in exposed:
        if file.why == "secret":
            message = f"contains a secret and is readable by everyone on this machine (mode {file.mode:o})"
            yield _error("secret", file.path, message, f"chmod o-r {file.path}")
        elif file.why == "database":
            holds = "it holds alerts and the addresses of feeds"
            message = f"readable by other users on this machine (mode {file.mode:o}); {holds}"
            yield _error("secret", file.path, message, f"chmod 600 {file.path}")
        else:
            message = f"writable by everyone on this machine (mode {file.mode:o})"
            yield _error("writable", file.path, message, f"chmod o-w {file.path}")


# --- the installation ----------------------------------------------------------------------------


def _config(problems: Sequence[ConfigError]) -> Iterator[DoctorFinding]:
    for problem in problems:
        where = f"{problem.file}:{problem.line}:{problem.column}"
        remedy = problem.hint or "correct the line, then run `aggregator check`"
        make = _error if problem.severity == "error" else _warning
        yield make("config", where, problem.message, remedy)


def _database(facts: Facts) -> Iterator[DoctorFinding]:
    if facts.database_error:
        yield _split("database", "database", facts.database_error)
    database = facts.database
    if database is None:
        return
    if facts.file_system in NETWORKED:
        message = f"on a network file system ({facts.file_system}), where locking is unreliable"
        yield _error("network", database.name, message, "move it to a local disk, or use PostgreSQL")
    if not database.writable:
        remedy = "give this user write permission on the file and its directory"
        yield _error("unwritable", database.name, "not writable", remedy)
    if not database.exists:
        remedy = "`aggregator run` creates it; if there should be one, correct settings.database"
        yield _note("missing", database.name, "does not exist yet", remedy)
    elif database.error:
        yield _split("database", database.name, database.error.removeprefix(database.name).strip())
    elif database.is_newer:
        message = f"schema {database.revision} is newer than this program's ({database.newest})"
        yield _error(
            "newer", database.name, message, "use the newer program, or restore a backup made before the upgrade"
        )
    elif database.revision != database.newest:
        message = f"schema is {database.revision or 'empty'}; this program needs {database.newest}"
        yield _warning("older", database.name, message, "back it up, then run `aggregator db upgrade`")
    for line in database.damage:
        yield _error("damaged", database.name, line, "restore the latest backup: see docs/operations.md")
    if database.is_current and database.path and not database.checked:
        remedy = "run `aggregator db check`; no poll waits for it"
        yield _note("unchecked", database.name, "too large for a quick integrity check", remedy)


def _page(page: WebPort) -> Iterator[DoctorFinding]:
    if page.open_to_all:
        message = f"{page.listen} is not a loopback address and no password is set; the service will not start"
        yield _error("open", "page", message, "set settings.web.password, or listen on 127.0.0.1")
    if page.holder == "another":
        message = f"{page.listen} is in use by another program"
        yield _error("port", "page", message, "stop that program, or set settings.web.listen to another port")
    for loop in page.late:
        remedy = "check the log for its last error; if there is none, restart the service"
        yield _error("late", f"loop {loop}", "the service is running, but this loop is not responding", remedy)


# --- the past ------------------------------------------------------------------------------------


def _stored(known: DatabaseFacts, now: datetime) -> Iterator[DoctorFinding]:
    if not known.feeds:
        yield _warning("nothing", "feeds", "no feeds are configured", "aggregator feeds add URL")
    yield from _dates(known)
    stopped = list(_stopped(known, now))
    yield from stopped
    yield from _stuck(known, now, without="lag" if stopped else "")
    yield from _limited(
        [finding for state in known.feeds for finding in _feed(state)], "feeds", "aggregator feeds list"
    )
    yield from _limited(list(_rules(known)), "rules", "aggregator rules lint")


def _dates(known: DatabaseFacts) -> Iterator[DoctorFinding]:
    feeds, polled = len(known.from_future), sum(state.last_polled_at is not None for state in known.feeds)
    if feeds >= 3 and feeds * 2 > polled:
        message = f"{feeds} of {polled} feeds have entries dated in the future"
        yield _warning("clock", "clock", message, "compare this machine's clock with another; it is probably slow")
    else:
        for feed, count in list(known.from_future.items())[:MAX_NAMED]:
            message = f"{count} entries are dated in the future"
            yield _note("future", f"feed {feed}", message, "nothing to do: dates do not decide what is new")


def _stuck(known: DatabaseFacts, now: datetime, without: str) -> Iterator[DoctorFinding]:
    """Return what every status shows. If the service stands still, each overdue feed says no more than that."""
    state = Status(version="", now_at=now, backlog=known.backlog, channels=known.channels, lists=known.lists)
    for one in (*known.cluster, *findings(state)):
        if one.kind in (without, *OF_FEEDS):
            continue
        last = known.last_dead[0] if one.kind == "dead" and known.last_dead else None
        message = one.what + (f", the last of them {last.title!r} on {last.channel}: {_why(last)}" if last else "")
        yield DoctorFinding(kind=one.kind, severity=one.severity, about=one.area, message=message, remedy=one.remedy)


def _stopped(known: DatabaseFacts, now: datetime) -> Iterator[DoctorFinding]:
    live = [state for state in known.feeds if state.health not in (Health.PAUSED, Health.GONE)]
    due = [s for s in live if s.next_poll_at and s.lease_owner is None and s.id not in known.limited]
    if not live or not due:
        return
    polled = max((state.last_polled_at for state in live if state.last_polled_at), default=None)
    first = min(due, key=lambda state: state.next_poll_at or now)
    waits = now - (first.next_poll_at or now)
    start = "start it: `aggregator run`, or `systemctl start aggregator`"
    if polled is None:
        yield _warning("stopped", "service", "no feed has been polled yet", start)
    elif waits > MAX_LAG and now - polled > MAX_LAG:
        message = f"not running: the last poll was {span(now - polled)} ago, {len(due)} feeds are due"
        yield _error("stopped", "service", message, start)


def _why(delivery: Delivery) -> str:
    return brief((delivery.last_error or delivery.reason).removeprefix(f"channel {delivery.channel}: "))


def _feed(state: FeedState) -> Iterator[DoctorFinding]:
    if found := feed_finding(state):
        yield DoctorFinding(
            kind=found.kind,
            severity=found.severity,
            about=f"feed {state.id}",
            message=found.what,
            remedy=found.remedy,
        )


def _rules(known: DatabaseFacts) -> Iterator[DoctorFinding]:
    if known.entries < MIN_ENTRIES:
        return
    for rule in known.rules:
        if not rule.hits:
            message = f"matches none of {known.entries:,} stored entries"
            yield _note("mute", f"rule {rule.rule}", message, f"aggregator rules backtest {rule.rule} --since 365d")


# --- words ---------------------------------------------------------------------------------------


def _error(kind: str, about: str, message: str, remedy: str) -> DoctorFinding:
    return DoctorFinding(kind=kind, severity="error", about=about, message=message, remedy=remedy)


def _warning(kind: str, about: str, message: str, remedy: str) -> DoctorFinding:
    return DoctorFinding(kind=kind, severity="warning", about=about, message=message, remedy=remedy)


def _note(kind: str, about: str, message: str, remedy: str) -> DoctorFinding:
    return DoctorFinding(kind=kind, severity="note", about=about, message=message, remedy=remedy)


def _split(kind: str, about: str, sentence: str) -> DoctorFinding:
    """Split an error's own sentence into the thing and the remedy."""
    message, _, remedy = sentence.partition("; ")
    return _error(kind, about, message, remedy or "check settings.database and the system log")


def _limited(findings: Sequence[DoctorFinding], about: str, command: str) -> Iterator[DoctorFinding]:
    """Return the first of many similar findings, and how many more there are."""
    yield from findings[:MAX_NAMED]
    if more := findings[MAX_NAMED:]:
        worst = "warning" if any(finding.severity == "warning" for finding in more) else "note"
        make = _warning if worst == "warning" else _note
        yield make("more", about, f"{len(more)} more like this", command)


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
