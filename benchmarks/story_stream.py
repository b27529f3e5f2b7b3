"""News as a stream: what the router makes of labelled events, and what an entry costs it.

Every entry goes through `Router.query` and `Router.route`, as a poll of one entry does; only the database is a
dictionary here.
"""

import gc
import json
import lzma
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from time import process_time
from typing import Any

import yaml
from msgspec.structs import replace

from aggregator.core import events
from aggregator.core.model import (
    Because,
    Entry,
    Hit,
    HitState,
    JoinKind,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    Story,
    Vocabulary,
)
from aggregator.core.routing import Recipients, Router, describe
from aggregator.core.settings import Channel, RuleConfig, Settings
from aggregator.core.stories import shortlist

DATA = Path(__file__).parent.parent / "tests" / "data" / "stories"
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LATEST = 64  # reports with one key that the store looks at
SPREAD_H = 20  # of the entries of one event, where the data have the times of a crawl or none
EVENT_H = 8  # from one event to the next, where they have none
RULE, CHANNEL = "all", "console"


@dataclass(frozen=True, slots=True)
class Labelled:
    """An entry with the event that it reports."""

    entry: Entry
    event: str


@dataclass(slots=True)
class Stream:
    """A router with the memory of a database, fed with one entry after the other."""

    router: Router
    model: events.FrequencyModel = field(default_factory=events.FrequencyModel)
    stories: dict[str, Story] = field(default_factory=dict)
    keys: dict[str, deque[tuple[str, datetime]]] = field(default_factory=dict)
    seconds: float = 0.0
    meaning: bool = False  # as with languages: model

    def add(self, *entries: Entry) -> RoutingResult:
        """Route one hit of each entry, as one poll; count the processor time of routing."""
        now = max(entry.seen_at for entry in entries)
        hits = hits_of(entries, now)
        frequencies = self.model.frozen()
        began = process_time()
        reports = describe(entries, hits, now, Vocabulary(frequencies, model=self.meaning))
        frequencies = events.with_poll(frequencies, [*reports.values()])
        question = self.router.query(hits, entries, now, reports, frequencies)
        context = self._answer(question or RoutingQuery())
        routed = self.router.route(
            hits, entries, now, context, reports=reports, frequencies=frequencies, question=question
        )
        self.seconds += process_time() - began
        self.stories |= {story.id: story for story in routed.stories}
        for story, at, keys in routed.keys:
            for key in keys:
                self.keys.setdefault(key, deque(maxlen=LATEST)).append((story, at))
        self.model.add(report.features for report in reports.values())
        return routed

    def _answer(self, question: RoutingQuery) -> RoutingContext:
        found = {key: self._having(key) for lookup in question.lookups for key in lookup if key in self.keys}
        nearest = {lookup: shortlist(lookup, found) for lookup in question.lookups}
        near = {name for lists in nearest.values() for names in lists for name in names}
        recent = {name for name in near if self.stories[name].first_at >= (question.events_since or START)}
        return RoutingContext(stories=tuple(self.stories[name] for name in sorted(recent)), keys=found, nearest=nearest)

    def _having(self, key: str) -> dict[str, datetime]:
        reports = self.keys[key]
        having = dict(reports)
        if len(having) < len(reports):  # the latest report of each story counts
            having = {}
            for story, at in reports:
                having.pop(story, None)
                having[story] = at
        return having


def hits_of(entries: Iterable[Entry], now: datetime) -> list[Hit]:
    """Return a hit of each entry."""
    return [
        Hit(id=f"{RULE}:{e.feed}:{e.key}", rule=RULE, feed=e.feed, entry_key=e.key, entry_version=1, created_at=now)
        for e in entries
    ]


