"""View models of hits: one card per story (or entry), grouped by the reader's day."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import groupby

from aggregator.core.highlight import Run, field_runs, snippet_runs
from aggregator.core.model import STORY_HITS, By, HitDelivery, HitDetail
from aggregator.core.rules import ExplainedClause, Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryCard:
    """A story's leading hit, the rules that matched, and the other sources that carry it."""

    lead: HitDetail
    title: tuple[Run, ...]
    snippet: tuple[Run, ...]
    rules: tuple[tuple[str, str], ...]
    hits: tuple[HitDetail, ...]
    sources: tuple[str, ...]
    by: By = "published"

    @property
    def at(self) -> datetime:
        """The time that the listing goes by."""
        return self.lead.place(self.by)[0]

    @property
    def mark(self) -> str | None:
        """The mark of all its hits; None where they differ or have none."""
        marks = {detail.hit.mark for detail in self.hits}
        return marks.pop() if len(marks) == 1 else None

    @property
    def deliveries(self) -> tuple[HitDelivery, ...]:
        """The alerts that report any of its hits, each once."""
        return tuple({one.id: one for detail in self.hits for one in detail.deliveries}.values())

    @property
    def is_cut(self) -> bool:
        """Tell whether a listing may have left out hits of this card."""
        return len(self.hits) >= STORY_HITS

    def is_newer(self, than: datetime) -> bool:
        """Tell whether it was found since an instant."""
        return self.lead.recorded_at > than

    @property
    def terms(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return, for each rule of the leading entry, the spellings that were found."""
        details = [detail for detail in self.hits if detail.hit.entry_key == self.lead.hit.entry_key]
        return tuple((t.hit.rule, tuple(dict.fromkeys(s.text for s in t.hit.spans))) for t in details)


def _card(details: Sequence[HitDetail], by: By) -> StoryCard:
    lead = details[-1]  # listings are newest first, so the last one is the first publication
    spans = [span for detail in details if detail.hit.entry_key == lead.hit.entry_key for span in detail.hit.spans]
    names = (name for detail in details for name in (detail.feed_title, *detail.also_in))
    title = field_runs(lead.entry.title, spans, "title")
    return StoryCard(
        lead=lead,
        title=title,
        snippet=() if lead.hit.snippet == lead.entry.title else snippet_runs(lead.hit.snippet, spans),
        rules=tuple({detail.hit.rule: detail.rule_title or detail.hit.rule for detail in details}.items()),
        hits=tuple(reversed(details)),
        sources=tuple(name for name in dict.fromkeys(names) if name != lead.feed_title),
        by=by,
    )


def story_cards(details: Iterable[HitDetail], by: By = "published") -> tuple[StoryCard, ...]:
    """Return one card per story, newest story first, in the order of each story's latest hit."""
    stories: dict[str, list[HitDetail]] = {}
    for detail in details:
        key = detail.hit.story or f"{detail.hit.feed}/{detail.hit.entry_key}"
        stories.setdefault(key, []).append(detail)
    return tuple(_card(group, by) for group in stories.values())


def by_day(shown: Sequence[StoryCard], zone: tzinfo) -> tuple[tuple[date, tuple[StoryCard, ...]], ...]:
    """Group the cards by day in the reader's zone, newest day first."""
    ordered = sorted(shown, key=lambda card: card.at, reverse=True)
    days = groupby(ordered, key=lambda card: card.at.astimezone(zone).date())
    return tuple((day, tuple(run)) for day, run in days)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationLine:
    """A clause of the rule, `depth` levels in."""

    depth: int
    text: str
    found: bool
    note: str = ""


def explanation_lines(explanation: Explanation) -> tuple[ExplanationLine, ...]:
    """Return a line for each clause; first the filter that excludes the entry, if any does."""
    barred = [ExplanationLine(depth=0, text=explanation.excluded_by, found=False)] if explanation.excluded_by else []
    return (*barred, *_below(explanation.tree, 0))


def _below(clause: ExplainedClause, depth: int) -> Iterator[ExplanationLine]:
    found = ", ".join(dict.fromkeys(f"“{span.text}” in {span.field}" for span in clause.spans))
    yield ExplanationLine(depth=depth, text=clause.text, found=clause.satisfied, note=found or clause.hint)
    for child in clause.children:
        yield from _below(child, depth + 1)
