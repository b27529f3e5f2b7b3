"""Configuration files as text: which ones there are, and whether they can be read."""

import os
import re
import stat
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path

from aggregator.core.errors import ConfigError

MAX_BYTES = 2**20
MAX_SECRET_BYTES = 65_536
PERMISSIONS = "check the path and its permissions"
SUFFIXES = (".yaml", ".yml")
MAX_SUBFOLDER_FILES = 1000  # a folder that holds more is not looked through for YAML
LARGE_BYTES = 1_000_000
# What the kernel shows there are states and devices, among them the environment of every process.
_NO_FILES = tuple(map(Path, ("/proc", "/sys", "/dev")))
# Names that somebody meant to be read: a hidden ending, capitals, an ending with a slip, none at all.
_LOOKALIKE = re.compile(
    r".+\.ya?ml(\.\w+|~)|.+\.(ya?mll?|yam|ylm|yalm|ymal)|(feeds|rules|channels|lists|settings|config)(\.(txt|json|toml))?",
    re.IGNORECASE,
)
_COPY = re.compile(r"(.+\.ya?ml)(~|\.(bak|backup|old|orig|save|swp|swo|tmp|part))", re.IGNORECASE)
_NOT_MEANT = re.compile(r".+\.(disabled|off|example|sample|dist|in|j2|tmpl|template)", re.IGNORECASE)


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
        """Return line and column, both from 1, of a code point of the text."""
        line = bisect_right(self.starts, index)
        return line, index - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return the text of a line that is counted from 1, without its end."""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r\n")

    def with_line(self, number: int, text: str) -> "Source":
        """Return the same file with one line corrected; the other lines keep their numbers."""
        start = self.starts[number - 1]
        return Source(self.name, self.text[:start] + text + self.text[start + len(self.line(number)) :], self.path)

    def error(self, index: int, message: str, hint: str | None = None) -> ConfigError:
        """Build an error at a code point of the text."""
        line, column = self.place(index)
        return ConfigError(file=self.name, line=line, column=column, message=message, hint=hint)


def files(path: Path) -> tuple[Path, ...]:
    """Return the YAML files behind a path: itself, or those directly in the folder, by name."""
    if not path.is_dir():
        return (path,)
    return tuple(child for child in named_so(path) if child.is_file())


def is_large(path: Path) -> bool:
    """Tell whether the files behind a path are so large that to load them takes seconds."""
    try:
        return sum(file.stat().st_size for file in files(path)) >= LARGE_BYTES
    except OSError:
        return False


def unread_warnings(path: Path) -> tuple[ConfigError, ...]:
    """Return warnings about files in a folder that look like configuration, and are not read."""
    try:
        children = sorted(path.iterdir()) if path.is_dir() else []
        found = [replace(at_top(child, *why), severity="warning") for child in children if (why := _unread(child))]
    except OSError:  # the one that reads the folder reports it
        return ()
    return tuple(found)


def named_so(folder: Path) -> list[Path]:
    """Tell whether a path is named like a configuration file."""
    return sorted(child for child in folder.iterdir() if child.suffix in SUFFIXES and not child.name.startswith("."))


def _unread(child: Path) -> tuple[str, str] | None:
    """Return why something in a folder is not read although it looks as if it should be, and what to do."""
    name = child.name
    if name.startswith(".") or child.suffix in SUFFIXES or _NOT_MEANT.fullmatch(name):
        return None
    if child.is_dir():
        below = next((entry.name for entry in _some(child) if entry.name.endswith(SUFFIXES)), None)
        return (f"{name}/{below} is not read: subfolders are ignored", f"move {below} up") if below else None
    if (copy := _COPY.fullmatch(name)) and child.with_name(copy[1]).exists():
        return None  # an editor's copy of what is read
    if not _LOOKALIKE.fullmatch(name):
        return None
    whole = re.match(r"(.+?)\.ya?ml", name, re.IGNORECASE)
    proposal = f"{(whole[1] if whole else child.stem).lower()}.yaml"
    return f"{name} is not read: its name does not end in .yaml or .yml", f"rename it to {proposal}"


def _some(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(islice(entries, MAX_SUBFOLDER_FILES), key=lambda entry: entry.name)
    except OSError:
        return []


def no_file(path: Path) -> ConfigError:
    """Build the error about something that is named like a configuration file but is no file."""
    if path.is_symlink() and not path.exists():
        message = f"{path.name} is a broken link: {os.readlink(path)}"
        return at_top(path, message, "fix or remove the link")
    if path.is_dir():
        hint = "Docker creates a folder where a mounted file is missing; put the file there, or rename the folder"
        return at_top(path, f"{path.name} is a folder, not a file", hint)
    return at_top(path, f"{path.name} is not a regular file", "put the configuration in a regular file")


def content(path: Path) -> bytes:
    """Read the content, up to a byte more than is allowed; never block on what is not a plain file."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:
        return file.read(MAX_BYTES + 1) or b""


@cache  # it takes longer to compile than all others, and passes read no text that they know
def _unprintable() -> re.Pattern[str]:
    return re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def decoded(path: Path, raw: bytes) -> Source | ConfigError:
    """Decode a file's content, or say why it is no text."""
    if len(raw) > MAX_BYTES:
        return at_top(path, "the file is larger than 1 MB", "split feeds or rules into several files in a folder")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or raw[:2].count(b"\0") == 1:
        return at_top(path, "this is UTF-16, not UTF-8", "save the file as UTF-8")
    if b"\0" in raw:
        return at_top(path, "not a text file: it contains NUL bytes", "write YAML in UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        good = Source(str(path), raw[: wrong.start].decode("utf-8-sig"), path)
        return good.error(len(good.text), "invalid UTF-8", "save the file as UTF-8")
    source = Source(str(path), text, path)
    if not text.strip():
        return at_top(path, "the file is empty", "write feeds: [], or remove the file")
    if odd := _unprintable().search(text):
        return source.error(odd.start(), f"control character U+{ord(odd[0]):04X}", "remove it")
    return source


class NotASecretFile(ValueError):
    """A path that is never read, whatever is there."""


def secret_content(path: Path) -> bytes:
    """Read an ordinary file, up to a byte more than is allowed. Raises OSError, NotASecretFile."""
    for place in (Path(os.path.normpath(path)), Path(os.path.realpath(path))):
        if any(root == place or root in place.parents for root in _NO_FILES):
            raise NotASecretFile("is no place for a secret: nothing is read below /proc, /sys and /dev")
    if not stat.S_ISREG(path.stat().st_mode):  # to open a device may set it off
        raise NotASecretFile("is not a regular file")
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotASecretFile("is not a regular file")
        return file.read(MAX_SECRET_BYTES + 1)


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return `./var` in a working folder of its own, `$XDG_STATE_HOME/aggregator` elsewhere."""
    if Path("var").is_dir() or Path("config").exists():
        return Path("var")
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "aggregator"


def missing(path: Path) -> ConfigError | None:
    start = "create a starter configuration with `aggregator init`"
    if not path.exists():
        return at_top(path, "no such file or folder", start)
    if path.is_dir() and not named_so(path):
        near = next((child for child in sorted(path.iterdir()) if _unread(child)), None)
        if near and (why := _unread(near)):
            return at_top(near, *why)
        return at_top(path, "no .yaml files in this folder", start)
    return None


def at_top(path: Path, message: str, hint: str | None = None) -> ConfigError:
    return ConfigError(file=str(path), line=1, column=1, message=message, hint=hint)
