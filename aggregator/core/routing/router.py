"""Routing of each hit of one poll. The first case that applies decides, and gives the reason:

1. silenced by a person            → suppressed
2. known before: baseline, alias   → held
3. too old for its feed or rule    → held
4. one of many at once             → held, reported in one digest
5. the rule waits for more         → held, until its threshold is met
6. its rule knows this report      → collapsed
7. its rule knows the event        → folded, if it is the same event in other words, soon after; else an update
8. otherwise                       → alerted
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from msgspec import structs

from aggregator.core import events
from aggregator.core.model import (
    NO_FREQUENCIES,
    NO_VOCABULARY,
    UPDATE_TO,
    AlertKind,
    Because,
    Delivery,
    Entry,
    Frequencies,
    Hit,
    HitDetail,
    HitState,
    JoinKind,
    Reason,
    Report,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    RuleHistory,
    Silence,
    Story,
    Vocabulary,
)
from aggregator.core.routing.deliveries import PlannedAlert, Recipients, deliveries
from aggregator.core.routing.story_index import EntryRef, StoryIndex, Unreached, came, lookup, notified, story_ids
from aggregator.core.rules.triggers import fires, lookback_s
from aggregator.core.settings import Channel, RuleConfig, Settings
from aggregator.core.stories import fingerprint

MAX_UPDATES = 3
STALE = frozenset({Reason.BASELINE, Reason.ALIAS, Reason.TOO_OLD})  # never alerted, so they need no story
FIRST_SEEN = frozenset({Reason.NEW, Reason.BASELINE, Reason.FLOOD, Reason.ALIAS, Reason.TOO_OLD})
WAITS = "waits"
UNSENT = "an earlier alert of this story was not sent"
REASONS = {HitState.COLLAPSED: "story already alerted", HitState.FOLDED: "same event, already alerted"}


def describe(
    entries: Iterable[Entry], hits: Iterable[Hit], now: datetime, vocabulary: Vocabulary = NO_VOCABULARY
) -> dict[EntryRef, Report]:
    """Describe those entries that need a story, as reports of an event; `hits` say which words were searched for."""
    described = [entry for entry in entries if entry.reason not in STALE]
    terms: dict[EntryRef, set[str]] = {}
    for hit in hits:
        terms.setdefault((hit.feed, hit.entry_key), set()).update(span.text for span in hit.spans)
    reports = [
        Report(
            id=story_ids(entry)[-1],
            feed=entry.feed,
            title=entry.title,
            at=came(entry, now),
            fingerprint=fingerprint(entry, sorted(terms.get((entry.feed, entry.key), ()))),
            features=events.features(entry, vocabulary.recurring.get(entry.feed, frozenset())),
        )
        for entry in described
    ]
    if vocabulary.model:
        reports = events.with_meaning(reports, map(events.meant, described))
    return {(entry.feed, entry.key): report for entry, report in zip(described, reports, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Route hits by the rules, channels and settings of one configuration."""

    rules: Mapping[str, RuleConfig]
    channels: Mapping[str, Channel]
    settings: Settings
    recipients: Recipients

    def query(
        self,
        hits: Sequence[Hit],
        entries: Iterable[Entry],
        now: datetime,
        reports: Mapping[EntryRef, Report],
        frequencies: Frequencies = NO_FREQUENCIES,
    ) -> RoutingQuery | None:
        """Return what the store must look up before these hits are routed; None without hits.

        `entries` are the entries of the hits, `reports` describe them; `frequencies` weigh their words, and must be
        the same for `route`.
        """
        if not hits:
            return None
        rules, settings = self.rules, self.settings.stories
        asked = {hit.rule: rules[hit.rule] for hit in hits if hit.rule in rules and conditional(rules[hit.rule])}
        histories = tuple((name, now - timedelta(seconds=lookback_s(rule))) for name, rule in asked.items())
        edited = {(entry.feed, entry.key) for entry in entries if entry.reason not in FIRST_SEEN or entry.version > 1}
        question = RoutingQuery(
            hits=tuple(hit.id for hit in hits if (hit.feed, hit.entry_key) in edited),
            entries=tuple(sorted(edited)),
            histories=histories,
        )
        if not settings.collapse:
            return question
        first_at = min((report.at for report in reports.values()), default=now)
        return structs.replace(
            question,
            lookups=tuple(lookup(report, frequencies, settings) for report in reports.values()),
            stories_since=first_at - timedelta(seconds=settings.window_s),
            events_since=first_at - events.EVENT_AGE,
        )

    def route(
        self,
        hits: Sequence[Hit],
        entries: Iterable[Entry],
        now: datetime,
        context: RoutingContext,
        *,
        reports: Mapping[EntryRef, Report],
        frequencies: Frequencies = NO_FREQUENCIES,
        question: RoutingQuery | None = None,
        part: int = 0,
    ) -> RoutingResult:
        """Decide about every hit of one poll that is not known yet, oldest entry first.

        The same input gives the same ids, so a repeated commit sends nothing twice. `context` is the answer
        to `query`, `reports` and `frequencies` as there; `question` is what it returned, which spares working out
        again by what each report is found. `part` counts the parts of a poll that is written in several, each of
        which has its own alerts.
        """
        rules, settings = self.rules, self.settings
        found = {(entry.feed, entry.key): entry for entry in entries}
        unreached = Unreached(context.undelivered, self.recipients.of)
        lookups = dict(zip(reports, question.lookups, strict=True)) if question and question.lookups else {}
        index = StoryIndex(context, settings, now, reports, frequencies, unreached, lookups)
        ordered = sorted(((found[h.feed, h.entry_key], h) for h in hits), key=lambda one: _oldest_first(*one))
        verdicts, reasons = [], []
        for entry, hit in ordered:
            if hit.id not in context.known:
                verdicts.append(_decide(hit, entry, rules.get(hit.rule), context, index, now))
            elif (entry.feed, entry.key) in context.homes and (entry.feed, entry.key) in reports:
                index.attach(entry)
                if index.membership(entry).kind is not None:
                    reasons.append((hit.id, index.membership(entry).because))
        verdicts = _thresholds(verdicts, rules, settings, context.histories, now)
        details = [detail for verdict in verdicts for detail in verdict.hits]
        if part:
            details = [t if t.story else replace(t, subject=(*t.subject, f"part {part}")) for t in details]
        routed, merged = [verdict.hit for verdict in verdicts], index.merged()
        renamed = {one.story: one.into for one in merged}
        details = [replace(t, story=renamed[t.story]) if t.story in renamed else t for t in details]
        return RoutingResult(
            hits=tuple(structs.replace(h, story=renamed[h.story]) if h.story in renamed else h for h in routed),
            stories=index.changed(),
            reports=index.reports(),
            keys=index.keys(),
            reasons=tuple(reasons),
            merged=merged,
            deliveries=deliveries(details, self.channels, now, self.recipients),
            redelivered=unreached.reached,
        )

    def digest_baseline(self, details: Sequence[HitDetail], now: datetime) -> tuple[Delivery, ...]:
        """Return one digest, for each recipient of their rules' channels, of hits that nobody was alerted to.

        A rule that no longer exists has no channels. A person asks for it, so it is due now, whenever rules deliver.
        """
        by_rule: dict[str, list[str]] = {}
        for detail in details:
            by_rule.setdefault(detail.hit.rule, []).append(detail.hit.id)
        count = sum(len(found) for name, found in by_rule.items() if name in self.rules)
        planned = [
            PlannedAlert(
                subject=(Reason.BASELINE, now.isoformat()),
                kind=AlertKind.DIGEST,
                rule=self.rules[name].model_copy(update={"deliver": "instant"}),
                hits=tuple(found),
                channels=notified(self.rules[name], self.settings),
                title=f"{count:,} {'hit' if count == 1 else 'hits'} from before the first poll",
            )
            for name, found in by_rule.items()
            if name in self.rules
        ]
        return deliveries(planned, self.channels, now, self.recipients)