def stream(*, meaning: bool = False) -> Stream:
    """Return an empty stream: one rule, one channel, the settings that everybody has at first, or languages: model."""
    channels = {CHANNEL: Channel.model_validate({"url": "json://localhost"})}
    rule = RuleConfig.model_validate({"id": RULE, "any": ["news"], "notify": [CHANNEL]})
    settings = Settings()
    recipients = Recipients(channels)
    router = Router(rules={RULE: rule}, channels=channels, settings=settings, recipients=recipients)
    return Stream(router, meaning=meaning)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a labelled entry."""

    labelled: Labelled
    story: str
    state: HitState
    because: Because

    @property
    def silent(self) -> bool:
        """Tell whether nobody was alerted: a copy or a retelling."""
        return self.state in (HitState.COLLAPSED, HitState.FOLDED)


def outcomes(rows: Iterable[Labelled], through: Stream | None = None) -> list[Outcome]:
    """Return what the router makes of each entry."""
    made, found = through or stream(), []
    for row in rows:
        hit = made.add(row.entry).hits[0]
        found.append(Outcome(row, hit.story or "", hit.state, hit.because or Because()))
    return found


def event_figures(found: Sequence[Outcome]) -> dict[str, Any]:
    """Return precision and recall of what was not alerted, and B-cubed of what is grouped."""
    event_of = {f"{o.labelled.entry.feed}\n{o.labelled.entry.title}": o.labelled.event for o in found}
    opener: dict[str, str] = {}
    right = wrong = astray = 0
    alerted: set[str] = set()
    for one in found:
        event = one.labelled.event
        first = opener.setdefault(one.story, event)
        if not one.silent:
            alerted.add(event)
            continue
        right += first == event
        wrong += first != event
        astray += event_of.get(f"{one.because.feed}\n{one.because.title}", event) != event
    gold = Counter(o.labelled.event for o in found)
    said = Counter(o.story for o in found)
    both = Counter((o.labelled.event, o.story) for o in found)
    precision = sum(both[o.labelled.event, o.story] / said[o.story] for o in found) / len(found)
    recall = sum(both[o.labelled.event, o.story] / gold[o.labelled.event] for o in found) / len(found)
    repeats = len(found) - len(gold)
    joined = [o.because for o in found if o.because.kind is not None]
    return {
        "entries": len(found),
        "events": len(gold),
        "folds": right + wrong,
        "fold_precision": _share(right, right + wrong),
        "fold_recall": _share(right, repeats),
        "report_precision": _share(right + wrong - astray, right + wrong),
        "events_never_alerted": len(gold.keys() - alerted),
        "bcubed_precision": round(precision, 3),
        "bcubed_recall": round(recall, 3),
        "bcubed_f1": round(2 * precision * recall / (precision + recall), 3),
        "joins_without_three_words": sum(1 for b in joined if b.kind is not JoinKind.COPY and len(b.words) < 3),
    }


def across_languages(found: Sequence[Outcome]) -> dict[str, Any]:
    """Return precision and recall of pairs of entries in two languages that ended in one story.

    `join_precision` is that of the joins alone: which share named a report of the same event as the reason.
    """
    right = said = gold = 0
    event_of = {(o.labelled.entry.feed, o.labelled.entry.title): o.labelled.event for o in found}
    for one, other in combinations(found, 2):
        if one.labelled.entry.lang != other.labelled.entry.lang:
            same, together = one.labelled.event == other.labelled.event, one.story == other.story
            right, said, gold = right + (same and together), said + together, gold + same
    joined = [
        event_of[o.because.feed, o.because.title] == o.labelled.event
        for o in found
        if o.because.kind is JoinKind.TRANSLATION
    ]
    return {
        "pairs": gold,
        "precision": _share(right, said),
        "recall": _share(right, gold),
        "joins": len(joined),
        "join_precision": _share(sum(joined), len(joined)),
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0


# --- sets ------------------------------------------------------------------------------------------


def shared_set(file: Path, *, crowded: bool = False) -> list[Labelled]:
    """Read a labelled set: lines of JSON with id, event, lang, title, text, at, source, link.

    The times of a crawl are spread by a hash of the id. Entries without times are given some: an event begins every
    EVENT_H hours, and is reported for SPREAD_H; `crowded`, all entries come a minute apart, whatever they are about.
    """
    with (lzma.open if file.suffix == ".xz" else open)(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    merged = _corrections(file, {row["event"] for row in rows})
    order = {event: n for n, event in enumerate(sorted({row["event"] for row in rows}, key=_chance))}
    made = []
    for row in rows:
        chance = _chance(row["id"])
        spread = timedelta(hours=SPREAD_H * chance)
        if row["at"]:
            at = datetime.fromisoformat(row["at"]) + spread
        elif crowded:
            at = START + timedelta(minutes=chance * len(rows))
        else:
            at = START + timedelta(hours=EVENT_H * order[row["event"]]) + spread
        made.append((at, row))
    return [
        Labelled(
            Entry(
                feed=row["source"] or f"source-{row['id']}",
                key=row["id"],
                title=row["title"],
                summary=row["text"],
                lang=row["lang"] or None,
                link=row.get("link"),
                seen_at=at,
            ),
            merged.get(row["event"], row["event"]),
        )
        for at, row in sorted(made, key=lambda one: (one[0], one[1]["id"]))
    ]


def _chance(name: str) -> float:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) / 2**64


def _corrections(file: Path, known: set[str]) -> Mapping[str, str]:
    """Return the events that are one in truth, from corrections.json beside a set, where there is one."""
    beside = file.parent / "corrections.json"
    pairs = (
        json.loads(beside.read_text(encoding="utf-8"))["merge"].get(file.name.partition(".")[0], [])
        if beside.exists()
        else []
    )
    into: dict[str, str] = {}
    for pair in pairs:
        one, other = (next((into.get(e, e) for e in sorted(known) if e.startswith(p)), p) for p in pair)
        into = {event: one if name == other else name for event, name in into.items()} | {other: one}
    return into


def own_events() -> list[Labelled]:
    """Return the events of events.yaml in turns: the first report of each, then the second ones, and so on."""
    return _in_turns(yaml.safe_load((DATA / "events.yaml").read_text(encoding="utf-8"))["events"])


def events_in_languages(*, tuning: bool) -> list[Labelled]:
    """Return the events of languages.yaml in turns, of the topics that limits were chosen on or of the others."""
    topics = yaml.safe_load((DATA / "languages.yaml").read_text(encoding="utf-8"))["topics"]
    chosen = [topic for topic in topics if topic.get("tuning", False) == tuning]
    return _in_turns([{**e, "name": f"{topic['name']}: {e['name']}"} for topic in chosen for e in topic["events"]])


def short_news(order: int) -> list[Labelled]:
    """Return the reports of short.yaml, three minutes apart, in one of many orders."""
    topics = yaml.safe_load((DATA / "short.yaml").read_text(encoding="utf-8"))["topics"]
    rows = [
        (f"{topic['name']}: {n}", report)
        for topic in topics
        for n, reports in enumerate(topic["events"])
        for report in reports
    ]
    rows.sort(key=lambda row: _chance(f"{order}: {row[1][1]}"))
    return [
        Labelled(_entry(f"source-{n}", title, text, lang, START + timedelta(minutes=3 * n)), event)
        for n, (event, (lang, title, text)) in enumerate(rows)
    ]


def _in_turns(found: Sequence[dict[str, Any]]) -> list[Labelled]:
    rounds = max(len(event["reports"]) for event in found)
    turns = [(event, event["reports"][n]) for n in range(rounds) for event in found if n < len(event["reports"])]
    return [
        Labelled(_entry(f"source-{n}", title, text, lang, START + timedelta(minutes=7 * n)), event["name"])
        for n, (event, (lang, title, text)) in enumerate(turns)
    ]


def retold() -> list[tuple[Entry, Entry]]:
    """Return pairs of entries that tell of one event in two newsrooms' words, an hour apart."""
    rows = yaml.safe_load((DATA / "retellings.yaml").read_text(encoding="utf-8"))
    return [
        (
            _entry("one", first[0], first[1], lang, START),
            _entry("other", second[0], second[1], lang, START + timedelta(hours=1)),
        )
        for lang, first, second in rows
    ]


