"""Mistakes of feeds, a test each: dates, encodings, ampersands, links; and what is no feed, in words."""

import gzip
import html
import json
import re
import zlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.parse import calendar
from aggregator.parse.dates import instant
from aggregator.parse.document import decompressed, read
from aggregator.parse.payload import Rejected
from aggregator.parse.workers.protocol import Job, ParseReply

URL = "https://feeds.example/dir/feed"


def parsed(
    body: bytes, content_type: str = "application/xml", language: str = "", memory: bytes | None = None
) -> ParseReply:
    """The answer of a worker."""
    return read(Job(body, URL, content_type, language, memory), 2**20)


def entry(inside: str, before: str = "") -> tuple[object, ...]:
    """The row of a feed's only entry."""
    return parsed(f"<rss version='2.0'><channel>{before}<item>{inside}</item></channel></rss>".encode()).entries[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Mon, 02 Mar 2026 10:11:12 +0530", (2026, 3, 2, 4, 41, 12)),
        ("2026-03-02T10:11:12+0530", (2026, 3, 2, 4, 41, 12)),
        ("2026-03-02T10:11:12.5-08:00", (2026, 3, 2, 18, 11, 12, 500000)),
        ("20260302T101112Z", (2026, 3, 2, 10, 11, 12)),
        ("2026-03-02T24:00:00Z", (2026, 3, 3)),
        ("Mon, 02 Mar 2026 24:00:00 -0100", (2026, 3, 3, 1)),
        ("2026-03-02 23:59:60 CEST", (2026, 3, 2, 22, 0)),
        ("2026/03/02 10:11", (2026, 3, 2, 10, 11)),
        ("02.03.2026 15:04", (2026, 3, 2, 15, 4)),
        ("03/02/2026 3:04 PM", (2026, 3, 2, 15, 4)),
        ("13/02/2026 15:04", (2026, 2, 13, 15, 4)),
        ("March 2, 2026 12:04 am", (2026, 3, 2, 0, 4)),
        ("1772445072", (2026, 3, 2, 9, 51, 12)),
        ("1772445072000", (2026, 3, 2, 9, 51, 12)),
        ("Mon, 02 Mar 2026 10:00:00 CEST", (2026, 3, 2, 8)),
        ("Mon, 02 Mar 2026 10:00:00 JST", (2026, 3, 2, 1)),
        ("Mon, 02 Mar 2026 10:00:00 GMT-05:00", (2026, 3, 2, 15)),
        ("Mo, 2. März 2026 10:00:00 MEZ", (2026, 3, 2, 9)),
        ("2 mars 2026 à 10h11", (2026, 3, 2, 10, 11)),
        ("Пн, 02 мар 2026 10:11:00 MSK", (2026, 3, 2, 7, 11)),
        ("2 березня 2026 10:00", (2026, 3, 2, 10)),
        ("2 Mart 2026 Pazartesi 10:00 TRT", (2026, 3, 2, 7)),
        ("2026년 3월 2일 오후 3:05", (2026, 3, 2, 15, 5)),
        ("2026年3月2日 09:00", (2026, 3, 2, 9)),
        ("Mon, 02 Mar 70 10:00:00 GMT", (1970, 3, 2, 10)),
        ("Mon, 02 Mar 26 10:00:00 EST", (2026, 3, 2, 15)),
        ("Sun Jan  4 16:29:06 2004", (2004, 1, 4, 16, 29, 6)),
        ("2026-03", (2026, 3, 1)),
        ("2026-11-20T10:00:00[America/New_York]", (2026, 11, 20, 15)),
        ("2026-07-20T10:00:00[America/New_York]", (2026, 7, 20, 14)),
        ("2026-11-20T10:00:00+02:00[Europe/Athens]", (2026, 11, 20, 8)),
        ("Fri, 20 Nov 2026 10:00:00 Europe/Moscow", (2026, 11, 20, 7)),
        ("20 Nov 2026 10:00 America/Argentina/Buenos_Aires", (2026, 11, 20, 13)),
        ("20 Nov 2026 10:00 Etc/GMT+5", (2026, 11, 20, 15)),
        ("20 Nov 2026 10:00 EST5EDT", (2026, 11, 20, 15)),
        ("20 Nov 2026 10:00 Nowhere/Town", (2026, 11, 20, 10)),
        ("20 Nov 2026 10:00 WITA", (2026, 11, 20, 2)),
        ("20 tháng 11, 2026 10:00", (2026, 11, 20, 10)),
        ("20 พฤศจิกายน 2569 10:00", (2026, 11, 20, 10)),
        ("20 नवंबर 2026 10:00", (2026, 11, 20, 10)),
        ("२० नोव्हेंबर २०२६", (2026, 11, 20)),
        ("۲۰ نوامبر ۲۰۲۶", (2026, 11, 20)),
        ("20 ნოემბერი 2026", (2026, 11, 20)),
        ("20 նոյեմբերի 2026", (2026, 11, 20)),
        ("20 lapkričio 2026", (2026, 11, 20)),
        ("20. studenoga 2026.", (2026, 11, 20)),
        ("20 Samhain 2026", (2026, 11, 20)),
        ("20 Tachwedd 2026", (2026, 11, 20)),
        ("20 תשרי 2026", None),
        ("20 בנובמבר 2026", (2026, 11, 20)),
        ("20 Novemba 2026", (2026, 11, 20)),
        ("20 listopada 2026", (2026, 11, 20)),
        ("piątek, 20 listopada 2026", (2026, 11, 20)),
        ("utorak, 20. listopada 2026.", (2026, 10, 20)),
        ("mar 10 nov 2026 10:00", (2026, 11, 10, 10)),
        ("mar. 10 mars 2026 10:00", (2026, 3, 10, 10)),
        ("Mar 10, 2026 10:00", (2026, 3, 10, 10)),
        ("Sâmbătă, 21 noiembrie 2026 12:30", (2026, 11, 21, 12, 30)),
        ("Sept 21, 2026 12:30 p.m.", (2026, 9, 21, 12, 30)),
    ],
)
def test_dates_that_people_write(written: str, meant: tuple[int, ...] | None) -> None:
    """Each of these is misread or refused somewhere."""
    assert instant(written) == (datetime(*meant, tzinfo=UTC) if meant else None)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    "style",
    [
        "%a, %d %b %Y 14:19:25 PST",
        "%a, %d %b %Y 14:19 CET",
        "%a %b %d 14:19:25 EST %Y",
        "%A, %d %B %Y 14:19",
        "%d %b %Y",
        "%b %d, %Y 2:19 pm",
    ],
)
def test_an_english_date_is_in_its_own_month(style: str) -> None:
    """`Mar` is a Tuesday elsewhere, `Sun` June, `Fri` February: where all words are English, none of that counts."""
    days = [date(2009, 1, 1) + timedelta(days=number) for number in range(0, 8 * 366, 5)]
    read = {day: instant(day.strftime(style)) for day in days}
    wrong = [day for day, at in read.items() if at is None or not day <= at.date() <= day + timedelta(days=1)]
    assert wrong == []


