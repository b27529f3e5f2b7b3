"""Mails: a stable Message-ID, our own text part beside the HTML, and the server's own words on failure.

Apprise reads the address and knows the providers' hosts and ports; what it builds itself has a
random Message-ID and a text part without links, and its verdict is yes or no.

The headers are written here, byte by byte: the email package decodes what looks like an encoded
word when a header is set, and before 3.11.10 and 3.12.5 wrote out the line ends in it
(CVE-2024-6923). Servers are strangers, whose replies are read under a limit (bounded.py).
"""

import io
import re
import smtplib
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from apprise.plugins.email.base import NotifyEmail
from apprise.plugins.email.common import SMTPSecureMode

from aggregator.core.model import Alert
from aggregator.core.text.sanitize import clean_text
from aggregator.notify.acceptance import Refusal
from aggregator.notify.bounded import Bounded
from aggregator.notify.formats import RenderedMessage
from aggregator.notify.http_capture import DEFAULT_ANSWER_S, HttpCapture, describe_tls

MAX_REPLY_BYTES = 16 * 1024  # of a reply with all of its lines; a server names a few dozen extensions
SEVEN_BITS = SMTP.clone(cte_type="7bit")
MAX_HEADER = 900  # characters of a text in a header
MAX_LINE = 76  # characters (RFC 2047, 2)
WORD_BYTES = 39  # of UTF-8 in one encoded word of less than 75 characters
FOLD = "\r\n "
_FOREIGN = re.compile(r"[^\s@<>,;:\"()\[\]\x00-\x1f\x7f-\x9f]{1,64}@[^\s@<>,;:\"()\[\]\x00-\x1f\x7f-\x9f]{1,255}")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>", re.ASCII)
_NAME = re.compile(r"[!-9;-~]{1,70}", re.ASCII)
_DOTTED = re.compile(r"[A-Za-z0-9-]{1,100}(\.[A-Za-z0-9-]{1,63}){1,10}", re.ASCII)
_WORDS = re.compile(r"[A-Za-z0-9 .,'&/()-]{1,50}", re.ASCII)
_PLAIN = re.compile(r"[ -~]*", re.ASCII)
_ATOMS = re.compile(r"[\w!#$%&'*+/=?^`{|}~ -]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailMessage:
    """A mail. `name` makes its Message-ID: the same for each attempt. `rule` and `rule_title` make its List-Id.

    `thread` keeps the mails about one story together, `update` tells which of them answer an earlier one: the mail
    `reply_to`, where it is known, which may be a digest. `host` is that of our own pages; without one the sender's
    domain stands in.
    """

    subject: str
    text: str
    html: str | None
    name: str
    at: datetime
    urgent: bool = False
    rule: str = "alerts"
    rule_title: str = ""
    host: str = ""
    thread: str = ""
    update: bool = False
    reply_to: str = ""


def list_id(mail: MailMessage, sender: str) -> str:
    """Name the rule, for filters of mail programs (RFC 2919): `"S-400" <s400.aggregator.example.org>`.

    `sender`: the domain that the mail comes from.
    """
    host = mail.host or sender
    name = f"{mail.rule}.{host}" if "aggregator" in host else f"{mail.rule}.aggregator.{host}"
    if not _DOTTED.fullmatch(name):
        return ""
    return f'"{mail.rule_title}" <{name}>' if _WORDS.fullmatch(mail.rule_title) else f"<{name}>"


class SmtpService(NotifyEmail):  # type: ignore[misc]
    """Apprise's e-mail service, sending a mail that we composed."""

    mail: MailMessage
    notes: HttpCapture

    def __init__(self, targets: Sequence[str] | str | None = None, **arguments: Any) -> None:
        super().__init__(targets=targets, **arguments)
        # Apprise drops an address that is not ASCII, and reports a mail to nobody as sent.
        lists: dict[str, set[str]] = {"cc": self.cc, "bcc": self.bcc, "reply_to": self.reply_to}
        self.targets += _foreign(targets)
        for kind, taken in lists.items():
            taken.update(address for _, address in _foreign(arguments.get(kind)))

    @staticmethod
    def mail_of(alert: Alert, message: RenderedMessage) -> MailMessage:
        """Build the mail of an alert."""
        rules = {detail.hit.rule: detail.rule_title or detail.hit.rule for detail in alert.hits}
        rule, title = next(iter(rules.items())) if len(rules) == 1 else ("alerts", "")
        return MailMessage(
            subject=message.title,
            text=message.body if message.format == "text" else "",
            html=message.html or (message.body if message.format == "html" else None),
            name=alert.id,
            at=alert.created_at,
            urgent=alert.priority == "high",
            rule=rule,
            rule_title=title,
            host=urlsplit(alert.page or "").hostname or "",
            thread=alert.thread,
            update=alert.update,
            reply_to=alert.reply_to if _MESSAGE_ID.fullmatch(alert.reply_to) else "",
        )

    def send(self, *_: Any, **__: Any) -> bool:
        """Send `self.mail` to the one recipient; what the server said is in `self.notes`."""
        if not self.recipients():
            self.notes.refused = Refusal("none of its recipients is a mail address", final=True)
            return False
        try:
            with _SmtpConnection(self) as server:
                server.deliver(self)
        except Impossible as error:
            self.notes.refused = Refusal(f"mail server {self.smtp_host}:{self.port} {error}", final=True)
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            self._refused(code, words)
        except smtplib.SMTPResponseException as error:
            self._refused(error.smtp_code, error.smtp_error)
        except smtplib.SMTPException as error:
            self.notes.failure = clean_text(f"connection to the mail server lost: {error}", 300)
        except ssl.SSLError as error:
            self.notes.failure = f"mail server {self.smtp_host}:{self.port}: {describe_tls(error)}"
        except UnicodeError:
            self.notes.refused = Refusal(f"{clean_text(self.smtp_host, 100)!r} is not a host name", final=True)
        except OSError as error:
            self.notes.failure = f"mail server {self.smtp_host}:{self.port}: {error.strerror or error}"
        else:
            self.notes.status = 250
            return True
        return False

    def compose(self, *, utf8: bool = False) -> bytes:
        """Compose the message (RFC 5322), with text and HTML as alternatives (RFC 2046, 5.1.4).

        Its body is ASCII, in which every server reads it: not all take eight bits (RFC 6152), and one that
        passes the mail on may not. `utf8`: addresses stand as they are (RFC 6532).
        """
        body = EmailMessage(policy=SEVEN_BITS)
        body.set_content(self.mail.text)
        if self.mail.html:
            body.add_alternative(self.mail.html, subtype="html")
        return "".join(self._headers(utf8)).encode("utf-8" if utf8 else "ascii") + body.as_bytes()

    def _headers(self, utf8: bool) -> Iterator[str]:
        mail = self.mail
        # No mail has this id: what refers to it is one thread all the same (RFC 5256), whichever of them arrived.
        thread = self._id(f"story-{mail.thread}") if mail.thread else ""
        answered = mail.reply_to if mail.update else ""
        fields = {
            "Subject": header_text("Subject", mail.subject) or "(no title)",
            "From": mailbox(*self.from_addr, utf8=utf8),
            "To": f",{FOLD}".join(mailbox(name, address, utf8=utf8) for name, address in self.targets),
            "Cc": f",{FOLD}".join(mailbox("", address, utf8=utf8) for address in sorted(self.cc)),
            "Reply-To": f",{FOLD}".join(mailbox("", address, utf8=utf8) for address in sorted(self.reply_to)),
            "Message-ID": self.message_id,
            "In-Reply-To": (answered or thread) if mail.update else "",
            "References": FOLD.join(one for one in (thread, answered) if one),
            "Date": format_datetime(mail.at),
            "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office answers, please
            "List-Id": list_id(mail, self.from_addr[1].rpartition("@")[2]),
            "Importance": "high" if mail.urgent else "",
        }
        reserved = {name.lower() for name in fields} | {"bcc", "mime-version"}
        for name, value in self.headers.items():
            if _NAME.fullmatch(name) and name.lower() not in reserved and not name.lower().startswith("content-"):
                fields[name] = header_text(name, value)
        return (f"{name}: {value}\r\n" for name, value in fields.items() if value)

    @property
    def message_id(self) -> str:
        """The mail's Message-ID, which updates refer to."""
        return self._id(self.mail.name)

    def _id(self, name: str) -> str:
        return f"<{_address(f'{name}@' + self.from_addr[1].rpartition('@')[2])}>"

    def recipients(self) -> list[str]:
        """Return everybody on the envelope."""
        everybody = [address for _, address in self.targets] + sorted(self.cc) + sorted(self.bcc)
        return [on_envelope(address) for address in everybody]

    def note_without(self, refused: Mapping[str, tuple[int, bytes]]) -> None:
        """Note who does not get the mail that the others get, or not yet."""
        said = {to: f"{code} {words.decode('utf-8', 'replace')}" for to, (code, words) in refused.items()}
        self.notes.answer = clean_text("; ".join(f"{to}: {words}" for to, words in said.items()), 300)
        everybody = [address for _, address in self.targets] + sorted(self.cc) + sorted(self.bcc)
        self.notes.put_off = {
            address: clean_text(said[to], 300)
            for address in everybody
            if (to := on_envelope(address)) in said and _is_for_now(refused[to])
        }

    def _refused(self, code: int, words: bytes | str) -> None:
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
        self.notes.status, self.notes.written = code, False
        self.notes.answer = clean_text(f"{code} {text}", 300)


def _foreign(given: Sequence[str] | str | None) -> list[tuple[str | bool, str]]:
    """Return the mailboxes of a list whose addresses are not ASCII: names (or False) and addresses."""
    listed = map(parseaddr, [given] if isinstance(given, str) else given or ())
    return [(name or False, one) for name, one in listed if not one.isascii() and _FOREIGN.fullmatch(one)]


def header_text(name: str, text: str) -> str:
    """Encode a text as a header's value: one line's worth, folded, and without an encoded word of its own.

    A text that is not plain, or holds what a reader may take for an encoded word, is encoded as a
    whole (RFC 2047); decoded once, it is as it was.
    """
    text = clean_text(text, MAX_HEADER)
    words = text.split(" ")
    fits = max(map(len, words)) < MAX_LINE - len(name) - 2
    if fits and "=?" not in text and _PLAIN.fullmatch(text):
        return _folded(words, len(name) + 2)
    return FOLD.join(_encoded_words(text))


def _is_for_now(reply: tuple[int, bytes]) -> bool:
    """Tell whether a server may take later what it refuses (RFC 5321, 4.2.1)."""
    return reply[0] < 500


def on_envelope(address: str) -> str:
    """Return an address as servers read it: a domain beyond ASCII in its ASCII form (RFC 5891)."""
    local, at, domain = address.rpartition("@")
    with suppress(UnicodeError):
        domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain}"


