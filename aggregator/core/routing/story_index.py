"""The stories known while one poll is routed, and the channels that each was sent to."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from types import MappingProxyType

from msgspec.structs import replace

from aggregator.core import events
from aggregator.core.delivery import delivery_id
from aggregator.core.model import (
    Because,
    Entry,
    Frequencies,
    JoinKind,
    Reason,
    Report,
    RoutingContext,
    Story,
    StoryKeys,
    StoryMerge,
    Undelivered,
)
from aggregator.core.routing.batches import chosen_reports
from aggregator.core.settings import RuleConfig, Settings
from aggregator.core.settings import Stories as StorySettings
from aggregator.core.stories import find_copy, reports_of, shortlist
from aggregator.core.stories import keys as copy_keys

EntryRef = tuple[str, str]  # feed and key
KEPT = 4 * events.MAX_REPORTS  # reports of a story while a poll is routed, else a hit's cost would grow with them


def notified(rule: RuleConfig, settings: Settings) -> tuple[str, ...]:
    """Return the channels of a rule."""
    return settings.default_channels if rule.notify is None else rule.notify


def came(entry: Entry, now: datetime) -> datetime:
    """Return when an entry came: now, but one that was stored before has its place in time."""
    return min(entry.dated_at, now) if entry.reason is Reason.APPLIED else now


def story_ids(entry: Entry) -> tuple[str, ...]:
    """Return the ids that a story may have which this entry began, in its first version and in this one."""
    first = delivery_id("story", entry.feed, entry.key)
    return (first,) if entry.version == 1 else (first, delivery_id("story", entry.feed, entry.key, str(entry.version)))


def lookup(report: Report, frequencies: Frequencies, settings: StorySettings) -> tuple[str, ...]:
    """Return the keys by which stories are found that this is a copy or a retelling of."""
    return found_by(report, frequencies) if settings.events else (*copy_keys(report.fingerprint),)


def found_by(report: Report, frequencies: Frequencies) -> tuple[str, ...]:
    """Return the keys by which the story of a report is found, by copies and by other words for it."""
    return (*copy_keys(report.fingerprint), *events.keys(report.features, frequencies))


def policy(settings: StorySettings) -> events.Policy:
    """Return how events are recognised."""
    return events.Policy(
        fold_for=timedelta(seconds=settings.fold_for_s),
        strict=settings.strictness == "strict",
        events=settings.events and settings.strictness != "off",
    )


def joined_stories(into: Story, other: Story) -> tuple[Story, Story]:
    """Return a story with everything of another one, and what is left of that."""
    alerted = [at for at in (into.alerted_at, other.alerted_at) if at is not None]
    whole = replace(
        into,
        feeds=tuple(dict.fromkeys((*into.feeds, *other.feeds))),
        alerted_rules=tuple(dict.fromkeys((*into.alerted_rules, *other.alerted_rules))),
        last_at=max(into.last_at, other.last_at),
        acknowledged_at=into.acknowledged_at or other.acknowledged_at,
        reports=(*into.reports, *other.reports),
        alerted_at=max(alerted, default=None),
        apart=(into.apart | other.apart) - {into.id, other.id},
    )
    return whole, replace(other, feeds=(), reports=(), joined=into.id)


def _origin(story: Story, because: Because, report: Report) -> str:
    """Return the report whose alert stands for another one: that which a copy or retelling has, else its own."""
    if because.kind is JoinKind.COPY:
        known = next((one for one in story.reports if one.id == because.report), None)
        return (known.origin or known.id) if known else because.report
    return because.origin or report.id


def _alerted_rules(story: Story, origin: str) -> tuple[str, ...]:
    """Return the rules that alerted on one report of a story; on the story, where it is not known or not loaded."""
    known = next((one for one in story.reports if one.id == origin), None)
    return story.alerted_rules if known is None or known.alerted_rules is None else known.alerted_rules


def _with(rule: str, rules: tuple[str, ...]) -> tuple[str, ...]:
    return rules if rule in rules else (*rules, rule)


class Unreached:
    """The recipients who never got an alert about a story that was meant for them; `reached` get one now."""

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
        """Return a channel's recipients who do not know of a story; an alert without a name was for all of them.

        Of a story that nobody knows, they are all recipients of any channel: that of the lost alert may be gone.
        """
        lost = {one.recipient for name in (channel, "") for one in self._lost.get((story, name), ())}
        if not lost:
            return frozenset()
        return frozenset(to for to in self._recipients(channel) if lost & {to, ""})

    def everywhere(self, story: str) -> bool:
        """Tell whether nobody knows of a story, on any channel."""
        return (story, "") in self._lost

    def reach(self, story: str, channels: Iterable[str]) -> None:
        """Record that an alert about the story goes to these channels."""
        if reached := list(channels):
            for channel in (*reached, ""):
                self._reached.update(dict.fromkeys(self._lost.get((story, channel), ())))


@dataclass(frozen=True, slots=True)
class Membership:
    """How an entry belongs to its story: why, and the rules that had alerted on the story before it came.

    `origin` is the report whose alert stands for it, if one does, and `known_to` the rules that had alerted on that:
    a follow-up that a rule did not match, or that was silenced, is news to the rule from any feed.
    """

    story: str
    because: Because
    alerted_before: tuple[str, ...]
    origin: str
    known_to: tuple[str, ...]

    @property
    def kind(self) -> JoinKind | None:
        """Return what the entry is to its story; None: it began it."""
        return self.because.kind


class StoryIndex:
    """Stories by id and by key; grows as entries attach. Lives for one call of `route`.

    `reports` describe the entries, by feed and key: making one takes a millisecond, which is better spent before
    the transaction; so are `lookups`, the keys by which each is found. `frequencies` stay what they are while a poll
    is routed.
    """

    def __init__(
        self,
        context: RoutingContext,
        settings: Settings,
        now: datetime,
        reports: Mapping[EntryRef, Report],
        frequencies: Frequencies,
        unreached: Unreached,
        lookups: Mapping[EntryRef, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self._settings, self._now, self._unreached = settings, now, unreached
        self._policy = policy(settings.stories)
        self._reports, self._frequencies, self._homes = reports, frequencies, context.homes
        self._weights = events.Weights(frequencies)
        self._lookups = {reports[ref].id: (reports[ref], keys) for ref, keys in lookups.items()}
        self._stories: dict[str, Story] = {story.id: story for story in context.stories}
        self._by_key: dict[str, dict[str, datetime]] = {**context.keys}
        self._own: dict[str, dict[str, datetime]] = {}  # of these, what this poll has added to
        self._before = context.nearest
        times = Counter(chain.from_iterable(keys for _, keys in self._lookups.values()))
        self._unshared = {key for key, count in times.items() if count == 1}  # nothing else of this poll asks for them
        self.unfolding = context.unfolding
        self._attached: dict[EntryRef, Membership] = {}
        self._grown: dict[str, int] = {}
        self._changed: dict[str, None] = {}
        self._merged: dict[str, str] = {}
        self._written: dict[str, tuple[str, Report]] = {}
        self._keys: list[StoryKeys] = []

    def attach(self, entry: Entry) -> Story:
        """Return the story of this entry, made if no story has it yet; the same for each of its hits."""
        ref = entry.feed, entry.key
        if ref not in self._attached:
            # Keyed by entry, not by hit: ten rules that match one entry must see the same story. What the story
            # had alerted before this entry is remembered now, because `record_alert` changes it for the first
            # of these rules, and the others must not be taken for repeats of an alert that they share.
            home = self._stories.get(self._homes.get(ref, ""))
            story, because = self._settle(self._current(home.id), entry) if home else self._enrol(entry)
            origin = _origin(story, because, self._reports[ref])
            self._attached[ref] = Membership(
                story.id, because, story.alerted_rules, origin, _alerted_rules(story, origin)
            )
        return self._current(self._attached[ref].story)

    def membership(self, entry: Entry) -> Membership:
        """Return how an attached entry belongs to its story."""
        return self._attached[entry.feed, entry.key]

    def _enrol(self, entry: Entry) -> tuple[Story, Because]:
        """Add an entry that has no story yet to the one that it reports on, or begin one."""
        report = self._report(entry)
        # The feed of a new entry is passed on, since a new text at an address that its feed has used before is the
        # next report and not a version of the last one; an edit stays a version.
        feed = None if entry.reason is Reason.CHANGED else entry.feed
        story, because = self._find(report, feed)
        if story is None:
            return self._begin(report), because
        if because.kind is not JoinKind.COPY:
            story = self._add(story, replace(report, origin=because.origin or report.id, alerted_rules=()))
        return self._grow(story, report), because

    def _settle(self, home: Story, entry: Entry) -> tuple[Story, Because]:
        """Settle the story of an entry again, whose text is another one now: it may turn out to be a known one.

        A page that has moved on to other news stays what it was: its edits alert nobody, so nothing may be taken for a
        copy or a retelling of them. And a story that others report, too, goes nowhere for the edit of one.
        """
        report = self._report(entry)
        stored = next((known for known in home.reports if known.id in story_ids(entry)), None)
        if stored is not None and not events.continues(report, stored):
            return home, Because()
        report = replace(report, id=stored.id if stored else story_ids(entry)[0])
        alone = all(known.id == report.id for known in home.reports)
        near, because = self._find(report, entry.feed, besides=home) if alone else (None, Because())
        if near is not None and (because.kind is JoinKind.COPY or because.kind is JoinKind.RETELLING):
            return self._merge(home, near), because
        if stored or home.id == report.id or not any(home.fingerprint.signature):
            home = replace(home, fingerprint=report.fingerprint) if home.id == report.id else home
            known = stored or report
            kept = replace(report, at=known.at, origin=known.origin, alerted_rules=known.alerted_rules)
            return self._add(home, kept), Because()
        return home, Because()

    def _report(self, entry: Entry) -> Report:
        return self._reports[entry.feed, entry.key]

    def _lookup(self, report: Report) -> tuple[str, ...]:
        known = self._lookups.get(report.id)
        if known is None or known[0].features is not report.features:
            known = self._lookups[report.id] = report, lookup(report, self._frequencies, self._settings.stories)
        return known[1]

    def _find(self, report: Report, feed: str | None, besides: Story | None = None) -> tuple[Story | None, Because]:
        """Return the story that has this report already, word for word or in other words, and why."""
        if not self._settings.stories.collapse:
            return None, Because()
        copies, retold = self._nearest(self._lookup(report))
        copy = find_copy(report.fingerprint, self._known(copies, besides), feed, report.at)
        if copy is not None:
            return copy.story, events.copy_because(report, copy.story, copy.report)
        apart = besides.apart if besides else frozenset[str]()
        near = self._known(dict.fromkeys((*copies, *retold)), besides)
        return events.join(report, near, self._frequencies, self._policy, apart=apart, known=self._weights)

    def _nearest(self, found_by: tuple[str, ...]) -> tuple[Sequence[str], Sequence[str]]:
        """Return the stories to compare with: those that were found before, if this poll has added none."""
        known = self._before.get(found_by) if self._own.keys().isdisjoint(found_by) else None
        return known or shortlist(found_by, self._by_key)

    def _known(self, names: Iterable[str], besides: Story | None) -> list[Story]:
        """Return the stories with these ids, as far as they were loaded, but not the ones that a person set apart."""
        barred = {besides.id, *besides.apart} if besides else set()
        known = {name: self._current(name) for name in names if name in self._stories}
        return list({story.id: story for story in known.values() if story.id not in barred}.values())

    def _merge(self, one: Story, other: Story) -> Story:
        """Make two stories one: the earlier, which everybody knows already, takes what the later has."""
        earlier, later = sorted((one, other), key=lambda story: (story.first_at, story.id))
        whole, part = joined_stories(earlier, later)
        if len(whole.feeds) > len(earlier.feeds):
            self._grown[earlier.id] = len(whole.feeds)
        self._merged[later.id] = earlier.id
        self._put(part)
        return self._put(replace(whole, last_at=max(whole.last_at, self._now)))

    def _current(self, name: str) -> Story:
        while name in self._merged:
            name = self._merged[name]
        return self._stories[name]

    def channels(self, rule: RuleConfig) -> tuple[str, ...]:
        """Return every channel of a rule."""
        return notified(rule, self._settings)

    def unreached_channels(self, story: Story, rule: RuleConfig) -> Mapping[str, frozenset[str]]:
        """Return the channels of `rule` where an alert about this story was given up, with the recipients."""
        lost = {channel: self._unreached.of(story.id, channel) for channel in self.channels(rule)}
        return {channel: names for channel, names in lost.items() if names}

    def is_known(self, story: Story) -> bool:
        """Tell whether anybody got, or will get, an alert about this story that was meant for them."""
        return not self._unreached.everywhere(story.id)

    def sources_to_announce(self, story: Story) -> int | None:
        """Return how many feeds carry the story, if this poll made them enough to alert again.

        Not of a story that a person has acknowledged.
        """
        wanted = self._settings.stories.renotify_sources
        grown = wanted and self._grown.get(story.id) == wanted
        return wanted if grown and story.acknowledged_at is None else None

    def record_alert(self, entry: Entry, rule: str, channels: Iterable[str], at: datetime) -> None:
        """Remember that this rule alerts on an attached entry, on these channels."""
        membership = self.membership(entry)
        current = self._current(membership.story)
        self._unreached.reach(current.id, channels)
        reports = tuple(self._now_alerted(current.id, one, rule, membership.origin) for one in current.reports)
        alerted_at = max(at, current.alerted_at or at)
        self._put(
            replace(current, alerted_rules=_with(rule, current.alerted_rules), alerted_at=alerted_at, reports=reports)
        )

    def _now_alerted(self, story: str, report: Report, rule: str, origin: str) -> Report:
        """Return a report, to be written if it is the one whose alert the rule has sent now, for the first time."""
        if report.id != origin or report.alerted_rules is None or rule in report.alerted_rules:
            return report
        changed = replace(report, alerted_rules=_with(rule, report.alerted_rules))
        self._written[report.id] = story, changed
        return changed

    def changed(self) -> tuple[Story, ...]:
        """Return the stories to be written."""
        return tuple(self._stories[name] for name in self._changed)

    def reports(self) -> tuple[tuple[str, Report], ...]:
        """Return the reports to be written, each with the id of its story."""
        return tuple((self._current(story).id, report) for story, report in self._written.values())

    def keys(self) -> tuple[StoryKeys, ...]:
        """Return the keys by which those are found."""
        return tuple(one._replace(story=self._current(one.story).id) for one in self._keys)

    def merged(self) -> tuple[StoryMerge, ...]:
        """Return the stories that became part of others, each with the one that holds it now."""
        return tuple(StoryMerge(name, self._current(name).id) for name in self._merged)

    def _begin(self, report: Report) -> Story:
        story = Story(
            id=report.id,
            title=report.title,
            fingerprint=report.fingerprint,
            feeds=(report.feed,),
            first_at=report.at,
            last_at=report.at,
        )
        return self._add(story, replace(report, origin=report.id, alerted_rules=()))

    def _add(self, story: Story, report: Report) -> Story:
        """Add a report to a story, or write it again."""
        if not story.reports and story.id in self._stories:  # it is from before there were any
            self._written |= {known.id: (story.id, known) for known in reports_of(story)}
        self._written[report.id] = (story.id, report)
        found_by = self._lookup(report)
        self._keys.append(StoryKeys(story.id, report.at, found_by))
        for key in found_by:
            if key in self._unshared:
                continue
            if key not in self._own:
                self._own[key] = self._by_key[key] = dict(self._by_key.get(key, ()))
            self._own[key].pop(story.id, None)  # the oldest stay first
            self._own[key][story.id] = report.at
        others = tuple(known for known in reports_of(story) if known.id != report.id)
        first = (report, *others) if report.id == story.id else (*others, report)
        kept = chosen_reports(story.id, first, KEPT)
        return self._put(replace(story, reports=kept, last_at=max(story.last_at, report.at)))

    def _grow(self, story: Story, report: Report) -> Story:
        last_at = max(story.last_at, report.at)
        if report.feed in story.feeds:
            return self._put(replace(story, last_at=last_at))
        self._grown[story.id] = len(story.feeds) + 1
        return self._put(replace(story, feeds=(*story.feeds, report.feed), last_at=last_at))

    def _put(self, story: Story) -> Story:
        self._stories[story.id] = story
        self._changed[story.id] = None
        return story
