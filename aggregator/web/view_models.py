"""Hits as a person reads them: one card per story (or entry), grouped by the reader's day."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import groupby

from aggregator.core.model import Told
from aggregator.core.rules import Explained, Explanation
from aggregator.web.highlight import Piece, marked, marked_snippet


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The telling that leads, the rules that matched it, and who else tells the same."""

    lead: Told
    title: tuple[Piece, ...]
    snippet: tuple[Piece, ...]
    rules: tuple[tuple[str, str], ...]
    hits: tuple[Told, ...]
    sources: tuple[str, ...]

    @property
    def at(self) -> datetime:
        return self.lead.hit.created_at

    @property
    def terms(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """For each rule of the lead's entry: the spellings that were found."""
        mine = [told for told in self.hits if told.hit.entry_key == self.lead.hit.entry_key]
        return tuple((t.hit.rule, tuple(dict.fromkeys(s.text for s in t.hit.spans))) for t in mine)


def _card(tellings: Sequence[Told]) -> Card:
    lead = tellings[-1]  # listings are newest first: the last one told it first
    spans = [span for told in tellings if told.hit.entry_key == lead.hit.entry_key for span in told.hit.spans]
    names = (name for told in tellings for name in (told.feed_title, *told.also_in))
    title = marked(lead.entry.title, spans, "title")
    return Card(
        lead=lead,
        title=title,
        snippet=() if lead.hit.snippet == lead.entry.title else marked_snippet(lead.hit.snippet, spans),
        rules=tuple({told.hit.rule: told.rule_title or told.hit.rule for told in tellings}.items()),
        hits=tuple(reversed(tellings)),
        sources=tuple(name for name in dict.fromkeys(names) if name != lead.feed_title),
    )


def cards(tellings: Iterable[Told]) -> tuple[Card, ...]:
    """One card per story, newest story first, in the order in which each was last told."""
    stories: dict[str, list[Told]] = {}
    for told in tellings:
        key = told.hit.story or f"{told.hit.feed}/{told.hit.entry_key}"
        stories.setdefault(key, []).append(told)
    return tuple(_card(group) for group in stories.values())


def by_day(shown: Sequence[Card], zone: tzinfo) -> tuple[tuple[date, tuple[Card, ...]], ...]:
    """The cards in runs of one day of the reader's zone, newest day first."""
    ordered = sorted(shown, key=lambda card: card.at, reverse=True)
    days = groupby(ordered, key=lambda card: card.at.astimezone(zone).date())
    return tuple((day, tuple(run)) for day, run in days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A clause of the rule, `depth` levels in."""

    depth: int
    text: str
    found: bool
    note: str = ""


def lines(explanation: Explanation) -> tuple[Line, ...]:
    """A line for each clause; first what keeps the rule away from the entry, if anything does."""
    barred = [Line(depth=0, text=explanation.barred, found=False)] if explanation.barred else []
    return (*barred, *_below(explanation.tree, 0))


def _below(clause: Explained, depth: int) -> Iterator[Line]:
    found = ", ".join(dict.fromkeys(f"“{span.text}” in {span.field}" for span in clause.spans))
    yield Line(depth=depth, text=clause.text, found=clause.satisfied, note=found or clause.hint)
    for child in clause.children:
        yield from _below(child, depth + 1)
