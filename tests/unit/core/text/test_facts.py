"""Facts: numbers in digits and words, names and designators, in many languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.text import facts


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "Five dead, 12 hurt", {"5", "12"}),
        ("en", "Second frigate for 1.8 billion", {"2", "1.8bn"}),
        ("de", "Elf Verletzte, 1,8 Milliarden Schaden", {"11", "1.8bn"}),
        ("fr", "La deuxième frégate, cinq marins", {"2", "5"}),
        ("pl", "Drugą fregatę zwodowano, pięciu rannych", {"2", "5"}),
        ("ru", "Вторую батарею получили пятеро, 3 млн", {"2", "5", "3m"}),
        ("uk", "П'ять загиблих, вісім поранених", {"5", "8"}),
        ("tr", "Beş ölü, ikinci saldırı", {"5", "2"}),
        ("el", "Πέντε νεκροί, δεύτερη έκρηξη", {"5", "2"}),
        ("ar", "مقتل خمسة أشخاص وإصابة ١٢", {"5", "12"}),
        ("ar", "زلزال بقوة ٥٫١", {"5.1"}),
        ("he", "חמישה הרוגים", {"5"}),
        ("hi", "पांच लोगों की मौत, ४.६ तीव्रता", {"5", "4.6"}),
        ("ko", "다섯 명 사망, 두 번째", {"5", "2"}),
        ("zh", "火灾造成十二人死亡，贷款2000万美元", {"12", "2000w"}),
        ("zh", "三星发布新手机", set()),
        ("ja", "火災で五人死亡", {"5"}),
        ("da", "To dræbt", {"2"}),
        ("en", "To be or not to be", set()),
        ("", "Five dead", set()),
    ],
)
def test_numbers_in_digits_and_words(lang: str, text: str, expected: set[str]) -> None:
    """Cardinals, ordinals, multiples and the digits of every script; words of the text's own language only."""
    assert facts.numbers(text, lang) == expected


def test_words_keep_their_marks_and_signs_make_pairs() -> None:
    """Hindi is not broken at its vowels; scripts without spaces give pairs of signs."""
    assert len(facts.words("बैटरियां मिलीं")) == 2
    assert facts.words("制裁へ") == ["制裁", "裁へ"]
    assert facts.designators("एस-400, С-400 и F-16C") == {facts.fold_word("एस") + "400", "с400", "f16c"}


@given(st.text(max_size=300), st.sampled_from(["en", "ru", "ar", "zh", "hi", "ko", ""]))
def test_any_text_has_facts(text: str, lang: str) -> None:
    """Whatever a feed sends: no error, and nothing empty."""
    found = facts.numbers(text, lang) | facts.names(text) | facts.designators(text) | {*facts.words(text)}
    assert all(found)


@pytest.mark.parametrize(
    ("lang", "one", "other"),
    [
        ("ru", "норильском", "норильске"),
        ("ru", "кравцов", "кравцова"),
        ("en", "лапину", "лапин"),
        ("uk", "гусаров", "гусарова"),
        ("uk", "лисичанську", "лисичанськ"),
        ("pl", "wilczak", "wilczaka"),
        ("pl", "warszawa", "warszawie"),
        ("cs", "ostrava", "ostrave"),
        ("fi", "koskinen", "koskisen"),
        ("fi", "kalliossa", "kallion"),
        ("hu", "debrecen", "debrecenben"),
        ("el", "αλεξης", "αλεξη"),
        ("de", "pohl", "pohls"),
    ],
)
def test_case_forms_are_one_name(lang: str, one: str, other: str) -> None:
    """Whoever is named in another case is named; in Cyrillic, whatever language is stated."""
    assert facts.lacking({one, "kyiv"}, {other, "kyiv"}, lang) == set()
    assert facts.lacking({other}, {one}, lang) == set()


@pytest.mark.parametrize(
    ("lang", "one", "other"),
    [
        ("ru", "словакия", "словения"),
        ("ru", "австрия", "австралия"),
        ("ru", "нигер", "нигерия"),
        ("ru", "покров", "покровск"),
        ("ru", "иран", "ирак"),
        ("uk", "красноярськ", "краснодар"),
        ("pl", "niger", "nigeria"),
        ("fi", "iran", "irak"),
        ("en", "georgia", "georgian"),
        ("de", "essen", "esser"),
    ],
)
def test_other_names_are_no_case_forms(lang: str, one: str, other: str) -> None:
    """Names that begin alike are two, unless what follows are case endings of their language."""
    assert facts.lacking({one}, {other}, lang) == {one}
    assert facts.lacking({other}, {one}, lang) == {other}
