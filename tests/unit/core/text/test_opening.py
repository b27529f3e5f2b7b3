"""The first words of a post without a title."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.text.opening import LONGEST, opening


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Ankara keeps the systems, says the ministry. Washington answers.",
            "Ankara keeps the systems, says the ministry",
        ),
        ("Short.\nAnd a second line", "Short. And a second line"),
        ("The U.S. says that it will answer! Soon.", "The U.S. says that it will answer!"),
        ("word " * 40, "word " * 18 + "word word…"),
        ("安卡拉保留该系统。华盛顿回应。", "安卡拉保留该系统。"),
        ("x" * 300, "x" * (LONGEST - 1) + "…"),
        ("", ""),
    ],
)
def test_a_sentence_or_as_many_words_as_have_room(text: str, words: str) -> None:
    """Abbreviations and greetings are no sentences; a cut falls between words."""
    assert opening(text) == words


@given(st.text(max_size=500))
def test_any_text_has_an_opening(text: str) -> None:
    """One line, never longer than a title."""
    found = opening(text)
    assert "\n" not in found
    assert len(found) <= LONGEST
