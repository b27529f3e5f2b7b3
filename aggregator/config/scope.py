"""The scope of edits through page and API: rules and lists, and nothing else of a file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from aggregator.config.interpolate import references
from aggregator.config.messages import known_keys, unknown_key
from aggregator.config.source import Source, content, decoded
from aggregator.config.yaml_edit import last
from aggregator.config.yaml_parse import parse
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, ConfigErrors, Conflict

FREE = ("rules", "lists")
_ELSEWHERE = "edit everything else in the file itself; feeds, silences and marks have their own pages"


class _Section(NamedTuple):
    """A section that may not be changed: its key ("" for what stands before the first), and its text."""

    name: str
    start: int
    text: str


def restrict(file: Path, text: str) -> None:
    """Accept an edit that differs from the file on disk in its rules and lists only.

    Raises ConfigErrors if the text is no YAML, or brings a reference or a source of a list that the
    file does not have; Conflict if anything else differs.
    """
    after, errors = _parsed(_source(file, text.encode("utf-8", "surrogatepass")))
    if errors:
        raise ConfigErrors(errors)
    before, faults = _parsed(_source(file, content(file)))
    if faults and before.root is None:
        raise Conflict(f"{file} on disk is not valid ({faults[0].message}); fix it there first")
    new, old = _sections(after), _sections(before)
    if [(one.name, one.text) for one in new] != [(one.name, one.text) for one in old] or _rest(after) != _rest(before):
        _refuse(file, after, new, old)
    if foreign := [*_new_references(after, before), *_new_sources(after, before)]:
        raise ConfigErrors(foreign)


class _Document(NamedTuple):
    """A file as text and tree; the tree is None where the file says nothing or is no YAML."""

    source: Source
    root: Node | None


def _source(file: Path, raw: bytes) -> Source:
    found = decoded(file, raw)
    if isinstance(found, ConfigError):
        raise ConfigErrors([found])
    return found


def _parsed(source: Source) -> tuple[_Document, tuple[ConfigError, ...]]:
    root, errors = parse(source)
    repaired = root is not None and root.source is not source  # a tree of another text than the one that was written
    return _Document(source, None if repaired else root), errors


def _sections(document: _Document) -> Sequence[_Section]:
    """Return the sections other than rules and lists, byte for byte.

    Comments and empty lines just above `rules:` or `lists:` belong to those, and so do empty lines at the end.
    """
    whole, root = document.source.text, document.root
    pairs = root.pairs if isinstance(root, MappingNode) else ()
    starts = [*(key.start for key, _ in pairs), len(whole)]
    names = ["", *(key.text for key, _ in pairs)]
    ends = [0, *(max(last(value), key.end) for key, value in pairs)]
    found = []
    for name, begin, written, end, following in zip(
        names, [0, *starts[:-1]], ends, starts, [*names[1:], None], strict=True
    ):
        if name in FREE:
            continue
        if following in FREE or root is None:
            end = _above_comments(whole, written, end)
        found.append(
            _Section(name, begin, whole[begin:end].rstrip() if following in (*FREE, None) else whole[begin:end])
        )
    return found


def _above_comments(text: str, written: int, end: int) -> int:
    """Return where the comments and empty lines that end at `end` begin, but not before what is `written`."""
    while True:
        begin = text.rfind("\n", 0, max(end - 1, 0)) + 1
        line = text[begin:end].strip()
        if begin < written or begin == end or (line and not line.startswith("#")):
            return end
        end = begin


def _rest(document: _Document) -> object:
    """Return the meaning of everything else, in case the same text means something else in another context."""
    root = document.root
    if isinstance(root, MappingNode):
        return [(key.text, _plain(value)) for key, value in root.pairs if key.text not in FREE]
    return [] if root is None else _plain(root)


def _plain(node: Node) -> object:
    if isinstance(node, ScalarNode):
        return node.style, node.text
    if isinstance(node, SequenceNode):
        return [_plain(one) for one in node.nodes]
    return {key.text: _plain(value) for key, value in node.pairs}


def _refuse(file: Path, after: _Document, new: Sequence[_Section], old: Sequence[_Section]) -> None:
    """Report what differs. Raises Conflict, or ConfigErrors for a section that no file can have."""
    known, there = known_keys(()), {one.name: one.text for one in old}
    here = {one.name: one.text for one in new}
    keys = {key.text: key for key, _ in after.root.pairs} if isinstance(after.root, MappingNode) else {}
    if strange := [unknown_key(keys[name], known) for name in here if name in keys and name not in known]:
        raise ConfigErrors(strange)
    for one in new:
        at = one.start
        if one.name in there:
            if one.text == there[one.name]:
                continue
            at += _common(one.text, there[one.name])
        line, _ = after.source.place(min(at, len(after.source.text)))
        raise _conflict(f"line {line} ({one.name or 'above the first section'}) differs from {file}")
    gone = next((name for name in there if name not in here), None)
    raise _conflict(f"{gone} is missing" if gone else f"the sections are in another order than in {file}")


def _conflict(what: str) -> Conflict:
    return Conflict(f"only rules and lists can be changed here, but {what}; {_ELSEWHERE}")


def _common(first: str, second: str) -> int:
    """Count the characters that two texts share at the beginning."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))


def _new_references(after: _Document, before: _Document) -> Iterator[ConfigError]:
    known = set(references(before.root)) if before.root else set()
    for scalar in _scalars(after.root):
        if strange := next((one for one in references(scalar) if one not in known), None):
            message = f"the file on disk does not contain the reference {strange}"
            yield scalar.source.error(scalar.start, message, "add references in the file itself")


def _new_sources(after: _Document, before: _Document) -> Iterator[ConfigError]:
    """Yield errors for lists read from elsewhere: only someone who can write the file may choose a file or a URL."""
    lists = after.root.get("lists") if isinstance(after.root, MappingNode) else None
    known = before.root.get("lists") if isinstance(before.root, MappingNode) else None
    for key, value in lists.pairs if isinstance(lists, MappingNode) else ():
        there = known.get(key.text) if isinstance(known, MappingNode) else None
        named = next((name for name in _keys(value) if name.text != "use"), None)
        if named is not None and (there is None or _plain(there) != _plain(value)):
            message = f"list {key.text!r} is loaded from elsewhere, unlike in the file on disk"
            yield named.source.error(named.start, message, "add such a list in the file itself")


def _keys(node: Node) -> Iterator[ScalarNode]:
    """Yield every key of every mapping in a tree."""
    if isinstance(node, MappingNode):
        yield from (key for key, _ in node.pairs)
    if not isinstance(node, ScalarNode):
        for below in node.nodes if isinstance(node, SequenceNode) else (value for _, value in node.pairs):
            yield from _keys(below)


def _scalars(node: Node | None) -> Iterator[ScalarNode]:
    if isinstance(node, ScalarNode):
        yield node
    elif node is not None:
        for below in node.nodes if isinstance(node, SequenceNode) else (value for _, value in node.pairs):
            yield from _scalars(below)
