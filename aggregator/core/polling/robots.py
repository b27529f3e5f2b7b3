"""robots.txt (RFC 9309): which pages of a site programs may read, and where its sitemaps are.

Feeds are made for programs and are read as ever; pages and sitemaps are asked for only where this allows it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, urlsplit

AGENT = "aggregator"
MAX_CHARS = 500 * 1024
MAX_RULES = 10_000
MAX_AGE_S = 86_400.0  # RFC 9309, 2.4

_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_KEPT = "!#$%&'()*+,/:;=?@[]~"


class RobotsRule(NamedTuple):
    """A line of a group: whether it allows, and the pattern of paths."""

    allows: bool
    pattern: str


class Robots(NamedTuple):
    """What a file says to us: the rules of our group, and the sitemaps that it names to everybody."""

    rules: tuple[RobotsRule, ...] = ()
    sitemaps: tuple[str, ...] = ()

    def refusal(self, url: str) -> str | None:
        """Return the line that forbids an address; None: it may be read. The longest pattern decides."""
        parts = urlsplit(url)
        path = _normal((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        best = RobotsRule(True, "")
        for rule in self.rules:
            better = (len(rule.pattern), rule.allows) > (len(best.pattern), best.allows)
            if better and _matches(rule.pattern, path):
                best = rule
        return None if best.allows else f"Disallow: {best.pattern}"


def parse_robots(text: str) -> Robots:
    """Read a file; what is no line of robots.txt, as in a page that was sent instead, says nothing."""
    groups: dict[str, list[RobotsRule]] = {}
    sitemaps: list[str] = []
    agents: list[str] = []
    naming = False
    count = 0
    for key, value in _lines(text[:MAX_CHARS]):
        if key == "user-agent":
            agents = [*(agents if naming else []), value.partition("/")[0].strip().lower()]
            naming = True
            for agent in agents:
                groups.setdefault(agent, [])
        elif key in ("allow", "disallow"):
            naming = False
            count += 1
            if value and count <= MAX_RULES:
                for agent in agents:
                    groups[agent].append(RobotsRule(key == "allow", _normal(value)))
        elif key == "sitemap" and value.startswith(("http://", "https://")):
            sitemaps.append(value)
    ours = groups.get(AGENT, groups.get("*", ()))
    return Robots(tuple(ours), tuple(dict.fromkeys(sitemaps)))


def robots_url(url: str) -> str:
    """Return where the file for an address is."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/robots.txt"


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.lstrip("\ufeff").splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield key.strip().lower(), value.strip()


def _normal(path: str) -> str:
    """Return a path with its escapes in one form (RFC 9309, 2.2.2)."""
    return _ESCAPE.sub(lambda found: found[0].upper(), quote(path, safe=_KEPT))


def _matches(pattern: str, path: str) -> bool:
    """Match a prefix with `*` for anything and `$` for the end, without ever going back."""
    anchored = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    for place, piece in enumerate(rest):
        if anchored and place == len(rest) - 1:
            return path.endswith(piece) and len(path) - len(piece) >= at
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return not anchored or at == len(path)
