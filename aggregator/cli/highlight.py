"""What was found, on a terminal: texts with their matches marked, rules as trees of ✓ and ✗."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aggregator.cli.output import echo, style
from aggregator.core.model import Span

if TYPE_CHECKING:
    from rich.text import Text

    from aggregator.core.rules import ExplainedClause


def highlighted(text: str, spans: Iterable[Span], style: str = "") -> "Text":
    """`text` with the words of `spans` marked."""
    from rich.text import Text

    shown = Text(text, style=style)
    shown.highlight_words({span.text for span in spans}, style="bold yellow")
    return shown


def clause_lines(clause: "ExplainedClause", depth: int = 1) -> None:
    """A clause and those below it, one a line; of a choice only what was found, or came close."""
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
