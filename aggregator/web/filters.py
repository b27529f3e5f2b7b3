"""Template filters for times, durations, counts and states."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo
from functools import cache

from markupsafe import Markup, escape

from aggregator.core import humanize
from aggregator.core.model import FeedState, Health, Hit, HitDetail
from aggregator.core.text.messages import gettext_noop
from aggregator.core.titles import WAITING, delivery_reason, hit_outcome
from aggregator.web.language import current, gettext, pgettext

UNIT = re.compile("[a-z]+")

HEALTH = {
    Health.NEW: gettext_noop("awaiting its first poll"),
    Health.OK: gettext_noop("healthy"),
    Health.FAILING: gettext_noop("failing"),
    Health.SILENT: gettext_noop("unusually quiet"),
    Health.BLOCKED: gettext_noop("blocked by the site"),
    Health.EMPTIED: gettext_noop("responds with no entries"),
    Health.GONE: gettext_noop("gone"),
    Health.MOVED: gettext_noop("moved"),
    Health.PAUSED: gettext_noop("paused"),
}

OUTCOMES = (
    gettext_noop("alerted"),
    gettext_noop("not alerted"),
    gettext_noop("alerted in a digest"),
    gettext_noop("duplicate of an alerted story"),
    WAITING,
)
# What pages call the stored states of feeds, deliveries and attempts, kinds of alerts and priorities.
DISPLAY_NAMES: Mapping[str, str] = {
    "new": gettext_noop("awaiting first poll"),
    "ok": gettext_noop("healthy"),
    "failing": gettext_noop("failing"),
    "silent": gettext_noop("unusually quiet"),
    "blocked": gettext_noop("blocked"),
    "emptied": gettext_noop("empty"),
    "gone": gettext_noop("gone"),
    "moved": gettext_noop("moved"),
    "paused": gettext_noop("paused"),
    "pending": gettext_noop("queued"),
    "sending": gettext_noop("sending"),
    "retry": gettext_noop("retrying"),
    "held": gettext_noop("held"),
    "sent": gettext_noop("sent"),
    "dead": gettext_noop("given up"),
    "suppressed": gettext_noop("not sent"),
    "unknown": gettext_noop("outcome unknown"),
    "hit": gettext_noop("hit"),
    "digest": gettext_noop("digest"),
    "heartbeat": gettext_noop("heartbeat"),
    "health": gettext_noop("health"),
    "dead_letter": gettext_noop("undelivered alert"),
    "test": gettext_noop("test"),
    "low": gettext_noop("low"),
    "normal": gettext_noop("normal"),
    "high": gettext_noop("high"),
}
ATTEMPT_NAMES: Mapping[str, str] = {"retry": gettext_noop("failed"), "dead": gettext_noop("failed for good")}
TIMES = (gettext_noop("now"), gettext_noop("never"))


def span(length: timedelta | float | None) -> str:
    """Format seconds as humanize.span does, with the units of the reader's language."""
    units = _units(current().code)
    return UNIT.sub(lambda unit: units[unit[0]], humanize.span(length))


@cache
def _units(_language: str) -> Mapping[str, str]:
    """Return what stands for the units of `humanize.span` in the current language."""
    return {
        "s": pgettext("unit", "s"),
        "min": pgettext("unit", "min"),
        "h": pgettext("unit", "h"),
        "d": pgettext("unit", "d"),
    }


def ago(at: datetime | None, now: datetime) -> str:
    """Format as humanize.ago does: `14 min ago`, `in 6 min`, `now`, `never`."""
    words = humanize.ago(at, now)
    if at is None or words == "now":
        return gettext(words)
    words = gettext("%(span)s ago") if at < now else gettext("in %(span)s")
    return words % {"span": span(now - at)}


def outcome(hit: Hit) -> str:
    """Say in words what became of a hit."""
    head, colon, reason = hit_outcome(hit).partition(": ")
    return gettext(head) + colon + _translated(reason)


def display_name(word: str) -> str:
    """Name a stored state, kind or priority for people."""
    return gettext(DISPLAY_NAMES.get(word, word))


def attempt_name(attempt: str) -> str:
    """Name the outcome of one attempt, after which an alert may be in the same state still."""
    return gettext(ATTEMPT_NAMES.get(attempt) or DISPLAY_NAMES.get(attempt, attempt))


