"""The probe of doctor: looks at an installation without changing anything, and gathers facts."""

import os
import re
import shutil
import sqlite3
import stat
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from aggregator import config
from aggregator.app.clock import SystemClock
from aggregator.app.doctor.checks import DatabaseFacts, DoctorFinding, ExposedFile, Facts, WebPort, diagnose
from aggregator.app.extras import missing
from aggregator.app.paths import cluster_address, database_url
from aggregator.app.processes import loops_at
from aggregator.app.usable import usage_problems
from aggregator.config.source import files
from aggregator.core.errors import AggregatorError, ConfigError, ConfigErrors, StoreError
from aggregator.core.model import DeliveryState, Finding
from aggregator.core.polling.hosts import host_key
from aggregator.core.redaction import MIN_SECRET_CHARS, Redactor, url_secrets
from aggregator.core.rules import index_text
from aggregator.core.settings import Channel, Config, Web
from aggregator.core.values import revealed
from aggregator.store import Store, open_store
from aggregator.store.files import OTHERS, family
from aggregator.store.inspect import DatabaseState, inspect_database

SAMPLE = 500
SECRET_FILE = re.compile(r"\$\{file:([^}]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The findings, and the areas that were checked."""

    findings: tuple[DoctorFinding, ...]
    checked: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Tell whether the installation is healthy; notes do not count."""
        return all(finding.severity == "note" for finding in self.findings)


async def run_checks(path: Path, redact: Redactor) -> Report:
    """Diagnose the installation whose configuration is at `path`.

    `redact` receives its secrets.
    """
    facts = Facts(
        now=SystemClock().now(), python=sys.version_info[:3], sqlite=sqlite3.sqlite_version_info, fts5=_has_fts5()
    )
    looked_at = ["programs", "configuration"]
    try:
        loaded = _load(path)
    except ConfigErrors as errors:
        return Report(findings=diagnose(replace(facts, config=errors.errors)), checked=tuple(looked_at))
    except StoreError as error:
        return Report(findings=diagnose(replace(facts, database_error=str(error))), checked=(*looked_at, "database"))
    redact.set_secrets(loaded.secrets)
    settings = loaded.config.settings
    facts = replace(
        facts,
        config=_config_problems(loaded),
        missing=tuple(missing(loaded.config)),
        page=_page(settings.web) if settings.web.enabled else None,
        exposed=tuple(_exposed(path, loaded)),
    )
    looked_at += ["channels", "extras", "page", "files", "database", "disk"]
    facts = await _with_database(facts, loaded.config)
    if facts.known:
        facts = replace(facts, known=replace(facts.known, lists=config.overdue_lists(loaded.fetched, facts.now)))
        looked_at += ["feeds", "rules", "alerts", "clock"]
    return Report(findings=tuple(_redacted(finding, redact) for finding in diagnose(facts)), checked=tuple(looked_at))


def _load(path: Path) -> config.Loaded:
    """Load the files; where there are none, what $AGGREGATOR_DATABASE has. Raises ConfigErrors, StoreError."""
    address = cluster_address(path)
    if not address:
        return config.load(path, os.environ)
    from aggregator.app.cluster_config import load_from_database

    return load_from_database(address, whole=True, web=False)


def _redacted(finding: DoctorFinding, redact: Redactor) -> DoctorFinding:
    return replace(finding, message=redact(finding.message), remedy=redact(finding.remedy))


def _has_fts5() -> bool:
    with closing(sqlite3.connect(":memory:")) as memory:
        try:
            memory.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
        except sqlite3.OperationalError:
            return False
    return True


def _config_problems(loaded: config.Loaded) -> tuple[ConfigError, ...]:
    return (*loaded.warnings, *usage_problems(loaded))


# --- the page ------------------------------------------------------------------------------------


def _page(web: Web) -> WebPort:
    from aggregator.web.origins import is_loopback, split_listen

    host, port = split_listen(web.listen)
    guarded = any(secret and secret.get_secret_value() for secret in (web.password, web.token))
    page = WebPort(listen=web.listen, open_to_all=not guarded and not is_loopback(host))
    if port == 0:
        return page
    try:
        loops = loops_at(host, port)
    except ConnectionRefusedError:
        return page
    if loops is None:
        return replace(page, holder="another")
    return replace(page, holder="us", late=tuple(name for name, well in loops.items() if not well))


# --- files ---------------------------------------------------------------------------------------


def _exposed(path: Path, loaded: config.Loaded) -> Iterator[ExposedFile]:
    """Return configuration files that others may change, or that hold secrets which others may read."""
    if os.name != "posix" or cluster_address(path):
        return
    secrets = _written_secrets(loaded)
    for file in files(path):
        text = file.read_text(encoding="utf-8-sig", errors="replace")
        if any(secret in text for secret in secrets):
            yield from _if_open(file, stat.S_IROTH, "secret")
        yield from _if_open(file, stat.S_IWOTH, "writable")
        for name in dict.fromkeys(SECRET_FILE.findall(text)):
            yield from _if_open(file.parent / name.strip(), stat.S_IROTH, "secret")


def _written_secrets(loaded: config.Loaded) -> set[str]:
    """Return every secret; of an address only what is secret in it: most of them are none."""
    feeds = [feed.url for feed in loaded.config.feeds]
    channels = [url for channel in loaded.config.channels.values() for url in _addresses(channel)]
    found = {secret for secret in loaded.secrets if "://" not in secret}
    found.update(secret for url in feeds for secret in url_secrets(url))
    found.update(secret for url in channels for secret in url_secrets(url, tokens=True))
    return {secret for secret in found if len(secret) >= MIN_SECRET_CHARS}


def _addresses(channel: Channel) -> Iterator[str]:
    fields = (revealed(value) for value in (*channel.url, *channel.fields.values()))
    return (value for value in fields if isinstance(value, str) and "://" in value)


def _exposed_database(database: DatabaseState) -> Iterator[ExposedFile]:
    """Return the files of the application's database that others may read."""
    if os.name == "posix" and database.path and database.revision:
        for file in family(database.path):
            yield from _if_open(file, OTHERS, "database")


def _if_open(file: Path, bit: int, why: Literal["secret", "writable", "database"]) -> Iterator[ExposedFile]:
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0
    if mode & bit:
        yield ExposedFile(path=str(file), mode=mode, why=why)


# --- the database --------------------------------------------------------------------------------


async def _with_database(facts: Facts, wanted: Config) -> Facts:
    url = database_url(wanted)
    try:
        database = inspect_database(url)
    except StoreError as error:
        return replace(facts, database_error=str(error))
    exposed = (*facts.exposed, *_exposed_database(database))
    facts = replace(facts, database=database, free_bytes=_free(database), exposed=exposed)
    if database.path:
        facts = replace(facts, file_system=file_system(database.path, _mounts()))
    if not database.is_current or database.damage:
        return facts
    try:
        return replace(facts, known=await _read(url, wanted, facts.now))
    except AggregatorError as error:
        return replace(facts, database_error=str(error))


def _free(database: DatabaseState) -> int | None:
    if database.path is None:
        return None
    folder = next(above for above in database.path.absolute().parents if above.exists())
    return shutil.disk_usage(folder).free


async def _read(url: str, wanted: Config, now: datetime) -> DatabaseFacts:
    async with open_store(url, index_text=index_text) as store:
        catalog = store.catalog
        ids = {feed.id for feed in wanted.feeds if feed.enabled}
        feeds = tuple(found.state for found in await catalog.feeds() if found.state.id in ids)
        limits = {limit.host for limit in await catalog.hosts() if limit.not_before > now}
        latest = await catalog.entries(limit=SAMPLE)
        future = Counter(e.feed for e in latest if e.is_from_future)
        enabled = {rule.id for rule in wanted.rules if rule.enabled}
        return DatabaseFacts(
            feeds=feeds,
            limited=frozenset(state.id for state in feeds if host_key(state.url) in limits),
            rules=tuple(figures for figures in await catalog.rules(now) if figures.rule in enabled),
            entries=await catalog.count_entries(),
            from_future=future,
            last_dead=await catalog.deliveries(states=[DeliveryState.DEAD], limit=1),
            backlog=await catalog.backlog(now),
            channels=frozenset(wanted.channels),
            cluster=await _cluster(store, url),
        )


async def _cluster(store: Store, url: str) -> tuple[Finding, ...]:
    if store.cluster is None:
        return ()
    from aggregator.app.cluster_state import look_at_cluster

    return await look_at_cluster(store.cluster, url)


def file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds `path`, by the text of /proc/self/mountinfo; "": not known."""
    place, best, found = path.absolute(), -1, ""
    for line in mounts.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split()
        if dash and len(fields) > 4:
            point = Path(fields[4].replace("\\040", " "))
            if len(point.parts) >= best and (point == place or point in place.parents):
                best, found = len(point.parts), right.split()[0]
    return found


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
