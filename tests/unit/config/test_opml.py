"""OPML in and out."""

import xml.etree.ElementTree as ET
from time import process_time

import pytest

from aggregator.config import OpmlOutline, from_opml, left_out, split_known, to_opml
from aggregator.core.errors import ParseError
from aggregator.core.settings import Feed
from aggregator.core.text.urls import login_in, pasted_urls, with_login

DOCUMENT = b"""<?xml version="1.0"?>
<opml version="2.0"><head><title>x</title></head><body>
  <outline text="Defence"><outline text="Naval">
    <outline type="rss" text="Naval News" xmlUrl="https://naval.example/feed" category="ships,/Europe/North"/>
  </outline></outline>
  <outline type="rss" text="Plain &amp; simple" xmlUrl="https://plain.example/feed"/>
  <outline type="rss" text="bad" xmlUrl="javascript:alert(1)"/>
  <outline type="rss" text="again" xmlUrl="https://plain.example/feed/"/>
</body></opml>"""


def test_only_feeds_are_exported() -> None:
    """A mailbox or a list page would be a broken feed elsewhere."""
    page = Feed.model_validate({"url": "https://a.example/", "id": "a", "kind": "page", "select": {"entry": "li"}})
    feed = Feed.model_validate({"url": "https://b.example/", "id": "b"})
    assert [one.url for one in from_opml(to_opml([page, feed]).encode())] == ["https://b.example/"]


def test_folders_and_categories_become_tags() -> None:
    """Every level of the outline is a tag, and so is every category."""
    naval, plain, *_ = from_opml(DOCUMENT)
    assert (naval.url, naval.title) == ("https://naval.example/feed", "Naval News")
    assert set(naval.tags) == {"Defence", "Naval", "ships", "Europe", "North"}
    assert plain.row() == {"url": "https://plain.example/feed", "title": "Plain & simple"}


def test_what_cannot_be_added_is_named() -> None:
    """Known feeds, repetitions and what is no web address are told with the reason."""
    new, skipped = split_known(from_opml(DOCUMENT), [Feed(url="https://naval.example/feed", id="n")])
    assert [one.url for one in new] == ["https://plain.example/feed"]
    assert dict(skipped) == {
        "https://naval.example/feed": "already configured",
        "javascript:alert(1)": "not a web address",
        "https://plain.example/feed/": "listed twice",
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("feed://a.example/rss", "https://a.example/rss"),
        ("feed:https://a.example/rss", "https://a.example/rss"),
        ("feed:http://a.example/rss", "http://a.example/rss"),
        ("FEED://https://a.example/rss", "https://a.example/rss"),
        ("pcast://a.example/rss", "https://a.example/rss"),
        ("itpc://a.example:8080/rss", "https://a.example:8080/rss"),
        ("a.example/rss", "https://a.example/rss"),
        ("//a.example/rss", "https://a.example/rss"),
        (" https://a.example/my feed.xml&#10;", "https://a.example/my%20feed.xml"),
        ("http:/a.example/rss", "http://a.example/rss"),
        ("feed://10.1.2.3/rss", "http://10.1.2.3/rss"),
        ("feed://localhost:99/rss", "http://localhost:99/rss"),
    ],
)
def test_addresses_of_other_readers(written: str, meant: str) -> None:
    """What they export is mended where it can only mean one thing."""
    document = f'<opml version="2.0"><body><outline text="a" xmlUrl="{written}"/></body></opml>'
    (one,) = from_opml(document.encode())
    assert split_known([one], []) == ((one,), ())
    assert one.url == meant


@pytest.mark.parametrize("address", ["javascript:alert(1)", "mailto:a@b.example", "hello", "ftp://a.example/x", ""])
def test_what_is_no_address_stays_none(address: str) -> None:
    """It is named, not mended."""
    one = OpmlOutline(address, "x", ())
    assert split_known([one], []) == ((), ((address, "not a web address"),))
    assert pasted_urls(address) == (address,)


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-16-be", "windows-1251", "koi8-r", "x-unknown"])
def test_charsets(codec: str) -> None:
    """A list is read in its own charset, declared or guessed."""
    outline = '<outline text="Новости дня" xmlUrl="https://a.example/"/>'
    text = f'<?xml version="1.0" encoding="{codec}"?><opml version="2.0"><body>{outline}</body></opml>'
    (one,) = from_opml(text.encode("cp1251" if codec == "x-unknown" else codec))
    assert one.title == "Новости дня"
    unmarked = text.partition("?>")[2]
    assert from_opml(b"\xef\xbb\xbf" + unmarked.encode())[0].title == "Новости дня"
    assert from_opml(b"\n" + unmarked.encode("cp1251"))[0].title == "Новости дня"


