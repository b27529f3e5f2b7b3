"""Masking of what is shown of feeds."""

from aggregator.app.masking import masked_feeds
from aggregator.config import to_opml
from aggregator.core.redaction import Redactor
from aggregator.core.settings import Feed


def test_feeds_are_masked_before_they_are_written() -> None:
    """In XML, a key with an `&` is no longer the known text; keys and logins that nobody knows are cut, too."""
    urls = ("https://a.example/AB&CD12345/rss", "https://a.example/?x=1&api_key=EF67", "https://ann:GH89@a.example/")
    feeds = [Feed(id=f"f{place}", url=url) for place, url in enumerate(urls)]
    written = to_opml(masked_feeds(feeds, Redactor(["AB&CD12345"])))
    assert written.count("***") == 3
    assert not [key for key in ("CD12345", "EF67", "GH89") if key in written]
