"""Slips of publishers that must not cost a word, a link or a date: in XML by both readers, and in JSON."""

import json
from datetime import UTC
from typing import Any

import pytest

from aggregator.parse import feedparser_reader
from aggregator.parse.dates import instant
from aggregator.parse.document import read
from aggregator.parse.fastxml import feed as lean
from aggregator.parse.fastxml.elements import Unsupported
from aggregator.parse.normalize import to_record
from aggregator.parse.payload import Payload, Rejected
from aggregator.parse.workers.protocol import Job, ParseReply

URL = "https://feeds.example/dir/feed"
GUID, LINK, TITLE, SUMMARY, CONTENT, AUTHOR, CATEGORIES, PUBLISHED, UPDATED, FILES = range(10)
VOCABULARIES = (
    "xmlns:content='http://purl.org/rss/1.0/modules/content/' xmlns:media='http://search.yahoo.com/mrss/'"
    " xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:itunes='http://www.itunes.com/dtds/podcast-1.0.dtd'"
    " xmlns:atom='http://www.w3.org/2005/Atom' xmlns:v='urn:vendor'"
)


def parsed(body: str, content_type: str = "application/xml") -> ParseReply:
    return read(Job(body.encode(), URL, content_type, "", None), 2**20)


def rss(inside: str, vocabularies: str = VOCABULARIES, before: str = "<link>https://site.example/</link>") -> str:
    return f"<rss version='2.0' {vocabularies}><channel><title>F</title>{before}<item>{inside}</item></channel></rss>"


def entry(inside: str) -> tuple[Any, ...]:
    """The row of a feed's only entry, on which both readers agree unless the quick one declines."""
    source = Payload(rss(inside).encode(), URL)
    slow, _ = feedparser_reader.read(source)
    rows = [to_record(raw, None) for raw in slow.entries if not isinstance(raw, tuple)]
    try:
        quick = [to_record(raw, None) for raw in lean.read_feed(source).entries if not isinstance(raw, tuple)]
    except Unsupported:
        quick = rows
    assert quick == rows
    (row,) = parsed(rss(inside)).entries
    assert row[: FILES + 1] == rows[0][: FILES + 1]
    return row


# --- vocabularies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "uri"),
    [
        ("content", "https://purl.org/rss/1.0/modules/content/"),
        ("content", "http://purl.org/rss/1.0/modules/content"),
        ("content", "http://www.purl.org/rss/1.0/modules/content/"),
        ("CONTENT", "urn:anything"),
        ("dc", "https://purl.org/dc/elements/1.1/"),
        ("dc", "http://purl.org/dc/elements/1.0/"),
        ("itunes", "https://www.itunes.com/dtds/podcast-1.0.dtd"),
        ("media", "http://search.yahoo.com/mrss/version1.5.0"),
    ],
)
def test_a_vocabulary_is_known_by_its_prefix_too(prefix: str, uri: str) -> None:
    """A namespace that is almost right hides no full text, author or description."""
    name = {"content": "encoded", "dc": "creator", "itunes": "summary", "media": "description"}[prefix.lower()]
    inside = f"<title>t</title><{prefix}:{name}>CAATSA</{prefix}:{name}>"
    (row,) = parsed(rss(inside, f"xmlns:{prefix}='{uri}'")).entries
    assert "CAATSA" in (row[SUMMARY], row[CONTENT], row[AUTHOR])


def test_a_prefix_that_is_right_is_left_alone() -> None:
    """A publisher's own prefix for a known vocabulary, and a known prefix in a text, mean what they say."""
    inside = '<title>t</title><c:encoded>CAATSA</c:encoded><description>xmlns:dc="urn:x"</description>'
    (row,) = parsed(rss(inside, "xmlns:c='http://purl.org/rss/1.0/modules/content/'")).entries
    assert (row[CONTENT], row[SUMMARY]) == ("CAATSA", 'xmlns:dc="urn:x"')


OWN = "<title>Own</title><link>https://site.example/1</link><description>Lead</description>"


