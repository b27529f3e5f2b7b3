"""Explanations, snippets, lint: the output for people."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aggregator.core.model import RuleStats
from aggregator.core.rules import Document, Rule, RuleIndex, compile_rule
from aggregator.core.rules.explain import explain
from aggregator.core.rules.lint import lint
from aggregator.core.rules.snippet import snippet
from aggregator.core.schemas import explanation_json
from aggregator.core.settings import RuleConfig

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def made(rule_id: str = "r", **keys: Any) -> Rule:
    """A compiled rule."""
    return compile_rule(RuleConfig.model_validate({"id": rule_id, **keys}), {"turkey": ("Turkey", "Ankara")})


def hints(rule: Rule, **fields: Any) -> str:
    """Every line of an explanation."""
    return "\n".join(explain(rule, Document(**fields)).tree.lines())


@pytest.mark.parametrize(
    ("keys", "fields", "hint"),
    [
        ({"any": ["sanctions"]}, {"title": "a sanction"}, "found 'sanction': write sanction*"),
        ({"any": ["sanction"]}, {"title": "sanctions now"}, "found 'sanctions': write sanction*"),
        ({"query": "'US'c"}, {"title": "tell us"}, "found 'us': the case differs"),
        ({"any": ["S-400"]}, {"title": "S, 400"}, "found 'S, 400', which does not count as a match"),
        ({"any": ["air defence"]}, {"title": "defence in the air"}, "not together"),
        ({"any": ["deal"], "in": ["title"]}, {"content": "deal"}, "it is in content, which is not searched"),
        ({"any": ["Erdogan"]}, {"title": "Erdogen"}, "erdogen"),
        ({"query": "deal NEAR/2 missile"}, {"title": "deal a b c d missile"}, "more than 2 words apart"),
        ({"query": "deal ONEAR/3 missile"}, {"title": "missile deal"}, "not in this order"),
        ({"any": ["deal"], "none": ["cricket"]}, {"title": "deal cricket"}, "found, but excluded"),
    ],
)
def test_near_misses_say_what_to_write(keys: dict[str, Any], fields: dict[str, str], hint: str) -> None:
    """What is missing is named, with what the text has instead."""
    assert hint in hints(made(**keys), **fields)


def test_an_unknown_language_is_explained_to_exclude_nothing() -> None:
    """Neither the pass nor the refusal is silent."""
    for rule in (made(any=["NATO"], lang=["en"]), made(query="NATO lang:en")):
        assert "too few words to detect the language" in hints(rule, title="NATO")
        assert "too few" not in hints(rule, title="NATO", lang="en")
        assert explain(rule, Document(title="NATO")).matched
    rule = made(any=["NATO"], lang=["en"])
    turkish = "Ankara'dan NATO açıklaması: füzeler geri gönderilmeyecek, görüşmeler sürüyor"
    assert explain(rule, Document(title=turkish)).excluded_by == "the language is tr (detected), not en"
    assert explain(rule, Document(title="NATO", lang="tr")).excluded_by == "the language is tr, not en"
    assert explain(rule, Document(title="НАТО, С-400 и NATO")).excluded_by == "the script does not match en"


def test_a_stem_that_no_language_knows_is_said() -> None:
    """The entry's language has no stemmer."""
    assert "stem: knows no endings of uk" in hints(made(any=["ракета"], stem=True), title="про щось", lang="uk")


def test_an_explanation_is_plain_values() -> None:
    """Matched, evidence and snippet, as JSON; and what bars a document."""
    rule = made(any=["S-400"], all=["$turkey"], feeds={"ids": ["wire"]})
    detail = explanation_json(explain(rule, Document(title="Ankara got the S‑400", feed="wire")))
    assert detail["matched"]
    assert detail["snippet"] == "Ankara got the S‑400"
    assert detail["tree"]["children"][0]["found"][0]["text"] == "S‑400"
    barred = explain(rule, Document(title="Ankara got the S‑400", feed="blog"))
    assert not barred.matched
    assert "blog" in barred.excluded_by


def test_explaining_agrees_with_matching() -> None:
    """The tree is satisfied exactly where the index matches."""
    rule = made(query="deal AND (missile OR NOT_ONE) AND NOT cricket")
    for title in ("deal missile", "deal", "deal missile cricket", ""):
        document = Document(title=title)
        assert explain(rule, document).matched == bool(RuleIndex([rule]).match(document))


def test_the_snippet_is_the_sentence_with_the_most_terms() -> None:
    """Not the first mention: the sentence that shows the most of the rule."""
    rule = made(all=["S-400", "Ankara"])
    document = Document(
        title="S-400", content="It began in May. Ankara took the S-400 in July! More follows.\n\nThe end."
    )
    (match,) = RuleIndex([rule]).match(document)
    assert snippet(document, match.spans) == "Ankara took the S-400 in July!"
    assert snippet(document, ()) == ""


def test_long_sentences_are_cut_around_the_term() -> None:
    """A snippet stays short, at blanks, with ellipses."""
    document = Document(content="word " * 500 + "CAATSA " + "word " * 500)
    (match,) = RuleIndex([made(any=["CAATSA"])]).match(document)
    shown = snippet(document, match.spans)
    assert len(shown) <= 300
    assert shown[0] == shown[-1] == "…"
    assert "CAATSA" in shown


def test_lint_finds_what_was_not_meant() -> None:
    """Contradictions, doubles, swallowed rules, acronyms, common words, silence, unused channels."""
    rules = [
        made("never", all=["deal"], none=["deal"]),
        made("one", any=["S-400", "S-500"]),
        made("two", any=["S-400", "S-500"]),
        made("narrow", any=["S-500"]),
        made("capitals", any=["US"]),
        made("common", any=["government"], notify=["mail"]),
    ]
    findings = lint(
        rules, [RuleStats(rule="one", last_hit_at=NOW - timedelta(days=100))],
        now=NOW, frequencies={"government": 300}, entries=1000, channels=["mail", "chat"],
    )  # fmt: skip
    kinds = {(finding.rule, finding.kind) for finding in findings}
    assert {("never", "never"), ("two", "duplicate"), ("narrow", "swallowed"), ("capitals", "acronym")} <= kinds
    assert {("common", "common"), ("one", "silent"), ("", "channel")} <= kinds
    assert lint([made(any=["CAATSA"])]) == ()
