"""What the pages and the API need from the rest of the house. The composition root provides it.

Reading goes through `catalog`; everything that touches files, feeds or loops is a method here.
Every method may raise an AggregatorError, whose text is shown to the person.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Literal, Protocol

from aggregator.core.errors import ConfigError
from aggregator.core.model import Beat, Entry, Finding, Span, Status, Told
from aggregator.core.rules import Explanation
from aggregator.core.settings import Config
from aggregator.ports import Catalog, Clock


class Current(Protocol):
    """The configuration that runs now, with what the loader warned of."""

    @property
    def config(self) -> Config: ...

    @property
    def warnings(self) -> Sequence[ConfigError]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFile:
    """One YAML file that holds rules: `name` as shown and sent back, `digest` of its bytes."""

    name: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the loader says of an edited file: problems by line, and the ids of its rules.

    `problems` holds errors and warnings; the file can be saved where none is an error.
    """

    problems: tuple[ConfigError, ...] = ()
    rules: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A stored entry that a query matches, with its evidence."""

    entry: Entry
    feed_title: str
    spans: tuple[Span, ...] = ()
    snippet: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a search found, newest first.

    `more` is the `before` that continues it; None: everything was looked at. `looked_to` is set where
    time ran out before enough was found: what was stored earlier has not been looked at.
    """

    found: tuple[Found, ...] = ()
    more: int | None = None
    looked_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an edit does to one rule over stored entries; the samples are at most a handful each."""

    rule: str
    before: int
    after: int
    added: int
    removed: int
    added_samples: tuple[Found, ...] = ()
    removed_samples: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The effect of an edited file: the rules that change, over `entries` entries since `since`.

    `complete` is False where time ran out before all of them were read.
    """

    since: datetime
    entries: int
    changes: tuple[Change, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A feed behind an address, looked at but not yet added; `rhythm_s` is its usual gap between entries."""

    url: str
    title: str = ""
    entries: int = 0
    newest_at: datetime | None = None
    titles: tuple[str, ...] = ()
    known_as: str | None = None
    rhythm_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The outcome of an OPML import: feed ids added; addresses watched already, and named twice; problems in words."""

    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())


class Desk(Protocol):
    """Everything behind the pages."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def clock(self) -> Clock: ...

    def current(self) -> Current:
        """The configuration that runs now; cheap, called on each request."""
        ...

    def beats(self) -> Sequence[Beat]:
        """The loops' signs of life; cheap, asked every few seconds."""
        ...

    async def findings(self) -> tuple[Finding, ...]:
        """What is wrong right now; cheap, unlike `status`."""
        ...

    async def status(self) -> Status:
        """Loops, lag, outbox, disk, versions."""
        ...

    def metrics(self) -> tuple[bytes, str]:
        """The Prometheus page and its content type."""
        ...

    async def reload(self) -> Verdict:
        """Read the configuration again and run it if it is sound; the old one keeps running otherwise."""
        ...

    async def rules_files(self) -> tuple[RulesFile, ...]:
        """The files that hold rules, in the order they are loaded."""
        ...

    async def check_rules(self, name: str, text: str) -> Verdict:
        """What the loader would say of the whole configuration with `text` in place of that file.

        Raises Conflict where more than rules and lists differs from the file, Busy, NotFound.
        """
        ...

    async def save_rules(self, name: str, text: str, expected_digest: str) -> RulesFile:
        """Write the file atomically and reload.

        Raises Conflict where the file on disk is no longer the expected one or more than rules and
        lists differs, ConfigErrors where the text is not sound (nothing is written), NotFound for an
        unknown file, Busy.
        """
        ...

    async def preview(self, name: str, text: str, since: datetime) -> Preview:
        """What the edit adds and removes over stored entries. Raises as check_rules does, and ConfigErrors."""
        ...

    async def explain(self, told: Told) -> Explanation | None:
        """Why the rule of a hit matches its entry, clause by clause; None where the rule is gone."""
        ...

    async def search(
        self,
        query: str,
        *,
        since: datetime | None = None,
        limit: int = 50,
        before: int | None = None,
        within_s: float = inf,
    ) -> Answer:
        """Stored entries that match a query line, as many as are found in time. Raises InvalidRule."""
        ...

    async def hub_asks(self, callback: str, query: Mapping[str, str]) -> str | None:
        """The answer to a hub's question at a callback (WebSub, 5.3); None: we did not ask for this."""
        ...

    async def hub_pushes(
        self, callback: str, content_type: str, signature: str, read: Callable[[], Awaitable[bytes]]
    ) -> Literal["taken", "ignored", "unknown"]:
        """Take in what a hub pushed; `read` gives the body. Raises StoreError."""
        ...

    async def discover(self, url: str) -> tuple[Candidate, ...]:
        """The feeds behind an address. Raises FetchError, ParseError."""
        ...

    async def add_feed(self, url: str, *, title: str = "", tags: Sequence[str] = (), find: bool = False) -> str:
        """Write a feed into the configuration and reload; gives its id. `find`: the best feed behind the address.

        Raises ConfigErrors, Conflict, and Forbidden where it may not be read; with `find` NotFound and FetchError.
        """
        ...

    async def import_opml(self, document: bytes) -> Imported:
        """Add the feeds of an OPML document. Raises ParseError."""
        ...

    async def export_opml(self) -> str:
        """The configured feeds as an OPML document."""
        ...
