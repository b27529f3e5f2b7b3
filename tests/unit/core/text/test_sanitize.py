"""Untrusted text: control, hidden and overlong parts are gone, and what a script needs is not."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.text.sanitize import MAX_TITLE, clean_lines, clean_text, escaped, inert

ATTACKS = (
    "\x1b[31mred\x1b]0;title\x07",
    "\x9b2J\x90q\x9c",
    "pay \u202eelgoog\u202c now",
    "\u2066left\u2069\u2067right\u2069\u2068first\u2069",
    "a\u200bb\u2060c\ufeffd\u00ade\u034ff\u3164g\uffa0h",
    "nul\x00 back\x08\x7f and \ud800 half",
    "tag\U000e0001\U000e0041\U000e007f",
    "one\r\nBcc: x@y.example\vtwo\ftree\x85four\u2028five\u2029six",
    "\u200esafe.example\u200f/evil",
    "note\ufff9above\ufffabelow\ufffb",
)
HARMFUL = frozenset({"Cc", "Cs", "Zl", "Zp", "Cf"})


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_steers_or_hides_is_left(attack: str) -> None:
    """Not one control, surrogate, separator or format character of an attack survives in one line."""
    for cleaned in (clean_text(attack), inert(attack), escaped(attack)):
        assert not {char for char in cleaned if unicodedata.category(char) in HARMFUL and char != "\n"}
    assert "\n" not in clean_text(attack)


@pytest.mark.parametrize(
    "text",
    [
        "می‌خواهم",  # Persian writes a non-joiner inside words
        "क्‍ष and ക്‍ and শ্রী",
        "👨‍👩‍👧 ❤️‍🔥 🏳️‍🌈 1️⃣ ©️",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "葛\U000e0100城",
        "שלום\u200f!",
        "ᠪᠠ\u180b",
        "12\u00a0000\u202f€, 日本\u3000東京",
        "naïve café Ångström İstanbul ﷺ ไทย",
    ],
)
def test_what_a_script_needs_stays(text: str) -> None:
    """Joiners, selectors, direction marks and single no-break blanks where they belong."""
    assert clean_text(text) == clean_lines(text) == inert(text) == escaped(text) == text


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d", "\ufe0f", "\u200e", "\u200f"])
def test_joiners_elsewhere_go(joiner: str) -> None:
    """Inside Latin words, at edges and in heaps they only hide something."""
    assert clean_text(f"S{joiner}-4{joiner}{joiner}00 {joiner}x{joiner} a{joiner}b{joiner}") in (
        "S-400 x ab",
        f"S-4{joiner}00 x ab",  # a selector may stand behind a digit: 4️⃣
    )


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u2028", "\u3000", "\t", "\r\n", "\u2800", " "])
def test_runs_of_white_space_collapse(space: str) -> None:
    """However long, of whatever kind, also mixed, and nothing is left at the edges."""
    assert clean_text(f"{space * 9}one{space * 9} two\n{space * 9}") == "one two"
    assert clean_lines(f"{space * 9}one {space} two{space}").split() == ["one", "two"]
    assert "\n\n\n" not in clean_lines(f"one{space * 9}two")


def test_length_is_capped() -> None:
    """A title of a million characters keeps its beginning, and shows that there was more."""
    cut = clean_text("S-400 " * 200_000)
    assert len(cut) <= MAX_TITLE
    assert cut.startswith("S-400 S-400")
    assert cut.endswith(" S-4…")
    assert clean_text("x" * MAX_TITLE) == "x" * MAX_TITLE


def test_escapes_are_json() -> None:
    """What is escaped reads back from JSON as it was."""
    assert escaped('"\u202e\x9b\U000e0041"') == '"\\u202e\\u009b\\udb40\\udc41"'


@given(
    st.text(
        alphabet=st.one_of(st.characters(), st.sampled_from("\u200c\u200d\ufe0f❤🔥क्‍اS4 \n\u00a0\u200b")), max_size=40
    )
)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """Clean text is clean: no second pass finds anything."""
    for clean in (clean_text, clean_lines, inert, escaped):
        assert clean(clean(text)) == clean(text)
    clean_lines(text).encode()


@pytest.mark.parametrize(
    "unit", ["\u00a0", " \n", "\n", "\u200d", "❤\ufe0f", "\u200e", "\x1b", "a\u200b", "\U0001f3f4\U000e0067", "\u094d"]
)
def test_time_is_linear(unit: str) -> None:
    """Half a million characters of anything take seconds at the very worst, not hours."""
    text = "x" + unit * (500_000 // len(unit)) + "y"
    began = time.process_time()
    for clean in (clean_text, clean_lines, inert, escaped):
        clean(text)
    assert time.process_time() - began < 8
