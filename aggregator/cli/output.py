"""Output of commands: one JSON document for programs, tables for people, progress on stderr.

Whatever is printed passes through here, and nothing in it steers the terminal but our own colours: a
title, a server's answer or the message of an error may hold anything. So no command calls click's
`echo` itself (a test holds this).
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from aggregator.core.errors import did_you_mean
from aggregator.core.text.sanitize import escaped, inert

if TYPE_CHECKING:
    from rich.console import Console


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class OneOf(click.Choice[str]):
    """One of some words; a mistyped one is answered with the nearest."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        return super().get_invalid_choice_message(value, ctx).removesuffix(".") + did_you_mean(str(value), self.choices)


class WholeNumber(click.IntRange):
    """A whole number between two others; what is none is called so. Help names no limits: no one comes near them."""

    name = "number"

    def _describe_range(self) -> str:
        return ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number", param, ctx)
        for limit, is_beyond, word in ((self.min, int.__lt__, "less"), (self.max, int.__gt__, "more")):
            if limit is not None and is_beyond(number, int(limit)):
                self.fail(f"{number} is {word} than {int(limit)}", param, ctx)
        return number


ROWS = WholeNumber(0, 2**31 - 1)
limit_option = click.option(
    "--limit", "-n", type=ROWS, default=50, show_default=True, help="Maximum number of rows; 0: all."
)


WIDE = 100  # columns, from which a table has all of its own
COMMAND = re.compile(r"`[^`]+`")
NO_BREAK = "\xa0"


class Styled(str):
    """Text whose control sequences are our own."""

    __slots__ = ()


def style(text: object, **how: Any) -> Styled:
    """`text` in colours, as `click.style` has them; nothing else in it steers the terminal."""
    return Styled(click.style(inert(str(text)), **how))


def echo(*parts: object, err: bool = False, nl: bool = True) -> None:
    """Print parts one behind the other; only those made by `style` may hold control sequences.

    They are left out in a pipe, and where NO_COLOR is set (no-color.org).
    """
    line = "".join(part if isinstance(part, Styled) else inert(str(part)) for part in parts)
    click.echo(line, err=err, nl=nl, color=False if os.environ.get("NO_COLOR") else None)


def secho(text: object, *, err: bool = False, nl: bool = True, **how: Any) -> None:
    """Print a text in colours."""
    echo(style(text, **how), err=err, nl=nl)


def raw(document: str) -> None:
    """Print a document that was made safe where it was made: CSV, Atom, OPML; in UTF-8, as these declare."""
    click.echo(document.encode("utf-8", "replace"), nl=False)


def emit(value: Any) -> None:
    """Print a JSON document; what could steer a terminal, or what stdout cannot encode, is escaped in it."""
    ascii_only = (sys.stdout.encoding or "utf-8").lower().replace("_", "-") not in ("utf-8", "utf8")
    click.echo(escaped(json.dumps(value, ensure_ascii=ascii_only, indent=2, default=str)))


def console(*, stderr: bool = False) -> "Console":
    """Return a console that colours only on a terminal."""
    from aggregator.cli.screen import PipeSafeConsole

    terminal = _is_terminal(stderr)  # in a pipe nothing is folded, so that grep finds whole ids
    return PipeSafeConsole(stderr=stderr, highlight=False, soft_wrap=not terminal, width=None if terminal else 500)


def _is_terminal(stderr: bool) -> bool:
    return (sys.stderr if stderr else sys.stdout).isatty()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print rows under bold headings, or the sentence `empty`. Cells are text or rich renderables.

    A heading ends with `!` where its cells stay in one line, with `>` where they stand on the right, too.
    """
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for column in columns:
        right = column.endswith(">")
        whole = right or column.endswith("!")
        grid.add_column(column.rstrip(">!"), justify="right" if right else "left", overflow="fold", no_wrap=whole)
    count = 0
    for row in rows:
        grid.add_row(*map(_cell, row))
        count += 1
    if count:
        console().print(grid)
    else:
        echo(empty, err=True)


def print_fields(rows: Mapping[str, str | None]) -> None:
    """Print names and values below each other; what is empty is left out."""
    shown = {name: value for name, value in rows.items() if value}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        echo("  ", style(name.ljust(width), bold=True), f"  {value}")


def short(name: str) -> str:
    """Shorten an id to what a person types; keep it whole in a pipe, where programs read it."""
    return name[:8] if _is_terminal(stderr=False) else name


def width() -> int:
    """Return the columns of the terminal; of a pipe plenty."""
    return console().width


def wrapped(sentence: str, indent: str = "", *, stderr: bool = False, columns: int = 0) -> str:
    """Break a sentence into lines of the terminal's width, the later ones with an indent; a pipe gets one line.

    A command in backticks stays whole, to be copied. `columns`: the width, whatever is written to.
    """
    import shutil
    from textwrap import wrap

    if not columns and not _is_terminal(stderr=stderr):
        return inert(sentence)
    kept = COMMAND.sub(lambda command: command[0].replace(" ", NO_BREAK), inert(sentence))
    width = columns or max(shutil.get_terminal_size().columns, 20)
    lines = wrap(kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(NO_BREAK, " ")


def plural(count: int, thing: str, things: str = "") -> str:
    """`1 feed`, `1,200 feeds`, `2 entries`."""
    return f"{count:,} {thing if count == 1 else things or f'{thing}s'}"


def size(count: int) -> str:
    """Bytes in the largest fitting unit: `820 B`, `4.2 MB`, `15 GB`."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.1f} {units[0]}" if value < 9.95 and units[0] != "B" else f"{value:,.0f} {units[0]}"


def _cell(value: Any) -> Any:
    """Show text as it stands, never read as markup."""
    from rich.markup import escape

    if value is None:
        return ""
    return value if hasattr(value, "__rich_console__") else escape(str(value))


Step = Callable[..., None]


@contextmanager
def progress(description: str, total: float | None = None, *, counted: bool = True) -> Iterator[Step]:
    """Show a progress bar on stderr; yields `step(count=1)`. If stderr is no terminal, nothing is drawn or loaded.

    `counted`: steps are counted; else the bar only shows that the work goes on, and for how long.
    """
    if not _is_terminal(stderr=True):
        yield lambda _count=1: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    steps = (MofNCompleteColumn(),) if counted else ()
    columns = (TextColumn("{task.description}"), BarColumn(), *steps, TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda count=1: bar.advance(task, count)
