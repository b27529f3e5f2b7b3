"""A small publisher on loopback: one address per outlet, with validators as a good server sends them."""

import threading
from datetime import UTC, datetime
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

from aggregator.demo.publishers import feed, page, publisher_named


class PublisherServer:
    """Serves the morning's feeds; until the show begins, they are as they were the day before."""

    def __init__(self, started_at: datetime) -> None:
        self.started_at = started_at.astimezone(UTC)
        self._began: float | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def elapsed_s(self) -> float:
        return monotonic() - self._began if self._began is not None else 0.0

    def begin(self) -> None:
        """Let the morning begin."""
        self._began = monotonic()

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="publisher", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Content type and body of a path, or None."""
        name, _, rest = path.strip("/").partition("/")
        publisher = publisher_named(name)
        if publisher is None:
            return None
        return feed(self.base, publisher, self.started_at, self.elapsed_s) if rest == "feed" else page(publisher, rest)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                found = publisher.answer(self.path)
                if found is None:
                    self._reply(404, {}, b"not found")
                    return
                kind, body = found
                etag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
                if self.headers.get("If-None-Match") == etag:
                    self._reply(304, {"ETag": etag}, b"")
                else:
                    self._reply(200, {"ETag": etag, "Content-Type": kind}, body)

            def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet: the show is on the other side."""

        return Handler
