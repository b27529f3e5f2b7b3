"""Sitemaps: Google's for news, plain ones, indexes, lists; more addresses than are read."""

import gzip
from pathlib import Path

import pytest

from aggregator.parse.sitemap import MAX_ENTRIES, title_of
from aggregator.parse.workers.protocol import How
from tests.support.read import PUBLISHED, first, links, reading, refusal, titles

SITEMAP = How("sitemap")
SPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
NEWS = Path(__file__).parents[1] / "data" / "pages" / "sitemap_only.xml"


def plain(*urls: str, changed: str = "2026-03-01") -> str:
    rows = "".join(f"<url><loc>{url}</loc><lastmod>{changed}</lastmod></url>" for url in urls)
    return f'<?xml version="1.0"?><urlset {SPACE}>{rows}</urlset>'


def test_a_news_sitemap_names_title_date_and_language() -> None:
    """As its publisher wrote them."""
    found = reading(NEWS.read_bytes(), SITEMAP)
    assert (found.items, titles(found)[0]) == (8, "India gets fourth S-400 squadron")
    assert links(found)[0] == "https://institute.example/news/india-gets-fourth-s-400-squadron"
    assert (first(found)[PUBLISHED], first(found)[10]) == (1773993600.0, "en")


def test_a_plain_sitemap_is_titled_by_its_slugs() -> None:
    """And dated by its changes; pictures are no titles."""
    rows = f"""<urlset {SPACE} xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
        <url><loc> https://a.example/2026/03/s-400-for-india-123456.html </loc><lastmod>2026-03-01T10:00:00Z</lastmod>
        <image:image><image:loc>https://a.example/x.jpg</image:loc><image:title>No</image:title></image:image></url>
        <url><loc>javascript:alert(1)</loc></url></urlset>"""
    found = reading(rows, SITEMAP)
    assert titles(found) == ["S-400 for india"]
    assert links(found) == ["https://a.example/2026/03/s-400-for-india-123456.html"]
    assert first(found)[8] == 1772359200.0


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://a.example/news/india-gets-fourth-squadron", "India gets fourth squadron"),
        ("https://a.example/india_gets_fourth_squadron-1234567.html?x=1", "India gets fourth squadron"),
        ("https://a.example/a/long-headline-here/id3003112/", "Long headline here"),
        ("https://a.example/nyheter/milit%C3%A6r%C3%B8velse-i-nord/", "Militærøvelse i nord"),
        ("https://a.example/f-35-og-s-400", "F-35 og s-400"),
        ("https://a.example/news/", "News"),
        ("https://a.example/2024/05/12", "a.example"),
        ("https://a.example/index.html", "a.example"),
    ],
)
def test_words_of_a_slug(url: str, title: str) -> None:
    """Without numbers of articles, endings, and what names no article."""
    assert title_of(url) == title


def test_an_index_names_its_parts() -> None:
    """Each once, with the time of its change."""
    rows = "".join(
        f"<sitemap><loc>https://a.example/{n}.xml</loc><lastmod>2026-0{n}</lastmod></sitemap>" for n in (1, 2)
    )
    found = reading(f"<sitemapindex {SPACE}>{rows}{rows}</sitemapindex>", SITEMAP)
    assert found.parts == (("https://a.example/1.xml", "2026-01"), ("https://a.example/2.xml", "2026-02"))
    assert found.entries == ()


def test_other_forms_of_sitemaps() -> None:
    """Compressed, a list of addresses, a feed, one with a bare ampersand."""
    assert reading(gzip.compress(plain("https://a.example/one-two").encode()), SITEMAP).items == 1
    assert titles(reading("https://a.example/one-two\nhttps://a.example/three-four\n", SITEMAP)) == [
        "One two",
        "Three four",
    ]
    feed = "<rss version='2.0'><channel><title>T</title><item><title>In a feed</title></item></channel></rss>"
    assert titles(reading(feed, SITEMAP)) == ["In a feed"]
    assert links(reading(plain("https://a.example/one?a=1&b=2"), SITEMAP)) == ["https://a.example/one?a=1&b=2"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<html><body>Not here</body></html>", "html"),
        ("", "empty"),
        ("just words", "broken"),
        (plain("https://a.example/x")[:-20], "broken"),
        ("<a>" * 60 + "x", "hostile"),
        ('<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><urlset>&c;</urlset>', "hostile"),
        ("<urlset>" + "<url>" * 1_200_000, "hostile"),
        (gzip.compress(b"<urlset>" + b" " * (11 * 2**20)), "hostile"),
    ],
    ids=["page", "empty", "text", "truncated", "deep", "entities", "many", "bomb"],
)
def test_what_is_no_sitemap_is_refused(body: str | bytes, found: str) -> None:
    """With ParseError's own words for it; a truncated one gives nothing, so that its validators are not kept."""
    assert refusal(body, SITEMAP).found == found


def test_addresses_beyond_those_that_are_read_are_found_when_they_are_new() -> None:
    """Wherever a site puts a new address into its thousands of old ones."""
    old = [f"https://a.example/page-number-x{n}-old" for n in range(MAX_ENTRIES + 1000)]
    before = reading(plain(*old), SITEMAP)
    assert (len(before.entries), before.items, before.parse_level) == (MAX_ENTRIES, MAX_ENTRIES + 1000, "full")
    assert "6,000 addresses" in before.warnings[0]
    old.insert(3000, "https://a.example/the-new-page")
    after = reading(plain(*old), SITEMAP, memory=before.memory)
    assert (links(after), after.parse_level) == (["https://a.example/the-new-page"], "delta")
    assert reading(plain(*old), SITEMAP, memory=after.memory).entries == ()


@pytest.mark.parametrize("prefix", ["news:", "n:news_"])
def test_an_undeclared_extension_costs_nothing(prefix: str) -> None:
    """A sitemap whose generator forgot a namespace is read; one that is cut off says so."""
    rows = (
        "<url><loc>/a-b-c</loc><news:news><news:title>AT&T and CAATSA</news:title>"
        "<image:image><image:title>No</image:title></image:image></news:news></url>"
    ).replace("news:", prefix)
    found = reading(f"<urlset {SPACE}>{rows}</urlset>", SITEMAP)
    assert titles(found) == ["AT&T and CAATSA" if prefix == "news:" else "A b c"]
    assert str(links(found)[0]).endswith("/a-b-c")
    assert "sitemap is not well-formed" in refusal(f"<urlset {SPACE}>{rows}", SITEMAP).message
