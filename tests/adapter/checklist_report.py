"""Prints the check list as a report: runs its fifty tests, one line for each."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("test_fetch_checklist.py")
CHAPTERS = {1: "Validators", 14: "Spacing", 35: "Redirects and endings", 43: "Manners and limits"}


@dataclass(slots=True)
class Line:
    """One line of the sheet."""

    number: int
    text: str
    passed: bool
    seconds: float
    problem: str = ""


@dataclass(slots=True)
class ChecklistReport:
    """A pytest plugin that writes down what came of each test."""

    lines: list[Line] = field(default_factory=list)
    _texts: dict[str, str] = field(default_factory=dict)

    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        self._texts = {item.nodeid: (item.function.__doc__ or "").strip().splitlines()[0] for item in items}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            number = re.search(r"test_(\d+)_", report.nodeid)
            assert number is not None, f"{report.nodeid} has no number"
            finding = "" if report.passed else str(report.longrepr).splitlines()[-1]
            text = self._texts[report.nodeid]
            self.lines.append(Line(int(number[1]), text, report.passed, report.duration, finding))


@contextmanager
def captured_output() -> Iterator[None]:
    """Swallow what pytest itself prints."""
    stdout, sys.stdout = sys.stdout, StringIO()
    try:
        yield
    finally:
        sys.stdout = stdout


def show(lines: list[Line]) -> None:
    bold, green, red, plain = ("\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m") if sys.stdout.isatty() else ("",) * 4
    for line in lines:
        if line.number in CHAPTERS:
            print(f"\n{bold}{CHAPTERS[line.number]}{plain}")
        mark = f"{green}✓{plain}" if line.passed else f"{red}✗{plain}"
        print(f" {mark} {line.number:2}  {line.text}")
        if line.problem:
            print(f"       {red}{line.problem}{plain}")
    passed = sum(line.passed for line in lines)
    print(f"\n{bold}{passed}/{len(lines)}{plain} in {sum(line.seconds for line in lines):.0f} s")


def main(arguments: list[str]) -> int:
    """Run the list and print it; 0 where every line passed."""
    sheet = ChecklistReport()
    with captured_output():
        pytest.main(["-q", "--no-header", str(LIST)], plugins=[sheet])
    lines = sorted(sheet.lines, key=lambda line: line.number)
    if "--json" in arguments:
        shape = [{"line": line.number, "text": line.text, "passed": line.passed} for line in lines]
        print(json.dumps({"passed": sum(line.passed for line in lines), "of": len(lines), "lines": shape}, indent=1))
    else:
        show(lines)
    return 0 if lines and all(line.passed for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
