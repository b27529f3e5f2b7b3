"""One bad entry costs itself: impossible dates are no dates, and what breaks the reader is found by halving."""

import pytest

from aggregator.parse import feedparser_reader
from aggregator.parse.document import MAX_TRIED, _without_bad_entries, read
from aggregator.parse.normalize import RawFeed
from aggregator.parse.payload import Payload, ReaderFailure, Rejected
from aggregator.parse.workers.protocol import Job

URL = "http://feeds.example/"
IMPOSSIBLE = [
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T24:00:00Z",
    "9999-366T10:00:00Z",
    "9999-12-31T23:59:59.999999999999-23:59:59",
    "0001-01-01T00:00:00+23:59",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Fri, 31 Dec 9999 23:59:60 GMT",
    "Fri, 31 Dec 99999 23:59:59 GMT",
    "12/31/9999 11:59:59 PM -2359",
    "0000-00-00T00:00:00Z",
    "1e400",
]


def rss(count: int, date: str = "", bad: frozenset[int] = frozenset()) -> bytes:
    dated = [f"<pubDate>{date}</pubDate>" if place == count // 2 else "" for place in range(count)]
    words = ["BAD" if place in bad else "good" for place in range(count)]
    items = "".join(
        f"<item><title>{w} {n}</title><guid>{n}</guid>{d}</item>"
        for n, (w, d) in enumerate(zip(words, dated, strict=True))
    )
    return f"<rss version='2.0'><channel><title>N</title>{items}</channel></rss>".encode()


@pytest.mark.parametrize("date", IMPOSSIBLE)
@pytest.mark.parametrize("count", [1, 600])
def test_an_impossible_date_is_no_date(date: str, count: int) -> None:
    """Every entry is read, whatever the length of the feed; the one with the date has none."""
    answer = read(Job(rss(count, date), URL, "application/xml", "", None), 2**24)
    assert (len(answer.entries), answer.quarantined) == (count, ())
    source = Payload(rss(1, date), URL, "application/xml", "")
    feed, _ = feedparser_reader.read(source)
    assert feed.entries[0].published is None  # type: ignore[union-attr]


@pytest.mark.parametrize("date", ["9999-12-31T23:59:59Z", "Fri, 31 Dec 9999 23:59:59 GMT", "9999-01-01"])
def test_the_end_of_time_is_no_date(date: str) -> None:
    """It means "never", and cannot be shown to readers east of UTC."""
    (entry,) = read(Job(rss(1, date), URL, "application/xml", "", None), 2**24).entries
    assert entry[7] is None


def reader_that_breaks(asked: list[int]) -> object:
    """A reader that fails wherever a bad entry is among the others, as feedparser would."""

    def read_strictly(source: Payload) -> tuple[RawFeed, str]:
        asked.append(len(source.body))
        if b"BAD" in source.body:
            raise ReaderFailure("ValueError: bad")
        return feedparser_reader.read(source)

    return read_strictly


@pytest.mark.parametrize("count", [1, 2, 3, 499, 501, 3000])
def test_bad_entries_are_found_at_any_length(count: int) -> None:
    """Those that break the reader stand in their places with the reason; the others are read, in order."""
    bad = frozenset({0, count // 3, count - 1}) if count > 3 else frozenset({count - 1})
    source, asked = Payload(rss(count, bad=bad), URL, "application/xml", ""), list[int]()
    if count == 1:
        with pytest.raises(Rejected):
            _without_bad_entries(source, reader_that_breaks(asked), ReaderFailure("x"))  # type: ignore[arg-type]
        return
    feed = _without_bad_entries(source, reader_that_breaks(asked), ReaderFailure("x"))  # type: ignore[arg-type]
    poison = {place for place, entry in enumerate(feed.entries) if isinstance(entry, tuple)}
    assert poison == bad
    assert len(feed.entries) == count
    assert [entry.title[0] for entry in feed.entries if not isinstance(entry, tuple)] == [
        f"good {place}" for place in range(count) if place not in bad
    ]
    assert len(asked) <= 2 * len(bad) * (count.bit_length() + 1)


def test_a_document_full_of_bad_entries_is_given_up() -> None:
    """The search is bounded; what was not looked at alone is put aside with the rest."""
    source, asked = Payload(rss(5000, bad=frozenset(range(0, 5000, 2))), URL, "application/xml", ""), list[int]()
    feed = _without_bad_entries(source, reader_that_breaks(asked), ReaderFailure("x"))  # type: ignore[arg-type]
    assert len(feed.entries) == 5000
    assert len(asked) <= MAX_TRIED
