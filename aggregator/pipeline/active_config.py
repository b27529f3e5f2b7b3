"""What we watch, at one moment: the configuration in the form that the verbs eat."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aggregator.core.rules import Rule, RuleIndex
from aggregator.core.settings import Config, Feed, RuleConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A configuration with its compiled rules; replaced whole on reload, never changed."""

    config: Config
    feeds: Mapping[str, Feed]
    rules: Mapping[str, Rule]
    rule_configs: Mapping[str, RuleConfig]
    index: RuleIndex
    digest: str = ""


CurrentSetup = Callable[[], Setup]
"""Gives the setup that holds now; verbs ask once per poll or tick."""


def prepare(config: Config, rules: Sequence[Rule], digest: str = "", before: Setup | None = None) -> Setup:
    """Build a setup; where `before` is given, only the rules that changed are indexed anew."""
    live = tuple(rule for rule in rules if rule.config.enabled)
    return Setup(
        config=config,
        feeds={feed.id: feed for feed in config.feeds},
        rules={rule.id: rule for rule in rules},
        rule_configs={rule.id: rule.config for rule in rules},
        index=before.index.replace(live) if before else RuleIndex(live),
        digest=digest,
    )
