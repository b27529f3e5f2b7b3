"""A text matched as a rule's tests match it, and what the rule would need beside the text."""

from typing import Any

import pytest

from aggregator.core.rules import compile_rule, match_text, run_tests, scope_of
from aggregator.core.settings import RuleConfig

SCOPED: dict[str, Any] = {"feeds": {"tags": ["defence"], "not_ids": ["blog"]}, "lang": ["ru", "uk"]}


@pytest.mark.parametrize("more", [{}, SCOPED, {"in": ["title"]}, {"in": ["author", "link"]}, {"enabled": False}])
def test_a_text_matches_as_in_the_tests(more: dict[str, Any]) -> None:
    """Whatever feeds, languages and fields the rule looks at; each place once, as a place of the text."""
    tests = {"match": ["the S-400s arrive"], "no_match": ["the AS-400 museum"]}
    rule = compile_rule(RuleConfig.model_validate({"id": "a", "any": ["S-400"], "tests": tests, **more}), {})
    assert run_tests(rule) == ()
    found = match_text(rule, "the S-400s arrive")
    assert found is not None
    assert [(span.field, span.start, span.end) for span in found] == [("content", 4, 9)]
    assert match_text(rule, "the AS-400 museum") is None


def test_the_scope_is_said_in_words() -> None:
    """What a text cannot have: feeds, tags, languages."""
    rule = compile_rule(RuleConfig.model_validate({"id": "a", "any": ["x"], **SCOPED}), {})
    assert scope_of(rule) == (
        "a feed with one of the tags defence", "none of the feeds blog", "one of the languages ru, uk",
    )  # fmt: skip
    assert scope_of(compile_rule(RuleConfig.model_validate({"id": "a", "any": ["x"]}), {})) == ()
