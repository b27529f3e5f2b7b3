"""What we watch, at one moment: the configuration in the form that the pipeline reads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aggregator.core.rules import Rule, RuleIndex
from aggregator.core.settings import Config, Feed, RuleConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveConfig:
    """A configuration with its compiled rules; replaced whole on reload, never changed."""

    config: Config
    feeds: Mapping[str, Feed]
    rules: Mapping[str, Rule]
    rule_configs: Mapping[str, RuleConfig]
    index: RuleIndex
    digest: str = ""


CurrentConfig = Callable[[], ActiveConfig]
"""Gives the setup that holds now; the pipeline asks once per poll or tick."""


def activate(
    config: Config, rules: Sequence[Rule], digest: str = "", before: ActiveConfig | None = None
) -> ActiveConfig:
    """Build a setup; where `before` is given, only the rules that changed are indexed anew."""
    live = tuple(rule for rule in rules if rule.config.enabled)
    return ActiveConfig(
        config=config,
        feeds={feed.id: feed for feed in config.feeds},
        rules={rule.id: rule for rule in rules},
        rule_configs={rule.id: rule.config for rule in rules},
        index=before.index.replace(live) if before else RuleIndex(live),
        digest=digest,
    )