def mailbox(name: str | bool | None, address: str, *, utf8: bool = False) -> str:
    """Write a display name and an address (RFC 5322, 3.4)."""
    phrase = clean_text(name, MAX_HEADER) if isinstance(name, str) else ""
    if not phrase:
        return _address(address, utf8=utf8)
    plain = _ATOMS.fullmatch(phrase) and "=?" not in phrase and len(phrase) < MAX_LINE // 2
    shown = phrase if plain else FOLD.join(_encoded_words(phrase))
    return f"{shown} <{_address(address, utf8=utf8)}>"


def _address(address: str, *, utf8: bool = False) -> str:
    """Return an address without anything that could end it or its header; ASCII, unless the server takes `utf8`."""
    bare = on_envelope(re.sub(r"[\s<>,;\x00-\x20\x7f-\x9f]", "", address))
    return (bare if utf8 else bare.encode("ascii", "replace").decode("ascii")).replace("=?", "==")


def _folded(words: list[str], start: int) -> str:
    lines: list[str] = []
    line = words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) + (0 if lines else start) > MAX_LINE:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}"
    return FOLD.join([*lines, line])


def _encoded_words(text: str) -> Iterator[str]:
    """Encode the text as encoded words, each with whole characters (RFC 2047, 5)."""
    piece = b""
    for sign in text:
        code = sign.encode("utf-8", "replace")
        if len(piece) + len(code) > WORD_BYTES:
            yield f"=?utf-8?b?{b64encode(piece).decode('ascii')}?="
            piece = b""
        piece += code
    yield f"=?utf-8?b?{b64encode(piece).decode('ascii')}?="


