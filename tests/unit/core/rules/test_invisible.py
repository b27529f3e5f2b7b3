"""What nobody can see in a term, or in a query, must not decide whether it is found."""

from typing import Any

import pytest

from aggregator.core.errors import InvalidRule
from aggregator.core.rules import Document, RuleIndex, compile_rule, lint_term, parse_query
from aggregator.core.rules.match_term import match_term
from aggregator.core.settings import RuleConfig

SIGNS = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\ufeff"
signs = pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"U+{ord(sign):04X}")


def found(lists: dict[str, tuple[str, ...]] | None = None, **keys: Any) -> bool:
    """Whether a rule finds the law, without a warning."""
    rule = compile_rule(RuleConfig.model_validate({"id": "r", **keys}), lists or {})
    assert rule.warnings == ()
    return bool(RuleIndex([rule]).match(Document(title="the CAATSA law of the S-400")))


@signs
def test_a_term_with_an_invisible_sign_is_the_term(sign: str) -> None:
    """Before, after and inside; as an item, in a list, beside NEAR, in a query, as a prefix, exactly."""
    for term in (f"{sign}CAATSA", f"CAATSA{sign}", f"CA{sign}ATSA", f"{sign}CAATSA{sign} law", f" {sign} S-400{sign} "):
        assert found(any=[term])
        assert found(all=[term])
        assert found(near={"terms": [term, f"{sign}the"], "within": 9})
        assert found(any=["$l"], lists={"l": (term,)})
        assert not found(any=["law"], none=[term])
        assert match_term(term, "the CAATSA law of the S-400")
        assert lint_term(term) == ()
    assert found(any=[f"{sign}$l{sign}"], lists={"l": ("law",)})
    assert found(any=[f"{sign}'CAATSA'c{sign}"])
    assert found(any=[f"CAAT*{sign}"])
    assert found(regex=[f"{sign}C[AB]ATSA{sign}"])


@signs
def test_a_query_with_invisible_signs_is_the_query(sign: str) -> None:
    """Operators, fields, lists and brackets are seen through them; errors still name the right character."""
    queries = (
        f"{sign}CAATSA AND law", f"CAATSA {sign}AND{sign} law", f"{sign}({sign}CAATSA{sign} OR x) law",
        f"CAATSA NEAR/3{sign} law", f'"{sign}CAATSA law{sign}"', f"{sign}title:CAATSA", f"CAATSA {sign}-museum",
    )  # fmt: skip
    for query in queries:
        assert found(query=query), query
    assert not found(query=f"CAATSA {sign}-law")
    with pytest.raises(InvalidRule) as caught:
        parse_query(f"{sign}a {sign}&& b")
    assert [problem.offset for problem in caught.value.problems] == [4]


@signs
def test_a_text_with_invisible_signs_is_read_without_them(sign: str) -> None:
    """Also among the signs that belong to a term."""
    for term, text in (("C++", f"C{sign}+{sign}+"), ("#MeToo", f"#{sign}MeToo"), ("S-400", f"S{sign}-{sign}400")):
        (span,) = match_term(term, f"see {text} here")
        assert span.text == text


def test_full_width_signs_are_the_signs() -> None:
    """A keyboard for Chinese or Japanese writes operators, brackets and fields otherwise."""
    assert found(query="CAATSA　ＡＮＤ（law ＯＲ x）")
    assert found(query="title：CAATSA")
    assert found(query="CAATSA ＮＥＡＲ／５ law")
    assert found(query="＂CAATSA law＂")
    assert not found(query="CAATSA －law")
    assert found(any=["＄l"], lists={"l": ("law",)})
    assert found(any=["CAAT＊"])


@pytest.mark.parametrize("dash", "-‐‑‒–—―−﹣－")
def test_a_typographic_dash_excludes(dash: str) -> None:
    """Editors and phones turn a minus into a dash; alone it is still refused."""
    assert not found(query=f"CAATSA {dash}law")
    assert not found(query=f'CAATSA {dash}"the s-400"')
    assert found(query=f"CAATSA {dash}museum")
    with pytest.raises(InvalidRule) as caught:
        parse_query(f"CAATSA {dash} museum")
    assert caught.value.problems[0].offset == len("CAATSA ")