def test_a_login_in_an_address_becomes_auth() -> None:
    """Decoded, apart from the address, and never in what is told."""
    address = "https://us%40er:p%3Aw@a.example/rss"
    outlines = "".join(f'<outline text="{name}" xmlUrl="{address}"/>' for name in "ab")
    document = f'<opml version="2.0"><body>{outlines}</body></opml>'
    first, second = from_opml(document.encode())
    assert first.row() == {"url": "https://a.example/rss", "title": "a", "auth": {"user": "us@er", "password": "p:w"}}
    assert split_known([first, second], []) == ((first,), (("https://a.example/rss", "listed twice"),))
    assert with_login("https://a.example/x", login_in(address)) == "https://us%40er:p%3Aw@a.example/x"
    assert with_login("https://b.example/x", login_in(address)) == "https://b.example/x"


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
    assert back[feeds[0].url].tags == ("news", "north")
    assert (back[feeds[1].url].title, back[feeds[1].url].tags) == ("b", ())


@pytest.mark.parametrize(
    "tags", [(), ("a",), ("c", "a", "b"), ("AI/ML", "x, y", "z"), ("x", "AI/ML", "a", "b, c"), ("a", "a b", '"<&>"')]
)
def test_all_tags_come_in_again(tags: tuple[str, ...]) -> None:
    """Also those that a category would divide; once more out and in, nothing has moved."""
    feeds = [Feed(url=f"https://a.example/{n}", id=f"a{n}", tags=tags) for n in range(2)]
    for _ in range(2):
        found = from_opml(to_opml(feeds).encode())
        assert [set(one.tags) for one in found] == [set(tags)] * 2
        assert all(one.tags[:1] == tags[:1] for one in found)
        feeds = [Feed(url=one.url, id=one.title, tags=one.tags) for one in found]
    simple = [tag for tag in tags if not set(tag) & set("/,")]
    assert [tag for tag in found[0].tags if tag in simple] == simple


def test_what_names_no_feed_is_said() -> None:
    """Addresses in other attributes, lists of feeds, a document that was cut off."""
    document = """<opml version="2.0"><body>
      <outline text="A > B" xmlUrl="https://a.example/feed" htmlUrl="https://a.example/"/>
      <outline text="Folder" htmlUrl="https://folder.example/"><outline text="a note"/>
        <outline type='link' text='More' url='https://a.example/more.opml'></outline></outline>
      <outline text="https://b.example/feed?x=1&amp;y=2"/>
      <OUTLINE TEXT="Site" HTMLURL="https://c.example/"/>
      <outline type="rss" text="D" url="https://d.example/feed" />
    </body></opml>"""
    assert left_out(document.encode()) == (
        ("https://a.example/more.opml", "it may be a list of feeds, not a feed: download it and import it too"),
        ("https://b.example/feed?x=1&y=2", "it has no xmlUrl; add it with `aggregator feeds add`"),
        ("https://c.example/", "it has no xmlUrl; add it with `aggregator feeds add`"),
        ("https://d.example/feed", "it has no xmlUrl; add it with `aggregator feeds add`"),
    )
    assert left_out(document[:150].encode())[-1] == ("the rest", "the document ends before </opml>: download it again")
    assert left_out(to_opml([Feed(url="https://a.example/", id="a")]).encode()) == ()


def test_hostile_outlines_take_linear_time() -> None:
    """Quotes and brackets that never close."""
    for piece in (
        "<outline ",
        "<outline a='",
        '<outline a="',
        "<outline a='b' ",
        "<outline>",
        "<outline a=b></outline ",
    ):
        times = []
        for size in (20_000, 40_000):
            document = (piece * size).encode()
            began = process_time()
            left_out(document)
            times.append(process_time() - began)
        assert times[1] < 4 * times[0] + 0.1, piece


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
