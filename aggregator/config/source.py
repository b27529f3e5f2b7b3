"""Configuration files as text: which ones there are, and whether they are fit to be read."""

import hashlib
import os
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aggregator.core.errors import ConfigError

MAX_BYTES = 2**20
SUFFIXES = (".yaml", ".yml")
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One file: its name as people wrote it, its text, and where its lines begin."""

    name: str
    text: str
    path: Path
    starts: Sequence[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0, *(found.end() for found in re.finditer("\n", self.text))]
        object.__setattr__(self, "starts", starts)

    def place(self, index: int) -> tuple[int, int]:
        """Line and column, both from 1, of a code point of the text."""
        line = bisect_right(self.starts, index)
        return line, index - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line that is counted from 1, without its end."""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r\n")

    def with_line(self, number: int, text: str) -> "Source":
        """The same file with one line corrected; the other lines keep their numbers."""
        start = self.starts[number - 1]
        return Source(self.name, self.text[:start] + text + self.text[start + len(self.line(number)) :], self.path)

    def error(self, index: int, message: str, hint: str | None = None) -> ConfigError:
        """A problem at a code point of the text."""
        line, column = self.place(index)
        return ConfigError(file=self.name, line=line, column=column, message=message, hint=hint)


def files(path: Path) -> tuple[Path, ...]:
    """The YAML files behind a path: itself, or those directly in the folder, by name."""
    if not path.is_dir():
        return (path,)
    found = (child for child in path.iterdir() if child.suffix in SUFFIXES and not child.name.startswith("."))
    return tuple(sorted(child for child in found if child.is_file()))


def read(path: Path, edited: Mapping[Path, str]) -> tuple[tuple[Source, ...], tuple[ConfigError, ...], str]:
    """Every readable file behind a path, what is wrong with the others, and the digest of all.

    `edited` holds texts that stand for files (which may not be there yet).
    """
    try:
        if not edited and (missing := _missing(path)):
            return (), (missing,), ""
    except OSError as broken:
        return (), (_at_top(path, f"cannot be read: {broken.strerror}"),), ""
    sources: list[Source] = []
    errors: list[ConfigError] = []
    contents: list[tuple[str, bytes]] = []
    for file in sorted({*files(path), *edited}):
        try:
            raw = edited[file].encode() if file in edited else content(file)
        except OSError as broken:
            errors.append(_at_top(file, f"cannot be read: {broken.strerror}"))
            continue
        contents.append((file.name, raw))
        source = decoded(file, raw)
        (sources if isinstance(source, Source) else errors).append(source)  # type: ignore[arg-type]
    return tuple(sources), tuple(errors), _digest(contents)


def digest(path: Path) -> str:
    """A hash over names and contents of the files behind a path; empty where nothing can be read."""
    try:
        return _digest([(file.name, content(file)) for file in files(path)])
    except OSError:
        return ""


def content(path: Path) -> bytes:
    """The content, up to a byte more than is allowed; never blocks on what is not a plain file."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:
        return file.read(MAX_BYTES + 1) or b""


def decoded(path: Path, raw: bytes) -> Source | ConfigError:
    """A file's content as text, or why it is none."""
    if len(raw) > MAX_BYTES:
        return _at_top(path, "the file is larger than 1 MB", "split feeds or rules into several files in a folder")
    if b"\0" in raw:
        return _at_top(path, "not a text file: it contains NUL bytes", "write YAML in UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        good = Source(str(path), raw[: wrong.start].decode("utf-8-sig"), path)
        return good.error(len(good.text), "invalid UTF-8", "save the file as UTF-8")
    source = Source(str(path), text, path)
    if not text.strip():
        return _at_top(path, "the file is empty", "write feeds: [], or remove the file")
    if odd := _UNPRINTABLE.search(text):
        return source.error(odd.start(), f"control character U+{ord(odd[0]):04X}", "remove it")
    return source


def _digest(contents: Sequence[tuple[str, bytes]]) -> str:
    total = hashlib.sha256()
    for name, raw in contents:
        total.update(f"{name}\0{len(raw)}\0".encode(errors="surrogateescape") + raw)
    return total.hexdigest()[:32] if contents else ""


def _missing(path: Path) -> ConfigError | None:
    start = "create a starter configuration with `aggregator init`"
    if not path.exists():
        return _at_top(path, "no such file or folder", start)
    if path.is_dir() and not files(path):
        return _at_top(path, "no .yaml files in this folder", start)
    return None


def _at_top(path: Path, message: str, hint: str | None = None) -> ConfigError:
    return ConfigError(file=str(path), line=1, column=1, message=message, hint=hint)
