"""Descriptions of the configuration: JSON Schema for editors, tables for docs/configuration.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from aggregator.core.humanize import written
from aggregator.core.settings import Config

_SECTIONS = {
    "Feed": "Feeds: `feeds`, a list",
    "Select": "Parts of a page: `select`",
    "Auth": "Login of a feed: `auth`",
    "Channel": "Channels: `channels`, by name",
    "RuleConfig": "Rules: `rules`, a list",
    "NearConfig": "Terms close together: `near`",
    "FeedFilter": "Feed selection of a rule: `feeds`",
    "ListSource": "Lists that are not written out: `lists`, by name",
    "Threshold": "Threshold of a rule: `threshold`",
    "Spike": "Spike detection of a rule: `spike`",
    "RuleTests": "Tests of a rule: `tests`",
    "Settings": "Settings: `settings`",
    "Polling": "`settings.polling`",
    "Http": "`settings.http`",
    "Stories": "`settings.stories`",
    "HealthSettings": "`settings.health`",
    "Retention": "`settings.retention`",
    "Web": "`settings.web`",
    "Logging": "`settings.logging`",
}
_KINDS = {"string": "text", "boolean": "true or false", "integer": "number", "number": "number", "object": "mapping"}


def build_schema() -> dict[str, Any]:
    """Build the JSON Schema (draft 2020-12) of a configuration file."""
    found = Config.model_json_schema(by_alias=True, mode="validation")
    found["$defs"]["Channel"]["properties"].pop("name", None)
    for part in (found, *found["$defs"].values()):
        for about in part.get("properties", {}).values():
            about.pop("title", None)
            if isinstance(about.get("default"), float | int) and about.get("type") == "string":
                about["default"] = (
                    written(about["default"]) if "pattern" in about else f"{about['default'] // 2**20}MiB"
                )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "aggregator configuration"}


def markdown_tables() -> str:
    """Write a Markdown table of the keys of each section, in the order of the models."""
    return "\n".join(
        line for name, title in _SECTIONS.items() for line in _section(title, build_schema()["$defs"][name])
    )


def documented_keys() -> Iterator[tuple[str, str]]:
    """Yield every (section, key) that a configuration may have."""
    for name, part in build_schema()["$defs"].items():
        yield from ((name, key) for key in part.get("properties", {}))


def _section(title: str, part: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {title}\n"
    yield f"{part['description']}\n"
    yield "| key | value | default | |"
    yield "|---|---|---|---|"
    required = part.get("required", ())
    for key, about in part["properties"].items():
        default = "**required**" if key in required else _default(about)
        yield f"| `{key}` | {_kind(about)} | {default} | {about.get('description', '')} |".replace(" |  |", " | |")
    yield ""


def _default(about: Mapping[str, Any]) -> str:
    value = about.get("default")
    if value in (None, "", [], {}) or "$ref" in about:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{', '.join(value) if isinstance(value, list) else value}`"


def _kind(about: Mapping[str, Any]) -> str:
    """Describe the allowed values in a few words."""
    if "anyOf" in about:
        kinds = [kind for option in about["anyOf"] if (kind := _kind(option)) and option.get("type") != "null"]
        listed = [kind for kind in kinds if kind.startswith("list")]
        return " or ".join(dict.fromkeys(["one or a " + listed[0]] if listed else kinds))
    if "enum" in about:
        return " \\| ".join(f"`{value}`" for value in about["enum"])
    if "$ref" in about or about.get("type") == "object":
        return "mapping"
    if about.get("format") == "password":
        return "secret"
    if "pattern" in about and "examples" in about:
        return "duration"
    if about.get("examples") and about.get("type") == "string":
        return " \\| ".join(f"`{value}`" for value in about["examples"])
    if about.get("type") == "array":
        item = about.get("items", {})
        return f"list of {'mappings' if '$ref' in item else _kind(item) if 'enum' in item else 'texts'}"
    return _KINDS.get(str(about.get("type")), "")
