"""`feeds discover` and `feeds add` on ten shapes of pages, and on every kind of source, over loopback."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aggregator.app.application import open_application
from aggregator.app.backend import AppBackend
from aggregator.config import load
from aggregator.core.errors import AggregatorError, Forbidden, NotFound
from aggregator.core.results import Discovery
from aggregator.web import create_app
from tests.support.certificates import FOLDER
from tests.support.http_client import HttpClient
from tests.support.imap_server import ImapServer
from tests.support.loopback import FEED, Loopback, answer

pytestmark = pytest.mark.anyio
PAGES = Path(__file__).parents[1] / "data" / "pages"
FIRST = "India gets fourth S-400 squadron"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def site() -> AsyncIterator[Loopback]:
    async with Loopback() as made:
        yield made


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[AppBackend]:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"settings: {{database: 'sqlite:///{tmp_path}/db.sqlite', http: {{timeout: 5s, allow: ['127.0.0.0/8']}}}}\n"
        "feeds:\n  - https://first.example/feed\nrules: []\n",
        encoding="utf-8",
    )
    async with open_application(load(path, {})) as app:

        async def reload(_before: str | None) -> None:
            await app.reload(path)

        yield AppBackend(app, path, reloading=reload)


def serve(site: Loopback, name: str, *, robots: str = "", host: str = "") -> str:
    """Serve a saved page, its links to `host` leading here."""
    body = (PAGES / name).read_bytes()
    if host:
        body = body.replace(host.encode(), b"")
    if robots:
        site.script("/robots.txt", answer(200, robots.replace("SITE", site.url("")).encode()))
    return site.script(f"/{name}", answer(200, body, Content_Type="text/html; charset=utf-8"))


@pytest.mark.parametrize(
    ("name", "selector", "entries"),
    [
        ("news_list.html", "article", 8),
        ("blog.html", "div.post", 5),
        ("ministry_table.html", "tbody > tr", 5),
        ("press_archive.html", "ul.releases > li", 8),
        ("mail_list.html", "ul > li", 9),
    ],
)
async def test_a_site_without_feed_is_proposed_as_a_list(
    backend: AppBackend, site: Loopback, name: str, selector: str, entries: int
) -> None:
    """With the selector that was guessed, and the entries that it would give."""
    found = await backend.discover(serve(site, name))
    (candidate,) = found.candidates
    assert (candidate.kind, candidate.select, candidate.entries) == ("page", {"entry": selector}, entries)
    assert len(candidate.titles) == 5
    assert len(site.heard(f"/{name}")) == 1, "a page that was fetched is not asked for again"


async def test_a_page_built_by_javascript_is_named(backend: AppBackend, site: Loopback) -> None:
    """There is nothing to propose, and why."""
    url = serve(site, "javascript_only.html")
    assert await backend.discover(url) == Discovery(
        nothing="The page is built by JavaScript in the browser: there is no list in it to read."
    )
    with pytest.raises(NotFound, match="built by JavaScript"):
        await backend.add_feed(url, find=True)


async def test_a_sitemap_is_proposed_before_the_list(backend: AppBackend, site: Loopback) -> None:
    """The one that robots.txt names."""
    serve(site, "sitemap_only.xml")
    url = serve(site, "sitemap_only.html", robots="Sitemap: SITE/sitemap_only.xml\n")
    (candidate,) = (await backend.discover(url)).candidates
    assert (candidate.url, candidate.kind, candidate.entries) == (site.url("/sitemap_only.xml"), "sitemap", 8)
    assert candidate.titles[0] == FIRST


async def test_a_sitemap_at_the_usual_place(backend: AppBackend, site: Loopback) -> None:
    """Behind an index, and beside a list."""
    part = site.url("/s1.xml")
    site.script(
        "/sitemap.xml", answer(200, f"<sitemapindex><sitemap><loc>{part}</loc></sitemap></sitemapindex>".encode())
    )
    site.script("/s1.xml", answer(200, (PAGES / "sitemap_only.xml").read_bytes()))
    found = await backend.discover(serve(site, "news_list.html"))
    assert [(one.kind, one.entries > 0) for one in found.candidates] == [("sitemap", True), ("page", True)]


@pytest.mark.parametrize(
    ("name", "host", "target"),
    [
        ("youtube.html", "https://www.youtube.com", "/feeds/videos.xml?channel_id=UC16niRr50-MSBwiO3YDb3RA"),
        ("mastodon.html", "https://social.example", "/@analyst.rss"),
    ],
)
async def test_a_page_that_names_its_feed(
    backend: AppBackend, site: Loopback, name: str, host: str, target: str
) -> None:
    """Although it is built by JavaScript."""
    site.script(target, answer(200, FEED))
    (candidate,) = (await backend.discover(serve(site, name, host=host))).candidates
    assert (candidate.url, candidate.kind) == (site.url(target), "feed")


async def test_a_telegram_preview_is_a_feed(backend: AppBackend, site: Loopback) -> None:
    """By its shape, wherever it stands."""
    (candidate,) = (await backend.discover(serve(site, "telegram.html"))).candidates
    assert (candidate.title, candidate.kind, candidate.entries) == ("Air alerts", "feed", 4)


async def test_a_list_that_robots_txt_forbids_is_not_proposed(backend: AppBackend, site: Loopback) -> None:
    """The reason is said."""
    found = await backend.discover(serve(site, "news_list.html", robots="User-agent: *\nDisallow: /news"))
    assert found.candidates == ()
    assert "robots.txt asks programs not to read this page (Disallow: /news)" in found.nothing


async def test_a_list_is_added_as_it_was_shown(backend: AppBackend, site: Loopback, tmp_path: Path) -> None:
    """Kind and selector stand in the file, which is read again; the same page is then known."""
    url = serve(site, "news_list.html")
    added = await backend.add_feed(url, find=True, feed_id="list")
    assert added.id == "list"
    text = (tmp_path / "config.yaml").read_text()
    assert f"- url: {url}\n    id: list\n    kind: page\n    select: {{entry: article}}\n" in text
    assert (await backend.discover(url)).candidates[0].existing_id == "list"
    (polled,) = [one for one in backend.app.current.feeds.values() if one.id == "list"]
    assert polled.reading.select == (("entry", "article"),)


async def test_a_watched_page_is_looked_at_first(backend: AppBackend, site: Loopback, tmp_path: Path) -> None:
    """`--kind watch` shows how much text there is; a selector that finds nothing is an error."""
    url = serve(site, "news_list.html")
    keys = {"kind": "watch", "select": {"content": "main"}}
    (candidate,) = (await backend.find_sources(url, keys)).candidates
    assert (candidate.kind, candidate.entries > 10, candidate.titles) == ("watch", True, ())
    await backend.add_feed(url, keys=keys)
    assert "kind: watch\n    select: {content: main}\n" in (tmp_path / "config.yaml").read_text()
    with pytest.raises(AggregatorError, match="`aside` finds nothing"):
        await backend.find_sources(url, {"kind": "watch", "select": {"content": "aside"}})


async def test_a_mailbox_is_shown_and_added_with_its_password(
    backend: AppBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Which is `auth` in the file, and in no address."""
    monkeypatch.setenv("SSL_CERT_FILE", str(FOLDER / "authority.pem"))
    with ImapServer(password="s3cret-word") as server:
        server.inbox.add(b"From: a@b.example\r\nSubject: Designations\r\n\r\nText.\r\n")
        address = server.url
        url = address.replace("me@", "me:s3cret-word@")
        (candidate,) = (await backend.discover(url)).candidates
        assert (candidate.url, candidate.kind, candidate.titles) == (address, "mail", ("Designations",))
        await backend.add_feed(url, feed_id="box")
    feed = backend.app.current.feeds["box"]
    assert (feed.kind, feed.url) == ("mail", address)
    assert feed.auth is not None
    assert "auth: {password: s3cret-word}" in (tmp_path / "config.yaml").read_text()


