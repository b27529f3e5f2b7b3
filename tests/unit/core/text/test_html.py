"""Visible text: what a person would see, in linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.text.html import visible_text
from aggregator.core.text.sanitize import clean_lines


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>deal</p><p>S-400</p>", "deal\n\nS-400"),
        ("<b>S</b>-400", "S-400"),
        ("a<br>b<br/>c<BR clear='all'>d", "a\nb\nc\nd"),
        ("a  b\n\tc<i></i>", "a b c"),
        ("<ul><li>one<li>two</ul>end", "one\n\ntwo\n\nend"),
        ("<table><tr><td>S<td>400</table>", "S\n\n400"),
        ("AT&amp;T &amp;amp; R&D", "AT&T &amp; R&D"),
        ("3 < 5 and a<b>c</b>", "3 < 5 and ac"),
        ("<script>if (a<b) '</p>'</script>shown<style>p{}</style>", "shown"),
        ("a<!-- <p>hidden --> b<!-->c<!--->d", "a bcd"),
        ("<img alt='S-400 > x'>seen<a href=\"S-400\">link</a>", "seenlink"),
        ('cut off in a tag <a href="https://exam', "cut off in a tag"),
        ("cut off in a comment <!-- S-400", "cut off in a comment"),
        ("<template>x<template>y</template>z</template>seen", "seen"),
        ("<title>no</title><textarea>typed</textarea>", "typed"),
        ("<pre>a\n  b</pre>c\nd", "a\nb\n\nc d"),
        ("no tag\n\nat all &lt;b&gt;", "no tag\n\nat all <b>"),
        ("a<iframe src='x'/>b<video/>c<title/>d<audio src=y />e", "abcde"),
        ("a<iframe src='x'>b", "ab"),
        ("a<script src='x'/><p>b</p><script>code</script>c", "a\n\nb\n\nc"),
        ("a<script/>code</script>b", "ab"),
        ("<head><title>no</title><meta charset=x><p>yes", "yes"),
        ("<video>a<video>b</video>c", "c"),
        ("x&nbsp;y&shy;z", "x\u00a0yz"),
        ("&#83;&#x2D;400 &#0; &#xD800;", "S-400 \ufffd \ufffd"),
        ("S-400<sup>1</sup> T-90<sup>3, 4</sup> F-16<sup>[2]</sup>", "S-400¹ T-90³, ⁴ F-16[2]"),
        ("S-400<sup id=x><a href='#n1'>1</a></sup>, S-500<a href='https://example.org/a#n2'>2</a>", "S-400¹, S-500²"),
        ("S-<a href='#x'>400</a> <a href='/2'>2</a> 1<sup>er</sup> CO<sub>2</sub> m<sup>2</sup>", "S-400 2 1er CO2 m²"),
        ("<sup>1<p>400 of them", "¹\n\n400 of them"),
        ("<ruby>東<rp>(</rp><rt>とう</rt><rp>)</rp>京<rt>きょう</rt></ruby>都", "東京都"),
        ("<ruby>漢<rt>かん<rt>x</ruby>字", "漢字"),
        ("a<rt>b<p>c", "ab\n\nc"),
        ("a<span hidden>x<span>y</span></span>b<i HIDDEN=''>z</i>c", "abc"),
        ("a<div style='color: red; DISPLAY : none !important'>x</div>b", "ab"),
        ("a<b style=visibility:hidden>x</b>c", "ac"),
        ("<p hidden>x<p>seen<p style='display:none'>y</p>too", "seen\n\ntoo"),
        ("<b class=hidden aria-hidden=true data-hidden title='display:none'>seen</b>", "seen"),
        ("<b style='background:none'>seen</b><input hidden>too", "seentoo"),
        ("<b hidden>never closed", "never closed"),
        ("<math>x<annotation encoding=tex>\\alpha</annotation></math>", "x"),
    ],
)
def test_only_what_is_seen_remains(html: str, text: str) -> None:
    """Tags leave nothing, a line break or an empty line; hidden things leave nothing."""
    assert visible_text(html) == text


def test_plain_text_keeps_its_characters() -> None:
    """Text that is not HTML keeps tags and entities; only white space and controls are cleaned."""
    assert clean_lines(" <b>&amp;\r\n\r\n\r\n\r\nx \t y\x00\ud800\u2029z ") == "<b>&amp;\n\nx y\n\nz"


@given(st.text(alphabet=st.sampled_from("<>/!-&#;=\"' \n\x00\ud800abpré\u00ad"), max_size=60))
def test_cleaned_text_is_clean(html: str) -> None:
    """Whatever comes in: no controls, no surrogates, no runs of space, and it can be encoded."""
    text = visible_text(html)
    text.encode()
    assert text == clean_lines(text)
    assert not any(unwanted in text for unwanted in ("  ", "\n\n\n", "\x00"))


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<a ",
        '<a b=">" ',
        "<!-- ",
        "<div>",
        "&",
        "&am",
        " \n",
        "<script>",
        "<video>x</video>",
        "<video>",
        "<video><video></video>",
        "<iframe>",
        "<b hidden>",
        "<p hidden>",
        "<b hidden x= ",
        "<div style='display:none'>x</div>",
        "<i hidden><b hidden></i>",
        "<sup>1",
        "<rt>",
        "<ruby><rt></ruby>",
        "<a href=#>1",
        "= ",
        "&#1",
        "1",
    ],
)
def test_hostile_html_is_read_in_linear_time(unit: str) -> None:
    """A megabyte of any half-open construct takes seconds at the very worst, not hours."""
    started = time.process_time()
    visible_text("<a &#" + unit * (1_000_000 // len(unit)))
    visible_text("<p>x</p>&#" + unit * (1_000_000 // len(unit)))
    assert time.process_time() - started < 10


def test_many_kinds_of_hidden_elements_are_read_in_linear_time() -> None:
    """Each kind of element costs a search for its end once; a document of thousands of kinds is not worth it."""
    started = time.process_time()
    text = visible_text("".join(f"<x{n} hidden>" for n in range(60_000)) + "seen")
    assert time.process_time() - started < 10
    assert text == "seen"


_PIECES = [
    "<p>", "</p>", "<br>", "<BR/>", "<b>", "</b>", "<div\nclass='a'>", "</div>", "<li>", "<a href='x'>", "</a>",
    "<img alt='a'>", "<!--c-->", "<?x?>", "x", "é", "&amp;", "&#10;&#10;", "&lt;p&gt;", "&am", "p;", " ", "  ",
    "\n", "\n\n", "\t", "\f",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=14))
def test_simple_markup_reads_as_it_does_beside_other_markup(pieces: list[str]) -> None:
    """Text that is only broken into lines and paragraphs is read at once, any other tag by tag: `sup` makes it so."""
    html = "<i>" + "".join(pieces)
    assert visible_text(html) == visible_text(f"{html}<sup></sup>")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<!-- never closed -- > b", "a b"),
        ("a<!-- never closed <p>b</p>", "ab"),
        ("a<!-- c --><!-- d > b", "a b"),
        ("a<!-- cut off", "a"),
        ("a<a href='x>b</a>", "ab"),
        ('a<a title="x href=y>b</a> c', "ab c"),
        ('<a title="x>y" href=z>b</a>', "b"),
        ("a<a href='cut off", "a"),
    ],
)
def test_what_never_ends_hides_no_text(html: str, text: str) -> None:
    """A comment or a quoted value without an end stops at the next tag's."""
    assert visible_text(html) == text


@pytest.mark.parametrize("unit", ["<!-- ", "<!-- > ", '<a b="> ', "<a b='> ", "<a b=\">'> ", "--> <!--"])
def test_unending_markup_is_read_in_linear_time(unit: str) -> None:
    """Whatever is looked for in vain is looked for once."""
    started = time.process_time()
    visible_text(unit * (1_000_000 // len(unit)))
    assert time.process_time() - started < 10
