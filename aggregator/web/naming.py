"""Names that people gave: the store knows rules by id only, the configuration knows their titles."""

from collections.abc import Iterable
from dataclasses import replace

from aggregator.core.model import Told
from aggregator.core.settings import Config


def named(tellings: Iterable[Told], config: Config) -> tuple[Told, ...]:
    """The tellings with the titles of their rules; a rule that is gone keeps its id."""
    titles = {rule.id: rule.title for rule in config.rules if rule.title}
    return tuple(replace(told, rule_title=titles.get(told.hit.rule, told.rule_title)) for told in tellings)
