"""The port of pages and API to the rest of the application, which app/ implements.

Reading goes through `catalog`; everything that touches files, feeds or loops is a method here.
Every method may raise an AggregatorError, whose text is shown to the person.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any, Literal, Protocol

from aggregator.core.errors import ConfigError
from aggregator.core.model import ChannelTest, Finding, HitDetail, LoopStatus, SearchOrder, Status, Undo
from aggregator.core.results import (
    BaselineSent,
    Discovery,
    EditedRules,
    Exclusion,
    FeedAdded,
    ImportResult,
    PollOutcome,
    Preview,
    RuleEdit,
    RuleItem,
    RulesCheck,
    RulesFile,
    SearchResult,
    StoryChange,
)
from aggregator.core.rules import Explanation, Rule
from aggregator.core.settings import Config
from aggregator.ports import Catalog, Clock


class RunningConfig(Protocol):
    """The running configuration, with the loader's warnings."""

    @property
    def config(self) -> Config: ...

    @property
    def rules(self) -> Sequence[Rule]:
        """Return the compiled rules, disabled ones too."""
        ...

    @property
    def places(self) -> Mapping[tuple[str, str], tuple[str, int, int]]:
        """Return file, line and column of what is written, by kind and id."""
        ...

    @property
    def warnings(self) -> Sequence[ConfigError]: ...


