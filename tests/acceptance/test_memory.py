"""Too little memory is said in one sentence that names how much is needed, whatever the command."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.harness import PATIENCE_S

CONFIG = "feeds: [{url: 'https://a.example/feed'}]\nsettings: {web: {listen: '127.0.0.1:0'}}\n"
COMMANDS = ["run", "worker", "demo", "poll", "check", "status", "doctor", "hits list", "feeds list", "db upgrade"]


def limited(folder: Path, megabytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program in an address space of so many megabytes."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    return subprocess.run(
        [sys.executable, "-m", "aggregator", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=folder,
        preexec_fn=bound,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "all.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_too_little_memory_is_one_sentence(folder: Path, command: str) -> None:
    """From 150 to 400 MB: exit code 1, one line, how much is needed; no traceback, no abort, nothing written."""
    for megabytes in (150, 250, 400):
        done = limited(folder, megabytes, *command.split())
        [line] = done.stderr.splitlines()
        assert line.startswith(f"error: not enough memory: the address space is limited to {megabytes} MB")
        assert f"needs {768 if command in ('run', 'worker', 'demo') else 512} MB" in line
        assert (done.returncode, done.stdout) == (1, "")
    assert not (folder / "var").exists()


def test_help_and_enough_memory(folder: Path) -> None:
    """Help needs next to nothing; what is named is enough."""
    assert "Usage:" in limited(folder, 200, "--help").stdout
    done = limited(folder, 512, "check", "--config", "config")
    assert done.returncode == 0, done.stderr
    done = limited(folder, 768, "demo", "--for", "2s")
    assert done.returncode == 0, done.stderr
