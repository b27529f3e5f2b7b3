"""What the pages and the API need from the rest of the application. The composition root provides it.

Reading goes through `catalog`; everything that touches files, feeds or loops is a method here.
Every method may raise an AggregatorError, whose text is shown to the person.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Literal, Protocol

from aggregator.core.errors import ConfigError
from aggregator.core.model import Finding, HitDetail, LoopStatus, Status
from aggregator.core.results import FeedCandidate, ImportResult, Preview, RulesCheck, RulesFile, SearchResult
from aggregator.core.rules import Explanation
from aggregator.core.settings import Config
from aggregator.ports import Catalog, Clock


class RunningConfig(Protocol):
    """The configuration that runs now, with what the loader warned of."""

    @property
    def config(self) -> Config: ...

    @property
    def warnings(self) -> Sequence[ConfigError]: ...


class Backend(Protocol):
    """Everything behind the pages."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def clock(self) -> Clock: ...

    def current(self) -> RunningConfig:
        """The configuration that runs now; cheap, called on each request."""
        ...

    def loop_statuses(self) -> Sequence[LoopStatus]:
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

    async def reload(self) -> RulesCheck:
        """Read the configuration again and run it if it is sound; the old one keeps running otherwise."""
        ...

    async def rules_files(self) -> tuple[RulesFile, ...]:
        """The files that hold rules, in the order they are loaded."""
        ...

    async def check_rules(self, name: str, text: str) -> RulesCheck:
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

    async def explain(self, detail: HitDetail) -> Explanation | None:
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
    ) -> SearchResult:
        """Stored entries that match a query line, as many as are found in time. Raises InvalidRule."""
        ...

    async def verify_subscription(self, callback: str, query: Mapping[str, str]) -> str | None:
        """The answer to a hub's question at a callback (WebSub, 5.3); None: we did not ask for this."""
        ...

    async def receive_push(
        self, callback: str, content_type: str, signature: str, read: Callable[[], Awaitable[bytes]]
    ) -> Literal["taken", "ignored", "unknown"]:
        """Take in what a hub pushed; `read` gives the body. Raises StoreError."""
        ...

    async def discover(self, url: str) -> tuple[FeedCandidate, ...]:
        """The feeds behind an address. Raises FetchError, ParseError."""
        ...

    async def add_feed(self, url: str, *, title: str = "", tags: Sequence[str] = (), find: bool = False) -> str:
        """Write a feed into the configuration and reload; gives its id. `find`: the best feed behind the address.

        Raises ConfigErrors, Conflict, and Forbidden where it may not be read; with `find` NotFound and FetchError.
        """
        ...

    async def import_opml(self, document: bytes) -> ImportResult:
        """Add the feeds of an OPML document. Raises ParseError."""
        ...

    async def export_opml(self) -> str:
        """The configured feeds as an OPML document."""
        ...