@pytest.mark.parametrize(
    "other",
    [
        "<dc:title>Other</dc:title>",
        "<itunes:title>Other</itunes:title>",
        "<media:title>Other</media:title>",
        "<textInput><title>Other</title><link>https://o.example/</link><description>o</description></textInput>",
        "<atom:link rel='alternate' href='https://o.example/'/>",
        "<v:related><title>Other</title><link>https://o.example/</link></v:related>",
        "<image><title>Other</title><link>https://o.example/</link><url>https://o.example/i.png</url></image>",
    ],
)
def test_an_entry_has_its_own_headline_and_link(other: str) -> None:
    """Whatever stands before or after them; no element costs the entry."""
    for inside in (other + OWN, OWN + other):
        row = entry(inside)
        assert (row[TITLE], row[LINK]) == ("Own", "https://site.example/1")
        assert "Lead" in row[SUMMARY] + row[CONTENT]


@pytest.mark.parametrize(
    ("guid", "link"),
    [
        ("<guid>12345</guid>", None),
        ("<guid>ep-1</guid>", None),
        ("<guid>t3_abc</guid>", None),
        ("<guid>1 at https://site.example</guid>", None),
        ("<guid isPermaLink='true'>not an address</guid>", None),
        ("<guid isPermaLink='false'>https://site.example/g</guid>", None),
        ("<guid>/2026/a</guid>", "https://site.example/2026/a"),
        ("<guid isPermaLink='True'>a/b.html</guid>", "https://site.example/a/b.html"),
        ("<guid>www.site.example/a</guid>", "https://www.site.example/a"),
        ("<guid>https://site.example/g</guid><link/>", "https://site.example/g"),
    ],
)
def test_a_guid_is_kept_as_it_is_written(guid: str, link: str | None) -> None:
    """And is a link where it is an address, or is said to be one."""
    row = entry(f"<title>t</title>{guid}")
    assert row[GUID] == guid.partition(">")[2].partition("<")[0]
    assert row[LINK] == link


@pytest.mark.parametrize(
    "relation", ["", "Alternate", "alternate nofollow", "http://www.iana.org/assignments/relation/alternate"]
)
def test_a_relation_in_other_words(relation: str) -> None:
    """RFC 4287, 4.2.7.2."""
    assert entry(f"<title>t</title><atom:link rel='{relation}' href='https://site.example/1'/>")[LINK] is not None


def test_a_link_that_is_not_the_page() -> None:
    """A written link is what its relation says; an empty one is none."""
    file, page = "<link rel='enclosure'>https://site.example/f.pdf</link>", "<atom:link href='https://site.example/1'/>"
    for inside in (file + page, page + file, "<link/>" + page + file):
        row = entry(f"<title>t</title>{inside}")
        assert (row[LINK], row[FILES]) == ("https://site.example/1", ("https://site.example/f.pdf",))


def test_a_feed_may_quote_telegram() -> None:
    """What bridges copy from a channel's preview makes no preview of their feed."""
    inside = '<title>t</title><description><![CDATA[<div class="tgme_widget_message_text">CAATSA</div>]]></description>'
    assert entry(inside)[SUMMARY] == "CAATSA"


def test_a_picture_in_base_64_is_no_text() -> None:
    """Atom may carry any content inline (RFC 4287, 4.1.3.3)."""
    inside = '<title>t</title><id>urn:1</id><summary>s</summary><content type="image/png">iVBORw0KGgo=</content>'
    (row,) = parsed(f"<feed xmlns='http://www.w3.org/2005/Atom'><title>F</title><entry>{inside}</entry></feed>").entries
    assert (row[SUMMARY], row[CONTENT]) == ("s", "")


@pytest.mark.parametrize(
    ("others", "headline"),
    [
        ("<media:title>m</media:title><itunes:title>i</itunes:title><dc:title>d</dc:title>", "d"),
        ("<media:title>m</media:title><itunes:title>i</itunes:title>", "i"),
        ("<title/><media:title>m</media:title>", "m"),
        ("<dc:title/><media:title>m</media:title>", "m"),
    ],
)
def test_another_vocabulary_gives_a_headline_for_want_of_one(others: str, headline: str) -> None:
    """The likeliest first, in whatever order they stand."""
    assert entry(f"{others}<link>https://site.example/1</link>")[TITLE] == headline


@pytest.mark.parametrize("name", ["v:articleBody", "v:full_content", "fullArticle", "v:bodytext", "v:content-encoded"])
def test_a_vendor_has_its_own_element_for_the_text(name: str) -> None:
    """As many as have been seen."""
    assert entry(f"<title>t</title><description>Lead</description><{name}>CAATSA</{name}>")[CONTENT] == "CAATSA"


