"""From hits to deliveries: who is told of what, when, and why not."""

from aggregator.core.routing.decide import fingerprints, question, route, silenced
from aggregator.core.routing.outbox import no_recipients

__all__ = ["fingerprints", "no_recipients", "question", "route", "silenced"]
