"""The plain values of a configuration: what may be noted for the next pass, which need not check it again."""

from collections.abc import Iterable, Mapping
from typing import Any

from aggregator.config.interpolate import refers
from aggregator.config.loader import Loaded
from aggregator.config.yaml_tree import MappingNode, SequenceNode
from aggregator.core.redaction import hide_logins
from aggregator.core.settings import Feed

# Not noted: the database's address and the time zone, which the machine may decide.
SECTIONS = ("polling", "http", "stories", "health", "retention", "web", "metrics", "logging")


def plain_values(loaded: Loaded) -> dict[str, Any]:
    """Return values for JSON, by section and feed: none of them comes from a reference, is a secret or holds one.

    `usual` are those of a feed of which nothing is written, `feeds` what differs from them: by id, with `missing` names
    (None: everything is) and how it is read where that is not as a feed.
    """
    config, secrets = loaded.config, loaded.secrets
    section = loaded.root.get("settings")
    written = {key.text: node for key, node in section.pairs} if isinstance(section, MappingNode) else {}
    sections = {
        name: _plain(dict(getattr(config.settings, name)), secrets)
        for name in SECTIONS
        if name not in written or not refers(written[name])
    }
    usual = _plain({name: field.default for name, field in Feed.model_fields.items()}, ())
    rows = loaded.root.get("feeds")
    nodes = rows.nodes if isinstance(rows, SequenceNode) else ()
    return {
        "sections": sections,
        "usual": usual,
        "feeds": {
            feed.id: {"missing": None} if refers(node) else _differing(feed, usual, secrets)
            for feed, node in zip(config.feeds, nodes, strict=True)
        },
    }


def _differing(feed: Feed, usual: Mapping[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    values = _plain(dict(feed), secrets)
    found = {name: value for name, value in values.items() if name not in usual or usual[name] != value}
    if missing := [name for name in usual if name not in values]:
        found["missing"] = missing
    if feed.kind != "feed":
        reading = feed.reading
        if not _is_plain(reading.text, secrets):
            return {"missing": None}
        found["reading"] = [reading.kind, reading.select, reading.ignore, reading.senders]
    return found


def _plain(values: Mapping[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if _is_plain(value, secrets)}


def _is_plain(value: object, secrets: Iterable[str]) -> bool:
    if isinstance(value, str):
        return not any(secret in value for secret in secrets) and hide_logins(value) == value
    if isinstance(value, tuple):
        return all(isinstance(one, str) and _is_plain(one, secrets) for one in value)
    return value is None or value == {} or isinstance(value, bool | int | float)
