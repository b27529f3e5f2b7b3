"""The stories known while one poll is routed, and the channels that each was sent to."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import nlargest

from aggregator.core.delivery import delivery_id
from aggregator.core.model import Entry, Fingerprint, Reason, Story, StoryMerge, Undelivered
from aggregator.core.settings import RuleConfig, Settings
from aggregator.core.stories import CANDIDATES, find_story, fingerprint, keys

EntryRef = tuple[str, str]  # feed and key


def notified(rule: RuleConfig, settings: Settings) -> tuple[str, ...]:
    """Return the channels of a rule."""
    return settings.default_channels if rule.notify is None else rule.notify


def came(entry: Entry, now: datetime) -> datetime:
    """Return when an entry came: now, but one that was stored before has its place in time."""
    return min(entry.dated_at, now) if entry.reason is Reason.APPLIED else now


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

    `fingerprints` are those that are known already, by feed and key of their entry: making one takes half a
    millisecond, which is better spent before the transaction. `homes`: the stories that entries had before.
    """

    def __init__(
        self,
        stories: Sequence[Story],
        settings: Settings,
        now: datetime,
        fingerprints: Mapping[EntryRef, Fingerprint],
        homes: Mapping[EntryRef, str],
        unreached: Unreached,
    ) -> None:
        self._unreached = unreached
        self._fingerprints, self._homes = fingerprints, homes
        self._stories: dict[str, Story] = {}
        self._by_key: dict[str, list[str]] = {}
        for story in stories:
            self._enter(story)
        self._settings, self._now = settings, now
        self._attached: dict[EntryRef, str] = {}
        self._alerted_before: dict[EntryRef, tuple[str, ...]] = {}
        self._grown: dict[str, int] = {}
        self._changed: dict[str, None] = {}
        self._merged: dict[str, str] = {}

    def attach(self, entry: Entry) -> Story:
        """Return the story of this entry, made if no story has it yet; the same for each of its hits."""
        ref = entry.feed, entry.key
        if ref not in self._attached:
            # Keyed by entry, not by hit: ten rules that match one entry must see the same story. What the story
            # had alerted before this entry is remembered now, because `record_alert` changes it for the first
            # of these rules, and the others must not be taken for repeats of an alert that they share.
            # The feed of a new entry is passed on, since a new text at an address that its feed has used before
            # is the next report and not a version of the last one; an edit stays a version.
            found = self._fingerprints.get(ref) or fingerprint(entry)
            home = self._stories.get(self._homes.get(ref, ""))
            story = self._settle(home, entry, found) if home else self._enrol(entry, found)
            self._attached[ref], self._alerted_before[ref] = story.id, story.alerted_rules
        return self._current(self._attached[ref])

    def _enrol(self, entry: Entry, found: Fingerprint) -> Story:
        """Add an entry that has no story yet to the one that it is a version of, or begin one."""
        at = came(entry, self._now)
        near = self._near(found, None if entry.reason is Reason.CHANGED else entry.feed, at)
        return self._grow(near, entry.feed, at) if near else self._begin(entry, found, at)

    def _settle(self, home: Story, entry: Entry, found: Fingerprint) -> Story:
        """Settle the story of an entry again, whose text is another one now: it may turn out to be a known one."""
        near = self._near(found, entry.feed, self._now, besides=home)
        if near is not None:
            return self._merge(home, near)
        if home.id in _story_ids(entry) or not any(home.fingerprint.signature):
            return self._put(replace(home, fingerprint=found, last_at=max(home.last_at, self._now)))
        return home

    def _near(self, found: Fingerprint, feed: str | None, at: datetime, besides: Story | None = None) -> Story | None:
        if not self._settings.stories.collapse:
            return None
        near = [story for story in self._candidates(found) if besides is None or story.id != besides.id]
        return find_story(found, near, feed, at)

    def _merge(self, one: Story, other: Story) -> Story:
        """Make two stories one: the earlier, which everybody knows already, takes what the later has."""
        earlier, later = sorted((one, other), key=lambda story: (story.first_at, story.id))
        feeds = tuple(dict.fromkeys((*earlier.feeds, *later.feeds)))
        if len(feeds) > len(earlier.feeds):
            self._grown[earlier.id] = len(feeds)
        self._merged[later.id] = earlier.id
        self._put(replace(later, feeds=(), joined=earlier.id))
        return self._put(
            replace(
                earlier,
                feeds=feeds,
                alerted_rules=tuple(dict.fromkeys((*earlier.alerted_rules, *later.alerted_rules))),
                last_at=max(earlier.last_at, later.last_at, self._now),
                acknowledged_at=earlier.acknowledged_at or later.acknowledged_at,
            )
        )

    def _current(self, name: str) -> Story:
        while name in self._merged:
            name = self._merged[name]
        return self._stories[name]

    def channels(self, rule: RuleConfig) -> tuple[str, ...]:
        """Return every channel of a rule."""
        return notified(rule, self._settings)

    def alerted_before(self, entry: Entry) -> tuple[str, ...]:
        """Return the rules that alerted on the story of an attached entry before this entry came."""
        return self._alerted_before[entry.feed, entry.key]

    def unalerted_channels(
        self, entry: Entry, rule: RuleConfig
    ) -> tuple[tuple[str, ...], Mapping[str, frozenset[str]]]:
        """Return the channels of `rule` that do not know yet that it has found this story.

        All of them, unless it alerted on the story before; then those where that alert was given up, for the
        recipients who are named. Another rule's alert is none of its own: that this one finds the story too is news.
        """
        wanted = notified(rule, self._settings)
        if rule.id not in self._alerted_before[entry.feed, entry.key]:
            return wanted, {}
        story = self._current(self._attached[entry.feed, entry.key]).id
        lost = {channel: self._unreached.of(story, channel) for channel in wanted}
        only = {channel: names for channel, names in lost.items() if names}
        return tuple(only), only

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
        current = self._current(story.id)
        if rule not in current.alerted_rules:
            self._put(replace(current, alerted_rules=(*current.alerted_rules, rule)))

    def changed(self) -> tuple[Story, ...]:
        """Return the stories to be written."""
        return tuple(self._stories[name] for name in self._changed)

    def merged(self) -> tuple[StoryMerge, ...]:
        """Return the stories that became part of others, each with the one that holds it now."""
        return tuple(StoryMerge(name, self._current(name).id) for name in self._merged)

    def _begin(self, entry: Entry, found: Fingerprint, at: datetime) -> Story:
        name = _story_ids(entry)[-1]
        story = Story(
            id=name,
            title=entry.title,
            fingerprint=found,
            feeds=(entry.feed,),
            first_at=at,
            last_at=at,
        )
        if name not in self._stories:
            self._enter(story)
        return self._put(story)

    def _grow(self, story: Story, feed: str, at: datetime) -> Story:
        last_at = max(story.last_at, at)
        if feed in story.feeds:
            return self._put(replace(story, last_at=last_at))
        self._grown[story.id] = len(story.feeds) + 1
        return self._put(replace(story, feeds=(*story.feeds, feed), last_at=last_at))

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
                shared[self._current(name).id] += weight
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


def _story_ids(entry: Entry) -> tuple[str, ...]:
    """Return the ids that a story may have which this entry began, in its first version and in this one."""
    first = delivery_id("story", entry.feed, entry.key)
    return (first,) if entry.version == 1 else (first, delivery_id("story", entry.feed, entry.key, str(entry.version)))