class Impossible(smtplib.SMTPException):
    """A failure that no further attempt can change: the server lacks what the channel asks of it."""


class _Utf8(str):
    """A text that is UTF-8 in bytes, whatever encoding it is asked for."""

    __slots__ = ()

    def encode(self, _encoding: str = "", _errors: str = "") -> bytes:
        return super().encode("utf-8")


class _Bounded(smtplib.SMTP):
    """SMTP whose every reply has a limit, and which has one deadline for all of them (monotonic seconds)."""

    deadline: float

    # Passwords are UTF-8 (RFC 4616, 2); smtplib writes all of a login as ASCII.
    def auth_plain(self, challenge: Any = None) -> str:
        return _Utf8(super().auth_plain(challenge))

    def auth_login(self, challenge: Any = None) -> str:
        return _Utf8(super().auth_login(challenge))

    def auth_cram_md5(self, challenge: Any = None) -> Any:
        return None if challenge is None else _Utf8(super().auth_cram_md5(challenge))

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self._bounded = Bounded(self.sock, deadline=self.deadline, max_bytes=MAX_REPLY_BYTES)
            self.file = io.BufferedReader(self._bounded)
        self._bounded.allow(MAX_REPLY_BYTES)
        return super().getreply()


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


class _SmtpConnection:
    """A session with a mail server: TLS and login as Apprise knows them for a provider."""

    def __init__(self, service: SmtpService) -> None:
        self._service = service
        self._server: _Bounded | None = None

    def __enter__(self) -> "_SmtpConnection":
        """Connect. Raises smtplib.SMTPException, OSError."""
        service = self._service
        context = ssl.create_default_context()
        if not service.verify_certificate:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        timeout_s = service.socket_connect_timeout
        tls = service.secure_mode == SMTPSecureMode.SSL
        server = _BoundedTls(timeout=timeout_s, context=context) if tls else _Bounded(timeout=timeout_s)
        server.deadline = service.notes.answer_by or monotonic() + DEFAULT_ANSWER_S
        server._host = service.smtp_host  # type: ignore[attr-defined]  # what its constructor sets when it connects
        try:
            code, words = server.connect(service.smtp_host, service.port)
            if code != 220:
                raise smtplib.SMTPConnectError(code, words)
            if service.secure_mode == SMTPSecureMode.STARTTLS:
                self._start_tls(server, context)
            if service.user and service.password:
                self._log_in(server, service.user, service.password)
        except BaseException:
            server.close()
            raise
        self._server = server
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._server.quit()
            self._server.close()

    @staticmethod
    def _start_tls(server: _Bounded, context: ssl.SSLContext) -> None:
        try:
            server.starttls(context=context)
        except smtplib.SMTPNotSupportedError:
            hint = "use mailto:// with its port to send without encryption"
            raise Impossible(f"offers no encryption (STARTTLS); {hint}") from None

    @staticmethod
    def _log_in(server: _Bounded, user: str, password: str) -> None:
        server.ehlo_or_helo_if_needed()
        if not server.has_extn("auth"):
            hint = "remove user and password, or use mailtos:// if it requires encryption first"
            raise Impossible(f"offers no login (AUTH); {hint}")
        try:
            server.login(_Utf8(user), _Utf8(password))
        except smtplib.SMTPResponseException:
            raise
        except smtplib.SMTPException:
            offered = clean_text(server.esmtp_features.get("auth", "").strip(), 100)
            raise Impossible(f"offers no supported login method: {offered}") from None

    def deliver(self, service: SmtpService) -> None:
        """Hand the message over. Raises Impossible, smtplib.SMTPException, OSError.

        Only from DATA on may a broken connection mean that the message arrived all the same.
        """
        server = self._server
        assert server is not None
        server.ehlo_or_helo_if_needed()
        sender, recipients = on_envelope(service.from_addr[1]), service.recipients()
        foreign = [address for address in (sender, *recipients) if not address.isascii()]
        if foreign and not server.has_extn("smtputf8"):
            named = clean_text(", ".join(foreign), 200)
            raise Impossible(f"accepts ASCII addresses only (no SMTPUTF8); cannot send to or from {named}")
        options = ["SMTPUTF8", "BODY=8BITMIME"] if foreign else []
        self._expect(server.mail(sender, options), smtplib.SMTPResponseException)
        refused = {to: reply for to in recipients if (reply := server.rcpt(to))[0] not in (250, 251)}
        waiting = {to: reply for to, reply in refused.items() if _is_for_now(reply)}
        if (refused.keys() - waiting) >= {on_envelope(address) for _, address in service.targets}:
            raise smtplib.SMTPRecipientsRefused({to: refused[to] for to in refused.keys() - waiting})
        if refused.keys() >= set(recipients):
            raise smtplib.SMTPRecipientsRefused(waiting)
        service.note_without(refused)  # who is refused keeps the mail from nobody else
        message = service.compose(utf8=bool(foreign))
        service.notes.written = True
        self._expect(server.data(message), smtplib.SMTPDataError)

    @staticmethod
    def _expect(reply: tuple[int, bytes], error: type[smtplib.SMTPResponseException]) -> None:
        if reply[0] != 250:
            raise error(*reply)
