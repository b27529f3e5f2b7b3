"""The jar of one chain of redirects: which hosts may set cookies, and which receive them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.polling.hosts import host_key
from aggregator.fetch import url as address
from aggregator.fetch.cookies import MAX_BYTES_SENT, MAX_COOKIES, Jar

FEED = "https://news.example.co.uk/a/feed"
DATE = "Mon, 02 Mar 2026 10:00:00 GMT"


def sent(url: str, *lines: str, set_at: str = FEED) -> str:
    """The Cookie header for `url` after `set_at` answered with these lines."""
    jar = Jar()
    jar.take(address.parse_url(set_at), lines, DATE)
    return jar.header(address.parse_url(url))


@pytest.mark.parametrize(
    ("line", "url", "expected"),
    [
        ("a=1", FEED, "a=1"),
        ("a=1", "https://news.example.co.uk/a/other?x=1", "a=1"),
        ("a=1", "https://news.example.co.uk/b", ""),
        ("a=1", "https://news.example.co.uk/ab", ""),
        ("a=1; Path=/", "https://news.example.co.uk/b", "a=1"),
        ("a=1; path=/b", "https://news.example.co.uk/b/c", "a=1"),
        ("a=1; path=/b", "https://news.example.co.uk/bc", ""),
        ("a=1; path=b", FEED, "a=1"),
        ("a=1; Path=/", "https://www.example.co.uk/", ""),
        ("a=1; Path=/; Domain=example.co.uk", "https://www.example.co.uk/", "a=1"),
        ("a=1; Path=/; Domain=.Example.co.uk", "https://example.co.uk/", "a=1"),
        ("a=1; Path=/; Domain=example.co.uk", "https://badexample.co.uk/", ""),
        ("a=1; Path=/; Domain=co.uk", "https://other.co.uk/", ""),
        ("a=1; Path=/; Domain=co.uk", FEED, ""),
        ("a=1; Path=/; Domain=uk", FEED, ""),
        ("a=1; Path=/; Domain=www.example.co.uk", "https://www.example.co.uk/", ""),
        ("a=1; Path=/; Domain=other.example", "https://other.example/", ""),
        ("a=1; Path=/; Secure", "http://news.example.co.uk/", ""),
        ("a=1; Path=/", "http://news.example.co.uk/", "a=1"),
        ("__Secure-a=1; Path=/", FEED, ""),
        ("__Host-a=1; Path=/; Secure", FEED, "__Host-a=1"),
        ("__Host-a=1; Path=/; Secure; Domain=example.co.uk", FEED, ""),
        ("a=1; Max-Age=0", FEED, ""),
        ("a=1; Max-Age=-5", FEED, ""),
        ("a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", FEED, "a=1"),
        ("a=1; Expires=Mon, 02-Mar-2026 09:59:59 GMT", FEED, ""),
        ("a=1; Expires=Mon, 02 Mar 2026 10:00:01 GMT", FEED, "a=1"),
        ("a=1; Expires=soon; HttpOnly; SameSite=None; Priority=High", FEED, "a=1"),
        ('a="x y"', FEED, 'a="x y"'),
        ("a=b=c", FEED, "a=b=c"),
        ("a=", FEED, "a="),
        ("=1", FEED, ""),
        ("a", FEED, ""),
        ("a b=1", FEED, ""),
        ("a=1\r\nX: y", FEED, ""),
        ("a=" + "x" * 5000, FEED, ""),
    ],
)
def test_a_cookie_goes_where_it_may(line: str, url: str, expected: str) -> None:
    """Host-only unless a parent of its own is named that is no public suffix; path, scheme and age are honoured."""
    assert sent(url, line) == expected


@pytest.mark.parametrize(
    ("host", "domain", "other"),
    [
        ("a.github.io", "github.io", "b.github.io"),
        ("github.io", "github.io", "b.github.io"),
        ("a.blogspot.com", "blogspot.com", "b.blogspot.com"),
        ("x.kawasaki.jp", "kawasaki.jp", "y.kawasaki.jp"),
        ("feeds.corp", "corp", "other.corp"),
        ("10.0.0.1", "0.0.1", "9.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "1.127.0.0.1.example"),
        ("localhost", "localhost", "a.localhost"),
    ],
)
def test_no_cookie_for_a_public_suffix(host: str, domain: str, other: str) -> None:
    """Neighbours below `github.io` or `co.uk` are strangers."""
    line = f"a=1; Path=/; Domain={domain}"
    assert sent(f"http://{other}/", line, set_at=f"http://{host}/") == ""
    assert sent(f"http://{host}/", line, set_at=f"http://{host}/") in ("", "a=1")


def test_plain_http_sets_no_secure_cookie() -> None:
    """Whoever stands in the way could set it."""
    assert sent("https://a.example/", "a=1; Secure; Path=/", set_at="http://a.example/") == ""


def test_a_later_cookie_replaces_an_earlier_one() -> None:
    """By name, domain and path; one that is over takes the other away."""
    assert sent(FEED, "a=1", "a=2") == "a=2"
    assert sent(FEED, "a=1", "a=; Max-Age=0") == ""
    assert sent(FEED, "a=1; Path=/", "a=2; Path=/a") == "a=2; a=1", "the longer path first"


def test_caps() -> None:
    """Of many cookies some are kept, and a request does not grow without bound."""
    assert sent(FEED, *(f"c{n}=1" for n in range(100))).count("=") == MAX_COOKIES
    assert len(sent(FEED, *(f"c{n}={'x' * 4000}" for n in range(5)))) <= MAX_BYTES_SENT


HOSTS = st.sampled_from(
    [
        "a.example.com",
        "example.com",
        "b.example.com",
        "com",
        "a.co.uk",
        "b.co.uk",
        "co.uk",
        "a.github.io",
        "github.io",
        "127.0.0.1",
        "x.lan",
        "lan",
    ]
)


@given(HOSTS, HOSTS, st.one_of(HOSTS, st.just(""), st.text(max_size=20)), st.text(max_size=30), st.booleans())
def test_no_cookie_leaves_its_registrable_domain(host: str, other: str, domain: str, rest: str, dot: bool) -> None:
    """Whatever attributes it has; and no line makes the jar fail."""
    named = f"; Domain={'.' if dot else ''}{domain}" if domain else ""
    found = sent(f"http://{other}/", f"a=1; Path=/{named}; {rest}", set_at=f"http://{host}/")
    if found:
        assert host_key(f"http://{host}/") == host_key(f"http://{other}/")
        assert host == other or (domain and other.endswith(domain.strip().lower()))


@given(st.lists(st.text(max_size=60), max_size=5))
def test_no_line_is_dangerous(lines: list[str]) -> None:
    """What is sent holds no line break, whatever was set."""
    assert not set("\r\n\0") & set(sent(FEED, *lines))
