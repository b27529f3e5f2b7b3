"""Lists of terms that are not written out: from a file, an address, or shipped with the program.

A file has one term a line; a `#` at the beginning of a line, or after a blank, begins a comment (`"#MeToo"` is a
term). What an address gave last is kept as such a file in the state folder, so that every command has it.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aggregator.config import shipped_lists
from aggregator.config.messages import find_node, validation_error
from aggregator.config.source import MAX_BYTES, PERMISSIONS, Source, content, decoded, state_directory
from aggregator.config.yaml_parse import parse
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, did_you_mean
from aggregator.core.model import Overdue
from aggregator.core.settings import ListSource

MAX_LINES = 20_000
MISSED = timedelta(hours=1)  # a fetched list may be this late, and its interval once more
_COMMENT = re.compile(r"(?:^|\s)#.*")
_SECTION = re.compile(r"""^["']?(feeds|channels|rules|lists|settings)["']?[ \t]*:""", re.MULTILINE)
_WHOLE = re.compile(r"\A(?:\s|---)*\{|^\?", re.MULTILINE)  # a mapping whose keys do not begin lines
_HTML = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)


class NotAList(ValueError):
    """A text that cannot be a list of terms; the message is the end of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedList:
    """A list behind an address: its name, where it is kept here, and how it is fetched."""

    name: str
    url: str
    file: Path
    every_s: float
    sha256: str | None


def parse_terms(raw: bytes) -> tuple[str, ...]:
    """Read terms, one a line. Raises NotAList."""
    if len(raw) > MAX_BYTES:
        raise NotAList("is larger than 1 MB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotAList("is not a text in UTF-8") from None
    if "\0" in text or _HTML.match(text):
        raise NotAList("is not a list with one term a line")
    terms = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    found = tuple(dict.fromkeys(term for term in terms if term))
    if len(found) > MAX_LINES:
        raise NotAList(f"has more than {MAX_LINES} terms")
    if not found:
        raise NotAList("has no terms")
    return found


def list_files(path: Path, raw: bytes) -> tuple[Path, ...]:
    """Return the files that the lists of a configuration file name, as they are looked for, however that is written.

    Only the section of the lists is parsed, and only once: this is asked all the time.
    """
    source = decoded(path, raw)
    if not isinstance(source, Source):
        return ()
    text = source.text.replace("\r\n", "\n").replace("\r", "\n")
    found = [] if _WHOLE.search(text) else [*_SECTION.finditer(text)]
    ends = [*(one.start() for one in found[1:]), None]
    parts = [text[one.start() : end] for one, end in zip(found, ends, strict=False) if one[1] == "lists"]
    parts = parts if found else [text]
    return tuple(dict.fromkeys(path.parent / name for part in parts for name in _files_named(part)))


@lru_cache(maxsize=64)
def _files_named(text: str) -> tuple[str, ...]:
    if "file" not in text and "\\" not in text:  # which may spell it
        return ()
    root, _ = parse(Source("", text, Path()))
    lists = root.get("lists") if isinstance(root, MappingNode) else None
    sources = [node for _, node in lists.pairs] if isinstance(lists, MappingNode) else []
    named = (node.get("file") for node in sources if isinstance(node, MappingNode))
    return tuple(node.text for node in named if isinstance(node, ScalarNode) and node.text)


def resolve(
    root: MappingNode, value: dict[str, Any], environ: Mapping[str, str], listed: Mapping[Path, str]
) -> tuple[tuple[FetchedList, ...], tuple[ConfigError, ...]]:
    """Replace in `value` each list that is a mapping by its terms; return those to be fetched, and what is wrong.

    `listed` holds texts that stand for files of terms.
    """
    lists, nodes = value.get("lists"), root.get("lists")
    if not isinstance(lists, dict) or not isinstance(nodes, MappingNode):
        return (), ()
    fetched: list[FetchedList] = []
    problems: list[ConfigError] = []
    for name, written in [*lists.items()]:
        node = nodes.get(name)
        if isinstance(node, SequenceNode) and not node.nodes:
            problems.append(node.source.error(node.start, f"the list {name} is empty", "add terms, or remove it"))
        if not isinstance(written, dict) or not isinstance(node, MappingNode):
            continue
        try:
            source = ListSource.model_validate(written, by_alias=True, by_name=False)
        except ValidationError as wrong:
            errors = wrong.errors(include_url=False)
            located = ({**error, "loc": ("lists", name, *error["loc"])} for error in errors)
            problems += filter(None, (validation_error(error, root) for error in located))  # type: ignore[arg-type]
            lists[name] = []
            continue
        resolution = _Resolution(name, source, node, environ, listed)
        lists[name] = [*resolution.terms()]
        problems += resolution.problems
        fetched += resolution.fetched
    return tuple(fetched), tuple(problems)


class _Resolution:
    """The terms of one list, and what is wrong with it."""

    def __init__(
        self, name: str, source: ListSource, node: MappingNode, environ: Mapping[str, str], listed: Mapping[Path, str]
    ) -> None:
        self.name, self.source, self.node, self.environ, self.listed = name, source, node, environ, listed
        self.problems: list[ConfigError] = []
        self.fetched: list[FetchedList] = []

    def terms(self) -> tuple[str, ...]:
        source = self.source
        if not (source.terms or source.file or source.url or source.use):
            hint = "add terms:, file:, url: or use:"
            self.problems.append(self.node.source.error(self.node.start, f"the list {self.name} has no terms", hint))
        found = [*source.terms, *self._file(), *self._url(), *self._shipped()]
        terms = tuple(dict.fromkeys(found))
        return tuple(map(_inflected, terms)) if source.inflect else terms

    def _file(self) -> tuple[str, ...]:
        if not self.source.file:
            return ()
        place = find_node(self.node, ("file",))
        path = place.source.path.parent / self.source.file
        try:
            return parse_terms(self.listed[path].encode() if path in self.listed else content(path))
        except NotAList as wrong:
            self._refuse(place, f"{self.source.file} {wrong}", "write one term a line")
        except FileNotFoundError:
            self._refuse(place, f"{self.source.file}: no such file", f"create {path}")
        except OSError as broken:
            self._refuse(place, f"{self.source.file} cannot be read: {broken.strerror}", PERMISSIONS)
        except ValueError:  # a control character
            self._refuse(place, f"{self.source.file!r} cannot be the name of a file", "correct it")
        return ()

    def _url(self) -> tuple[str, ...]:
        if not self.source.url:
            return ()
        url = str(self.source.url)
        file = fetched_file(self.name, url, self.environ)
        one = FetchedList(name=self.name, url=url, file=file, every_s=self.source.every_s, sha256=self.source.sha256)
        self.fetched.append(one)
        try:
            return parse_terms(content(file))
        except (OSError, NotAList):  # not fetched yet: until then it matches nothing
            return ()

    def _shipped(self) -> Iterator[str]:
        place = find_node(self.node, ("use",))
        for name in self.source.use:
            try:
                yield from shipped_lists.terms(name)
            except KeyError:
                known = [*shipped_lists.names()]
                near = did_you_mean(name, known).strip(" ()")
                self._refuse(place, f"no list named {name!r} is shipped", near or "see `aggregator lists list`")

    def _refuse(self, place: Node, message: str, hint: str | None) -> None:
        self.problems.append(place.source.error(place.start, message, hint))


def _inflected(term: str) -> str:
    """Mark a term so that its case endings are found, too; one with a mark of its own stays as it is."""
    marked = term[:1] in "$'\"" or term.endswith("*")
    return term if marked or "'" in term else f"'{term}'i"


def fetched_file(name: str, url: str, environ: Mapping[str, str]) -> Path:
    """Return where the terms behind an address are kept."""
    return state_directory(environ) / "lists" / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.txt"


def keep(one: FetchedList, terms: tuple[str, ...]) -> None:
    """Write the terms of a fetched list, all of them or none. Raises OSError."""
    one.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = one.file.with_suffix(f".{os.getpid()}")
    lines = (f"# The list {one.name}, as it was fetched.", *terms)
    new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    new.replace(one.file)


def overdue_lists(lists: Iterable[FetchedList], now: datetime) -> tuple[Overdue, ...]:
    """Return lists that were not fetched when they were due, by when they last were.

    Those that never were match nothing, which the check of the configuration says.
    """
    found = []
    for one in lists:
        last = kept_at(one)
        if last and now - last > 2 * timedelta(seconds=one.every_s) + MISSED:
            found.append(Overdue(name=one.name, due_at=last, interval_s=one.every_s))
    return tuple(found)


def kept_at(one: FetchedList) -> datetime | None:
    """Return when a list was last fetched; None: not yet."""
    try:
        return datetime.fromtimestamp(one.file.stat().st_mtime, UTC)
    except OSError:
        return None
