"""Names that people gave: the store knows rules by id only, the configuration knows their titles."""

from collections.abc import Iterable
from dataclasses import replace

from aggregator.core.model import Told
from aggregator.core.settings import Config


def titles(config: Config) -> dict[str, str]:
    """The rules that have a title, by id."""
    return {rule.id: rule.title for rule in config.rules if rule.title}


def named(tellings: Iterable[Told], config: Config) -> tuple[Told, ...]:
    """The tellings with the titles of their rules; a rule that is gone keeps its id."""
    names = titles(config)
    return tuple(replace(told, rule_title=names.get(told.hit.rule, told.rule_title)) for told in tellings)
