"""YAML as a tree of positions: every scalar is the text that was written, nothing is guessed.

Built from libyaml's events, so that depth, aliases, tags and keys given twice are seen before
they can do harm.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import yaml

from aggregator.config.source import Source
from aggregator.core.errors import ConfigError

MAX_DEPTH = 50


class Scalar(NamedTuple):
    """A text; `style` is empty (plain), `'`, `"`, `|` or `>`. Positions are code points of the source."""

    source: Source
    start: int
    end: int
    text: str
    style: str

    @property
    def absent(self) -> bool:
        """Nothing was written where a value could stand."""
        return not self.text and not self.style


class Items(NamedTuple):
    """A list."""

    source: Source
    start: int
    end: int
    nodes: "tuple[Node, ...]"


class Pairs(NamedTuple):
    """A mapping; its keys are unique."""

    source: Source
    start: int
    end: int
    pairs: "tuple[tuple[Scalar, Node], ...]"

    def get(self, key: str) -> "Node | None":
        """The value of a key, if it is there."""
        return next((value for name, value in self.pairs if name.text == key), None)

    def key(self, name: str) -> Scalar | None:
        """The key itself, for its place."""
        return next((key for key, _ in self.pairs if key.text == name), None)


Node: TypeAlias = Scalar | Items | Pairs


class TooDeep(Exception):
    """Nested deeper than any configuration needs; carries the place."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class _Open(NamedTuple):
    start: int
    is_list: bool
    nodes: list[Node]


def compose(source: Source) -> tuple[Node | None, tuple[ConfigError, ...]]:
    """The tree of a file and what is refused in it.

    Raises yaml.YAMLError where the text is not YAML, TooDeep.
    """
    errors: list[ConfigError] = []
    stack = [_Open(0, True, [])]
    event: Any
    for event in yaml.parse(source.text, Loader=yaml.CSafeLoader):
        kind, start = type(event), event.start_mark.index
        if kind is yaml.ScalarEvent:
            end = event.end_mark.index
            text = event.value if event.anchor is None else source.text[start:end]
            stack[-1].nodes.append(Scalar(source, start, end, text, event.style or ""))
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            stack.append(_Open(start, kind is yaml.SequenceStartEvent, []))
            if len(stack) > MAX_DEPTH + 1:
                raise TooDeep(start)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            done = stack.pop()
            stack[-1].nodes.append(_closed(source, done, event.end_mark.index, errors))
            continue
        elif kind is yaml.AliasEvent:
            written = source.text[start : event.end_mark.index]
            stack[-1].nodes.append(Scalar(source, start, event.end_mark.index, written, ""))
            hint = f"a text that begins with * is quoted: '{written}'"
            errors.append(source.error(start, f"YAML aliases are refused: {written}", hint))
            continue
        elif kind is yaml.DocumentStartEvent and stack[0].nodes:
            errors.append(source.error(start, "a second YAML document begins here", "use a file for each"))
            break
        else:
            continue
        if event.anchor is not None:
            hint = "quote a text that begins with &"
            errors.append(source.error(start, f"YAML anchors are refused: &{event.anchor}", hint))
        if event.tag is not None:
            written = source.text[start:].split(maxsplit=1)[0]
            hint = "quote a text that begins with !"
            errors.append(source.error(start, f"YAML tags are refused: {written}", hint))
    root = stack[0].nodes
    return (root[0] if root else None), tuple(errors)


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it, in the order of the file; keys excluded."""
    yield node
    below = node.nodes if isinstance(node, Items) else [v for _, v in node.pairs] if isinstance(node, Pairs) else ()
    for child in below:
        yield from walk(child)


def _closed(source: Source, done: _Open, end: int, errors: list[ConfigError]) -> Items | Pairs:
    if done.is_list:
        return Items(source, done.start, end, tuple(done.nodes))
    pairs: dict[str, tuple[Scalar, Node]] = {}
    for key, value in zip(done.nodes[::2], done.nodes[1::2], strict=True):
        if not isinstance(key, Scalar):
            errors.append(source.error(key.start, "a key must be a text"))
        elif key.text in pairs:
            line, _ = source.place(pairs[key.text][0].start)
            hint = f"first in line {line}; keep one of them"
            errors.append(source.error(key.start, f"key {key.text!r} is given twice", hint))
        else:
            pairs[key.text] = key, value
    return Pairs(source, done.start, end, tuple(pairs.values()))
