"""Full text: articles are read after the alerts on summaries, and only add to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from aggregator.core.errors import BadStatus, FetchError, ParseError, Unreachable
from aggregator.core.model import Fetched, Reason
from aggregator.core.settings import Feed
from aggregator.pipeline.articles import ArticleFetcher, ArticleResult
from tests.support.fake_fetcher import FakePage
from tests.unit.pipeline.builders import PollFixture, item, poll_fixture, rss

pytestmark = pytest.mark.anyio

MISSILE = {"id": "missile", "any": ["S-400"]}
TREATY = {"id": "treaty", "any": ["treaty"], "on_update": True}
FULL = {"full_text": True}


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


@dataclass
class Site:
    """Pages with articles; what is an error is raised. `asked` is a ledger."""

    articles: dict[str, str | FetchError | ParseError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def page(self, feed: Feed, url: str) -> Fetched:
        self.asked.append(url)
        found = self.articles.get(url) or Unreachable("connection refused", url=url)
        if isinstance(found, FetchError):
            raise found
        return Fetched(url=url, status=200, body=b"<html>")

    async def article(self, page: Fetched) -> str:
        found = self.articles[page.url]
        if isinstance(found, Exception):
            raise found
        return found


def verb(fixture: PollFixture, site: Site, readings: list[ArticleResult] | None = None) -> ArticleFetcher:
    """The verb over a room and a site."""
    ignored: list[ArticleResult] = []
    return ArticleFetcher(
        fixture.context,
        texts=fixture.store.articles,
        pages=site,
        reader=site,
        observe=(readings if readings is not None else ignored).append,
    )


async def at_work(*rules: Mapping[str, object], feed: Mapping[str, object] = FULL) -> PollFixture:
    """A room whose feed has had its first poll, with an entry nobody wants to read."""
    fixture = await poll_fixture(*map(dict, rules), feed=dict(feed))
    fixture.full_text = True
    await fixture.poll(FakePage(body=rss(item(1, "old"))))
    return fixture


def article(number: int, text: str) -> dict[str, str | FetchError | ParseError]:
    return {f"https://news.example/{number}": text}


async def test_an_article_hits_what_its_summary_did_not() -> None:
    """The rule that the summary did not meet alerts on the article; its evidence is in the content."""
    fixture = await at_work(MISSILE)
    assert (await fixture.poll(FakePage(body=rss(item(2, "short"), item(1, "old"))))).hits == 0
    site, readings = Site(article(2, "Long, and in the end an S-400.")), list[ArticleResult]()
    assert await verb(fixture, site, readings).once() == 1
    assert (fixture.alerted(), fixture.entry("Entry 2").content) == (["Entry 2"], "Long, and in the end an S-400.")
    (hit,) = fixture.store.tables.hits.values()
    assert (hit.spans[0].field, hit.entry_version) == ("content", 2)
    assert len(fixture.store.tables.deliveries) == 1
    assert (readings[0].outcome, readings[0].hits) == ("read", 1)
    assert await verb(fixture, site).once() == 0


async def test_alerts_on_the_summary_are_not_repeated() -> None:
    """A rule that alerted on the summary says nothing about the article, also one that wants updates."""
    fixture = await at_work(MISSILE, TREATY)
    await fixture.poll(FakePage(body=rss(item(2, "an S-400 and a treaty"), item(1, "old"))))
    before = dict(fixture.store.tables.deliveries)
    assert len(fixture.store.tables.hits) == 2
    await verb(fixture, Site(article(2, "The treaty says more about the S-400 than one thought."))).once()
    assert len(fixture.store.tables.hits) == 2
    assert fixture.store.tables.deliveries == before
    assert fixture.entry("Entry 2").version == 2


async def test_the_old_and_the_known_are_not_read() -> None:
    """First polls, edits and other feeds' entries want no articles."""
    fixture = await at_work(MISSILE)
    await fixture.poll(FakePage(body=rss(item(1, "old, and edited"))))
    assert fixture.entry("Entry 1").reason is Reason.CHANGED
    assert await verb(fixture, Site()).once() == 0
    plain = await at_work(MISSILE, feed={})
    await plain.poll(FakePage(body=rss(item(2, "short"), item(1, "old"))))
    assert plain.store.tables.wanted == {}


async def test_without_the_extra_nothing_is_wanted() -> None:
    """Where articles cannot be read, none are put on the list."""
    fixture = await at_work(MISSILE)
    fixture.full_text = False
    await fixture.poll(FakePage(body=rss(item(2, "short"), item(1, "old"))))
    assert fixture.store.tables.wanted == {}


