"""Messages for validation errors, in the terms of the configuration file."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from aggregator.config.interpolate import UNEXPANDED, refers
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, did_you_mean
from aggregator.core.settings import Config, ListSource
from aggregator.core.short_names import SERVICES
from aggregator.core.text.fold import fold
from aggregator.core.values import Unfit

Step = str | int
MERGE = "YAML merge keys are not allowed: write the keys out"
HIDDEN = "'***'"  # stands where a value would be quoted that came from outside

# What other tools call the keys of a rule.
_RULE_KEYS = {
    **dict.fromkeys(("terms", "keywords", "keyword", "words", "phrases", "include", "should", "whitelist"), "any"),
    **dict.fromkeys(("must", "required", "require", "and"), "all"),
    **dict.fromkeys(("must_not", "exclude", "excludes", "not", "ignore", "without"), "none"),
    **dict.fromkeys(("filter", "q", "search", "expression", "boolean", "match"), "query"),
    **dict.fromkeys(("pattern", "patterns", "regexp", "re"), "regex"),
    **dict.fromkeys(("fields", "field", "scope"), "in"),
    **dict.fromkeys(("language", "languages"), "lang"),
    **dict.fromkeys(("alert", "alerts", "channel", "channels", "notification", "notifications", "email"), "notify"),
    **dict.fromkeys(("schedule", "realert", "digest", "interval"), "deliver"),
    **dict.fromkeys(("frequency", "num_events", "timeframe"), "threshold: {hits: 5, within: 6h}"),
    **dict.fromkeys(("tags", "folder", "folders", "sources", "source"), "feeds: {tags: […]}"),
    **dict.fromkeys(("proximity", "within", "distance"), "near: {terms: […], within: 10}"),
    **dict.fromkeys(("name", "label"), "title, in addition to a short id:"),
    **dict.fromkeys(("description", "comment", "note"), "a comment: # …"),
    **dict.fromkeys(("disabled", "active"), "enabled: false"),
    "new_term": "first_in: 90d",
}

# … and those of a feed, and names of fields.
_FEED_KEYS = {
    **dict.fromkeys(("name", "label"), "title"),
    **dict.fromkeys(("interval", "frequency", "refresh", "poll", "schedule", "period", "minutes"), "every: 15m"),
    **dict.fromkeys(("category", "categories", "folder", "folders", "group", "labels"), "tags"),
    **dict.fromkeys(("link", "xmlurl", "feed", "address", "feed_url", "rss", "site", "uri", "href"), "url"),
    **dict.fromkeys(("disabled", "active", "paused"), "enabled: false"),
    **dict.fromkeys(("username", "user", "login", "password"), "auth: {user: …, password: …}"),
    **dict.fromkeys(("notify", "channel", "channels", "keywords", "filter"), "it in a rule, which may name feeds"),
}
_COUNT_KEYS = {
    **dict.fromkeys(("count", "number", "entries", "min", "num_events", "matches"), "hits"),
    **dict.fromkeys(("window", "timeframe", "period", "in", "time", "duration"), "within"),
    **dict.fromkeys(("feeds", "outlets", "distinct"), "sources"),
    **dict.fromkeys(("ratio", "height", "spike_height", "times"), "factor"),
    **dict.fromkeys(("distance", "slop", "words", "max"), "within"),
    **dict.fromkeys(("any", "all", "words", "items"), "terms"),
}
_FIELDS = {
    **dict.fromkeys(("body", "text", "article", "full_text", "fulltext"), "content"),
    **dict.fromkeys(("headline", "heading", "subject", "name"), "title"),
    **dict.fromkeys(("description", "abstract", "teaser", "lead"), "summary"),
    **dict.fromkeys(("url", "address"), "link"),
    **dict.fromkeys(("tags", "tag", "keywords", "topic"), "category"),
    **dict.fromkeys(("by", "creator", "writer"), "author"),
}
# What people write for one of a few words.
_WORDS = {
    **dict.fromkeys(("urgent", "critical", "highest", "important", "1"), "high"),
    **dict.fromkeys(("medium", "default"), "normal"),
    **dict.fromkeys(("lowest", "minor"), "low"),
    **dict.fromkeys(("sensitive", "true", "yes", "strict", "on"), "exact"),
    **dict.fromkeys(("insensitive", "ignore", "false", "no"), "fold"),
    **dict.fromkeys(("off", "none", "collapse"), "fold"),
    **dict.fromkeys(("all", "always", "each"), "alert"),
    **dict.fromkeys(("md",), "markdown"),
    **dict.fromkeys(("plain", "txt"), "text"),
}
# Signs that look like those of YAML, or like nothing, and are neither.
_LOOKALIKE = re.compile(
    "[\\u00ad\\u200b-\\u200f\\u2060\\ufeff\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000\\uff1a\\uff3b\\uff3d\\uff5b\\uff5d\\ufe55]"
)


def find_node(node: Node, path: Sequence[Step]) -> Node:
    """Return the node at a path, or the deepest one above it that was written.

    A single value that stands for a list is its own first item.
    """
    for step in path:
        below: Node | None = None
        if isinstance(step, str) and isinstance(node, MappingNode):
            below = node.get(step)
        elif isinstance(step, int) and isinstance(node, SequenceNode) and step < len(node.nodes):
            below = node.nodes[step]
        elif step == 0 and not isinstance(node, SequenceNode):
            continue
        if below is None:
            return node
        node = below
    return node


def validation_error(wrong: ErrorDetails, root: MappingNode) -> ConfigError | None:
    """Build one validation error with its place; None if its empty item has been reported already."""
    path = wrong["loc"]
    node = find_node(root, path)
    if isinstance(node, ScalarNode) and node.absent and path[0] in UNEXPANDED:
        return None
    if wrong["type"] == "too_short" and wrong["input"]:
        return None  # its items are wrong, and have errors of their own
    if wrong["type"] == "extra_forbidden":
        return _unknown_key(path, root)
    if wrong["type"] == "missing":
        if isinstance(node, ScalarNode):
            return node.source.error(node.start, f"{path[-1]!r} has no value", _owner(path) or "write one")
        return node.source.error(node.start, f"missing key {path[-1]!r}", _owner(path) or _EXAMPLES.get(path[-1]))
    message, hint = _message(wrong, node, hidden=_expanded(path) and refers(node))
    label = next((f"{step}: " for step in reversed(path) if isinstance(step, str)), "")
    return node.source.error(node.start, f"{label}{message}", hint)


def _expanded(path: Sequence[Step]) -> bool:
    """Tell whether references are replaced in the value at a path."""
    return path[0] not in UNEXPANDED or (path[0] == "lists" and path[-1] == "url")


def known_keys(path: Sequence[Step]) -> list[str]:
    """Return the keys that a mapping at this path may have; none if it is free."""
    model: Any = Config
    for step in path:
        model = _inner(model)
        if model is Config and step == "lists":
            return known_keys_of(ListSource)
        if get_origin(model) is dict:
            model = get_args(model)[1]
        elif isinstance(step, str):
            model = _fields(model).get(step)
    return known_keys_of(model)


def known_keys_of(model: Any) -> list[str]:
    return [*_fields(_inner(model))]


def _fields(model: Any) -> dict[str, Any]:
    """Return the keys of a model with the kinds of their values."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def unknown_key(key: ScalarNode, known: Sequence[str]) -> ConfigError:
    """Build the error about an unknown key."""
    if key.text in SERVICES and "url" in known:
        return key.source.error(key.start, f"unknown key {key.text!r}", f'quote a short name: - "{key.text}: …"')
    if key.text == "<<":
        return key.source.error(key.start, "unknown key '<<'", MERGE)
    if not key.text.isascii():
        return key.source.error(key.start, f"unknown key {key.text!r}", _foreign(key.text, known))
    name = key.text.casefold().replace("-", "_")
    others = _RULE_KEYS if "query" in known else _FEED_KEYS if "max_latency" in known else _COUNT_KEYS
    replacement = None if name in known else others.get(name)
    if others is _COUNT_KEYS and replacement not in known:
        replacement = None
    owners = [] if name in known else _owners(key.text, known)
    hint = (
        f"write {replacement}"
        if replacement
        else f"it belongs under {owners[0]}:"
        if len(owners) == 1
        else did_you_mean(key.text, known).strip(" ()")
    )
    return key.source.error(key.start, f"unknown key {key.text!r}", hint or f"known keys: {', '.join(known)}")


