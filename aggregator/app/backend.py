"""The backend: operations of pages and commands beyond reading the database (ports.backend.Backend)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from aggregator import __version__, config
from aggregator.app.discovery import NO_KEYS, Keys, SourceFinder, address_and_login
from aggregator.app.editing import ConfigEditing
from aggregator.app.masking import masked_feeds, masked_recipients, shown
from aggregator.app.metrics import lag_s
from aggregator.app.paths import free_bytes
from aggregator.app.processes import registry_folder, running_processes
from aggregator.core.errors import (
    AggregatorError,
    ConfigErrors,
    Conflict,
    DatabaseFault,
    FetchError,
    Forbidden,
    NotFound,
    Unreachable,
)
from aggregator.core.findings import findings
from aggregator.core.model import (
    ChannelAnswer,
    ChannelTest,
    DeliveryState,
    FeedSummary,
    Finding,
    Health,
    HitDetail,
    LoopStatus,
    Receipt,
    SearchOrder,
    Status,
    Undo,
)
from aggregator.core.results import (
    BaselineSent,
    Discovery,
    FeedAdded,
    FeedCandidate,
    ImportResult,
    PollOutcome,
    SearchResult,
    StoryChange,
)
from aggregator.core.rules import Explanation
from aggregator.core.settings import Auth, Feed
from aggregator.core.short_names import expand
from aggregator.core.text.urls import Login, is_ip_address
from aggregator.core.values import maildir
from aggregator.pipeline.apply_rules import send_baseline
from aggregator.pipeline.edit_stories import join_stories, split_hit
from aggregator.pipeline.search import explain_hit, search
from aggregator.pipeline.websub import PushOutcome
from aggregator.scheduler import kept_alive

if TYPE_CHECKING:
    from aggregator.web.app import WebApp

POLL_WAIT_S, POLL_LOOK_S = 20.0, 0.2
MAX_CONCURRENT_LOOKUPS, LOOKUPS_S = 32, 15.0


@dataclass(slots=True)
class AppBackend(ConfigEditing):
    """`ports.backend.Backend` over an open application."""

    loop_statuses: Callable[[], tuple[LoopStatus, ...]] = tuple
    metrics_source: Callable[[], bytes] = bytes
    fault: Callable[[], ConfigErrors | None] = lambda: None
    started_at: datetime | None = None

    def current(self) -> config.Loaded:
        return self.app.loaded

    def database_fault(self) -> DatabaseFault | None:
        return self.app.store.maintenance.fault()

    def metrics(self) -> tuple[bytes, str]:
        return self.metrics_source(), "text/plain; version=0.0.4; charset=utf-8"

    # --- reading ---------------------------------------------------------------------------------

    async def findings(self) -> tuple[Finding, ...]:
        now, loops = self.clock.now(), self.loop_statuses()
        backlog = await self.catalog.backlog(now)
        state = Status(version=__version__, now_at=now, loops=loops, backlog=backlog, **await self._around())
        return findings(replace(state, disk_free_bytes=free_bytes(self.app.loaded.config)))

    async def status(self) -> Status:
        now = self.clock.now()
        health = await self.catalog.health()
        outbox = await self.catalog.outbox()
        sent = await self.catalog.deliveries(states=[DeliveryState.SENT], limit=1)
        loaded = self.app.loaded
        return Status(
            version=__version__,
            now_at=now,
            started_at=self.started_at,
            loops=self.loop_statuses(),
            feeds=tuple((word.value, count) for word, count in health.items()),
            lag_s=lag_s(await self.app.store.feeds.next_due_at(), now),
            outbox=tuple((state.value, count) for state, count in outbox.items() if count),
            last_alert_at=sent[0].sent_at if sent else None,
            stats=await self.catalog.stats(),
            disk_free_bytes=free_bytes(self.app.loaded.config),
            versions=_versions(),
            warnings=tuple(
                map(
                    str,
                    (
                        *filter(None, [self.database_fault()]),
                        *(fault.errors if (fault := self.fault()) else ()),
                        *loaded.faults,
                        *loaded.warnings,
                    ),
                )
            ),
            processes=await asyncio.to_thread(running_processes, registry_folder(loaded.config)),
            backlog=await self.catalog.backlog(now),
            **await self._around(),
        )

    async def _around(self) -> dict[str, Any]:
        """Return what `Status` says of faults, and of the cluster if there is one."""
        return {
            "database_fault": str(self.database_fault() or ""),
            "config_errors": self.config_errors(),
            "channels": frozenset(self.app.current.config.channels),
            "lists": config.overdue_lists(self.app.loaded.fetched, self.clock.now()),
            **await self.app.cluster_fields(),
        }

    def config_errors(self) -> tuple[str, ...]:
        return tuple(map(str, fault.errors)) if (fault := self.fault()) else ()

    async def explain(self, detail: HitDetail) -> Explanation | None:
        rule = self.app.current.rules.get(detail.hit.rule)
        return explain_hit(rule, detail, self.app.current) if rule else None

    async def search(
        self,
        query: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by: SearchOrder = "published",
        limit: int = 50,
        before: int | None = None,
        within_s: float = inf,
        feed: str = "",
        lang: str = "",
    ) -> SearchResult:
        async with self._looks.turn():
            return await search(
                self.catalog,
                self.app.current,
                query,
                since=since,
                until=until,
                by=by,
                limit=limit,
                before=before,
                within_s=within_s,
                feed=feed,
                lang=lang,
            )

    async def send_baseline(
        self, rule: str | None = None, *, wait_s: float = 0.0, undo: Undo | None = None
    ) -> BaselineSent:
        return await send_baseline(self.app.context, self.catalog, rule, wait_s=wait_s, undo=undo)

    # --- channels --------------------------------------------------------------------------------

    async def test_channel(self, name: str) -> ChannelTest:
        channels = self.app.active().config.channels
        if name not in channels:
            raise NotFound("channel", name, list(channels))
        answered = await (await self.app.runtime()).test_channel(channels[name])
        names = masked_recipients([recipient for recipient, _ in answered], self.app.redact)
        answers = [
            ChannelAnswer(recipient=recipient, ok=isinstance(answer, Receipt), detail=self.app.redact(_words(answer)))
            for recipient, (_, answer) in zip(names, answered, strict=True)
        ]
        test = ChannelTest(channel=name, at=self.clock.now(), answers=tuple(answers))
        await self.catalog.keep_channel_test(test)
        return test

    # --- hubs ------------------------------------------------------------------------------------

    async def verify_subscription(self, callback: str, query: Mapping[str, str]) -> str | None:
        return await (await self.app.runtime()).websub().verify(callback, query)

    async def receive_push(
        self,
        callback: str,
        content_type: str,
        signature: str,
        read: Callable[[], Awaitable[bytes]],
        size_bytes: int | None = None,
    ) -> PushOutcome:
        from aggregator.fetch.budget import incoming

        runtime = await self.app.runtime()
        async with incoming(runtime.fetcher.transport.budget, size_bytes, read) as reading:
            return await runtime.websub().receive(callback, content_type, signature, reading)

    # --- feeds -----------------------------------------------------------------------------------

    async def split_hit(self, hit_id: str, *, wait_s: float = 0.0, undo: Undo | None = None) -> StoryChange:
        return await split_hit(self.app.context, self.catalog, hit_id, by="page", wait_s=wait_s, undo=undo)

    async def join_stories(self, story_id: str, other_id: str, *, undo: Undo | None = None) -> StoryChange:
        return await join_stories(self.app.context, self.catalog, story_id, other_id, by="page", undo=undo)

    async def discover(self, url: str, keys: Keys | None = None) -> Discovery:
        """Find what can be watched at `url`, as pasted.

        A name and password in it go to its own origin, and are not returned.
        """
        return await self.find_sources(url, keys or NO_KEYS)

    async def find_sources(self, url: str, keys: Keys = NO_KEYS, *, local: bool = False) -> Discovery:
        """Find what can be watched; see SourceFinder.find."""
        runtime = await self.app.runtime()
        return await SourceFinder(runtime, self.app.current.feeds.values()).find(url, keys, local=local)

    async def add_feed(
        self,
        url: str,
        *,
        title: str = "",
        tags: Sequence[str] = (),
        feed_id: str = "",
        find: bool = False,
        keys: Keys | None = None,
        local: bool = False,
    ) -> FeedAdded:
        """Add the source at `url`, as pasted; a name and password in it become its `auth`.

        `find`: it may be that of a site, and the best source behind it is added. `keys` are further keys of the feed;
        `local`: it may be a Maildir. Raises NotFound, Conflict, FetchError; what cannot be reached now is added as
        it is.
        """
        login, keys = address_and_login(url), keys or NO_KEYS
        if find and (best := await self._behind(url, keys)):
            login = Login(best.url, login.user, login.password) if _same_place(best.url, login.url) else Login(best.url)
            title, keys = title or best.title, {**best.keys, **keys}
        if maildir(login.url) is not None and not local:
            raise Forbidden("a Maildir is added at the command line or in the file", url=login.url, transient=False)
        if login.url.startswith(("imaps:", "maildir:")):
            keys = {**keys, "kind": "mail"}
        else:
            await (await self.app.runtime()).fetcher.transport.check_allowed(expand(login.url) or login.url)
        auth = {"password": login.password} if login.url.startswith("imaps:") and login.password else login.auth
        auth = keys.get("auth") or auth
        row = {"url": login.url, "id": feed_id, **keys, "title": title, "tags": list(tags), "auth": auth}
        ids, edit = await self.write_feeds([{key: value for key, value in row.items() if value}])
        return FeedAdded(ids[0], edit)

    async def _behind(self, url: str, keys: Keys) -> FeedCandidate | None:
        """Return the best source behind an address; None: unreachable now. Raises NotFound, Conflict, FetchError."""
        try:
            found = await self.discover(url, keys)
        except Unreachable as error:
            if error.connected:
                raise
            return None
        if not found.candidates:
            why = "no feed is linked there or found at the usual paths of the site"
            raise NotFound("feed", address_and_login(url).url, why=f"{why}; {found.nothing}" if found.nothing else why)
        best = found.candidates[0]
        if best.existing_id:
            raise Conflict(f"{best.url} is already watched as {best.existing_id}")
        return best

    async def poll_now(self, feed_id: str) -> PollOutcome | None:
        before = await self._summary(feed_id)
        if before.state.health in (Health.PAUSED, Health.GONE):
            raise Conflict(f"feed {feed_id} is {before.state.health.value}; resume it first")
        asked_at = self.clock.now()
        await self.catalog.poll_soon(feed_id, asked_at)
        for _ in range(round(POLL_WAIT_S / POLL_LOOK_S)):
            await asyncio.sleep(POLL_LOOK_S)
            after = await self._summary(feed_id)
            polled_at = after.state.last_polled_at
            if polled_at is not None and polled_at >= asked_at:
                failed = after.state.failures > 0
                return PollOutcome(
                    feed=feed_id,
                    new=max(after.entries - before.entries, 0),
                    hits=max(after.hits - before.hits, 0),
                    error=(after.state.last_error or "the poll failed") if failed else "",
                )
        return None

    async def _summary(self, feed_id: str) -> FeedSummary:
        found = await self.catalog.feeds([feed_id])
        if not found or not any(feed.id == feed_id for feed in self.app.current.feeds.values()):
            raise NotFound("feed", feed_id, list(self.app.current.feeds))
        return found[0]

    async def import_opml(
        self, document: bytes, *, online: bool = False, step: Callable[[], object] = lambda: None
    ) -> ImportResult:
        """Import feeds; `online`: only feeds that can be read now are added."""
        known = tuple(self.app.current.feeds.values())
        wanted, skipped = await asyncio.to_thread(lambda: config.split_known(config.from_opml(document), known))
        others = await asyncio.to_thread(config.left_out, document)
        wanted, problems = await (self._readable(wanted, step) if online else self._permitted(wanted))
        added: tuple[str, ...] = ()
        edit = None
        if wanted:
            added, edit = await self.write_feeds([one.row() for one in wanted], about="OPML", by_title=True)
        detail = (config.WATCHED, config.TWICE)
        return ImportResult(
            added=added,
            edit=edit,
            known=tuple(url for url, why in skipped if why == config.WATCHED),
            repeated=tuple(url for url, why in skipped if why == config.TWICE),
            problems=(*(f"{url}: {why}" for url, why in (*skipped, *others) if why not in detail), *problems),
        )

    async def _readable(
        self, wanted: Sequence[config.OpmlOutline], step: Callable[[], object]
    ) -> tuple[tuple[config.OpmlOutline, ...], list[str]]:
        runtime = await self.app.runtime()
        outcomes = await runtime.try_feeds([_tried(one) for one in wanted], step=step)
        problems = [f"{url}: {error}" for url, error in outcomes.items() if error]
        return tuple(one for one in wanted if not outcomes[one.url]), problems

    async def _permitted(
        self, wanted: Sequence[config.OpmlOutline]
    ) -> tuple[tuple[config.OpmlOutline, ...], list[str]]:
        """Return feeds whose address may be read, and the problems of the others.

        Names are looked up for LOOKUPS_S in all; one that is not known by then is checked when it is dialled.
        """
        transport = (await self.app.runtime()).fetcher.transport
        examples = {_place(one.url): one.url for one in wanted}
        refused: dict[str, str] = {}
        gate = asyncio.Semaphore(MAX_CONCURRENT_LOOKUPS)

        async def judge(place: str, url: str) -> None:
            async with gate:
                try:
                    await transport.check_allowed(url)
                except FetchError as error:
                    refused[place] = str(error)

        literal_first = sorted(examples.items(), key=lambda item: not is_ip_address(urlsplit(item[1]).hostname or ""))
        tasks = [asyncio.create_task(judge(*item)) for item in literal_first]
        done, late = await asyncio.wait(tasks, timeout=LOOKUPS_S) if tasks else (set(), set())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            task.result()
        problems = [
            f"{shown(one.url, self.app.redact)}: {refused[place]}"
            for one in wanted
            if (place := _place(one.url)) in refused
        ]
        return tuple(one for one in wanted if _place(one.url) not in refused), problems

    async def export_opml(self) -> str:
        """Export feeds without secrets."""
        return config.to_opml(masked_feeds(self.app.current.config.feeds, self.app.redact))


def _same_place(one: str, other: str) -> bool:
    return urlsplit(one).netloc == urlsplit(other).netloc


def _tried(one: config.OpmlOutline) -> Feed:
    """Return a feed that is only tried; named by its address."""
    return Feed.model_construct(url=one.url, id=one.url, auth=Auth.model_validate(one.auth) if one.auth else None)


@asynccontextmanager
async def web_server(backend: AppBackend, listen: str) -> AsyncIterator[str]:
    """Serve the pages while the context lasts; return their address. Raises AggregatorError."""
    from aggregator.web.app import create_app

    async with _serving(listen, "settings.web.listen", create_app(backend)) as address:
        yield address


@asynccontextmanager
async def metrics_server(backend: AppBackend, listen: str) -> AsyncIterator[str]:
    """Serve health and metrics alone, in the same way."""
    from aggregator.web.app import create_metrics_app

    async with _serving(listen, "settings.metrics.listen", create_metrics_app(backend, listen)) as address:
        yield address


@asynccontextmanager
async def _serving(listen: str, setting: str, site: "WebApp") -> AsyncIterator[str]:
    """Run a server that is started again on the same port if it ends before the context does."""
    from aggregator.web.server import bind, serve

    sockets = [bind(listen, setting)]
    host, port = sockets[0].getsockname()[:2]
    place = f"{f'[{host}]' if ':' in host else host}:{port}"

    async def run() -> None:
        await serve(site, bound=sockets.pop() if sockets else bind(place, setting))

    serving = asyncio.create_task(kept_alive("the page", run), name="page")
    try:
        yield f"http://{place}/"
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        for unused in sockets:
            unused.close()


def _place(url: str) -> str:
    """Return what the address policy judges: scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def _words(answer: Receipt | AggregatorError) -> str:
    return answer.detail if isinstance(answer, Receipt) else str(answer).partition(": ")[2] or str(answer)


def _versions() -> tuple[tuple[str, str], ...]:
    from importlib.metadata import version

    return tuple((name, version(name)) for name in ("feedparser", "pycurl", "SQLAlchemy", "apprise", "APScheduler"))
