"""Languages: forms of one word, and guesses that are certain or not."""

import pytest

from aggregator.core.text.language import guess_language, has_stemmer, stem, stemmed_script


@pytest.mark.parametrize(
    ("lang", "forms"),
    [
        ("en", "sanction sanctions sanctioned sanctioning"),
        ("en", "party parties"),
        ("en", "invade invades invaded invading"),
        ("en", "stop stops stopped stopping"),
        ("en", "travel travelled travelling"),
        ("en", "die dies died dying"),
        ("en", "agree agrees agreed"),
        ("en", "need needs needed needing"),
        ("en", "see sees seeing"),
        ("de", "Regierung Regierungen"),
        ("de", "Rakete Raketen"),
        ("fr", "gouvernement gouvernements"),
        ("es", "sanción sanciones"),
        ("ru", "система системы системой"),
        ("ru", "новость новости"),
    ],
)
def test_inflections_are_forms_of_one_word(lang: str, forms: str) -> None:
    """Plural, past, case: the same word."""
    assert len(set(stem(forms.split(), lang))) == 1


@pytest.mark.parametrize(
    ("lang", "forms"),
    [
        ("en", "import important importance importer"),
        ("en", "author authority"),
        ("en", "marine marinated"),
        ("en", "general generally"),
        ("en", "nation national"),
        ("en", "operate operation operational operative"),
        ("en", "relate relative"),
        ("en", "new news"),
        ("en", "hop hope"),
        ("de", "regieren Regierung"),
        ("de", "sicher Sicherheit"),
        ("fr", "import important importation"),
        ("es", "importar importante"),
        ("it", "importare importante"),
        ("ru", "новый новость"),
    ],
)
def test_derived_words_are_other_words(lang: str, forms: str) -> None:
    """What stemmers for search engines make one is kept apart."""
    words = forms.split()
    assert len(set(stem(words, lang))) == len(words)


@pytest.mark.parametrize(
    "text",
    [
        "NATO",
        "CAATSA vote",
        "NATO, S-400, CAATSA",
        "S-400 in Libya?",
        "Sanctions hit Ankara",
        "2024",
        "",
        "С-400 в Ливии",
    ],
)
def test_few_words_make_no_certain_guess(text: str) -> None:
    """Names are the same in all languages, whatever the model thinks of them."""
    assert not guess_language(text).certain


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Ankara'dan S-400 açıklaması: füzeler geri gönderilmeyecek, görüşmeler sürüyor", "tr"),
        ("The ministers sanctioned the new sale of the old ships", "en"),
        ("Военные испытали новую ракету", "ru"),
        ("NATO 북한 미사일", "ko"),
        (
            "Raytheon, Lockheed Martin, Erdogan, Incirlik, Akkuyu. "
            + "The ministers were there when the ships came. " * 3,
            "en",
        ),
    ],
)
def test_enough_words_make_a_certain_guess(text: str, lang: str) -> None:
    """By the first window of the text that is certain; a script of one language's own needs few letters."""
    guess = guess_language(text)
    assert guess.certain
    assert guess.likeliest[0] == lang
    assert [other for other in ("en", "tr", "ru", "ko") if guess.may_be(other)] == [lang]


def test_letters_exclude_languages_of_a_short_text() -> None:
    """A Cyrillic headline may be Bulgarian, never English; a Latin one may be in any language."""
    cyrillic, latin = guess_language("С-400 в Ливии"), guess_language("NATO")
    assert (cyrillic.may_be("bg"), cyrillic.may_be("en")) == (True, False)
    assert (latin.may_be("en"), latin.may_be("tr")) == (True, True)


def test_languages_without_a_stemmer_are_known() -> None:
    """Ukrainian is written like Russian, and has none."""
    assert has_stemmer("ru")
    assert not has_stemmer("uk")
    assert stemmed_script("санкция")
    assert not stemmed_script("санкція")
    assert not stemmed_script("制裁")
    assert stem(["санкції"], "uk") == ["санкціі"]


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Верховна Рада ухвалила держбюджет на 2027 рік", "uk"),
        ("Депутаты приняли бюджет, за него проголосовали 257 человек", "ru"),
    ],
)
def test_letters_tell_ukrainian_from_russian(text: str, lang: str) -> None:
    """What has letters that only one of them has is not taken for the other."""
    guess = guess_language(text)
    assert guess.likeliest[0] == lang
    assert {"uk": "ru", "ru": "uk"}[lang] not in guess.likeliest
