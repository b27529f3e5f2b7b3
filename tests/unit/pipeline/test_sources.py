"""Sitemaps of an index, and what robots.txt forbids, as a poll meets them."""

from dataclasses import dataclass, field

import pytest

from aggregator.core.errors import BadStatus, Forbidden, Unreachable
from aggregator.core.model import FeedState, Fetched, Health, Validators
from aggregator.core.settings import Feed
from aggregator.pipeline.sources import SourceFetcher
from tests.support.fake_fetcher import FakeFetcher, FakePage
from tests.unit.pipeline.builders import URL, FakeClock, PollFixture, poll_fixture

pytestmark = pytest.mark.anyio
SITE = "https://news.example"
RULE = {"id": "sanctions", "any": ["CAATSA"]}


def index(*parts: tuple[str, str], etag: str = '"1"') -> FakePage:
    rows = "".join(
        f"<sitemap><loc>{SITE}/{name}</loc>{f'<lastmod>{at}</lastmod>' if at else ''}</sitemap>" for name, at in parts
    )
    return FakePage(body=f"<sitemapindex>{rows}</sitemapindex>".encode(), etag=etag)


def urls(*titles: str) -> FakePage:
    rows = "".join(f"<url><loc>{SITE}/{t.replace(' ', '-')}</loc><lastmod>2026-03-01</lastmod></url>" for t in titles)
    return FakePage(body=f"<urlset>{rows}</urlset>".encode())


async def sitemap(**pages: FakePage) -> PollFixture:
    poll = await poll_fixture(RULE, feed={"kind": "sitemap"})
    poll.fetcher.pages |= {f"{SITE}/{name}": page for name, page in pages.items()}
    return poll


async def test_only_what_changed_of_an_index_is_read_again() -> None:
    """By the times that the index gives."""
    poll = await sitemap(a=urls("old page one"), b=urls("old page two"))
    await poll.poll(index(("a", "2026-03-01"), ("b", "2026-03-01")))
    assert sorted(poll.fetcher.asked) == sorted([URL, f"{SITE}/a", f"{SITE}/b"])
    assert poll.state.validators == Validators(url=URL, etag='"1"')
    poll.fetcher.asked.clear()
    poll.fetcher.pages[f"{SITE}/b"] = urls("old page two", "CAATSA sanctions imposed")
    await poll.poll(index(("a", "2026-03-01"), ("b", "2026-03-02"), etag='"2"'))
    assert poll.fetcher.asked == [URL, f"{SITE}/b"]
    assert poll.alerted() == ["CAATSA sanctions imposed"]
    assert poll.state.health is Health.OK


async def test_an_index_without_times_is_asked_for_in_full_each_time() -> None:
    """Its validators say nothing about its sitemaps, so they are not kept."""
    poll = await sitemap(a=urls("old page one"))
    await poll.poll(index(("a", "")))
    assert poll.state.validators is None
    poll.fetcher.pages[f"{SITE}/a"] = urls("old page one", "CAATSA sanctions imposed")
    await poll.poll(index(("a", "")))
    assert poll.alerted() == ["CAATSA sanctions imposed"]


async def test_a_sitemap_that_cannot_be_read_is_read_later() -> None:
    """The others are not lost, nor is it: the index is not taken for known."""
    poll = await sitemap(a=urls("old page one"), b=urls("old page two"))
    await poll.poll(index(("a", "2026-03-01"), ("b", "2026-03-01")))
    poll.fetcher.pages[f"{SITE}/a"] = urls("old page one", "CAATSA in the first")
    poll.fetcher.pages[f"{SITE}/b"] = Unreachable("refused", url=f"{SITE}/b")
    changed = index(("a", "2026-03-02"), ("b", "2026-03-02"), etag='"2"')
    await poll.poll(changed)
    assert (poll.alerted(), poll.state.validators) == (["CAATSA in the first"], None)
    poll.fetcher.pages[f"{SITE}/b"] = urls("old page two", "CAATSA in the second")
    await poll.poll(changed)
    assert poll.alerted() == ["CAATSA in the first", "CAATSA in the second"]
    assert poll.state.validators == Validators(url=URL, etag='"2"')


async def test_a_poll_fails_where_no_sitemap_can_be_read() -> None:
    """And what was known stays known."""
    poll = await sitemap(a=Unreachable("refused", url=f"{SITE}/a"))  # type: ignore[arg-type]
    await poll.poll(index(("a", "2026-03-01")))
    assert (poll.state.failures, poll.state.validators) == (1, None)


