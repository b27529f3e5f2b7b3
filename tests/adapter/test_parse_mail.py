"""Messages of mail as entries, and hostile MIME."""

from base64 import b64encode
from email.message import EmailMessage

import pytest

from aggregator.core.model import FeedState, Fetched, Reading
from aggregator.core.text.bundles import bundled, unbundled
from aggregator.parse import open_parser
from aggregator.parse.workers.protocol import How
from tests.support.inline_parser import inline_parser
from tests.support.pdf import simple_pdf
from tests.support.read import CONTENT, first, reading, refusal, titles

MAIL = How("mail")


def mail(**fields: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "OFAC <ofac@treasury.example>"
    message["Subject"] = "Counter Terrorism Designations"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 -0500"
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def test_a_message_is_an_entry() -> None:
    """Subject, sender, date, text, and where it is kept on the web."""
    message = mail(Archived_At="<https://lists.example/m/1>")
    message.set_content("Rosoboronexport was added.\n\nMore follows.")
    guid, link, title, summary, content, author, _, published, *_ = first(reading(bytes(message), MAIL))
    assert (guid, link, title, author) == (None, "https://lists.example/m/1", "Counter Terrorism Designations", "OFAC")
    assert (summary, content, published) == ("", "Rosoboronexport was added.\n\nMore follows.", 1772463600.0)


def test_encoded_words_and_charsets() -> None:
    """As RFC 2047 and MIME say, and raw bytes that nobody declared."""
    raw = (
        b"From: =?utf-8?B?w4VzZQ==?= <a@b.example>\r\nSubject: =?koi8-r?Q?=F4=D5=D2=C3=C9=D1?= =?utf-8?q?_S-400?=\r\n"
        b"Content-Type: text/plain; charset=windows-1251\r\n\r\n" + "Турция".encode("windows-1251")
    )
    entry = first(reading(raw, MAIL))
    assert (entry[2], entry[4], entry[5]) == ("Турция S-400", "Турция", "Åse")
    assert titles(reading("From: a@b.c\nSubject: Militærøvelse\n\nx".encode(), MAIL)) == ["Militærøvelse"]


@pytest.mark.parametrize(
    "field",
    [
        "Subject: S-400 =?utf-8?b?w?=",
        "From: =?utf-8?b?w4VzZ?= <a@b.example>",
        "From: =?utf-8?q?x?= <a@b.example>, =?utf-8?b?/?=",
        "Content-Type: text/plain; name*=u\0f''%c3",
        "Content-Disposition: inline; filename*=no\0ne'en'%ff%fe",
        "Content-Disposition: inline; filename*0*=x'y'%ff; filename*1*=%00",
        "Date: =?utf-8?b?w?=",
        "Archived-At: =?utf-8?b?w?=",
    ],
)
def test_a_broken_header_costs_no_message(field: str) -> None:
    """What cannot be decoded is shown as it was sent, or left out: the text is read."""
    ours, _, _ = field.partition(":")
    usual = {"Subject": "S-400", "From": "a@b.example", "Content-Type": "text/plain"}
    fields = [field, *(f"{name}: {value}" for name, value in usual.items() if name != ours)]
    entry = first(reading("\r\n".join([*fields, "", "S-400 seen"]).encode(), MAIL))
    assert str(entry[2]).startswith("S-400")


def test_html_is_read_as_text() -> None:
    """Where there is a plain form as well, that one, unless it only says where to look."""
    message = mail()
    message.set_content("View this in your browser.")
    message.add_alternative("<p>Hello <b>S-400</b></p><script>x()</script><p>" + "text " * 50 + "</p>", subtype="html")
    content = first(reading(bytes(message), MAIL))[4]
    assert content.startswith("Hello S-400\n\ntext text")
    message = mail()
    message.set_content("Plain form with all that there is to say.")
    message.add_alternative("<p>Plain form with all that there is to say.</p>", subtype="html")
    assert first(reading(bytes(message), MAIL))[4] == "Plain form with all that there is to say."


def test_attachments_are_named_and_pdf_is_read() -> None:
    """Their bytes are kept nowhere."""
    pytest.importorskip("pypdf")
    message = mail()
    message.set_content("See the attachment.")
    message.add_attachment(simple_pdf("S-400 in the annex"), "application", "pdf", filename="annex.pdf")
    message.add_attachment(b"PK\x03\x04", "application", "zip", filename="../../etc/passwd\u202e")
    content = str(first(reading(bytes(message), MAIL))[4])
    assert content.startswith("See the attachment.\n\nAttachments: annex.pdf, ../../etc/passwd")
    assert content.endswith("S-400 in the annex")
    assert "\u202e" not in content
    without = How("mail", attachments=False)
    assert "annex" in str(first(reading(bytes(message), without))[4])
    assert "S-400" not in str(first(reading(bytes(message), without))[4])


def test_a_pdf_that_cannot_be_read_says_so() -> None:
    """The message is read all the same."""
    pytest.importorskip("pypdf")
    message = mail()
    message.set_content("See the attachment.")
    message.add_attachment(b"%PDF-1.4 nonsense", "application", "pdf", filename="a.pdf")
    assert "(a.pdf: The PDF file cannot be read" in str(first(reading(bytes(message), MAIL))[CONTENT])


@pytest.mark.parametrize(
    ("senders", "taken"),
    [
        (("*@treasury.example",), True),
        (("OFAC@*",), True),
        (("*@other.example", "ofac@*"), True),
        (("*@example",), False),
    ],
)
def test_only_wanted_senders_are_read(senders: tuple[str, ...], taken: bool) -> None:
    """By address, whatever the name beside it says."""
    message = mail()
    message.set_content("x")
    assert bool(reading(bytes(message), How("mail", senders=senders)).entries) == taken
    forged = b'From: "ofac@treasury.example" <evil@bad.example>\r\n\r\nx'
    assert not reading(forged, How("mail", senders=("*@treasury.example",))).entries


def nested(depth: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return b"From: a@b.c\r\n" + head + b"Content-Type: text/plain\r\n\r\nx"


HOSTILE = {
    "a million headers": b"From: a@b.c\r\nSubject: all the same\r\n" + b"X: y\r\n" * 1_000_000 + b"\r\nText.",
    "one endless header": b"From: a@b.c\r\nSubject: " + b"x" * 5_000_000 + b"\r\n\r\nText.",
    "a million addresses": b"From: " + b"a@b.c, " * 700_000 + b"\r\n\r\nText.",
    "encoded words": b"From: a@b.c\r\nSubject: " + b"=?utf-8?q?a?= " * 300_000 + b"\r\n\r\nText.",
    "deep multiparts": nested(5000),
    "messages in messages": b"From: a@b.c\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 100_000,
    "a million parts": b"From: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 500_000,
    "parameters": b"From: a@b.c\r\nContent-Type: text/plain" + b"; a*0*=x" * 5_000 + b"\r\n\r\nText.",
    "nested comments": b"From: " + b"(" * 100_000 + b"\r\n\r\nText.",
    "base64 without end": b"From: a@b.c\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64encode(b"x" * 3_000_000),
    "deep html": b"From: a@b.c\r\nContent-Type: text/html\r\n\r\n" + b"<div>" * 500_000,
    "charset of nowhere": b"From: a@b.c\r\nContent-Type: text/plain; charset=\"\xff\x00x\"\r\n\r\nText.",
    "a boundary of nothing": b"From: a@b.c\r\nContent-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n--\r\n",
    "pdf of nothing": b"From: a@b.c\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.4\n" + b"1 0 obj\n" * 50_000,
}  # fmt: skip


@pytest.mark.anyio
async def test_hostile_messages_cost_themselves_alone() -> None:
    """In real workers: each is read or put aside, and those beside it are entries."""
    good = mail()
    good.set_content("Text.")
    bundle = bundled([("first", bytes(good)), *HOSTILE.items(), ("last", bytes(good))])
    answer = Fetched(url="imaps://a@b/", status=200, body=bundle, delta=True)
    state = FeedState(id="mail", url="imaps://a@b/", configured_url="imaps://a@b/")
    async with open_parser(workers=2) as parser:
        found = await parser.parse(answer, state, reading=Reading(kind="mail"))
    by_name = {entry.guid: entry for entry in found.entries}
    assert {"first", "last"} <= set(by_name)
    assert len(by_name) + len(found.quarantined) == len(HOSTILE) + 2
    assert {"a million headers", "one endless header", "base64 without end", "charset of nowhere"} <= set(by_name)
    assert by_name["a million headers"].title == "all the same"
    assert by_name["a million headers"].content == "Text."
    assert all(len(data) <= 65_536 for data, _ in found.quarantined)


@pytest.mark.anyio
async def test_messages_that_are_queued_behind_slow_ones_are_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that passes is no reason to put a message aside: the poll fails, and is made again."""
    from aggregator.core.errors import ParseError
    from aggregator.parse.workers.queues import BUSY

    parser = inline_parser()

    async def busy(*_: object, **__: object) -> object:
        return BUSY

    monkeypatch.setattr(parser._workers, "ask", busy)
    answer = Fetched(url="x", status=200, body=bundled([("1", b"From: a@b.c\n\nx")]), delta=True)
    with pytest.raises(ParseError, match="queued"):
        await parser.parse(answer, FeedState(id="m", url="x", configured_url="x"), reading=Reading(kind="mail"))


def test_what_is_no_message_is_refused() -> None:
    """Before anything is made of it."""
    assert refusal(b"\x00" * 1000, MAIL).found == "broken"
    assert refusal(nested(5000), MAIL).found == "hostile"


def test_bundles_come_apart_as_they_were_made() -> None:
    """And what is no bundle is an error, not half of one."""
    made = [("a", b""), ("b:1,", b"x" * 100), ("", b"5:a,")]
    assert list(unbundled(bundled(made))) == made
    for broken in (b"1:a", b"1:a,", b"99999999999999:a,", b"x", b"1:a;1:b,"):
        with pytest.raises(ValueError):
            list(unbundled(broken))


def test_parts_without_their_boundary_are_text() -> None:
    """What a broken gateway leaves of a message is read as it stands."""
    head = b"From: a@b.example\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n\r\n"
    assert "CAATSA" in str(
        first(reading(head + b"--b\r\nContent-Type: text/plain\r\n\r\nCAATSA\r\n--b--\r\n", MAIL))[CONTENT]
    )
