"""Rules that are not at hand: what their noted keys let through is what the whole index would find."""

import random
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.app.known import KnownIndex, NotedFilter, NotedNear, NotedRule, NotedRules
from aggregator.core.errors import InvalidRule
from aggregator.core.rules import Document, Rule, RuleIndex, compile_rule, print_query
from aggregator.core.rules.postings import Keys, Postings
from aggregator.core.settings import FeedFilter, NearConfig, RuleConfig
from tests.unit.core.rules.test_oracle import LISTS, TERMS, node, text

MORE: tuple[dict[str, Any], ...] = (
    {"regex": [r"\bS-?\d{3}\b", "(?i)sanct"]},
    {"regex": ["AIR.defence"], "case": "exact"},
    {"any": ["sanctions"], "stem": True},
    {"query": "lang:ko OR air"},
    {"query": "feed:navy AND a"},
    {"any": ["'Ankara'i", "санкц*"], "translit": True, "in": ["title", "author", "link"]},
    {"any": ["S-400"], "feeds": {"tags": ["arms"], "not_ids": ["other"]}, "lang": ["ko", "en"]},
    {"any": ["air"], "enabled": False},
    {"near": [{"terms": ["air", "missiles"], "within": 3, "ordered": True}], "none": ["AAAAA"], "inflect": True},
)


def whole(rules: list[Rule]) -> Any:
    return SimpleNamespace(rules={rule.id: rule for rule in rules}, index=RuleIndex(rules))


def noted(index: RuleIndex, rules: list[Rule]) -> NotedRules:
    """What a pass leaves to the next one, written and read."""
    assert index.postings is not None
    keys = msgspec.msgpack.decode(msgspec.msgpack.encode(index.postings.keys), type=Keys)
    assert keys == index.postings.keys
    written = msgspec.msgpack.encode({rule.id: NotedRule.of(rule.config) for rule in rules if rule.config.enabled})
    lists = {name: terms for rule in rules for name, terms in rule.lists}
    return NotedRules(
        Postings(keys, index.postings.fields), msgspec.msgpack.decode(written, type=dict[str, msgspec.Raw]), lists
    )


def rules(rng: random.Random) -> list[Rule]:
    written: list[dict[str, Any]] = [
        *({"query": print_query(node(rng))} for _ in range(3)),
        {"any": rng.sample(TERMS, 3)},
        *rng.sample(MORE, 2),
    ]
    rng.shuffle(written)
    found = []
    for number, one in enumerate(written):
        try:
            found.append(compile_rule(RuleConfig.model_validate({"id": f"r{number}", **one}), LISTS))
        except InvalidRule:  # it only excludes
            continue
    return found


@given(st.integers(0, 2**48))
@settings(max_examples=40, deadline=None)
def test_noted_keys_hide_no_match(seed: int) -> None:
    """Rules, their order and every span are those of an index that was built from the rules."""
    rng = random.Random(seed)
    all_rules = rules(rng)
    real = whole(all_rules)
    real.index.prepare()
    kept = noted(real.index, all_rules)
    for rule in all_rules:
        assert not rule.config.enabled or kept.rule(rule.id).version == rule.version
    known = KnownIndex(lambda: kept, lambda: pytest.fail("the configuration need not be loaded to match"))
    for _ in range(8):
        document = Document(
            title=text(rng),
            summary=text(rng),
            content=text(rng),
            author=text(rng),
            link=rng.choice(["", "https://a.example/air-defence", "https://a.example/s-400"]),
            feed=rng.choice(["navy", "other"]),
            feed_tags=rng.choice([(), ("arms",)]),
            lang=rng.choice([None, "ko", "en"]),
        )
        assert known.match(document) == real.index.match(document)
    assert known.postings is None  # there is nothing new to note


def test_rules_are_compiled_by_their_keys_only() -> None:
    """An entry without any key needs no rule; one with a key does, whether or not a rule matches it in the end."""
    made = [compile_rule(RuleConfig.model_validate({"id": "r", "query": "air AND AAAAA AND missiles"}), LISTS)]
    index = RuleIndex(made)
    index.prepare()
    kept, unreadable = noted(index, made), msgspec.Raw(b"\xc1")
    known = KnownIndex(lambda: kept._replace(rules={"r": unreadable}), lambda: whole(made))
    assert known.match(Document(content="nothing of note")) == ()
    with pytest.raises(msgspec.DecodeError):
        known.match(Document(content="missiles, and no more"))
    known = KnownIndex(lambda: kept, lambda: whole(made))
    assert known.match(Document(content="missiles, and no more")) == ()
    assert [found.rule for found in known.match(Document(content="missiles in the air: aaaaa"))] == ["r"]


def test_without_a_note_the_index_is_built() -> None:
    """Where nothing was noted, the whole index answers, and leaves its keys to be noted."""
    made = whole([compile_rule(RuleConfig.model_validate({"id": "r", "any": ["S-400"]}), LISTS)])
    known = KnownIndex(lambda: None, lambda: made)
    assert known.postings is None
    assert [found.rule for found in known.match(Document(content="S-400"))] == ["r"]
    assert known.postings is cast("RuleIndex", made.index).postings is not None


def test_every_key_that_decides_what_matches_is_noted() -> None:
    """A new key of rules is put with those that are noted, or with these, which decide what becomes of a hit."""
    routing = {"max_age_s", "threshold", "spike", "first_in_s", "on_update", "retellings", "notify", "deliver"}
    assert RuleConfig.model_fields.keys() - {*NotedRule.__struct_fields__} == routing | {"priority", "enabled", "tests"}
    for model, noted in ((RuleConfig, NotedRule), (FeedFilter, NotedFilter), (NearConfig, NotedNear)):
        needed = {"id": "r"} if model is RuleConfig else {"terms": ("a", "b")} if model is NearConfig else {}
        usual, known = model.model_validate(needed), msgspec.convert(needed, noted)
        for name in noted.__struct_fields__:
            if name != "feeds":
                assert getattr(known, name) == getattr(usual, name), name
    assert NotedFilter.__struct_fields__ == tuple(FeedFilter.model_fields)
    assert NotedNear.__struct_fields__ == tuple(NearConfig.model_fields)
