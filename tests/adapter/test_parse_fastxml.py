"""The fast reader against feedparser: equal or refused, on feeds that were altered in every way we know."""

import re
from pathlib import Path
from xml.etree.ElementTree import ParseError

import pytest
from feedparser.html import _cp1252
from feedparser.mixin import _FeedParserMixin
from feedparser.sanitizer import _HTMLSanitizer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.parse import document, feedparser_reader
from aggregator.parse.crosscheck import Crosscheck, facts, rows
from aggregator.parse.fastxml import feed as lean
from aggregator.parse.fastxml import namespaces, text_type
from aggregator.parse.fastxml.elements import Unsupported
from aggregator.parse.payload import Payload

FEEDS = Path(__file__).parent.parent / "data" / "feeds"
URL = "https://feeds.example/dir/feed?x=1"
WHOLE = [(FEEDS / name).read_bytes() for name in ("rss.xml", "atom.xml", "podcast.xml", "publishers.xml")]
ITUNES = b'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'
MEDIA = b'xmlns:media="http://search.yahoo.com/mrss/"'
DC = b'xmlns:dc="http://purl.org/dc/elements/1.1/"'
ELEMENTS = [
    b"<title>Other &amp;amp; title</title>",
    b"<media:title " + MEDIA + b">Media</media:title>",
    b"<dc:title " + DC + b">Dublin</dc:title>",
    b"<description>second &lt;b&gt;one&lt;/b&gt;</description>",
    b"<summary>plain</summary>",
    b'<summary type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">a <b>b</b><br/></div></summary>',
    b"<itunes:summary " + ITUNES + b">podcast</itunes:summary>",
    b"<itunes:keywords " + ITUNES + b">a, b,,c</itunes:keywords>",
    b"<itunes:category " + ITUNES + b' text="News"/>',
    b'<content type="html">&lt;i&gt;c&lt;/i&gt;</content>',
    b"<guid>rel/guid</guid>",
    b'<guid isPermaLink="false">g</guid>',
    b"<id>tag:x,1:2</id>",
    b"<link>/rel?a=1&amp;b=2</link>",
    b'<link href="../up" rel="alternate"/>',
    b'<link href="x.mp3" rel="enclosure"/>',
    b'<enclosure url="/f.mp3"/>',
    b"<pubDate>Tue, 05 Mar 2024 10:00:00 +0100</pubDate>",
    b"<dc:date " + DC + b">2024-03-05</dc:date>",
    b"<author>jo@example.org (Jo)</author>",
    b"<author><name>Jo</name><email>jo@example.org</email></author>",
    b"<dc:creator " + DC + b">Kim</dc:creator>",
    b'<category term="t" label="l"/>',
    b'<category domain="d">c</category>',
    b"<source><title>S</title><id>s</id></source>",
    b'<source url="https://s.example/">S</source>',
    b"<language>de</language>",
    b"<image><url>https://i.example/</url><title>I</title></image>",
    b'<x:wrap xmlns:x="urn:x" a="b"><title>wrapped</title></x:wrap>',
    b"<media:group " + MEDIA + b"><media:title>g</media:title><media:description>d</media:description></media:group>",
    b"<!-- comment -->",
    b"<item><title>nested</title></item>",
    b"<abstract>abs</abstract>",
    b"<date>2024</date>",
    b'<y:related xmlns:y="urn:y"><link>https://other.example/</link><title>Other</title></y:related>',
    b'<y:full-text xmlns:y="urn:y">all of &lt;b&gt;it&lt;/b&gt;</y:full-text>',
    b"<full-text>all of it</full-text>",
    b'<f:origLink xmlns:f="http://rssnamespace.org/feedburner/ext/1.0">https://own.example/1</f:origLink>',
    b"<related><link>https://other.example/</link></related>",
    b"<link></link>",
    b'<link rel="alternate" type="application/pdf" href="/paper.pdf"/>',
    b'<guid isPermaLink="True">https://guid.example/1</guid>',
    b'<guid isPermaLink="no">https://guid.example/2</guid>',
]
ATTRIBUTES = [
    b' xml:base="https://other.example/b/"',
    b' xml:lang="nb_NO"',
    b' base="sub/"',
    b' type="text"',
    b' type="html"',
    b' type="xhtml"',
    b' isPermaLink="false"',
    b' rel="self"',
    b' isPermaLink="TRUE"',
    b' x="1"',
]
TAG = re.compile(rb"</?[\w:]+(?:\s[^<>]*)?>")
NAME = re.compile(rb"<[A-Za-z][\w:]*(?=[\s>/])")
PAIR = re.compile(rb"<([A-Za-z][\w:]*)(?:\s[^<>]*)?>[^<]*</\1>")


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """A feed with elements and attributes put in, left out or doubled at random places."""
    body = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 4))):
        change = draw(st.sampled_from(["element", "element", "attribute", "remove", "double"]))
        pattern = {"element": TAG, "attribute": NAME}.get(change, PAIR)
        found = draw(st.sampled_from(list(pattern.finditer(body))))
        start, end = found.span()
        if change == "element":
            body = body[:end] + draw(st.sampled_from(ELEMENTS)) + body[end:]
        elif change == "attribute":
            body = body[:end] + draw(st.sampled_from(ATTRIBUTES)) + body[end:]
        else:
            body = body[:start] + found[0] * (2 if change == "double" else 0) + body[end:]
    return body


