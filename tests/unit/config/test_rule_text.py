"""Edits of one rule in a text: what is not that rule, or not that key, stays byte for byte."""

import pytest

from aggregator.config import rule_text
from aggregator.core.errors import ConfigErrors, Conflict, NotFound
from aggregator.core.results import RulesFile

TEXT = """\
# What we watch.
rules:
  # the first
  - id: s400        # never renamed
    title: S-400
    any:
      - S-400       # every spelling
      - Growler
    all: [$turkey]  # a list
    near: {terms: [a, b], within: 5}

  # the second
  - id: caatsa
    any: [CAATSA]
lists:
  turkey: [Ankara]
"""
FLOW = "rules: [{id: a, any: [x]}, {id: b, any: [y]}]\n"
DASHES = "rules:\n- id: a\n  any: [x]\n-\n  id: b\n  any: [y]"


def test_a_rule_of_a_broken_file_is_not_called_missing() -> None:
    """It runs still; the file has to be corrected before it can be edited."""
    file = RulesFile(name="/etc/aggregator/rules.yaml", text=TEXT + "rules2: {a: [\n", digest="")
    with pytest.raises(Conflict, match=r"rules.yaml is not valid YAML \(line 18: .*\); correct it first"):
        rule_text.item_of([file], "s400")


def test_an_item_stands_without_its_dash() -> None:
    """Comments of the rule are in it, those above it are not."""
    assert rule_text.rule_item(TEXT, "caatsa") == "id: caatsa\nany: [CAATSA]\n"
    assert rule_text.rule_item(TEXT, "s400").startswith(
        "id: s400        # never renamed\ntitle: S-400\nany:\n  - S-400"
    )
    assert rule_text.rule_item(FLOW, "b") == "{id: b, any: [y]}\n"
    assert rule_text.rule_item(DASHES, "b") == "id: b\nany: [y]\n"
    with pytest.raises(NotFound, match="rule"):
        rule_text.rule_item(TEXT, "nosuch")


@pytest.mark.parametrize("text", [TEXT, FLOW, DASHES])
def test_an_item_put_back_changes_nothing(text: str) -> None:
    """An edit that is none leaves the file as it was."""
    for name in rule_text.rule_ids(text):
        assert rule_text.replace_rule(text, name, rule_text.rule_item(text, name)) == text


def test_a_rule_is_replaced_alone() -> None:
    """Every line of other rules stays."""
    after = rule_text.replace_rule(TEXT, "caatsa", "id: caatsa\nany:\n  - CAATSA\n  - sanctions  # new\n")
    assert after == TEXT.replace("    any: [CAATSA]\n", "    any:\n      - CAATSA\n      - sanctions  # new\n")
    assert rule_text.rule_item(rule_text.replace_rule(FLOW, "a", "id: a\nany: [z]\n"), "a") == "id: a\nany: [z]\n"


@pytest.mark.parametrize("text", [TEXT, FLOW, DASHES, "rules: []\n", "", "feeds: []\n", "rules:\n", "lists: {a: [b]}"])
def test_a_new_rule_stands_at_the_end(text: str) -> None:
    """Whatever the file looks like, even empty."""
    after = rule_text.append_rule(text, "id: new\nany: [new]  # why\n")
    assert rule_text.rule_ids(after) == (*rule_text.rule_ids(text), "new")
    assert rule_text.rule_item(after, "new") == "id: new\nany: [new]  # why\n"
    for name in rule_text.rule_ids(text):
        assert rule_text.form_of(rule_text.rule_item(after, name)) == rule_text.form_of(rule_text.rule_item(text, name))


@pytest.mark.parametrize("text", [TEXT, FLOW, DASHES])
def test_rules_are_copied_moved_and_removed(text: str) -> None:
    """A copy is off and has its own id; a rule moves with its comments; the ends do not move."""
    first, second = rule_text.rule_ids(text)
    copied, name = rule_text.copy_rule(text, first)
    assert name == f"{first}-copy"
    assert "enabled: false" in rule_text.rule_item(copied, name)
    assert set(rule_text.rule_ids(copied)) == {first, second, name}
    assert rule_text.rule_ids(rule_text.remove_rule(text, first)) == (second,)
    assert rule_text.move_rule(text, first, -1) == text
    if text != FLOW:
        moved = rule_text.move_rule(text, first, 1)
        assert rule_text.rule_ids(moved) == (second, first)
        assert rule_text.rule_item(moved, first) == rule_text.rule_item(text, first)
        if text == TEXT:
            assert rule_text.move_rule(moved, first, -1) == text


def test_a_pause_is_one_line() -> None:
    """And resuming takes it away again."""
    paused = rule_text.switch_rule(TEXT, "caatsa", False)
    assert paused == TEXT.replace("    any: [CAATSA]\n", "    any: [CAATSA]\n    enabled: false\n")
    assert rule_text.switch_rule(paused, "caatsa", True) == TEXT


def test_the_form_shows_what_it_can_hold() -> None:
    """A term per line; what is no text is left to the YAML."""
    form = rule_text.form_of(rule_text.rule_item(TEXT, "s400"))
    assert (form["id"], form["any"], form["all"], form["none"]) == ("s400", "S-400\nGrowler", "$turkey", "")
    assert "any" not in rule_text.form_of("id: a\nany: [{near: x}]\n")
    assert "title" not in rule_text.form_of("id: a\ntitle: ${TITLE}\n")
    assert rule_text.form_of("- nothing") == {}
    assert rule_text.form_of("id: [open") == {}
    assert set(rule_text.form_of("").values()) == {"", "true"}


def test_what_the_form_changes_changes_alone() -> None:
    """Terms come and go without the comments of the others; a key that is emptied is removed."""
    item = rule_text.rule_item(TEXT, "s400")
    form = rule_text.form_of(item)
    assert rule_text.fill(item, form) == item
    added = rule_text.fill(item, {**form, "any": "S-400\nSA-21: Growler"})
    assert added == item.replace("  - Growler\n", "  - 'SA-21: Growler'\n")
    assert rule_text.fill(item, {**form, "title": ""}) == item.replace("title: S-400\n", "")
    assert rule_text.fill(item, {**form, "title": "S-400 abroad"}) == item.replace(
        "title: S-400", "title: S-400 abroad"
    )
    assert rule_text.fill(item, {**form, "all": "$turkey\nGreece"}) == item.replace(
        "all: [$turkey]  # a list", "all: [$turkey, Greece]  # a list"
    )
    assert rule_text.fill(item, {**form, "enabled": "false"}).endswith("enabled: false\n")
    assert rule_text.fill("{id: a, any: [x]}\n", {"any": "x\ny"}) == "id: a\nany: [x, y]\n"
    assert rule_text.fill("", {"id": "new", "any": "x"}) == "id: new\nany: [x]\n"


def test_what_is_no_rule_is_refused() -> None:
    """With the place of the mistake."""
    with pytest.raises(ConfigErrors):
        rule_text.set_keys("- a list\n", {"id": "x"})
    with pytest.raises(ConfigErrors):
        rule_text.set_keys("id: [open\n", {"title": "x"})
