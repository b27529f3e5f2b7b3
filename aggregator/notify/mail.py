"""Mails: a stable Message-ID, our own text part beside the HTML, and the server's own words on failure.

Apprise reads the address, knows the providers' hosts and ports, and speaks SMTP; what it builds
itself has a random Message-ID and a text part without links, and its verdict is yes or no.
"""

import smtplib
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import Any

from apprise.plugins.email.base import NotifyEmail
from apprise.plugins.email.smtp import AppriseSMTPController

from aggregator.core.model import Alert
from aggregator.notify.formats import Message
from aggregator.notify.wire import Notes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What a mail says. `name` makes its Message-ID: the same for each attempt."""

    subject: str
    text: str
    html: str | None
    name: str
    at: datetime
    urgent: bool = False


class StableEmail(NotifyEmail):  # type: ignore[misc]
    """Apprise's e-mail service, sending a mail that we composed."""

    mail: Mail
    notes: Notes

    @staticmethod
    def mail_of(alert: Alert, message: Message) -> Mail:
        """The mail of an alert."""
        return Mail(
            subject=message.title,
            text=message.body if message.format == "text" else "",
            html=message.html or (message.body if message.format == "html" else None),
            name=alert.id,
            at=alert.created_at,
            urgent=alert.priority == "high",
        )

    def send(self, *_: Any, **__: Any) -> bool:
        """Send `self.mail` to the one recipient; what the server said is in `self.notes`."""
        try:
            with _Connection(self) as server:
                server.deliver(self)
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            self._refused(code, words)
        except smtplib.SMTPResponseException as error:
            self._refused(error.smtp_code, error.smtp_error)
        except smtplib.SMTPException as error:
            self.notes.failure = f"the connection to the mail server broke: {error}"
        except OSError as error:
            self.notes.failure = f"mail server {self.smtp_host}:{self.port}: {error.strerror or error}"
        else:
            self.notes.status = 250
            return True
        return False

    def compose(self) -> EmailMessage:
        """The message (RFC 5322), with text and HTML as alternatives (RFC 2046, 5.1.4)."""
        mail, message = self.mail, EmailMessage()
        message["Subject"] = " ".join(mail.subject.split())
        message["From"] = formataddr((self.from_addr[0] or "", self.from_addr[1]))
        message["To"] = ", ".join(formataddr((name or "", address)) for name, address in self.targets)
        if self.cc:
            message["Cc"] = ", ".join(sorted(self.cc))
        if self.reply_to:
            message["Reply-To"] = ", ".join(sorted(self.reply_to))
        message["Message-ID"] = f"<{mail.name}@{self.from_addr[1].rpartition('@')[2]}>"
        message["Date"] = format_datetime(mail.at)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
        if mail.urgent:
            message["Importance"] = "high"
        for name, value in self.headers.items():
            message[name] = " ".join(value.split())
        message.set_content(mail.text)
        if mail.html:
            message.add_alternative(mail.html, subtype="html")
        return message

    def recipients(self) -> list[str]:
        """Everybody on the envelope."""
        return [address for _, address in self.targets] + sorted(self.cc) + sorted(self.bcc)

    def _refused(self, code: int, words: bytes | str) -> None:
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
        self.notes.status, self.notes.written = code, False
        self.notes.answer = f"{code} {' '.join(text.split())}"[:300]


class _Connection(AppriseSMTPController):  # type: ignore[misc]
    """Apprise's connection (TLS, login), letting the server's refusals through to us."""

    def __init__(self, service: StableEmail) -> None:
        super().__init__(
            host=service.smtp_host,
            port=service.port,
            secure_mode=service.secure_mode,
            user=service.user,
            password=service.password,
            verify_certificate=service.verify_certificate,
            socket_connect_timeout=service.socket_connect_timeout,
        )

    def deliver(self, service: StableEmail) -> None:
        """Hand the message over. Raises smtplib.SMTPException, OSError.

        Only from DATA on may a broken connection mean that the message arrived all the same.
        """
        server: smtplib.SMTP = self._socket
        server.ehlo_or_helo_if_needed()
        self._expect(server.mail(service.from_addr[1]), smtplib.SMTPResponseException)
        refused = {to: reply for to in service.recipients() if (reply := server.rcpt(to))[0] not in (250, 251)}
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)
        message = service.compose().as_bytes(policy=SMTP)
        service.notes.written = True
        self._expect(server.data(message), smtplib.SMTPDataError)

    @staticmethod
    def _expect(reply: tuple[int, bytes], error: type[smtplib.SMTPResponseException]) -> None:
        if reply[0] != 250:
            raise error(*reply)