def _foreign(text: str, known: Sequence[str]) -> str:
    """Say which character makes a key another one than it looks."""
    sign = next(character for character in text if not character.isascii())
    name = unicodedata.name(sign, "no name").lower()
    near = did_you_mean(re.sub(r"^[\s-]+|[^\x21-\x7e]", "", text), known).strip(" ()")
    remedy = "write plain spaces" if sign.isspace() else "remove it" if not sign.isprintable() else near
    remedy = remedy or f"known keys: {', '.join(known)}"
    return f"it contains U+{ord(sign):04X} ({name}): {remedy}"


def _owners(name: str, known: Sequence[str]) -> list[str]:
    """Return the sections in which a key of the settings stands, where `known` are those of another level."""
    if "database" not in known and "settings" not in known:
        return []
    settings = known_keys(("settings",))
    if name in settings:
        return ["settings"]
    return [f"settings: {section}" for section in settings if name in known_keys(("settings", section))]


def _unknown_key(path: Sequence[Step], root: MappingNode) -> ConfigError:
    parent, name = find_node(root, path[:-1]), str(path[-1])
    key = parent.key(name) if isinstance(parent, MappingNode) else None
    known = known_keys(path[:-1])
    if key is None:
        return parent.source.error(
            parent.start, f"unknown key {name!r}", did_you_mean(name, known).strip(" ()") or None
        )
    return unknown_key(key, known)