def news_after() -> list[tuple[Entry, Entry]]:
    """Return pairs of entries of which the second is news, however like the first one it is."""
    rows = yaml.safe_load((DATA / "news_after.yaml").read_text(encoding="utf-8"))
    return [
        (
            _entry("one", first[0], first[1], lang, START),
            replace(
                _entry("one" if own else "other", second[0], second[1], lang, START + timedelta(hours=hours)),
                key="second",
            ),
        )
        for _, lang, hours, own, first, second in rows
    ]


def folded(pairs: Iterable[tuple[Entry, Entry]]) -> int:
    """Return of how many pairs the second entry is folded into the first one's story."""
    found = 0
    for one, other in pairs:
        made = stream()
        first, second = made.add(one).hits[0], made.add(other).hits[0]
        found += second.state is HitState.FOLDED and first.story == second.story
    return found


def twins() -> list[tuple[Entry, Entry]]:
    """Return pairs of entries that one template makes of two events, with their texts and as headlines alone."""
    made = []
    for name in ("news.yaml", "held_out.yaml", "twins.yaml"):
        for template in yaml.safe_load((DATA / name).read_text(encoding="utf-8"))["templates"]:
            for one, other in combinations(template["facts"], 2):
                for text in (template["text"], ""):
                    first, second = (
                        _entry(
                            f"site-{n}",
                            template["title"].format(*facts),
                            text.format(*facts),
                            template.get("lang", "en"),
                            START + timedelta(minutes=n),
                        )
                        for n, facts in enumerate((one, other))
                    )
                    made.append((first, second))
    return made


