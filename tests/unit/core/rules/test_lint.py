"""What is legal in a set of rules but probably not meant."""

from typing import Any

import pytest

from aggregator.core.rules import compile_rule, lint, parse_query
from aggregator.core.settings import RuleConfig


def findings(**keys: Any) -> list[tuple[str, str]]:
    """Kinds and hints of what is found about one rule."""
    lists = {"turkey": ("Turkey", "Ankara")}
    rule = compile_rule(RuleConfig.model_validate({"id": "r", **keys}), lists)
    return [(finding.kind, finding.hint) for finding in lint([rule])]


@pytest.mark.parametrize(
    ("keys", "query"),
    [
        ({"any": ["S-400"]}, "S-400 NOT (S-400 NEAR/10 cricket)"),
        ({"any": ["S-400", "CAATSA"]}, "(S-400 OR CAATSA) NOT ((S-400 OR CAATSA) NEAR/10 cricket)"),
        ({"all": ["$turkey", "law"]}, "$turkey AND law NOT ($turkey NEAR/10 cricket)"),
        ({"query": "title:S-400 OR CAATSA"}, "… NOT (term NEAR/10 cricket)"),
    ],
)
def test_a_single_word_under_none_is_warned_of_with_the_near_to_write(keys: dict[str, Any], query: str) -> None:
    """One mention in passing would silence the rule; the hint is a query that can be taken as it stands."""
    ((kind, hint),) = findings(none=["cricket"], **keys)
    assert kind == "excludes"
    assert hint.endswith(f"write query: '{query}'")
    if "…" not in query:
        parse_query(query)


@pytest.mark.parametrize("more", [{"none": ["space station"]}, {"none": ["cricket"], "in": ["title"]}, {}])
def test_phrases_and_titles_may_exclude(more: dict[str, Any]) -> None:
    """A phrase is no word in passing, and a title is short."""
    assert findings(any=["S-400"], **more) == []
