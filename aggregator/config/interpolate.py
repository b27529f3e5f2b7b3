"""`${ENV}` and `${file:/path}` in values: the only way in for secrets."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from pydantic import SecretStr

from aggregator.config.yaml_offsets import index_of
from aggregator.config.yaml_tree import Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, did_you_mean

_REFERENCE = re.compile(r"\$?\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
UNEXPANDED = frozenset({"rules", "lists"})  # sections that are read as they are written
_MAX_BYTES = 65_536
_MIN_LINE = 8  # of a secret with several lines: shorter ones ("}", "true") are words of every log
# What the kernel shows there are states and devices, among them the environment of every process.
_NO_FILES = tuple(map(Path, ("/proc", "/sys", "/dev")))


@dataclass(slots=True, kw_only=True)
class Expander:
    """Replaces references once (what they give is not looked at again) and remembers the secrets.

    A text with a reference becomes a SecretStr: no message, log line or repr can show it by accident.
    """

    environ: Mapping[str, str]
    errors: list[ConfigError] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def expand(self, scalar: ScalarNode) -> str | SecretStr:
        """The text with its references replaced; `$${` stands for `${`."""
        if "${" not in scalar.text:
            return scalar.text
        text = _REFERENCE.sub(lambda found: self._replace(scalar, found), scalar.text)
        return SecretStr(text) if refers(scalar) else text

    def _replace(self, scalar: ScalarNode, found: re.Match[str]) -> str:
        if found[0].startswith("$$"):
            return found[0][1:]
        name = found[1]
        if not found[0].endswith("}"):
            return self._wrong(scalar, found, "${ without }", "write ${NAME}, or $${ for the characters themselves")
        if name.startswith("file:"):
            return self._file(scalar, found, name.removeprefix("file:").strip())
        if not _NAME.fullmatch(name):
            hint = "write ${NAME} or ${file:/run/secrets/name}, or $${ for the characters themselves"
            return self._wrong(scalar, found, f"{found[0]} is not a reference", hint)
        if name not in self.environ:
            near = did_you_mean(name, [known for known in self.environ if known.isupper()]).strip(" ()")
            hint = near or f"export {name}=… before the start"
            return self._wrong(scalar, found, f"the environment variable {name} is not set", hint)
        return self._secret(self.environ[name])

    def _file(self, scalar: ScalarNode, found: re.Match[str], name: str) -> str:
        try:
            raw = _content(scalar.source.path.parent / name)
            text = raw.decode()
        except _NoFile as refused:
            return self._wrong(scalar, found, f"{name!r} {refused}", "put the secret into an ordinary file")
        except OSError as broken:
            return self._wrong(scalar, found, f"{name!r} cannot be read: {broken.strerror}")
        except ValueError:  # not UTF-8, or a name that no file can have
            return self._wrong(scalar, found, f"{name!r} is not text in UTF-8")
        if len(raw) > _MAX_BYTES:
            return self._wrong(scalar, found, f"{name!r} is larger than 64 kB", "a secret is one short line")
        return self._secret(text.rstrip("\r\n"))

    def _secret(self, value: str) -> str:
        if len(value) > 3:  # shorter ones would black out half of every log line
            self.secrets.update((value, unquote(value)))
        if "\n" in value:  # whoever quotes it may quote a line of it
            self.secrets.update(line for line in map(str.strip, value.splitlines()) if len(line) >= _MIN_LINE)
        return value

    def _wrong(self, scalar: ScalarNode, found: re.Match[str], message: str, hint: str | None = None) -> str:
        self.errors.append(scalar.source.error(index_of(scalar, found.start()), message, hint))
        return found[0]


class _NoFile(ValueError):
    """A path that is never read, whatever stands there."""


def references(node: Node) -> Iterator[str]:
    """Every reference in the values of a tree, as it is written."""
    if isinstance(node, ScalarNode):
        found = _REFERENCE.finditer(node.text) if "${" in node.text else ()
        yield from (one[0] for one in found if not one[0].startswith("$$"))
    else:
        for below in node.nodes if isinstance(node, SequenceNode) else (value for _, value in node.pairs):
            yield from references(below)


def refers(node: Node) -> bool:
    """Whether what a node says may come from outside, so that nobody may quote it."""
    return any(True for _ in references(node))


def _content(path: Path) -> bytes:
    """Up to a byte more than is allowed of an ordinary file. Raises OSError, _NoFile."""
    for place in (Path(os.path.normpath(path)), Path(os.path.realpath(path))):
        if any(root == place or root in place.parents for root in _NO_FILES):
            raise _NoFile("is no place for a secret: nothing is read below /proc, /sys and /dev")
    if not stat.S_ISREG(path.stat().st_mode):  # to open a device may set it off
        raise _NoFile("is not an ordinary file")
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _NoFile("is not an ordinary file")
        return file.read(_MAX_BYTES + 1)