def _inner(annotation: Any) -> Any:
    """Return the kind behind `tuple[Kind, ...]`, `Kind | None` and `Annotated[Kind, …]`."""
    while get_origin(annotation) in (Annotated, tuple, Union, UnionType):
        annotation = next(a for a in get_args(annotation) if a not in (NoneType, Ellipsis))
    return annotation


def _owner(path: Sequence[Step]) -> str | None:
    owners = {"feeds": "a feed needs its url", "rules": "a rule needs an id"}
    return owners.get(str(path[0])) if len(path) == 3 else None


_KINDS = {
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
}
_EXAMPLES: Mapping[Step, str] = {"within": "add for example within: 6h", "hits": "add for example hits: 5"}
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_LIMITS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda ctx: f"must be more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"must be less than {ctx['lt']:g}",
    "too_short": lambda ctx: f"must have at least {ctx['min_length']} item",
    "string_too_short": lambda ctx: "must not be empty",  # noqa: ARG005
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']:g}",
}


def _message(wrong: ErrorDetails, node: Node, *, hidden: bool) -> tuple[str, str | None]:
    kind, context = wrong["type"], wrong.get("ctx", {})
    value = HIDDEN if hidden else repr(wrong["input"])
    if kind in _KINDS:
        hint = None if hidden else _kind_hint(kind, node, wrong["loc"])
        return f"expected {_KINDS[kind]}, found {_found(node)}", hint
    if kind in _LIMITS:
        return _LIMITS[kind](context), None
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", context["expected"])
        field = _FIELDS.get(str(wrong["input"]).casefold()) if "summary" in words else None
        meant = field or _WORDS.get(str(wrong["input"]).casefold())
        near = f"write {meant}" if meant in words else did_you_mean(str(wrong["input"]), words).strip(" ()")
        near = "" if hidden else near
        return f"{value} is not one of {', '.join(words)}", near or None
    if kind == "string_pattern_mismatch":
        proposal = "" if hidden else _as_id(str(wrong["input"]))
        return f"{value} contains characters that are not allowed in an id", f"for example {proposal or 'my-name'}"
    if hidden:
        error = context.get("error")
        if isinstance(error, Unfit):
            return f"{HIDDEN} {error.wrong}", error.hint
        return f"{HIDDEN} is not valid here", "check the value behind the reference; it is not shown"
    text = wrong["msg"].removeprefix("Value error, ")
    message, _, hint = text.partition("; ")
    return message, hint or None


def _kind_hint(kind: str, node: Node, path: Sequence[Step]) -> str | None:
    """Suggest what was meant by a value of another kind."""
    text = node.text if isinstance(node, ScalarNode) else ""
    if "\n" not in text and (odd := _LOOKALIKE.search(text)) and kind in ("model_type", "dict_type", "tuple_type"):
        name = unicodedata.name(odd[0], "no name").lower()
        plain = "a space" if odd[0].isspace() else f"{unicodedata.normalize('NFKC', odd[0])!r} and a space"
        remedy = f"write {plain}" if odd[0].isspace() or odd[0].isprintable() else "remove it"
        return f"it contains U+{ord(odd[0]):04X} ({name}): {remedy}"
    return _mapping_hint(kind, node, path) or _shape_hint(kind, node, path) or _list_hint(kind, node, path)


