"""An IMAP server with TLS on loopback: one user, folders of messages, and a record of everything that was said.

It does what RFC 9051 says of the commands that reading needs, in a thread of its own. A client that selects a folder,
or fetches without PEEK, changes flags, as with any server: `state` shows it.
"""

import re
import socket
import ssl
import threading
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.certificates import server_context

_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


@dataclass
class StoredMessage:
    """A message of a folder."""

    uid: int
    data: bytes
    flags: set[str] = field(default_factory=set)


@dataclass
class Folder:
    """A folder; UIDs are never given twice."""

    validity: int = 7
    messages: list[StoredMessage] = field(default_factory=list)
    next_uid: int = 1

    def add(self, data: bytes) -> int:
        self.messages.append(StoredMessage(self.next_uid, data))
        self.next_uid += 1
        return self.next_uid - 1


class ImapServer:
    """See the module. `hostile` replaces the answer to a command (by its first word) with bytes, sent for ever."""

    def __init__(self, user: str = "me", password: str = 'a pass"word\\', *, tls: str = "good") -> None:
        self.user, self.password = user, password
        self.folders: dict[str, Folder] = {"INBOX": Folder()}
        self.said: list[str] = []
        self.hostile: dict[str, bytes] = {}
        self._context = server_context(tls)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sessions: set[socket.socket] = set()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"imaps://{self.user}@127.0.0.1:{self.port}/INBOX"

    @property
    def inbox(self) -> Folder:
        return self.folders["INBOX"]

    def state(self) -> list[tuple[str, int, bytes, frozenset[str]]]:
        """Everything that a client could have changed."""
        return [
            (name, one.uid, one.data, frozenset(one.flags))
            for name, folder in sorted(self.folders.items())
            for one in folder.messages
        ]

    def close(self) -> None:
        self._listener.close()
        for session in list(self._sessions):
            with suppress(OSError):
                session.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError, ValueError), sock:
            secured = self._context.wrap_socket(sock, server_side=True)
            self._sessions.add(secured)
            with secured, secured.makefile("rwb") as pipe:
                pipe.write(self.hostile.get("", b"* OK ready\r\n"))
                pipe.flush()
                _Conversation(self, pipe).run()
            self._sessions.discard(secured)


class _Conversation:
    def __init__(self, server: ImapServer, pipe: object) -> None:
        self.server = server
        self.pipe = pipe
        self.folder: Folder | None = None
        self.read_only = True
        self.inside = False

    def run(self) -> None:
        while line := self._line():
            tag, _, rest = line.strip().partition(b" ")
            word = rest.split(b" ")[0].decode().upper()
            shown = rest.decode("utf-8", "replace")
            self.server.said.append("LOGIN …" if word == "LOGIN" else shown)
            if (flood := self.server.hostile.get(word)) is not None:
                while True:
                    self._send(flood)
                    self.pipe.flush()  # type: ignore[attr-defined]
            answer = self._answer(word, rest)
            self._send(b"%s %s\r\n" % (tag, answer.encode()))
            if word == "LOGOUT":
                return

    def _line(self) -> bytes:
        line: bytes = self.pipe.readline()  # type: ignore[attr-defined]
        while found := _LITERAL.search(line):
            self._send(b"+ go on\r\n")
            line = line[: found.start()] + self.pipe.read(int(found[1])) + self.pipe.readline()  # type: ignore[attr-defined]
        return line

    def _send(self, data: bytes) -> None:
        self.pipe.write(data)  # type: ignore[attr-defined]
        if not data.startswith(b"* "):  # else more follows
            self.pipe.flush()  # type: ignore[attr-defined]

    def _answer(self, word: str, rest: bytes) -> str:
        if word == "CAPABILITY":
            self._send(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
            return "OK done"
        if word == "AUTHENTICATE":
            self._send(b"+ \r\n")
            _, user, password = b64decode(self.pipe.readline()).decode().split("\0")  # type: ignore[attr-defined]
            self.inside = (user, password) == (self.server.user, self.server.password)
            return "OK welcome" if self.inside else f"NO not {user} with {password}"
        if word == "LOGOUT":
            self._send(b"* BYE\r\n")
            return "OK done"
        if not self.inside:
            return "BAD log in first"
        if word in ("SELECT", "EXAMINE"):
            return self._open(word, rest)
        if word == "UID" and self.folder is not None:
            command, _, arguments = rest.partition(b" ")[2].partition(b" ")
            return self._search(arguments) if command.upper() == b"SEARCH" else self._fetch(arguments)
        return "BAD unknown"

    def _open(self, word: str, rest: bytes) -> str:
        name = rest.partition(b" ")[2].strip().strip(b'"').decode()
        self.folder = self.server.folders.get(name)
        self.read_only = word == "EXAMINE"
        if self.folder is None:
            return "NO no such folder"
        self._send(
            b"* %d EXISTS\r\n* OK [UIDVALIDITY %d] ok\r\n* OK [UIDNEXT %d] ok\r\n"
            % (len(self.folder.messages), self.folder.validity, self.folder.next_uid)
        )
        return f"OK [{'READ-ONLY' if self.read_only else 'READ-WRITE'}] opened"

    def _chosen(self, spans: str) -> list[StoredMessage]:
        assert self.folder is not None
        last = max((one.uid for one in self.folder.messages), default=0)
        found = []
        for span in spans.split(","):
            start, _, end = span.partition(":")
            first, final = int(start), last if end == "*" else int(end or start)
            low, high = min(first, final), max(first, final)
            found += [one for one in self.folder.messages if low <= one.uid <= high]
        return found

    def _search(self, arguments: bytes) -> str:
        spans = arguments.decode().partition("UID ")[2]
        self._send(b"* SEARCH %s\r\n" % b" ".join(b"%d" % one.uid for one in self._chosen(spans)))
        return "OK done"

    def _fetch(self, arguments: bytes) -> str:
        spans, _, items = arguments.partition(b" ")
        wanted = items.decode().strip("()")
        assert self.folder is not None
        for one in self._chosen(spans.decode()):
            data = one.data
            if "HEADER.FIELDS" in wanted:
                head = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]
                data = b"".join(line + b"\r\n" for line in head.splitlines() if line.lower().startswith(b"from:"))
                data += b"\r\n"
            if found := re.search(r"<0\.(\d+)>", wanted):
                data = data[: int(found[1])]
            if "PEEK" not in wanted and not self.read_only:
                one.flags.add("\\Seen")
            number = self.folder.messages.index(one) + 1
            name = wanted.replace(".PEEK", "").partition("<")[0] + "<0>"
            self._send(b"* %d FETCH (UID %d %s {%d}\r\n%s)\r\n" % (number, one.uid, name.encode(), len(data), data))
        return "OK done"
