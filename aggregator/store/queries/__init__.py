"""The reading side for commands and pages, with the changes that people make by hand."""

from aggregator.store.queries.backlog import BacklogPages
from aggregator.store.queries.baseline import BaselineQueries
from aggregator.store.queries.deliveries import DeliveryQueries
from aggregator.store.queries.entries import EntryQueries
from aggregator.store.queries.feeds import FeedQueries
from aggregator.store.queries.hits import HitQueries
from aggregator.store.queries.ids import IdQueries
from aggregator.store.queries.links import LinkQueries
from aggregator.store.queries.silences import SilenceQueries
from aggregator.store.queries.triage import TriageQueries


class SqlCatalog(
    FeedQueries,
    EntryQueries,
    HitQueries,
    TriageQueries,
    DeliveryQueries,
    SilenceQueries,
    LinkQueries,
    BacklogPages,
    BaselineQueries,
    IdQueries,
):
    """`ports.Catalog` over SQL."""


__all__ = ["SqlCatalog"]
