"""What becomes of each hit of one poll. The first that applies decides, and names its reason:

1. silenced by a person            → suppressed
2. known before: baseline, alias   → held
3. too old for its feed or rule    → held
4. one of many at once             → held, told in one digest
5. the rule waits for more         → held, until its threshold is met
6. its story was told already      → collapsed
7. otherwise                       → alerted
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aggregator.core.model import (
    Entry,
    Fingerprint,
    Hit,
    HitState,
    Kind,
    Question,
    Reason,
    Routed,
    RuleHistory,
    Silence,
    Story,
    Surroundings,
)
from aggregator.core.routing.deliveries import Telling, deliveries, no_recipients
from aggregator.core.routing.story_index import Ledger, notified
from aggregator.core.rules.triggers import fires
from aggregator.core.settings import Channel, RuleConfig, Settings
from aggregator.core.stories import fingerprint

MOST_UPDATES = 3
STALE = frozenset({Reason.BASELINE, Reason.ALIAS, Reason.TOO_OLD})  # never told, so they need no story
FIRST_SEEN = frozenset({Reason.NEW, Reason.BASELINE, Reason.FLOOD, Reason.ALIAS, Reason.TOO_OLD})
WAITS = "waits"
SPIKE_WINDOWS = 29  # the present one, and what is usual


def fingerprints(entries: Iterable[Entry]) -> dict[str, Fingerprint]:
    """By key, the fingerprints of those entries that need a story."""
    return {entry.key: fingerprint(entry) for entry in entries if entry.reason not in STALE}


def question(
    hits: Sequence[Hit],
    entries: Mapping[str, Entry],
    rules: Mapping[str, RuleConfig],
    settings: Settings,
    now: datetime,
    known: Mapping[str, Fingerprint] | None = None,
) -> Question | None:
    """What the store must look up before these hits are routed; None where there are none.

    `entries` are the entries of the hits, by key; `known` their `fingerprints`, if they are made already.
    """
    if not hits:
        return None
    asked = {hit.rule: rules[hit.rule] for hit in hits if hit.rule in rules and conditional(rules[hit.rule])}
    histories = tuple((name, now - timedelta(seconds=looks_back_s(rule))) for name, rule in asked.items())
    edited = tuple(hit.id for hit in hits if entries[hit.entry_key].reason not in FIRST_SEEN)
    if not settings.stories.collapse:
        return Question(hits=edited, histories=histories)
    if known is None:
        known = fingerprints(entries[key] for key in dict.fromkeys(hit.entry_key for hit in hits))
    return Question(
        hits=edited,
        fingerprints=tuple(known.values()),
        stories_since=now - timedelta(seconds=settings.stories.window_s),
        histories=histories,
    )


def route(
    hits: Sequence[Hit],
    entries: Mapping[str, Entry],
    rules: Mapping[str, RuleConfig],
    channels: Mapping[str, Channel],
    settings: Settings,
    surroundings: Surroundings,
    now: datetime,
    *,
    recipients: Callable[[Channel], Sequence[str]] = no_recipients,
    fingerprints: Mapping[str, Fingerprint] | None = None,
    part: int = 0,
) -> Routed:
    """Decide about every hit of one poll that is not known yet, oldest entry first.

    Run twice on the same input it gives the same ids, so a repeated commit tells nothing twice.
    `recipients` names those that a channel reaches, each of whom gets a delivery of his own;
    `fingerprints` as for `question`; `part` counts the parts of a poll that is written in several,
    each of which tells what is its own.
    """
    ledger = Ledger(surroundings.stories, rules, settings, now, fingerprints or {})
    fresh = (hit for hit in hits if hit.id not in surroundings.known)
    ordered = sorted(fresh, key=lambda hit: (entries[hit.entry_key].published_at or now, hit.entry_key, hit.rule))
    verdicts = [_judge(hit, entries[hit.entry_key], rules.get(hit.rule), surroundings, ledger, now) for hit in ordered]
    verdicts = _thresholds(verdicts, rules, settings, surroundings.histories, now)
    tellings = [telling for verdict in verdicts for telling in verdict.tellings]
    if part:
        tellings = [t if t.story else replace(t, subject=(*t.subject, f"part {part}")) for t in tellings]
    return Routed(
        hits=tuple(verdict.hit for verdict in verdicts),
        stories=ledger.changed(),
        deliveries=deliveries(tellings, channels, now, recipients),
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    hit: Hit
    tellings: tuple[Telling, ...] = ()


def _judge(
    hit: Hit, entry: Entry, rule: RuleConfig | None, around: Surroundings, ledger: Ledger, now: datetime
) -> _Verdict:
    story = None if entry.reason in STALE else ledger.attach(entry)
    hit = replace(hit, story=story.id if story else None)
    if rule is None:
        return _Verdict(replace(hit, state=HitState.HELD, reason="rule removed"))
    if silence := _silence(hit, around.silences, now):
        reason = f"silenced: {silence.reason}" if silence.reason else "silenced"
        return _Verdict(replace(hit, state=HitState.SUPPRESSED, reason=reason))
    if story is None:
        return _Verdict(replace(hit, state=HitState.HELD, reason=str(entry.reason)))
    if reason := _stale(entry, rule, now):
        return _Verdict(replace(hit, state=HitState.HELD, reason=reason))
    if entry.reason in (Reason.FLOOD, Reason.APPLIED):
        return _together(hit, entry, rule, story, ledger, now)
    if conditional(rule):
        return _Verdict(replace(hit, state=HitState.HELD, reason=WAITS))
    return _tell(hit, entry, rule, story, ledger)


def _stale(entry: Entry, rule: RuleConfig, now: datetime) -> str:
    """Why this entry is no news, or an empty string."""
    if (
        rule.max_age_s is not None
        and entry.published_at
        and now - entry.published_at > timedelta(seconds=rule.max_age_s)
    ):
        return "max_age"
    if entry.reason is Reason.CHANGED and rule.on_update and entry.version > MOST_UPDATES + 1:
        return f"told of {MOST_UPDATES} updates already"
    return ""


def _together(hit: Hit, entry: Entry, rule: RuleConfig, story: Story, ledger: Ledger, now: datetime) -> _Verdict:
    """One of many at once: a feed's flood, or a rule that is applied to what is stored. One digest tells all."""
    channels = ledger.untold(hit.entry_key, rule)
    ledger.tell(story, rule.id)
    flood = entry.reason is Reason.FLOOD
    digest = Telling(
        subject=(entry.reason, hit.feed if flood else rule.id, now.isoformat()),
        kind=Kind.DIGEST,
        rule=rule,
        hits=(hit.id,),
        channels=channels,
        title=f"Many new entries in {hit.feed}" if flood else f"{rule.title or rule.id}: found in stored entries",
    )
    return _Verdict(replace(hit, state=HitState.HELD, reason=str(entry.reason)), (digest,))


