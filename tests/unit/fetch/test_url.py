"""Unambiguous addresses are taken apart without a parser: with the parser's result, or not at all."""

from ipaddress import IPv4Address, IPv4Network, ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.core.errors import Forbidden
from aggregator.core.text.urls import DEFAULT_PORTS, is_ip_address, split_plain
from aggregator.fetch import ssrf, url

PIECES = [
    "a",
    "A",
    "b.example",
    "co.uk",
    "127.0.0.1",
    "010.1.1.1",
    "0x7f.1",
    "xn--bcher-kva.de",
    "-a",
    "a-",
    "_x",
    ".",
    "..",
    "/",
    "//",
    "/./",
    "/../",
    "/%2e",
    "/a/b.xml",
    "?q=1&b=2",
    "?",
    "#",
    "%41",
    ":80",
    ":443",
    ":0",
    ":080",
    ":99999",
    ":8080",
    "@",
    "[::1]",
    "é",
    ";x=1",
    "~u",
    "*",
    "+",
    "\\",
]
ADDRESSES = st.builds(
    lambda scheme, pieces: scheme + "".join(pieces),
    st.sampled_from(["http://", "https://", "HTTP://", "http:/"]),
    st.lists(st.sampled_from([*PIECES, "a" * 64, " "]), min_size=1, max_size=6),
)


@given(ADDRESSES)
@example("http://a?q=1")
@example("https://a:443/")
@example("http://a.:80/x/")
def test_same_result(text: str) -> None:
    """What is taken apart by hand is what the parsers make of it."""
    plain = split_plain(text)
    if plain is None:
        return
    parts = urlsplit(text)
    assert (plain.host, plain.port) == (parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])
    try:
        expected: object = url._address(text)
    except Forbidden as error:
        expected = error
    assert url.parse_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://example.org/feed.xml",
        "https://news.example.co.uk:8443/a/b-c_d/?format=rss&n=20",
        "http://127.0.0.1:8080",
    ],
)
def test_most_addresses_are_plain(text: str) -> None:
    """Those of most feeds."""
    assert split_plain(text) is not None


@pytest.mark.parametrize("size", [10_000, 20_000])
@pytest.mark.parametrize("text", ["http://{}!", "http://a/{}!", "http://a/?{}!"])
@pytest.mark.parametrize("piece", ["a", "a.", "/a", "/", "a/a"])
def test_long_addresses(text: str, piece: str, size: int) -> None:
    """No address makes the pattern try again and again: this would not end."""
    assert split_plain(text.format(piece * size)) is None


@given(
    st.lists(st.sampled_from(["0", "1", "01", "255", "256", "999", "1000", "", "a", "\u0663", "1e", "-1", "+1", " 1"]))
)
def test_numbers(parts: list[str]) -> None:
    """An IPv4 address is what the standard library takes for one."""
    host = ".".join(parts)
    try:
        ip_address(host)
    except ValueError:
        assert not is_ip_address(host)
    else:
        assert is_ip_address(host)


@pytest.mark.parametrize("network", ssrf.NOT_PUBLIC_4, ids=str)
def test_no_network_divides_a_block(network: IPv4Network) -> None:
    """One answer holds for 256 addresses, at the edges of every special network, too."""
    for edge in (int(network.network_address), int(network.broadcast_address)):
        for block in (edge >> 8, (edge >> 8) + 1, (edge >> 8) - 1):
            if 0 <= block < 2**24:
                answers = {
                    not any(IPv4Address(number) in one for one in ssrf.NOT_PUBLIC_4)
                    and IPv4Address(number).is_global
                    and not IPv4Address(number).is_multicast
                    for number in range(block << 8, (block + 1) << 8)
                }
                assert answers == {ssrf._is_public_block(block)}