async def test_a_maildir_is_for_the_command_line(backend: AppBackend, tmp_path: Path) -> None:
    """A page or a token must not read files of this machine."""
    for part in ("new", "cur", "tmp"):
        (tmp_path / "mail" / part).mkdir(parents=True)
    (tmp_path / "mail" / "new" / "1").write_bytes(b"From: a@b.example\nSubject: Local\n\nx")
    url = f"maildir:{tmp_path}/mail"
    for refused in (backend.discover(url), backend.add_feed(url), backend.add_feed(url, find=True)):
        with pytest.raises(Forbidden):
            await refused
    (candidate,) = (await backend.find_sources(url, local=True)).candidates
    assert candidate.titles == ("Local",)
    await backend.add_feed(url, feed_id="local", local=True)
    assert backend.app.current.feeds["local"].kind == "mail"


async def test_short_names_are_written_as_they_are(backend: AppBackend, tmp_path: Path) -> None:
    """And one whose value cannot be right is refused with the remedy, before anything is asked."""
    await backend.add_feed("telegram:durov", feed_id="tg")
    assert "- url: telegram:durov\n" in (tmp_path / "config.yaml").read_text()
    assert backend.app.current.feeds["tg"].url == "https://t.me/s/durov"
    with pytest.raises(AggregatorError, match="is a handle"):
        await backend.discover("youtube:@name")