async def test_more_sitemaps_than_are_read_at_once_are_read_over_several_polls() -> None:
    """The youngest first; the first time only these, as the others are archives."""
    names = [f"s{n:02d}" for n in range(25)]
    poll = await sitemap(**{name: urls(f"page of {name}") for name in names})
    await poll.poll(index(*((name, f"2026-01-{n + 1:02d}") for n, name in enumerate(names))))
    assert len(poll.titles()) == 10
    poll.fetcher.pages |= {f"{SITE}/{name}": urls(f"CAATSA of {name}") for name in names}
    changed = index(*((name, "2026-03-01") for name in names), etag='"2"')
    for _ in range(3):
        await poll.poll(changed)
    assert len([title for title in poll.titles() if title.startswith("CAATSA")]) == 25


async def test_loops_and_depths_of_indexes_end() -> None:
    """An index that names itself, one that names another that names the first, and one below too many."""
    poll = await sitemap(
        a=index(("a", "1"), ("b", "1")), b=index(("a", "1"), ("c", "1")), c=index(("d", "1")), d=urls("too deep down")
    )
    await poll.poll(index(("a", "1"), ("feed", "1")))
    assert sorted(set(poll.fetcher.asked)) == sorted(poll.fetcher.asked)
    assert len(poll.fetcher.asked) <= 5
    assert poll.titles() == []


async def test_lists_of_authors_and_tags_are_no_news() -> None:
    """Where there are other sitemaps."""
    poll = await sitemap(**{"post-sitemap.xml": urls("a real article"), "author-sitemap.xml": urls("an author")})
    await poll.poll(index(("author-sitemap.xml", "2026-03-02"), ("post-sitemap.xml", "2026-03-01")))
    assert poll.titles() == ["A real article"]


# --- robots.txt ----------------------------------------------------------------------------------


@dataclass
class FakePages:
    """Pages at addresses; anything else is not found."""

    pages: dict[str, bytes | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def page(self, feed: Feed, url: str) -> Fetched:
        self.asked.append(url)
        found = self.pages.get(url, BadStatus("HTTP 404", status=404, url=url))
        if isinstance(found, Exception):
            raise found
        return Fetched(url=url, status=200, body=found)


def asked_of(pages: FakePages, clock: FakeClock | None = None) -> SourceFetcher:
    web = FakeFetcher(pages={f"{SITE}/news": FakePage(body=b"x"), f"{SITE}/moved": FakePage(status=301, location="https://b.example/x"),
                             "https://b.example/x": FakePage(body=b"x")})  # fmt: skip
    return SourceFetcher(web, pages, FakeFetcher(), clock or FakeClock())


def source(kind: str = "page", url: str = f"{SITE}/news") -> tuple[Feed, FeedState]:
    feed = Feed.model_validate(
        {"id": "a", "url": url, "kind": kind, "select": {"entry": "p"} if kind == "page" else None}
    )
    return feed, FeedState(id="a", url=url, configured_url=url)


@pytest.mark.parametrize("kind", ["page", "watch", "sitemap"])
async def test_a_page_that_robots_txt_forbids_is_not_asked_for(kind: str) -> None:
    """The error names the file and its line; a feed is read all the same."""
    pages = FakePages({f"{SITE}/robots.txt": b"User-agent: *\nDisallow: /news"})
    sources = asked_of(pages)
    with pytest.raises(Forbidden, match=r"news\.example/robots\.txt asks programs not to read this page"):
        await sources.fetch(*source(kind))
    assert isinstance(await sources.fetch(*source("feed")), Fetched)


async def test_the_file_is_asked_for_once_a_day() -> None:
    """For all pages of a site; where there is none, everything may be read."""
    pages, clock = FakePages(), FakeClock()
    sources = asked_of(pages, clock)
    for _ in range(3):
        await sources.fetch(*source())
    assert pages.asked == [f"{SITE}/robots.txt"]
    clock.move(hours=25)
    await sources.fetch(*source())
    assert len(pages.asked) == 2


@pytest.mark.parametrize(
    "error",
    [
        BadStatus("HTTP 500", status=500, url=SITE),
        BadStatus("HTTP 429", status=429, url=SITE),
        Unreachable("x", url=SITE),
    ],
)
async def test_a_file_that_cannot_be_read_now_is_no_permission(error: Exception) -> None:
    """RFC 9309, 2.3.1.4: the poll fails, and is made again."""
    with pytest.raises(type(error)):
        await asked_of(FakePages({f"{SITE}/robots.txt": error})).fetch(*source())


async def test_another_site_behind_a_redirect_is_asked_too() -> None:
    """What was fetched there is not read."""
    pages = FakePages({"https://b.example/robots.txt": b"User-agent: *\nDisallow: /"})
    with pytest.raises(Forbidden, match=r"b\.example/robots\.txt"):
        await asked_of(pages).fetch(*source(url=f"{SITE}/moved"))
