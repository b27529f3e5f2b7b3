"""Outgoing requests except alerts: feeds, pages, discovery, WebSub, mailboxes."""

from aggregator.fetch.fetcher import HttpFetcher, open_fetcher
from aggregator.fetch.mail import MailFetcher

__all__ = ["HttpFetcher", "MailFetcher", "open_fetcher"]