def reason(word: str) -> str:
    """Say in words why a delivery waits or was given up."""
    return _translated(delivery_reason(word))


def _translated(reason: str) -> str:
    """Translate a reason up to its colon, behind which is what a person wrote."""
    word, colon, more = reason.partition(": ")
    return gettext(word) + colon + more


def moment(at: datetime | None, now: datetime, zone: tzinfo) -> Markup | str:
    """Write `14 min ago` with the instant behind it; made here, since tables have hundreds."""
    if at is None:
        return gettext("never")
    said = f'<time datetime="{at.isoformat()}" title="{escape(full(at, zone))}">{escape(ago(at, now))}</time>'
    return Markup(said)  # noqa: S704 -- all of it is ours, and escaped


def due(at: datetime | None, now: datetime) -> str:
    """Format when something is due: `in 6 min`; if overdue, `due now`."""
    if at is None:
        return gettext("not scheduled")
    return gettext("due now") if at <= now else ago(at, now)


def day_title(day: date, today: date) -> str:
    """Format `Today`, `Yesterday`, `Friday 27 February`, with the year if it is another."""
    if day == today:
        return gettext("Today")
    if day == today - timedelta(days=1):
        return gettext("Yesterday")
    return current().day(day, "weekday" if day.year == today.year else "full")


def clock(at: datetime | None, zone: tzinfo) -> str:
    """Format `14:05` in the reader's zone."""
    return f"{at.astimezone(zone):%H:%M}" if at else "–"


def stamp(at: datetime, now: datetime, zone: tzinfo) -> str:
    """Format `14:05` for today, `2 Mar 14:05` for another day: for lists without day headings."""
    local, today = at.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    return f"{current().day(local.date(), 'day' if local.year == today.year else 'date')} {local:%H:%M}"


def found_later(detail: HitDetail, now: datetime) -> str:
    """Format `found today` where a hit was recorded on another day than its entry was published; else nothing."""
    if not humanize.found_later(detail.dated_at, detail.recorded_at, now):
        return ""
    day, today = detail.recorded_at.astimezone(now.tzinfo).date(), now.date()
    if day == today:
        return gettext("found today")
    if day == today - timedelta(days=1):
        return gettext("found yesterday")
    return gettext("found on %(day)s") % {"day": current().day(day, "day" if day.year == today.year else "date")}


def period(first: datetime, last: datetime, zone: tzinfo) -> str:
    """Format `5 Mar 2026 15:08–15:16 CET`, or both days in full."""
    begin, end = first.astimezone(zone), last.astimezone(zone)
    if begin.date() != end.date():
        return f"{full(first, zone)} – {full(last, zone)}"
    if f"{begin:%H:%M}" == f"{end:%H:%M}":
        return full(first, zone)
    return f"{current().day(begin.date(), 'date')} {begin:%H:%M}–{end:%H:%M} {end.tzname()}"


def full(at: datetime | None, zone: tzinfo) -> str:
    """Format `27 Feb 2026 14:05 CET`."""
    if at is None:
        return gettext("never")
    try:
        local = at.astimezone(zone)
    except OverflowError:  # the last day of the year 9999, which older releases took from feeds
        local = at
    return f"{current().day(local.date(), 'date')} {local:%H:%M} {local.tzname()}"


def capitalize(words: str) -> str:
    """Capitalise the first character; names inside stay as they are."""
    return words[:1].upper() + words[1:]


def count(number: int) -> str:
    """Format `1,234`."""
    return current().number(number)


def amount(number_bytes: int | None) -> str:
    """Format `3.4 GB`."""
    if number_bytes is None:
        return "–"
    size = float(number_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{current().decimal(f'{size:.1f}')} {unit}"
        size /= 1000
    return f"{current().decimal(f'{size:.1f}')} TB"


def health(state: FeedState, now: datetime) -> str:
    """Describe a feed's health, with how long it has been so."""
    words = gettext(HEALTH[state.health])
    since = state.failing_since if state.health is Health.FAILING else state.health_since
    if since and state.health not in (Health.NEW, Health.OK):
        words = gettext("%(state)s for %(span)s") % {"state": words, "span": span(now - since)}
    return words
