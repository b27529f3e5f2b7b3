"""Cross-references: feeds, tags, channels; and other checks beyond a single value."""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from aggregator.config.interpolate import UNEXPANDED, refers
from aggregator.config.messages import find_node, known_keys, unknown_key
from aggregator.config.values import CONSOLE
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, did_you_mean
from aggregator.core.rules.regex import BadPattern, pattern
from aggregator.core.short_names import expand
from aggregator.core.text.urls import DEFAULT_PORTS, login_in
from aggregator.core.values import mailbox, maildir, revealed, weak_spot

_OWN = ("url", "service", "name")


def duplicate_errors(root: MappingNode, value: dict[str, Any]) -> Iterator[ConfigError]:
    """Return feed ids, feed addresses and rule ids that were given twice, each with the first place."""
    feeds, rules = _rows(root, value, "feeds"), _rows(root, value, "rules")
    yield from _twice(feeds, "id", "feed id")
    yield from _twice(feeds, "url", "feed URL")
    yield from _twice(rules, "id", "rule id")


def unknown_errors(root: MappingNode, value: dict[str, Any]) -> Iterator[ConfigError]:
    """Return references to channels, feeds and tags that do not exist."""
    channels = _Known(_names(value.get("channels")))
    feeds = [row for _, row in _rows(root, value, "feeds")]
    ids = _Known(feed["id"] for feed in feeds if "id" in feed)
    tags = _Known(tag for feed in feeds for tag in _list(feed.get("tags")))
    for rule in _nodes(root.get("rules")):
        yield from _missing(rule, ("notify",), "channel", channels)
        yield from _missing(rule, ("feeds", "ids"), "feed", ids)
        yield from _missing(rule, ("feeds", "not_ids"), "feed", ids)
        for key in ("tags", "not_tags"):
            for error in _missing(rule, ("feeds", key), "feed with the tag", tags):
                yield replace(error, severity="warning")
        yield from _shut_out(rule, feeds)
    yield from _missing(root, ("settings", "default_channels"), "channel", channels, value)
    yield from _missing(root, ("settings", "health", "notify"), "channel", channels, value)
    for name, channel in _channels(root):
        fallback = channel.get("fallback")
        if isinstance(fallback, ScalarNode) and fallback.text == name.text:
            yield fallback.source.error(
                fallback.start, "a channel cannot be its own fallback", "choose another channel"
            )
        yield from _missing(channel, ("fallback",), "channel", channels, value["channels"].get(name.text))


def _shut_out(rule: Node, feeds: Sequence[dict[str, Any]]) -> Iterator[ConfigError]:
    """Warn about filters of a rule that no feed passes together; names that do not exist have errors of their own."""
    filters = rule.get("feeds") if isinstance(rule, MappingNode) else None
    key = rule.key("feeds") if isinstance(rule, MappingNode) else None
    if not isinstance(filters, MappingNode) or key is None or len(filters.pairs) < 2:
        return
    wanted = {name: _texts(filters.get(name)) for name in ("ids", "tags", "not_ids", "not_tags")}

    def passes(feed: dict[str, Any], names: Iterable[str]) -> bool:
        has = {str(revealed(feed.get("id")))}, {str(revealed(tag)) for tag in _list(feed.get("tags"))}
        return all(
            not wanted[name] or bool(has[name.endswith("tags")] & wanted[name]) != name.startswith("not_")
            for name in names
        )

    each = all(any(passes(feed, (name,)) for feed in feeds) for name in ("ids", "tags"))
    if each and not any(passes(feed, wanted) for feed in feeds):
        hint = "a feed must be one of ids, have one of tags, and neither be in not_ids nor have one of not_tags"
        yield replace(key.source.error(key.start, "no feed passes all of these filters", hint), severity="warning")


def _texts(node: Node | None) -> set[str]:
    items = node.nodes if isinstance(node, SequenceNode) else (node,)
    return {item.text for item in items if isinstance(item, ScalarNode) and not item.absent}


def empty_key_errors(root: MappingNode) -> Iterator[ConfigError]:
    """Return keys without a value that could not have one: unknown keys, channels, headers.

    A known key without a value is as if it were not there. Rules and lists have their own check.
    """
    for key, value in root.pairs:
        if key.text not in UNEXPANDED:
            yield from _empty(key, value, ())


