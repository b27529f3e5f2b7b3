"""The plain values of a configuration: what may be noted for the next pass, which need not check it again."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from aggregator.config.interpolate import refers
from aggregator.config.loader import Loaded
from aggregator.config.yaml_tree import MappingNode, Node, SequenceNode
from aggregator.core.redaction import hide_url_secrets
from aggregator.core.settings import Feed

# Not noted: the database's address and the time zone, which the machine may decide.
SECTIONS = ("polling", "http", "stories", "health", "retention", "web", "metrics", "logging")


def plain_values(loaded: Loaded) -> dict[str, Any]:
    """Return values for JSON, by section and feed: none of them comes from a reference, is a secret or holds one.

    `usual` are those of a feed of which nothing is written, `feeds` what differs from them: by id, and how it is read
    where that is not as a feed. None stands for a feed that has a secret: who asks it for anything gets all secrets
    with the whole configuration, so that they are cut out of what is said of it.
    """
    config, secrets = loaded.config, loaded.secrets
    settings = loaded.root.get("settings")
    sections = {name: _section(getattr(config.settings, name), _below(settings, name), secrets) for name in SECTIONS}
    usual = _plain({name: field.default for name, field in Feed.model_fields.items()}, ())
    rows = loaded.root.get("feeds")
    nodes = rows.nodes if isinstance(rows, SequenceNode) else ()
    return {
        "sections": sections,
        "usual": usual,
        "feeds": {
            feed.id: None if refers(node) else _differing(feed, usual, secrets)
            for feed, node in zip(config.feeds, nodes, strict=True)
        },
    }


def rules_hold_secret(loaded: Loaded) -> bool:
    """Tell whether a secret stands in a rule or a list, as a person wrote it there, by intent or by chance."""
    sections = (loaded.root.get("rules"), loaded.root.get("lists"))
    nodes = [*(sections[0].nodes if isinstance(sections[0], SequenceNode) else ())]
    nodes += [node for _, node in (sections[1].pairs if isinstance(sections[1], MappingNode) else ())]
    texts = [node.source.text[node.start : node.end] for node in nodes]
    texts += {term for rule in loaded.rules for _, terms in rule.lists for term in terms}
    text = "\n".join(texts).casefold()
    return any(secret.casefold() in text for secret in loaded.secrets)


def _below(settings: Node | None, name: str) -> Node | None:
    return settings.get(name) if isinstance(settings, MappingNode) else None


def _section(values: BaseModel, written: Node | None, secrets: Iterable[str]) -> dict[str, Any]:
    """Return the plain values of a section, without those of keys that are written with a reference."""
    pairs = written.pairs if isinstance(written, MappingNode) else ()
    keys = {key.text for key, node in pairs if refers(node)}
    fields = type(values).model_fields
    return _plain({name: value for name, value in values if (fields[name].alias or name) not in keys}, secrets)


def _differing(feed: Feed, usual: Mapping[str, Any], secrets: Iterable[str]) -> dict[str, Any] | None:
    reading, values = feed.reading, _plain(dict(feed), secrets)
    if dict(feed).keys() - values.keys() - {"select"} or not _is_plain(reading.text, secrets):
        return None
    found = {name: value for name, value in values.items() if name not in usual or usual[name] != value}
    if feed.kind != "feed":
        found["reading"] = [reading.kind, reading.select, reading.ignore, reading.senders]
    return found


def _plain(values: Mapping[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if _is_plain(value, secrets)}


def _is_plain(value: object, secrets: Iterable[str]) -> bool:
    if isinstance(value, str):
        return not any(secret in value for secret in secrets) and hide_url_secrets(value) == value
    if isinstance(value, tuple):
        return all(isinstance(one, str) and _is_plain(one, secrets) for one in value)
    return value is None or value == {} or isinstance(value, bool | int | float)
