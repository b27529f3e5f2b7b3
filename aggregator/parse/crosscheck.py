"""The lean reader's work, now and then done again by feedparser: one difference ends its use.

The tests hold the two readers to the same answers on everything that could be thought of. This looks for
what could not: a feed in the wild, or a new release of feedparser.
"""

from aggregator.parse.normalize import EntryRecord, RawEntry, RawFeed, to_record

EVERY = 1000  # documents; feedparser takes about ten times as long


class Crosscheck:
    """State of one worker: how many documents the lean reader read, and whether it is still believed."""

    def __init__(self, every: int = EVERY) -> None:
        self._every = every
        self._count = 0
        self.trusted = True

    def is_due(self) -> bool:
        """Count a document; whether this one is to be compared."""
        self._count += 1
        return self._count % self._every == 0

    def agree(self, lean: RawFeed, reference: RawFeed) -> bool:
        """Whether both readers found the same feed; if not, the lean one is not asked again."""
        self.trusted = facts(lean) == facts(reference) and rows(lean) == rows(reference)
        return self.trusted


def facts(feed: RawFeed) -> tuple[object, ...]:
    """What a reader found out about the feed itself."""
    title = feed.title if feed.title[0] else ""
    return title, feed.link or None, feed.lang or None, feed.links


def rows(feed: RawFeed) -> list[EntryRecord]:
    """What a reader's entries become."""
    return [to_record(entry, None) for entry in feed.entries if isinstance(entry, RawEntry)]
