"""The active configuration in the form that the pipeline reads, and the context of every step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aggregator.core.routing import Recipients, Router, whole_channel
from aggregator.core.rules import Rule, RuleIndex
from aggregator.core.settings import Channel, Config, Feed, RuleConfig
from aggregator.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveConfig:
    """A configuration with its compiled rules and its recipients; replaced whole on reload, never changed."""

    config: Config
    feeds: Mapping[str, Feed]
    rules: Mapping[str, Rule]
    rule_configs: Mapping[str, RuleConfig]
    index: RuleIndex
    router: Router
    digest: str = ""

    @property
    def recipients(self) -> Recipients:
        return self.router.recipients


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The context of every part of the pipeline. `owner` names the leases of this process."""

    config: Callable[[], ActiveConfig]
    clock: Clock
    owner: str

    @property
    def active(self) -> ActiveConfig:
        """Return the active configuration; ask once per poll or tick."""
        return self.config()

    def now(self) -> datetime:
        return self.clock.now()


def activate(
    config: Config,
    rules: Sequence[Rule] = (),
    digest: str = "",
    *,
    recipients: Callable[[Channel], Sequence[str]] = whole_channel,
    before: ActiveConfig | None = None,
) -> ActiveConfig:
    """Prepare a configuration for the pipeline; with `before`, only the rules that changed are indexed anew.

    `recipients` names those that a channel reaches.
    """
    live = tuple(rule for rule in rules if rule.config.enabled)
    rule_configs = {rule.id: rule.config for rule in rules}
    return ActiveConfig(
        config=config,
        feeds={feed.id: feed for feed in config.feeds},
        rules={rule.id: rule for rule in rules},
        rule_configs=rule_configs,
        index=before.index.replace(live) if before else RuleIndex(live),
        router=Router(
            rules=rule_configs,
            channels=config.channels,
            settings=config.settings,
            recipients=Recipients(config.channels, recipients),
        ),
        digest=digest,
    )
