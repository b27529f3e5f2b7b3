"""Routing from hits to deliveries: who is alerted, when, and why not."""

from aggregator.core.routing.deliveries import Recipients, whole_channel
from aggregator.core.routing.router import Router, fingerprints, silenced

__all__ = ["Recipients", "Router", "fingerprints", "silenced", "whole_channel"]
