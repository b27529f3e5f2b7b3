"""The stories known while one poll is routed, and the channels that each was sent to."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import nlargest

from aggregator.core.delivery import delivery_id
from aggregator.core.model import URGENCY, Entry, Fingerprint, Reason, Story, Undelivered
from aggregator.core.settings import RuleConfig, Settings
from aggregator.core.stories import CANDIDATES, find_story, fingerprint, keys


def notified(rule: RuleConfig, settings: Settings) -> tuple[str, ...]:
    """Return the channels of a rule."""
    return settings.default_channels if rule.notify is None else rule.notify


class Unreached:
    """The recipients who never got an alert about a story because it was given up; `reached` get one now."""

    def __init__(
        self,
        undelivered: Iterable[Undelivered],
        recipients: Callable[[str], Sequence[str]],
    ) -> None:
        self._lost: dict[tuple[str, str], list[Undelivered]] = {}
        for one in undelivered:
            self._lost.setdefault((one.story, one.channel), []).append(one)
        self._recipients = recipients
        self._reached: dict[Undelivered, None] = {}

    @property
    def reached(self) -> tuple[Undelivered, ...]:
        return tuple(self._reached)

    def of(self, story: str, channel: str) -> frozenset[str]:
        """Return a channel's recipients who do not know of a story; an alert without a name was for all of them."""
        lost = {one.recipient for one in self._lost.get((story, channel), ())}
        if not lost:
            return frozenset()
        return frozenset(to for to in self._recipients(channel) if lost & {to, ""})

    def reach(self, story: str, channels: Iterable[str]) -> None:
        """Record that an alert about the story goes to these channels."""
        for channel in channels:
            self._reached.update(dict.fromkeys(self._lost.get((story, channel), ())))


