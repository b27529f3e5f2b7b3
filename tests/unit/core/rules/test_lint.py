"""What is legal in a set of rules but probably not meant."""

from typing import Any

import pytest

from aggregator.core.rules import compile_rule, parse_query
from aggregator.core.rules.lint import lint
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


def found_in(sample: int, matched: dict[str, set[int]], *rules: dict[str, Any]) -> list[tuple[str, str]]:
    """Rules and kinds of what is found, over so many entries and what each rule matches of them."""
    compiled = [compile_rule(RuleConfig.model_validate(one), {}) for one in rules]
    places = {rule: frozenset(found) for rule, found in matched.items()}
    return [(one.rule, one.kind) for one in lint(compiled, entries=sample, matched=places)]


@pytest.mark.parametrize("word", ["И", "не", "και", "في", "של", "और", "的", "の", "için"])
def test_small_words_are_known_in_many_languages(word: str) -> None:
    """Russian, Greek, Arabic, Hebrew, Hindi, Chinese, Japanese and Turkish have them, too."""
    assert [kind for kind, _ in findings(any=[word, "S-400"])] == ["anything"]


def test_a_choice_of_small_words_is_called_what_it_is() -> None:
    """One of them is enough for nearly every text; as part of a phrase, or beside a real condition, it is not."""
    assert findings(any=["the", "a"]) == [
        ("anything", "name what you look for, or write the words as one phrase in quotes")
    ]
    assert [kind for kind, _ in findings(any=["S-400", "of"])] == ["anything"]
    assert findings(any=["The Hague"]) == []
    assert findings(all=["the", "S-400"]) == []


def test_dead_twin_and_flooding_rules_are_seen_from_the_first_hundred_entries() -> None:
    """By what each matches of the latest entries; fewer say nothing."""
    rules = ({"id": "dead", "any": ["zebra"]}, {"id": "one", "any": ["S-400"]}, {"id": "two", "any": ["triumf"]},
             {"id": "flood", "any": ["Russia"]})  # fmt: skip
    matched: dict[str, set[int]] = {"one": {1, 5, 9}, "two": {1, 5, 9}, "flood": set(range(21))}
    assert found_in(100, matched, *rules) == [("dead", "dead"), ("flood", "flooding"), ("two", "twin")]
    assert found_in(99, matched, *rules) == []
    assert found_in(105, matched, *rules) == [("dead", "dead"), ("two", "twin")]


def test_a_paused_rule_is_not_dead() -> None:
    """It matches nothing because somebody paused it."""
    assert found_in(100, {}, {"id": "off", "any": ["zebra"], "enabled": False}) == []


def test_a_channel_of_no_rule_is_named_unless_it_is_built_in() -> None:
    """The console is always there; nobody forgot to use it."""
    rule = compile_rule(RuleConfig(id="r", any=("S-400",), notify=("desk",)), {})
    found = lint([rule], channels=("console", "desk", "spare"))
    assert [one.message for one in found] == ["no rule uses the channel spare"]
