"""Titles that pose as encoded words: every mail reader and library sees text in one header."""

import base64
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from typing import Any

import pytest

from aggregator.core.text.sanitize import clean_text
from aggregator.notify.http_capture import HttpCapture
from aggregator.notify.smtp import MailMessage, SmtpService, header_text, list_id


def b64(text: str) -> str:
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


TITLES = [
    "Putin and Erdogan discuss S-400 deliveries despite CAATSA threat",
    "Россия и Индия договорились о поставке новых систем С-400 в этом году, сообщили в Москве",
    "=?utf-8?q?one=0D=0ABcc:_x@y.example?=",
    "=?UTF-8?Q?one=0A=0Abody?=",
    "=?utf-8?q?=00?=",
    "=?utf-8?q?=E2=80=AEgnp.exe?=",
    b64("x\r\nX-I: y\r\n\r\nbody"),
    b64("\r\nBcc: x@y.example"),
    f"{b64('a')} {b64(chr(10) + 'Bcc: x@y.example')}",
    "=?us-ascii?q?=0D=0ABcc:_x@y.example?=",
    "=?utf-16?b?DQAKAEIAYwBjADoAIAB4AA==?=",
    "=?unknown-8bit?q?=0D=0AX:_y?=",
    "=?utf-8*en?q?=0ABcc:x?=",
    "=?utf-8?q?nested_=3D=3Futf-8=3Fq=3F=3D0ABcc=3A=3F=3D?=",
    "before=?utf-8?q?=0ABcc:x?=after",
    "=?=?utf-8?q?=0ABcc:x?=?=",
    "=?utf-8?q?unfinished",
    "=?utf-8?q?" + "=41" * 100 + "=0D=0ABcc:x?=",
    "line\r\nBcc: x@y.example",
    "line\nX-Injected: y\n\nbody",
    "NEL\x85Bcc: x\u2028LS\u2029PS\x0bVT\x0cFF\x1cFS",
    "bidi \u202eevil\u202c and \u2066isolate\u2069 \u200b\u00adhidden",
    "\x1b[31mred\x07 \x9b2J C1",
    "word " * 200,
    "x" * 5000,
    "é" * 300 + " 🚀" * 50,
    "\ud800 lone surrogate",
    '"quoted" <a@b.example>, other@c.example; (comment)',
    "",
]


class Service:
    """What SmtpService.compose reads of Apprise's service."""

    targets = ((None, "desk@example.org"),)
    from_addr: tuple[Any, str] = ("aggregator", "aggregator@example.org")
    cc: frozenset[str] = frozenset()
    reply_to: frozenset[str] = frozenset()
    headers: dict[str, str] = {}  # noqa: RUF012
    notes = HttpCapture()

    def __init__(self, title: str, **fields: Any) -> None:
        at = datetime(2026, 3, 1, tzinfo=UTC)
        self.mail = MailMessage(subject=title, text="text", html="<p>text</p>", name="1f0c", at=at)
        for name, value in fields.items():
            setattr(self, name, value)

    def bytes(self) -> bytes:
        return SmtpService.compose(self)  # type: ignore[arg-type]

    _headers, _id, message_id = SmtpService._headers, SmtpService._id, SmtpService.message_id


def parsed(raw: bytes) -> list[Message]:
    """As the old and the new half of the standard library read it."""
    return [message_from_bytes(raw, policy=policy.compat32), message_from_bytes(raw, policy=policy.default)]


NAMES = [
    "Subject", "From", "To", "Message-ID", "Date", "Auto-Submitted", "List-Id", "X-Title", "Content-Type",
    "MIME-Version",
]  # fmt: skip


@pytest.mark.parametrize("title", TITLES, ids=range(len(TITLES)))
def test_no_title_becomes_a_header_or_a_body(title: str) -> None:
    """In the subject, in display names and in a header of the channel's own; what is decoded is the title, cleaned."""
    service = Service(
        title,
        from_addr=(title, "aggregator@example.org"),
        targets=((title, "desk@example.org"),),
        headers={"X-Title": title, "Subject": title, "Bcc": title, "bad name:\r\n": title},
    )
    raw = service.bytes()
    head, _, _ = raw.partition(b"\r\n\r\n")
    assert all(len(line) <= 998 and line.isascii() for line in head.split(b"\r\n"))
    wanted = clean_text(title, 900)
    for message in parsed(raw):
        assert sorted(message.keys()) == sorted(name for name in NAMES if wanted or name != "X-Title")
        for name in ("Subject", "X-Title") if wanted else ():
            shown = (
                str(make_header(decode_header(message[name]))) if message.policy == policy.compat32 else message[name]
            )
            assert shown.split() == wanted.split()
            assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in shown)
        for name, address in (("From", "aggregator@example.org"), ("To", "desk@example.org")):
            assert str(message[name]).endswith(f"{address}>" if wanted else address)
    new = parsed(raw)[1]
    assert isinstance(new, EmailMessage)
    assert [one.addr_spec for one in new["To"].addresses] == ["desk@example.org"]
    assert [one.addr_spec for one in new["From"].addresses] == ["aggregator@example.org"]
    body = new.get_body(("plain",))
    assert isinstance(body, EmailMessage)
    assert body.get_content().strip() == "text"


@pytest.mark.parametrize("title", TITLES, ids=range(len(TITLES)))
def test_encoded_words_are_ours(title: str) -> None:
    """Where `=?` stands in a header, it begins a word that we encoded ourselves, of legal length."""
    value = header_text("Subject", title)
    for word in value.split():
        if "=?" in word:
            assert re.fullmatch(r"=\?utf-8\?b\?[A-Za-z0-9+/]+={0,2}\?=", word)
            assert len(word) <= 75


def test_plain_text_stays_plain() -> None:
    """A title in ASCII is readable in the source, folded between words."""
    assert header_text("Subject", "S-400: news") == "S-400: news"
    long = "word " * 40
    assert header_text("Subject", long).replace("\r\n", "") == long.strip()
    assert max(map(len, f"Subject: {header_text('Subject', long)}".split("\r\n"))) <= 77


@pytest.mark.parametrize(
    ("rule", "title", "host", "line"),
    [
        ("s400", "S-400 and Turkey", "", '"S-400 and Turkey" <s400.aggregator.example.org>'),
        ("s400", "", "aggregator.example.com", "<s400.aggregator.example.com>"),
        ("alerts", "", "", "<alerts.aggregator.example.org>"),
        ("s400", 'S"400 <x>', "", "<s400.aggregator.example.org>"),
        ("s400", "S\r\nBcc: x@y", "", "<s400.aggregator.example.org>"),
        ("s400", "Система", "", "<s400.aggregator.example.org>"),
        ("s400", "", "bad host", ""),
    ],
)
def test_a_mail_names_its_rule_for_filters(rule: str, title: str, host: str, line: str) -> None:
    """RFC 2919; a title that would need quoting is left out, and nothing breaks the line."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    mail = MailMessage(subject="x", text="x", html=None, name="n", at=at, rule=rule, rule_title=title, host=host)
    assert list_id(mail, "example.org") == line
