"""Watches feeds, matches rules, and tells people; see ARCHITECTURE.md."""

__version__ = "0.1.0"
