"""Occasional comparison of the fast reader with feedparser: one difference ends its use.

The tests hold the two readers to the same answers on everything that could be thought of. This looks for
the rest: a feed in the wild, or a new release of feedparser.
"""

from aggregator.parse.normalize import RawEntry, RawFeed, to_record
from aggregator.parse.workers.protocol import EntryRecord

EVERY = 1000  # documents; feedparser takes about ten times as long


class Crosscheck:
    """The state of one worker: how many documents the fast reader read, and whether it is still trusted."""

    def __init__(self, every: int = EVERY) -> None:
        self._every = every
        self._count = 0
        self.trusted = True

    def is_due(self) -> bool:
        """Count a document; tell whether this one is to be compared."""
        self._count += 1
        return self._count % self._every == 0

    def agree(self, lean: RawFeed, reference: RawFeed) -> bool:
        """Tell whether both readers found the same feed; if not, the fast one is not used again."""
        self.trusted = facts(lean) == facts(reference) and rows(lean) == rows(reference)
        return self.trusted


def facts(feed: RawFeed) -> tuple[object, ...]:
    """Return what a reader found out about the feed itself."""
    title = feed.title if feed.title[0] else ""
    return title, feed.link or None, feed.lang or None, feed.links


def rows(feed: RawFeed) -> list[EntryRecord]:
    """Return the rows of a reader's entries."""
    return [to_record(entry, None) for entry in feed.entries if isinstance(entry, RawEntry)]