def _empty(key: ScalarNode, value: Node, above: tuple[str | int, ...]) -> Iterator[ConfigError]:
    path = (*above, key.text)
    if isinstance(value, ScalarNode) and value.nothing:
        known = known_keys(above)
        if known and key.text not in known and above[:1] != ("channels",):
            yield unknown_key(key, known)
        elif above == ("channels",):
            hint = "add url: with an Apprise URL, or service: with its fields"
            yield key.source.error(key.start, f"channel {key.text!r} has no destination", hint)
        elif not known:
            yield key.source.error(key.start, f"{key.text!r} has no value", "write a value, or remove the key")
    for place, item in enumerate(value.nodes) if isinstance(value, SequenceNode) else ((None, value),):
        for below, inner in item.pairs if isinstance(item, MappingNode) else ():
            yield from _empty(below, inner, path if place is None else (*path, place))


def contradiction_errors(root: MappingNode, value: dict[str, Any]) -> Iterator[ConfigError]:
    """Return keys of a feed that its kind does not have, channels without a way to send, an impossible database, and
    a page that would be open to everyone."""
    for node, feed in _rows(root, value, "feeds"):
        yield from _kind(node, {key: revealed(item) for key, item in feed.items()})
    for name, channel in _channels(root):
        yield from _channel(name, channel)
    settings = root.get("settings")
    database = settings.get("database") if isinstance(settings, MappingNode) else None
    if isinstance(database, ScalarNode) and not database.nothing:
        yield from _database(database, str(revealed(value["settings"]["database"])))
    web = find_node(root, ("settings", "web"))
    if isinstance(web, MappingNode) and (listen := web.get("listen")) and isinstance(listen, ScalarNode):
        yield from _listen(listen, (value.get("settings") or {}).get("web") or {})


def dubious_warnings(root: MappingNode, value: dict[str, Any]) -> Iterator[ConfigError]:
    """Return warnings about what is allowed but dubious."""
    for node, feed in _rows(root, value, "feeds"):
        if _is_off(feed.get("verify_tls")):
            place = find_node(node, ("verify_tls",))
            error = place.source.error(
                place.start, "this feed's certificates are not verified", "anyone on the network path could forge it"
            )
            yield replace(error, severity="warning")
        address = str(revealed(feed.get("url", "")))
        if address.strip().lower().startswith("http") and login_in(address.strip()).auth:
            place = find_node(node, ("url",))
            error = place.source.error(
                place.start,
                "this address holds a login, so the feed is not polled",
                "write it as auth: {user:, password:}",
            )
            yield replace(error, severity="warning")
    feeds, rules = value.get("feeds"), value.get("rules")
    if not feeds:
        section, idle = "feeds", ("no feeds are configured", "add one with `aggregator feeds add URL`")
    elif not rules:
        section, idle = "rules", ("no rules are configured: nothing will alert", "write one into rules.yaml")
    elif _all_off(feeds):
        section, idle = "feeds", ("every feed is disabled: nothing will be polled", "remove enabled: false")
    elif _all_off(rules):
        section, idle = "rules", ("every rule is disabled: nothing will alert", "remove enabled: false")
    else:
        return
    place = find_node(root, (section,))  # the section that does nothing, or the first file where there is none
    yield replace(place.source.error(place.start, *idle), severity="warning")


# --- pieces --------------------------------------------------------------------------------------


def _all_off(rows: Any) -> bool:
    """Tell whether every item of a section is disabled."""
    return isinstance(rows, list) and all(isinstance(row, dict) and _is_off(row.get("enabled")) for row in rows)


def _rows(root: MappingNode, value: dict[str, Any], section: str) -> list[tuple[Node, dict[str, Any]]]:
    """Return the items of a list section that are mappings: as written, and as values."""
    rows = value.get(section)
    nodes = _nodes(root.get(section))
    if not isinstance(rows, list) or len(rows) != len(nodes):
        return []
    return [(node, row) for node, row in zip(nodes, rows, strict=True) if isinstance(row, dict)]


def _is_off(value: object) -> bool:
    """Tell whether a switch is written as off, in any of the words that are read so."""
    return str(revealed(value)).lower() in ("false", "no", "off", "n", "f", "0")


def _nodes(node: Node | None) -> Sequence[Node]:
    return node.nodes if isinstance(node, SequenceNode) else ()


def _channels(root: MappingNode) -> Iterator[tuple[ScalarNode, MappingNode]]:
    section = root.get("channels")
    if isinstance(section, MappingNode):
        yield from ((name, channel) for name, channel in section.pairs if isinstance(channel, MappingNode))


