"""The address policy against SSRF. Pure: an address in, a reason for refusing (or none) out.

Asked for the very address that a socket is about to connect to, so neither spelling, nor DNS, nor
a redirect can lead around it. Ranges: IANA special-purpose registries for IPv4 and IPv6.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, inet_pton

from aggregator.core.polling.hosts import PRIVATE

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
Entry = IpNetwork | tuple[str, int]

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
def parse_ip(address: str) -> IpAddress:
    """Parse a numeric address, IPv4 unwrapped from its IPv6 forms.

    Raises ValueError.
    """
    # ::ffff:127.0.0.1 (RFC 4291, 2.5.5.2) reaches IPv4 loopback, and a NAT64 gateway translates 64:ff9b::/96
    # to the IPv4 address in its last 32 bits (RFC 6052), so both are judged by the address that is reached.
    # 6to4 and Teredo, which embed an IPv4 address too, are refused as a whole (NOT_PUBLIC_6).
    try:
        return IPv4Address(inet_pton(AF_INET, address))  # as strict as `ip_address`, and quicker
    except (OSError, ValueError):
        pass
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return found.ipv4_mapped
        if found in NAT64:
            return IPv4Address(int(found) & 0xFFFFFFFF)
    return found


@lru_cache(maxsize=16_384)
def is_public(address: str) -> bool:
    """Tell whether anybody on the internet could be asked at this address.

    Raises ValueError if it is not an address.
    """
    found = parse_ip(address)
    if isinstance(found, IPv4Address):
        return _is_public_block(int(found) >> 8)
    # For IPv6 only what IANA has allocated for global unicast passes (2000::/3): a list of the
    # good ranges stays right when new special ranges are assigned outside of it. A zone index (fe80::1%eth0)
    # selects an interface of this machine, never a place on the internet (RFC 4007).
    return found.scope_id is None and found in UNICAST_6 and not any(found in net for net in NOT_PUBLIC_6)


@lru_cache(maxsize=16_384)
def _is_public_block(block: int) -> bool:
    """Tell whether the 256 addresses from `block` · 256 on are public: none of the special networks divides them.

    The parts of 192.0.0.0/24 that Python calls global are refused with the rest of it.
    """
    found = IPv4Address(block << 8)
    special = found.is_multicast or found.is_reserved or any(found in net for net in NOT_PUBLIC_4)
    return found.is_global and not special


class AddressPolicy:
    """The public-address check together with what the operator opened, and for which feeds.

    `allow` holds `host:port`, an address or a CIDR; an entry serves the feeds whose own configured
    address it covers (`given_to`), and no others. An address or a network covers numeric
    addresses and private names (`intranet`, `wiki.lan`); a public name, which its owner can point
    anywhere, is covered only by its own `host:port`. `own_ports` are those that this service itself
    listens on: on this machine they are refused whatever `allow` says.
    """

    def __init__(self, allow: Sequence[str] = (), own_ports: Iterable[int] = ()) -> None:
        self.own_ports = frozenset(own_ports)
        self._entries = tuple(map(_entry, allow))
        self.all_entries = frozenset(self._entries)
        self._places = {entry: frozenset({entry}) for entry in self._entries if isinstance(entry, tuple)}
        self.refusal = lru_cache(maxsize=16_384)(self._refusal)
        self.given_to = lru_cache(maxsize=16_384)(self._given_to)
        self._covering = lru_cache(maxsize=4096)(self._entries_for)  # a feed's own address is asked about twice

    def _refusal(self, address: str, port: int, host: str = "", given: frozenset[Entry] | None = None) -> str | None:
        """Return why `address:port`, to which `host` resolved, is not dialled; None: it may be.

        `given` are the entries of `allow` that serve the request; default: all.
        """
        found = parse_ip(address)
        # Checked first, before anything is permitted: a feed that could reach our own port would act with the
        # trust that a request from loopback has, whatever the operator opened.
        if port in self.own_ports and found.is_loopback:
            return "this is the service itself"
        covering = self._covering(address, port, host or address)
        if is_public(address) or covering & (self.all_entries if given is None else given):
            return None
        if covering:
            return (
                f"{address} is not a public address; `http.allow` permits it for feeds configured there, "
                "not for URLs that other feeds link or redirect to"
            )
        place = f"[{host or address}]:{port}" if ":" in (host or address) else f"{host or address}:{port}"
        return f'{address} is not a public address; to allow it, set http: {{allow: ["{place}"]}} in settings'

    def _given_to(self, host: str, port: int, addresses: tuple[str, ...]) -> frozenset[Entry]:
        """Return the entries that serve a feed configured at this place; `addresses` are those of `host`."""
        # Permission follows the configured feed, not the address alone: otherwise one `allow` for an intranet
        # feed would let every public feed link or redirect into the intranet (CWE-441, CWE-918).
        covering = [self._covering(address, port, host) for address in addresses]
        if place := self._places.get((host.lower().strip("[]"), port)):
            covering.append(place)
        return covering[0] if len(covering) == 1 else frozenset[Entry]().union(*covering)

    def _entries_for(self, address: str, port: int, host: str) -> frozenset[Entry]:
        found, name = parse_ip(address), host.lower().strip("[]")
        private = _is_private(name)
        return frozenset(entry for entry in self._entries if _covers(entry, found, port, name, private=private))


def _covers(entry: Entry, found: IpAddress, port: int, name: str, *, private: bool) -> bool:
    if isinstance(entry, tuple):
        return entry == (name, port) or (private and entry == (str(found), port))
    return private and found.version == entry.version and found in entry


def _is_private(name: str) -> bool:
    """Tell whether no outsider decides where a name leads: a number, a single word, a name of a private zone."""
    labels = name.rstrip(".").split(".")
    return ":" in name or len(labels) == 1 or labels[-1] in PRIVATE or labels[-1][:1].isdigit()


def _entry(text: str) -> Entry:
    try:
        return ip_network(text.strip("[]"), strict=False)
    except ValueError:
        host, _, port = text.strip().rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} is not host:port, an address, or a network such as 10.0.0.0/8")
    return host.lower().strip("[]"), int(port)
