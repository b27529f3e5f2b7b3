"""The reading side, for commands and pages, and what people change by hand."""

from aggregator.store.catalog.backlog import BacklogPages
from aggregator.store.catalog.deliveries import DeliveryPages
from aggregator.store.catalog.entries import EntryPages
from aggregator.store.catalog.feeds import FeedPages
from aggregator.store.catalog.hits import HitPages
from aggregator.store.catalog.names import Names
from aggregator.store.catalog.silences import SilencePages


class SqlCatalog(FeedPages, EntryPages, HitPages, DeliveryPages, SilencePages, BacklogPages, Names):
    """`ports.Catalog` over SQL."""


__all__ = ["SqlCatalog"]
