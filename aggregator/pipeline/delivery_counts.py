"""What became of deliveries, counted."""

from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class DeliveryCounts:
    """Counts of outcomes of the deliveries that were due."""

    sent: int = 0
    retry: int = 0
    dead: int = 0
    held: int = 0
    suppressed: int = 0
    waits_s: tuple[float, ...] = field(default=(), compare=False)  # of what was sent: how long it had been due

    def add(self, other: "DeliveryCounts") -> None:
        """Add the figures of another count."""
        for figure in fields(self):
            setattr(self, figure.name, getattr(self, figure.name) + getattr(other, figure.name))
