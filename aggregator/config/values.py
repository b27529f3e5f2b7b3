"""Conversion of the tree of texts to plain values: which words are text, number or nothing, by section."""

import hashlib
import logging
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from aggregator.config.interpolate import UNEXPANDED, Expander
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.short_names import SERVICES
from aggregator.core.text.urls import DEFAULT_PORTS
from aggregator.core.values import revealed

log = logging.getLogger(__name__)

Read = Callable[[ScalarNode], object]
CONSOLE = "console"
MAX_TITLE_SLUG = 32


def machine_zone() -> str:
    """Return the name of the machine's time zone; UTC, with a warning in the log, where it has none that is known."""
    from tzlocal import get_localzone_name

    try:
        name = get_localzone_name().replace("Etc/UTC", "UTC")
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        log.warning("the machine's time zone is unknown (%s), so times are in UTC; set settings.time_zone", error)
        return "UTC"
    return name


def to_plain(root: MappingNode, expander: Expander) -> dict[str, Any]:
    """Return the configuration as dicts, lists and scalars, with the defaults that depend on other keys.

    Rules and lists are read as written; feeds, channels, settings and the address of a list with references expanded.
    """
    expanded, typed = partial(_expanded, expander), partial(_typed, expander)
    written = partial(_written, expander)
    readers: dict[str, Read] = {**dict.fromkeys(UNEXPANDED, written), "channels": typed}
    pairs = (pair for pair in root.pairs if not (isinstance(pair[1], ScalarNode) and pair[1].nothing))
    root = root._replace(pairs=tuple(pair for pair in pairs if not expander.refuse_section(*pair)))
    addresses = {id(scalar) for scalar in _addresses(root)}
    readers["lists"] = lambda scalar: (expanded if id(scalar) in addresses else written)(scalar)
    value = _mapping(root, lambda key: readers.get(key, expanded))
    _anchor_paths(root, value)
    _name_channels(value)
    _name_feeds(value)
    return value


def _addresses(root: MappingNode) -> Iterator[Node]:
    """Yield where the lists' terms are fetched from."""
    lists = root.get("lists")
    for _, one in lists.pairs if isinstance(lists, MappingNode) else ():
        if isinstance(one, MappingNode) and (url := one.get("url")):
            yield url


def slug(url: str) -> str:
    """Return the default id of a feed: `example-org-news-feed`, from host (without `www.`) and path, or short name."""
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").removeprefix("www."), parts.port
    except ValueError:
        return ""
    place = f"{host}:{port}" if port and port != DEFAULT_PORTS.get(parts.scheme.lower()) else host
    words = url if parts.scheme in SERVICES and not host else f"{place}/{unquote(parts.path)}"
    plain_text = unicodedata.normalize("NFKD", words).casefold()
    text = re.sub(r"[^a-z0-9]+", "-", "".join(c for c in plain_text if not unicodedata.combining(c))).strip("-")
    return text if len(text) <= 100 else f"{text[:93]}-{_short(url)}"


def free_slug(url: str, taken: Collection[str]) -> str:
    """Return the slug of a feed; if another feed has it, with a piece of the URL's hash."""
    name = slug(url) or "feed"
    return f"{name[:93]}-{_short(url)}" if name in taken else name


def title_slug(title: str) -> str:
    """Return a short id made of a title, cut between words; empty if it has too few Latin characters for one."""
    plain_text = unicodedata.normalize("NFKD", title).casefold()
    name = re.sub(r"[^a-z0-9]+", "-", "".join(c for c in plain_text if not unicodedata.combining(c))).strip("-")
    if len(name) > MAX_TITLE_SLUG:
        name = name[: MAX_TITLE_SLUG + 1].rpartition("-")[0] or name[:MAX_TITLE_SLUG]
    return name if len(name) > 2 else ""


def _short(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:6]


def _mapping(pairs: MappingNode, reader: Callable[[str], Read]) -> dict[str, Any]:
    found = ((key.text, _convert(value, reader(key.text))) for key, value in pairs.pairs)
    return {key: value for key, value in found if value is not None}


def _convert(node: Node, read: Read) -> Any:
    if isinstance(node, ScalarNode):
        return read(node)
    if isinstance(node, SequenceNode):
        return [_convert(item, read) for item in node.nodes]
    return _mapping(node, lambda _: read)


def _written(expander: Expander, scalar: ScalarNode) -> object:
    return None if scalar.absent else expander.keep(scalar)


def _expanded(expander: Expander, scalar: ScalarNode) -> object:
    return None if scalar.nothing else expander.expand(scalar)


def _typed(expander: Expander, scalar: ScalarNode) -> object:
    """Convert to a number or a truth value only if writing it back gives the same text: 007 stays text."""
    text = _expanded(expander, scalar)
    if scalar.style or not isinstance(text, str) or text != scalar.text:
        return text
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            if str(number(scalar.text)) == scalar.text:
                return number(scalar.text)
        except ValueError:
            continue
    return text


def _anchor_paths(root: MappingNode, value: dict[str, Any]) -> None:
    """Anchor paths at the file that names them, wherever the program was started."""
    section, channels = root.get("channels"), value.get("channels")
    if not isinstance(section, MappingNode) or not isinstance(channels, dict):
        return
    for name, node in section.pairs:
        named = node.get("template") if isinstance(node, MappingNode) else None
        channel = channels.get(name.text)
        if isinstance(named, ScalarNode) and isinstance(channel, dict) and (path := revealed(channel.get("template"))):
            channel["template"] = str(named.source.path.parent / str(path))


def _name_channels(value: dict[str, Any]) -> None:
    channels = value.setdefault("channels", {})
    if not isinstance(channels, dict):
        return
    channels.setdefault(CONSOLE, {"service": CONSOLE})
    for name, channel in channels.items():
        if isinstance(channel, dict):
            channel["name"] = name
    settings = value.setdefault("settings", {})
    if isinstance(settings, dict):
        settings.setdefault("default_channels", [CONSOLE])


def _name_feeds(value: dict[str, Any]) -> None:
    """Give each feed without an id its slug; a text in place of a feed is its address."""
    feeds = value.get("feeds")
    if not isinstance(feeds, list):
        return
    feeds[:] = [{"url": feed} if isinstance(revealed(feed), str) else feed for feed in feeds]
    named = [
        (feed, url) for feed in feeds if isinstance(feed, dict) and isinstance(url := revealed(feed.get("url")), str)
    ]
    taken = {name for feed, _ in named if isinstance(name := revealed(feed.get("id")), str)}
    for feed, url in named:
        if "id" not in feed:
            feed["id"] = free_slug(url, taken)
            taken.add(feed["id"])