class StoryIndex:
    """Stories by id and by key; grows as entries attach. Lives for one call of `route`.

    `fingerprints` are those that are known already, by entry key: making one takes half a millisecond,
    which is better spent before the transaction.
    """

    def __init__(
        self,
        stories: Sequence[Story],
        rules: Mapping[str, RuleConfig],
        settings: Settings,
        now: datetime,
        fingerprints: Mapping[str, Fingerprint],
        unreached: Unreached,
    ) -> None:
        self._unreached = unreached
        self._fingerprints = fingerprints
        self._stories: dict[str, Story] = {}
        self._by_key: dict[str, list[str]] = {}
        for story in stories:
            self._enter(story)
        self._rules, self._settings, self._now = rules, settings, now
        self._attached: dict[str, str] = {}
        self._alerted_before: dict[str, tuple[str, ...]] = {}
        self._grown: dict[str, int] = {}
        self._changed: dict[str, None] = {}

    def attach(self, entry: Entry) -> Story:
        """Return the story of this entry, made if no story has it yet; the same for each of its hits."""
        if entry.key not in self._attached:
            # Keyed by entry, not by hit: ten rules that match one entry must see the same story. What the story
            # had alerted before this entry is remembered now, because `record_alert` changes it for the first
            # of these rules, and the others must not be taken for repeats of an alert that they share.
            # The feed of a new entry is passed on, since a new text at an address that its feed has used before
            # is the next report and not a version of the last one; an edit stays a version.
            found = self._fingerprints.get(entry.key) or fingerprint(entry)
            feed = None if entry.reason is Reason.CHANGED else entry.feed
            near = find_story(found, self._candidates(found), feed) if self._settings.stories.collapse else None
            story = self._grow(near, entry.feed) if near else self._begin(entry, found)
            self._attached[entry.key], self._alerted_before[entry.key] = story.id, story.alerted_rules
        return self._stories[self._attached[entry.key]]

    def channels(self, rule: RuleConfig) -> tuple[str, ...]:
        """Return every channel of a rule."""
        return notified(rule, self._settings)

    def unalerted_channels(
        self, entry_key: str, rule: RuleConfig
    ) -> tuple[tuple[str, ...], Mapping[str, frozenset[str]]]:
        """Return the channels of `rule` that no earlier entry of the story was sent to as fast and as urgently.

        Rules that hit the same entry do not take channels from each other: they share one delivery.
        """
        detail = {channel for name in self._alerted_before[entry_key] for channel in self._covered(name, rule)}
        story = self._attached[entry_key]
        lost = {channel: self._unreached.of(story, channel) for channel in detail}
        only = {channel: names for channel, names in lost.items() if names}
        wanted = notified(rule, self._settings)
        return tuple(channel for channel in wanted if channel not in detail or channel in only), only

    def sources_to_announce(self, story: Story) -> int | None:
        """Return how many feeds carry the story, if this poll made them enough to alert again.

        Not of a story that a person has acknowledged.
        """
        wanted = self._settings.stories.renotify_sources
        grown = wanted and self._grown.get(story.id) == wanted
        return wanted if grown and story.acknowledged_at is None else None

    def record_alert(self, story: Story, rule: str, channels: Iterable[str]) -> None:
        """Remember that this rule alerts on this story, on these channels."""
        self._unreached.reach(story.id, channels)
        current = self._stories[story.id]
        if rule not in current.alerted_rules:
            self._put(replace(current, alerted_rules=(*current.alerted_rules, rule)))

    def changed(self) -> tuple[Story, ...]:
        """Return the stories to be written."""
        return tuple(self._stories[name] for name in self._changed)

    def _covered(self, name: str, rule: RuleConfig) -> tuple[str, ...]:
        earlier = self._rules.get(name)
        if earlier is None:
            return ()
        # An alert that goes out in tonight's digest must not swallow an instant one about the same story, nor
        # a low priority a high one: only an earlier rule at least as fast and as urgent covers a channel.
        as_fast = earlier.deliver in ("instant", rule.deliver)
        as_urgent = URGENCY[earlier.priority] <= URGENCY[rule.priority]
        return notified(earlier, self._settings) if name == rule.id or (as_fast and as_urgent) else ()

    def _begin(self, entry: Entry, found: Fingerprint) -> Story:
        name = delivery_id("story", entry.feed, entry.key, *([str(entry.version)] if entry.version > 1 else []))
        story = Story(
            id=name,
            title=entry.title,
            fingerprint=found,
            feeds=(entry.feed,),
            first_at=self._now,
            last_at=self._now,
        )
        if name not in self._stories:
            self._enter(story)
        return self._put(story)

    def _grow(self, story: Story, feed: str) -> Story:
        if feed in story.feeds:
            return self._put(replace(story, last_at=self._now))
        self._grown[story.id] = len(story.feeds) + 1
        return self._put(replace(story, feeds=(*story.feeds, feed), last_at=self._now))

    def _candidates(self, found: Fingerprint) -> list[Story]:
        """Return the stories most like a fingerprint: same address or title, then most bands, then the latest.

        However many share a key (a series with one opening), each key yields its latest only, so the cost of
        an entry does not grow with the number of stories.
        """
        # Locality-sensitive hashing: texts that share a MinHash band are probably similar (Leskovec, Rajaraman,
        # Ullman, Mining of Massive Datasets, 3.4), so only these are compared. An equal address or title
        # outweighs any number of bands. Ties are broken by time and id, never by order of arrival, so that
        # a repeated commit decides alike.
        shared: Counter[str] = Counter()
        for key in keys(found):
            weight = 1 if key.startswith("b:") else CANDIDATES
            for name in self._by_key.get(key, ())[-CANDIDATES:]:
                shared[name] += weight
        near = nlargest(CANDIDATES, shared, key=lambda name: (shared[name], self._stories[name].last_at, name))
        return [self._stories[name] for name in near]

    def _enter(self, story: Story) -> None:
        self._stories[story.id] = story
        for key in keys(story.fingerprint):
            self._by_key.setdefault(key, []).append(story.id)

    def _put(self, story: Story) -> Story:
        self._stories[story.id] = story
        self._changed[story.id] = None
        return story
