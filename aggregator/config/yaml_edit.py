"""Edits of one thing in a YAML text and nothing else: positions in, text out. Comments survive."""

from collections.abc import Mapping, Sequence

import yaml

from aggregator.config.source import Source
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode


def to_yaml(value: object) -> str:
    """Write a value on one line of YAML; `${` in it stays a text."""
    text = yaml.safe_dump(_escaped(value), default_flow_style=True, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")


def append(source: Source, root: MappingNode | None, section: str, rows: Sequence[Mapping[str, object]]) -> str:
    """Add rows at the end of a list section, in its present style."""
    key, node = (root.key(section), root.get(section)) if root else (None, None)
    text, eol = source.text, "\r\n" if "\r\n" in source.text else "\n"
    if key is None or node is None:
        before = text if not text or text.endswith("\n") else text + eol
        return before + f"{section}:{eol}" + _block(rows, "  ", eol)
    if isinstance(node, SequenceNode) and not is_flow(node):
        at = line_end(text, last(node))
        lead = "" if text[:at].endswith("\n") else eol
        return text[:at] + lead + _block(rows, " " * (source.place(node.start)[1] - 1), eol) + text[at:]
    if isinstance(node, SequenceNode) and node.nodes:
        at = last(node.nodes[-1])
        return text[:at] + "".join(f", {to_yaml(dict(row))}" for row in rows) + text[at:]
    end = last(node) if not isinstance(node, ScalarNode) or not node.absent else key.end + 1
    at = line_end(text, end)
    lead = "" if text[:at].endswith("\n") else eol
    return text[: key.end + 1] + text[end:at] + lead + _block(rows, "  ", eol) + text[at:]


def remove(source: Source, items: SequenceNode, node: Node) -> str:
    """Remove one item of a list; a list that becomes empty is written `[]`."""
    text = source.text
    if len(items.nodes) == 1:
        start, end = (items.start, last(items)) if is_flow(items) else (item_start(text, items.start), last(items))
        return text[:start] + ("[]" if is_flow(items) else f"{_indent_of(source, items)}[]") + text[end:]
    if not is_flow(items):
        return text[: item_start(text, node.start)] + text[line_end(text, last(node)) :]
    at = items.nodes.index(node)
    if at == 0:
        return text[: node.start] + text[items.nodes[1].start :]
    return text[: last(items.nodes[at - 1])] + text[last(node) :]


def replace(source: Source, node: Node, new: str) -> str:
    """Replace one block item of a list (from its dash to its last line)."""
    start, end = item_start(source.text, node.start), line_end(source.text, last(node))
    return source.text[:start] + new.rstrip("\r\n") + "\n" + source.text[end:]


def last(node: Node) -> int:
    """Return the code point after the last visible one of a node (blocks end late in YAML's own count)."""
    if isinstance(node, ScalarNode):
        return node.start + len(node.source.text[node.start : node.end].rstrip())
    if is_flow(node):
        return node.end
    return last(node.nodes[-1]) if isinstance(node, SequenceNode) else last(node.pairs[-1][1])


def _escaped(value: object) -> object:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list | tuple) else value


def _block(rows: Sequence[Mapping[str, object]], indent: str, eol: str) -> str:
    lines: list[str] = []
    for row in rows:
        heads = [f"{indent}- ", *[f"{indent}  "] * (len(row) - 1)]
        lines += [f"{head}{key}: {to_yaml(value)}{eol}" for head, (key, value) in zip(heads, row.items(), strict=True)]
    return "".join(lines)


def is_flow(node: Node) -> bool:
    """Tell whether a list or mapping is written in brackets."""
    return node.source.text[node.start : node.start + 1] in ("[", "{")


def line_end(text: str, index: int) -> int:
    """Return the beginning of the line after the one that `index` is in (or ends)."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def item_start(text: str, index: int) -> int:
    """Return the beginning of the line with the dash of the item that begins at `index`."""
    return text.rfind("\n", 0, text.rfind("-", 0, index + 1) + 1) + 1


def _indent_of(source: Source, items: SequenceNode) -> str:
    return " " * (source.place(items.start)[1] - 1)
