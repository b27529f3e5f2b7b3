"""Routing from hits to deliveries: who is alerted, when, and why not."""

from aggregator.core.routing.changes import plan_join, plan_split
from aggregator.core.routing.deliveries import Recipients, whole_channel
from aggregator.core.routing.router import STALE, Router, describe, silenced
from aggregator.core.routing.story_index import found_by

__all__ = [
    "STALE",
    "Recipients",
    "Router",
    "describe",
    "found_by",
    "plan_join",
    "plan_split",
    "silenced",
    "whole_channel",
]
