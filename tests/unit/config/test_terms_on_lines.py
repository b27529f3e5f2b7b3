"""Terms on several lines, or in a list too many: YAML makes something else of them, and nobody meant that."""

from pathlib import Path

import pytest

from tests.unit.config.config_files import loaded, refused

START = "feeds: [{id: f, url: https://example.org/feed}]\n"


def said(folder: Path, text: str) -> list[str]:
    """Warnings as `line: message`."""
    return [f"{warning.line}: {warning.message}" for warning in loaded(folder, START + text).warnings]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rules:\n  - id: a\n    any:\n      S-400\n      CAATSA\n", 5),
        ("rules:\n  - id: a\n    all:\n      - S-400\n        CAATSA\n      - law\n", 5),
        ("rules:\n  - id: a\n    any: |\n      S-400\n      CAATSA\n", 4),
        ("rules:\n  - id: a\n    any: law\n    none: 'S-400\n      CAATSA'\n", 5),
        ("rules:\n  - id: a\n    near: {terms: [law, S-400\n      CAATSA], within: 3}\n", 4),
        ("rules:\n  - {id: a, any: [$l]}\nlists:\n  l:\n    S-400\n    CAATSA\n", 6),
    ],
)
def test_dashes_that_were_forgotten_are_warned_of(tmp_path: Path, text: str, line: int) -> None:
    """Wherever terms stand, and at the line where they begin."""
    assert said(tmp_path, text) == [f"{line}: these 2 lines form a single term: 'S-400 CAATSA'"]


@pytest.mark.parametrize(
    "text",
    [
        "rules:\n  - id: a\n    any: >\n      S-400\n\n    title: x\n",
        "rules:\n  - id: a\n    any:\n      - S-400\n      - CAATSA\n",
        "rules:\n  - id: a\n    any: '\"a title\n      of two lines\"'\n",
        "rules:\n  - id: a\n    query: S-400\n      OR CAATSA\n",
        "rules:\n  - id: a\n    title: a title\n      of two lines\n    any: x\n",
    ],
)
def test_one_term_and_other_texts_may_have_lines(tmp_path: Path, text: str) -> None:
    """What is quoted twice is meant; a query and a title are prose."""
    assert said(tmp_path, text) == []


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("any: [[S-400, CAATSA], law]", "write each as an item of its own: [S-400, CAATSA]"),
        ("all:\n      - - S-400\n        - CAATSA", "write each as an item of its own: [S-400, CAATSA]"),
        ("query: [S-400, CAATSA]", "write query: 'S-400 OR CAATSA', or any: [S-400, CAATSA]"),
    ],
)
def test_a_list_in_place_of_a_term_is_refused_with_what_to_write(tmp_path: Path, key: str, hint: str) -> None:
    """The items are there; only their place is wrong."""
    (error,) = refused(tmp_path, f"{START}rules:\n  - id: a\n    {key}\n")
    assert "expected a text, found a list" in error
    assert error.endswith(f"({hint})")
