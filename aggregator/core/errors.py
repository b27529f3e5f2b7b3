"""Every error that the application raises on purpose.

AggregatorError
├── ConfigErrors            everything that is wrong with the configuration, at once
│     └ .errors: ConfigError(file, line, column, message, hint)
├── InvalidRule             what is wrong with one rule: Problems, positions relative to the rule
├── FetchError(url, transient, retry_after_s, hops)
│   ├── Unreachable         DNS, refused, TLS, time-out, cut connection
│   ├── BadStatus(status)   the server answered, but not with a document
│   ├── TooLarge            a cap was passed (size, ratio, headers)
│   └── Forbidden           an address or scheme that we do not visit
├── ParseError              bytes that are not a feed, or that are hostile
├── DeliveryError(channel, transient, retry_after_s, unknown)
├── StoreError
│   ├── SchemaOutOfDate     the database is newer or older than the program
│   ├── DatabaseFault(kind)  the database as a whole cannot be used: full, read-only, damaged, unreachable …
│   └── Conflict            somebody else holds the lease
├── Busy(retry_after_s)     too much of one kind of work is going on
└── NotFound(kind, name, known)

Adapters translate a library's exceptions into these and keep the cause (`raise … from`).
An error's text is one sentence for a person: the thing, the place, the remedy. Never a secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal


class AggregatorError(Exception):
    """Root of the tree; `str(error)` is fit to be shown to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong inside a configuration value, before its place in a file is known.

    `path` leads to the value from the item that was checked (`("any", 0)`); `offset` counts
    code points inside a scalar, for the column; a warning does not stop the load.
    """

    path: tuple[str | int, ...]
    message: str
    hint: str | None = None
    offset: int | None = None
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigError:
    """One problem with its place; lines and columns count from 1.

    `excerpt` is the line as it is written, to point into; only of rules, where no secret stands.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"
    excerpt: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}{hint}"


class ConfigErrors(AggregatorError):
    """The configuration cannot be used; carries every problem found."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


class InvalidRule(AggregatorError):
    """One rule cannot be compiled; the loader gives its problems their places."""

    def __init__(self, rule: str, problems: Sequence[Problem]) -> None:
        super().__init__(f"rule {rule}: " + "; ".join(p.message for p in problems))
        self.rule = rule
        self.problems = tuple(problems)


class FetchError(AggregatorError):
    """A fetch that gave no document.

    `transient` is False where coming back soon is pointless (404, 410, forbidden address);
    `retry_after_s` is the server's own wish in seconds, if it named one;
    `hops` are the (status, url) pairs that were passed on the way.
    """

    def __init__(
        self,
        message: str,
        *,
        url: str,
        transient: bool = True,
        retry_after_s: float | None = None,
        hops: tuple[tuple[int, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.url = url
        self.transient = transient
        self.retry_after_s = retry_after_s
        self.hops = hops


class Unreachable(FetchError):
    """No complete answer: DNS, refused, TLS, deadline, cut or lying body."""

    def __init__(self, message: str, *, connected: bool = False, url: str, **rest: object) -> None:
        super().__init__(message, url=url, **rest)  # type: ignore[arg-type]
        self.connected = connected


class BadStatus(FetchError):
    """An answer with a status that carries no document.

    `found` says what stood in its place where the headers tell: "challenge" or "login page".
    """

    def __init__(self, message: str, *, status: int, found: str = "", url: str, **rest: object) -> None:
        super().__init__(message, url=url, **rest)  # type: ignore[arg-type]
        self.status = status
        self.found = found


class TooLarge(FetchError):
    """A cap on size, ratio or headers was passed."""


class Forbidden(FetchError):
    """An address, port or scheme that this service does not visit."""


class ParseError(AggregatorError):
    """The document is not a feed or may not be parsed; `found` says what it is instead.

    `found` is one of "html", "login page", "challenge", "empty", "json", "binary", "hostile",
    "broken"; `transient` is False where the same bytes will fail again.
    """

    def __init__(self, message: str, *, found: str = "broken", transient: bool = True) -> None:
        super().__init__(message)
        self.found = found
        self.transient = transient


class DeliveryError(AggregatorError):
    """A channel did not accept an alert.

    `unknown` means that the request was written and no answer came: it may have arrived.
    """

    def __init__(
        self,
        message: str,
        *,
        channel: str,
        transient: bool = True,
        retry_after_s: float | None = None,
        unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.channel = channel
        self.transient = transient
        self.retry_after_s = retry_after_s
        self.unknown = unknown


class StoreError(AggregatorError):
    """The database cannot do what was asked; nothing was half written."""


class SchemaOutOfDate(StoreError):
    """The database's schema is not the one this program knows."""


FaultKind = Literal["full", "read-only", "io", "damaged", "locked", "unreachable", "gone"]


class DatabaseFault(StoreError):
    """Raised when nobody can read or write the database; the message ends with the remedy.

    A restart does not help; the caller keeps what it wanted to write and tries again.
    """

    def __init__(self, message: str, *, kind: FaultKind) -> None:
        super().__init__(message)
        self.kind = kind


class Conflict(StoreError):
    """Somebody else holds the lease, or changed the row first."""


class NotHere(AggregatorError):
    """Another process may do it; this one lacks something, for example a secret."""


class Busy(AggregatorError):
    """The limit of concurrent work of this kind is reached; try again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotFound(AggregatorError):
    """A name that does not exist; the message suggests the nearest that does."""

    def __init__(self, kind: str, name: str, known: Sequence[str] = (), *, why: str = "") -> None:
        named = "at" if "://" in name else "named"
        super().__init__(f"no {kind} {named} {name!r}{did_you_mean(name, known)}{f': {why}' if why else ''}")
        self.kind = kind
        self.name = name


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ` (did you mean 'x'?)` for the nearest known name, else an empty string."""
    near = [one for one in known if one.casefold() == name.casefold()] or get_close_matches(name, known, 1, 0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def brief(text: str, width: int = 80) -> str:
    """Shorten an error's text, which may quote a server's whole page, to one line; `show` commands print all of it."""
    line = " ".join(text.partition("<")[0].split()).rstrip(":") or " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1].rstrip()}…"
