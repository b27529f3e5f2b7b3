"""docs/rules.md is true: its examples load, and their tests pass."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from aggregator.config import load
from aggregator.core.rules import compile_rule, run_tests
from aggregator.core.settings import RuleConfig

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def rules_of(example: str, folder: Path) -> tuple[list[RuleConfig], dict[str, tuple[str, ...]]]:
    """The rules and lists of a block of YAML, every scalar as it is written."""
    (folder / "lists.yaml").write_text(f"feeds: []\n{example.partition('rules:')[0]}", encoding="utf-8")
    lists = load(folder / "lists.yaml", {}).config.lists
    loaded: dict[str, Any] = yaml.load(example, Loader=yaml.BaseLoader)
    for rule in loaded["rules"]:
        if isinstance(rule.get("near"), dict):
            rule["near"] = [rule["near"]]
    return [RuleConfig.model_validate(rule) for rule in loaded["rules"]], lists


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_do_what_the_page_says(example: str, tmp_path: Path) -> None:
    """Each rule on the page compiles without a warning, and its inline tests hold."""
    configs, lists = rules_of(example, tmp_path)
    for config in configs:
        rule = compile_rule(config, lists)
        assert rule.warnings == ()
        assert run_tests(rule) == ()


def test_every_key_of_a_rule_is_explained() -> None:
    """Nobody has to read the source to learn what a rule may say."""
    keys = {field.alias or name for name, field in RuleConfig.model_fields.items()}
    assert {key for key in keys if f"`{key}`" not in PAGE} == set()


@pytest.mark.parametrize(
    "operator",
    [" OR ", " AND ", " -", " NEAR/", " ONEAR/", '"~', "* ", "$", "title:", "'c ", "/ law", "near:", "regex:", "stem:"],
)
def test_every_operator_has_a_runnable_example(operator: str) -> None:
    """What the reference names is shown at work."""
    assert any(operator in example.replace("\n", " ") for example in EXAMPLES)
