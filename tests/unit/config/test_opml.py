"""OPML in and out."""

import xml.etree.ElementTree as ET

import pytest

from aggregator.config import from_opml, sift, to_opml
from aggregator.core.errors import ParseError
from aggregator.core.settings import Feed

DOCUMENT = b"""<?xml version="1.0"?>
<opml version="2.0"><head><title>x</title></head><body>
  <outline text="Defence"><outline text="Naval">
    <outline type="rss" text="Naval News" xmlUrl="https://naval.example/feed" category="ships,/Europe/North"/>
  </outline></outline>
  <outline type="rss" text="Plain &amp; simple" xmlUrl="https://plain.example/feed"/>
  <outline type="rss" text="bad" xmlUrl="javascript:alert(1)"/>
  <outline type="rss" text="again" xmlUrl="https://plain.example/feed/"/>
</body></opml>"""


def test_folders_and_categories_become_tags() -> None:
    """Every level of the outline is a tag, and so is every category."""
    naval, plain, *_ = from_opml(DOCUMENT)
    assert (naval.url, naval.title) == ("https://naval.example/feed", "Naval News")
    assert set(naval.tags) == {"Defence", "Naval", "ships", "Europe", "North"}
    assert plain.row() == {"url": "https://plain.example/feed", "title": "Plain & simple"}


def test_what_cannot_be_added_is_named() -> None:
    """Known feeds, repetitions and what is no web address are told with the reason."""
    new, skipped = sift(from_opml(DOCUMENT), [Feed(url="https://naval.example/feed", id="n")])
    assert [one.url for one in new] == ["https://plain.example/feed"]
    assert dict(skipped) == {
        "https://naval.example/feed": "it is configured already",
        "javascript:alert(1)": "it is not a web address",
        "https://plain.example/feed/": "the document names it twice",
    }


def test_what_goes_out_comes_in_again() -> None:
    """Addresses, titles and tags survive, with markup in them."""
    feeds = [
        Feed(url="https://a.example/?x=1&y=<2>", id="a", title='A "quoted" <title>', tags=("news", "north")),
        Feed(url="https://b.example/", id="b"),
    ]
    document = to_opml(feeds)
    assert ET.fromstring(document).get("version") == "2.0"
    back = {one.url: one for one in from_opml(document.encode())}
    assert back[feeds[0].url].title == 'A "quoted" <title>'
    assert back[feeds[0].url].tags == ("north", "news")
    assert (back[feeds[1].url].title, back[feeds[1].url].tags) == ("b", ())


@pytest.mark.parametrize("document", [b"", b"hello", b"<html><body>x</body></html>", b"\xff\xfe\x00", b"[1]"])
def test_other_documents_are_refused(document: bytes) -> None:
    """A page, a text, nothing: no feeds are made of it."""
    with pytest.raises(ParseError, match="not an OPML"):
        from_opml(document)


def test_huge_and_deep_documents_are_bounded() -> None:
    """Ten megabytes are the limit; nesting does not exhaust the stack."""
    with pytest.raises(ParseError, match="larger"):
        from_opml(b"x" * (10 * 2**20 + 1))
    deep = b"<opml version='2.0'><body>" + b"<outline text='x'>" * 5_000 + b"</body></opml>"
    assert from_opml(deep) == ()