def _names(value: object) -> list[str]:
    return [*value] if isinstance(value, dict) else [CONSOLE]


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else () if value is None else (value,)


def _twice(rows: Sequence[tuple[Node, dict[str, Any]]], key: str, what: str) -> Iterator[ConfigError]:
    first: dict[str, Node] = {}
    for node, row in rows:
        text = revealed(row.get(key))
        if not isinstance(text, str):
            continue
        same = _source(row, text) if key == "url" else text
        place = find_node(node, (key,))
        if before := first.get(same):
            line, _ = before.source.place(before.start)
            hint = f"first in {before.source.name}:{line}; keep one of them"
            written = place.text if isinstance(place, ScalarNode) and refers(place) else text
            yield place.source.error(place.start, f"{what} {written!r} is defined twice", hint)
        else:
            first[same] = place


def _source(feed: dict[str, Any], url: str) -> str:
    """Return what makes a source another one: its address, and what is read there."""
    return f"{_address(url)} {[feed.get(key) for key in ('kind', 'select', 'from') if key in feed]}"


def _address(url: str) -> str:
    """Normalise an address for comparison: short names, case of scheme and host, default port, fragment."""
    try:
        url = expand(url) or url
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return url
    default = DEFAULT_PORTS.get(parts.scheme.lower())
    place = f"{parts.hostname}:{port}" if port and port != default else f"{parts.hostname}"
    return f"{parts.scheme.lower()}://{parts.username or ''}@{place}{parts.path or '/'}?{parts.query}"


class _Known:
    """The existing names; those that came through a reference are compared, and never suggested."""

    def __init__(self, names: Iterable[object]) -> None:
        found = list(names)
        self._all = {str(revealed(name)) for name in found}
        self._shown = sorted({str(name) for name in found if not isinstance(name, SecretStr)})

    def __contains__(self, name: object) -> bool:
        return str(revealed(name)) in self._all

    def hint(self, name: str) -> str | None:
        near = did_you_mean(name, self._shown).strip(" ()")
        return near or (f"known: {', '.join(self._shown[:8])}" if self._shown else None)


def _missing(
    node: Node, path: tuple[str, ...], what: str, known: _Known, value: object = None
) -> Iterator[ConfigError]:
    """Return texts at a path, one or a list of them, that are no known name.

    `value` is the expanded value; None: nothing is expanded there.
    """
    expanded = value is not None
    for step in path:
        below = node.get(step) if isinstance(node, MappingNode) else None
        if below is None:
            return
        node = below
        value = value.get(step) if isinstance(value, dict) else None
    items = node.nodes if isinstance(node, SequenceNode) else (node,)
    values = value if isinstance(value, list) and len(value) == len(items) else [value] * len(items)
    for item, meant in zip(items, values, strict=True):
        if not isinstance(item, ScalarNode) or (item.nothing if expanded else item.absent):
            continue
        if (item.text if meant is None else meant) not in known:
            yield item.source.error(item.start, f"no {what} named {item.text!r}", known.hint(item.text))


def _kind(node: Node, feed: dict[str, Any]) -> Iterator[ConfigError]:
    """Return what does not fit the kind of a source."""
    kind, url = str(feed.get("kind", "feed")), str(feed.get("url", "")).strip()

    def wrong(path: Sequence[str | int], message: str, hint: str) -> ConfigError:
        place = find_node(node, path)
        if path[0] != "kind" and isinstance(node, MappingNode) and len(path) == 1:
            place = node.key(str(path[0])) or place
        return place.source.error(place.start, message, hint)

    auth = feed.get("auth")
    if isinstance(auth, dict) and "bearer" in auth and {"user", "password"} & auth.keys():
        yield wrong(("auth",), "a user and a bearer token exclude each other", "remove one of them")
    is_mail = mailbox(url) is not None or maildir(url) is not None
    if is_mail and kind != "mail":
        yield wrong(("kind",), "the address is one of mail", "add kind: mail")
    elif kind == "mail" and not is_mail:
        yield wrong(("url",), "kind mail reads a mailbox", "write imaps://user@mail.example.org/INBOX or maildir:/path")
    elif kind == "mail" and mailbox(url) and not (auth if isinstance(auth, dict) else {}).get("password"):
        yield wrong(("url",), "a mailbox needs a password", 'add auth: {password: "${IMAP_PASSWORD}"}')
    select = feed.get("select")
    for key, kinds in (("select", ("page", "watch")), ("ignore", ("watch",)), ("from", ("mail",))):
        if key in feed and kind not in kinds:
            yield wrong((key,), f"{key!r} has no meaning for kind {kind}", f"it belongs to kind {' or '.join(kinds)}")
    if kind == "page" and not (isinstance(select, dict) and select.get("entry")):
        yield wrong(
            ("kind",),
            "a page needs select: {entry: …}, the selector of its entries",
            "`aggregator feeds discover URL` proposes one",
        )
    if isinstance(select, dict) and kind in ("page", "watch"):
        for part in select:
            if (part == "content") != (kind == "watch"):
                meant = "select: {content: …}" if kind == "watch" else "select: {entry: …}"
                yield wrong(("select", part), f"select.{part} has no meaning for kind {kind}", f"write {meant}")
    for place, written in enumerate(_list(feed.get("ignore"))):
        try:
            pattern(str(revealed(written)))
        except BadPattern as bad:
            yield wrong(("ignore", place), f"ignore: {bad}", bad.hint or "patterns are RE2")


