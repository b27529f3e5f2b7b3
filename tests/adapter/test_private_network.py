"""What `http.allow` opens for one feed is closed to every other: whatever they redirect to, name or link.

The transport, dialler and guard are the real ones; only name servers are ours, and one address that counts as public.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from aggregator.core.errors import AggregatorError, FetchError, Forbidden
from aggregator.core.settings import Feed
from aggregator.fetch import resolver
from aggregator.fetch.discover import discover
from aggregator.fetch.transport import Request
from aggregator.pipeline.websub import WebSub
from tests.support.loopback import PUBLIC, Loopback, answer, make_public, redirect
from tests.support.poll_harness import HTTP, PollHarness

pytestmark = pytest.mark.anyio

FOREIGN = "http://news.example:{outside}/feed"


@pytest.fixture
def anyio_backend() -> str:
    """The service speaks asyncio."""
    return "asyncio"


def rss(*items: str, head: str = "") -> bytes:
    body = "".join(f"<item><title>{one}</title><guid>{one}</guid><link>{one}</link></item>" for one in items)
    return (
        "<rss version='2.0' xmlns:a='http://www.w3.org/2005/Atom' xmlns:fh='http://purl.org/syndication/history/1.0'>"
        f"<channel><title>N</title>{head}{body}</channel></rss>"
    ).encode()


@dataclass
class Nets:
    """A machine inside, a site that the world sees, and the service that may read the one inside."""

    inside: Loopback
    outside: Loopback
    service: PollHarness

    def targets(self) -> list[str]:
        """Every way to write the machine inside."""
        port = self.inside.port
        hosts = ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "rebound.example"]
        return [f"http://{host}:{port}/admin/delete" for host in hosts]

    def push(self) -> WebSub:
        service = self.service
        web = service.config.settings.web.model_copy(update={"public_url": "https://public.example/"})
        return WebSub(
            service.context(service.config.settings.model_copy(update={"web": web})),
            subscriptions=service.store.subscriptions, hub=service.fetcher, feeds=service.store.feeds,
            catalog=service.store.catalog, ingestor=service.intake, secret=iter(f"s{n}" for n in range(1000)).__next__,
        )  # fmt: skip


@asynccontextmanager
async def nets(
    monkeypatch: pytest.MonkeyPatch, *feeds: str, allow: Sequence[str] = ("127.0.0.1:{port}", "localhost:{port}")
) -> AsyncIterator[Nets]:
    """`news.example` is public; `rebound.example` says it is the machine inside."""
    async with Loopback() as inside, Loopback(host=PUBLIC) as outside:

        def look_up(host: str, port: int) -> list[str]:
            return ["127.0.0.1" if host in ("localhost", "rebound.example") else PUBLIC]

        make_public(monkeypatch)
        monkeypatch.setattr(resolver, "_look_up", look_up)
        urls = [url.format(port=inside.port, outside=outside.port) for url in feeds]
        service = PollHarness(
            *(Feed(url=url, id=f"f{n}", full_text=True) for n, url in enumerate(urls)), min_interval="0", per_host=2
        )
        opened = [one.format(port=inside.port) for one in allow]
        http = service.config.settings.http.model_validate({**HTTP, "allow": opened})
        settings = service.config.settings.model_copy(update={"http": http})
        service.config = service.config.model_copy(update={"settings": settings})
        async with service:
            yield Nets(inside, outside, service)


OPENINGS = [
    ("127.0.0.1:{port}", "localhost:{port}"),
    ("127.0.0.1",),
    ("127.0.0.0/8", "::1"),
    ("0.0.0.0/0", "::/0"),
]


@pytest.mark.parametrize("allow", OPENINGS)
async def test_a_foreign_feed_reaches_nothing_inside(allow: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirects, hubs, archives, articles, links of a page: no request, no POST, although a feed inside is open."""
    async with nets(monkeypatch, "http://127.0.0.1:{port}/own", FOREIGN, allow=allow) as made:
        service, site, inside = made.service, made.outside, made.inside
        inside.script("/own", answer(200, rss("inside")))
        foreign_url = site.url("/feed", host="news.example")
        foreign = next(feed for feed in service.config.feeds if feed.url == foreign_url)
        for target in made.targets():
            for status in (301, 302, 303, 307, 308):
                site.script("/feed", redirect(status, "/hop"))
                site.script("/hop", redirect(status, target))
                await service.force()
                with pytest.raises(FetchError):
                    await service.fetcher.page(foreign, site.url("/hop", host="news.example"))
            for head in (f"<a:link rel='hub' href='{target}'/><a:link rel='self' href='{target}'/>", ""):
                link = "" if head else f'<{target}>; rel="hub", <{target}>; rel="self"'
                archived = head + f"<fh:archive/><a:link rel='prev-archive' href='{target}'/>"
                items = [f"http://127.0.0.1:{inside.port}/{target}{n}" for n in range(5)]
                site.script("/feed", answer(200, rss(*items, head=archived), Link=link or "<x>; rel=x"))
                await service.force()
                site.script("/feed", answer(200, rss("moved on", head=archived), Link=link or "<x>; rel=x"))
                await service.force()
                service.clock.move(days=2)
                await made.push().tick()
                await made.push().tick()
            with pytest.raises(Forbidden):
                await service.fetcher.page(foreign, target)
            for status in (307, 308):
                hub = site.script("/hub", redirect(status, target)).replace(PUBLIC, "news.example")
                site.script("/feed", answer(200, rss("x"), Link=f'<{hub}>; rel="hub"'))
                await service.force()
                service.clock.move(days=2)
                await made.push().tick()
            page = f'<link rel="alternate" type="application/rss+xml" href="{target}"><a href="{target}.rss">'
            site.script("/", answer(200, page.encode()))

            async def read(_: object) -> None:
                """No feed."""

            with suppress(AggregatorError):
                await discover(site.url("/", host="news.example"), service.fetcher.transport, read)
        assert {asked.target for asked in inside.asked} == {"/own"}
        assert {asked.method for asked in inside.asked} == {"GET"}
        assert len(site.asked) > 50


