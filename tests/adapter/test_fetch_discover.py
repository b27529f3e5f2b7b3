"""From a site's address to its feeds."""

import pytest

from aggregator.core.errors import BadStatus, FetchError, ParseError, Unreachable
from aggregator.core.model import FeedState, Fetched, ParsedFeed
from aggregator.core.settings import Http, Polling
from aggregator.fetch import open_fetcher
from aggregator.fetch.discover import DiscoveredFeed, discover
from aggregator.fetch.known_sites import COMMON_PATHS, common_feeds, known_feeds
from tests.support.inline_parser import inline_parser
from tests.support.loopback import FEED, Loopback, answer, redirect

pytestmark = pytest.mark.anyio

HTTP = Http.model_validate({"allow": ["127.0.0.0/8"], "timeout": "2s"})


async def read(document: Fetched) -> ParsedFeed | None:
    """The real parser; what it refuses is no feed."""
    try:
        return await inline_parser().parse(
            document, FeedState(id="x", url=document.url, configured_url=document.url), None
        )
    except ParseError:
        return None


def page(head: str = "", body: str = "") -> bytes:
    return answer(200, f"<html><head>{head}</head><body>{body}</body></html>".encode(), Content_Type="text/html")


async def found(site: Loopback, target: str = "/") -> tuple[DiscoveredFeed, ...]:
    async with open_fetcher(HTTP, Polling(), version="0") as fetcher:
        return await discover(site.url(target), fetcher.transport, read)


async def test_a_feed_is_its_own_answer() -> None:
    """The address of a feed is that feed, with title, entries and rhythm."""
    async with Loopback() as site:
        site.script("/", answer(200, FEED))
        (feed,) = await found(site)
        assert (feed.url, feed.title, feed.entries) == (site.url("/"), "Loopback News", 2)
        assert [title for _, title in feed.latest] == ["First", "Second"]
        assert len(site.asked) == 1


async def test_link_tags() -> None:
    """The feeds that a page's head names are read, relative to its base, comment feeds last, wrong ones left out."""
    kind = "type='application/rss+xml'"
    links = (
        f"<base href='/blog/'><link rel=alternate {kind} href='comments/feed'>"
        f"<link rel='alternate home' {kind} href='feed'>"
        f"<link rel=alternate {kind} href='broken'><link rel=alternate {kind} href='javascript:alert(1)'>"
        "<link rel=alternate type='text/html' href='print'><link rel=stylesheet href='x'>"
    )
    async with Loopback() as site:
        site.script("/", page(links))
        site.script("/blog/feed", answer(200, FEED))
        site.script("/blog/comments/feed", answer(200, FEED))
        site.script("/blog/broken", page())
        assert [feed.url for feed in await found(site)] == [site.url("/blog/feed"), site.url("/blog/comments/feed")]
        assert not site.heard("/blog/print")


@pytest.mark.parametrize(
    "link",
    [
        "<link rel=alternate type=application/json href='/x'>",
        "<link rel='alternate feed' href='/x'>",
        "<link rel=feed href='/x'>",
        "<link rel=rss href='/x'>",
        "<a href='/x'><i class='fa fa-rss'></i></a>",
        "<a class='icon-RSS' href='/x'></a>",
        "<link rel=FEED type='text/html' href='/x'>",
        "<link rel=alternate type='text/xml; charset=utf-8' href='/x'>",
        "<link rel=Alternate type=application/xml href='/x'>",
        "<link rel=alternate type=application/x-rss+xml href=' /x '>",
        "<link rel=alternate type=text/rss href='/x'>",
        "<link rel=alternate title='RSS 2.0' href='/x'>",
        "<link rel=service.feed type=application/atom+xml href='/x'>",
        "<link rel=alternate type=application/rss+xml href='feed:/x'>",
        "<link rel=alternate type=application/rss+xml href='feed://{host}/x'>",
        "<link rel=feed href='FEED:http://{host}/x'>",
        "<a href='/x'><img alt='RSS feed' src='/i.png'></a>",
        "<a href='pcast://{host}/x' aria-label='Feed'></a>",
    ],
)
async def test_signs_of_a_feed(link: str) -> None:
    """Every relation and type by which pages name a feed."""
    async with Loopback() as site:
        site.script("/", page(link.format(host=f"127.0.0.1:{site.port}")))
        site.script("/x", answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url("/x")]
        assert len(site.asked) == 2


@pytest.mark.parametrize(
    "header",
    [
        '</x>; rel="alternate"; type="application/rss+xml"',
        "</style>; rel=preload, </x>; rel=feed",
        '</x>; title="a, b"; type=application/feed+json; rel="next alternate"',
    ],
)
async def test_the_link_header(header: str) -> None:
    """HTTP may name the feed, too (RFC 8288)."""
    async with Loopback() as site:
        site.script("/", answer(200, b"<html></html>", Content_Type="text/html", Link=header))
        site.script("/x", answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url("/x")]


