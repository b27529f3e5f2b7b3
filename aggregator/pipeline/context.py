"""The active configuration in the form that the pipeline reads, and the context of every step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from aggregator.core.errors import ConfigErrors, NotHere
from aggregator.core.model import ConfigVersion, FeedState
from aggregator.pipeline.vocabulary import StreamVocabulary
from aggregator.ports import Clock

if TYPE_CHECKING:
    from aggregator.core.routing import Recipients, Router
    from aggregator.core.rules import Rule, RuleIndex
    from aggregator.core.settings import Channel, Config, Feed, RuleConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveConfig:
    """A configuration with its compiled rules and its recipients; replaced whole on reload, never changed.

    In a cluster it has a number, is in force everywhere `since` an instant, and `read_feed` reads a feed from its row.
    """

    config: "Config"
    feeds: Mapping[str, "Feed"]
    rules: Mapping[str, "Rule"]
    rule_configs: Mapping[str, "RuleConfig"]
    index: "RuleIndex"
    router: "Router"
    digest: str = ""
    number: int = 0
    since: datetime | None = None
    read_feed: Callable[[str], "Feed"] | None = None

    def feed(self, state: FeedState) -> "Feed | None":
        """Return a feed as configured; None: it is not. Raises NotHere if a secret of it is not here."""
        if state.options is None or self.read_feed is None:
            return self.feeds.get(state.id)
        try:
            return self.read_feed(state.options)
        except ConfigErrors as error:
            raise NotHere(f"{state.id} cannot be polled by this process: {error}") from None

    @property
    def recipients(self) -> "Recipients":
        return self.router.recipients


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The context of every part of the pipeline. `owner` names the leases of this process.

    `link_key` signs the links in alerts; empty: they have none.
    """

    config: Callable[[], ActiveConfig]
    clock: Clock
    owner: str
    vocabulary: StreamVocabulary = field(default_factory=StreamVocabulary)
    link_key: bytes = field(default=b"", repr=False)

    @property
    def active(self) -> ActiveConfig:
        """Return the active configuration; ask once per poll or tick."""
        return self.config()

    def owner_of(self, state: FeedState) -> str:
        """Return who claimed a feed: a job of the cluster, or else this process."""
        return state.lease_owner or self.owner

    def now(self) -> datetime:
        return self.clock.now()


def activate(
    config: "Config",
    rules: Sequence["Rule"] = (),
    digest: str = "",
    *,
    recipients: Callable[["Channel"], Sequence[str]] | None = None,
    before: ActiveConfig | None = None,
    version: ConfigVersion | None = None,
    read_feed: Callable[[str], "Feed"] | None = None,
) -> ActiveConfig:
    """Prepare a configuration for the pipeline; with `before`, only the rules that changed are indexed anew.

    `recipients` names those that a channel reaches (default: it is one); `version` and `read_feed` are those of a
    cluster.
    """
    from aggregator.core.routing import Recipients, Router, whole_channel
    from aggregator.core.rules import RuleIndex

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
            recipients=Recipients(config.channels, recipients or whole_channel),
        ),
        digest=digest,
        number=version.number if version else 0,
        since=version.at if version else None,
        read_feed=read_feed,
    )
