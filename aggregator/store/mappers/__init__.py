"""Mapping of rows to values and back. schema.py says what each column means.

A value is built from the whole row at once: asking a row for its columns one by one costs more
than everything else that is done with it.
"""

from aggregator.store.mappers.deliveries import attempt, delivery, delivery_values, silence
from aggregator.store.mappers.entries import alias_values, entry, entry_of, entry_values, key_values, numbered
from aggregator.store.mappers.feeds import (
    due_order,
    feed_state,
    feed_states,
    feed_values,
    host_limit,
    host_values,
    is_alike,
    poll_values,
    state_columns,
)
from aggregator.store.mappers.hits import hit_of, hit_values
from aggregator.store.mappers.stories import because_list, features, report, report_values, story, story_values
from aggregator.store.mappers.unrouted import unrouted_poll, unrouted_values

__all__ = [
    "alias_values",
    "attempt",
    "because_list",
    "delivery",
    "delivery_values",
    "due_order",
    "entry",
    "entry_of",
    "entry_values",
    "features",
    "feed_state",
    "feed_states",
    "feed_values",
    "hit_of",
    "hit_values",
    "host_limit",
    "host_values",
    "is_alike",
    "key_values",
    "numbered",
    "poll_values",
    "report",
    "report_values",
    "silence",
    "state_columns",
    "story",
    "story_values",
    "unrouted_poll",
    "unrouted_values",
]
