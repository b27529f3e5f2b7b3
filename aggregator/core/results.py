"""What searches, previews and imports return, to commands and pages alike."""

from dataclasses import dataclass, field
from datetime import datetime

from aggregator.core.errors import ConfigError
from aggregator.core.model import Entry, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFile:
    """One YAML file that holds rules: `name` as shown and sent back, `digest` of its bytes."""

    name: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesCheck:
    """What the loader says of an edited file: problems by line, and the ids of its rules.

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
class SearchResult:
    """What a search found, newest first.

    `more` is the `before` that continues it; None: everything was looked at. `searched_back_to` is set where
    time ran out before enough was found: what was stored earlier has not been looked at.
    """

    found: tuple[EntryMatch, ...] = ()
    more: int | None = None
    searched_back_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """What an edit does to one rule over stored entries; the samples are at most a handful each."""

    rule: str
    before: int
    after: int
    added: int
    removed: int
    added_samples: tuple[EntryMatch, ...] = ()
    removed_samples: tuple[EntryMatch, ...] = ()


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
    """A feed behind an address, looked at but not yet added; `rhythm_s` is its usual gap between entries."""

    url: str
    title: str = ""
    entries: int = 0
    newest_at: datetime | None = None
    titles: tuple[str, ...] = ()
    existing_id: str | None = None
    rhythm_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """The outcome of an OPML import: feed ids added; addresses watched already, and named twice; problems in words."""

    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())
