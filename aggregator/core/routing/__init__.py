"""From hits to deliveries: who is told of what, when, and why not."""

from aggregator.core.routing.deliveries import no_recipients
from aggregator.core.routing.router import fingerprints, question, route, silenced

__all__ = ["fingerprints", "no_recipients", "question", "route", "silenced"]
