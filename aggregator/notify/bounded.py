"""Answers of receivers, read under a limit: of their bytes, and of the time until their end.

A socket's own time-out begins anew with every byte that comes, and the standard library's clients
read heads, lines and interim answers without an end. Both limits hold here for every byte that
HTTP and SMTP receivers send, below the parsers, with and without TLS.
"""

import io
import socket
from time import monotonic


class Overlong(OSError):
    """More was received than any answer needs."""


class Bounded(io.RawIOBase):
    """The bytes received through a socket, until `deadline` (monotonic seconds) and at most `max_bytes`."""

    def __init__(self, sock: socket.socket, *, deadline: float, max_bytes: int) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline
        self._left = max_bytes

    def readable(self) -> bool:
        return True

    def allow(self, max_bytes: int) -> None:
        """Allow `max_bytes` further bytes from here on."""
        self._left = max_bytes

    def readinto(self, buffer: "memoryview | bytearray") -> int | None:  # type: ignore[override]
        """Read into a buffer. Raises Overlong, TimeoutError."""
        if self._left <= 0:
            raise Overlong("the response is endless")
        left_s = self._deadline - monotonic()
        if left_s <= 0:
            raise TimeoutError("the response took too long")
        usual = self._sock.gettimeout()
        self._sock.settimeout(left_s if usual is None else min(usual, left_s))
        try:
            count = self._raw.readinto(memoryview(buffer)[: self._left])
        finally:
            self._sock.settimeout(usual)
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
