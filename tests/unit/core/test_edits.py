"""Edits as blocks of lines: what is taken back is what was there, or it is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.edits import edit_between, undone
from aggregator.core.errors import Conflict

NOW = datetime(2026, 3, 5, tzinfo=UTC)
TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n"]), max_size=8).map("".join)


@given(TEXTS, TEXTS)
def test_an_edit_taken_back_is_the_text_before(before: str, after: str) -> None:
    """Whatever the two texts have in common."""
    edit = edit_between("rules.yaml", before, after, about="r", at=NOW)
    assert undone(after, edit) == before


def test_an_edit_is_the_smallest_block() -> None:
    """Only lines that changed are kept."""
    edit = edit_between("rules.yaml", "a\nb\nc\n", "a\nx\ny\nc\n", about="r", at=NOW)
    assert (edit.line, edit.removed, edit.added) == (2, "b\n", "x\ny\n")


def test_lines_that_moved_are_found() -> None:
    """Later edits elsewhere do not get in the way."""
    edit = edit_between("rules.yaml", "a\nb\nc\n", "a\nx\nc\n", about="r", at=NOW)
    assert undone("new\na\nx\nc\n", edit) == "new\na\nb\nc\n"


def test_lines_that_changed_since_are_not_overwritten() -> None:
    """Nor is one of two places guessed."""
    edit = edit_between("rules.yaml", "a\nb\nc\n", "a\nx\nc\n", about="r", at=NOW)
    for text in ("a\ny\nc\n", "x\nc\nx\n", ""):
        with pytest.raises(Conflict, match="have changed since"):
            undone(text, edit)
