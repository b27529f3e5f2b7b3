"""Draw terminal sessions as pictures: the demo, and a rule that is written, tested, compared and applied.

    python -m benchmarks.terminal_picture [DIRECTORY]    (default: docs/images)

The commands are real, run in a terminal of 100 columns; for the rule, over entries that the program
fetched from a local server. The news is invented, the output is not edited.
"""

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from xml.sax.saxutils import escape

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

COLUMNS = 100
IMAGES = Path(__file__).parent.parent / "docs" / "images"

OUTLETS = {"meridian": "en", "bosphorus": "en", "vestnik": "ru", "nordic": "no"}
NEWS = (
    (29, "meridian", "Ankara takes delivery of spare parts for its S-400 batteries", ""),
    (28, "nordic", "Forsvaret øver på Andøya", ""),
    (26, "meridian", "The AS-400 that would not die", "An IBM AS-400 in Ankara ran a bank for thirty years."),
    (24, "meridian", "India to receive fourth S-400 squadron", "New Delhi expects deliveries by autumn."),
    (23, "vestnik", "Турция и Россия обсудили С-400", "Переговоры продолжатся в Анкаре."),
    (21, "bosphorus", "Türkiye says S-400 stays in storage", ""),
    (19, "bosphorus", "Ankara derby: S-400 beat Keçiören at cricket", "The eleven took its name from a bus line."),
    (18, "meridian", "Putin, Erdogan discuss S-400 despite threat of CAATSA sanctions", "Turkey will not step back."),
    (15, "meridian", "Derby ends 4-0 before 40,000", ""),
    (12, "nordic", "Cricket club named S-400 founded in Turkey", ""),
    (11, "bosphorus", "Turkish exporters worry about tariffs", ""),
    (9, "meridian", "Washington may ease sanctions over the Turkish S‑400s", ""),
    (5, "bosphorus", "Second S-400 regiment: talks go on in Turkey", ""),
    (2, "vestnik", "Поставка второго полка С-400 Турции отложена", "Источник в Анкаре подтвердил задержку."),
    (1, "bosphorus", "Ankara and Moscow agree on maintenance of S‑400s", ""),
)
SETTINGS = """\
channels: {{console: {{service: console}}, desk: {{service: webhook, url: "http://{host}/desk"}}}}
settings: {{default_channels: [desk], polling: {{first_poll: silent, per_host: 8}}, http: {{allow: ["{host}"]}}}}
feeds:
"""
FIRST = """\
rules:
  - id: s400-turkey
    query: 'S-400 && Turkey'
    lang: [english, russian]
"""
SECOND = """\
rules:
  - id: s400-turkey
    query: 'S-400 AND Turkey'
    tests:
      match: [Two S‑400s for Turkey, Ankara's S400 arrive]
"""
THIRD = """\
lists:
  turkey: [Turkey, Türkiye, Turkish, Ankara]
rules:
  - id: s400-turkey
    query: 'S-400 AND $turkey'
    tests:
      match: [Two S‑400s for Turkey, Ankara's S400 arrive]
"""
FOURTH = """\
lists:
  turkey: [Turkey, Türkiye, Turkish, Ankara, Турци*, Анкар*]
rules:
  - id: s400-turkey
    query: 'S-400 AND $turkey NOT cricket'
    tests:
      match: [Two S‑400s for Turkey, Ankara's S400 arrive, Анкара получит С-400]
      no_match: [S-400 beat Ankara at cricket]
"""


