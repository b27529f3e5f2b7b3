"""The composition root: opens every adapter and joins them to the verbs. All names meet here."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from aggregator import __version__
from aggregator.app.clock import SystemClock
from aggregator.app.places import database_url
from aggregator.config import Loaded, load
from aggregator.core.rules import index_text
from aggregator.fetch import HttpFetcher, open_fetcher
from aggregator.notify import AppriseNotifier, open_notifier
from aggregator.observe.logs import redact
from aggregator.observe.metrics import Metrics
from aggregator.parse import FeedParser, open_parser
from aggregator.pipeline.deliver import Deliverer
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.setup import Setup, prepare
from aggregator.store import Store, open_store


@dataclass(slots=True)
class House:
    """The open adapters, the verbs over them, and the setup that holds now."""

    loaded: Loaded
    current: Setup
    store: Store
    fetcher: HttpFetcher
    parser: FeedParser
    notifier: AppriseNotifier
    clock: SystemClock
    metrics: Metrics
    owner: str

    def setup(self) -> Setup:
        """The setup that holds now (ports.pipeline reads it through this method)."""
        return self.current

    def poller(self) -> Poller:
        return Poller(
            feeds=self.store.feeds,
            fetcher=self.fetcher,
            parser=self.parser,
            setup=self.setup,
            clock=self.clock,
            owner=self.owner,
            observe=self.metrics.polled,
        )
