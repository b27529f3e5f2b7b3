"""Which addresses may be dialled. Pure: an address in, a reason for refusing (or none) out.

Asked for the very address that a socket is about to connect to, so neither spelling, nor DNS, nor
a redirect can lead around it. Ranges: IANA special-purpose registries for IPv4 and IPv6.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Beyond what `is_global` refuses: it lets 6to4 relays through, and differs between Python versions.
NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"),
    )
)
UNICAST_6 = IPv6Network("2000::/3")
NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
NAT64 = IPv6Network("64:ff9b::/96")


@lru_cache(maxsize=16_384)
def parse(address: str) -> Address:
    """The address meant by a numeric string, IPv4 unwrapped from its IPv6 forms.

    Raises ValueError.
    """
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return found.ipv4_mapped
        if found in NAT64:
            return IPv4Address(int(found) & 0xFFFFFFFF)
    return found


@lru_cache(maxsize=16_384)
def is_public(address: str) -> bool:
    """Whether anybody on the internet could be asked at this address.

    Raises ValueError where it is not an address.
    """
    found = parse(address)
    if isinstance(found, IPv4Address):
        special = found.is_multicast or found.is_reserved or any(found in net for net in NOT_PUBLIC_4)
        return found.is_global and not special
    return found.scope_id is None and found in UNICAST_6 and not any(found in net for net in NOT_PUBLIC_6)


class Guard:
    """The predicate together with what the operator opened.

    `allow` holds `host:port`, an address or a CIDR; `own_ports` are those that this service
    itself listens on: on this machine they are refused whatever `allow` says.
    """

    def __init__(self, allow: Sequence[str] = (), own_ports: Iterable[int] = ()) -> None:
        self._own_ports = frozenset(own_ports)
        self.refusal = lru_cache(maxsize=16_384)(self._refusal)
        self._networks: list[Network] = []
        self._places: set[tuple[str, int]] = set()
        for entry in allow:
            try:
                self._networks.append(ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                self._places.add(_place(entry))

    def _refusal(self, address: str, port: int, host: str = "") -> str | None:
        """Why `address:port`, to which `host` resolved, is not dialled; None: it may be."""
        found = parse(address)
        if port in self._own_ports and found.is_loopback:
            return "that is this service itself"
        if is_public(address) or self._is_allowed(found, port, host or address):
            return None
        place = f"[{host or address}]:{port}" if ":" in (host or address) else f"{host or address}:{port}"
        return f'{address} is not a public address; if it is to be read, write http: {{allow: ["{place}"]}} in settings'

    def is_own(self, port: int) -> bool:
        """Whether a connection from this machine to itself on `port` would reach this service."""
        return port in self._own_ports

    def _is_allowed(self, found: Address, port: int, host: str) -> bool:
        if (host.lower().strip("[]"), port) in self._places or (str(found), port) in self._places:
            return True
        return any(found.version == net.version and found in net for net in self._networks)


def _place(entry: str) -> tuple[str, int]:
    host, _, port = entry.strip().rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{entry!r} is neither host:port, nor an address, nor a network such as 10.0.0.0/8")
    return host.lower().strip("[]"), int(port)
