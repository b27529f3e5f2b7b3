"""Receivers that answer without an end, each in a thread of its own on loopback."""

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket], None]
CHUNK = b"x" * 65_536
BOMB = gzip.compress(bytes(150_000_000), 6)
NESTED = zlib.compress(zlib.compress(bytes(150_000_000), 6), 9)
HEAD = b"HTTP/1.1 500 no\r\nContent-Type: text/plain\r\n"


def _for_ever(connection: socket.socket, piece: bytes, pause_s: float = 0.0) -> None:
    while True:
        connection.sendall(piece)
        if pause_s:
            time.sleep(pause_s)


def endless_body(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"\r\n")
    _for_ever(connection, CHUNK)


def endless_accepted_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    _for_ever(connection, CHUNK)


def endless_chunks(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    _for_ever(connection, b"10000\r\n" + CHUNK + b"\r\n")


def endless_chunk_extension(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;")
    _for_ever(connection, CHUNK)


def endless_trailers(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    _for_ever(connection, b"X-Trailer: " + b"y" * 60_000 + b"\r\n")


def gzip_bomb(connection: socket.socket) -> None:
    body = BOMB
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def gzip_bomb_of_a_redirect(connection: socket.socket) -> None:
    body = BOMB
    head = b"HTTP/1.1 302 x\r\nLocation: http://[bad\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(body) + body)


def nested_bomb(connection: socket.socket) -> None:
    body = NESTED
    coding = b"Content-Encoding: deflate, deflate\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection.sendall(HEAD + coding + body)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    _for_ever(connection, b"X-Header: " + b"y" * 60_000 + b"\r\n")


def endless_header_line(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"X-Header: ")
    _for_ever(connection, CHUNK)


def endless_status_line(connection: socket.socket) -> None:
    _for_ever(connection, CHUNK)


def interim_answers(connection: socket.socket) -> None:
    _for_ever(connection, b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 500)


def slow_interim_answers(connection: socket.socket) -> None:
    _for_ever(connection, b"HTTP/1.1 100 Continue\r\n\r\n", 0.05)


def slow_head(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    _for_ever(connection, b"X", 0.05)


def slow_body(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    _for_ever(connection, b"x", 0.05)


HTTP = (
    endless_body, endless_accepted_body, endless_chunks, endless_chunk_extension, endless_trailers, gzip_bomb,
    gzip_bomb_of_a_redirect, nested_bomb, endless_headers, endless_header_line, endless_status_line, interim_answers,
    slow_interim_answers, slow_head, slow_body,
)  # fmt: skip


def _mail(replies: tuple[bytes, ...], flood: bytes, pause_s: float = 0.0) -> Answer:
    """A mail server that is well until one command, whose reply has no end."""

    def speak(connection: socket.socket) -> None:
        for reply in replies:
            connection.sendall(reply)
            connection.recv(65_536)
        _for_ever(connection, flood, pause_s)

    return speak


GREETING, HELLO, OK, GO = b"220 hi\r\n", b"250-x\r\n250 8BITMIME\r\n", b"250 ok\r\n", b"354 go\r\n"
MAIL = {
    "greeting": _mail((), b"220-hi there\r\n" * 1000),
    "one line without an end": _mail((), b"2" * 65_536),
    "EHLO": _mail((GREETING,), b"250-FEATURE of no use\r\n" * 1000),
    "EHLO, slowly": _mail((GREETING,), b"250-X\r\n", 0.05),
    "MAIL": _mail((GREETING, HELLO), b"250-ok\r\n" * 1000),
    "RCPT": _mail((GREETING, HELLO, OK), b"250-ok\r\n" * 1000),
    "DATA": _mail((GREETING, HELLO, OK, OK), b"354-go\r\n" * 1000),
    "the message": _mail((GREETING, HELLO, OK, OK, GO), b"250-ok\r\n" * 1000),
}


@contextmanager
def flood(answer: Answer, *, mail: bool = False) -> Iterator[int]:
    """The port of a server that answers every connection so, until whoever asked hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def speak(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if not mail:
                connection.recv(65_536)
            answer(connection)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65_536)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=speak, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()