def _shape_hint(kind: str, node: Node, path: Sequence[Step]) -> str | None:
    """Show the shape that is asked for, with what was written in it."""
    items = [
        item.text for item in (node.nodes if isinstance(node, SequenceNode) else [node]) if isinstance(item, ScalarNode)
    ]
    written, last = ", ".join(items), path[-1]
    if not written or "\n" in written or len(written) > 60 or written[0] in "&*":
        return None
    if kind.startswith("int") and (number := re.match(r"\d+", written)):
        return f"write {number[0]}"
    if kind.startswith("int") and written.casefold() in _NUMBERS:
        return f"write {_NUMBERS.index(written.casefold())}"
    if kind.startswith("bool"):
        return "write true or false"
    if path[0] != "rules" or not kind.startswith(("model", "dict")):
        return f"write - url: {written}" if path == ("feeds",) else None
    if len(path) == 2:
        return f"write - {{id: {_as_id(written) or 'my-rule'}, any: [{written}]}}"
    if "near" in path:
        return "write near: {terms: [one, other], within: 10}"
    if last in ("threshold", "spike") and (parts := re.findall(r"\b(\d+)([smhdw]?)\b", written)):
        times = next((digits for digits, unit in parts if not unit), "5" if last == "threshold" else "3")
        within = next((digits + unit for digits, unit in parts if unit), "6h")
        return f"write {last}: {{{'hits' if last == 'threshold' else 'factor'}: {times}, within: {within}}}"
    shapes = {"feeds": "ids", "tests": "match"}
    return f"write {last}: {{{shapes[last]}: [{written}]}}" if last in shapes else None


def _as_id(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", fold(text)).strip("-")


def _found(node: Node) -> str:
    if isinstance(node, ScalarNode):
        return "nothing" if node.nothing else repr(node.text) if len(node.text) < 60 else "a text"
    return "a list" if isinstance(node, SequenceNode) else "a mapping"


def _list_hint(kind: str, node: Node, path: Sequence[Step]) -> str | None:
    """Suggest what to write for a list of terms where one term, or a query, is expected."""
    if kind != "string_type" or not isinstance(node, SequenceNode):
        return None
    terms = [item.text for item in node.nodes if isinstance(item, ScalarNode)]
    if len(terms) < len(node.nodes) or not terms or "\n" in "".join(terms):
        return None
    if "query" in path:
        return f"write query: '{' OR '.join(terms)}', or any: [{', '.join(terms)}]"
    return f"write each as an item of its own: [{', '.join(terms)}]" if len(path) > 2 and path[0] == "rules" else None


def _mapping_hint(kind: str, node: Node, path: Sequence[Step]) -> str | None:
    """Suggest the usual mistake behind a wrong kind: a colon in a term, a dash too few or too many."""
    if kind == "string_type" and isinstance(node, ScalarNode) and node.nothing:
        return f"quote it where the word is meant: '{node.text}'" if node.text else "write a value, or remove it"
    if kind == "tuple_type" and len(path) == 1 and isinstance(node, MappingNode):
        return f"begin each item with a dash: - {'url' if path[0] == 'feeds' else 'id'}: …"
    if kind in ("dict_type", "model_type") and isinstance(node, SequenceNode) and path[0] != "rules":
        return "write key: value, without dashes and brackets"
    if kind == "model_type" and len(path) == 2 and path[0] == "channels" and isinstance(node, ScalarNode):
        return f"write {path[1]}: {{{'url' if ':' in node.text else 'service'}: …}}"
    if kind == "string_type" and isinstance(node, MappingNode):
        written = node.source.text[node.start : node.end].strip()
        return (
            f"quote a text that contains a colon: '{written}'"
            if "\n" not in written and written[:1] not in "{["
            else None
        )
    if kind.startswith("model") and isinstance(node, ScalarNode) and node.text.startswith("http"):
        return f"write: - url: {node.text}"
    return None