async def test_a_dead_link_leads_on() -> None:
    """Where what the head names is no feed, the body's links are tried, and then the usual places."""
    dead = "<link rel=alternate type='application/rss+xml' href='/dead'>"
    async with Loopback() as site:
        site.script("/", page(dead, "<a href='/x'>Our RSS feed</a><a href='/about'>About</a>"))
        site.script("/x", answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url("/x")]
        assert not site.heard("/about")
    async with Loopback() as site:
        site.script("/", page(dead, "<a href='/also/dead.rss'>RSS</a>"))
        site.script("/rss/news.xml", answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url("/rss/news.xml")]
        assert len([asked for asked in site.asked if asked.target == "/dead"]) == 1


@pytest.mark.parametrize(
    "path", ["/rss/", "/section/feed/news", "/rss2?cat=1", "/de/atom/all", "/exports/main.rss", "/x.rdf"]
)
async def test_links_whose_path_says_so(path: str) -> None:
    """A path of which one part is rss, feed or atom."""
    async with Loopback() as site:
        site.script("/", page("", f"<a href='/feedback'>x</a><a href='{path}'>x</a>"))
        site.script(path, answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url(path)]
        assert not site.heard("/feedback")


@pytest.mark.parametrize(
    "form", ["feed://{}", "feed:http://{}", "pcast://{}", "{}", " <http://{}>\n", "//{}", "feed:{}"]
)
async def test_what_people_paste(form: str) -> None:
    """Schemes of other programs, none at all, what stands around an address."""
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        site.script("/my%20news", answer(200, FEED))
        pasted = form.format(f"127.0.0.1:{site.port}/my news")
        (feed,) = await discover(pasted, fetcher.transport, read)
        assert feed.url == site.url("/my%20news")


async def test_a_login_in_the_address_is_used_and_not_shown() -> None:
    """It goes to its own origin, as a header, and is no part of what was found."""
    async with Loopback() as site, Loopback() as other, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        elsewhere = other.script("/f", answer(200, FEED))
        site.script("/", page(f"<link rel=feed href='/own'><link rel=feed href='{elsewhere}'>"))
        site.script("/own", answer(200, FEED))
        pasted = f"http://us%40er:p%3Aw@127.0.0.1:{site.port}/"
        urls = [feed.url for feed in await discover(pasted, fetcher.transport, read)]
        assert urls == [site.url("/own"), elsewhere]
        assert {asked.header("Authorization") for asked in site.asked} == {"Basic dXNAZXI6cDp3"}
        assert other.asked[0].header("Authorization") is None


async def test_links_in_the_body() -> None:
    """A page without link tags may still link to its feed."""
    async with Loopback() as site:
        site.script("/", page("", "<a href='/about'>About</a><a href='/news.rss'>RSS</a>"))
        site.script("/news.rss", answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url("/news.rss")]


@pytest.mark.parametrize("path", COMMON_PATHS)
async def test_common_paths(path: str) -> None:
    """A page that names no feed is tried at the usual places."""
    async with Loopback() as site:
        site.script("/", page())
        site.script(path, answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url(path)]


async def test_redirects_count_once() -> None:
    """Addresses that lead to the same feed are one candidate, at its final address."""
    async with Loopback() as site:
        site.script("/", page())
        site.script("/feed", redirect(301, "/atom.xml"))
        site.script("/atom.xml", answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url("/atom.xml")]


async def test_no_feed() -> None:
    """A site without a feed gives nothing; one that cannot be had says why."""
    async with Loopback() as site:
        site.script("/", page())
        assert await found(site) == ()
        assert len(site.asked) <= 14
        with pytest.raises(BadStatus, match="404"):
            await found(site, "/missing")
    with pytest.raises(Unreachable):
        await found(site)


async def test_without_a_scheme() -> None:
    """An address without a scheme is tried with https, then with http."""
    async with Loopback() as site, open_fetcher(HTTP, Polling(), version="0") as fetcher:
        site.script("/news", answer(200, FEED))
        (feed,) = await discover(f"127.0.0.1:{site.port}/news", fetcher.transport, read)
        assert feed.url == site.url("/news")


async def test_hostile_page() -> None:
    """Thousands of links make no more than a dozen requests."""
    links = "".join(f"<link rel=alternate type=application/rss+xml href='/{n}'>" for n in range(5000))
    async with Loopback() as site:
        site.script("/", page(links))
        await found(site)
        assert len(site.asked) < 30