@given(body=bent(), language=st.sampled_from(["", "de_AT"]))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_the_lean_reader_is_feedparser_or_silent(body: bytes, language: str) -> None:
    """On whatever it accepts it finds the same feed, field by field."""
    source = Payload(body, URL, "application/xml", language)
    try:
        quick = lean.read_feed(source)
    except (Unsupported, ParseError):
        return
    slow, _ = feedparser_reader.read(source)
    assert facts(quick) == facts(slow)
    assert rows(quick) == rows(slow)


def test_the_lists_are_those_of_feedparser() -> None:
    """Namespaces, HTML elements and Windows letters were not invented here."""
    assert {uri.lower(): prefix for uri, prefix in _FeedParserMixin.namespaces.items()} == namespaces.PREFIXES
    assert _HTMLSanitizer.acceptable_elements == text_type.HTML_ELEMENTS
    assert _cp1252 == text_type._WINDOWS


def test_every_prefix_with_a_meaning_is_known() -> None:
    """A prefix for which feedparser has a method means something, whatever namespace it stands for."""
    methods = (re.fullmatch(r"_(?:start|end)_([A-Za-z]+)_\w+", name) for name in dir(_FeedParserMixin))
    assert {found[1].lower() for found in methods if found} <= namespaces.MEANINGFUL


@given(st.text(st.sampled_from("<>/&; ab#19brpxamquot"), max_size=30))
def test_the_guess_at_markup_is_that_of_feedparser(text: str) -> None:
    """A plain text is taken for HTML exactly when feedparser would."""
    assert text_type.looks_like_html(text) == _FeedParserMixin.looks_like_html(text)


def test_a_disagreement_ends_the_use_of_the_lean_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shadow believes feedparser, says so, and does not ask the lean reader again."""
    monkeypatch.setattr(document, "_crosscheck", Crosscheck(every=1))
    source = Payload(WHOLE[0], URL, "application/xml")
    feed, trusted = document.read_xml(source)
    assert trusted
    assert not feed.warnings
    quick = lean.read_feed(source)
    quick.entries[0].title = "changed", "text/plain"  # type: ignore[union-attr]
    monkeypatch.setattr(lean, "read_feed", lambda _: quick)
    feed, _ = document.read_xml(source)
    assert "disagrees" in feed.warnings[0]
    assert feed.entries[0].title[0].startswith("Putin")  # type: ignore[union-attr]
    assert not document._crosscheck.trusted
