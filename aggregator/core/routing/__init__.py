"""Routing from hits to deliveries: who is alerted, when, and why not."""

from aggregator.core.routing.changes import plan_join, plan_split
from aggregator.core.routing.deliveries import Recipients, whole_channel
from aggregator.core.routing.router import Router, describe, silenced

__all__ = ["Recipients", "Router", "describe", "plan_join", "plan_split", "silenced", "whole_channel"]
