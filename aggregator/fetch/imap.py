"""One visit of an IMAP mailbox, in a thread: what came since the last one, and nothing is changed.

The folder is opened with EXAMINE and read with BODY.PEEK (RFC 9051, 6.3.3 and 6.4.5).
"""

import imaplib
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from aggregator.core.errors import BadStatus, TooLarge, Unreachable
from aggregator.core.text.tls import certificate_fault, handshake_fault
from aggregator.fetch.mail_limits import MAX_MESSAGE_BYTES, PER_POLL, Messages

if TYPE_CHECKING:
    from aggregator.core.settings import Feed, Http
    from aggregator.core.values import Mailbox

WINDOW = 20_000  # numbers of messages that are asked about at once
MAX_HEADER_BYTES = 4096

_UID = re.compile(rb"\bUID (\d+)")
_ADDRESS = re.compile(rb"[^\s<>()\",;:@]{1,64}@[^\s<>()\",;:@]{1,255}")  # RFC 5321, 4.5.3.1
_NOT_ASCII = re.compile(r"[^\x20-\x25\x27-\x7e]+")


class _Mark(NamedTuple):
    """Up to where a mailbox was read: UIDVALIDITY and the last UID."""

    validity: int
    last: int


@dataclass
class ImapSession:
    """One visit of a mailbox, in a thread; closing it from outside ends it."""

    box: "Mailbox"
    user: str
    password: str
    feed: "Feed"
    http: "Http"
    sock: socket.socket | None = None

    def close(self) -> None:
        """End the connection, which ends a thread that waits for it."""
        sock, self.sock = self.sock, None
        if sock is not None:
            with suppress(OSError):  # the other side was quicker
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def read(self, seen: str | None) -> tuple[Messages, str] | None:
        """Return new messages and the mark up to which they go; None: nothing is new. Raises FetchError."""
        host, url = self.box.host, self.feed.url
        try:
            return self._read(seen)
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"{host}: TLS: {certificate_fault(error.verify_code)}", url=url) from error
        except ssl.SSLError as error:
            raise Unreachable(f"{host}: TLS: {handshake_fault(error.reason)}", url=url) from error
        except imaplib.IMAP4.error as error:
            raise Unreachable(f"{host}: the mail server ended the conversation", url=url, connected=True) from error
        except (OSError, EOFError, ValueError, IndexError) as error:  # ValueError: an answer that is none
            what = error.strerror if isinstance(error, OSError) and error.strerror else "an unusable answer"
            raise Unreachable(f"{host}: {what}", url=url, connected=True) from error

    def _read(self, seen: str | None) -> tuple[Messages, str] | None:
        assert self.sock is not None
        self.sock.settimeout(self.http.timeout_s)
        context = ssl.create_default_context()
        if not self.feed.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        secured = context.wrap_socket(self.sock, server_hostname=self.box.host, do_handshake_on_connect=False)
        self.sock = secured
        secured.do_handshake()
        imap = _Imap(secured, self.box.host, 2 * self.http.max_body_bytes, self.feed.url)
        try:
            return self._visit(imap, seen)
        finally:
            with suppress(OSError):
                imap.shutdown()

    def _visit(self, imap: "_Imap", seen: str | None) -> tuple[Messages, str] | None:
        self._log_in(imap)
        validity, following = self._examine(imap)
        before = _mark(seen)
        last = before.last if before and before.validity == validity else None
        uids = self._new(imap, last, following)
        if not uids and last is not None:
            self._log_out(imap)
            return None
        first_time = last is None
        chosen = uids[-PER_POLL:] if first_time else uids[:PER_POLL]
        messages, done = self._messages(imap, validity, chosen)
        self._log_out(imap)
        newest = max(uids, default=max(following - 1, 0))
        end = newest if first_time and done == len(chosen) else max(chosen[:done], default=last or 0)
        return messages, f"{validity} {end}"

    def _log_in(self, imap: "_Imap") -> None:
        try:
            if "AUTH=PLAIN" in imap.capabilities:
                imap.authenticate("PLAIN", lambda _: f"\0{self.user}\0{self.password}".encode())
            else:
                imap.login(self.user, self.password)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, UnicodeEncodeError):
            raise BadStatus(
                f"{self.box.host}: the server refused the user name or the password",
                status=401,
                url=self.feed.url,
                transient=False,
            ) from None

    def _log_out(self, imap: "_Imap") -> None:
        with suppress(OSError, imaplib.IMAP4.error):  # everything was read
            imap.logout()

    def _examine(self, imap: "_Imap") -> tuple[int, int]:
        """Open the folder read-only; return UIDVALIDITY and the UID that comes next (0: not said)."""
        status, _ = imap.select(encoded_folder(self.box.folder), readonly=True)
        if status != "OK":
            raise BadStatus(
                f"{self.box.host}: there is no folder {self.box.folder!r}",
                status=404,
                url=self.feed.url,
                transient=False,
            )
        return _number(imap, "UIDVALIDITY"), _number(imap, "UIDNEXT")

    def _new(self, imap: "_Imap", last: int | None, following: int) -> list[int]:
        """Return the UIDs after `last`, ascending; the first time those of the youngest messages."""
        start = last + 1 if last is not None else max(1, following - WINDOW)
        if following and start >= following:
            return []
        while True:
            end = str(start + WINDOW) if following else "*"
            uids = sorted(uid for uid in self._searched(imap, f"{start}:{end}") if uid >= start)
            if uids or not following or start + WINDOW >= following:
                return uids
            start += WINDOW + 1

    def _searched(self, imap: "_Imap", span: str) -> list[int]:
        status, found = imap.uid("SEARCH", f"UID {span}")
        if status != "OK":
            raise ValueError("the search was refused")
        return [int(word) for line in found if isinstance(line, bytes) for word in line.split()]

    def _messages(self, imap: "_Imap", validity: int, uids: Sequence[int]) -> tuple[Messages, int]:
        """Return messages of wanted senders, and how many of `uids` were looked at before there were enough bytes."""
        strangers = self._strangers(imap, uids) if self.feed.from_ and uids else frozenset[int]()
        messages: Messages = []
        size = 0
        for place, uid in enumerate(uids):
            if size >= self.http.max_body_bytes:
                return messages, place
            if uid in strangers:
                continue
            status, answer = imap.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{MAX_MESSAGE_BYTES}>)")
            if status != "OK":
                raise ValueError("a message was refused")
            for head, data in _literals(answer):
                named = _UID.search(head)
                if named is None or int(named[1]) == uid:
                    messages.append((f"{validity}-{uid}", data))
                    size += len(data)
                    break
        return messages, len(uids)

    def _strangers(self, imap: "_Imap", uids: Sequence[int]) -> frozenset[int]:
        """Return which messages are certainly from others than `from` names; the reader looks again."""
        span = ",".join(map(str, uids))
        status, answer = imap.uid("FETCH", span, f"(BODY.PEEK[HEADER.FIELDS (FROM)]<0.{MAX_HEADER_BYTES}>)")
        if status != "OK":
            return frozenset()
        others = set()
        for head, data in _literals(answer):
            named = _UID.search(head)
            places = [place.decode("utf-8", "replace").lower() for place in _ADDRESS.findall(data)]
            if named and places and not any(fnmatchcase(p, w.lower()) for p in places for w in self.feed.from_):
                others.add(int(named[1]))
        return frozenset(others)


