"""Why a rule matched, as the lines of a page."""

from collections.abc import Iterator
from dataclasses import dataclass

from aggregator.core.rules import Explained, Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A clause of the rule, `depth` levels in."""

    depth: int
    text: str
    found: bool
    note: str = ""


def lines(explanation: Explanation) -> tuple[Line, ...]:
    """A line for each clause; first what keeps the rule away from the entry, if anything does."""
    barred = [Line(depth=0, text=explanation.barred, found=False)] if explanation.barred else []
    return (*barred, *_below(explanation.tree, 0))


def _below(clause: Explained, depth: int) -> Iterator[Line]:
    found = ", ".join(dict.fromkeys(f"“{span.text}” in {span.field}" for span in clause.spans))
    yield Line(depth=depth, text=clause.text, found=clause.satisfied, note=found or clause.hint)
    for child in clause.children:
        yield from _below(child, depth + 1)
