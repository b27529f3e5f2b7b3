"""Canonical addresses: one page, one string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.text.urls import canonical_url, host_error, parameters, without_parameters


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://Example.ORG:80/a/", "https://example.org/a"),
        ("https://example.org/a?utm_source=rss&b=2&a=1#top", "https://example.org/a?a=1&b=2"),
        ("https://example.org/%7euser/%c3%a5", "https://example.org/~user/%C3%A5"),
        ("https://example.org", "https://example.org/?fbclid=x"),
        ("https://example.org./a?&&b=1", "https://example.org:443/a?b=1"),
    ],
)
def test_spellings_of_one_page_agree(one: str, other: str) -> None:
    """Scheme, host case, port, slash, fragment, tracking and parameter order do not count."""
    assert canonical_url(one) == canonical_url(other)
    assert canonical_url(canonical_url(one)) == canonical_url(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.org/a?id=1", "https://example.org/a?id=2"),
        ("https://example.org/A", "https://example.org/a"),
        ("https://example.org:8443/a", "https://example.org/a"),
        ("https://example.org/a%2Fb", "https://example.org/a/b"),
    ],
)
def test_different_pages_stay_different(one: str, other: str) -> None:
    """Path case, other parameters, other ports and escaped slashes are not folded."""
    assert canonical_url(one) != canonical_url(other)


@pytest.mark.parametrize("url", ["mailto:a@example.org", "https://[bad", "urn:x", "", "//example.org/a"])
def test_what_is_no_web_address_is_left_alone(url: str) -> None:
    """Nothing is invented for other schemes and broken addresses."""
    assert canonical_url(url) == url


@given(
    host=st.from_regex(r"[a-z0-9-]{1,8}(\.[a-z0-9-]{1,8}){0,3}\.?", fullmatch=True),
    path=st.from_regex(r"(/[A-Za-z0-9._~%-]{0,6}){0,4}/?", fullmatch=True),
)
def test_the_usual_port_changes_nothing(host: str, path: str) -> None:
    """Plain addresses, which are recognised at a glance, come out as those that are taken apart."""
    assert canonical_url(f"https://{host}{path}") == canonical_url(f"https://{host}:443{path}")


@pytest.mark.parametrize(
    "host",
    [
        "a..example", ".example", "example..", "", ".", "a" * 64 + ".example", "ü" * 60 + ".example", "a." * 127 + "b",
        "a b", "a%41.example", "a,b", "a*", "a\x00b", "a\x85b", "\ud800.example", "a/b", "a@b",
    ],
)  # fmt: skip
def test_impossible_hosts(host: str) -> None:
    """A name that no resolver could be asked about is refused in words."""
    assert host_error(host)


@pytest.mark.parametrize(
    "host",
    ["example.org", "example.org.", "a" * 63 + ".example", "my_host", "foo-.example", "münchen.example", "::1"],
)  # fmt: skip
def test_possible_hosts(host: str) -> None:
    """What is in use passes."""
    assert host_error(host) is None


def test_parameters_can_be_left_out() -> None:
    """Those of the path as well; what remains is canonical."""
    link = "http://a.example/n;jsessionid=A1;x=2/m?ID=7&PHPSESSID=q&utm_source=r#f"
    assert parameters(link) == (";jsessionid", ";x", "id", "phpsessid", "utm_source")
    assert without_parameters(link, {";jsessionid", "phpsessid"}) == "https://a.example/n;x=2/m?ID=7"
    assert without_parameters(link, ()) == canonical_url(link)


@pytest.mark.parametrize(
    ("link", "name", "left"),
    [
        ("https://a.example/(S(lit3py55t21z5v55))/n.aspx?id=7", "/()", "https://a.example/n.aspx?id=7"),
        ("https://a.example/n/(X(1)S(lit3-y_5))", "/()", "https://a.example/n"),
        ("https://a.example/n?f3a9c1d2", "?", "https://a.example/n"),
    ],
)
def test_parameters_without_a_name_can_be_left_out(link: str, name: str, left: str) -> None:
    """A session in the path, and a query that is one value."""
    assert name in parameters(link)
    assert without_parameters(link, {name}) == left
    assert without_parameters(link, {"other"}) == canonical_url(link)


@pytest.mark.parametrize(
    "link", ["https://a.example/Mercury_(planet)/x", "https://a.example/(draft)/x", "https://a.example/n?"]
)
def test_brackets_of_a_title_are_no_parameter(link: str) -> None:
    """Nor is a query without a sign."""
    assert parameters(link) == ()
