"""Everything that leaves this machine, except alerts: feeds, pages, discovery, WebSub."""

from aggregator.fetch.discover import Candidate, discover
from aggregator.fetch.fetcher import HttpFetcher, open_fetcher

__all__ = ["Candidate", "HttpFetcher", "discover", "open_fetcher"]
