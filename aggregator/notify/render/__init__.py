"""Alerts in the words and markup of each kind of service."""

from aggregator.notify.render.content import Letter, write

__all__ = ["Letter", "write"]