class Publisher(BaseHTTPRequestHandler):
    """Answers with an outlet's feed; what is posted is accepted."""

    def do_GET(self) -> None:
        publisher, now = self.path.strip("/"), datetime.now(UTC)
        items = "".join(
            f"<item><title>{escape(title)}</title><guid isPermaLink='false'>{number}</guid>"
            f"<pubDate>{format_datetime(now - timedelta(days=days), usegmt=True)}</pubDate>"
            f"<description>{escape(text)}</description></item>"
            for number, (days, of, title, text) in enumerate(NEWS)
            if of == publisher
        )
        head = (
            f"<rss version='2.0'><channel><title>{publisher}</title><language>{OUTLETS.get(publisher, 'en')}</language>"
        )
        self._answer(f"{head}{items}</channel></rss>".encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(b"ok")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/rss+xml; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody wants to know."""


@contextmanager
def publisher() -> Iterator[str]:
    """Its `host:port`, while it serves."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class TerminalSession:
    """A terminal in a folder; what is typed and what is answered goes onto a recording console."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.screen = Console(record=True, width=COLUMNS, force_terminal=True, file=StringIO(), highlight=False)

    def say(self, comment: str) -> None:
        """Add a comment of the person at the keyboard."""
        self.screen.print(Text(f"\n# {comment}", style="dim italic"))

    def write(self, text: str, name: str = "config/rules.yaml") -> None:
        """An edit of a file, and a look at it."""
        (self.folder / name).write_text(text, encoding="utf-8")
        self.screen.print(Text.assemble(("$ ", "bold green"), f"cat {name}"))
        self.screen.print(Text(text.rstrip("\n"), style="cyan"))

    def run(self, command: str) -> None:
        """A command, at a terminal of its own."""
        self.screen.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        if said := at_terminal(shlex.split(command), self.folder):
            self.screen.print(Text.from_ansi(said))


def at_terminal(command: list[str], folder: Path) -> str:
    """What a command leaves on the screen of a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    program = [sys.executable, "-m", "aggregator"] if command[0] == "aggregator" else [command[0]]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "PYTHONPATH": os.getcwd()}
    with subprocess.Popen([*program, *command[1:]], cwd=folder, env=environment, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
        child.wait()
    os.close(ours)
    return "\n".join(_lines(said.decode().replace("\r\n", "\n"))).strip("\n")


def _lines(text: str) -> list[str]:
    """The lines that are left on the screen: a progress bar goes back over its own and wipes them."""
    lines: list[str] = []
    for part in re.split(r"\r?\x1b\[1A", text):
        lines = [*lines[:-2], *part.split("\n")]
    wiped = (re.sub(r".*(?:\r|\x1b\[2K)", "", line) for line in lines)
    return [re.sub(r"\x1b\[\?25[lh]", "", line) for line in wiped]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # its other end is closed
        return b""


def play(session: TerminalSession) -> None:
    """The session of docs/rules.md."""
    session.say("A first draft, in another tool's syntax")
    session.write(FIRST)
    session.run("aggregator check")
    session.say("Corrected, with two headlines that must match")
    session.write(SECOND)
    session.run("aggregator check")
    session.say("Put related names into a list")
    session.write(THIRD)
    session.run("aggregator check")
    session.say("What would it have found in the last month?")
    session.run("aggregator rules backtest s400-turkey --since 30d")
    session.say("Exclude cricket, add Russian. What would change?")
    session.write(FOURTH, "edited.yaml")
    session.run("aggregator rules backtest s400-turkey --against edited.yaml")
    session.say("Better. Use it, and alert on what was missed")
    session.run("cp edited.yaml config/rules.yaml")
    session.run("aggregator rules apply s400-turkey --alert")


def drawing() -> str:
    """rich's drawing of a terminal, with fonts of the reader's own instead of some from elsewhere."""
    own = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return own.replace("Fira Code, monospace", "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace")


def save(session: TerminalSession, target: Path, title: str) -> None:
    """Write what was recorded as an SVG picture."""
    session.screen.save_svg(str(target), title=title, code_format=drawing(), unique_id=target.stem)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


def main(arguments: list[str]) -> int:
    """Run both sessions and draw them."""
    images = Path(arguments[0]) if arguments else IMAGES
    with tempfile.TemporaryDirectory() as name:
        session = TerminalSession(Path(name))
        session.run("aggregator demo --for 40s")
        save(session, images / "demo.svg", "A self-contained demo")
    with publisher() as host, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config").mkdir()
        feeds = "".join(f"  - {{id: {publisher}, url: 'http://{host}/{publisher}'}}\n" for publisher in OUTLETS)
        (folder / "config" / "all.yaml").write_text(SETTINGS.format(host=host) + feeds, encoding="utf-8")
        at_terminal(["aggregator", "poll", "--force"], folder)
        session = TerminalSession(folder)
        play(session)
        save(session, images / "rules-session.svg", "Writing a rule")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