@pytest.mark.parametrize("nonsense", ["", "soon", "0001-01-01T00:00:00", "Mon, 31 Feb 2026 10:00:00 GMT", "99:99", "5"])
def test_what_names_no_instant(nonsense: str) -> None:
    """Nonsense is absent, not an error and not a guess."""
    assert instant(nonsense) is None


@given(st.datetimes(min_value=datetime(1901, 1, 1), max_value=datetime(9000, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_rfc822_and_iso_8601_agree(local: datetime, offset: int) -> None:
    """One instant, two spellings."""
    local = local.replace(microsecond=0)
    sign, (hours, minutes) = "-" if offset < 0 else "+", divmod(abs(offset), 60)
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    rfc = f"{local.day:02} {months[local.month - 1]} {local.year} {local:%H:%M:%S} {sign}{hours:02}{minutes:02}"
    iso = f"{local.isoformat()}{sign}{hours:02}:{minutes:02}"
    assert instant(rfc) == instant(f"Tue, {rfc}") == instant(iso)


@given(st.text(max_size=60))
def test_no_date_is_dangerous(text: str) -> None:
    """Whatever stands in a date, the answer is an instant in UTC or nothing."""
    when = instant(text)
    assert when is None or when.utcoffset() is not None


def test_utf8_that_claims_to_be_utf16() -> None:
    """The declaration is dropped when the bytes refute it."""
    body = "<?xml version='1.0' encoding='utf-16'?><rss><channel><item><title>blåbær</title></item></channel></rss>"
    assert parsed(body.encode()).entries[0][2] == "blåbær"
    assert parsed(body.replace("utf-16", "utf-8").encode(), "text/xml; charset=utf-16").entries[0][2] == "blåbær"


def test_real_utf16_is_read() -> None:
    """With or without the claim, bytes decide."""
    body = "<?xml version='1.0' encoding='utf-16'?><rss><channel><item><title>blåbær</title></item></channel></rss>"
    assert parsed(body.encode("utf-16")).entries[0][2] == "blåbær"


def test_white_space_before_the_declaration() -> None:
    """The commonest way of being no XML at all."""
    answer = parsed(b"\n\n <?xml version='1.0'?><rss><channel><item><title>x</title></item></channel></rss>")
    assert answer.entries[0][2] == "x"
    assert answer.warnings == ()


def test_bare_ampersands_and_html_entities() -> None:
    """`AT&T;` is what feedparser makes of this."""
    row = entry("<title>AT&T, R&D&nbsp;&eacute; &lt;&amp;</title><link>https://a.example/?a=1&b=2&copy=3</link>")
    assert row[2] == "AT&T, R&D\xa0é <&"
    assert row[1] == "https://a.example/?a=1&b=2&copy=3"


def test_an_ampersand_in_cdata_is_not_touched() -> None:
    """What is well-formed inside stays what it is, though the document around it is broken."""
    row = entry("<title>Q&A</title><description><![CDATA[a && b &amp;amp; <b>c</b>]]></description>")
    assert row[3] == "a && b &amp; c"


def test_control_characters_do_not_cost_the_document() -> None:
    """XML forbids them; publishers paste them."""
    assert entry("<title>ver\x0btical\x00</title>")[2] == "vertical"


def test_links_that_are_not_addresses() -> None:
    """Only http and https are links; the guid stays what it was."""
    row = entry("<link>javascript:alert(1)</link><guid isPermaLink='false'>g</guid>")
    assert row[:2] == ("g", None)
    assert entry("<title>x</title><link>  https://a.example/x\ny </link>")[1] == "https://a.example/xy"
    assert entry("<link>data:text/html,x</link>")[1] is None


def test_relative_links_and_enclosures() -> None:
    """Everything is resolved against where the document came from."""
    row = entry("<title>x</title><link>../y</link><enclosure url='/a.mp3'/><enclosure url='javascript:x'/>")
    assert (row[1], row[9]) == ("https://feeds.example/y", ("https://feeds.example/a.mp3",))


def test_one_base_does_not_leak_into_the_next_entry() -> None:
    """feedparser needs the address of the document for that."""
    body = (
        b"<feed xmlns='http://www.w3.org/2005/Atom'><entry xml:base='https://one.example/'><link href='a'/></entry>"
        b"<entry><link href='b'/></entry></feed>"
    )
    assert [row[1] for row in parsed(body).entries] == ["https://one.example/a", "https://feeds.example/dir/b"]


def test_a_gzipped_body_without_a_header() -> None:
    """The magic number decides."""
    body = gzip.compress(b"<rss><channel><item><title>x</title></item></channel></rss>")
    assert parsed(body).entries[0][2] == "x"


def test_gzip_that_lies() -> None:
    """Cut off, damaged and exploding archives are refused."""
    whole = gzip.compress(bytes(4 * 2**20))
    for body, found in ((whole[:-9], "hostile"), (gzip.compress(b"x" * 99)[:-9], "broken"), (b"\x1f\x8bzz", "broken")):
        with pytest.raises(Rejected) as caught:
            decompressed(body, 2**20)
        assert caught.value.found == found
    assert decompressed(zlib.compress(b"plain"), 99) == zlib.compress(b"plain")


def test_a_text_without_end_is_cut() -> None:
    """A megabyte of one text is enough; the other entries go on."""
    row = entry(f"<title>x</title><description>{'word ' * 600_000}</description>")
    assert len(row[3]) <= 2**20  # type: ignore[arg-type]


def test_five_thousand_entries_are_enough() -> None:
    """The rest is counted and announced."""
    body = b"<rss><channel>" + b"<item><guid>x</guid></item>" * 5001 + b"</channel></rss>"
    answer = parsed(body)
    assert (len(answer.entries), answer.items) == (5000, 5001)
    assert "5,001" in answer.warnings[0]


@pytest.mark.parametrize(
    ("body", "found", "words"),
    [
        (b"", "empty", "empty"),
        (b" \n \n", "empty", "empty"),
        (b"<!DOCTYPE html><html><title>News</title>", "html", 'HTML page ("News")'),
        (b"<html><form><input name=p type='password'></form>", "login page", "login page"),
        (b"<!doctype html><title>Sign in - Site</title>", "login page", "login page"),
        (b"<!doctype html><title>Just a moment...</title>", "challenge", "Cloudflare"),
        (b"<html><script src='/cdn-cgi/challenge-platform/x.js'>", "challenge", "Cloudflare"),
        (b"<html><script src='https://geo.captcha-delivery.com/x'>", "challenge", "DataDome"),
        (b"<html><body><!-- WISPAccessGatewayParam --></body></html>", "login page", "captive portal"),
        (b'{"error": "no"}', "json", "not a JSON Feed"),
        (b"[1, 2]", "json", "not a JSON Feed"),
        (b'{"version": ', "broken", "cannot be parsed"),
        (b"%PDF-1.7 ...", "binary", "PDF"),
        (b"\x89PNG\r\n", "binary", "image"),
        (b"junk \x00\x01\x02" * 50, "binary", "binary"),
        (b"hello world", "broken", "plain text"),
        (b"<?xml version='1.0'?><urlset><url/></urlset>", "broken", "kind: sitemap"),
        (b"<?xml version='1.0'?><opml><body/></opml>", "broken", "OPML"),
    ],
)
def test_what_was_sent_in_place_of_a_feed(body: bytes, found: str, words: str) -> None:
    """The reason names what is there, in words and in one word."""
    with pytest.raises(Rejected) as caught:
        parsed(body)
    assert caught.value.found == found
    assert words in caught.value.message


def test_a_feed_about_html_is_a_feed() -> None:
    """Pages quoted inside a feed do not make it a page."""
    row = entry("<title>&lt;html&gt;</title><description><![CDATA[<!doctype html><html>]]></description>")
    assert row[2] == "<html>"


def test_an_empty_feed_is_a_feed() -> None:
    """No entries is an answer, not an error."""
    answer = parsed(b"<rss version='2.0'><channel><title>T</title></channel></rss>")
    assert (answer.entries, answer.items) == ((), 0)


def listing(places: Iterable[int], dated: bool = False) -> bytes:
    """A feed with these entries, the number in the title; the higher, the younger."""
    start = datetime(2001, 1, 1, tzinfo=UTC)
    items = (
        f"<item><title>{n}</title>{f'<pubDate>{start + timedelta(hours=n)}</pubDate>' if dated else ''}</item>"
        for n in places
    )
    return f"<rss version='2.0'><channel><title>x</title>{''.join(items)}</channel></rss>".encode()


def titles(answer: ParseReply) -> list[int]:
    """The numbers of the entries that were read."""
    return [int(str(row[2])) for row in answer.entries]


@pytest.mark.parametrize("order", [range(5200), range(5199, -1, -1)])
def test_of_a_long_feed_the_youngest_are_read(order: range) -> None:
    """By their dates, wherever they stand; and the warning says so."""
    answer = parsed(listing(order, dated=True))
    assert sorted(titles(answer)) == list(range(200, 5200))
    assert (titles(answer)[0], answer.items) == (order[0] if order[0] else 200, 5200)
    assert any("only the youngest 5,000 were read" in warning for warning in answer.warnings)


def test_of_a_long_feed_without_dates_both_ends_are_read() -> None:
    """What is added at either end is news at the next poll, and what was left out in the middle comes then."""
    first = parsed(listing(range(5200)))
    assert titles(first) == [*range(2500), *range(2700, 5200)]
    for longer in (range(5201), range(-1, 5200)):
        added = ({*longer} - {*range(5200)}).pop()
        assert sorted(titles(parsed(listing(longer), memory=first.memory))) == sorted([*range(2500, 2700), added])
    document = {"version": "https://jsonfeed.org/version/1.1", "items": [{"title": str(n)} for n in range(5200)]}
    assert titles(parsed(json.dumps(document).encode())) == [*range(2500), *range(2700, 5200)]


@pytest.mark.parametrize("before", ["<html><body>", "<!DOCTYPE html><html><head><title>x</title></head><body><pre>"])
def test_a_feed_inside_of_a_page_is_read(before: str) -> None:
    """A whole feed with entries is what the page is there for; the word alone is not."""
    feed = "<rss version='2.0'><channel><title>F</title><item><title>x</title></item></channel></rss>"
    assert parsed(f"{before}{feed}</body></html>".encode()).entries[0][2] == "x"
    for page in (
        "&lt;rss version='2.0'&gt;&lt;item&gt;",
        "<feed></feed>",
        "<rss version='2.0'></rss>",
        "<channel><item>",
    ):
        with pytest.raises(Rejected) as caught:
            parsed(f"{before}{page}</body></html>".encode())
        assert caught.value.found == "html"


@pytest.mark.parametrize(
    "prolog",
    [
        "<!-- <html><body> -->",
        "<?php echo '<html>' ?>",
        "<?xml version='1.0'?><!-- <!DOCTYPE html> --><!-- <head> -->",
        "<!DOCTYPE rss [<!-- <html> --><!ENTITY a '<body>'>]>",
        "<!DOCTYPE html>",
        '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">\n',
        "<!--" + "<html>" * 20_000 + "-->",
    ],
)
def test_what_stands_before_a_feed_makes_it_no_page(prolog: str) -> None:
    """A document is what its root element is."""
    body = f"{prolog}<rss version='2.0'><channel><title>F</title><item><title>x</title></item></channel></rss>"
    assert parsed(body.encode()).entries[0][2] == "x"


@pytest.mark.parametrize(
    "name", ["eacute", "alpha", "hearts", "mdash", "euro", "nbsp", "Scaron", "hellip", "rarr", "NotEqual"]
)
@pytest.mark.parametrize(
    "doctype",
    [
        "",
        '<!DOCTYPE rss SYSTEM "x.dtd">',
        '<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://my.netscape.com/rss-0.91.dtd">',
        '<!DOCTYPE rss [<!ENTITY % l PUBLIC "-//W3C//ENTITIES Latin 1//EN//HTML" "a.ent"> %l;]>',
        "<!DOCTYPE rss [<!ENTITY % s SYSTEM 'http://www.w3.org/TR/xhtml1/DTD/xhtml-symbol.ent'>%s;]>",
        "<!DOCTYPE rss [<!ENTITY % i PUBLIC 'ISO 8879:1986//ENTITIES Publishing//EN' 'isopub.ent'>%i;]>",
    ],
)
def test_entities_of_html_are_known_without_their_files(doctype: str, name: str) -> None:
    """Whatever set is named, or none; in text and in markup."""
    body = f"{doctype}<rss version='2.0'><channel><item><title>a&{name};b</title></item></channel></rss>"
    assert parsed(body.encode()).entries[0][2] == html.unescape(f"a&{name};b")


@pytest.mark.parametrize(
    "definition",
    [
        '<!ENTITY a PUBLIC "-//W3C//ENTITIES Latin 1//EN" "file:///etc/passwd">',
        '<!ENTITY a SYSTEM "xhtml-lat1.ent">',
        '<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;',
        '<!-- <html> --><!ENTITY % a PUBLIC "-//Evil//ENTITIES//EN" "http://127.0.0.1/x.ent"> %a;',
    ],
)
def test_no_other_file_is_an_entity(definition: str) -> None:
    """A name of a known set does not open a file, and a comment hides none."""
    with pytest.raises(Rejected) as caught:
        parsed(f"<!DOCTYPE rss [{definition}]><rss><channel><item><title>&a;</title></item></channel></rss>".encode())
    assert caught.value.found == "hostile"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("&#55357;&#56832;", "😀"),
        ("&#xD83D;&#xDE00;", "😀"),
        ("&#x0d83d;&#56832;", "😀"),
        ("&amp;#55357;&amp;#56832;", "😀"),
        ("<![CDATA[&#55357;&#56832;]]>", "😀"),
        ("&#55357;", "\ufffd"),
        ("&#56832;&#55357;", "\ufffd\ufffd"),
        ("&#55357; &#56832;", "\ufffd \ufffd"),
        ("&#x110000;", "\ufffd"),
        ("&#99999999999999999999;", "\ufffd"),
        ("&#xFFFF;", "\ufffd"),
        ("a&#8;b", "ab"),
        ("&#128512;", "😀"),
    ],
)
def test_references_that_xml_forbids(written: str, meant: str) -> None:
    """Joined, replaced or dropped; they never cost more than themselves."""
    row = entry(f"<title>t</title><description>x{written}y</description>")
    assert (row[2], row[3]) == ("t", f"x{meant}y")


@pytest.mark.parametrize(
    "body",
    [
        '{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", "title": "a\nb\tc\u0001"}]}',
        '\ufeff \n{"version": "https://jsonfeed.org/version/1", "items": [{"id": "1", "title": "a b c",},],}',
        '{"version": "https://jsonfeed.org/version/1", "items": [{"id": "1", "title": "a\\ b\\x c"}]}\0\n',
        '{"version": "https://jsonfeed.org/version/1", "items": [{"id": "1", "title": "a, ] b,} c"},]}',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32"])
def test_json_with_slips(body: str, encoding: str) -> None:
    """Raw line breaks, commas too many, escapes that JSON has not: in any charset."""
    row = parsed(body.encode(encoding), "application/json").entries[0]
    assert re.sub(r"[^abc]", "", str(row[2])) == "abc"


def test_english_means_what_it_always_means() -> None:
    """No other language takes its months, and a name of several months has each of them."""
    english = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    assert [calendar.months(name)[0] for name in english] == [*range(1, 13)]
    assert calendar.months("listopada") == (11, 10)
    assert 1 in calendar.days("mar")
    assert calendar.months("j") == ()


@pytest.mark.parametrize(
    "body",
    [
        "<CHANNEL><TITLE>F</TITLE></CHANNEL>",
        "<CHANNEL HREF='https://a.example/'></CHANNEL>",
        "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://my.netscape.com/rdf/simple/0.9/'/>",
        "<rss version='2.0'><channel></channel></rss>",
        "<feed xmlns='http://www.w3.org/2005/Atom'/>",
    ],
)
def test_a_feed_without_entries_is_a_feed(body: str) -> None:
    """Of the oldest kinds as well."""
    answer = parsed(body.encode())
    assert (answer.entries, answer.items) == ((), 0)


def test_other_rdf_is_no_feed() -> None:
    """A vocabulary in RDF is not made one by its root."""
    with pytest.raises(Rejected, match="not a feed"):
        parsed(b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><x xmlns='urn:x'/></rdf:RDF>")


@pytest.mark.parametrize(
    "written",
    [
        "&lt;![CDATA[Words here]]&gt;",
        "&lt;![cdata[Words here]]&gt;",
        "<![CDATA[&lt;![CDATA[Words here]]&gt;]]>",
        "&amp;lt;![CDATA[Words here]]&amp;gt;",
        "&lt;![CDATA[Words here",
    ],
)
def test_a_section_that_was_escaped_loses_no_word(written: str) -> None:
    """However often, and in whatever letters."""
    row = entry(f"<title>{written}</title><description>{written}</description>")
    assert (row[2], row[3]) == ("Words here", "Words here")


def test_words_about_sections_are_kept() -> None:
    """Where a text only mentions one."""
    row = entry("<title>t</title><description>Use &amp;lt;![CDATA[ in XML</description>")
    assert row[3] == "Use <![CDATA[ in XML"


@pytest.mark.parametrize("behind", ["\n<!-- Cached page -->", "<script>x()</script>", " ]", "\n{}", "\x00\x00"])
def test_what_is_added_behind_json_costs_no_entry(behind: str) -> None:
    """Caches and trackers write behind the end; the document says that it was read tolerantly."""
    text = '{"version": "https://jsonfeed.org/version/1.1", "title": "T", "items": [{"id": "1", "title": "Words"}]}'
    found = read(Job((text + behind).encode(), "https://feeds.example/f", "application/feed+json", "", None), 2**20)
    assert [entry[2] for entry in found.entries] == ["Words"]
    assert any("read tolerantly" in warning for warning in found.warnings)