@pytest.mark.parametrize(
    ("url", "first"),
    [
        ("https://www.youtube.com/channel/UCabc", "https://www.youtube.com/feeds/videos.xml?channel_id=UCabc"),
        ("https://youtube.com/playlist?list=PLx", "https://www.youtube.com/feeds/videos.xml?playlist_id=PLx"),
        ("https://m.youtube.com/user/nato", "https://www.youtube.com/feeds/videos.xml?user=nato"),
        ("https://www.reddit.com/r/CredibleDefense/", "https://www.reddit.com/r/CredibleDefense/.rss"),
        ("https://old.reddit.com/u/someone", "https://www.reddit.com/user/someone/.rss"),
        ("https://github.com/torvalds/linux", "https://github.com/torvalds/linux/releases.atom"),
        ("https://github.com/torvalds/linux.git", "https://github.com/torvalds/linux/releases.atom"),
        ("https://github.com/torvalds", "https://github.com/torvalds.atom"),
        ("https://analyst.substack.com/p/post", "https://analyst.substack.com/feed"),
        ("https://medium.com/@writer/post", "https://medium.com/feed/@writer"),
        ("https://writer.medium.com/", "https://writer.medium.com/feed"),
        ("https://some.wordpress.com/2026/", "https://some.wordpress.com/feed/"),
        ("https://some.blogspot.com/", "https://some.blogspot.com/feeds/posts/default"),
        ("https://mastodon.example/@press", "https://mastodon.example/@press.rss"),
        ("https://github.com/features", None),
        ("https://www.youtube.com/@handle", None),
        ("https://example.org/", None),
        ("https://notgithub.com/a/b", None),
    ],
)
def test_known_places(url: str, first: str | None) -> None:
    """Sites whose habits are known are asked at the right place."""
    assert next(iter(known_feeds(url)), None) == first


def test_common_places_below_a_path() -> None:
    """A blog below a path is tried there first."""
    assert common_feeds("https://example.org/blog/")[0] == "https://example.org/blog/feed"
    assert "https://example.org/en/news/rss.xml" in common_feeds("https://example.org/en/news/today.html")
    assert common_feeds("https://example.org/today.html") == common_feeds("https://example.org/")


@pytest.mark.parametrize(
    ("generator", "path"),
    [("Joomla! - Open Source", "/index.php?format=feed&type=rss"), ("SPIP 4.1", "/spip.php?page=backend")],
)
async def test_the_program_of_a_site_tells(generator: str, path: str) -> None:
    """Where its feed is."""
    async with Loopback() as site:
        site.script("/", page(f'<meta name="Generator" content="{generator}">'))
        site.script(path, answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url(path)]


async def test_a_page_that_lists_feeds() -> None:
    """What is called RSS may be a page with one feed for each subject."""
    async with Loopback() as site:
        site.script("/", page(body="<a href='/service/rss/'>RSS</a>"))
        site.script("/service/rss/", page(body="<a href='a.xml'>Politics</a><a href='b.xml'>World</a>"))
        for name in ("a", "b"):
            site.script(f"/service/rss/{name}.xml", answer(200, FEED))
        assert {feed.url for feed in await found(site)} == {site.url(f"/service/rss/{name}.xml") for name in ("a", "b")}


async def test_a_page_that_only_leads_on() -> None:
    """To that of a language, as front pages do."""
    async with Loopback() as site:
        site.script("/", page("<meta http-equiv=Refresh content='0;URL=/en/'>"))
        site.script("/en/", page("<link rel=alternate type=application/rss+xml href=feed>"))
        site.script("/en/feed", answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url("/en/feed")]


@pytest.mark.parametrize("status", [403, 404, 406])
async def test_a_front_page_that_is_refused(status: int) -> None:
    """Its feeds may be open to programs; the refusal is the answer where there are none."""
    async with Loopback() as site:
        site.script("/", answer(status, b"no"))
        with pytest.raises(BadStatus, match=str(status)):
            await found(site)
        site.script("/rss.xml", answer(200, FEED))
        assert [feed.url for feed in await found(site)] == [site.url("/rss.xml")]


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_a_server_that_fails_is_asked_once(status: int) -> None:
    """Nothing is guessed at its cost."""
    async with Loopback() as site:
        site.script("/", answer(status, b"no"))
        with pytest.raises(BadStatus, match=str(status)):
            await found(site)
        assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" ", "no address; write for example"),
        ("/etc/passwd", "name of a file"),
        ("../feeds.opml", "name of a file"),
        ("http://", "no host; write for example"),
        ("javascript:alert(1)", "javascript: is not supported"),
        ("mailto:ann@site.example", "mailto: is not supported"),
        ("data:text/xml,<rss/>", "data: is not supported"),
        ("x.onion", "proxy: socks5h://"),
    ],
)
async def test_what_is_no_address_is_not_asked_for(text: str, words: str) -> None:
    """The message names what it is, or what is missing."""
    async with open_fetcher(HTTP, Polling(), version="0") as fetcher:
        with pytest.raises(FetchError, match=words):
            await discover(text, fetcher.transport, read)
