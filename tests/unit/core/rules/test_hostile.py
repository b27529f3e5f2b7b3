"""Hostile text and rules: bounded time, documented caps."""

import time
from typing import Any

import pytest

from aggregator.core.rules import Document, Rule, RuleIndex, compile_rule
from aggregator.core.rules.clauses import MAX_SPANS
from aggregator.core.rules.explain import explain
from aggregator.core.rules.snippet import snippet
from aggregator.core.settings import RuleConfig
from aggregator.core.text.tokens import MAX_TEXT

LIMIT_S = 10  # very generous; what is quadratic here takes minutes


def made(**keys: Any) -> Rule:
    """A compiled rule."""
    return compile_rule(RuleConfig.model_validate({"id": "r", **keys}), {})


@pytest.mark.parametrize(
    "text",
    ["a " * 500_000, "S-400 " * 170_000, "S-" * 500_000, "1," * 500_000, "习近平" * 340_000, "\u0301" * 1_000_000,
     "가" * 1_000_000, "و" * 1_000_000, "x" * 1_000_000, "\u00ad" * 1_000_000, "deal " * 100_000 + "missile " * 90_000],
)  # fmt: skip
def test_a_megabyte_is_matched_in_bounded_time(text: str) -> None:
    """Repetitions of what rules look for cost no more than other text; spans are capped."""
    terms = made(any=["S-400", "习近平", "deal*", "a", "가가", "تركيا"])
    query = 'S-400 OR (deal NEAR/5 missile) OR (S-400 ONEAR/1000 x) OR (a NEAR/1000 b) OR "a a a b"~1000 OR /(x+x+)+y/'
    document = Document(content=text)
    started = time.process_time()
    for match in RuleIndex([terms]).match(document) + RuleIndex([made(query=query)]).match(document):
        assert len(match.spans) <= MAX_SPANS
        snippet(document, match.spans)
    assert time.process_time() - started < LIMIT_S


def test_near_over_thousands_of_places_is_bounded() -> None:
    """Eight terms in any order over a text of nothing else."""
    rule = made(near={"terms": ["a1", "b1", "c1", "d1", "e1", "f1", "g1", "h1"], "within": 1000})
    text = "a1 b1 c1 d1 e1 f1 g1 " * 3000
    started = time.process_time()
    assert RuleIndex([rule]).match(Document(content=text)) == ()
    assert time.process_time() - started < LIMIT_S


def test_a_rule_of_a_thousand_terms() -> None:
    """Large lists are a normal case."""
    rule = made(any=[f"term{n} x" for n in range(1000)], none=[f"not{n}" for n in range(1000)])
    assert RuleIndex([rule]).match(Document(title="the term999 x"))


def test_explaining_a_long_text_is_bounded() -> None:
    """Near misses are looked for with care."""
    text = " ".join(f"sanct{n:x}" for n in range(100_000))
    started = time.process_time()
    explain(made(any=["sanctions"], query="deal NEAR/2 missile"), Document(content=text))
    assert time.process_time() - started < LIMIT_S


def test_a_title_is_heard_beside_other_fields_of_a_megabyte() -> None:
    """What an entry says is looked for to its end, however long its fields are taken together."""
    names = [f"caatsa{'abcdefgh'[n]}" for n in range(8)]
    rules = [compile_rule(RuleConfig.model_validate({"id": name, "any": [name]}), {}) for name in names]
    long = Document(title=" ".join(names), summary="é" * MAX_TEXT, content="ö" * MAX_TEXT)
    assert [match.rule for match in RuleIndex(rules).match(long)] == names