# --- headlines, people -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("One&lt;br/&gt;two", "One two"),
        ("One&lt;br&gt;two", "One two"),
        ("&lt;img src=x alt='A'&gt;News", "News"),
        ("S&lt;wbr&gt;-400", "S-400"),
        ("&amp;lt;b&amp;gt;Bold&amp;lt;/b&amp;gt; news", "Bold news"),
        ("The &lt;dialog&gt; element", "The <dialog> element"),
        ("C++ &lt;vector&gt; and &lt;br&gt;", "C++ <vector> and <br>"),
        ("5 &lt; 6", "5 < 6"),
        ("I &lt;3 it", "I <3 it"),
    ],
)
def test_markup_that_is_left_in_a_headline(written: str, shown: str) -> None:
    """Tags that lay out a line are no words; others may be what the headline is about."""
    assert entry(f"<title>{written}</title><link>https://site.example/1</link>")[TITLE] == shown
    document = {"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", "title": written}]}
    (row,) = parsed(json.dumps(document).replace("&amp;", "&"), "application/json").entries
    assert "&lt;b" not in str(row[TITLE])


def test_a_name_loses_its_quotes() -> None:
    """As mail programs write it."""
    assert entry('<title>t</title><author>"Ann Lee" &lt;ann@site.example&gt;</author>')[AUTHOR] == "Ann Lee"
    assert entry('<title>t</title><dc:creator>"Q" and "R"</dc:creator>')[AUTHOR] == '"Q" and "R"'


# --- links -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "link"),
    [
        ("https:\\\\site.example\\a", "https://site.example/a"),
        ("https:/site.example/a", "https://site.example/a"),
        ("http//site.example/a", "http://site.example/a"),
        ("http://https://site.example/a", "https://site.example/a"),
        ("www.site.example/a?b=1", "https://www.site.example/a?b=1"),
        ("https://site.example/a\u00a0b\u3000c", "https://site.example/a%C2%A0b%E3%80%80c"),
        ("a.html", "https://site.example/a.html"),
        ("news/www.html", "https://site.example/news/www.html"),
        ("https://site.example/?u=https://other.example/", "https://site.example/?u=https://other.example/"),
    ],
)
def test_a_slip_in_an_address_makes_no_dead_link(written: str, link: str) -> None:
    """What is meant to be absolute is not resolved; blanks of all kinds are encoded."""
    assert entry(f"<title>t</title><link>{written}</link>")[LINK] == link


def test_a_link_to_nowhere_is_none() -> None:
    """`#` stands where a template had no address; the permalink is one."""
    assert entry("<title>t</title><link>#</link><guid>https://site.example/g</guid>")[LINK] == "https://site.example/g"


# --- dates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026年11月20日 10時05分", (2026, 11, 20, 10, 5)),
        ("2026年11月20日 10点", (2026, 11, 20, 10)),
        ("2026년 11월 20일 오후 3시 5분", (2026, 11, 20, 15, 5)),
        ("2026. 11. 20. 10:00", (2026, 11, 20, 10)),
        ("pá, 20. 11. 2026 11:00 +0100", (2026, 11, 20, 10)),
        ("2026. gada 20. novembris 10:00", (2026, 11, 20, 10)),
        ("20th of November 2026 10:00", (2026, 11, 20, 10)),
        ("the 20th day of November, 2026", (2026, 11, 20)),
        ("week 47, 20 Nov 2026", (2026, 11, 20)),
        ("20 พ.ย. 2569 10:00", (2026, 11, 20, 10)),
        ("2 ม.ค. 2569", (2026, 1, 2)),
        ("Fri, 20 Nov 2569 10:00:00 +0700", (2026, 11, 20, 3)),
        ("2569-11-20T10:00:00", (2026, 11, 20, 10)),
        ("2567-02-29", (2024, 2, 29)),
        ("20. November 2026, 10.30 Uhr", (2026, 11, 20, 10, 30)),
        ("20 novembre 2026 à 10 h 30", (2026, 11, 20, 10, 30)),
        ("Fri, 20 Nov 2026 10.00.05 GMT", (2026, 11, 20, 10, 0, 5)),
        ("2026-324T10:00:00Z", (2026, 11, 20, 10)),
        ("10:00 - 12.11.2026", (2026, 11, 12, 10)),
    ],
)
def test_more_dates_that_people_write(written: str, meant: tuple[int, ...]) -> None:
    """In the order, with the signs and in the calendar of their language."""
    when = instant(written)
    assert when is not None
    assert when.timetuple()[:6] == (*meant, 0, 0, 0)[:6]
    assert when.tzinfo is UTC
    assert entry(f"<title>t</title><pubDate>{written}</pubDate>")[PUBLISHED] == when.timestamp()