def _oldest_first(entry: Entry, hit: Hit) -> tuple[datetime, str, str, str]:
    return entry.dated_at, entry.key, entry.feed, hit.rule


@dataclass(frozen=True, slots=True)
class _Decision:
    hit: Hit
    hits: tuple[PlannedAlert, ...] = ()


def _decide(
    hit: Hit, entry: Entry, rule: RuleConfig | None, context: RoutingContext, index: StoryIndex, now: datetime
) -> _Decision:
    story = None if entry.reason in STALE else index.attach(entry)
    if story is not None:
        because = index.membership(entry).because
        hit = structs.replace(hit, story=story.id, because=because if because != Because() else None)
    if rule is None:
        return _Decision(structs.replace(hit, state=HitState.HELD, reason="rule removed"))
    if silence := _active_silence(hit, context.silences, now):
        reason = f"silenced: {silence.reason}" if silence.reason else "silenced"
        return _Decision(structs.replace(hit, state=HitState.SUPPRESSED, reason=reason))
    if story is None:
        return _Decision(structs.replace(hit, state=HitState.HELD, reason=str(entry.reason)))
    if reason := _is_stale(entry, rule, now):
        return _Decision(structs.replace(hit, state=HitState.HELD, reason=reason))
    if entry.reason in (Reason.FLOOD, Reason.APPLIED):
        return _join_digest(hit, entry, rule, story, index, now)
    if conditional(rule):
        return _Decision(structs.replace(hit, state=HitState.HELD, reason=WAITS))
    return _plan_alert(hit, entry, rule, story, index, now)


