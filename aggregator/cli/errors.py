"""Errors in a configuration, a query or a term, printed with place, message, remedy and a caret."""

import shutil
import sys
from collections.abc import Iterable

from aggregator.cli.output import echo, emit, plural, secho
from aggregator.core.errors import ConfigError, ConfigErrors, Problem

MARGIN = "    "


def emit_error(message: str, problems: Iterable[ConfigError] = ()) -> None:
    """Print why there is no document, as the API answers it; the same sentence for people is on stderr."""
    from aggregator.core.schemas import problems_json

    found = problems_json(problems)
    emit({"detail": message} | ({"problems": found} if found else {}))


def print_errors(errors: ConfigErrors) -> None:
    """Print every problem with its place, and the number of errors."""
    print_problems(errors.errors)
    count = sum(error.severity == "error" for error in errors.errors)
    echo(plural(count, "error"), err=True)


def print_problems(problems: Iterable[ConfigError]) -> None:
    """Problems on stderr, one below the other."""
    for problem in problems:
        secho(f"{problem.file}:{problem.line}:{problem.column}: ", bold=True, err=True, nl=False)
        secho(f"{problem.severity}: ", fg="red" if problem.severity == "error" else "yellow", err=True, nl=False)
        echo(f"{problem.message}{f' ({problem.hint})' if problem.hint else ''}", err=True)
        if problem.excerpt:
            _point(problem.excerpt, problem.column)


def located_in(problems: Iterable[Problem], text: str, name: str) -> tuple[ConfigError, ...]:
    """Problems of a text that was given on the command line, placed in it; `name` stands for a file's name."""
    line = " ".join(text.split("\n"))
    return tuple(
        ConfigError(
            file=name,
            line=1,
            column=(problem.offset or 0) + 1,
            message=problem.message,
            hint=problem.hint,
            severity=problem.severity,
            excerpt=None if problem.offset is None else line,
        )
        for problem in problems
    )


def _point(line: str, column: int) -> None:
    """Return the line, or as much of it around the column as fits, with a caret below."""
    from rich.cells import cell_len

    width = max(40, shutil.get_terminal_size().columns if sys.stderr.isatty() else 120) - len(MARGIN)
    clean = "".join(char if char.isprintable() else " " for char in line).rstrip()
    start = 0 if cell_len(clean) <= width else max(0, column - 1 - width // 2)
    shown = clean[start : start + width]
    indent = len(shown) - len(shown.lstrip()) if not start else 0
    before = shown[indent : column - 1 - start]
    echo(f"{MARGIN}{shown[indent:]}", err=True)
    secho(f"{MARGIN}{' ' * cell_len(before)}^", fg="green", err=True)