async def test_the_page_adds_what_it_shows(backend: AppBackend, site: Loopback) -> None:
    """The form carries kind and selector; a watched page is chosen there; unknown kinds are refused."""
    client = HttpClient(create_app(backend))
    url = serve(site, "news_list.html")
    shown = await client.call("POST", "/feeds/discover", form={"url": url})
    assert shown.status == 200, shown.text
    assert '<input type="hidden" name="kind" value="page">' in shown.text
    assert '<input type="hidden" name="entry" value="article">' in shown.text
    added = await client.call("POST", "/feeds/add", form={"url": url, "kind": "page", "entry": "article"})
    assert added.status == 303, added.text
    watch = await client.call("POST", "/feeds/discover", form={"url": url, "kind": "watch"})
    assert "Every change of its text will be an entry" in watch.text
    assert (await client.call("POST", "/feeds/add", form={"url": url, "kind": "watch"})).status == 303
    assert sorted(feed.kind for feed in backend.app.current.feeds.values()) == ["feed", "page", "watch"]
    assert (await client.call("POST", "/feeds/add", form={"url": url, "kind": "file"})).status == 422
    nothing = await client.call("POST", "/feeds/discover", form={"url": serve(site, "javascript_only.html")})
    assert "The page is built by JavaScript" in nothing.text


async def test_check_online_tries_every_kind(backend: AppBackend, site: Loopback) -> None:
    """A selector that finds nothing is reported like a feed that does not answer."""
    serve(site, "sitemap_only.xml")
    url = serve(site, "news_list.html")
    runtime = await backend.app.runtime()
    from aggregator.core.settings import Feed

    def feed(name: str, **keys: object) -> Feed:
        return Feed.model_validate({"id": name, "url": url, **keys})

    tried = await runtime.try_feeds(
        [
            feed("page", kind="page", select={"entry": "article"}),
            feed("gone", kind="page", select={"entry": "li.gone"}),
            feed("watch", kind="watch"),
            feed("sitemap", kind="sitemap").model_copy(update={"url": site.url("/sitemap_only.xml")}),
            feed("feed"),
        ],
        step=lambda: None,
    )
    assert {name: error is None for name, error in tried.items()} == {
        "page": True, "gone": False, "watch": True, "sitemap": True, "feed": False,
    }  # fmt: skip
    assert str(tried["gone"]) == "The page answers, but `li.gone` finds nothing."
