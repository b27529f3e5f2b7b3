"""The application: the database and the active configuration, wired together."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from aggregator.app.clock import SystemClock
from aggregator.app.masking import masked_catalog
from aggregator.app.paths import database_url
from aggregator.app.processes import dead_owners, new_owner, registry_folder
from aggregator.core.errors import StoreError
from aggregator.core.model import ConfigVersion, Entry
from aggregator.core.redaction import Redactor
from aggregator.notify import recipients
from aggregator.pipeline.context import ActiveConfig, Context, activate
from aggregator.pipeline.vocabulary import StreamVocabulary
from aggregator.store import Store, open_store

if TYPE_CHECKING:  # what only some commands need is loaded by the methods that use it
    from aggregator.app.cluster_config import ClusterConfig
    from aggregator.app.runtime import Runtime
    from aggregator.config import Loaded
    from aggregator.config.stored import FeedReader
    from aggregator.pipeline.maintain import Maintainer
    from aggregator.ports.jobs import Jobs


log = logging.getLogger(__name__)


class Follow(NamedTuple):
    """How a process is on the configuration of a cluster; see `ClusterConfig`. `path`: of its files, if it has any."""

    path: Path | None
    whole: bool = True
    web: bool = True


@dataclass(slots=True, kw_only=True)
class Application:
    """The application of every command; `runtime()` opens the rest."""

    loaded: "Loaded"
    current: ActiveConfig
    store: Store
    redact: Redactor
    clock: SystemClock = field(default_factory=SystemClock)
    owner: str = field(default_factory=new_owner)
    console: TextIO | None = None
    follower: "ClusterConfig | None" = None
    _secrets: set[str] = field(default_factory=set)  # of feeds that were read from their rows
    vocabulary: StreamVocabulary
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    _runtime: "Runtime | None" = None
    _jobs: "Jobs | None" = None

    def active(self) -> ActiveConfig:
        return self.current

    def local_now(self) -> datetime:
        """Return the time as the clocks of the configured zone show it."""
        return self.loaded.config.settings.local(self.clock.now())

    @property
    def context(self) -> Context:
        """Return the context of the parts of the pipeline."""
        return Context(config=self.active, clock=self.clock, owner=self.owner, vocabulary=self.vocabulary)

    async def runtime(self) -> "Runtime":
        """Open transport, parsers and notifiers; once, closed with the application."""
        if self._runtime is None:
            from aggregator.app.runtime import open_runtime

            context = replace(self.context, link_key=await self._link_key())
            self._runtime = await self._closing.enter_async_context(
                open_runtime(context, self.store, console=self.console)
            )
        return self._runtime

    async def _link_key(self) -> bytes:
        """Return what signs the links in alerts; nothing where no page could be reached, or the database cannot."""
        if not self.loaded.config.settings.web.public_url:
            return b""
        try:
            return await self.store.catalog.signing_key(token_bytes(32))
        except StoreError as error:
            log.warning("alerts are sent without action links: %s", error)
            return b""

    def jobs(self, places: int = 2) -> "Jobs":
        """Open the queue of a cluster; once, closed with the application. `places`: how many jobs are worked on.

        Raises StoreError where the engine is not installed.
        """
        if self._jobs is None:
            from aggregator.engine import open_jobs

            self._jobs = open_jobs(database_url(self.current.config), places)
            self._closing.push_async_callback(self._jobs.close)
        return self._jobs

    async def cluster_fields(self) -> Mapping[str, Any]:
        """Return what `Status` says of a cluster; nothing without one. Raises DatabaseFault."""
        if self.store.cluster is None:
            return {}
        from aggregator.app.cluster_state import ClusterState, cluster_state

        try:
            jobs = self.jobs()
        except StoreError as error:
            return ClusterState(await self.store.cluster.nodes(), engine_fault=str(error)).fields()
        return (await cluster_state(self.store.cluster, jobs)).fields()

    async def has_work(self) -> bool:
        """Tell whether a pass may find something to do: the runtime need not be opened to find nothing."""
        store, now = self.store, self.clock.now()
        for next_due_at in (store.feeds.next_due_at, store.outbox.next_due_at, store.articles.next_due_at):
            due_at = await next_due_at()
            if due_at is not None and due_at <= now:
                return True
        if (await store.feeds.unrouted(now)).due:
            return True
        return bool(await store.maintenance.owners())  # leases that may have run out

    def maintainer(self) -> "Maintainer":
        from aggregator.pipeline.maintain import Maintainer

        store = self.store
        return Maintainer(self.context, catalog=store.catalog, outbox=store.outbox, upkeep=store.maintenance)

    async def reload(self, path: Path, *, digest: str | None = None) -> bool:
        """Apply the configuration at `path`. Raises ConfigErrors; then nothing has changed.

        False, and nothing has changed either, if it is no longer the one with `digest`.
        """
        loaded, current = await asyncio.to_thread(self._prepare, path)  # polling and matching go on meanwhile
        if digest not in (None, loaded.digest):
            return False
        if self.follower is not None:
            current = await self.follower.put_in_force(loaded, current)
        else:
            await self.store.feeds.sync(loaded.config.feeds, self.clock.now())
        self.take(loaded, current)
        return True

    def take(self, loaded: "Loaded", current: ActiveConfig) -> None:
        """Go on with another configuration."""
        self.redact.set_secrets(loaded.secrets | self.loaded.secrets | self._secrets)
        self.loaded, self.current = loaded, current
        if self._runtime is not None:
            self._runtime.fetcher.reconfigure(loaded.config.settings.http, loaded.config.settings.polling)
            self._runtime.mail.reconfigure(loaded.config.settings.http)

    def note_secrets(self, found: Set[str]) -> None:
        """Cut further secrets out of all texts."""
        if not found <= self._secrets:
            self._secrets |= found
            self.redact.set_secrets(self.loaded.secrets | self._secrets)

    def activated(self, loaded: "Loaded", version: ConfigVersion, reader: "FeedReader") -> ActiveConfig:
        """Prepare a configuration of the cluster for the pipeline."""
        from aggregator.core.rules import forget_spellings

        current = activate(
            loaded.config,
            loaded.rules,
            loaded.digest,
            recipients=recipients,
            before=self.current,
            version=version,
            read_feed=reader.read,
        )
        current.recipients.resolve()
        current.index.prepare()
        forget_spellings()
        return current

    def _prepare(self, path: Path) -> "tuple[Loaded, ActiveConfig]":
        from aggregator.app.usable import require_usable
        from aggregator.config import load
        from aggregator.core.rules import forget_spellings

        loaded = load(path, os.environ, before=self.loaded)
        require_usable(loaded, before=self.loaded)
        current = activate(loaded.config, loaded.rules, loaded.digest, recipients=recipients, before=self.current)
        current.recipients.resolve()
        forget_spellings()
        return loaded, current


@asynccontextmanager
async def open_application(
    loaded: "Loaded",
    *,
    reading: bool = False,
    console: TextIO | None = None,
    redact: Redactor | None = None,
    follow: Follow | None = None,
    engine: bool = False,
    active: ActiveConfig | None = None,
) -> AsyncIterator[Application]:
    """Open the database: upgraded, free of dead processes' leases, its feeds those of the configuration.

    `reading`: its feeds stay what they are, for the configuration at hand may be an old one. So they do where the
    database holds the configuration (`ClusterConfig`).
    `console` is where console channels print; default: stdout. `redact` is shared with the logs. `follow`: where
    the database holds the configuration, be on the one in force; else the configuration is `loaded`. `engine`: on
    PostgreSQL, with the tables of the engine. `active`: of a configuration whose feeds the database is known to have.
    """
    redact = redact or Redactor(loaded.secrets)
    clock = SystemClock()
    async with AsyncExitStack() as closing:
        make_dirs = loaded.config.settings.database is None
        store = open_store(database_url(loaded.config), index_text=_index_text, make_dirs=make_dirs)
        await closing.enter_async_context(store)
        await store.maintenance.upgrade(engine=_engine_steps() if engine and store.cluster else ())
        dead = dead_owners(await store.maintenance.owners(), registry_folder(loaded.config))
        await store.maintenance.release_leases_of(dead, clock.now())
        if active is None:
            # A feed that was left out for its faults is still ours.
            if not reading and not loaded.faults and store.cluster is None:
                await store.feeds.sync(loaded.config.feeds, clock.now())
            active = activate(loaded.config, loaded.rules, loaded.digest, recipients=recipients)
        store = replace(store, catalog=masked_catalog(store.catalog, redact))
        app = Application(
            loaded=loaded,
            current=active,
            store=store,
            redact=redact,
            clock=clock,
            console=console,
            vocabulary=StreamVocabulary(store.feeds, clock),
            _closing=closing,
        )
        if store.cluster is not None and follow is not None:
            from aggregator.app.cluster_config import ClusterConfig

            app.follower = ClusterConfig(app, store.cluster, follow.path, whole=follow.whole, web=follow.web)
            await app.follower.start()
        yield app


def _index_text(entry: Entry) -> str:
    from aggregator.core.rules import index_text

    return index_text(entry)


def _engine_steps() -> Sequence[tuple[str, str]]:
    from aggregator.engine import schema_steps

    return schema_steps()
