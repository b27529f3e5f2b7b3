"""Outgoing requests except alerts: feeds, pages, discovery, WebSub."""

from aggregator.fetch.fetcher import HttpFetcher, open_fetcher

__all__ = ["HttpFetcher", "open_fetcher"]