def _is_stale(entry: Entry, rule: RuleConfig, now: datetime) -> str:
    """Return why this entry is too old to alert, or an empty string."""
    if (
        rule.max_age_s is not None
        and entry.published_at
        and now - entry.published_at > timedelta(seconds=rule.max_age_s)
    ):
        return "max_age"
    if entry.reason is Reason.CHANGED and rule.on_update and entry.version > MAX_UPDATES + 1:
        return f"{MAX_UPDATES} updates already alerted"
    return ""


def _treatment(entry: Entry, rule: RuleConfig, index: StoryIndex) -> HitState:
    """Return what becomes of a hit on a story by what its rule has alerted of it before.

    A rule's first hit on a story is alerted, whatever other rules have done; so is what happens later, what is in
    doubt, and what is in another language (as an update). A copy is not, and the same event in other words is not
    unless the rule wants it, or has not alerted on what it copies or retells (it did not match, or was silenced).
    """
    membership = index.membership(entry)
    if rule.id not in membership.alerted_before or (entry.reason is Reason.CHANGED and rule.on_update):
        return HitState.ALERTED
    if membership.kind in (JoinKind.COPY, JoinKind.RETELLING) and rule.id not in membership.known_to:
        return HitState.ALERTED
    if membership.kind is JoinKind.RETELLING:
        folds = rule.retellings == "fold" and rule.priority != "high" and rule.id not in index.unfolding
        return HitState.FOLDED if folds else HitState.ALERTED
    later = membership.kind in (JoinKind.FOLLOW_UP, JoinKind.TRANSLATION)
    return HitState.ALERTED if later else HitState.COLLAPSED


def _is_update(entry: Entry, rule: RuleConfig, index: StoryIndex) -> bool:
    """Tell whether an alert of this rule continues an earlier one, and says so."""
    membership = index.membership(entry)
    copied = membership.kind is JoinKind.COPY and rule.id not in membership.known_to
    retold = copied or membership.kind in (JoinKind.RETELLING, JoinKind.FOLLOW_UP, JoinKind.TRANSLATION)
    alone = membership.kind is JoinKind.RETELLING and rule.retellings == "alert"
    return retold and not alone and rule.id in membership.alerted_before


def _join_digest(hit: Hit, entry: Entry, rule: RuleConfig, story: Story, index: StoryIndex, now: datetime) -> _Decision:
    """Add one of many hits to a digest: of a feed's flood, or of a rule applied to stored entries."""
    treatment, only = _treatment(entry, rule, index), index.unreached_channels(story, rule)
    state = HitState.FOLDED if treatment is HitState.FOLDED else HitState.HELD
    reason = REASONS[treatment] if treatment is HitState.FOLDED else str(entry.reason)
    channels = index.channels(rule) if treatment is HitState.ALERTED else tuple(only)
    if not channels and treatment is not HitState.ALERTED:
        return _Decision(structs.replace(hit, state=state, reason=reason))
    index.record_alert(entry, rule.id, channels, came(entry, now))
    flood = entry.reason is Reason.FLOOD
    digest = PlannedAlert(
        subject=(entry.reason, hit.feed if flood else rule.id, now.isoformat()),
        kind=AlertKind.DIGEST,
        rule=rule,
        hits=(hit.id,),
        channels=channels,
        only={} if treatment is HitState.ALERTED else only,
        title=f"Many new entries in {hit.feed}" if flood else f"{rule.title or rule.id}: matches in stored entries",
    )
    return _Decision(structs.replace(hit, state=HitState.HELD, reason=str(entry.reason)), (digest,))


