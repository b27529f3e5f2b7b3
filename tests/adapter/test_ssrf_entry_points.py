"""One table: every way out of the application × every address that must not be dialled × DNS and redirects that lie.

The ways out are those of the real application; name resolution is ours, a ledger has every socket that is opened, and
one address of this machine counts as public. `test_the_list_is_complete` reads the source: whoever adds a way out adds
it here.
"""

import ast
import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pycurl
import pytest

from aggregator.app.application import Application, open_application
from aggregator.app.backend import AppBackend
from aggregator.app.clock import SystemClock
from aggregator.app.list_updates import ListUpdates
from aggregator.app.runtime import Runtime
from aggregator.config import load
from aggregator.config.lists import FetchedList
from aggregator.core.errors import AggregatorError
from aggregator.core.model import ArticleRequest, Entry, FeedState, Fetched, ParsedFeed, ParseLevel, SitemapPart
from aggregator.core.polling.sitemaps import PER_POLL
from aggregator.core.polling.websub import HubSubscription, Offer, Unsubscription
from aggregator.core.settings import Feed
from aggregator.fetch import curl, resolver
from aggregator.pipeline.archive import ArchiveReader
from aggregator.pipeline.articles import ArticleFetcher
from aggregator.pipeline.context import activate
from aggregator.pipeline.sitemaps import SitemapReader
from aggregator.pipeline.websub import WebSub
from aggregator.web import create_app
from tests.adapter.test_fetch_ssrf import SPELLINGS
from tests.support.http_client import HttpClient
from tests.support.loopback import PUBLIC, Loopback, make_public, redirect
from tests.unit.fetch.test_ssrf import SPECIAL

pytestmark = pytest.mark.anyio

SOURCE = Path(resolver.__file__).parent.parent
NAMED = [address for address in SPECIAL if "%" not in address]  # no name resolves to an address with a zone
HOPS = (1, 5)


# --- the ways out ----------------------------------------------------------------------------------