def standing() -> list[Entry]:
    """Return thirty daily reports of one feed under one headline."""
    text = (
        "Situation on day {0}: {1} ships passed the strait, {2} were inspected and {3} turned back by the coast guard."
    )
    return [
        replace(
            _entry(
                "navy", "Daily situation report of the coast guard", text.format(n, 40 + n, 7 + n % 5, n % 4), "en", at
            ),
            key=f"day-{n}",
        )
        for n, at in ((n, START + timedelta(days=n)) for n in range(30))
    ]


def _entry(feed: str, title: str, text: str, lang: str, at: datetime) -> Entry:
    return Entry(feed=feed, key=f"{feed}:{title}", title=title, summary=text, lang=lang, seen_at=at)


def joined_twins(pairs: Iterable[tuple[Entry, Entry]]) -> tuple[int, int]:
    """Return how many second twins were not alerted, and how many joined the first one's story at all."""
    silent = together = 0
    for one, other in pairs:
        made = stream()
        first, second = made.add(one).hits[0], made.add(other).hits[0]
        silent += second.state is not HitState.ALERTED
        together += first.story == second.story
    return silent, together


def milliseconds_per_hit(recent: int, measured: int = 100) -> float:
    """Return the processor time of routing one hit when `recent` entries are known, in milliseconds."""
    made = stream()
    for n in range(0, recent, 500):
        made.add(*(invented(i) for i in range(n, min(n + 500, recent))))
    made.seconds = 0.0
    gc.freeze()  # what is known lies in a database, and is nothing to the collector; the rest as in app/
    gc.set_threshold(25_000, 20, 50)
    for n in range(recent, recent + measured):
        made.add(invented(n))
    gc.unfreeze()
    return round(1000 * made.seconds / measured, 3)


def invented(number: int) -> Entry:
    """Return an entry of a stream with natural frequencies: few common words, many rare ones (Zipf)."""
    digest = blake2b(str(number).encode(), digest_size=64).digest() + blake2b(b"x%d" % number, digest_size=64).digest()
    draws = [int.from_bytes(digest[i : i + 2]) for i in range(0, 128, 2)]
    words = [_WORDS[int(len(_WORDS) ** (draw / 65536)) - 1] for draw in draws]
    at = START + timedelta(seconds=5 * number)
    return Entry(
        feed=f"feed-{number % 300}",
        key=str(number),
        title=" ".join(words[:10]).capitalize(),
        summary=" ".join(words[10:]),
        lang="en",
        seen_at=at,
    )


_SYLLABLES = [a + b for a in "bcdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or", "il")]
_WORDS = [a + b + c for a in _SYLLABLES[::3] for b in _SYLLABLES for c in ("n", "rt", "s", "l", "k")]