def _plan_alert(hit: Hit, entry: Entry, rule: RuleConfig, story: Story, index: StoryIndex, now: datetime) -> _Decision:
    spread, treatment = index.sources_to_announce(story), _treatment(entry, rule, index)
    only: Mapping[str, frozenset[str]] = {}
    channels = index.channels(rule)
    occasion = "first" if entry.version == 1 else f"first, version {entry.version}"
    if entry.reason is Reason.CHANGED and rule.on_update:
        occasion = f"version {entry.version}"
    elif treatment is not HitState.ALERTED and spread is not None:
        occasion = f"{spread} feeds"
    elif treatment is not HitState.ALERTED:
        only = index.unreached_channels(story, rule)
        channels = tuple(only)
        if not channels:
            return _Decision(structs.replace(hit, state=treatment, reason=REASONS[treatment]))
    # Who never got the first alert gets it now, not an update of it.
    update = _is_update(entry, rule, index) and not only and index.is_known(story)
    alerted = index.membership(entry).alerted_before
    reason = f"{UPDATE_TO}{story.title}" if update else ""
    if only:
        reason = UNSENT
    elif occasion == f"{spread} feeds":
        reason = f"{spread} feeds carry this story now"
    elif alerted and rule.id not in alerted:
        reason = f"also matches {rule.title or rule.id}"
    index.record_alert(entry, rule.id, channels, now)
    detail = PlannedAlert(
        subject=("entry", hit.feed, hit.entry_key, occasion),
        kind=AlertKind.HIT,
        rule=rule,
        hits=(hit.id,),
        channels=channels,
        only=only,
        title=f"Update to: {story.title}" if update and story.title else entry.title or rule.title or rule.id,
        story=story.id,
        update=update,
    )
    return _Decision(structs.replace(hit, state=HitState.ALERTED, reason=reason), (detail,))


def _thresholds(
    verdicts: Sequence[_Decision],
    rules: Mapping[str, RuleConfig],
    settings: Settings,
    histories: Iterable[RuleHistory],
    now: datetime,
) -> list[_Decision]:
    """Ask each rule that waits for more whether this poll's hits were enough."""
    known = {history.rule: history for history in histories}
    decided = list(verdicts)
    for name in dict.fromkeys(v.hit.rule for v in verdicts if v.hit.reason == WAITS):
        places = [i for i, v in enumerate(verdicts) if v.hit.rule == name and v.hit.reason == WAITS]
        history = known.get(name, RuleHistory(rule=name))
        new_hits = tuple((verdicts[i].hit.created_at, verdicts[i].hit.feed, verdicts[i].hit.id) for i in places)
        verdict = fires(rules[name], structs.replace(history, hits=(*history.hits, *new_hits)), now)
        state = HitState.ALERTED if verdict.fires else HitState.HELD
        for i in places:
            decided[i] = _Decision(structs.replace(verdicts[i].hit, state=state, reason=verdict.reason))
        if verdict.fires:
            detail = PlannedAlert(
                subject=("threshold", name, now.isoformat()),
                kind=AlertKind.HIT,
                rule=rules[name],
                hits=verdict.hits,
                channels=notified(rules[name], settings),
                title=f"{rules[name].title or name}: {verdict.reason}",
            )
            decided[places[-1]] = replace(decided[places[-1]], hits=(detail,))
    return decided


def conditional(rule: RuleConfig) -> bool:
    """Tell whether this rule alerts only on more than one hit."""
    return rule.threshold is not None or rule.spike is not None or rule.first_in_s is not None


def _active_silence(hit: Hit, silences: Iterable[Silence], now: datetime) -> Silence | None:
    """Return an active silence that names nothing but what this hit has."""
    return next((s for s in silences if silenced(hit.rule, hit.feed, hit.story, s, now)), None)


def silenced(rule: str, feed: str, story: str | None, silence: Silence, now: datetime) -> bool:
    """Tell whether a silence covers a hit; what the silence does not name does not matter."""
    named = [(silence.rule, rule), (silence.feed, feed), (silence.story, story)]
    requests = [(request, has) for request, has in named if request is not None]
    return now < silence.until_at and bool(requests) and all(request == has for request, has in requests)
