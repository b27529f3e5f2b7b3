"""YAML as a tree of positions: every scalar is the text that was written, nothing is guessed.

Built from libyaml's events, so that depth, aliases, tags and keys given twice are seen before
they can do harm.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import yaml

from aggregator.config.source import Source
from aggregator.core.errors import ConfigError

MAX_DEPTH = 50


class ScalarNode(NamedTuple):
    """A text; `style` is empty (plain), `'`, `"`, `|` or `>`. Positions are code points of the source."""

    source: Source
    start: int
    end: int
    text: str
    style: str

    @property
    def absent(self) -> bool:
        """Tell whether nothing was written where a value could stand."""
        return not self.text and not self.style

    @property
    def nothing(self) -> bool:
        """Tell whether YAML reads it as no value; in rules and lists, `null` is a word."""
        return not self.style and self.text in ("", "~", "null", "Null", "NULL")


class SequenceNode(NamedTuple):
    """A list."""

    source: Source
    start: int
    end: int
    nodes: "tuple[Node, ...]"


class MappingNode(NamedTuple):
    """A mapping; its keys are unique."""

    source: Source
    start: int
    end: int
    pairs: "tuple[tuple[ScalarNode, Node], ...]"

    def get(self, key: str) -> "Node | None":
        """Return the value of a key, if it is there."""
        return next((value for name, value in self.pairs if name.text == key), None)

    def key(self, name: str) -> ScalarNode | None:
        """Return the key itself, for its place."""
        return next((key for key, _ in self.pairs if key.text == name), None)


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


class TooDeep(Exception):
    """Nested deeper than any configuration needs; has the place."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def compose(source: Source) -> tuple[Node | None, tuple[ConfigError, ...]]:
    """Return the tree of a file and its errors.

    Raises yaml.YAMLError if the text is not YAML, TooDeep.
    """
    tree = _Tree(source)
    for event in yaml.parse(source.text, Loader=yaml.CSafeLoader):
        if step := _STEPS.get(type(event)):
            step(tree, event)
    return tree.root, tuple(tree.errors)


class _Tree:
    """The tree so far: what is complete stands in the innermost open list or mapping."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.errors: list[ConfigError] = []
        self._documents: list[Node] = []
        self._open: list[tuple[int, list[Node]]] = [(0, self._documents)]

    @property
    def root(self) -> Node | None:
        """Return the first document; None if there is none."""
        return self._documents[0] if self._documents else None

    def document(self, event: Any) -> None:
        if len(self._documents) == 1:
            self._refuse(event, "a second YAML document starts here", "use a separate file for each")

    def scalar(self, event: Any) -> None:
        start, end, text = event.start_mark.index, event.end_mark.index, event.value
        if event.anchor is not None or event.tag is not None:
            self._undecorated(event)
            text = text or self.source.text[start:end]
        self._open[-1][1].append(ScalarNode(self.source, start, end, text, event.style or ""))

    def alias(self, event: Any) -> None:
        start, end = event.start_mark.index, event.end_mark.index
        written = self.source.text[start:end]
        self._refuse(event, f"YAML aliases are not allowed: {written}", f"quote a text that begins with *: '{written}'")
        self._open[-1][1].append(ScalarNode(self.source, start, end, written, ""))

    def begin(self, event: Any) -> None:
        if event.anchor is not None or event.tag is not None:
            self._undecorated(event)
        self._open.append((event.start_mark.index, []))
        if len(self._open) > MAX_DEPTH + 1:
            raise TooDeep(event.start_mark.index)

    def end_list(self, event: Any) -> None:
        start, nodes = self._open.pop()
        self._open[-1][1].append(SequenceNode(self.source, start, event.end_mark.index, tuple(nodes)))

    def end_mapping(self, event: Any) -> None:
        start, nodes = self._open.pop()
        pairs: dict[str, tuple[ScalarNode, Node]] = {}
        for key, value in zip(nodes[::2], nodes[1::2], strict=True):
            if not isinstance(key, ScalarNode):
                self.errors.append(self.source.error(key.start, "a key must be a text"))
            elif key.text in pairs:
                line, _ = self.source.place(pairs[key.text][0].start)
                hint = f"first in line {line}; keep one of them"
                self.errors.append(self.source.error(key.start, f"key {key.text!r} is defined twice", hint))
            else:
                pairs[key.text] = key, value
        self._open[-1][1].append(MappingNode(self.source, start, event.end_mark.index, tuple(pairs.values())))

    def _undecorated(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(event, f"YAML anchors are not allowed: &{event.anchor}", "quote a text that begins with &")
        if event.tag is not None:
            written = self.source.text[event.start_mark.index :].split(maxsplit=1)[0]
            self._refuse(event, f"YAML tags are not allowed: {written}", "quote a text that begins with !")

    def _refuse(self, event: Any, message: str, hint: str) -> None:
        self.errors.append(self.source.error(event.start_mark.index, message, hint))


_STEPS: dict[type, Callable[[_Tree, Any], None]] = {
    yaml.DocumentStartEvent: _Tree.document,
    yaml.ScalarEvent: _Tree.scalar,
    yaml.AliasEvent: _Tree.alias,
    yaml.SequenceStartEvent: _Tree.begin,
    yaml.SequenceEndEvent: _Tree.end_list,
    yaml.MappingStartEvent: _Tree.begin,
    yaml.MappingEndEvent: _Tree.end_mapping,
}
