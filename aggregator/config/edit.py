"""Edits of the configuration: one change in the text, checked as a whole, then replaced atomically."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from errno import EACCES, EPERM, EROFS
from pathlib import Path
from typing import NamedTuple

from aggregator.config import rule_text, yaml_edit
from aggregator.config.digests import file_digest, read
from aggregator.config.loader import Loaded, load
from aggregator.config.scope import restrict
from aggregator.config.source import Source, content, decoded, files
from aggregator.config.values import free_slug, title_slug
from aggregator.config.yaml_parse import parse
from aggregator.config.yaml_tree import MappingNode, Node, SequenceNode
from aggregator.core.errors import AggregatorError, Conflict, NotFound

READ_ONLY = (EACCES, EPERM, EROFS)


class ChangedFile(NamedTuple):
    """A file that was written: its text before and after."""

    file: str
    before: str
    after: str


class AddedFeed(NamedTuple):
    """A feed that was written: its id, its file, and the change of that file with all that was added at once."""

    id: str
    file: str
    change: ChangedFile


class EditableText(NamedTuple):
    """A piece of a file for an editor; `digest` is that of the whole file when it was read."""

    file: str
    text: str
    digest: str


def add_feed(
    path: Path,
    *,
    url: str,
    feed_id: str = "",
    title: str = "",
    tags: Sequence[str] = (),
    auth: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> AddedFeed:
    """Write a feed at the end of the list of feeds. Raises ConfigErrors; then nothing was written."""
    row = {"url": url, "id": feed_id, "title": title, "tags": list(tags), "auth": dict(auth or {})}
    return add_feeds(path, [{key: value for key, value in row.items() if value}], environ=environ)[0]


def add_feeds(
    path: Path,
    rows: Sequence[Mapping[str, object]],
    *,
    by_title: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> tuple[AddedFeed, ...]:
    """Write several feeds at once, all or none; rows are keys of a feed. Raises ConfigErrors.

    Ids are written out, so that a feed keeps its history when its address changes; `by_title`: made of titles, which
    people know, where these are free.
    """
    taken = {feed.id for feed in load(path, environ).config.feeds}
    named = []
    for row in rows:
        titled = title_slug(str(row.get("title") or "")) if by_title else ""
        name = str(row.get("id") or (titled if titled not in taken else "") or free_slug(str(row["url"]), taken))
        taken.add(name)
        named.append({"url": row["url"], "id": name, **row})
    source, root = _home_of(path, "feeds")
    text = yaml_edit.append(source, root, "feeds", named)
    _save(path, source, text, environ)
    change = ChangedFile(source.name, source.text, text)
    return tuple(AddedFeed(str(row["id"]), source.name, change) for row in named)


def remove_feed(path: Path, feed_id: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """Remove a feed; return the file. Raises NotFound, ConfigErrors (a rule may still name it)."""
    source, items, node = _item(path, "feeds", feed_id, environ)
    _save(path, source, yaml_edit.remove(source, items, node), environ)
    return source.name


def change_feeds(
    path: Path, changes: Mapping[str, Mapping[str, object] | None], *, environ: Mapping[str, str] = os.environ
) -> tuple[ChangedFile, ...]:
    """Write keys of several feeds, by id (None as a value removes the key; None for a feed removes it). All or none.

    Every other line stays. Raises NotFound, ConfigErrors (a rule may still name a feed that is removed).
    """
    texts: dict[Path, Source] = {}
    before: dict[Path, str] = {}
    places = {
        name: (at.file, at.line, at.column) for (kind, name), at in load(path, environ).places.items() if kind == "feed"
    }
    for feed_id in changes:
        if feed_id not in places:
            raise NotFound("feed", feed_id, list(places))
    wanted = {places[feed_id]: values for feed_id, values in changes.items()}
    for original in read(path, {})[0]:
        root, _ = parse(original)
        items = root.get("feeds") if isinstance(root, MappingNode) else None
        listed = items.nodes if isinstance(items, SequenceNode) else ()
        nodes = [(node, wanted[_at(node)]) for node in listed if _at(node) in wanted]
        source = original
        for node, values in reversed(nodes):  # from the end, so that places before it stay right
            again, _ = parse(source)
            now = again.get("feeds") if isinstance(again, MappingNode) else None
            assert isinstance(now, SequenceNode)
            here = next(one for one in now.nodes if one.start == node.start)
            removed = values is None
            text = (
                yaml_edit.remove(source, now, here) if removed else rule_text.with_keys(source, now, here, values or {})
            )
            source = Source(source.name, text, source.path)
        if source is not original:
            texts[source.path], before[source.path] = source, original.text
    edited = {file: source.text for file, source in texts.items()}
    load(path, environ, edited=edited)
    for file, text in edited.items():
        _write(file, text, before[file])
    return tuple(ChangedFile(source.name, before[file], source.text) for file, source in texts.items())


def read_file(path: Path, file: str) -> EditableText:
    """Return one file of the configuration. Raises NotFound."""
    sources = {source.name: source for source in read(path, {})[0]}
    if file not in sources:
        raise NotFound("file", file, list(sources))
    return EditableText(file, sources[file].text, file_digest(sources[file].path))


def replace_text(path: Path, file: str, text: str, *, environ: Mapping[str, str] = os.environ) -> None:
    """Write a file of the configuration whole if the result is valid. Raises NotFound, ConfigErrors."""
    source = next((one for one in read(path, {})[0] if one.name == file), None)
    if source is None:
        raise NotFound("file", file)
    _save(path, source, text, environ)


def rule_files(path: Path) -> tuple[EditableText, ...]:
    """Return the files that hold rules, in the order they are loaded; where there are none, the first that could."""
    sources = [(source, parse(source)[0]) for source in read(path, {})[0]]
    having = [
        source for source, root in sources if root is None or (isinstance(root, MappingNode) and root.key("rules"))
    ]
    found = having or [source for source, root in sources if isinstance(root, MappingNode)][:1]
    return tuple(EditableText(source.name, source.text, file_digest(source.path)) for source in found)


def with_rule_text(path: Path, rule_id: str, text: str, *, environ: Mapping[str, str] = os.environ) -> tuple[Path, str]:
    """Return the file of a rule and its whole text with the rule replaced; nothing is saved."""
    source, _, node = _item(path, "rules", rule_id, environ)
    return source.path, yaml_edit.replace(source, node, text)


def save_file(
    path: Path, file: Path, text: str, *, before: str | None = None, environ: Mapping[str, str] = os.environ
) -> Loaded:
    """Replace one file of the configuration at `path` if the result is valid and only rules and lists differ.

    Raises NotFound if the file is no part of it, Conflict if the file's digest is no longer
    `before` or something else differs, ConfigErrors.
    """
    known = {str(child): child for child in files(path)}
    if str(file) not in known:
        raise NotFound("file", str(file), list(known))
    if before is not None and file_digest(file) != before:
        raise _changed(file)
    restrict(file, text)
    loaded = load(path, environ, edited={file: text})
    if before is not None and file_digest(file) != before:  # to load takes a while
        raise _changed(file)
    _write(file, text)
    return loaded


# --- pieces --------------------------------------------------------------------------------------


def _save(path: Path, source: Source, text: str, environ: Mapping[str, str]) -> Loaded:
    loaded = load(path, environ, edited={source.path: text})
    _write(source.path, text, source.text)
    return loaded


def _changed(file: Path) -> Conflict:
    return Conflict(f"{file} has changed on disk since it was opened; reload it")


def _write(path: Path, text: str, before: str | None = None) -> None:
    """Replace a file so that a reader, or a crash, sees the old text or the new one.

    `before`: the text that was edited. Raises Conflict if that is no longer what the file has.
    """
    target = Path(os.path.realpath(path))
    try:
        if before is not None and _text_of(path) != before:
            raise _changed(path)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with open(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, target.stat().st_mode & 0o777 if target.exists() else 0o644)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as broken:
        said = f"cannot write {path}: {broken.strerror}"
        if broken.errno in READ_ONLY:
            remedy = "edit it where it comes from, or make its folder writable for this program (docs/operations.md)"
            raise Conflict(f"{said}; {remedy}") from broken
        raise AggregatorError(said) from broken


def _text_of(path: Path) -> str | None:
    """Return the text of a file as an edit reads it: "" if there is no file, None if it is no text. Raises OSError."""
    found = decoded(path, content(path)) if path.exists() else Source(str(path), "", path)
    return found.text if isinstance(found, Source) else None


def _home_of(path: Path, section: str) -> tuple[Source, MappingNode | None]:
    """Return the file in which a new item of a section belongs: with the others, else its own."""
    found: list[tuple[Source, MappingNode]] = []
    for source in read(path, {})[0]:
        root, _ = parse(source)
        if isinstance(root, MappingNode):
            found.append((source, root))
    having = [(source, root) for source, root in found if root.key(section)]
    named = [(source, root) for source, root in having if source.path.stem == section]
    if having:
        return (named or having)[-1]
    if not path.is_dir() and found:
        return found[0]
    file = path / f"{section}.yaml" if path.is_dir() else path
    return Source(str(file), _text_of(file) or "", file), None


def _item(path: Path, section: str, name: str, environ: Mapping[str, str]) -> tuple[Source, SequenceNode, Node]:
    """Find an item of a list section by its id, in the tree of its file. Raises NotFound, ConfigErrors."""
    kind = section.removesuffix("s")
    loaded = load(path, environ)
    place = loaded.places.get((kind, name))
    if place is None:
        raise NotFound(kind, name, [known for k, known in loaded.places if k == kind])
    rows = loaded.root.get(section)
    node = next(n for n in (rows.nodes if isinstance(rows, SequenceNode) else ()) if _at(n) == place)
    root, _ = parse(node.source)
    items = root.get(section) if isinstance(root, MappingNode) else None
    if not isinstance(items, SequenceNode):
        raise NotFound(kind, name)
    return node.source, items, next(n for n in items.nodes if n.start == node.start)


def _at(node: Node) -> tuple[str, int, int]:
    return (node.source.name, *node.source.place(node.start))