class Backend(Protocol):
    """The application behind the pages."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def clock(self) -> Clock: ...

    def current(self) -> RunningConfig:
        """Return the running configuration; cheap, called on each request."""
        ...

    def loop_statuses(self) -> Sequence[LoopStatus]:
        """Return the states of the loops; cheap, asked every few seconds."""
        ...

    def config_errors(self) -> tuple[str, ...]:
        """Return what is wrong with the configuration on disk, in whose place an older one runs; empty: nothing."""
        ...

    async def findings(self) -> tuple[Finding, ...]:
        """Return the current findings; cheap, unlike `status`."""
        ...

    async def status(self) -> Status:
        """Return loops, lag, outbox, disk and versions."""
        ...

    def metrics(self) -> tuple[bytes, str]:
        """Return the Prometheus page and its content type."""
        ...

    async def reload(self) -> RulesCheck:
        """Read the configuration again and run it if it is valid; otherwise the old one keeps running."""
        ...

    async def rules_files(self) -> tuple[RulesFile, ...]:
        """Return the files that hold rules, in the order they are loaded."""
        ...

    def file_for(self, name: str) -> str:
        """Return where a part of the configuration (`channels.yaml`) belongs: in its folder, else in its one file."""
        ...

    async def check_rules(self, name: str, text: str) -> RulesCheck:
        """Check the whole configuration with `text` in place of that file.

        Raises Conflict if more than rules and lists differs from the file, Busy, NotFound.
        """
        ...

    async def rule_item(self, rule_id: str) -> RuleItem:
        """Return a rule as it is written, with its form. Raises NotFound."""
        ...

    def fill_rule(self, item: str, form: Mapping[str, str]) -> RuleItem:
        """Write into a rule's YAML what its form says: only lines of keys that differ change. Raises ConfigErrors."""
        ...

    async def edit_rule(self, edit: RuleEdit) -> EditedRules:
        """Return the file with one rule changed; nothing is written. Raises NotFound, Conflict, ConfigErrors."""
        ...

    async def undo(self, undo_id: str) -> Undo:
        """Take back any change, an edit too, by the id that it was answered with. Raises NotFound, Conflict.

        Of an edit it also raises what `undo_edit` does.
        """
        ...

    async def undo_edit(self, edit_id: int) -> RulesFile:
        """Take an edit of rules back, which is an edit too. Raises NotFound, Conflict, ConfigErrors, Busy."""
        ...

    async def save_rules(self, name: str, text: str, expected_digest: str, *, about: str = "") -> RulesFile:
        """Write the file atomically, reload, and keep the edit so that it can be undone.

        An edit whose lines hold a secret is written, but not kept.

        Raises Conflict if the file on disk is no longer the expected one or more than rules and lists
        differs, ConfigErrors if the text is not valid (nothing is written), NotFound for an unknown
        file, Busy.
        """
        ...

    async def preview(self, name: str, text: str, since: datetime, until: datetime | None = None) -> Preview:
        """Return what the edit adds and removes over stored entries. Raises as check_rules does, and ConfigErrors."""
        ...

    async def matches(self, since: datetime) -> Preview:
        """Return what the running rules match in stored entries, as far as there is time. Raises Busy."""
        ...

    async def proposals(self, rule_id: str) -> tuple[Exclusion, ...]:
        """Return what a rule might exclude by the marks of its hits; nothing before ten of each kind.

        Raises NotFound.
        """
        ...

    async def explain(self, detail: HitDetail) -> Explanation | None:
        """Explain why the rule of a hit matches its entry, clause by clause; None if the rule was removed."""
        ...

    async def search(
        self,
        query: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by: SearchOrder = "published",
        limit: int = 50,
        before: int | None = None,
        within_s: float = inf,
        feed: str = "",
        lang: str = "",
    ) -> SearchResult:
        """Return stored entries (of a feed, in a language) that match a query line, as many as are found in time.

        Raises InvalidRule.
        """
        ...

    async def send_baseline(
        self, rule: str | None = None, *, wait_s: float = 0.0, undo: Undo | None = None
    ) -> BaselineSent:
        """Queue one digest of the hits that were there at first polls (of one rule), to leave after `wait_s`.

        Until it leaves, `undo` takes it back. Raises NotFound, Conflict.
        """
        ...

    async def test_channel(self, name: str) -> ChannelTest:
        """Send a test alert and return what each recipient answers. Raises NotFound."""
        ...

    async def verify_subscription(self, callback: str, query: Mapping[str, str]) -> str | None:
        """Answer a hub's question at a callback (WebSub, 5.3); None: we did not ask for this."""
        ...

    async def receive_push(
        self,
        callback: str,
        content_type: str,
        signature: str,
        read: Callable[[], Awaitable[bytes]],
        size_bytes: int | None = None,
    ) -> Literal["taken", "ignored", "unknown"]:
        """Accept a hub's push; `read` returns the body, of `size_bytes` as it says. Raises StoreError, Busy."""
        ...

    async def split_hit(self, hit_id: str, *, wait_s: float = 0.0, undo: Undo | None = None) -> StoryChange:
        """Take a hit's entry, with its copies, out of its story; it is alerted after `wait_s` if it was folded.

        Raises NotFound; Conflict if it is the whole of its story or has none.
        """
        ...

    async def join_stories(self, story_id: str, other_id: str, *, undo: Undo | None = None) -> StoryChange:
        """Put everything of another story into one. Raises NotFound; Conflict if they are one already."""
        ...

    async def discover(self, url: str, keys: Mapping[str, Any] | None = None) -> Discovery:
        """Find what can be watched at an address: feeds, else sitemaps, else a list; `keys` of a feed: only this.

        Raises FetchError, ParseError.
        """
        ...

    async def add_feed(
        self,
        url: str,
        *,
        title: str = "",
        tags: Sequence[str] = (),
        feed_id: str = "",
        find: bool = False,
        keys: Mapping[str, Any] | None = None,
    ) -> FeedAdded:
        """Write a source into the configuration and reload. `find`: the best one behind the address.

        `keys` are further keys of a feed.

        Raises ConfigErrors, Conflict, and Forbidden if it may not be read; with `find` NotFound and FetchError.
        """
        ...

    async def change_feeds(self, changes: Mapping[str, Mapping[str, object] | None], *, about: str) -> int | None:
        """Write keys of feeds into the configuration and reload; None as a value removes a key, None a whole feed.

        Return the number of the edit, by which it can be undone; None if it can't. Raises NotFound, ConfigErrors, Busy.
        """
        ...

    async def poll_now(self, feed_id: str) -> PollOutcome | None:
        """Poll a feed and wait for what comes of it; None if that takes too long. Raises NotFound, Conflict."""
        ...

    async def import_opml(self, document: bytes) -> ImportResult:
        """Add the feeds of an OPML document. Raises ParseError."""
        ...

    async def export_opml(self) -> str:
        """Return the configured feeds as an OPML document."""
        ...
