"""The polling policy: how a poll changes a feed's state, and when the feed is polled again.

Servers may slow us down, never speed us up:

    next = now + max(interval, max-age or Expires, ttl, sy) · spread     at most 7 days
           not before Retry-After                                        at most 31 days
           out of skipHours and skipDays; never sooner than min_interval

Nothing here reads a clock or rolls dice: spread is derived from the feed's id (intervals.py).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aggregator.core.errors import AggregatorError, BadStatus, FetchError
from aggregator.core.findings import SUSPECT_DEATHS
from aggregator.core.model import (
    CacheHints,
    FeedHints,
    FeedState,
    Fetched,
    Health,
    HostLimit,
    NotModified,
    ParsedFeed,
    ParseLevel,
    Validators,
)
from aggregator.core.polling import health, redirects
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.intervals import (
    DAY_S,
    HOUR_S,
    JITTER,
    WEEK_S,
    adaptive_interval,
    backoff,
    blended_gap,
    hash_fraction,
    jittered,
    out_of_skipped,
    phase,
    shortened,
    usual_gap,
)
from aggregator.core.text.sanitize import clean_text

if TYPE_CHECKING:
    from aggregator.core.settings import Feed, Polling

MAX_HINT_S = WEEK_S
MAX_RETRY_AFTER_S = 31 * DAY_S
MAX_WAIT = timedelta(days=31)
REFUSALS_BEFORE_PROBES = timedelta(days=3)
PROBE_S = WEEK_S
BACKSTOP_S = HOUR_S
OWN_FAULT_S = 60.0
FIRST_REST_S, REST_FACTOR = 5.0, 4.0  # after the second death 5 s, then 20 s, 80 s, 5 min, …, a day
ASKS_FOR_LESS = frozenset({429, 503})
LIKELY_FINAL = frozenset({401, 403, 404})
NO_HINTS = CacheHints()
NO_FEED_HINTS = FeedHints()
PLACES = {level: place for place, level in enumerate(ParseLevel)}
COUNTED = frozenset({ParseLevel.DELTA, ParseLevel.FULL})


def after_success(
    state: FeedState,
    feed: "Feed",
    polling: "Polling",
    *,
    response: Fetched | NotModified,
    parsed: ParsedFeed | None = None,
    new_entries: int = 0,
    published: Sequence[datetime] = (),
    limits: Sequence[HostLimit] = (),
    silent_after: float = 5.0,
    pushed: bool = False,
    gap: bool = False,
    now: datetime,
) -> tuple[FeedState, tuple[HostLimit, ...]]:
    """Return the state after a usable answer, and the limits that the host asked for.

    `parsed` is None for a 304. `published` are the dates of the new entries that have one,
    `limits` what this feed's host asked for before. `pushed`: a hub announces new entries, and
    polling is only the backstop, unless polls find entries that it did not push. `gap`: entries
    came and went since the last poll, so it is made sooner, unless the feed has an `every` of its own.
    """
    came_by_itself = isinstance(response, Fetched) and response.pushed
    push_missed = _push_missed(state, new_entries, pushed=pushed, came_by_itself=came_by_itself)
    pushed = pushed and not push_missed
    move = redirects.unchanged(state) if came_by_itself else redirects.follow(state, response.hops, response.url, now)
    last_new_at = now if new_entries else state.last_new_at
    quiet_s = (now - (last_new_at or state.first_polled_at or now)).total_seconds()
    gap_s = _gap(state, new_entries, published, now)
    every_s = feed.every_s or polling.every_s
    interval_s = adaptive_interval(max(every_s, BACKSTOP_S) if pushed else every_s, quiet_s, feed.max_latency_s)
    if feed.every_s is None and not pushed:
        interval_s = shortened(interval_s, state.interval_s, every_s, gap=gap, floor_s=polling.min_interval_s)
    whole = parsed if parsed and parsed.parse_level in COUNTED and not _partial(response) else None
    items = whole.items if whole else None
    hints = whole.hints if whole else state.hints
    new_health = health.health_after_success(
        state,
        health.FeedSigns(
            items=items,
            nothing=bool(whole and whole.nothing),
            moved=move.url != state.url,
            quiet_s=quiet_s,
            gap_s=gap_s,
        ),
        silent_after,
    )
    answered = host_key(response.url)
    asked = host_limits(answered, response.hints.retry_after_s, now, "Retry-After")
    next_at = next_poll_at(
        state.id,
        interval_s=interval_s,
        cache=response.hints,
        hints=hints,
        ignore_hints=feed.ignore_cache_hints,
        min_interval_s=polling.min_interval_s,
        not_before=[limit.not_before for limit in (*limits, *asked)],
        now=now,
    )
    if came_by_itself and state.next_poll_at:  # else a busy hub would put off the backstop forever
        next_at = min(next_at, state.next_poll_at)
    after = replace(
        state,
        **move._asdict(),
        title=(parsed and parsed.title) or state.title,
        health=new_health,
        health_since=state.health_since if new_health is state.health else now,
        validators=_validators(state, response),
        body_hash=(parsed and parsed.body_hash) or state.body_hash,
        hints=hints,
        first_polled_at=state.first_polled_at or now,
        last_polled_at=now,
        last_ok_at=now,
        last_new_at=last_new_at,
        newest_at=_newest(state, published, now),
        next_poll_at=next_at,
        last_status=response.status if isinstance(response, Fetched) else 304,
        failures=0,
        failing_since=None,
        last_error=_nothing_found(state, new_health, whole),
        deaths=0,
        interval_s=interval_s,
        gap_s=gap_s,
        items=state.items if items is None else items,
        hub=_link(response, "hub") or (whole.hub if whole else state.hub),
        push_missed=push_missed,
        self_url=_link(response, "self") or (whole.self_url if whole else state.self_url),
        parse_levels=_counted_level(state.parse_levels, parsed.parse_level if parsed else ParseLevel.NOT_MODIFIED),
    )
    return after, asked


def after_failure(
    state: FeedState,
    feed: "Feed",
    polling: "Polling",
    error: AggregatorError,
    *,
    limits: Sequence[HostLimit] = (),
    ours: bool = False,
    now: datetime,
) -> tuple[FeedState, tuple[HostLimit, ...]]:
    """Return the state after a failed poll, and the limits that the host asked for.

    Validators are kept: the next request is as conditional as this one was. A feed that is gone
    has no next poll. `ours`: the publisher did nothing wrong, so the back-off starts at a minute.
    """
    failures = state.failures + 1
    failing_since = state.failing_since or now
    status = error.status if isinstance(error, BadStatus) else None
    asked_s = error.retry_after_s if isinstance(error, FetchError) else None
    interval_s = max(state.interval_s or feed.every_s or polling.every_s, polling.min_interval_s)
    if ours:
        interval_s = min(interval_s, OWN_FAULT_S)
    delay_s = _pause(state.id, status, failures, failing_since, asked_s, interval_s, now)
    new_health = health.health_after_error(state, error, failures)
    asked: tuple[HostLimit, ...] = ()
    if asked_s or status == 429:
        where = host_key(error.url if isinstance(error, FetchError) else state.url)
        asked = host_limits(where, asked_s or delay_s, now, f"HTTP {status}" if status else "Retry-After")
    next_at = max([now + timedelta(seconds=delay_s), *(limit.not_before for limit in (*limits, *asked))])
    after = replace(
        state,
        health=new_health,
        health_since=state.health_since if new_health is state.health else now,
        first_polled_at=state.first_polled_at,
        last_polled_at=now,
        next_poll_at=None if new_health is Health.GONE else min(next_at, now + MAX_WAIT),
        last_status=status,
        failures=failures,
        failing_since=failing_since,
        last_error=clean_text(str(error)),
    )
    return after, asked


def rest_after_deaths_s(deaths: int) -> float:
    """Return a feed's rest, in seconds, after `deaths` processes in a row died while working on its document.

    The first death costs nothing: a process that is killed is always in the middle of something.
    """
    return min(FIRST_REST_S * REST_FACTOR ** min(deaths - 2, 10), DAY_S) if deaths > 1 else 0.0


def rests_after_deaths(state: FeedState, now: datetime) -> bool:
    """Tell whether a feed is under suspicion and still resting: nothing that comes by itself ends the rest."""
    return state.deaths >= SUSPECT_DEATHS and state.next_poll_at is not None and state.next_poll_at > now


def next_poll_at(
    feed: str,
    *,
    interval_s: float,
    cache: CacheHints = NO_HINTS,
    hints: FeedHints = NO_FEED_HINTS,
    ignore_hints: bool = False,
    min_interval_s: float = 0.0,
    not_before: Sequence[datetime] = (),
    now: datetime,
) -> datetime:
    """Return the instant of the next poll after a successful one.

    `ignore_hints` ignores what the feed and its caching headers ask for, but never Retry-After
    (`not_before`).
    """
    requests = () if ignore_hints else (cache.max_age_s, cache.expires_s, hints.ttl_s, hints.update_period_s)
    factor = jittered(feed, now)
    wished_s = min(max(filter(None, requests), default=0.0) * factor, MAX_HINT_S)
    at = now + timedelta(seconds=max(interval_s * factor, min_interval_s * factor, wished_s))
    if not_before:
        at = max(at, *(min(limit, now + MAX_WAIT) for limit in not_before))
    return at if ignore_hints else out_of_skipped(at, hints.skip_hours, hints.skip_days, phase(feed))


def _nothing_found(state: FeedState, now_is: Health, whole: ParsedFeed | None) -> str | None:
    """Return why a source that answers has no entries, as it said when it was last read."""
    if now_is is not Health.EMPTIED:
        return None
    if whole:
        return whole.nothing or None
    return state.last_error if state.health is Health.EMPTIED and not state.failures else None


def _pause(
    feed: str,
    status: int | None,
    failures: int,
    failing_since: datetime,
    asked_s: float | None,
    interval_s: float,
    now: datetime,
) -> float:
    """Return the seconds to wait after an error: a weekly probe, the server's request, or a doubling back-off."""
    luck = hash_fraction(feed, now.timestamp())
    if status in LIKELY_FINAL and now - failing_since >= REFUSALS_BEFORE_PROBES:
        return PROBE_S * (1 - JITTER * luck)
    if asked_s is not None:
        return max(interval_s, min(asked_s, MAX_RETRY_AFTER_S)) * (1 + JITTER * luck / 10)
    delay_s = backoff(interval_s, failures if status in ASKS_FOR_LESS else failures - 1)
    longest_s = max(DAY_S, interval_s)
    return min(delay_s * (1 + JITTER * luck), longest_s * (1 - JITTER * luck / 2))


