"""`${ENV}` and `${file:/path}` in values: the only way in for secrets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from aggregator.config.nodes import Scalar
from aggregator.config.offsets import index_of
from aggregator.core.errors import ConfigError, did_you_mean

_REFERENCE = re.compile(r"\$?\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_BYTES = 65_536


@dataclass(slots=True, kw_only=True)
class Expander:
    """Replaces references once (what they give is not looked at again) and remembers the secrets."""

    environ: Mapping[str, str]
    errors: list[ConfigError] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def expand(self, scalar: Scalar) -> str:
        """The text with its references replaced; `$${` stands for `${`."""
        if "${" not in scalar.text:
            return scalar.text
        return _REFERENCE.sub(lambda found: self._replace(scalar, found), scalar.text)

    def _replace(self, scalar: Scalar, found: re.Match[str]) -> str:
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

    def _file(self, scalar: Scalar, found: re.Match[str], name: str) -> str:
        path = scalar.source.path.parent / name
        try:
            with open(path, "rb") as file:
                raw = file.read(_MAX_BYTES + 1)
            text = raw.decode()
        except OSError as broken:
            return self._wrong(scalar, found, f"{name!r} cannot be read: {broken.strerror}")
        except UnicodeDecodeError:
            return self._wrong(scalar, found, f"{name!r} is not text in UTF-8")
        if len(raw) > _MAX_BYTES:
            return self._wrong(scalar, found, f"{name!r} is larger than 64 kB", "a secret is one short line")
        return self._secret(text.rstrip("\r\n"))

    def _secret(self, value: str) -> str:
        if len(value) > 3:  # shorter ones would black out half of every log line
            self.secrets.update((value, unquote(value)))
        return value

    def _wrong(self, scalar: Scalar, found: re.Match[str], message: str, hint: str | None = None) -> str:
        self.errors.append(scalar.source.error(index_of(scalar, found.start()), message, hint))
        return found[0]