async def test_a_feed_inside_has_its_hub_archive_and_articles_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open to the feed is open to what it names at an address that the same entry covers."""
    async with nets(monkeypatch, "http://127.0.0.1:{port}/own") as made:
        service, inside = made.service, made.inside
        feed = service.config.feeds[0]
        hub = inside.script("/hub", answer(202))
        inside.script("/own", redirect(302, "/moved"))
        inside.script("/moved", answer(200, rss("inside"), Link=f'<{hub}>; rel="hub"'))
        await service.force()
        await made.push().tick()
        await service.fetcher.page(feed, inside.script("/article", answer(200, b"<p>x")))
        assert [asked.method for asked in inside.heard("/hub")] == ["POST"]


async def test_no_hop_from_public_to_private(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even back to where a feed inside came from."""
    async with nets(monkeypatch, "http://127.0.0.1:{port}/own") as made:
        inside, site = made.inside, made.outside
        inside.script("/own", redirect(302, site.url("/away", host="news.example")))
        site.script("/away", redirect(302, inside.url("/own2")))
        await made.service.force()
        assert [len(inside.heard(target)) for target in ("/own", "/own2")] == [1, 0]
        assert "configured there" in ((await made.service.state("f0")).last_error or "")


async def test_a_public_name_needs_an_entry_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner decides where it leads, so neither an address nor a network opens it; `name:port` does."""
    for allow, opened in ((("127.0.0.0/8", "127.0.0.1:{port}"), False), (("rebound.example:{port}",), True)):
        async with nets(monkeypatch, allow=allow) as made:
            made.inside.script("/x", answer(200, rss("x")))
            request = Request(url=f"http://rebound.example:{made.inside.port}/x")
            outcome = await asyncio.gather(made.service.fetcher.transport.request(request), return_exceptions=True)
            assert isinstance(outcome[0], Forbidden) is not opened
            assert made.inside.connections == opened
