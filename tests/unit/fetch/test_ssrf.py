"""The public-address check, range by range."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.fetch.ssrf import AddressPolicy, is_public

SPECIAL = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "1.1.1.1",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
]


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses(address: str) -> None:
    """No special-purpose address passes."""
    assert not is_public(address)
    assert AddressPolicy().refusal(address, 80) is not None


def test_enough_special_addresses() -> None:
    """The list is as long as promised."""
    assert len(set(SPECIAL)) >= 37


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """Ordinary addresses pass, wrapped in IPv6 forms or not."""
    assert AddressPolicy().refusal(address, 443) is None


@given(st.ip_addresses(v=4))
def test_mapped_like_plain(address: IPv4Address) -> None:
    """An IPv4 address is judged alike in its plain, mapped and NAT64 forms."""
    mapped = IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
    nat64 = IPv6Address(IPv6Address("64:ff9b::").packed[:12] + address.packed)
    assert is_public(str(address)) == is_public(str(mapped)) == is_public(str(nat64))


@given(st.ip_addresses(v=6))
def test_ipv6_outside_unicast(address: IPv6Address) -> None:
    """No IPv6 address outside 2000::/3 passes, but for those that wrap a public IPv4 address."""
    wrapped = address.ipv4_mapped or address.packed.startswith(IPv6Address("64:ff9b::").packed[:12])
    if not wrapped and address.packed[0] >> 5 != 1:
        assert not is_public(str(address))


@given(st.ip_addresses(network=IPv4Network("10.0.0.0/8")))
def test_allowed_network(address: IPv4Address) -> None:
    """A network that the operator opened passes whole, on every port."""
    assert AddressPolicy(["10.0.0.0/8"]).refusal(str(address), 8080) is None


def test_allow_is_narrow() -> None:
    """A host and port opens neither other ports nor other hosts at that address."""
    guard = AddressPolicy(["intranet:8080"])
    assert guard.refusal("10.1.2.3", 8080, "intranet") is None
    assert guard.refusal("10.1.2.3", 8080, "Intranet") is None
    assert guard.refusal("10.1.2.3", 8081, "intranet") is not None
    assert guard.refusal("10.1.2.3", 8080, "evil.example") is not None
    assert guard.refusal("10.1.2.3", 8080) is not None


def test_own_ports_win() -> None:
    """The service's own port on this machine stays closed whatever is allowed."""
    guard = AddressPolicy(["127.0.0.0/8", "127.0.0.1:8080"], own_ports=[8080])
    assert guard.refusal("127.0.0.1", 8080) is not None
    assert guard.refusal("127.0.0.1", 8900) is None
