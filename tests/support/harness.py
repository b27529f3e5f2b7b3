"""The world around the real process: a publisher, a receiver, and the service itself.

Everything is on loopback; the publisher and the receiver keep ledgers, so that a test can
compare what was published with what was accepted.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

Answer = tuple[int, dict[str, str], bytes]
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
PATIENCE_S = 180.0  # on a machine that has other things to do: what comes at all comes long before


class Server:
    """An HTTP server in a thread; subclasses answer requests."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._serve(b"")

            def do_POST(self) -> None:
                self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def _serve(self, body: bytes) -> None:
                status, headers, answer = outer.answer(self.command, self.path, dict(self.headers.items()), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Who was killed in the midst of a request is no news."""
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    super().handle_error(request, client_address)

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.host = f"127.0.0.1:{self.http.server_port}"
        self.url = f"http://{self.host}"
        self.lock = threading.Lock()
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        raise NotImplementedError

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Publisher(Server):
    """Feeds that grow when told to; every request and every entry is on record."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, list[tuple[str, str, str]]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.special: dict[str, Answer] = {}
        self.validators = True
        self.window = 100
        self.dated_at = START  # of every entry

    def publish(self, feed: str, key: str, title: str, text: str = "") -> None:
        with self.lock:
            self.entries.setdefault(feed, []).append((key, title, text))

    def polls(self, feed: str) -> int:
        """How often this feed was asked for; the second time, what the first one brought is stored."""
        with self.lock:
            return sum(asked == feed for asked, _ in self.requests)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        feed = path.strip("/")
        with self.lock:
            self.requests.append((feed, {k.lower(): v for k, v in headers.items()}))
            if feed in self.special:
                return self.special[feed]
            if feed not in self.entries:
                return 404, {}, b"nothing here"
            document = self._rss(feed)
        etag = f'"{sha256(document).hexdigest()[:16]}"'
        if self.validators and headers.get("If-None-Match") == etag:
            return 304, {"ETag": etag}, b""
        sent = {"Content-Type": "application/rss+xml; charset=utf-8"}
        return 200, sent | ({"ETag": etag} if self.validators else {}), document

    def _rss(self, feed: str) -> bytes:
        newest_first = self.entries[feed][-self.window :][::-1]
        items = "".join(
            f"<item><title>{escape(title)}</title><link>{self.url}/{feed}/{key}</link>"
            f"<guid isPermaLink='false'>{key}</guid><pubDate>{format_datetime(self.dated_at, usegmt=True)}</pubDate>"
            f"<description>{escape(text)}</description></item>"
            for key, title, text in newest_first
        )
        return f"<?xml version='1.0'?><rss version='2.0'><channel><title>{feed}</title>{items}</channel></rss>".encode()


class Receiver(Server):
    """A webhook endpoint: everything that it accepted, in order. `hangs` are seconds until it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[dict[str, Any]] = []
        self.begun = 0
        self.refuse: Callable[[dict[str, Any]], int | None] = lambda _: None
        self.reply: Callable[[dict[str, Any]], tuple[int, dict[str, str]] | None] = lambda _: None
        self.hangs: Callable[[dict[str, Any]], float] = lambda _: 0.0

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        message = {
            "path": path,
            "headers": {k.lower(): v for k, v in headers.items()},
            "body": json.loads(body or b"{}"),
        }
        self.begun += 1
        status = self.refuse(message)
        if status:
            return status, {}, b"refused"
        if reply := self.reply(message):
            return *reply, b"refused"
        with self.lock:
            self.accepted.append(message)
        time.sleep(self.hangs(message))
        return 200, {}, b"ok"

    def texts(self) -> list[str]:
        with self.lock:
            return [json.dumps(message["body"], ensure_ascii=False) for message in self.accepted]


class Service:
    """The installed program with a configuration of its own."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.config.mkdir(parents=True, exist_ok=True)
        self.environ = {**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **(environ or {})}
        self.log = folder / "log.txt"
        self.process: subprocess.Popen[bytes] | None = None
        self.program: tuple[str, ...] = ("-m", "aggregator")

    def write(self, name: str, text: str) -> None:
        (self.config / name).write_text(text, encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, *self.program, *arguments, "--config", str(self.config)]

    def call(
        self, *arguments: str, stdin: str | None = None, timeout: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environ,
            cwd=self.folder,
        )

    def json(self, *arguments: str) -> Any:
        """Run a command with --json; gives the document, whatever the exit code."""
        done = self.call(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str, command: str = "run") -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(command, *arguments),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environ,
                cwd=self.folder,
            )

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM, and the exit code."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)


@contextmanager
def closing_all(*servers: Server) -> Iterator[None]:
    try:
        yield
    finally:
        for server in servers:
            server.close()


def wait_for(truth: Callable[[], object], seconds: float = PATIENCE_S, what: str = "it") -> Any:
    """The first true answer; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = truth()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def configuration(
    publisher: Publisher, receiver: Receiver, feeds: Sequence[str], rules: str, *, every: str = "1s", extra: str = ""
) -> str:
    """One YAML file that watches `feeds` and alerts the receiver."""
    listed = "\n".join(f"  - {{id: {feed}, url: '{publisher.url}/{feed}', every: {every}}}" for feed in feeds)
    return f"""\
feeds:
{listed}
channels:
  desk: {{service: webhook, url: "http://{receiver.host}/desk"}}
settings:
  default_channels: [desk]
  polling: {{every: {every}, min_interval: 1s, per_host: 8, flood_limit: 1000}}
  http: {{allow: ["{publisher.host}"]}}
  stories: {{collapse: false}}
  web: {{enabled: false}}
{extra}
rules:
{rules}
"""
