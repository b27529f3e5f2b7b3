"""From hits to deliveries: who is told of what, when, and why not."""

from aggregator.core.routing.deliveries import no_recipients
from aggregator.core.routing.router import fingerprints, route, routing_query, silenced

__all__ = ["fingerprints", "no_recipients", "route", "routing_query", "silenced"]
