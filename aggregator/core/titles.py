"""Titles of rules: the store knows rules by id only, the configuration knows their titles."""

from collections.abc import Iterable
from dataclasses import replace

from aggregator.core.model import HitDetail
from aggregator.core.settings import Config


def rule_titles(config: Config) -> dict[str, str]:
    """Return the titles of the rules that have one, by id."""
    return {rule.id: rule.title for rule in config.rules if rule.title}


def with_titles(details: Iterable[HitDetail], config: Config) -> tuple[HitDetail, ...]:
    """Add the titles of rules to their hits; a rule that no longer exists keeps its id."""
    names = rule_titles(config)
    return tuple(replace(detail, rule_title=names.get(detail.hit.rule, detail.rule_title)) for detail in details)
