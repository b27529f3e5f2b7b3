"""The first poll of feeds in one sentence: what was there, and why nobody was alerted."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # which is not loaded for it
    from aggregator.pipeline.polled import PolledFeed


@dataclass(slots=True, kw_only=True)
class FirstLook:
    """Counts of first polls: feeds, those that failed, entries, those with hits, and hits by their outcome in words."""

    feeds: int = 0
    failed: int = 0
    entries: int = 0
    matched: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, polled: "PolledFeed") -> None:
        """Count the first poll of one feed."""
        self.feeds += 1
        self.failed += polled.error is not None
        self.entries += len(polled.entries)
        self.matched += polled.matched
        self.outcomes.update(polled.outcomes)

    @property
    def held(self) -> int:
        """Hits that were not alerted because they were already there."""
        from aggregator.core.titles import BASELINE  # which loads all models: a pass with nothing to do needs none

        return self.outcomes[BASELINE]

    def sentence(self, page: str | None, *, rules: int) -> str:
        """Say what the first look found; `page`: address of the first page, `rules`: how many are active."""
        if not self.feeds:
            guide = f"Add one at {page}start, or with" if page else "Add one with"
            return f"No feeds yet. {guide} `aggregator feeds add URL`."
        feeds = "1 feed" if self.feeds == 1 else f"{self.feeds:,} feeds"
        reason = "`aggregator status` says why"
        if self.failed == self.feeds:
            none = "it could not be read" if self.feeds == 1 else "none could be read"
            return f"First look at {feeds}: {none}; {reason}"
        entries = "1 entry" if self.entries == 1 else f"{self.entries:,} entries"
        said = f"First look at {feeds}: {entries}, {self._matched(page, rules)}"
        return f"{said} · {self.failed:,} could not be read: {reason}" if self.failed else said

    def _matched(self, page: str | None, rules: int) -> str:
        matched, hits = self.matched, self.outcomes.total()
        if not rules:
            where = f" or at {page}start" if page else ""
            return f"and no rule to match them. Write one in rules.yaml{where}, or try `aggregator search`."
        if not matched:
            return "none matched your rules. New entries that do are alerted as they come."
        see = page or "`aggregator hits list`"
        if not self.held:
            return f"{matched:,} matched your rules. See them: {see}"
        one = (matched if self.held == hits else self.held) == 1
        why = f"{'was' if one else 'were'} not alerted because {'it was' if one else 'they were'} already there"
        whose = "them" if hits == matched else f"their {hits:,} hits"  # one entry may be a hit of several rules
        which = "and" if self.held == hits else f"and {self.held:,} of {whose}"
        digest = "have them as one digest: `aggregator hits send --baseline`"
        return f"{matched:,} matched your rules {which} {why}. See them: {see} · {digest}"
