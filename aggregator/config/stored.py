"""The configuration as a cluster keeps it: files as texts, references unexpanded, each feed in its row."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from aggregator.config.digests import read
from aggregator.config.interpolate import Expander, references
from aggregator.config.lists import list_files
from aggregator.config.loader import DATABASE, Loaded, build
from aggregator.config.merge import merge
from aggregator.config.rules import position_inside
from aggregator.config.source import SUFFIXES, Source, content
from aggregator.config.source import files as files_of
from aggregator.config.values import to_plain
from aggregator.config.yaml_parse import parse
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, ConfigErrors
from aggregator.core.settings import UNAVAILABLE, Feed

TERMS = "lists.json"  # beside the files: the terms of lists that come from an address
READ_FEEDS = 4096  # of the feeds that were read from their rows: a node polls the same ones again and again
_PASSWORDS = ("password", "token")
_PLAIN = frozenset({"quiet_hours", "time_zone", "max_per_hour", "fallback", "timeout"})

Files = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigTexts:
    """The files of a configuration; `feeds` are those that say nothing but feeds."""

    digest: str
    files: Files
    feeds: Files


class _Verbatim(Expander):
    """Leaves references as they are written."""

    def expand(self, scalar: ScalarNode) -> str | SecretStr:
        return scalar.text


def read_texts(path: Path, loaded: Loaded | None = None) -> ConfigTexts:
    """Read the files behind a path; with `loaded`, also the terms of lists that were fetched.

    Raises ConfigErrors.
    """
    sources, broken, _ = read(path, {})
    if broken:
        raise ConfigErrors(broken)
    terms = _fetched_terms(loaded) if loaded else {}
    lists = [(TERMS, json.dumps({"lists": terms}, ensure_ascii=False, indent=1))] if terms else []
    return as_texts([*((source.path.name, source.text) for source in sources), *_list_texts(sources), *lists])


def _list_texts(sources: Iterable[Source]) -> Iterator[tuple[str, str]]:
    """Yield the files that lists name, for nodes without them; one that cannot be read is an error of `load`."""
    for source in sources:
        if "lists" not in source.text:  # at once, where millions of feeds would be looked through for it
            continue
        for file in list_files(source.path, source.text.encode("utf-8", "surrogatepass")):
            with suppress(OSError, UnicodeDecodeError):
                yield os.path.relpath(file, source.path.parent), content(file).decode("utf-8-sig")


def _fetched_terms(loaded: Loaded) -> dict[str, list[str]]:
    """Return the terms of the lists behind addresses, which one machine fetches for all."""
    lists = loaded.config.lists
    return {one.name: list(lists[one.name]) for one in loaded.fetched if lists.get(one.name)}


def texts_digest(files: Iterable[tuple[str, str]]) -> str:
    """Hash names and texts."""
    total = hashlib.sha256()
    for name, text in sorted(files):
        total.update(f"{name}\0{len(text)}\0{text}".encode("utf-8", "surrogatepass"))
    return total.hexdigest()[:32]


def unparsed(path: Path, environ: Mapping[str, str]) -> tuple[str, Files] | None:
    """Return the database that files name (empty: none), and their texts, of which only the settings are parsed.

    None: they have to be loaded to know.
    """
    try:
        texts = {file: content(file).decode("utf-8-sig") for file in files_of(path)}
    except (OSError, UnicodeDecodeError):  # which `load` reports
        return None
    found = [Source(file.name, text, file) for file, text in texts.items()]
    settings = [one for one in found if one.text.startswith("settings:") or "\nsettings:" in one.text]
    root, errors = merge([node for node in (parse(source)[0] for source in settings) if node is not None])
    expander, address = Expander(environ=environ), ""
    if root is not None and isinstance(section := root.get("settings"), MappingNode):
        named = section._replace(pairs=tuple(pair for pair in section.pairs if pair[0].text == "database"))
        root = root._replace(pairs=tuple((key, named) for key, value in root.pairs if value is section))
        address = to_plain(root, expander)["settings"].get("database") or ""
    address = environ.get(DATABASE) or (address.get_secret_value() if isinstance(address, SecretStr) else address)
    if errors or expander.errors or not isinstance(address, str):
        return None
    return address, (*((file.name, text) for file, text in texts.items()), *_list_texts(found))


def as_texts(files: Iterable[tuple[str, str]]) -> ConfigTexts:
    """Tell the files that say nothing but feeds from the others; the digest is that of names and texts."""
    kept: list[tuple[str, str]] = []
    feeds: list[tuple[str, str]] = []
    files = sorted(files)
    for name, text in files:
        root = parse(Source(name, text, Path(name)))[0] if name.endswith(SUFFIXES) else None
        only_feeds = isinstance(root, MappingNode) and [key.text for key, _ in root.pairs] == ["feeds"]
        (feeds if only_feeds else kept).append((name, text))
    return ConfigTexts(digest=texts_digest(files), files=tuple(kept), feeds=tuple(feeds))


def feed_options(loaded: Loaded) -> dict[str, str]:
    """Return each feed as it is written, in JSON with its references unexpanded, by id."""
    section = loaded.root.get("feeds")
    if not isinstance(section, SequenceNode):
        return {}
    root = loaded.root._replace(pairs=tuple(pair for pair in loaded.root.pairs if pair[1] is section))
    written = to_plain(root, _Verbatim(environ={}))["feeds"]
    return {
        feed.id: json.dumps(row | {"id": feed.id}, ensure_ascii=False, separators=(",", ":"))
        for feed, row in zip(loaded.config.feeds, written, strict=True)
    }


def load_texts(
    files: Files,
    environ: Mapping[str, str],
    *,
    digest: str,
    whole: bool,
    web: bool,
    folder: Path = Path(),
    before: Loaded | None = None,
) -> Loaded:
    """Build a stored configuration. Raises ConfigErrors.

    `whole`: with its feeds, which others read from their rows. A secret that is not here takes nothing else away:
    its channel keeps its name and gets the service `unavailable`, and `faults` says what is missing. The page's
    password and token (without `web`) and the database's address are not needed. Secrets in files are looked up from
    `folder`.
    """
    texts = dict(files)
    terms = parse(Source(TERMS, texts.pop(TERMS), folder / TERMS))[0] if TERMS in texts else None
    roots = [parse(Source(name, text, folder / name))[0] for name, text in texts.items() if name.endswith(SUFFIXES)]
    listed = {folder / name: text for name, text in texts.items() if not name.endswith(SUFFIXES)}
    root, errors = merge([root for root in roots if root is not None])
    if root is None:
        raise ConfigErrors(errors or [ConfigError(file="database", line=1, column=1, message="no configuration")])
    root = root if terms is None else _with_terms(root, terms)
    root = _without_local(root, environ, whole=whole, web=web)
    try:
        return build(root, environ, digest, errors=errors, complete=False, before=before, listed=listed)
    except ConfigErrors as lacking:
        reduced = _without_secrets(root, lacking.errors)
        return replace(
            build(reduced, environ, digest, errors=errors, complete=False, before=before, listed=listed),
            faults=lacking.errors,
        )


class FeedReader:
    """Reads feeds from their rows, with the secrets of this machine, which `found` receives."""

    def __init__(self, environ: Mapping[str, str], found: Callable[[Set[str]], object], folder: Path = Path()) -> None:
        self._environ, self._folder, self._found = environ, folder, found
        self._read = lru_cache(READ_FEEDS)(self._parse)

    def read(self, options: str) -> Feed:
        """Return the feed that `feed_options` wrote. Raises ConfigErrors, for example if a secret is not here."""
        return self._read(options)

    def _parse(self, options: str) -> Feed:
        row = json.loads(options)
        if "${" in options:
            source = Source(f"feed {row['id']}", f'{{"feeds":[{options}]}}', self._folder / "feeds")
            root, errors = parse(source)
            expander = Expander(environ=self._environ)
            if errors or not isinstance(root, MappingNode):
                raise ConfigErrors(errors)
            (row,) = to_plain(root, expander)["feeds"]
            if expander.errors:
                raise ConfigErrors(expander.errors)
            if expander.secrets:
                self._found(expander.secrets)
        try:
            return Feed.model_validate(row, by_alias=True, by_name=False)
        except ValidationError as wrong:  # written by a newer program
            raise ConfigErrors(
                [
                    ConfigError(file=f"feed {row['id']}", line=1, column=1, message=error["msg"])
                    for error in wrong.errors(include_url=False, include_input=False)
                ]
            ) from None


def _with_terms(root: MappingNode, terms: Node) -> MappingNode:
    """Put the terms of lists in place of what says where they come from."""
    lists = terms.get("lists") if isinstance(terms, MappingNode) else None

    def filled(key: ScalarNode, value: Node) -> Node:
        if key.text != "lists" or not isinstance(value, MappingNode) or not isinstance(lists, MappingNode):
            return value
        return value._replace(pairs=tuple((name, lists.get(name.text) or node) for name, node in value.pairs))

    return root._replace(pairs=tuple((key, filled(key, value)) for key, value in root.pairs))


def _without_local(root: MappingNode, environ: Mapping[str, str], *, whole: bool, web: bool) -> MappingNode:
    """Drop what each machine knows for itself or does not need.

    A node without the page keeps the token if it knows it: its metrics may be served beyond the machine.
    """
    pairs: list[tuple[ScalarNode, Node]] = []
    for key, value in root.pairs:
        if key.text == "feeds" and not whole:
            continue
        if key.text == "settings" and isinstance(value, MappingNode):
            value = _kept(value, ("database",))
            if not web:
                web_pairs = ((k, _without_passwords(v, environ) if k.text == "web" else v) for k, v in value.pairs)
                value = value._replace(pairs=tuple(web_pairs))
        pairs.append((key, value))
    return root._replace(pairs=tuple(pairs))


def _without_passwords(web: Node, environ: Mapping[str, str]) -> Any:
    token, expander = web.get("token") if isinstance(web, MappingNode) else None, Expander(environ=environ)
    if isinstance(token, ScalarNode):
        expander.expand(token)
    return _kept(web, ("password",) if token is not None and not expander.errors else _PASSWORDS)


def _kept(node: Node, without: Sequence[str]) -> Any:
    if not isinstance(node, MappingNode):
        return node
    return node._replace(pairs=tuple(pair for pair in node.pairs if pair[0].text not in without))


def _without_secrets(root: MappingNode, errors: Sequence[ConfigError]) -> MappingNode:
    """Make channels with faulty references unavailable, and leave out faulty feeds; other faults stay."""

    def faulty(node: Node) -> bool:
        return any(position_inside(error, node) for error in errors)

    pairs: list[tuple[ScalarNode, Node]] = []
    for key, value in root.pairs:
        if key.text == "channels" and isinstance(value, MappingNode):
            channels = ((name, _stub(node) if faulty(node) else node) for name, node in value.pairs)
            value = value._replace(pairs=tuple(channels))
        elif key.text == "feeds" and isinstance(value, SequenceNode):
            value = value._replace(nodes=tuple(n for n in value.nodes if not faulty(n)))
        pairs.append((key, value))
    return root._replace(pairs=tuple(pairs))


def _stub(channel: Node) -> Node:
    """Keep of a channel what says when and how much it gets, not where."""
    if not isinstance(channel, MappingNode):
        return channel
    kept = [(key, value) for key, value in channel.pairs if key.text in _PLAIN and not any(references(value))]
    key = ScalarNode(channel.source, channel.start, channel.start, "service", "")
    return channel._replace(pairs=(*kept, (key, key._replace(text=UNAVAILABLE))))