def host_limits(host: str, asked_s: float | None, now: datetime, reason: str) -> tuple[HostLimit, ...]:
    """Return the limits for all feeds of a host that asked for rest; `asked_s` in seconds, None: it did not."""
    if not asked_s:
        return ()
    return (HostLimit(host=host, not_before=now + timedelta(seconds=min(asked_s, MAX_RETRY_AFTER_S)), reason=reason),)


def _gap(state: FeedState, new_entries: int, published: Sequence[datetime], now: datetime) -> float | None:
    if not new_entries:
        return state.gap_s
    if state.last_new_at is None:
        return usual_gap(published)
    return blended_gap(state.gap_s, (now - state.last_new_at).total_seconds() / new_entries)


def _push_missed(state: FeedState, new_entries: int, *, pushed: bool, came_by_itself: bool) -> bool:
    """Tell whether a hub's promise is void: a poll found an entry it had not pushed, and no push came since."""
    if not pushed:
        return False
    return state.push_missed if not new_entries else not came_by_itself


def _newest(state: FeedState, published: Sequence[datetime], now: datetime) -> datetime | None:
    """Return the youngest date seen; one from the future counts as now."""
    if not published:
        return state.newest_at
    dates = [min(at, now) for at in published]
    return max([*dates, state.newest_at] if state.newest_at else dates, default=None)


def _validators(state: FeedState, response: Fetched | NotModified) -> Validators | None:
    """Replace the validators by a whole document's pair, absent or not; a 304, a delta or a push adds to them."""
    if isinstance(response, Fetched) and not response.delta:
        return response.validators
    return response.validators or state.validators


def _partial(response: Fetched | NotModified) -> bool:
    return isinstance(response, Fetched) and response.delta


def _link(response: Fetched | NotModified, relation: str) -> str | None:
    if not isinstance(response, Fetched) or not response.links:
        return None
    return next((url for rel, url in response.links if rel == relation), None)


def _counted_level(levels: tuple[int, int, int, int, int], level: ParseLevel) -> tuple[int, int, int, int, int]:
    counted = list(levels)
    counted[PLACES[level]] += 1
    a, b, c, d, e = counted
    return a, b, c, d, e
