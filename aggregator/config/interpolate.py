"""`${ENV}` and `${file:/path}` in values: the only way to pass in secrets."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple
from urllib.parse import unquote

from pydantic import SecretStr

from aggregator.config.source import MAX_SECRET_BYTES, PERMISSIONS, NotASecretFile, secret_content
from aggregator.config.yaml_offsets import index_of
from aggregator.config.yaml_tree import Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, did_you_mean
from aggregator.core.values import Referring

_REFERENCE = re.compile(r"\$?\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
UNEXPANDED = frozenset({"rules", "lists"})  # sections that are read as they are written
_MIN_LINE = 8  # of a secret with several lines: shorter ones ("}", "true") are words of every log
_BETWEEN, _ADDRESS = re.compile(r"[\s,;]+"), re.compile(r"@|\d{4}")  # mail addresses, telephone numbers
_ALIKE = re.compile(r"\$\{(file:[^}]*|[A-Z_][A-Z0-9_]*)\}")  # a whole text that somebody meant to be replaced
_BARE = re.compile(r"(?<![\w$])\$([A-Z][A-Z0-9_]+)\b")  # as a shell reads it
_SECRET_NAME = re.compile(r"(?:^|_)(?:PASS|PASSWORD|SECRET|TOKEN|KEY|HOOK|WEBHOOK|URL|USER)(?:_|$)")
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Co", "Cn", "Cs"})
_QUOTES = frozenset({"''", '""', "``", "“”", "‘’", "„“", "«»", "””", "’’"})
_ASSIGNED = re.compile(r"(?:export\s+)?[A-Z][A-Z0-9]*_[A-Z0-9_]*=[^=]|(?:export\s+)[A-Za-z_]\w*=.")  # a line of .env
_SEVERAL_LINES = ("-----BEGIN ", "{", "[")  # keys and JSON, which have several


@dataclass(slots=True, kw_only=True)
class Expander:
    """Replaces references once (the results are not expanded again) and remembers the secrets.

    A text with a reference becomes a SecretStr: no message, log line or repr can show it by accident.
    """

    environ: Mapping[str, str]
    errors: list[ConfigError] = field(default_factory=list)
    warnings: list[ConfigError] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def expand(self, scalar: ScalarNode) -> str | SecretStr:
        """Expand the references of a text; `$${` stands for `${`."""
        if "${" not in scalar.text:
            if (bare := _BARE.search(scalar.text)) and (bare[1] in self.environ or _SECRET_NAME.search(bare[1])):
                message, hint = f"{bare[0]} is read as it is written", f"write ${{{bare[1]}}} for the variable's value"
                self.warnings.append(replace(scalar.source.error(scalar.start, message, hint), severity="warning"))
            return scalar.text
        text = _REFERENCE.sub(lambda found: self._replace(scalar, found), scalar.text)
        return Referring(text, scalar.text) if refers(scalar) else text

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
        value = self.environ[name]
        ends = "ends with a line break" if value.endswith(("\r", "\n")) and value.strip() else ""
        hint = "remove it; a file with Windows line endings leaves a \\r"
        return (
            self._wrong(scalar, found, f"the environment variable {name} {ends}", hint)
            if ends
            else self._secret(scalar, found, f"the environment variable {name}", value)
        )

    def _file(self, scalar: ScalarNode, found: re.Match[str], name: str) -> str:
        try:
            raw = secret_content(scalar.source.path.parent / name)
            text = raw.decode()
        except NotASecretFile as refused:
            return self._wrong(scalar, found, f"{name!r} {refused}", "put the secret in a regular file")
        except OSError as broken:
            return self._wrong(scalar, found, f"{name!r} cannot be read: {broken.strerror}", PERMISSIONS)
        except ValueError:  # not UTF-8, or a name that no file can have
            return self._wrong(scalar, found, f"{name!r} is not text in UTF-8", "save it as UTF-8")
        if len(raw) > MAX_SECRET_BYTES:
            return self._wrong(scalar, found, f"{name!r} is larger than 64 kB", "a secret is one short line")
        return self._secret(scalar, found, repr(name), text.rstrip("\r\n"))

    def _secret(self, scalar: ScalarNode, found: re.Match[str], name: str, value: str) -> str:
        """Remember the secret; what it carries beside it is an error or a warning that does not show it."""
        flaw = _flaw(value)
        if flaw and flaw.severity == "error":
            return self._wrong(scalar, found, f"{name} {flaw.what}", flaw.hint)
        if flaw:
            warning = scalar.source.error(index_of(scalar, found.start()), f"{name} {flaw.what}", flaw.hint)
            self.warnings.append(replace(warning, severity="warning"))
        if len(value) > 3:  # shorter ones would black out half of every log line
            self.secrets.update((value, unquote(value)))
        if "\n" in value:  # a message may quote a single line of it
            self.secrets.update(line for line in map(str.strip, value.splitlines()) if len(line) >= _MIN_LINE)
        listed = _BETWEEN.split(unquote(value))
        if len(listed) > 1:  # several recipients, each of whom a message may name by itself
            self.secrets.update(one for one in listed if len(one) >= _MIN_LINE and _ADDRESS.search(one))
        return value

    def keep(self, scalar: ScalarNode) -> str:
        """Keep the text as written, in sections without references; what looks like one is an error."""
        if "${" in scalar.text and _ALIKE.fullmatch(scalar.text.strip()):
            message = f"{scalar.text.strip()} is not replaced in rules and lists"
            hint = "write the terms themselves, each on its own line: - term"
            self.errors.append(scalar.source.error(scalar.start, message, hint))
        return scalar.text

    def refuse_section(self, key: ScalarNode, value: Node) -> bool:
        """Refuse a reference in place of a whole section, which would be one text."""
        if not isinstance(value, ScalarNode) or not refers(value):
            return False
        hint = f"write {key.text}: in a YAML file of this folder; a reference holds a single value"
        self.errors.append(value.source.error(value.start, f"{key.text!r} cannot come from a reference", hint))
        return True

    def _wrong(self, scalar: ScalarNode, found: re.Match[str], message: str, hint: str | None = None) -> str:
        self.errors.append(scalar.source.error(index_of(scalar, found.start()), message, hint))
        return found[0]


class _Flaw(NamedTuple):
    """A problem of a value beside its secret, as the end of a sentence that does not show it."""

    severity: Literal["error", "warning"]
    what: str
    hint: str


def _flaw(value: str) -> _Flaw | None:
    """Return what makes a value unusable (error), or probably not what was meant (warning)."""
    if not value.strip():
        return _Flaw("error", "contains only white space" if value else "is empty", "set it, or remove the key")
    if value.startswith("\ufeff"):
        return _Flaw("error", "begins with a byte order mark (BOM)", "save it as UTF-8 without BOM")
    odd = next((sign for sign in value if sign not in "\t\r\n" and unicodedata.category(sign) in _INVISIBLE), None)
    if odd:
        return _Flaw("error", f"contains the invisible character U+{ord(odd):04X}", "type it again; it is not shown")
    lines = len(value.splitlines())
    if lines > 1 and not value.lstrip().startswith(_SEVERAL_LINES):
        return _Flaw("error", f"has {lines} lines", "a secret is one line; for a list, write one reference per item")
    if value != value.strip():
        return _Flaw("warning", "begins or ends with white space", "remove it, unless it is part of the secret")
    if len(value) > 2 and value[0] + value[-1] in _QUOTES:
        return _Flaw("warning", "is enclosed in quotes", "remove them, unless they are part of the secret")
    if _ASSIGNED.match(value):
        return _Flaw("warning", "begins like an assignment (NAME=…)", "write the value only, without its name")
    if value.endswith(("\\n", "\\r")):
        return _Flaw("warning", "ends with a spelt-out line break (\\n or \\r)", "remove it")
    if any(sign.isspace() and not sign.isascii() for sign in value):
        return _Flaw("warning", "contains a no-break space or the like", "type it again; it looks like a space")
    return None


def references(node: Node) -> Iterator[str]:
    """Yield every reference in the values of a tree, as it is written."""
    if isinstance(node, ScalarNode):
        found = _REFERENCE.finditer(node.text) if "${" in node.text else ()
        yield from (one[0] for one in found if not one[0].startswith("$$"))
    else:
        for below in node.nodes if isinstance(node, SequenceNode) else (value for _, value in node.pairs):
            yield from references(below)


def refers(node: Node) -> bool:
    """Tell whether a node's value may come from outside, so that it must not be quoted."""
    return any(True for _ in references(node))
