"""ports.Fetcher, over the fake and over the real one with a server on loopback."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from aggregator.core.errors import BadStatus, FetchError, Unreachable
from aggregator.core.model import CacheHints, FeedState, Fetched, NotModified, Validators
from aggregator.core.settings import Feed, Http, Polling
from aggregator.fetch import open_fetcher
from aggregator.ports import Fetcher
from tests.support.fake_fetcher import FakeFetcher, FakePage
from tests.support.loopback import FEED, Answer, Loopback, answer, redirect

pytestmark = pytest.mark.anyio

Publish = Callable[[str, FakePage], str]


@asynccontextmanager
async def fake_world() -> AsyncIterator[tuple[Fetcher, Publish]]:
    fetcher = FakeFetcher()

    def publish(path: str, page: FakePage) -> str:
        location = page.location and f"http://fake.example{page.location}"
        fetcher.pages[f"http://fake.example{path}"] = FakePage(
            body=page.body,
            status=page.status,
            etag=page.etag,
            last_modified=page.last_modified,
            location=location,
            hints=page.hints,
        )
        return f"http://fake.example{path}"

    yield fetcher, publish


@asynccontextmanager
async def real_world() -> AsyncIterator[tuple[Fetcher, Publish]]:
    http = Http.model_validate({"allow": ["127.0.0.1"], "timeout": "2s"})
    async with Loopback() as site, open_fetcher(http, Polling(), version="0") as fetcher:

        def publish(path: str, page: FakePage) -> str:
            return site.script(path, _said(site, path, page))

        yield fetcher, publish


def _said(site: Loopback, path: str, page: FakePage) -> Answer:
    """The server's side of a page: conditional, as servers are."""
    if page.location is not None:
        return redirect(page.status, page.location)
    headers = {"ETag": page.etag, "Last-Modified": page.last_modified}
    if page.hints.retry_after_s is not None:
        headers["Retry-After"] = str(int(page.hints.retry_after_s))
    if page.hints.max_age_s is not None:
        headers["Cache-Control"] = f"max-age={int(page.hints.max_age_s)}"
    given = {name: value for name, value in headers.items() if value is not None}

    async def play(writer: object) -> None:
        known = site.heard(path)[-1].header("If-None-Match")
        unchanged = page.etag is not None and known == page.etag
        writer.write(answer(304, **given) if unchanged else answer(page.status, page.body, **given))  # type: ignore[attr-defined]

    return play


@pytest.fixture(params=[fake_world, real_world], ids=["fake", "real"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Fetcher, Publish]]:
    """A fetcher, and a way to publish pages for it."""
    async with request.param() as opened:
        yield opened


def state(url: str, validators: Validators | None = None) -> FeedState:
    return FeedState(id="f", url=url, configured_url=url, validators=validators)


async def fetch(fetcher: Fetcher, url: str, validators: Validators | None = None) -> Fetched | NotModified:
    return await fetcher.fetch(Feed(url=url, id="f"), state(url, validators))


async def test_document(world: tuple[Fetcher, Publish]) -> None:
    """A document comes whole, with the pair that vouches for it and the address that gave it."""
    fetcher, publish = world
    url = publish("/feed", FakePage(body=FEED, etag='"a"', last_modified="then", hints=CacheHints(max_age_s=60)))
    found = await fetch(fetcher, url)
    assert isinstance(found, Fetched)
    assert (found.url, found.status, found.body, found.hops, found.delta) == (url, 200, FEED, (), False)
    assert found.validators == Validators(url=url, etag='"a"', last_modified="then")
    assert found.hints.max_age_s == 60


async def test_not_modified(world: tuple[Fetcher, Publish]) -> None:
    """Who shows the pair of this address learns that nothing changed."""
    fetcher, publish = world
    url = publish("/feed", FakePage(body=FEED, etag='"a"'))
    found = await fetch(fetcher, url, Validators(url=url, etag='"a"'))
    assert isinstance(found, NotModified)
    assert found.url == url


async def test_validators_of_elsewhere(world: tuple[Fetcher, Publish]) -> None:
    """A pair that another address gave proves nothing here."""
    fetcher, publish = world
    url = publish("/feed", FakePage(body=FEED, etag='"a"'))
    assert isinstance(await fetch(fetcher, url, Validators(url=url + "2", etag='"a"')), Fetched)


async def test_no_validators(world: tuple[Fetcher, Publish]) -> None:
    """Where none are given, none are there."""
    fetcher, publish = world
    found = await fetch(fetcher, publish("/feed", FakePage(body=FEED)))
    assert found.validators is None


async def test_redirects(world: tuple[Fetcher, Publish]) -> None:
    """Hops name the status and the address that answered with it, in order; validators fit the last address."""
    fetcher, publish = world
    end = publish("/end", FakePage(body=FEED, etag='"e"'))
    middle = publish("/middle", FakePage(status=302, location="/end"))
    start = publish("/start", FakePage(status=301, location="/middle"))
    found = await fetch(fetcher, start)
    assert (found.url, found.hops) == (end, ((301, start), (302, middle)))
    assert found.validators is not None
    assert found.validators.url == end
    again = await fetch(fetcher, start, found.validators)
    assert isinstance(again, NotModified)
    assert again.hops == found.hops


async def test_endless_redirects(world: tuple[Fetcher, Publish]) -> None:
    """A circle of redirects is a bad status."""
    fetcher, publish = world
    publish("/b", FakePage(status=302, location="/a"))
    with pytest.raises(BadStatus):
        await fetch(fetcher, publish("/a", FakePage(status=302, location="/b")))


@pytest.mark.parametrize(("status", "transient"), [(404, False), (410, False), (403, False), (429, True), (503, True)])
async def test_bad_status(world: tuple[Fetcher, Publish], status: int, transient: bool) -> None:
    """A bad status says which, whether to hope, and how long the server wants to be left alone."""
    fetcher, publish = world
    url = publish("/feed", FakePage(status=status, hints=CacheHints(retry_after_s=120)))
    with pytest.raises(BadStatus) as caught:
        await fetch(fetcher, url)
    error = caught.value
    assert (error.status, error.transient, error.retry_after_s, error.url) == (status, transient, 120, url)


async def test_unreachable(world: tuple[Fetcher, Publish]) -> None:
    """Nobody there: Unreachable, a FetchError that names the address."""
    fetcher, _ = world
    url = "http://127.0.0.1:9/feed"
    with pytest.raises(Unreachable) as caught:
        await fetch(fetcher, url)
    assert isinstance(caught.value, FetchError)
    assert (caught.value.url, caught.value.transient, caught.value.connected) == (url, True, False)