@pytest.mark.parametrize(
    "written",
    ["Mon, 30 Nov -0001 00:00:00 +0000", "-0001-11-30T00:00:00", "-5000-01-01", "2026-366", "2003-W01-9", "soon"],
)
def test_a_part_of_a_date_is_no_date(written: str) -> None:
    """feedparser makes the year 2000 of the year -1, which PHP writes for a field that is not set."""
    assert entry(f"<title>t</title><pubDate>{written}</pubDate>")[PUBLISHED] is None


# --- JSON ------------------------------------------------------------------------------------------------


def items(more: str, top: str = "") -> ParseReply:
    head = f'"version": "https://jsonfeed.org/version/1.1", "home_page_url": "https://site.example/"{top}'
    return parsed(f'{{{head}, "items": [{{"id": "1", "url": "/1", "title": "t"{more}}}]}}', "application/json")


@pytest.mark.parametrize(
    ("more", "top", "author"),
    [
        (', "author": "Ann"', "", "Ann"),
        (', "author": {"name": "Ann"}', "", "Ann"),
        (', "authors": "Ann"', "", "Ann"),
        (', "authors": {"name": "Ann"}', "", "Ann"),
        (', "authors": ["Ann", {"name": "Bo"}, 7, null]', "", "Ann, Bo"),
        (', "authors": []', ', "authors": [{"name": "Feed"}]', "Feed"),
        ("", ', "author": {"name": "Feed"}', "Feed"),
        (', "author": {"name": "Ann"}', ', "authors": [{"name": "Feed"}]', "Ann"),
    ],
)
def test_authors_in_every_shape(more: str, top: str, author: str) -> None:
    """As an object, a text or a list; the feed's where an entry has none (JSON Feed 1.1)."""
    assert items(more, top).entries[0][AUTHOR] == author


def test_single_values_are_lists_of_one() -> None:
    """Tags and files as well; relative addresses are relative to the site."""
    row = items(', "tags": "a", "attachments": {"url": "/f.pdf"}').entries[0]
    assert (row[CATEGORIES], row[FILES], row[LINK]) == (
        ("a",),
        ("https://site.example/f.pdf",),
        "https://site.example/1",
    )


@pytest.mark.parametrize(
    ("written", "count"),
    [("null", 0), ("[]", 0), ('{"0": {"id": "1"}, "2": {"id": "2"}}', 2), ('{"id": "1", "title": "t"}', 1)],
)
def test_items_in_every_shape(written: str, count: int) -> None:
    """Go writes null for an empty list, PHP an object for a list with gaps."""
    answer = parsed(
        f'{{"version": "https://jsonfeed.org/version/1", "title": "T", "items": {written}}}', "application/json"
    )
    assert len(answer.entries) == count


@pytest.mark.parametrize(
    "before", ["/* made by x */ ", "// cached\n", ")]}'\n", ")]}',\n", "for(;;);", "while(1);", "\ufeff// x\n"]
)
def test_what_stands_before_json_costs_no_entry(before: str) -> None:
    """Comments, and what keeps a document from being run as a script."""
    text = '{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", "title": "t"}]}'
    assert len(parsed(before + text, "application/json").entries) == 1


@pytest.mark.parametrize("text", ["/" * 4000, "/*" * 4000, "for(;;);" * 500, ")]}'" * 1000])
def test_what_stands_before_nothing_is_no_feed(text: str) -> None:
    """It is looked at once."""
    with pytest.raises(Rejected, match="plain text"):
        parsed(text, "application/json")


# --- what is no feed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "<opml version='2.0'><head/><body><outline xmlUrl='https://a.example/'/></body></opml>",
            "aggregator feeds import",
        ),
        ("<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'/>", "kind: sitemap"),
        ("<?xml version='1.0'?><!-- x --><sitemapindex><sitemap/></sitemapindex>", "kind: sitemap"),
        ("\x01\x02\x03\x04" * 20, "binary"),
    ],
)
def test_the_message_names_what_it_is(body: str, words: str) -> None:
    """And how it is read."""
    with pytest.raises(Rejected, match=words):
        parsed(body)
