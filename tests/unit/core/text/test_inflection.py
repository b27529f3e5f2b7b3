"""Case endings of names: what is found, what is not, and laws that hold for every term."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.rules import Document, RuleIndex, compile_rule
from aggregator.core.settings import RuleConfig
from aggregator.core.text.inflection import MAX_FORMS, forms_in, inflections

VECTORS = Path(__file__).parents[3] / "data/vectors/inflection.txt"


def vectors() -> Iterator[tuple[str, str, str, bool]]:
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        lang, term, found, other = (part.strip() for part in line.split("|"))
        size = len(term.split())
        for words, expected in ((found.split(), True), (other.split(), False)):
            yield from ((lang, term, " ".join(words[at : at + size]), expected) for at in range(0, len(words), size))


def finds(term: str, text: str, lang: str = "", *, listed: bool = False) -> bool:
    marked = {"any": [f"'{term}'i"]} if listed else {"any": [term], "inflect": True}
    rule = compile_rule(RuleConfig.model_validate({"id": "names", **marked}), {})
    return bool(RuleIndex([rule]).match(Document(title=text, lang=lang)))


def test_there_are_enough_vectors() -> None:
    """There are enough vectors."""
    kinds = [expected for _, _, _, expected in vectors()]
    assert len(kinds) >= 300
    assert min(kinds.count(True), kinds.count(False)) >= 100
    assert len({lang for lang, *_ in vectors()}) >= 10


@pytest.mark.parametrize(("lang", "term", "text", "expected"), [*vectors()])
def test_vectors(lang: str, term: str, text: str, expected: bool) -> None:
    """Vectors."""
    assert finds(term, f"“{text}”", lang) is expected


@pytest.mark.parametrize("term", ["Erdogan", "Эрдоган", "Москва"])
def test_a_marked_item_of_a_list_is_inflected_as_a_rule_is(term: str) -> None:
    """A marked item of a list is inflected as a rule is."""
    assert finds(term, "Эрдогана ждут в Москве", listed=True)


def test_a_latin_name_is_found_in_cyrillic() -> None:
    """A latin name is found in cyrillic."""
    assert finds("Erdogan", "Встреча с Эрдоганом отложена")
    assert finds("Putin", "Розмова з Путіним")


def test_an_undeclared_language_is_detected() -> None:
    """An undeclared language is detected."""
    assert finds("Erdogan", "Presidentti tapasi Erdoganin tänään Ankarassa ja keskusteli sopimuksesta")
    assert not finds("Marin", "The Marina was full of boats on Sunday, said the harbour master")


def test_abbreviations_and_stars_stay_as_they_are() -> None:
    """Abbreviations and stars stay as they are."""
    assert not inflections("NATO")
    assert not inflections("S-400")
    assert not finds("Putin", "Путинизм", "ru")


def test_forms_in_one_language() -> None:
    """Forms in one language."""
    assert {"турции", "турцию", "турцией"} <= set(forms_in("Турция", "ru"))
    assert "северного флота" in forms_in("Северный флот", "ru")
    assert forms_in("Ankara", "no") == ("ankaras",)
    assert forms_in("Ankara", "zh") == ()


@given(st.text(max_size=40))
def test_no_term_breaks_it_and_forms_are_bounded(term: str) -> None:
    """No term breaks it and forms are bounded."""
    forms = inflections(term)
    assert len(forms) <= MAX_FORMS * 12
    assert all(form.text for form in forms)


@given(st.sampled_from(["Erdogan", "Путин", "Москва", "Северная Корея", "Halonen", "Warszawa"]))
def test_a_form_is_never_the_term_itself(term: str) -> None:
    """A form is never the term itself."""
    assert term.lower() not in {form.text for form in inflections(term)}
