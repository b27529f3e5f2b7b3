"""robots.txt (RFC 9309)."""

import pytest

from aggregator.core.polling.robots import parse_robots, robots_url

SITE = "https://site.example"


@pytest.mark.parametrize(
    ("robots", "path", "allowed"),
    [
        ("", "/x", True),
        ("User-agent: *\nDisallow: /", "/x", False),
        ("User-agent: *\nDisallow:", "/x", True),
        ("User-agent: *\nDisallow: /private/", "/private/x", False),
        ("User-agent: *\nDisallow: /private/", "/privately", True),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nAllow: /a\nDisallow: /a", "/a", True),
        ("User-agent: other\nDisallow: /", "/x", True),
        ("User-agent: aggregator\nAllow: /\nUser-agent: *\nDisallow: /", "/x", True),
        ("User-agent: *\nAllow: /\n\nuser-agent: Aggregator/2.0\ndisallow: /x", "/x", False),
        ("User-agent: a\nUser-agent: *\nDisallow: /x # all of it", "/x", False),
        ("User-agent: *\nDisallow: /*.pdf$", "/a/b.pdf", False),
        ("User-agent: *\nDisallow: /*.pdf$", "/a/b.pdf?x", True),
        ("User-agent: *\nDisallow: /*?session=", "/a?session=1", False),
        ("User-agent: *\nDisallow: /a*b*c", "/a1b2c3", False),
        ("User-agent: *\nDisallow: /a*b*c$", "/a1b2", True),
        ("User-agent: *\nDisallow: /%7euser", "/%7Euser", False),
        ("User-agent: *\nDisallow: /å", "/%C3%A5", False),
        ("\ufeffUser-agent: *\r\nDisallow: /x\r\n", "/x", False),
        ("<html><body>User-agent: everybody</body></html>", "/x", True),
        ("Disallow: /x", "/x", True),
    ],
)
def test_the_longest_pattern_of_our_group_decides(robots: str, path: str, allowed: bool) -> None:
    """Allow wins among equals; a group of our own hides the one for everybody."""
    refusal = parse_robots(robots).refusal(SITE + path)
    assert (refusal is None) == allowed, refusal


def test_sitemaps_are_named_to_everybody() -> None:
    """Wherever the lines stand; only of the web."""
    found = parse_robots(
        "Sitemap: https://a.example/s.xml\nUser-agent: *\nSitemap: file:///etc\nsitemap: https://a.example/2\n"
    )
    assert found.sitemaps == ("https://a.example/s.xml", "https://a.example/2")


def test_where_the_file_is() -> None:
    """At the root of the same origin."""
    assert robots_url("https://a.example:8443/x/y?z") == "https://a.example:8443/robots.txt"


def test_hostile_patterns_take_linear_work() -> None:
    """Many stars, many rules."""
    robots = parse_robots("User-agent: *\n" + "Disallow: /" + "*a" * 1000 + "b\n" * 3 + "Disallow: /x\n" * 30_000)
    assert robots.refusal(SITE + "/" + "a" * 5000) is None
    assert len(robots.rules) <= 10_000