def _tell(hit: Hit, entry: Entry, rule: RuleConfig, story: Story, ledger: Ledger) -> _Verdict:
    spread = ledger.spread(story)
    if entry.reason is Reason.CHANGED and rule.on_update:
        occasion, channels = f"version {entry.version}", ledger.channels(rule)
    elif spread is not None:
        occasion, channels = f"{spread} feeds", ledger.channels(rule)
    else:
        occasion, channels = "first", ledger.untold(hit.entry_key, rule)
    if not channels and ledger.channels(rule):
        return _Verdict(replace(hit, state=HitState.COLLAPSED, reason="story told already"))
    ledger.tell(story, rule.id)
    telling = Telling(
        subject=("entry", hit.feed, hit.entry_key, occasion),
        kind=Kind.HIT,
        rule=rule,
        hits=(hit.id,),
        channels=channels,
        title=entry.title or rule.title or rule.id,
        story=story.id,
    )
    return _Verdict(replace(hit, state=HitState.ALERTED, reason=""), (telling,))


def _thresholds(
    verdicts: Sequence[_Verdict],
    rules: Mapping[str, RuleConfig],
    settings: Settings,
    histories: Iterable[RuleHistory],
    now: datetime,
) -> list[_Verdict]:
    """Ask each rule that waits for more whether this poll's hits were enough."""
    known = {history.rule: history for history in histories}
    decided = list(verdicts)
    for name in dict.fromkeys(v.hit.rule for v in verdicts if v.hit.reason == WAITS):
        places = [i for i, v in enumerate(verdicts) if v.hit.rule == name and v.hit.reason == WAITS]
        history = known.get(name, RuleHistory(rule=name))
        fresh = tuple((verdicts[i].hit.created_at, verdicts[i].hit.feed, verdicts[i].hit.id) for i in places)
        verdict = fires(rules[name], replace(history, hits=(*history.hits, *fresh)), now)
        state = HitState.ALERTED if verdict.fires else HitState.HELD
        for i in places:
            decided[i] = _Verdict(replace(verdicts[i].hit, state=state, reason=verdict.reason))
        if verdict.fires:
            telling = Telling(
                subject=("threshold", name, now.isoformat()),
                kind=Kind.HIT,
                rule=rules[name],
                hits=verdict.hits,
                channels=notified(rules[name], settings),
                title=f"{rules[name].title or name}: {verdict.reason}",
            )
            decided[places[-1]] = replace(decided[places[-1]], tellings=(telling,))
    return decided


def conditional(rule: RuleConfig) -> bool:
    """Does this rule alert only when there is more than one hit to tell?"""
    return rule.threshold is not None or rule.spike is not None or rule.first_in_s is not None


def looks_back_s(rule: RuleConfig) -> float:
    """How many seconds of its own past such a rule needs to decide."""
    threshold_s = rule.threshold.within_s if rule.threshold else 0.0
    spike_s = rule.spike.within_s * SPIKE_WINDOWS if rule.spike else 0.0
    return max(threshold_s, spike_s, rule.first_in_s or 0.0)


def _silence(hit: Hit, silences: Iterable[Silence], now: datetime) -> Silence | None:
    """A silence that is alive and names nothing but what this hit has."""
    return next((s for s in silences if silenced(hit.rule, hit.feed, hit.story, s, now)), None)


def silenced(rule: str, feed: str, story: str | None, silence: Silence, now: datetime) -> bool:
    """Does a silence cover a hit? What it does not name, it does not ask about."""
    named = [(silence.rule, rule), (silence.feed, feed), (silence.story, story)]
    wishes = [(wish, has) for wish, has in named if wish is not None]
    return now < silence.until_at and bool(wishes) and all(wish == has for wish, has in wishes)
