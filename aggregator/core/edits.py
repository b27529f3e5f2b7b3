"""Edits of files as one block of lines that became another, so that they can be shown and undone."""

from datetime import datetime
from itertools import takewhile

from aggregator.core.errors import Conflict
from aggregator.core.model import Edit

UNDO = "edit-"


def undo_name(edit: int | None) -> str:
    """Return the id by which an edit is undone, like any other change; empty: it can't be."""
    return f"{UNDO}{edit}" if edit is not None else ""


def edit_of_undo(undo_id: str) -> int | None:
    """Return the number of the edit that an undo takes back; None: it is of another change."""
    number = undo_id.removeprefix(UNDO)
    return int(number) if number != undo_id and number.isascii() and number.isdecimal() else None


def edit_between(file: str, before: str, after: str, *, about: str, at: datetime, undoes: int | None = None) -> Edit:
    """Return what became of a text: the lines between what both begin and end with."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    head = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))))
    rest = zip(reversed(old[head:]), reversed(new[head:]), strict=False)
    tail = len(list(takewhile(lambda pair: pair[0] == pair[1], rest)))
    removed, added = "".join(old[head : len(old) - tail]), "".join(new[head : len(new) - tail])
    return Edit(file=file, line=head + 1, removed=removed, added=added, about=about, undoes=undoes, at=at)


def undone(text: str, edit: Edit) -> str:
    """Return a text without an edit. Raises Conflict if those lines have changed since.

    Lines that moved are found if there is only one place where they stand.
    """
    lines, added = text.splitlines(keepends=True), edit.added.splitlines(keepends=True)
    last = len(lines) - len(added)
    fits = [place for place in range(last + 1) if lines[place : place + len(added)] == added]
    wanted = edit.line - 1
    if not added:
        fits = [wanted] if 0 <= wanted <= len(lines) else []
    if wanted not in fits and len(fits) != 1:
        raise Conflict(f"the lines of this edit in {edit.file} have changed since; undo the later edits first")
    place = wanted if wanted in fits else fits[0]
    before = "".join(lines[:place])
    lead = "\n" if before and edit.removed and not before.endswith("\n") else ""
    return before + lead + edit.removed + "".join(lines[place + len(added) :])
