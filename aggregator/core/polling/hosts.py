"""The unit of politeness: the host whose limits a request counts against."""

from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

from aggregator.core.model import FeedState
from aggregator.core.text.urls import DEFAULT_PORTS, is_ip_address, split_plain

# Special-use and customary private names (RFC 6762 appendix G, RFC 8375, RFC 6761).
PRIVATE = frozenset(
    {"corp", "home", "internal", "intranet", "invalid", "lan", "local", "localhost", "private", "test", "arpa"}
)
GAP_S = 1.0  # between two requests to a public host


@lru_cache(maxsize=65_536)
def host_key(url: str) -> str:
    """Return the registrable domain of a public host; `host:port` for addresses and private names.

    `https://news.example.co.uk/feed` → `example.co.uk`; `http://127.0.0.1:8080/` →
    `127.0.0.1:8080`; `http://intranet/` → `intranet:80`. Never raises: what is no address at
    all is its own key.
    """
    if plain := split_plain(url):
        host, port = plain.host, plain.port
    else:
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
        except ValueError:
            return url
    domain = None if is_ip_address(host) else _registrable(host)
    if domain:
        return domain
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}"


def _registrable(host: str) -> str | None:
    if "." not in host or host.rpartition(".")[2] in PRIVATE:
        return None
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError:
        name = host
    domain: str | None = _suffixes().privatesuffix(name)
    return domain or ".".join(name.split(".")[-2:])  # the name is itself a public suffix


def registrable(host: str) -> str | None:
    """Return the registrable domain of a public host; None for addresses, private names and public suffixes."""
    if is_ip_address(host) or "." not in host or host.rpartition(".")[2] in PRIVATE:
        return None
    domain: str | None = _suffixes().privatesuffix(host)
    return domain


@cache
def _suffixes() -> Any:
    # Loading the list costs 40 ms; a run that meets only private hosts never pays it.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def interleaved(states: Iterable[FeedState]) -> list[FeedState]:
    """Order states so that the first feeds of all hosts come before the second ones; else in the given order."""
    ranks: Counter[str] = Counter()
    ranked = []
    for state in states:
        host = host_key(state.url)
        ranked.append((ranks[host], state))
        ranks[host] += 1
    return [state for _, state in sorted(ranked, key=lambda pair: pair[0])]
