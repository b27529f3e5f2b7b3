"""Folding and tokens: the laws that everything else stands on."""

from itertools import pairwise
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.core.text.fold import FOLDED, fold, offsets
from aggregator.core.text.tokens import WORDS, is_wide, spread, tokens, without_wide, words
from aggregator.core.text.urls import title_key

SCRIPTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=40) | st.text(
    alphabet="aZé ÅøßİıǅГйёςΣאבّעربيةहिन्दी한글กำເກົາ漢かガｶﾞ٣४４²½™\u00ad\u200b\u0301\u0308-'’.,/\n🚀", max_size=40
)


@given(SCRIPTS)
def test_composition_does_not_matter(text: str) -> None:
    """fold(NFC x) = fold(NFD x)."""
    assert fold(normalize("NFC", text)) == fold(normalize("NFD", text))


@given(SCRIPTS)
def test_offsets_point_to_where_it_came_from(text: str) -> None:
    """Each folded character is part of the fold of the character that its offset names."""
    folded, sources = fold(text), offsets(text, FOLDED)
    assert len(folded) == len(sources)
    assert all(char in fold(text[source]) for char, source in zip(folded, sources, strict=True))


@given(SCRIPTS)
def test_tokens_slice_back(text: str) -> None:
    """Tokens are in order, do not overlap, and the slice of each is that token."""
    found = tokens(text)
    assert [token.folded for token in found] == words(text)
    for token in found:
        assert token.folded in words(text[token.start : token.end])
    assert all(one.end <= other.start for one, other in pairwise(found))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Türkiye'nin S-400'leri", ["turkiye", "nin", "s", "400", "leri"]),
        ("S400B x", ["s", "400", "b", "x"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("ミサイルS-400", ["ミ", "サ", "イ", "ル", "s", "400"]),
        ("٤٠٠ ۴۰۰ ४००", ["400", "400", "400"]),
        ("400² m²", ["400", "2", "m", "2"]),
        ("CAATSA는", ["caatsa", "는"]),
        ("🚀🇹🇷 go™", ["🚀", "🇹🇷", "go"]),
        ("", []),
    ],
)
def test_tokens_of_scripts(text: str, expected: list[str]) -> None:
    """Letters with their marks, digits, single characters of scripts without blanks."""
    assert [normalize("NFC", word) for word in words(text)] == [normalize("NFC", word) for word in expected]


def test_title_key_folds_titles() -> None:
    """Case, marks, punctuation and widths of a title do not count."""
    assert title_key("Türkiye: “S‑400”") == title_key("TURKIYE – Ｓ-400!")


def test_folding_to_words_has_no_order() -> None:
    """Small letters fold as capitals do, and what is folded folds to itself: so characters may be replaced in turn."""
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    assert [c for c in characters if c.lower().translate(WORDS) != c.translate(WORDS)] == []
    folded = {part for char in characters for part in char.translate(WORDS)}
    assert [part for part in folded if part.translate(WORDS) != part] == []


@given(st.text(max_size=300))
def test_words_of_folded_text_are_the_words(text: str) -> None:
    """However a text is folded, at once or character by character, its words are the same."""
    assert words(text) == words(text.translate(WORDS))


@given(SCRIPTS)
def test_spread_texts_have_the_same_words(text: str) -> None:
    """Between blanks, a text has the words that it has as a whole."""
    chunks = spread(text).split()
    assert {word for chunk in chunks for word in words(chunk)} == set(words(text))


@given(SCRIPTS)
@example("\u3099\u0900")  # a voicing mark of kana that stands in a word of Devanagari
def test_texts_without_wide_characters_keep_their_other_words(text: str) -> None:
    """Only words that have Han or kana are missing."""
    assert set(words(without_wide(text))) >= {
        word for word in words(text) if not is_wide(word) and without_wide(word) == word
    }