class _Imap(imaplib.IMAP4):
    """A conversation over a socket that is given, with a limit on what the server may send."""

    def __init__(self, sock: socket.socket, host: str, budget: int, url: str) -> None:
        self._given = sock
        self._left = budget
        self._url = url
        super().__init__(host)

    def _create_socket(self, timeout: float | None) -> socket.socket:  # noqa: ARG002 -- imaplib's signature
        return self._given

    def read(self, size: int) -> bytes:
        self._spend(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._spend(len(line))
        return line

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLarge(f"{self.host}: the mail server sends more than was asked for", url=self._url)


def _mark(seen: str | None) -> _Mark | None:
    found = re.fullmatch(r"(\d+) (\d+)", seen or "")
    return _Mark(int(found[1]), int(found[2])) if found else None


def _number(imap: imaplib.IMAP4, name: str) -> int:
    _, values = imap.response(name)
    return int(values[0]) if values and isinstance(values[0], bytes) and values[0].isdigit() else 0


def _literals(answer: Sequence[object]) -> Iterator[tuple[bytes, bytes]]:
    """Yield what stands around a literal, and the literal."""
    for place, piece in enumerate(answer):
        if isinstance(piece, tuple) and len(piece) == 2 and isinstance(piece[0], bytes) and isinstance(piece[1], bytes):
            behind = answer[place + 1] if place + 1 < len(answer) else b""
            yield piece[0] + b" " + (behind if isinstance(behind, bytes) else b""), piece[1]


def encoded_folder(folder: str) -> str:
    """Quote the name of a folder, in modified UTF-7 (RFC 3501, 5.1.3)."""

    def shifted(found: re.Match[str]) -> str:
        if found[0] == "&" * len(found[0]):
            return "&-" * len(found[0])
        return "".join(_shift(run) for run in re.findall(r"&+|[^&]+", found[0]))

    name = _NOT_ASCII.sub(shifted, folder)
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shift(run: str) -> str:
    if run.startswith("&"):
        return "&-" * len(run)
    return "&" + b64encode(run.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
