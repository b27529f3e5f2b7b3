"""News that arrives at a store and is routed as the service routes it: for tests of stories over a real store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aggregator.core.model import Entry, Hit, HitDetail, HitFilter, PollResult, UnroutedPoll
from aggregator.core.routing import describe
from aggregator.core.rules import compile_rule
from aggregator.core.settings import Config, RuleConfig
from aggregator.pipeline.context import ActiveConfig, Context, activate
from aggregator.pipeline.matching import match
from aggregator.pipeline.routing import HitRouter, commit_poll
from aggregator.pipeline.vocabulary import StreamVocabulary
from tests.support.records import NOW, AnyStore, feed, lease, polled

Text = tuple[str, str]  # headline and text

AGENCY: Text = (
    "Turkey takes delivery of second S-400 battery from Russia",
    (
        "ANKARA - Turkey received the second battery of Russian S-400 air defence missiles at Murted air base on "
        "Monday, the defence ministry said, defying threats of sanctions by the United States."
    ),
)
SITE: Text = (
    "Second Russian S-400 battery arrives at Turkish base of Murted",
    (
        "The Turkish defence ministry announced on Monday that the second S-400 battery bought from Russia has reached "
        "the Murted air base. Washington has threatened sanctions over the air defence missiles."
    ),
)
THIRD: Text = (
    "Murted air base receives second S-400 battery from Russia",
    (
        "Turkey's defence ministry said the second battery of Russian S-400 missiles was received at Murted air base "
        "on Monday despite threats of sanctions by the United States."
    ),
)
OTHER: Text = (
    "India signs for five S-400 regiments",
    (
        "New Delhi signed a contract for five regiments of S-400 air defences on Friday, worth 5.4 billion dollars, "
        "during a visit of the Russian president."
    ),
)


class MovedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class Arrivals:
    """Polls of feeds, one after the other, at a service with one rule, `s400`."""

    store: AnyStore
    feeds: Sequence[str] = ("agency", "site", "third", "fourth")
    rule: dict[str, Any] = field(default_factory=dict)
    stories: dict[str, Any] = field(default_factory=dict)  # settings
    clock: MovedClock = field(default_factory=MovedClock)
    active: ActiveConfig = field(init=False)
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        rule = RuleConfig.model_validate({"id": "s400", "any": ["S-400"], **self.rule})
        channels = {"desk": {"name": "desk", "service": "console"}}
        config = Config.model_validate(
            {
                "rules": (rule,),
                "channels": channels,
                "settings": {"default_channels": ["desk"], "stories": self.stories},
            }
        )
        self.active = activate(config, [compile_rule(rule, {})])
        learnt = StreamVocabulary(self.store.feeds, self.clock)
        self.context = Context(config=lambda: self.active, clock=self.clock, owner="me", vocabulary=learnt)

    async def begin(self) -> None:
        """Configure the feeds."""
        await self.store.feeds.sync([feed(name) for name in self.feeds], NOW)

    async def poll(self, name: str, *texts: Text, hours: float = 0.0) -> list[Hit]:
        """Let one poll of a feed bring these texts, so long after the first; return their hits, in the same order."""
        now = self.clock.at = NOW + timedelta(hours=hours)
        entries = [
            Entry(feed=name, key=title, title=title, summary=text, lang="en", seen_at=now, published_at=now)
            for title, text in texts
        ]
        hits = match(self.active, feed(name), entries, now)
        vocabulary = await self.context.vocabulary.of([name], self.active.config.settings.stories)
        reports = describe(entries, hits, now, vocabulary)
        asked = UnroutedPoll(
            feed=name, at=now, hits=hits, entries=tuple(entries), reports=reports, config=self.active.number
        )
        (state,) = await lease(self.store.feeds, name, at=now)
        result = PollResult(state=polled(state, last_polled_at=now), entries=tuple(entries), hits=hits)
        await commit_poll(self.store.feeds, result, "me", asked, lambda: self.active.router, vocabulary.frequencies)
        if self.store.feeds.routes_later:
            await HitRouter(self.context, self.store.feeds).run()
        else:
            self.context.vocabulary.learn(reports.values())
        found = {(one.hit.feed, one.hit.entry_key): one.hit for one in await self.hits()}
        return [found[name, title] for title, _ in texts]

    async def hits(self) -> tuple[HitDetail, ...]:
        """Return all hits."""
        return await self.store.catalog.hits(HitFilter(), limit=0)
