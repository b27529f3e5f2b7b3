"""The health of feeds, and the changes of it that deserve a notice.

             3 failures           a success
    OK ───────────────▶ FAILING ─────────────▶ OK      BLOCKED as well: 2 answers that are
    │                                                   a challenge, a login page or plain HTML
    ├─ 410 ───────────▶ GONE      polling stops
    ├─ no entry for k × its usual gap ▶ SILENT   until it speaks
    ├─ no entries in the document ────▶ EMPTIED  until they are back
    └─ a permanent move was confirmed ▶ MOVED    for one poll

Hysteresis is in the counts: a single failure changes nothing, and one bad state never turns into
another without a success between them (only GONE ends all). So every change is worth a notice.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from aggregator.core.errors import AggregatorError, BadStatus, ParseError
from aggregator.core.humanize import span
from aggregator.core.model import FeedState, Health, Notice

if TYPE_CHECKING:
    from aggregator.core.settings import HealthSettings

FAILURES = 3
REFUSALS = 2
REFUSED = frozenset({"html", "login page", "challenge"})
MIN_SILENCE_S = 86_400.0
UNHEALTHY = frozenset({Health.FAILING, Health.BLOCKED})
NOTABLE = frozenset({*UNHEALTHY, Health.GONE, Health.SILENT, Health.EMPTIED, Health.MOVED})


class FeedSigns(Struct, frozen=True, kw_only=True):
    """The evidence of a successful poll: entries in the whole document (None: not parsed), and rhythm.

    `nothing`: a selector found nothing, which is wrong from the first poll on.
    """

    items: int | None = None
    nothing: bool = False
    moved: bool = False
    quiet_s: float = 0.0
    gap_s: float | None = None


def health_after_success(state: FeedState, signs: FeedSigns, silent_after: float) -> Health:
    """Return the health of a feed after a successful poll; `state` is the one before."""
    if signs.moved:
        return Health.MOVED
    if signs.nothing or _is_emptied(state, signs.items):
        return Health.EMPTIED
    just_back = state.failures > 0
    return Health.SILENT if not just_back and is_silent(signs.quiet_s, signs.gap_s, silent_after) else Health.OK


def is_proven(state: FeedState) -> bool:
    """Tell whether a feed's last poll went well: some workers and places are reserved for such feeds."""
    return state.last_ok_at is not None and state.failures == 0


def is_silent(quiet_s: float, gap_s: float | None, silent_after: float) -> bool:
    """Tell whether a feed is quiet for longer than `silent_after` of its usual gaps, and for at least a day."""
    return gap_s is not None and quiet_s > max(silent_after * gap_s, MIN_SILENCE_S)


def _is_emptied(state: FeedState, items: int | None) -> bool:
    if items is None:
        return state.health is Health.EMPTIED
    return items == 0 and (state.items > 0 or state.health is Health.EMPTIED)


def health_after_error(state: FeedState, error: AggregatorError, failures: int) -> Health:
    """Return the health of a feed whose poll failed for the `failures`-th time in a row."""
    health = _under_pause(state)
    if health is Health.GONE:
        return health
    if isinstance(error, BadStatus) and error.status == 410:
        return Health.GONE
    if health in UNHEALTHY:
        return health
    if refusal(error) and failures >= REFUSALS:
        return Health.BLOCKED
    return Health.FAILING if failures >= FAILURES else health


def _under_pause(state: FeedState) -> Health:
    """Return the health of a feed as it is without a pause, which a person sets."""
    if state.health is not Health.PAUSED:
        return state.health
    return Health.NEW if state.last_ok_at is None else Health.OK


def refusal(error: AggregatorError) -> str | None:
    """Return what the host sent instead of the feed: `challenge`, `login page` or `html`; None: something else."""
    found = error.found if isinstance(error, BadStatus | ParseError) else ""
    return found if found in REFUSED else None


def transition(before: FeedState, after: FeedState, settings: "HealthSettings", now: datetime) -> Notice | None:
    """Return the notice for a change of health, or None; a paused feed gets none."""
    if before.health is after.health or before.health is Health.PAUSED:
        return None
    name = after.title or after.id
    if after.health in NOTABLE:
        return Notice(title=f"{name}: {_headline(after)}", body=_notice_body(before, after, settings, now))
    if after.health is Health.OK and before.health in NOTABLE - {Health.MOVED}:
        since = f" since {_when(before.health_since)}" if before.health_since else ""
        return Notice(title=f"{name}: recovered", body=f"It was {before.health.value}{since}.")
    return None


def gap_notice(state: FeedState) -> Notice:
    """Build the notice that entries may have come and gone between two polls."""
    every = f" It is now polled every {span(state.interval_s)}." if state.interval_s else ""
    return Notice(
        title=f"{state.title or state.id}: entries may have been missed",
        body=f"Every one of its {state.items} entries was new, so others may have come and gone since the last poll."
        f"{every} If this happens again, set a shorter `every`.",
    )


def _headline(after: FeedState) -> str:
    match after.health:
        case Health.FAILING:
            return "cannot be polled"
        case Health.BLOCKED:
            return "blocked by the site"
        case Health.GONE:
            return "permanently removed"
        case Health.SILENT:
            return "unusually quiet"
        case Health.EMPTIED:
            return "no longer has any entries"
        case _:
            return "has moved"


def _notice_body(before: FeedState, after: FeedState, settings: "HealthSettings", now: datetime) -> str:
    match after.health:
        case Health.FAILING | Health.BLOCKED:
            since = f" since {_when(after.failing_since)}" if after.failing_since else ""
            again = f" Next attempt: {_when(after.next_poll_at)}." if after.next_poll_at else ""
            return f"{after.failures} polls failed{since}: {_sentence(after.last_error)}{again}"
        case Health.GONE:
            return f"{_sentence(after.last_error)} It is no longer polled; its entries are kept."
        case Health.SILENT:
            return _silence(after, settings, now)
        case Health.EMPTIED:
            if after.last_error:
                return (
                    f"{_sentence(after.last_error)} It had {before.items} entries."
                    if before.items
                    else (_sentence(after.last_error))
                )
            return f"The feed responds but has no entries; it had {before.items}."
        case _:
            return f"It is now fetched from {after.url}; the configuration still has {after.configured_url}."


def _sentence(error: str | None) -> str:
    """End an error with exactly one full stop."""
    return f"{(error or '').rstrip('.')}."


def _silence(after: FeedState, settings: "HealthSettings", now: datetime) -> str:
    last = after.last_new_at or after.first_polled_at or now
    return (
        f"No new entry for {span(now - last)}; usually there is one every {span(after.gap_s or 0)}"
        f" (reported after {settings.silent_after:g} times that, and at least a day)."
    )


def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "the start"
