"""Feeds and hosts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Text, type_coerce

from aggregator.core.model import FeedHints, FeedState, Health, HostLimit, StoredToday, Validators
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.lanes import slot_of
from aggregator.store.column_types import EPOCH, Instant, JsonList, Values, instant, load, micros
from aggregator.store.schema import ALWAYS, NEVER, feeds

# Columns that a poll writes and that are named like the field they hold, in the same form.
SAME = (
    "url",
    "title",
    "health_since",
    "body_hash",
    "first_polled_at",
    "last_polled_at",
    "last_ok_at",
    "last_new_at",
    "newest_at",
    "last_status",
    "failures",
    "failing_since",
    "last_error",
    "interval_s",
    "gap_s",
    "items",
    "move_url",
    "move_count",
    "move_since",
    "distrust_guid",
    "hub",
    "self_url",
    "deaths",
)
READ = ("id", "configured_url", "hub_until", "lease_owner", "lease_until", "options", *SAME)
INSTANTS = tuple(name for name in READ if isinstance(feeds.c[name].type, Instant))
MADE = (  # columns from which other fields are made
    "configured_title",
    "health",
    "paused_at",
    "validators_url",
    "etag",
    "last_modified",
    "hints",
    "push_missed",
    "stored_today",
    "volatile",
    "next_poll_at",
    "rungs",
)
_MADE_AT = len(READ)
due_order = itemgetter(_MADE_AT + MADE.index("next_poll_at"), READ.index("id"))  # of rows of `state_columns`
HEALTH = {health.value: health for health in Health}
# What a poll writes that finds nothing; and the rest of what any poll may write.
POLLED = ("last_polled_at", "last_ok_at", "last_status", "interval_s")
NOT_WRITTEN = ("id", "configured_url", "hub_until", "lease_owner", "lease_until", "options")
_rest = attrgetter(
    *(
        name
        for name in FeedState.__struct_fields__
        if name not in (*POLLED, *NOT_WRITTEN, "next_poll_at", "parse_levels")
    )
)

NO_HINTS = FeedHints()


def is_alike(before: FeedState, after: FeedState) -> bool:
    """Tell whether `poll_values` are all that distinguishes two states of a feed; what a pause covers is unknown."""
    return before.health is not Health.PAUSED and bool(_rest(before) == _rest(after))


def poll_values(state: FeedState) -> Values:
    """Return the columns that every poll changes."""
    values = {name: getattr(state, name) for name in POLLED}
    values["next_poll_at"] = _next_poll(state)
    values["rungs"] = " ".join(map(str, state.parse_levels))
    return values


def feed_values(state: FeedState) -> Values:
    """Return the columns that a poll changes (not id, not what the configuration or a person sets)."""
    values = {name: getattr(state, name) for name in SAME}
    seen = state.validators
    values["host"] = host_key(state.url)
    values["slot"] = slot_of(values["host"])
    values["health"] = state.health.value
    values["validators_url"] = seen.url if seen else None
    values["etag"] = seen.etag if seen else None
    values["last_modified"] = seen.last_modified if seen else None
    values["hints"] = None if state.hints == NO_HINTS else _hints_list(state.hints)
    values["volatile"] = list(state.volatile) or None
    values["push_missed"] = state.push_missed
    values["stored_today"] = _today_list(state.stored_today) if state.stored_today else None
    values["next_poll_at"] = _next_poll(state)
    values["rungs"] = " ".join(map(str, state.parse_levels))
    return values


def state_columns() -> Iterator[ColumnElement[Any]]:
    """Yield the columns that `feed_states` takes, as the database has them: most of a row's values need no conversion.

    A claim reads thirty feeds for each that has anything new.
    """
    for name in (*READ, *MADE):
        column = feeds.c[name]
        if isinstance(column.type, Instant | JsonList):
            yield type_coerce(column, BigInteger() if isinstance(column.type, Instant) else Text()).label(name)
        else:
            yield column


def feed_states(rows: Iterable[Sequence[Any]]) -> tuple[FeedState, ...]:
    """Return rows of `state_columns` as values."""
    return tuple(map(feed_state, rows))


def feed_state(row: Sequence[Any]) -> FeedState:
    """Return a row of `state_columns` as a value; a pause covers whatever health lies under it."""
    values = dict(zip(READ, row, strict=False))
    for name in INSTANTS:
        if (at := values[name]) is not None:
            values[name] = EPOCH + timedelta(microseconds=at)
    title, health, paused_at, url, etag, modified, hints, missed, today, volatile, next_poll_at, levels = row[_MADE_AT:]
    if title:
        values["title"] = title
    values["health"] = HEALTH[health]
    if paused_at is not None:
        values["health"], values["health_since"] = Health.PAUSED, instant(paused_at)
    if url is not None:
        values["validators"] = Validators(url=url, etag=etag, last_modified=modified)
    if hints is not None:
        values["hints"] = _hints(hints)
    values["push_missed"] = bool(missed)
    if today is not None:
        day, entries, size, left_out = load(today)
        values["stored_today"] = StoredToday(day=day, entries=entries, bytes=size, left_out=left_out)
    if volatile is not None:
        values["volatile"] = tuple(load(volatile))
    if next_poll_at not in (ALWAYS, NEVER):
        values["next_poll_at"] = instant(next_poll_at)
    values["parse_levels"] = tuple(map(int, levels.split()))
    return FeedState(**values)


def _next_poll(state: FeedState) -> int:
    """Return when a feed is due: at once if it was never polled, never if it is gone."""
    if state.next_poll_at is not None:
        return micros(state.next_poll_at)
    return NEVER if state.health is Health.GONE else ALWAYS


def _today_list(today: StoredToday) -> list[Any]:
    return [today.day, today.entries, today.bytes, today.left_out]


def _hints_list(hints: FeedHints) -> list[Any]:
    return [hints.ttl_s, hints.update_period_s, sorted(hints.skip_hours), sorted(hints.skip_days)]


@lru_cache(maxsize=1024)  # few feeds say anything of their own
def _hints(text: str) -> FeedHints:
    ttl_s, period_s, hours, days = load(text)
    return FeedHints(ttl_s=ttl_s, update_period_s=period_s, skip_hours=frozenset(hours), skip_days=frozenset(days))


def host_values(limit: HostLimit) -> Values:
    return {"host": limit.host, "not_before": limit.not_before, "reason": limit.reason}


def host_limit(row: Row[Any]) -> HostLimit:
    return HostLimit(**row._asdict())
