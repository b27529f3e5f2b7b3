"""Feeds and hosts."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import Row

from aggregator.core.model import FeedHints, FeedState, Health, HostLimit, StoredToday, Validators
from aggregator.core.polling.hosts import host_key
from aggregator.core.polling.lanes import slot_of
from aggregator.store.column_types import Values, instant, micros
from aggregator.store.schema import ALWAYS, NEVER

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


def feed_state(row: Row[Any]) -> FeedState:
    """Return a feed's row as a value; a pause covers whatever health lies under it."""
    return _state(row._asdict())


def feed_states(rows: Sequence[Row[Any]]) -> tuple[FeedState, ...]:
    """Return rows of one query as values; the names of their columns are asked for once."""
    names = rows[0]._fields if rows else ()
    return tuple(_state(dict(zip(names, row, strict=True))) for row in rows)


def _state(found: Values) -> FeedState:
    values = {name: found[name] for name in READ}
    values["title"] = found["configured_title"] or found["title"]
    values["health"] = Health(found["health"])
    if found["paused_at"] is not None:
        values["health"], values["health_since"] = Health.PAUSED, found["paused_at"]
    if found["validators_url"] is not None:
        pair = {name: found[name] for name in ("etag", "last_modified")}
        values["validators"] = Validators(url=found["validators_url"], **pair)
    if found["hints"] is not None:
        values["hints"] = _hints(found["hints"])
    values["push_missed"] = bool(found["push_missed"])
    if found["stored_today"] is not None:
        day, entries, size, left_out = found["stored_today"]
        values["stored_today"] = StoredToday(day=day, entries=entries, bytes=size, left_out=left_out)
    if found["volatile"] is not None:
        values["volatile"] = tuple(found["volatile"])
    if found["next_poll_at"] not in (ALWAYS, NEVER):
        values["next_poll_at"] = instant(found["next_poll_at"])
    values["parse_levels"] = tuple(map(int, found["rungs"].split()))
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


def _hints(given: list[Any]) -> FeedHints:
    ttl_s, period_s, hours, days = given
    return FeedHints(ttl_s=ttl_s, update_period_s=period_s, skip_hours=frozenset(hours), skip_days=frozenset(days))


def host_values(limit: HostLimit) -> Values:
    return {"host": limit.host, "not_before": limit.not_before, "reason": limit.reason}


def host_limit(row: Row[Any]) -> HostLimit:
    return HostLimit(**row._asdict())
