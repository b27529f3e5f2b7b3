"""The host that a request counts against."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.model import FeedState
from aggregator.core.polling.hosts import host_key, interleaved


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://news.example.co.uk/feed", "example.co.uk"),
        ("https://EXAMPLE.com:8443/", "example.com"),
        ("https://example.com./", "example.com"),
        ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
        ("http://93.184.216.34/", "93.184.216.34:80"),
        ("https://[2606:4700::1]/", "[2606:4700::1]:443"),
        ("http://localhost:99/", "localhost:99"),
        ("http://intranet/", "intranet:80"),
        ("http://feeds.corp.internal/", "feeds.corp.internal:80"),
        ("https://news.brand-new-tld/", "news.brand-new-tld"),
        ("https://a.blogspot.com/feeds", "a.blogspot.com"),
        ("https://news.desk.pages.dev/feed", "desk.pages.dev"),
        ("https://a.vercel.app/", "a.vercel.app"),
        ("https://b.netlify.app/", "b.netlify.app"),
        ("https://c.fly.dev/", "c.fly.dev"),
        ("https://www.example.com.tr/", "example.com.tr"),
        ("https://co.uk/", "co.uk"),
        ("https://www.bücher.de/", "xn--bcher-kva.de"),
        ("nonsense", ":0"),
        ("http://[broken/", "http://[broken/"),
    ],
)
def test_host_key(url: str, key: str) -> None:
    """Public hosts by their registrable domain, others by host and port."""
    assert host_key(url) == key


@given(st.text(max_size=60))
def test_never_raises(url: str) -> None:
    """Whatever a feed's address is, it has a key."""
    assert isinstance(host_key(url), str)
    assert isinstance(host_key(f"http://{url}/"), str)


def test_interleaved() -> None:
    """The first of each host comes before the second of any."""
    states = [
        FeedState(id=id, url=url, configured_url=url)
        for id, url in zip("abcde", ("http://x/",) * 3 + ("http://y/",) * 2, strict=True)
    ]
    assert [state.id for state in interleaved(states)] == ["a", "d", "b", "e", "c"]
