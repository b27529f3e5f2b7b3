"""Readable names for ids and states: titles of rules, outcomes of hits, reasons of deliveries.

The store and JSON keep the engine's words (`held: baseline`); pages and commands say what they mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aggregator.core.model import (
    REPORTED,
    UPDATE_TO,
    Because,
    DeliveryState,
    Hit,
    HitDelivery,
    HitDetail,
    HitState,
    JoinKind,
)
from aggregator.core.model import WAITING as WAITING_STATES
from aggregator.core.text.messages import gettext_noop

if TYPE_CHECKING:  # a poll names outcomes without it
    from aggregator.core.settings import Channel, Config

_UNALERTED = {
    "baseline": gettext_noop("already there at first poll"),
    "alias": gettext_noop("same entry under another id"),
    "too_old": gettext_noop("older than first_poll allows"),
    "max_age": gettext_noop("older than the rule's max_age"),
    "rule removed": gettext_noop("rule removed"),
    "silenced": gettext_noop("silenced"),
    "waits": gettext_noop("alert not decided yet"),
}
_JOINED = {
    JoinKind.COPY: "copy of",
    JoinKind.RETELLING: "same event as",
    JoinKind.FOLLOW_UP: "update to",
    JoinKind.TRANSLATION: "in another language:",
}
_FATES = {"alerted": "alerted on", "waiting": "alert waits for", "failed": "alert failed on"}
_DIGESTS = {
    "flood": gettext_noop("too many at once"),
    "applied": gettext_noop("rule applied to stored entries"),
    REPORTED: gettext_noop("already there at first poll"),
}
_DELIVERY_REASONS = {
    "digest": gettext_noop("waiting for the digest"),
    "quiet hours": gettext_noop("quiet hours"),
    "silenced": gettext_noop("silenced"),
    "cancelled manually": gettext_noop("cancelled manually"),
    "no response; it may have arrived": gettext_noop("no response; it may have arrived"),
    "sent twice without a response; it may have arrived": gettext_noop(
        "sent twice without a response; it may have arrived"
    ),
    "given up after 72 h": gettext_noop("given up after 72 h"),
    "max_per_hour": gettext_noop("rate limit (max_per_hour)"),
    "refused": gettext_noop("rejected by the channel"),
    "deadly": gettext_noop("given up"),
}


WAITING = gettext_noop("alert not decided yet")
COPY = gettext_noop("duplicate of an alerted story")
FOLDED = gettext_noop("same event in other words, already alerted")
BASELINE = f"not alerted: {_UNALERTED['baseline']}"


def rule_titles(config: "Config") -> dict[str, str]:
    """Return the titles of the rules that have one, by id."""
    return {rule.id: rule.title for rule in config.rules if rule.title}


def with_titles(details: Iterable[HitDetail], config: "Config") -> tuple[HitDetail, ...]:
    """Add the titles of rules to their hits; a rule that no longer exists keeps its id."""
    names = rule_titles(config)
    return tuple(replace(detail, rule_title=names.get(detail.hit.rule, detail.rule_title)) for detail in details)


def hit_outcome(hit: Hit) -> str:
    """Say in words what became of a hit: `alerted`, `not alerted: already there at first poll`."""
    if hit.state is HitState.NEW:
        return WAITING
    if hit.state is HitState.COLLAPSED:
        return COPY
    if hit.state is HitState.FOLDED:
        return FOLDED
    if hit.state is HitState.HELD and hit.reason in _DIGESTS:
        return f"alerted in a digest: {_DIGESTS[hit.reason]}"
    if hit.state in (HitState.HELD, HitState.SUPPRESSED):
        return f"not alerted: {_named(_UNALERTED, hit.reason)}".removesuffix(": ")
    return f"alerted: {hit.reason}" if hit.reason else "alerted"


def retold(outcomes: Mapping[str, int]) -> dict[str, int]:
    """Return how many hits were on stories that had been alerted, by what became of them; `outcomes` are in words."""
    updates = sum(count for outcome, count in outcomes.items() if outcome.startswith(f"alerted: {UPDATE_TO}"))
    return {"copy": outcomes.get(COPY, 0), "folded": outcomes.get(FOLDED, 0), "update": updates}


def channels_by_fate(alerts: Iterable[HitDelivery]) -> dict[str, tuple[str, ...]]:
    """Return the channels of alerts by what became of them: alerted, waiting, failed; a channel counts once, at best.

    Alerts that were withdrawn before they were sent count for nothing.
    """
    fates: dict[str, dict[str, None]] = {"alerted": {}, "waiting": {}, "failed": {}}
    for fate, states in (
        ("alerted", (DeliveryState.SENT,)),
        ("waiting", (*WAITING_STATES, DeliveryState.SENDING)),
        ("failed", (DeliveryState.DEAD,)),
    ):
        known = {channel for channels in fates.values() for channel in channels}
        fates[fate] = dict.fromkeys(one.channel for one in alerts if one.state in states and one.channel not in known)
    return {fate: tuple(channels) for fate, channels in fates.items() if channels}


def _alerted_on(alerts: Iterable[HitDelivery]) -> str:
    fates = channels_by_fate(alerts)
    return "".join(f" · {_FATES[fate]} {', '.join(channels)}" for fate, channels in fates.items())


def reasons(
    because: Because | None, feed_title: str = "", earlier_alerts: Iterable[HitDelivery] = ()
) -> tuple[str, ...]:
    """Say why a hit belongs to its story, where that had been alerted, and what it nearly joined, a line each."""
    if because is None:
        return ()
    lines = [f"not joined: {miss.reason} (“{miss.title}”, {miss.feed})" for miss in because.misses]
    if because.kind is None:
        return tuple(lines)
    where = f"“{because.title}” ({feed_title or because.feed}{f', {because.at:%Y-%m-%d %H:%M}' if because.at else ''})"
    if because.kind is JoinKind.PERSON:
        return (f"joined with {where} by {because.by or 'a person'}{_alerted_on(earlier_alerts)}", *lines)
    words = f": {', '.join(because.words)}" if because.words else ""
    doubt = f" · {because.doubt}" if because.doubt else ""
    apart = f" · {because.hours:.1f} h apart{doubt}"
    return (f"{_JOINED[because.kind]} {where}{words}{apart}{_alerted_on(earlier_alerts)}", *lines)


def reason_of_alert(why: str, details: Sequence[HitDetail], *, update: bool) -> str:
    """Say why an alert is sent, and why it is about a story of its own or an old one; a digest of several has no room.

    Of an update, the subject says to what.
    """
    if len({detail.hit.story for detail in details}) != 1:
        return why
    own = "" if update and why.startswith(UPDATE_TO) else why
    return "; ".join(part for part in (own, *reasons(details[0].hit.because)) if part)


def delivery_reason(reason: str) -> str:
    """Say in words why a delivery waits or was given up."""
    return _named(_DELIVERY_REASONS, reason)


def _named(names: Mapping[str, str], reason: str) -> str:
    """Replace the engine's word at the beginning of a reason; what a person wrote may follow (`silenced: air show`)."""
    word, colon, more = reason.partition(": ")
    return names.get(word, word) + colon + more


def channel_service(channel: "Channel") -> str:
    """Return what kind of service a channel is; an Apprise URL shows its scheme and nothing else."""
    schemes = (url.get_secret_value().partition("://")[0] for url in channel.url)
    return channel.service or ", ".join(dict.fromkeys(schemes))
