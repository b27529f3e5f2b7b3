"""The valid parts of a faulty configuration, for commands that only read the database."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from aggregator.config.digests import read
from aggregator.config.loader import Loaded, build, load
from aggregator.config.merge import merge
from aggregator.config.rules import position_inside
from aggregator.config.yaml_parse import parse
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, ConfigErrors

MAX_ROUNDS = 5  # a rule goes when its list has gone
_SETTINGS = re.compile(r"^[^\w\n]*+settings\W", re.MULTILINE)

Errors = Sequence[ConfigError]


class _AmbiguousDatabase(Exception):
    """The faults may hide which database is meant."""


def load_valid(path: Path, environ: Mapping[str, str]) -> Loaded:
    """Load like `load`, without faulty feeds, rules, channels, lists and settings: `faults` says which.

    Raises ConfigErrors if nothing is left, or if the faults may hide which database is meant.
    """
    try:
        return load(path, environ)
    except ConfigErrors as errors:
        try:
            return _salvaged(path, environ, errors.errors)
        except _AmbiguousDatabase:
            raise errors from None


def _salvaged(path: Path, environ: Mapping[str, str], faults: Errors) -> Loaded:
    root, digest = _readable(path)
    wrong = faults
    for _ in range(MAX_ROUNDS):
        root = _without(root, wrong)
        try:
            return replace(build(root, environ, digest), faults=tuple(faults))
        except ConfigErrors as errors:
            wrong = errors.errors
    raise _AmbiguousDatabase


def _readable(path: Path) -> tuple[MappingNode, str]:
    """Return the tree of those files that are YAML. Raises _AmbiguousDatabase."""
    sources, broken, digest = read(path, {})
    nodes = [(source, parse(source)[0]) for source in sources]
    if broken or any(node is None and _SETTINGS.search(source.text) for source, node in nodes):
        raise _AmbiguousDatabase
    root, twice = merge([node for _, node in nodes if node is not None])
    if root is None or any("'database'" in error.message for error in twice):
        raise _AmbiguousDatabase
    return root, digest


def _without(root: MappingNode, errors: Errors) -> MappingNode:
    """Return the tree without the items that errors point at. Raises _AmbiguousDatabase."""
    pairs: list[tuple[ScalarNode, Node]] = []
    for key, value in root.pairs:
        if key.text in ("feeds", "rules") and isinstance(value, SequenceNode):
            pairs.append((key, value._replace(nodes=tuple(n for n in value.nodes if not _faulty(errors, n)))))
        elif key.text in ("channels", "lists", "settings") and isinstance(value, MappingNode):
            pairs.append((key, value._replace(pairs=_sound(value, errors))))
        elif not _faulty(errors, key, value):
            pairs.append((key, value))
        elif get_close_matches(key.text, ["settings"]):
            raise _AmbiguousDatabase
    return root._replace(pairs=tuple(pairs))


def _sound(section: MappingNode, errors: Errors) -> tuple[tuple[ScalarNode, Node], ...]:
    faulty = [key.text for key, value in section.pairs if _faulty(errors, key, value)]
    if get_close_matches("database", faulty):
        raise _AmbiguousDatabase
    return tuple((key, value) for key, value in section.pairs if key.text not in faulty)


def _faulty(errors: Errors, *nodes: Node) -> bool:
    return any(position_inside(error, node) for node in nodes for error in errors)
