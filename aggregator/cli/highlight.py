"""Matches on a terminal: texts with their matches marked, rules as trees of ✓ and ✗."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aggregator.cli.output import echo, style
from aggregator.core.highlight import snippet_runs
from aggregator.core.model import Span

if TYPE_CHECKING:
    from rich.text import Text

    from aggregator.core.rules import ExplainedClause


def highlighted(text: str, spans: Iterable[Span], style: str = "") -> "Text":
    """Mark in `text` the spellings of `spans`."""
    from rich.text import Text

    runs = snippet_runs(text, tuple(spans))
    return Text.assemble(*((run.text, "bold yellow" if run.mark else "") for run in runs), style=style)


def clause_lines(clause: "ExplainedClause", depth: int = 1) -> None:
    """Yield a clause and those below it, one a line; of a choice only what was found, or came close."""
    mark = style("✓", fg="green") if clause.satisfied else style("✗", fg="red")
    found = ", ".join(dict.fromkeys(f"“{span.text}” in {span.field}" for span in clause.spans))
    detail = f" — {found or clause.hint}" if found or clause.hint else ""
    echo("  " * depth, mark, f" {clause.kind}: {clause.text}{detail}")
    plain = [child for child in clause.children if clause.kind in ("any", "list") and child.hint == "not found"]
    for child in clause.children:
        if child not in plain:
            clause_lines(child, depth + 1)
    if plain and not clause.satisfied:
        echo("  " * depth, "  ", mark, f" none of: {', '.join(child.text for child in plain)}")