@pytest.mark.parametrize(
    "finding",
    [Unreachable("refused", url="u"), BadStatus("busy", status=503, url="u"), ParseError("no article", found="empty")],
)
async def test_three_tries_and_no_more(finding: FetchError | ParseError) -> None:
    """What may pass is tried again, later each time, and given up after the third try; the entry stays as it was."""
    fixture = await at_work(MISSILE)
    await fixture.poll(FakePage(body=rss(item(2, "short"), item(1, "old"))))
    site, readings = Site({"https://news.example/2": finding}), list[ArticleResult]()
    for _ in range(5):
        await verb(fixture, site, readings).once()
        assert await verb(fixture, site).once() == 0
        fixture.clock.move(minutes=20)
    assert len(site.asked) == 3
    assert [reading.outcome for reading in readings] == ["later", "later", "given up"]
    assert (fixture.entry("Entry 2").version, fixture.store.tables.wanted) == (1, {})


async def test_a_final_answer_is_not_asked_for_again() -> None:
    """A page that is gone is given up at once."""
    fixture = await at_work(MISSILE)
    await fixture.poll(FakePage(body=rss(item(2, "short"), item(1, "old"))))
    gone = BadStatus("gone", status=410, url="u", transient=False)
    site = Site({"https://news.example/2": gone})
    await verb(fixture, site).once()
    assert fixture.store.tables.wanted == {}


async def test_a_tired_host_is_left_alone() -> None:
    """Retry-After holds for the article, and for the feeds of that host."""
    fixture = await at_work(MISSILE)
    await fixture.poll(FakePage(body=rss(item(2, "short"), item(1, "old"))))
    busy = BadStatus("busy", status=429, url="u", retry_after_s=7200)
    site = Site({"https://news.example/2": busy})
    await verb(fixture, site).once()
    fixture.clock.move(hours=1)
    assert await verb(fixture, site).once() == 0
    assert "news.example" in fixture.store.tables.hosts
    fixture.clock.move(hours=1, seconds=1)
    assert await verb(fixture, site).once() == 1


async def test_a_shorter_text_adds_nothing() -> None:
    """A page that says less than the feed changes nothing."""
    fixture = await at_work(MISSILE)
    await fixture.poll(FakePage(body=rss(item(2, "a long summary of it all"), item(1, "old"))))
    await verb(fixture, Site(article(2, "S-400"))).once()
    assert (fixture.entry("Entry 2").version, fixture.store.tables.wanted) == (1, {})


async def test_an_edit_after_the_article_is_an_edit() -> None:
    """The feed's unchanged entry is not news after its article was stored; an edited one is its next version."""
    fixture = await at_work(MISSILE)
    await fixture.poll(FakePage(body=rss(item(2, "short"), item(1, "old"))))
    await verb(fixture, Site(article(2, "Long, and in the end an S-400."))).once()
    assert (await fixture.poll(FakePage(body=rss(item(2, "short"), item(1, "old"), head="<ttl>1</ttl>")))).entries == ()
    edited = await fixture.poll(FakePage(body=rss(item(2, "short, edited"), item(1, "old"))))
    (entry,) = edited.entries
    assert (entry.reason, entry.version) == (Reason.CHANGED, 3)


async def test_an_edited_teaser_does_not_take_the_article_away() -> None:
    """Title and summary are the new ones, the article stays, and is matched with them; a longer text replaces it."""
    fixture = await at_work({"id": "both", "all": ["treaty", "edited"], "on_update": True})
    await fixture.poll(FakePage(body=rss(item(2, "short"), item(1, "old"))))
    await verb(fixture, Site(article(2, "Long, and in the end a treaty."))).once()
    edited = await fixture.poll(FakePage(body=rss(item(2, "short, edited"), item(1, "old"))))
    entry = fixture.entry("Entry 2")
    assert (entry.summary, entry.content) == ("short, edited", "Long, and in the end a treaty.")
    assert edited.hits == 1
    encoded = "<c:encoded xmlns:c='http://purl.org/rss/1.0/modules/content/'>{}</c:encoded></item>"
    whole = encoded.format("The whole text, as the feed itself has it now.")
    await fixture.poll(FakePage(body=rss(item(2, "short").replace("</item>", whole), item(1, "old"))))
    assert fixture.entry("Entry 2").content == "The whole text, as the feed itself has it now."


async def test_a_feed_that_wants_it_no_more() -> None:
    """A wish of a feed that lost its full_text, or left, is dropped without a request."""
    fixture = await at_work(MISSILE)
    await fixture.poll(FakePage(body=rss(item(2, "short"), item(1, "old"))))
    plain = await poll_fixture(MISSILE)
    fixture.setup = plain.setup
    site = Site()
    await verb(fixture, site).once()
    assert (site.asked, fixture.store.tables.wanted) == ([], {})


async def test_a_flood_is_not_read() -> None:
    """Many entries at once make one digest of their summaries; their site is not flooded in turn."""
    fixture = await poll_fixture(MISSILE, feed=FULL, polling={"flood_limit": 2})
    fixture.full_text = True
    await fixture.poll(FakePage(body=rss(item(1, "old"))))
    await fixture.poll(FakePage(body=rss(*(item(number, "short") for number in range(2, 7)), item(1, "old"))))
    assert fixture.entry("Entry 2").reason is Reason.FLOOD
    assert fixture.store.tables.wanted == {}
