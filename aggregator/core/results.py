"""Results of searches, previews, backtests and imports, shared by commands and pages."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from aggregator.core.errors import ConfigError
from aggregator.core.model import Delivery, Entry, Span

SAMPLES = 5  # of each kind that a backtest keeps
# The keys of a rule that its form has: texts, and lists with a term per line.
FORM_TEXTS = ("id", "title", "query", "priority", "deliver")
FORM_LISTS = ("any", "all", "none", "notify")


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFile:
    """A YAML file with rules: `name` as shown and sent back, `digest` of its bytes.

    `edit` is the number of the edit that was just saved; None if nothing changed, or if it cannot be undone.
    """

    name: str
    text: str
    digest: str
    edit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleItem:
    """One rule as an editor shows it: its YAML without the dash, and what its form shows of it.

    `rule` is empty for one that is not in a file yet; `name` is that of its file.
    """

    rule: str
    name: str
    item: str
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEdit:
    """A change of one rule. `put` replaces `rule` by `item` if it is still `base`; `new` adds `item`.

    `move` changes places with the rule `by` places further down (-1: up).
    """

    kind: Literal["put", "new", "copy", "remove", "move", "pause", "resume"]
    rule: str = ""
    item: str = ""
    base: str | None = None
    by: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedRules:
    """A file with one rule changed, not written yet; `digest` is that of the file it was made from.

    `rule` is the id of the rule afterwards, `line` the line that it begins on (0: it is gone).
    """

    name: str
    text: str
    digest: str
    rule: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesCheck:
    """The loader's verdict on an edited file: problems by line, and the ids of its rules.

    `problems` holds errors and warnings; the file can be saved where none is an error.
    """

    problems: tuple[ConfigError, ...] = ()
    rules: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryMatch:
    """A stored entry that a query matches, with its evidence."""

    entry: Entry
    feed_title: str
    spans: tuple[Span, ...] = ()
    snippet: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSent:
    """The digest of hits that were there at first polls: how many, the rows that were queued.

    `unsent`: hits of rules that are gone, or that notify no channel.
    """

    hits: int
    deliveries: tuple[Delivery, ...] = ()
    unsent: int = 0

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(delivery.channel for delivery in self.deliveries))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Search results, in the order that was asked for.

    `more` is the `before` that continues the search; None: everything was searched. `searched_back_to` is
    set if time ran out before enough was found: entries published (or recorded) earlier have not been searched.
    """

    found: tuple[EntryMatch, ...] = ()
    more: int | None = None
    searched_back_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """The effect of an edit on one rule over stored entries; samples are at most a handful each."""

    rule: str
    before: int
    after: int
    added: int
    removed: int
    added_samples: tuple[EntryMatch, ...] = ()
    removed_samples: tuple[EntryMatch, ...] = ()


@dataclass(slots=True)
class RuleTally:
    """The matches of one rule in stored entries, in its old and its new form."""

    before: int = 0
    after: int = 0
    added: list[EntryMatch] = field(default_factory=list)
    removed: list[EntryMatch] = field(default_factory=list)
    added_count: int = 0
    removed_count: int = 0
    days: Counter[str] = field(default_factory=Counter)
    feeds: Counter[str] = field(default_factory=Counter)
    samples: list[EntryMatch] = field(default_factory=list)

    def count(self, old: EntryMatch | None, new: EntryMatch | None) -> None:
        """Take in what the two forms found in one entry."""
        self.before += old is not None
        self.after += new is not None
        if new is not None:
            self.days[f"{new.entry.dated_at:%Y-%m-%d}"] += 1
            self.feeds[new.entry.feed] += 1
            self.samples = [*self.samples, new][-SAMPLES:]
        if new is not None and old is None:
            self.added_count += 1
            self.added = [*self.added, new][-SAMPLES:]
        if old is not None and new is None:
            self.removed_count += 1
            self.removed = [*self.removed, old][-SAMPLES:]

    def change(self, rule: str) -> RuleChange:
        """Return the change as the pages show it."""
        return RuleChange(
            rule=rule,
            before=self.before,
            after=self.after,
            added=self.added_count,
            removed=self.removed_count,
            added_samples=tuple(self.added),
            removed_samples=tuple(self.removed),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """Old rules against new ones over stored entries; `complete` is False where time ran out."""

    entries: int
    tallies: dict[str, RuleTally]
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The effect of an edited file: the rules that change, over `entries` entries since `since`.

    `complete` is False where time ran out before all of them were read.
    """

    since: datetime
    entries: int
    changes: tuple[RuleChange, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedCandidate:
    """A source behind an address, read but not yet added; `rhythm_s` is its usual gap between entries.

    `kind` and `select` are those that it would be read with; `titles` are of its latest entries.
    """

    url: str
    title: str = ""
    kind: str = "feed"
    select: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    newest_at: datetime | None = None
    titles: tuple[str, ...] = ()
    existing_id: str | None = None
    rhythm_s: float | None = None

    @property
    def keys(self) -> dict[str, object]:
        """Return the keys by which its configuration differs from that of a feed."""
        found: dict[str, object] = {"kind": self.kind, "select": self.select}
        return {key: value for key, value in found.items() if value and value != "feed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What can be watched at an address, best first; `nothing`: why its page gives nothing."""

    candidates: tuple[FeedCandidate, ...] = ()
    nothing: str = ""


@dataclass(frozen=True, slots=True)
class FeedAdded:
    """A feed that was written into the configuration: its id, and the edit by which that can be undone."""

    id: str
    edit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """The outcome of an OPML import: ids added; addresses already watched or listed twice; problems in words.

    `edit` is the number of the edit by which it can be undone.
    """

    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())
    edit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryChange:
    """What became of two stories that a person split or joined: `hits` that moved, alerts that were `queued`."""

    story: str
    other: str
    hits: int
    queued: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PollOutcome:
    """What a poll that a person asked for found: `new` entries and their `hits`, or the error in words."""

    feed: str
    new: int = 0
    hits: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A term that a rule might exclude, learnt from marks, and what that would have removed: hits by their marks.

    `relevant_of` and `irrelevant_of` are all that are marked so; `titles` are of some of the hits. `query` excludes
    the term only where it stands close to what the rule looks for.
    """

    term: str
    irrelevant: int
    irrelevant_of: int
    relevant: int
    relevant_of: int
    unmarked: int
    titles: tuple[str, ...]
    query: str

    @property
    def removed(self) -> int:
        return self.irrelevant + self.relevant + self.unmarked
