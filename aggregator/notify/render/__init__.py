"""Alerts in the words and markup of each kind of service."""

from aggregator.notify.render.content import AlertContent, build_content

__all__ = ["AlertContent", "build_content"]
