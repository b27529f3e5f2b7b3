"""Several files, one configuration: lists are joined, mappings merged, nothing is overwritten."""

import re
from collections.abc import Sequence

from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError

_DEEP = ("settings",)  # sections whose mappings merge on every level; elsewhere a name is defined once


def merge(roots: Sequence[Node]) -> tuple[MappingNode | None, tuple[ConfigError, ...]]:
    """Merge files to one mapping; None if no file has one."""
    errors: list[ConfigError] = []
    merged: MappingNode | None = None
    for root in roots:
        if not isinstance(root, MappingNode):
            found = "a list" if isinstance(root, SequenceNode) else "nothing" if root.nothing else "a text"
            errors.append(root.source.error(root.start, f"expected a mapping, found {found}", _remedy(root)))
        else:
            merged = _union(merged, root, (), errors) if merged else root
    return merged, tuple(errors)


def _remedy(root: Node) -> str:
    """Say what to do with a file that holds something else than a configuration."""
    text = root.source.text.lstrip()
    if text.startswith("<"):
        return "this is XML or HTML; add the feeds of an OPML file with `aggregator feeds import FILE`"
    if re.match(r"[\w.-]+\s*=", text):
        return "write key: value, not key = value"
    if re.match(r"https?://", text):
        return "write feeds: in a line of its own, and a dash before each address: - https://…"
    return "for example feeds: followed by a list"


def _union(first: MappingNode, second: MappingNode, path: tuple[str, ...], errors: list[ConfigError]) -> MappingNode:
    pairs = {key.text: (key, value) for key, value in first.pairs}
    for key, value in second.pairs:
        if (before := pairs.get(key.text)) is None or _nothing(before[1], path):
            pairs[key.text] = key, value
        elif not _nothing(value, path):
            pairs[key.text] = before[0], _joined(before, (key, value), (*path, key.text), errors)
    return MappingNode(first.source, first.start, first.end, tuple(pairs.values()))


def _joined(
    before: tuple[ScalarNode, Node], after: tuple[ScalarNode, Node], path: tuple[str, ...], errors: list[ConfigError]
) -> Node:
    first, second = before[1], after[1]
    if len(path) == 1 and isinstance(first, SequenceNode) and isinstance(second, SequenceNode):
        return SequenceNode(first.source, first.start, first.end, (*first.nodes, *second.nodes))
    if (len(path) == 1 or path[0] in _DEEP) and isinstance(first, MappingNode) and isinstance(second, MappingNode):
        return _union(first, second, path, errors)
    key, earlier = after[0], before[0]
    line, _ = earlier.source.place(earlier.start)
    what = {"channels": "channel ", "lists": "list "}.get(path[0], "") if len(path) == 2 else ""
    message = f"{what}{key.text!r} is defined twice"
    hint = f"first in {earlier.source.name}:{line}; keep one of them"
    errors.append(key.source.error(key.start, message, hint))
    return first


def _nothing(node: Node, path: tuple[str, ...]) -> bool:
    """Tell whether a key of the mapping at a path has no value; in a list of terms, `null` is a word."""
    return isinstance(node, ScalarNode) and (node.absent if path[:1] == ("lists",) else node.nothing)
