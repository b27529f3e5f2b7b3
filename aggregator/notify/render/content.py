"""An alert as a letter: everything that any format shows, cleaned, in the order in which it is read.

A format only decides how a letter looks; what is in it, and what is too much, is decided here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from aggregator.core.model import Alert, Entry, Kind, Span, Told
from aggregator.notify.render.sanitize import Run, Runs, clean, cut, host_of, mark, shorten, web_address

TITLE, SENTENCE, NAME = 300, 400, 80
MOST_STORIES = 60
ALSO_NAMED = 3
LABELS = {
    Kind.DIGEST: "digest",
    Kind.HEALTH: "health",
    Kind.HEARTBEAT: "alive",
    Kind.DEAD_LETTER: "not delivered",
    Kind.TEST: "test",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One story of a letter. `others` counts further entries of the same story, `hits` all of its hits."""

    title: Runs
    sentence: Runs
    feed: str
    when: str
    link: str | None
    host: str
    also: str
    rules: tuple[str, ...]
    others: int = 0
    hits: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The stories of one rule."""

    rule: str
    hits: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a format renders. `sources` are feeds with their hits, the busiest first."""

    subject: str
    label: str = "alert"
    groups: tuple[Group, ...] = ()
    body: str = ""
    why: str = ""
    more: int = 0
    hits: int = 0
    sources: tuple[tuple[str, int], ...] = ()
    short_id: str = ""
    repeat: bool = False
    high: bool = False
    is_digest: bool = False
    page: str | None = None
    zone: str = "UTC"

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The stories of all groups."""
        return tuple(piece for group in self.groups for piece in group.pieces)


def write(alert: Alert) -> Letter:
    """The letter of an alert."""
    groups = _groups(alert)
    shown = sum(piece.hits for group in groups for piece in group.pieces)
    told = {t.hit.id: t for t in alert.told}
    sources = Counter(clean(t.feed_title) or t.hit.feed for t in told.values())
    notice = alert.notice
    return Letter(
        subject=_subject(alert),
        label="urgent" if alert.priority == "high" else LABELS.get(alert.kind, "alert"),
        groups=groups,
        body=_lines(notice.body) if notice else "",
        why=clean(alert.why),
        more=alert.more + max(0, sum(group.hits for group in groups) - shown),
        hits=len(told) + alert.more,
        sources=tuple(sources.most_common(8)),
        short_id=alert.id[:8],
        repeat=alert.repeat,
        high=alert.priority == "high",
        is_digest=alert.kind is Kind.DIGEST or sum(len(group.pieces) for group in groups) > 1,
        page=web_address(alert.page) or (web_address(notice.link) if notice else None),
        zone=alert.time_zone,
    )


def _subject(alert: Alert) -> str:
    if alert.notice and not alert.told:
        return cut(clean(alert.notice.title or alert.title), TITLE)
    if alert.kind is Kind.DIGEST:
        rules = list(dict.fromkeys(clean(t.rule_title) or t.hit.rule for t in alert.told))
        return cut(f"{clean(alert.title)}: {', '.join(rules)}" if rules else clean(alert.title), TITLE)
    return cut(clean(alert.title), TITLE)


def _groups(alert: Alert) -> tuple[Group, ...]:
    """Stories under the first rule that found them, the busiest rule first."""
    stories: dict[str, list[Told]] = {}
    for told in alert.told:
        stories.setdefault(told.hit.story or f"{told.hit.feed}/{told.hit.entry_key}", []).append(told)
    rules: dict[str, list[list[Told]]] = {}
    for story in stories.values():
        rules.setdefault(clean(story[0].rule_title) or story[0].hit.rule, []).append(story)
    groups, room = [], MOST_STORIES
    for rule, found in sorted(rules.items(), key=lambda item: -sum(map(len, item[1]))):
        pieces = tuple(_piece(story, alert.time_zone) for story in found[:room])
        groups.append(Group(rule=rule, hits=sum(map(len, found)), pieces=pieces))
        room -= len(pieces)
    return tuple(groups)


def _piece(story: Sequence[Told], zone: str) -> Piece:
    first = story[0]
    entries = {(t.hit.feed, t.hit.entry_key) for t in story}
    on_first = [t for t in story if (t.hit.feed, t.hit.entry_key) == (first.hit.feed, first.hit.entry_key)]
    spans = [span for t in on_first for span in t.hit.spans]
    link = web_address(first.entry.link)
    return Piece(
        title=shorten(mark(first.entry.title, 0, _within(spans, "title")), TITLE) or (Run("(without a title)"),),
        sentence=_sentence(first.entry, [t.hit.snippet for t in on_first], spans),
        feed=cut(clean(first.feed_title) or first.hit.feed, NAME),
        when=_when(first.entry.published_at or first.entry.seen_at, zone),
        link=link,
        host=host_of(link) if link else "",
        also=_also(first.also_in),
        rules=tuple(dict.fromkeys(clean(t.rule_title) or t.hit.rule for t in story)),
        others=len(entries) - 1,
        hits=len(story),
    )


def _sentence(entry: Entry, snippets: Sequence[str], spans: Sequence[Span]) -> Runs:
    """Of the sentences that matched the one with most terms, marked where it lies in its field."""
    texts = {"title": entry.title, "summary": entry.summary, "content": entry.content}
    found: list[Runs] = []
    for snippet in (snippet.strip().strip("…").strip() for snippet in snippets):
        if not snippet or clean(snippet) == clean(entry.title):
            continue
        field = next((f for f in ("summary", "content", "title") if snippet in texts[f]), None)
        at = texts[field].find(snippet) if field else 0
        inside = [s for s in _within(spans, field) if s.start >= at and s.end <= at + len(snippet)]
        found.append(shorten(mark(snippet, at, inside), SENTENCE))
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


__all__ = ["Group", "Letter", "Piece", "write"]