def _channel(name: ScalarNode, channel: MappingNode) -> Iterator[ConfigError]:
    url, service = channel.key("url"), channel.key("service")
    if (own := channel.key("name")) is not None:
        yield own.source.error(own.start, "unknown key 'name'", f"the name of this channel is {name.text!r}")
    kind = channel.get("service")
    webhook = isinstance(kind, ScalarNode) and kind.text == "webhook"  # the one service that is an address itself
    if url and service and not webhook:
        yield service.source.error(
            service.start, "a channel takes either url or service, not both", "remove one of them"
        )
    elif not url and not service:
        hint = "add url: with an Apprise URL, or service: with its fields"
        yield name.source.error(name.start, f"channel {name.text!r} has no destination", hint)
    elif url and not webhook:
        known = [key for key in known_keys(("channels", name.text)) if key not in _OWN]
        yield from (unknown_key(key, known) for key, _ in channel.pairs if key.text not in (*known, *_OWN))


def _database(node: ScalarNode, url: str) -> Iterator[ConfigError]:
    if fault := database_fault(url):
        message, hint = fault
        if refers(node):
            message, hint = "not a database URL", "sqlite:///var/aggregator.db or postgresql://…"
        yield node.source.error(node.start, message, hint)


def database_fault(url: str) -> tuple[str, str] | None:
    """Return why `run` would refuse a URL, and the remedy; the URL itself is not shown, it may hold a password."""
    backend, _, rest = url.partition("://")
    message, hint = f"{backend} is not a supported database", "write sqlite:///var/aggregator.db or postgresql://…"
    if not rest and "://" not in url:
        message = "not a database URL"
        hint = f"write sqlite:///{url}" if url and "@" not in url else hint
    elif backend in ("postgresql", "postgresql+psycopg"):
        return None
    elif backend.startswith("postgres"):
        message, hint = f"{backend} is not a supported driver name", "write postgresql://…"
    elif backend == "sqlite":
        path = rest.partition("?")[0]
        if path.startswith("/") and path not in ("/", "/:memory:"):
            return None
        message = "not a SQLite URL with a file" if path.strip("/") in ("", ":memory:") else "a slash is missing"
        hint = "write sqlite:///var/aggregator.db" if "file" in message else f"write sqlite:///{rest}"
    return message, hint


def _listen(node: ScalarNode, web: dict[str, Any]) -> Iterator[ConfigError]:
    listen = str(revealed(web.get("listen", "")))
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        yield node.source.error(
            node.start, f"listen: {node.text!r} is not an address and port", "for example 127.0.0.1:8080"
        )
    elif is_open(host) and not _is_off(web.get("enabled")):
        password, token = (str(revealed(web.get(name) or "")) for name in ("password", "token"))
        if not password and not token:
            hint = 'add password: "${WEB_PASSWORD}", or listen on 127.0.0.1'
            yield node.source.error(node.start, "not a loopback address, and no password is set", hint)
        elif weak := weak_spot(password, token):
            yield node.source.error(node.start, f"{node.text} is not a loopback address, and {weak.wrong}", weak.hint)


def is_open(host: str) -> bool:
    """Tell whether others can reach what listens at a host."""
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() != "localhost"
