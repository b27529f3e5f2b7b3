"""The first minute at a terminal of 80 columns: the real program on a pseudo-terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

from tests.support.harness import PATIENCE_S, Publisher, Service

COLUMNS = 80
CLEAR = "\r\x1b[K"
SETTINGS = """\
feeds:
{feeds}
settings:
  database: "sqlite:///{folder}/news.db"
  http: {{allow: ["{host}"]}}
  web: {{listen: "127.0.0.1:0"}}
rules:
  - {{id: s400, any: [S-400]}}
"""


class Terminal:
    """A program at a terminal, and what it has written there."""

    def __init__(self, service: Service, *arguments: str) -> None:
        self._end, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, COLUMNS, 0, 0))
        environ = {name: value for name, value in service.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
        service.process = subprocess.Popen(
            service.command(*arguments),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ | {"TERM": "xterm-256color"},
            cwd=service.folder,
        )
        os.close(theirs)
        self._child, self._said = service.process, b""

    def wait_for(self, words: str) -> None:
        """Read until the words are there."""
        until = time.monotonic() + PATIENCE_S
        while words not in self.written:
            assert time.monotonic() < until, f"{words!r} is not in {self.plain!r}"
            self._read()

    def _read(self) -> bool:
        if not select.select([self._end], [], [], 0.05)[0]:
            return self._child.poll() is None
        try:
            self._said += os.read(self._end, 65_536)
        except OSError:  # its other end is closed
            return False
        return True

    @property
    def written(self) -> str:
        """Everything that was written, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self._said.decode(errors="replace")).replace("\r\n", "\n")

    @property
    def plain(self) -> str:
        """The lines that stay."""
        return "\n".join(line.rpartition(CLEAR)[2] for line in self.written.split("\n"))

    def stop(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self._child.send_signal(signal.SIGINT)
        while self._read():
            pass
        os.close(self._end)
        return self._child.wait(PATIENCE_S)


def test_a_first_run_explains_itself(tmp_path: Path, publisher: Publisher, service: Service) -> None:
    """A quiet line while it runs; after the first pass what was there, why nobody was alerted, and how to have it."""
    feeds = ""
    for name in ("wire", "blog", "paper"):
        feeds += f"  - {{id: {name}, url: '{publisher.url}/{name}'}}\n"
        for number in range(10):
            publisher.publish(name, str(number), f"S-400 {name} {number}" if number % 5 == 0 else f"Weather {number}")
    service.write("all.yaml", SETTINGS.format(feeds=feeds, folder=tmp_path, host=publisher.host))
    terminal = Terminal(service, "run")
    terminal.wait_for("3 polls · 30 new · 6 hits · 0 alerts · next poll in")
    terminal.wait_for("hits send --baseline`")
    assert terminal.stop() == 0
    sentence = " ".join(terminal.plain.split())
    assert "First look at 3 feeds: 30 entries, 6 matched your rules and were not alerted because" in sentence
    assert re.search(r"See them: http://127\.0\.0\.1:\d+/ · have them as one digest", sentence)
    lines = terminal.plain.splitlines()
    assert any("`aggregator hits send --baseline`" in line for line in lines), "a command that can be copied"
    first = next(number for number, line in enumerate(lines) if line.startswith("First look"))
    assert max(map(len, lines[first : first + 3])) <= COLUMNS
    assert "polls ·" not in terminal.plain, "the line goes when the program ends"
