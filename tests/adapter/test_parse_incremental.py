"""The law of incremental parsing: it returns what a full parse returns, for every step from document to document."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.parse import incremental
from aggregator.parse.document import read
from aggregator.parse.payload import Payload
from aggregator.parse.workers.protocol import Job, ParseReply

URL = "https://feeds.example/f"
RSS = (
    "<?xml version='1.0'?>\n<rss version='2.0' {attributes}><channel{channel}><title>T</title>{head}"
    "<language>{language}</language>\n{entries}</channel></rss>{trailer}"
)
ATOM = (
    "<feed xmlns='http://www.w3.org/2005/Atom' {attributes}{channel}><title>T</title>{head}"
    "<language>{language}</language>{entries}\n</feed>{trailer}"
)
RDF = (
    "<rdf:RDF xmlns='http://purl.org/rss/1.0/' xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' {attributes}>"
    "<channel{channel}><title>T</title>{head}<language>{language}</language></channel>{entries}</rdf:RDF>{trailer}"
)
ENTRIES = {
    RSS: "<item><title>{0} &amp; {1}</title><link>/{0}</link><guid>{0}</guid><description>{1}</description></item>",
    ATOM: "<entry><title>{0} {1}</title><link href='/{0}'/><id>urn:{0}</id><summary>{1}</summary></entry>",
    RDF: "<item><title>{0}</title><link>{0}</link><description><![CDATA[<p>{1}</item></p>]]></description></item>",
}

HEADS = ["", "<lastBuildDate>x</lastBuildDate>", "<!-- <channel> -->", "<description>d</description>"]
HEADS += [
    "<link>https://site.example/</link>",
    "<link>https://site.example/a/</link>",
    "<link href='https://b.example/'/>",
]

numbered = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["one", "two", "<b>three</b>"])), max_size=10)


def escaped(shape: str, text: str) -> str:
    """Markup inside CDATA as it is, else escaped."""
    return text if "CDATA" in shape else text.replace("<", "&lt;").replace(">", "&gt;")


@st.composite
def documents(draw: st.DrawFn, form: str) -> bytes:
    """A feed of one form: entries in any order, repeated ones too, and an envelope that may change."""
    shape = ENTRIES[form]
    entries = [shape.format(number, escaped(shape, text)) for number, text in draw(numbered)]
    between = draw(st.sampled_from(["", "\n", "\n", "<!-- <item> -->"]))
    body = form.format(
        attributes=draw(st.sampled_from(["", "", "xml:lang='nb'", "xml:base='https://other.example/'"])),
        channel=draw(st.sampled_from(["", "", " xml:base='/sub/'"])),
        head=draw(st.sampled_from(HEADS)),
        language=draw(st.sampled_from(["en", "en", "de"])),
        entries=between.join(entries),
        trailer=draw(st.sampled_from(["", "<!-- 0.2 s -->"])),
    )
    return body.encode()


steps = st.sampled_from([RSS, ATOM, RDF]).flatmap(lambda form: st.lists(documents(form), min_size=2, max_size=4))


def parsed(body: bytes, memory: bytes | None = None, url: str = URL) -> ParseReply:
    """The answer of a worker."""
    return read(Job(body, url, "application/xml", "", memory), 2**20)


def rows(answer: ParseReply) -> list[tuple[object, ...]]:
    """Entries without the hash of their bytes."""
    return [row[:-1] for row in answer.entries]


@given(steps)
@settings(max_examples=120, deadline=None)
def test_incremental_parsing_gives_what_a_full_parse_gives(bodies: list[bytes]) -> None:
    """Entries of a step are entries of the full parse, and what it leaves out was given by an earlier step."""
    detail: list[tuple[object, ...]] = []
    memory: bytes | None = None
    for body in bodies:
        full = parsed(body)
        if not incremental.same_entries(memory, Payload(body, URL, "application/xml")):
            answer = parsed(body, memory)
            assert [row for row in rows(answer) if row not in rows(full)] == []
            assert (answer.title, answer.link, answer.lang) == (full.title, full.link, full.lang)
            assert answer.items == full.items
            detail += rows(answer)
            memory = answer.memory or memory
        assert [row for row in rows(full) if row not in detail] == []


def feed(*entries: str, head: str = "") -> bytes:
    """An RSS document of these entries."""
    return RSS.format(
        attributes="", channel="", head=head, language="en", entries="".join(entries), trailer=""
    ).encode()


A, B, C = (ENTRIES[RSS].format(name, "text") for name in "abc")


def test_one_new_entry_is_read_alone() -> None:
    """Level 3 reads what is new and knows the others."""
    answer = parsed(feed(C, A, B), parsed(feed(A, B)).memory)
    assert (answer.parse_level, [row[2] for row in answer.entries], answer.items) == ("delta", ["c & text"], 3)


def test_an_edit_is_read_again() -> None:
    """Other bytes are another entry to the ladder."""
    answer = parsed(feed(A.replace("text", "more"), B), parsed(feed(A, B)).memory)
    assert [row[2] for row in answer.entries] == ["a & more"]


@pytest.mark.parametrize(
    "changed",
    [
        lambda body: body.replace(b"<language>en", b"<language>tr"),
        lambda body: body.replace(b"<rss ", b"<rss xml:base='https://other.example/' "),
        lambda body: body.replace(b"<channel>", b"<channel xml:lang='tr'>"),
    ],
    ids=["language", "base", "ancestor"],
)
def test_another_envelope_makes_all_entries_new(changed: object) -> None:
    """What entries inherit is part of what they are."""
    memory = parsed(feed(A, B)).memory
    answer = parsed(changed(feed(A, B)), memory)  # type: ignore[operator]
    assert (answer.parse_level, len(answer.entries)) == ("full", 2)


def test_another_address_makes_all_entries_new() -> None:
    """Relative links lead elsewhere after a redirect."""
    assert len(parsed(feed(A, B), parsed(feed(A, B)).memory, url="https://moved.example/f").entries) == 2


@pytest.mark.parametrize(
    "body",
    [
        feed(A, "<item><title>x</title><item><title>y</title></item></item>"),
        feed(A, "<image><title>between</title></image>", B),
        feed(A, B.replace("<title>", "<language>de</language><title>")),
        b"<!DOCTYPE rss>" + feed(A, B),
        feed(A, B, "<item>"),
        feed(A, B).replace(b"</channel>", b"</channel><item><title>deeper</title></item>"),
        feed(A, B).replace(b"<rss ", b"<rss xmlns:dc='urn:not-dublin' "),
    ],
    ids=["nested", "between", "language", "doctype", "ill-formed", "depths", "namespace"],
)
def test_what_is_never_split(body: bytes) -> None:
    """Where entries cannot be told apart with certainty, they are not."""
    assert incremental.split_entries(Payload(body, URL, "application/xml"), well_formed=False) is None


def test_markup_in_cdata_and_comments_is_no_entry() -> None:
    """Only tags are tags."""
    body = feed("<!-- <item> -->", A.replace("text</d", "<![CDATA[</item><item>]]></d"), B)
    layout = incremental.split_entries(Payload(body, URL, "application/xml"), well_formed=False)
    assert layout
    assert len(layout.ranges) == 2


def test_a_new_entry_before_known_bytes_is_not_overlooked() -> None:
    """Level 2 compares from the first entry on, so an entry put before it must be noticed."""
    memory = parsed(feed(A, B)).memory
    assert incremental.same_entries(memory, Payload(feed(A, B, head="<ttl>5</ttl>"), URL, "application/xml"))
    assert not incremental.same_entries(memory, Payload(feed(C, A, B), URL, "application/xml"))


def test_a_repeated_name_needs_the_whole_document() -> None:
    """A new entry with the guid of one that is still there can only be told apart beside it."""
    twin = A.replace("<title>a", "<title>another")
    answer = parsed(feed(twin, A, B), parsed(feed(A, B)).memory)
    assert (answer.parse_level, len(answer.entries)) == ("full", 3)


@given(st.binary(max_size=200))
def test_memory_from_anywhere_is_harmless(memory: bytes) -> None:
    """Bytes that are no memory are no memory."""
    assert not incremental.same_entries(memory, Payload(feed(A), URL, "application/xml"))
    assert len(parsed(feed(A, B), memory).entries) == 2


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("count", [5_100, 50_000])
def test_a_long_feed_that_grows_at_its_end(count: int, dated: bool) -> None:
    """What is appended is read, however many entries stand before it."""
    monday = datetime(2026, 3, 2, tzinfo=UTC)

    def item(number: int) -> str:
        date = f"<pubDate>{format_datetime(monday + timedelta(seconds=number))}</pubDate>" if dated else ""
        return f"<item><guid>{number}</guid>{date}</item>"

    entries = [item(number) for number in range(count + 1)]
    first = parsed(feed(*entries[:-1]))
    assert (len(first.entries), first.items) == (5000, count)
    assert first.entries[-1][0] == str(count - 1)
    second = parsed(feed(*entries), first.memory)
    assert str(count) in [row[0] for row in second.entries]
