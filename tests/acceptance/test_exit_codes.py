"""Every way a command ends: a closed pipe, a full disk, Ctrl-C, a bug. An exit code and a sentence, no traceback."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.support.harness import PATIENCE_S, wait_for

PROGRAM = [sys.executable, "-m", "aggregator"]
RULES = "rules: [{id: s400, any: [S-400]}]\nfeeds: []\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration of one rule."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "all.yaml").write_text(RULES, encoding="utf-8")
    return tmp_path


def ended(folder: Path, *arguments: str, to: str | None = None, stdin: str = "") -> tuple[int, str]:
    """The exit code and what stands on stderr; stdout goes to a file, or into a pipe that nobody reads."""
    if to:
        with open(to, "wb") as sink:
            done = subprocess.run(
                [*PROGRAM, *arguments],
                cwd=folder,
                stdout=sink,
                stderr=subprocess.PIPE,
                input=stdin.encode(),
                check=False,
            )
            return done.returncode, done.stderr.decode()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as sink:
        done = subprocess.run(
            [*PROGRAM, *arguments], cwd=folder, stdout=sink, stderr=subprocess.PIPE, input=stdin.encode(), check=False
        )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    "command",
    [("hits", "list", "--since", "yesterdaay"), ("hits", "list", "--limit", "9" * 20), ("hits", "lst"), ("nosuch",)],
)
def test_a_command_that_is_not_understood_is_a_document_too(folder: Path, command: tuple[str, ...]) -> None:
    """One object on stdout, exit code 2; usage for people on stderr."""
    done = subprocess.run([*PROGRAM, *command, "--json"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert command[-1] in json.loads(done.stdout)["detail"]
    assert done.stderr.startswith("Usage: ")


@pytest.mark.parametrize(
    "command",
    [
        ("--help",),
        ("schema",),
        ("status",),
        ("rules", "list"),
        ("rules", "list", "--json"),
        ("match", "--term", "S-400"),
    ],
)
def test_a_closed_pipe_is_no_failure(folder: Path, command: tuple[str, ...]) -> None:
    """Who reads has had enough: nothing is said."""
    assert ended(folder, *command, stdin="two S-400s") == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", [("--help",), ("schema",), ("status",), ("rules", "list")])
def test_a_full_disk_is_reported(folder: Path, command: tuple[str, ...]) -> None:
    """What could not be written is a failure, in one line."""
    code, said = ended(folder, *command, to="/dev/full")
    assert (code, said) == (1, "error: cannot write the output: No space left on device\n")


def unread(terminal: int) -> int:
    """How many bytes were typed at a terminal that no program has taken."""
    count = fcntl.ioctl(terminal, termios.FIONREAD, bytes(4))
    return int.from_bytes(count, sys.byteorder)


def test_ctrl_c_is_clean(folder: Path) -> None:
    """At a terminal, while a command waits for its text: 130."""
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which what runs the tests may ignore
        os.kill(os.getpid(), signal.SIGSTOP)  # until something can be read
        os.execv(sys.executable, [*PROGRAM, "match", "--term", "x"])
    os.waitpid(child, os.WUNTRACED)
    theirs = os.open(f"/proc/{child}/fd/0", os.O_RDONLY | os.O_NOCTTY)
    os.write(terminal, b"the first line of a text\n")
    wait_for(lambda: unread(theirs) > 0, what="a line to read")
    os.kill(child, signal.SIGCONT)
    wait_for(lambda: unread(theirs) == 0, what="the program to read it")
    os.close(theirs)
    os.write(terminal, b"\x03")
    said = b""
    while True:
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    assert b"Traceback" not in said
    assert said.endswith(b"interrupted\r\n")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("rules", "show", "s40"), 1),
        (("nosuch",), 2),
        (("search", "(x"), 2),
        (("search", "kangaroo"), 3),
        (("match", "--term", "F-35"), 3),
        (("match", "--term", "S-400"), 0),
    ],
)
def test_exit_codes_leave_the_process(folder: Path, command: tuple[str, ...], code: int) -> None:
    """As documented: 1 failed, 2 a mistake of the caller, 3 nothing found."""
    assert ended(folder, *command, to=os.devnull, stdin="two S-400s")[0] == code


def test_a_fault_of_the_program_is_one_line(folder: Path) -> None:
    """Nobody at a terminal reads a traceback; the log at debug has it."""
    broken = "import sys\nfrom aggregator.cli import match\nmatch._show = None\n"
    broken += "sys.argv = ['aggregator', 'match', '--term', 'x']\nfrom aggregator.cli import main\nmain()\n"
    done = subprocess.run(
        [sys.executable, "-c", broken], cwd=folder, input="x", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "please report it: TypeError" in done.stderr


def test_the_service_exits_with_zero_on_request(folder: Path) -> None:
    """SIGINT and SIGTERM are how it is stopped."""
    (folder / "config" / "web.yaml").write_text("settings: {web: {enabled: false}}\n", encoding="utf-8")
    with subprocess.Popen([*PROGRAM, "run"], cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if '"ready"' in line:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
