"""Rendering of alerts in the markup of each kind of service."""

from aggregator.notify.render.content import AlertContent, build_content

__all__ = ["AlertContent", "build_content"]
