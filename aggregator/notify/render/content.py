"""The content of an alert: everything that any format shows, cleaned, in reading order.

A format only decides how an alert looks; what is in it, and what is too much, is decided here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from aggregator.core.model import Alert, AlertKind, Entry, HitDetail, Span
from aggregator.notify.render.sanitize import TextRun, TextRuns, clean, cut, host_of, mark_spans, shorten, web_address

TITLE, SENTENCE, NAME = 300, 400, 80
MAX_STORIES = 300  # in one digest; what it holds beyond is counted
ALSO_NAMED = 3
LABELS = {
    AlertKind.DIGEST: "digest",
    AlertKind.HEALTH: "health",
    AlertKind.HEARTBEAT: "alive",
    AlertKind.DEAD_LETTER: "not delivered",
    AlertKind.TEST: "test",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryItem:
    """One story of an alert. `others` counts further entries of the same story, `hits` all of its hits."""

    title: TextRuns
    sentence: TextRuns
    feed: str
    when: str
    link: str | None
    host: str
    also: str
    rules: tuple[str, ...]
    others: int = 0
    hits: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleGroup:
    """The stories of one rule."""

    rule: str
    hits: int
    pieces: tuple[StoryItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertContent:
    """The content that a format renders. `sources` are feeds with their hits, the busiest first.

    `hits`, `stories` and `feeds` count everything, also what is not shown.
    """

    subject: str
    label: str = "alert"
    groups: tuple[RuleGroup, ...] = ()
    body: str = ""
    why: str = ""
    more: int = 0
    hits: int = 0
    stories: int = 0
    feeds: int = 0
    sources: tuple[tuple[str, int], ...] = ()
    short_id: str = ""
    repeat: bool = False
    high: bool = False
    is_digest: bool = False
    page: str | None = None
    act: str | None = None
    zone: str = "UTC"

    @property
    def pieces(self) -> tuple[StoryItem, ...]:
        """List the stories of all groups."""
        return tuple(piece for group in self.groups for piece in group.pieces)


def build_content(alert: Alert) -> AlertContent:
    """Build the content of an alert."""
    groups = _groups(alert)
    shown = sum(piece.hits for group in groups for piece in group.pieces)
    detail = {t.hit.id: t for t in alert.hits}
    sources = Counter(clean(t.feed_title) or t.hit.feed for t in detail.values())
    notice = alert.notice
    return AlertContent(
        subject=_subject(alert),
        label="urgent" if alert.priority == "high" else LABELS.get(alert.kind, "alert"),
        groups=groups,
        body=_lines(notice.body) if notice else "",
        why=clean(alert.why),
        more=alert.more + max(0, sum(group.hits for group in groups) - shown),
        hits=len(detail) + alert.more,
        stories=len({_story(detail) for detail in alert.hits}),
        feeds=len(sources),
        sources=tuple(sources.most_common(8)),
        short_id=alert.id[:8],
        repeat=alert.repeat,
        high=alert.priority == "high",
        is_digest=alert.kind is AlertKind.DIGEST or sum(len(group.pieces) for group in groups) > 1,
        page=web_address(alert.page) or (web_address(notice.link) if notice else None),
        act=web_address(alert.act),
        zone=alert.time_zone,
    )


def _subject(alert: Alert) -> str:
    if alert.notice and not alert.hits:
        return cut(clean(alert.notice.title or alert.title), TITLE)
    if alert.kind is AlertKind.DIGEST:
        said = clean(alert.title)  # which may begin with the rule already
        named = dict.fromkeys(map(_rule_name, alert.hits))
        rules = [rule for rule in named if not said.startswith(f"{rule}: ")]
        return cut(f"{said}: {', '.join(rules)}" if rules else said, TITLE)
    return cut(clean(alert.title), TITLE)


def _story(detail: HitDetail) -> str:
    return detail.hit.story or f"{detail.hit.feed}/{detail.hit.entry_key}"


def _rule_name(detail: HitDetail) -> str:
    return clean(detail.rule_title) or detail.hit.rule


def _groups(alert: Alert) -> tuple[RuleGroup, ...]:
    """Group stories under the busiest of the rules that found them, the busiest rule first."""
    stories: dict[str, list[HitDetail]] = {}
    for detail in alert.hits:
        stories.setdefault(_story(detail), []).append(detail)
    rules: dict[str, list[list[HitDetail]]] = {}
    found_by = Counter(map(_rule_name, alert.hits))  # of two that found as much, the one that found the first hit
    for story in stories.values():
        of_story = set(map(_rule_name, story))
        busiest = max((rule for rule in found_by if rule in of_story), key=found_by.__getitem__)
        rules.setdefault(busiest, []).append(story)
    groups, fixture = [], MAX_STORIES
    for rule, found in sorted(rules.items(), key=lambda item: -sum(map(len, item[1]))):
        pieces = tuple(_piece(story, alert.time_zone) for story in found[:fixture])
        groups.append(RuleGroup(rule=rule, hits=sum(map(len, found)), pieces=pieces))
        fixture -= len(pieces)
    return tuple(groups)


def _piece(story: Sequence[HitDetail], zone: str) -> StoryItem:
    first = story[0]
    entries = {(t.hit.feed, t.hit.entry_key) for t in story}
    on_first = [t for t in story if (t.hit.feed, t.hit.entry_key) == (first.hit.feed, first.hit.entry_key)]
    spans = [span for t in on_first for span in t.hit.spans]
    link = web_address(first.entry.link)
    return StoryItem(
        title=shorten(mark_spans(first.entry.title, 0, _within(spans, "title")), TITLE) or (TextRun("(no title)"),),
        sentence=_sentence(first.entry, [t.hit.snippet for t in on_first], spans),
        feed=cut(clean(first.feed_title) or first.hit.feed, NAME),
        when=_when(first.entry.dated_at, zone),
        link=link,
        host=host_of(link) if link else "",
        also=_also(first.also_in),
        rules=tuple(dict.fromkeys(map(_rule_name, story))),
        others=len(entries) - 1,
        hits=len(story),
    )


def _sentence(entry: Entry, snippets: Sequence[str], spans: Sequence[Span]) -> TextRuns:
    """Return the matched sentence with the most terms, marked at its place in its field."""
    texts = {"title": entry.title, "summary": entry.summary, "content": entry.content}
    found: list[TextRuns] = []
    for snippet in (snippet.strip().strip("…").strip() for snippet in snippets):
        if not snippet or clean(snippet) == clean(entry.title):
            continue
        field = next((f for f in ("summary", "content", "title") if snippet in texts[f]), None)
        at = texts[field].find(snippet) if field else 0
        inside = [s for s in _within(spans, field) if s.start >= at and s.end <= at + len(snippet)]
        found.append(shorten(mark_spans(snippet, at, inside), SENTENCE))
    return max(found, key=lambda runs: sum(run.marked for run in runs), default=())


def _within(spans: Sequence[Span], field: str | None) -> list[Span]:
    return [span for span in spans if span.field == field]


def _also(feeds: Sequence[str]) -> str:
    names = [cut(clean(name), NAME) for name in feeds]
    more = f" (+{len(names) - ALSO_NAMED})" if len(names) > ALSO_NAMED else ""
    return ", ".join(names[:ALSO_NAMED]) + more


def _when(at: datetime, zone: str) -> str:
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b} {local:%H:%M}"


def _lines(text: str) -> str:
    return "\n".join(clean(line) for line in text.splitlines()).strip()


__all__ = ["AlertContent", "RuleGroup", "StoryItem", "build_content"]
