"""The texts of the pages: each can be translated, and each language has all of them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_text_is_missing_in_any_language() -> None:
    """`scripts/messages --check` names what is missing, outdated, or written outside of every translation."""
    command = [sys.executable, str(ROOT / "scripts" / "messages"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    assert "3 translations, 0 problems" in done.stdout
