"""The reading side, for commands and pages, and what people change by hand."""

from aggregator.store.queries.backlog import BacklogPages
from aggregator.store.queries.deliveries import DeliveryPages
from aggregator.store.queries.entries import EntryPages
from aggregator.store.queries.feeds import FeedPages
from aggregator.store.queries.hits import HitPages
from aggregator.store.queries.ids import Names
from aggregator.store.queries.silences import SilencePages


class SqlCatalog(FeedPages, EntryPages, HitPages, DeliveryPages, SilencePages, BacklogPages, Names):
    """`ports.Catalog` over SQL."""


__all__ = ["SqlCatalog"]
