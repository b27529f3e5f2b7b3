"""Outgoing requests except alerts: feeds, pages, discovery, WebSub."""

from aggregator.fetch.discover import DiscoveredFeed, discover
from aggregator.fetch.fetcher import HttpFetcher, open_fetcher

__all__ = ["DiscoveredFeed", "HttpFetcher", "discover", "open_fetcher"]