async def poll(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """Feeds are polled."""
    await watch(app, urls)
    await runtime.poller().once(force=True, done=lambda _: None)


async def archive(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """Feeds that moved on by more than their window name their archives."""
    walk = ArchiveReader(app.store.feeds, runtime.fetcher, runtime.parser).read

    async def one(url: str) -> None:
        feed, state = Feed(id="f", url=url), FeedState(id="f", url=url, configured_url=url)
        parsed = ParsedFeed(parse_level=ParseLevel.FULL, prev_archive=url)
        await walk(feed, state, Fetched(url=f"{url}latest", status=200, body=b""), parsed, app.clock.now())

    await asyncio.gather(*map(one, urls))


async def sitemaps(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """An index names sitemaps, each on a site with a robots.txt of its own."""
    feed = Feed(id="f", url="https://feeds.example/", kind="sitemap")
    state = FeedState(id="f", url=feed.url, configured_url=feed.url)
    reader = SitemapReader(runtime.sources, runtime.parser)

    async def some(parts: Sequence[str]) -> None:
        named = tuple(SitemapPart(url=url) for url in parts)
        index = ParsedFeed(parse_level=ParseLevel.FULL, parts=named)
        with suppress(AggregatorError):
            await reader.read(feed, state, Fetched(url=feed.url, status=200, body=b""), index, None)

    await asyncio.gather(*(some(urls[at : at + PER_POLL]) for at in range(0, len(urls), PER_POLL)))


async def articles(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """Entries link to the pages that their articles are on."""
    await watch(app, ["https://feeds.example/"], full_text=True)
    verb = ArticleFetcher(app.context, texts=ArticleRequests(urls), pages=runtime.fetcher, reader=runtime.reader)
    await verb.once()


async def hubs(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """Feeds name hubs."""
    push = push_over(app, runtime, Hubs(urls))
    while await push.tick():
        pass


def push_over(app: Application, runtime: Runtime, hubs: "Hubs") -> WebSub:
    return WebSub(
        app.context, subscriptions=hubs, hub=runtime.fetcher, feeds=app.store.feeds, catalog=app.store.catalog,
        ingestor=runtime.ingestor(), secret=lambda: "s",
    )  # fmt: skip


async def farewells(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """Hubs are told when a feed has left."""
    push = push_over(app, runtime, Hubs((), leaving=urls))
    while await push.tick():
        pass


async def trial(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """`check --online` tries every feed."""
    await runtime.try_feeds([Feed.model_construct(url=url, id=url) for url in urls], step=lambda: None)


async def import_online(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """`feeds import --online` tries the feeds of a file."""
    outlines = "".join(f'<outline xmlUrl="{url}" text="x"/>' for url in urls)
    await desk_of(app).import_opml(f"<opml version='2.0'><body>{outlines}</body></opml>".encode(), online=True)


async def discovery(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """`feeds discover` and `feeds add` look behind an address."""

    async def one(url: str) -> None:
        with suppress(AggregatorError):
            await desk_of(app).discover(url)

    await asyncio.gather(*map(one, urls))


async def page_form(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """So does the form on the page."""
    client = HttpClient(create_app(desk_of(app)))
    for url in urls:
        answer = await client.call("POST", "/feeds/discover", form={"url": url})
        assert answer.status in (200, 422, 502), answer.text


async def api(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """And so does the API."""
    client = HttpClient(create_app(desk_of(app)))
    for url in urls:
        answer = await client.call("POST", "/api/v1/feeds/discover", data={"url": url})
        assert answer.status >= 400 or "control" in url, answer.text


async def term_lists(app: Application, runtime: Runtime, urls: Sequence[str]) -> None:
    """Lists of terms have an address; `run`, `poll` and `lists fetch` read it."""
    named = {f"list{number}": url for number, url in enumerate(urls)}
    fetched = (
        FetchedList(name=name, url=url, file=Path("never.txt"), every_s=1, sha256=None) for name, url in named.items()
    )
    app.loaded = replace(app.loaded, fetched=tuple(fetched))
    assert all(done.error for done in await ListUpdates(app).update(named, force=True))


WAYS = (poll, archive, sitemaps, articles, hubs, farewells, trial, import_online, discovery, page_form, api, term_lists)

# Where the source leaves the application or hands on to somebody who does, and by which way the table gets there.
KNOWN = {
    ("app/backend.py", "discover"): api,
    ("app/discovery.py", "discover_feeds"): discovery,
    ("app/list_updates.py", "page"): term_lists,
    ("app/runtime.py", "fetch"): trial,
    ("pipeline/archive.py", "fetch"): archive,
    ("pipeline/articles.py", "page"): articles,
    ("pipeline/ingest.py", "fetch"): poll,
    ("pipeline/sitemaps.py", "fetch"): sitemaps,
    ("pipeline/sources.py", "fetch"): sitemaps,
    ("pipeline/sources.py", "page"): sitemaps,
    ("pipeline/websub.py", "subscribe"): hubs,
    ("pipeline/websub.py", "unsubscribe"): farewells,
    ("web/api/feeds.py", "discover"): api,
    ("web/pages/feeds.py", "discover"): page_form,
}
OUTWARD = {"fetch", "page", "subscribe", "unsubscribe", "discover", "discover_feeds", "request", "try_feeds"}
TRIED = {("app/backend.py", "try_feeds"): import_online, ("cli/check.py", "try_feeds"): trial}
HARMLESS = {
    ("app/processes.py", "request"),  # `doctor` asks our own page, at the address that it listens on
    ("app/service.py", "page"),  # opens our own pages
    ("demo/server.py", "page"),
}
# Who may speak to the network at all, by what is imported.
NETWORK = {"http.client", "httpx", "pycurl", "requests", "smtplib", "socket", "ssl", "urllib.request", "urllib3"}
SPEAKERS = {
    "app/backend.py": "listens",
    "app/cluster_config.py": "the name of this machine",
    "app/processes.py": "`doctor` and our own page",
    "app/owner.py": "the name of this machine",
    "notify/bounded.py": "reads sockets that others opened",
    "notify/smtp.py": "channels go where the operator says",
    "notify/http_capture.py": "the same",
    "notify/replies.py": "the same",
    "telemetry/systemd.py": "a socket of the machine's own",
    "web/origins.py": "the name of this machine",
    "web/server.py": "listens",
}


# --- what they are told ----------------------------------------------------------------------------


@dataclass
class Outside:
    """Name servers and everybody's machines: what was looked up, and which addresses were dialled."""

    site: Loopback
    dialled: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)

    def look_up(self, host: str, port: int) -> list[str]:
        """`special7.example` is special; `turncoat7.example` is public once, and special ever after."""
        name = host.partition(".")[0]
        times = self.asked[host] = self.asked.get(host, 0) + 1
        if name.startswith("special") or (name.startswith("turncoat") and times > 1):
            return [NAMED[int(name.removeprefix("special").removeprefix("turncoat"))]]
        return [PUBLIC]

    def new_socket(self, address: pycurl.CurlSockAddr) -> socket.socket:
        """Whoever is dialled is noted."""
        self.dialled.append(address.addr[0])
        return curl.Socket(address.family, address.socktype, address.protocol)

    def addresses(self) -> list[str]:
        """Every address that nobody may be led to, as spelled, as named, and at the end of one hop and of five."""
        literal = [f"http://{spelling}:7/" for spelling in SPELLINGS]
        literal += [f"http://[{a.replace('%', '%25')}]:7/" if ":" in a else f"http://{a}:7/" for a in SPECIAL]
        named = [f"http://special{number}.example:7/" for number in range(len(NAMED))]
        hopping = []
        for number, target in enumerate((*literal, *named)):
            for hops in HOPS:
                for left in range(hops, 0, -1):
                    following = target if left == 1 else f"/{number}/{hops}/{left - 1}"
                    self.site.script(f"/{number}/{hops}/{left}", redirect(307, following))
                hopping.append(self.site.url(f"/{number}/{hops}/{hops}", host=f"hop{number}x{hops}.example"))
        return [*literal, *named, *hopping]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
async def test_no_private_address_is_dialled(
    way: Callable[[Application, Runtime, Sequence[str]], Awaitable[None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it is told, no way out leads to an address that is not public; to a public one it does lead."""
    make_public(monkeypatch)
    monkeypatch.setattr(resolver, "NAME_TTL_S", -1.0)
    async with Loopback(host=PUBLIC) as site, house_in(tmp_path) as (app, runtime):
        outside = Outside(site)
        monkeypatch.setattr(resolver, "_look_up", outside.look_up)
        monkeypatch.setattr(curl, "new_socket", outside.new_socket)
        await way(app, runtime, ["http://control.example/"])
        assert outside.dialled.count(PUBLIC) >= 1
        hostile = outside.addresses()
        await way(app, runtime, hostile)
        assert set(outside.dialled) == {PUBLIC}
        assert len([asked for asked in site.asked if asked.target.endswith("/1")]) == len(hostile) // 3 * 2
        turncoats = [f"http://turncoat{number}.example:7/" for number in range(len(NAMED))]
        for _ in range(2):
            await way(app, runtime, turncoats)
        assert set(outside.dialled) == {PUBLIC}
        assert all(outside.asked[f"turncoat{number}.example"] >= 2 for number in range(len(NAMED)))


def test_the_list_is_complete() -> None:
    """Every call that leads outside is in the table, and nobody else imports what speaks to the network."""
    calls, speakers = set[tuple[str, str]](), set[str]()
    for path in sorted(SOURCE.rglob("*.py")):
        name, tree = path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
        if name.startswith("fetch/"):
            continue
        calls |= {(name, called) for node in ast.walk(tree) if (called := _called(node)) in OUTWARD}
        if any(module in NETWORK for node in ast.walk(tree) for module in _imported(node)):
            speakers.add(name)
    assert calls - HARMLESS == KNOWN.keys() | TRIED.keys()
    assert not speakers - SPEAKERS.keys()
    assert {*KNOWN.values(), *TRIED.values()} == set(WAYS)


def test_one_dialler() -> None:
    """Inside fetch/, sockets are opened in one function of curl.py, and requests are sent there alone.

    The other one is that of mail, for which test_fetch_mail shows the same guard.
    """
    opening = {"socket", "Socket", "new_socket", "Curl", "CurlMulti", "perform", "open_connection", "create_connection"}
    opened = sorted(
        (path.name, called)
        for path in (SOURCE / "fetch").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (called := _called(node)) in opening
    )
    assert opened == [
        ("curl.py", "Curl"),
        ("curl.py", "CurlMulti"),
        ("curl.py", "Socket"),
        ("curl.py", "new_socket"),
        ("mail.py", "socket"),
        ("transport.py", "perform"),
    ]


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        return []
    return [*names, *(name.partition(".")[0] for name in names)]


# --- the application -------------------------------------------------------------------------------------


@asynccontextmanager
async def house_in(folder: Path) -> AsyncIterator[tuple[Application, Runtime]]:
    """The real house, with a public URL so that it asks hubs."""
    path = folder / "config.yaml"
    path.write_text(
        f"settings: {{database: 'sqlite:///{folder}/db.sqlite', default_channels: [console],\n"
        "  web: {enabled: true, public_url: 'https://public.example/'}, http: {timeout: 5s}}\n"
        "channels: {console: {service: console}}\nfeeds: []\nrules: []\n",
        encoding="utf-8",
    )
    async with open_application(load(path, {})) as app:
        yield app, await app.runtime()


def desk_of(app: Application) -> AppBackend:
    return AppBackend(app, Path())


async def watch(app: Application, urls: Sequence[str], **more: Any) -> None:
    """Make these the feeds of the application."""
    feeds = tuple(Feed.model_construct(id=f"f{n}", url=url).model_copy(update=more) for n, url in enumerate(urls))
    app.current = activate(app.loaded.config.model_copy(update={"feeds": feeds}), ())
    await app.store.feeds.sync(feeds, app.clock.now())


class ArticleRequests:
    """Articles to be read, each once."""

    def __init__(self, links: Sequence[str]) -> None:
        self._links = list(links)

    async def due(self, now: datetime, *, lease_s: float, limit: int) -> tuple[ArticleRequest, ...]:
        taken, self._links = self._links[:limit], self._links[limit:]
        return tuple(
            ArticleRequest(entry=Entry(id=1, feed="f0", key=link, link=link, seen_at=now), attempts=3) for link in taken
        )

    async def next_due_at(self) -> datetime | None:
        raise AssertionError("nobody asks")

    async def put_off(self, *_: object) -> None:
        raise AssertionError("the third try is the last")

    async def drop(self, wanted: Sequence[int]) -> None:
        """Given up, as it should."""

    async def fill(self, *_: object, **__: object) -> int:
        raise AssertionError("nothing can have been read")


class Hubs:
    """Feeds that name hubs, none of which was asked yet, and hubs that feeds have left."""

    def __init__(self, hubs: Sequence[str], leaving: Sequence[str] = ()) -> None:
        self._leaving = list(leaving)
        self._offers = tuple(Offer(feed=f"f{n}", hub=hub, topic="https://t.example/") for n, hub in enumerate(hubs))
        self._saved: dict[str, HubSubscription] = {}

    async def offers(self) -> tuple[Offer, ...]:
        return self._offers

    async def all(self) -> tuple[HubSubscription, ...]:
        return tuple(self._saved.values())

    async def of(self, callback: str) -> HubSubscription | None:
        raise AssertionError("no hub was reached")

    async def save(self, subscription: HubSubscription) -> None:
        self._saved[subscription.feed] = subscription

    async def remove(self, names: Sequence[str], leaving: Sequence[Unsubscription] = ()) -> None:
        """None was ever granted."""

    async def moved(self, *_: object) -> None:
        raise AssertionError("no hub was reached")

    async def leaving(self) -> tuple[Unsubscription, ...]:
        now = SystemClock().now()
        return tuple(
            Unsubscription(callback=hub, hub=hub, topic="https://t.example/", left_at=now) for hub in self._leaving
        )

    async def mark_requested(self, callback: str) -> None:
        self._leaving.remove(callback)

    async def forget(self, callbacks: Sequence[str]) -> None:
        raise AssertionError("no hub has had its day")
