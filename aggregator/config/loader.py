"""Loading of files to a checked configuration with compiled rules; every error at once, with its place."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr, ValidationError

from aggregator.config import lists, references
from aggregator.config.digests import read
from aggregator.config.interpolate import Expander, refers
from aggregator.config.lists import FetchedList
from aggregator.config.merge import merge
from aggregator.config.messages import HIDDEN, find_node, validation_error
from aggregator.config.rules import compile_rules, feeds_missed, rule_nodes, with_position
from aggregator.config.source import unread_warnings
from aggregator.config.values import machine_zone, to_plain
from aggregator.config.yaml_parse import parse
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, ConfigErrors, Problem
from aggregator.core.redaction import Redactor, field_secrets, is_key, url_secrets
from aggregator.core.rules import Rule, compile_later, run_tests
from aggregator.core.settings import Channel, Config
from aggregator.core.values import revealed, weak_spot

LISTEN = "AGGREGATOR_LISTEN"  # where the page listens in a container, whatever settings.web.listen says
DATABASE = "AGGREGATOR_DATABASE"  # the database's address, whatever settings.database says
_UNEDITED: Mapping[Path, str] = MappingProxyType({})
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class SourcePosition(NamedTuple):
    """The position of something in a file; line and column from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A usable configuration.

    `rules` holds every rule, also those that are not enabled; `secrets` are texts that must never
    be shown; `digest` changes with any byte of the files; `places` says where (kind, id) is
    written, for the kinds feed, rule, channel and list. `faults` are what is wrong with the parts
    that were left out, where the sound ones had been asked for; `fetched` are the lists behind addresses.
    """

    config: Config
    rules: tuple[Rule, ...]
    warnings: tuple[ConfigError, ...]
    secrets: frozenset[str] = field(repr=False)
    digest: str
    places: Mapping[tuple[str, str], SourcePosition] = field(repr=False)
    root: MappingNode = field(repr=False)
    faults: tuple[ConfigError, ...] = ()
    fetched: tuple[FetchedList, ...] = ()


def load(
    path: Path,
    environ: Mapping[str, str],
    *,
    edited: Mapping[Path, str] = _UNEDITED,
    before: Loaded | None = None,
    known: bool = False,
) -> Loaded:
    """Read a file, or every YAML file of a folder. Raises ConfigErrors with all that is wrong.

    `edited` holds texts that stand for files on disk, to try an edit before it is saved; rules
    that are in `before` already, and have not changed, are not compiled anew. `known`: the same was loaded before, so
    its rules are compiled as they are needed, and it is not warned of them again.
    """
    sources, broken, digest = read(path, edited)
    errors = list(broken)
    roots: list[Node] = []
    complete = not broken
    for source in sources:
        node, found = parse(source)
        errors.extend(found)
        if node is not None:
            roots.append(node)
        elif found:  # without an error, it holds comments only, and nothing of it is missing
            complete = False
    root, found = merge(roots)
    errors.extend(found)
    if root is None:
        raise ConfigErrors(_sorted(errors) or [_nothing(path)])
    notes = unread_warnings(path)
    return build(root, environ, digest, errors=errors, notes=notes, complete=complete, before=before, known=known)


def build(
    root: MappingNode,
    environ: Mapping[str, str],
    digest: str,
    *,
    errors: Iterable[ConfigError] = (),
    notes: Iterable[ConfigError] = (),
    complete: bool = True,
    before: Loaded | None = None,
    known: bool = False,
    listed: Mapping[Path, str] = _UNEDITED,
) -> Loaded:
    """Build the configuration of a tree. Raises ConfigErrors: those given, and all of the tree's own.

    `notes` are warnings outside the tree. In an incomplete tree, because a file could not be read, names are
    not looked up. `listed` holds texts that stand for files of terms.
    """
    errors = list(errors)
    expander = Expander(environ=environ)
    value = to_plain(root, expander)
    fetched, faulty_lists = lists.resolve(root, value, environ, listed)
    config, invalid = _validated(root, value, detail=expander.errors)
    errors.extend(
        (
            *expander.errors,
            *invalid,
            *faulty_lists,
            *references.empty_key_errors(root),
            *references.duplicate_errors(root, value),
            *references.contradiction_errors(root, value),
        )
    )
    notes = [*notes, *expander.warnings]
    if complete:
        notes += (*references.unknown_errors(root, value), *references.dubious_warnings(root, value))
    if config is not None:
        config = _with_zones(config)
    if config is not None and (listen := environ.get(LISTEN)):
        config, open_page = _listening(config, listen)
        notes.extend(open_page)
    if config is not None and (database := environ.get(DATABASE)):
        if fault := references.database_fault(database):
            message, hint = fault
            place = f"${DATABASE}"
            notes.append(ConfigError(file=place, line=1, column=1, message=message, hint=hint, severity="error"))
        settings = config.settings.model_copy(update={"database": SecretStr(database)})
        config = config.model_copy(update={"settings": settings})
    rules: tuple[Rule, ...]
    if known and config is not None:
        rules = tuple(compile_later(rule, config.lists) for rule in config.rules)
    else:
        rules, judged = compile_rules(
            root, value, errors, before.rules if before else (), config.rules if config is not None else None
        )
        notes.extend(judged)
        if complete and config is not None:
            notes.extend(feeds_missed(rules, [feed.id for feed in config.feeds], root))
    errors.extend(note for note in notes if note.severity == "error")
    if errors or config is None:
        raise ConfigErrors(_without(expander.secrets, _sorted(errors)))
    return Loaded(
        config=config,
        rules=rules,
        warnings=_without(expander.secrets, _sorted(note for note in notes if note.severity == "warning")),
        secrets=frozenset(expander.secrets) | frozenset(_secrets(config)) | frozenset(_keys(config, fetched)),
        digest=digest,
        places=_places(root, value),
        root=root,
        fetched=fetched,
    )


def rule_test_errors(loaded: Loaded, *, before: Loaded | None = None) -> tuple[ConfigError, ...]:
    """Return the inline tests that fail, each at its text; without rules that are unchanged since `before`."""
    rows = rule_nodes(loaded.root)
    known = {id(rule) for rule in before.rules} if before else ()
    tested = (rule for rule in loaded.rules if id(rule) not in known)
    failed = ((rows.get(rule.id, loaded.root), problem) for rule in tested for problem in run_tests(rule))
    return tuple(with_position(problem, node, loaded.root) for node, problem in failed)


def feed_errors(loaded: Loaded, problems: Mapping[str, Iterable[Problem]]) -> tuple[ConfigError, ...]:
    """Return problems of feeds, by id, with their places (each path begins with a key of the feed)."""
    rows = loaded.root.get("feeds")
    nodes = {_place(node): node for node in (rows.nodes if isinstance(rows, SequenceNode) else ())}
    found = ((nodes[loaded.places["feed", feed]], problem) for feed, some in problems.items() for problem in some)
    return tuple(with_position(problem, node, loaded.root) for node, problem in found)


def settings_errors(loaded: Loaded, problems: Iterable[Problem]) -> tuple[ConfigError, ...]:
    """Return problems of settings (each path begins with `settings`) with their places."""
    return tuple(with_position(problem, loaded.root, loaded.root) for problem in problems)


def channel_errors(loaded: Loaded, problems: Iterable[Problem]) -> tuple[ConfigError, ...]:
    """Yield problems of channels (each path begins with the channel's name) with their places; no secret in them."""
    channels = loaded.root.get("channels") or loaded.root
    return _without(
        loaded.secrets,
        (with_position(_unquoting(problem, channels, loaded), channels, loaded.root) for problem in problems),
    )


# --- pieces --------------------------------------------------------------------------------------


def _validated(
    root: MappingNode, value: dict[str, Any], detail: Sequence[ConfigError]
) -> tuple[Config | None, list[ConfigError]]:
    """Return the configuration, or its errors except those in lines where a reference failed."""
    try:
        return Config.model_validate(value, by_alias=True, by_name=False), []
    except ValidationError as wrong:
        found = (validation_error(error, root) for error in wrong.errors(include_url=False))
        failed = {(error.file, error.line) for error in detail}
        return None, [error for error in found if error and (error.file, error.line) not in failed]


def _with_zones(config: Config) -> Config:
    """Name the time zones that are not written: the machine's, and that of the settings for every channel."""
    settings = config.settings
    if "time_zone" not in settings.model_fields_set:
        settings = settings.model_copy(update={"time_zone": machine_zone()})
    here = {"time_zone": settings.time_zone}
    channels = {
        name: channel if "time_zone" in channel.model_fields_set else channel.model_copy(update=here)
        for name, channel in config.channels.items()
    }
    return config.model_copy(update={"settings": settings, "channels": channels})


def _listening(config: Config, listen: str) -> tuple[Config, list[ConfigError]]:
    """Set the page's address from the environment; return what is wrong with it.

    Where others can reach it and nobody is asked for a password, the service will not start; other commands do.
    """

    def wrong(message: str, hint: str, severity: Literal["error", "warning"]) -> list[ConfigError]:
        return [ConfigError(file=f"${LISTEN}", line=1, column=1, message=message, hint=hint, severity=severity)]

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        return config, wrong(f"{listen!r} is not an address and port", "for example 0.0.0.0:8080", "error")
    web = config.settings.web.model_copy(update={"listen": listen})
    settings = config.settings.model_copy(update={"web": web})
    config = config.model_copy(update={"settings": settings})
    weak = weak_spot(*(secret.get_secret_value() if secret else None for secret in (web.password, web.token)))
    if not web.enabled or weak is None or not references.is_open(host):
        return config, []
    if not web.password and not web.token:
        message = f"{listen} is not a loopback address and no password is set; `aggregator run` will not start"
        return config, wrong(message, 'add settings: {web: {password: "${WEB_PASSWORD}"}}', "warning")
    message = f"{listen} is not a loopback address, and {weak.wrong}; `aggregator run` will not start"
    return config, wrong(message, weak.hint, "warning")


def _places(root: MappingNode, value: dict[str, Any]) -> dict[tuple[str, str], SourcePosition]:
    places: dict[tuple[str, str], SourcePosition] = {}
    for kind, section in (("feed", "feeds"), ("rule", "rules")):
        rows = root.get(section)
        for node, row in zip(rows.nodes if isinstance(rows, SequenceNode) else (), value.get(section, ()), strict=True):
            places[kind, str(revealed(row["id"]))] = _place(node)
    for kind, section in (("channel", "channels"), ("list", "lists")):
        pairs = root.get(section)
        for key, _ in pairs.pairs if isinstance(pairs, MappingNode) else ():
            places[kind, key.text] = _place(key)
    return places


def _place(node: Node) -> SourcePosition:
    return SourcePosition(node.source.name, *node.source.place(node.start))


def _unquoting(problem: Problem, channels: Node, loaded: Loaded) -> Problem:
    """Return a service's words about a value from a reference, without the value or a part of it."""
    node = find_node(channels, problem.path)
    if not refers(node):
        return problem
    if isinstance(node, ScalarNode):
        hint = problem.hint if problem.hint and not _QUOTED.search(problem.hint) else None
        problem = replace(problem, message=_QUOTED.sub(HIDDEN, problem.message), hint=hint)
    pieces = {piece for secret in loaded.secrets for piece in re.findall(r"\w{4,}", secret)}
    if any(piece in f"{problem.message} {problem.hint}" and piece not in _written(node) for piece in pieces):
        return replace(problem, message="the service rejects these fields", hint="one of them comes from a reference")
    return problem


def _written(node: Node) -> str:
    return node.source.text[node.start : node.end]


def _secrets(value: object) -> Iterator[str]:
    """Return every secret in a validated configuration, and the passwords inside URLs."""
    if isinstance(value, SecretStr):
        yield from _spellings(value.get_secret_value())
    elif isinstance(value, dict):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets(item)
    elif isinstance(value, BaseModel):
        for name in value.model_fields_set:  # what is not written is a default, and no secret
            yield from _secrets(getattr(value, name))
        yield from _secrets(value.model_extra)
        if isinstance(value, Channel):
            yield from _of_channel(value)


def _keys(config: Config, fetched: Iterable[FetchedList]) -> Iterator[str]:
    """Return the keys in addresses of feeds and lists that no ordinary word looks like: others may be terms."""
    urls = [*(feed.url for feed in config.feeds), *(one.url for one in fetched)]
    yield from (key for url in urls for key in url_secrets(url) if is_key(key))


def _of_channel(channel: Channel) -> Iterator[str]:
    """Return what is secret in a channel that is written in the file itself, without a reference."""
    found = [one for url in channel.url for one in url_secrets(url.get_secret_value(), tokens=True)]
    found += [one for name, text in _texts("", channel.fields) for one in field_secrets(name, text)]
    for text in found:
        yield from (spelling for spelling in (text, unquote(text)) if len(spelling) > 3)


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Return every text in a channel's field, under its nearest key."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(str(key), inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(name, inner)


def _spellings(secret: str) -> Iterator[str]:
    """Return a secret as a log might show it: of a URL its password, and all of it if that is a token."""
    found = {secret}
    if "://" in secret:
        scheme, _, rest = secret.partition("://")
        found = {rest.rpartition("@")[0].partition(":")[2], *url_secrets(secret)}
        if not scheme.startswith(("http", "socks", "sqlite", "postgresql")):
            found.add(secret)
    for text in found:
        yield from (spelling for spelling in (text, unquote(text)) if len(spelling) > 3)


def _sorted(errors: Iterable[ConfigError]) -> tuple[ConfigError, ...]:
    return tuple(sorted(dict.fromkeys(errors), key=lambda error: (error.file, error.line, error.column)))


def _without(secrets: Iterable[str], errors: Iterable[ConfigError]) -> tuple[ConfigError, ...]:
    """Redact secrets in errors that quote a value."""
    masked = Redactor(secrets, min_chars=1)
    return tuple(
        replace(
            e,
            message=masked(e.message),
            hint=e.hint and masked(e.hint),
            excerpt=e.excerpt if e.excerpt == masked(e.excerpt or "") else None,
        )
        for e in errors
    )


def _nothing(path: Path) -> ConfigError:
    hint = "create a starter configuration with `aggregator init`"
    return ConfigError(file=str(path), line=1, column=1, message="the configuration is empty", hint=hint)
