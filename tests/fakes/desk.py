"""A desk with a morning of news on it, for the pages: everything in memory, nothing behind it."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aggregator.core.errors import ConfigError, ConfigErrors, Conflict, InvalidRule, NotFound, Problem, Unreachable
from aggregator.core.model import (
    Attempt,
    Beat,
    Delivery,
    DeliveryState,
    Entry,
    FeedState,
    FeedSummary,
    Health,
    Hit,
    HitFilter,
    HitState,
    HostLimit,
    RuleFigures,
    Silence,
    Span,
    Stats,
    Status,
    Story,
    Told,
)
from aggregator.core.settings import Config
from aggregator.web.desk import Candidate, Change, Clause, Found, Imported, Preview, RulesFile, Verdict

RULES_TEXT = """\
# What the desk watches.
lists:
  turkey: [Turkey, Türkiye, Tyrkia, Турция, Ankara]

rules:
  - id: s400-turkey
    title: S-400 and Turkey
    any: [S-400, "SA-21 Growler"]
    all: [$turkey]
    none: [cricket]
    priority: high
    tests:
      match: ["Ankara takes delivery of S-400s"]
      no_match: ["IBM AS-400 museum in Ankara"]

  - id: caatsa
    title: CAATSA sanctions
    any: [CAATSA]

  - id: f35
    title: F-35 programme
    any: [F-35, "Joint Strike Fighter"]
    feeds: {tags: [defence]}

  - id: cve-edge        # firewalls and VPN boxes
    query: 'title:CVE-2026* AND (Fortinet OR Ivanti OR "Palo Alto")'
    deliver: hourly
"""


@dataclass
class FixedClock:
    """A clock that stands until it is moved."""

    at: datetime

    def now(self) -> datetime:
        return self.at


def spans_of(text: str, field_name: str, terms: Sequence[str]) -> tuple[Span, ...]:
    """Every place of the terms in a text."""
    found = []
    for term in terms:
        at = text.find(term)
        while at >= 0:
            found.append(Span(field=field_name, start=at, end=at + len(term), text=term, term=term))
            at = text.find(term, at + 1)
    return tuple(found)


def day_list(now: datetime, stamps: Iterable[datetime]) -> tuple[tuple[str, int], ...]:
    """(day, count) of the last 30 days."""
    counts = Counter(f"{at.astimezone(UTC):%Y-%m-%d}" for at in stamps)
    days = [f"{now - timedelta(days=back):%Y-%m-%d}" for back in range(29, -1, -1)]
    return tuple((day, counts[day]) for day in days)


@dataclass
class MemoryCatalog:
    """The reading side of a store, over lists."""

    summaries: dict[str, FeedSummary] = field(default_factory=dict)
    stored: dict[int, Entry] = field(default_factory=dict)
    tellings: dict[str, Told] = field(default_factory=dict)
    stories: dict[str, Story] = field(default_factory=dict)
    out: dict[str, Delivery] = field(default_factory=dict)
    tries: dict[str, list[Attempt]] = field(default_factory=dict)
    quiet: dict[int, Silence] = field(default_factory=dict)
    limits: tuple[HostLimit, ...] = ()

    async def feeds(self, ids: Sequence[str] | None = None) -> tuple[FeedSummary, ...]:
        return tuple(s for key, s in self.summaries.items() if ids is None or key in ids)

    async def feed_days(self, ids: Sequence[str], now: datetime) -> Mapping[str, tuple[tuple[str, int], ...]]:
        return {key: day_list(now, [e.seen_at for e in self.stored.values() if e.feed == key]) for key in ids}

    async def hosts(self) -> tuple[HostLimit, ...]:
        return self.limits

    async def entry(self, entry_id: int) -> Entry:
        if entry_id not in self.stored:
            raise NotFound("entry", str(entry_id))
        return self.stored[entry_id]

    async def entries(
        self, *, feed: str | None = None, since: datetime | None = None, limit: int = 50
    ) -> tuple[Entry, ...]:
        found = [e for e in self.stored.values() if feed in (None, e.feed) and (since is None or e.seen_at >= since)]
        return tuple(sorted(found, key=lambda e: e.seen_at, reverse=True)[: limit or None])

    async def scan(self, *, since: datetime | None = None, batch: int = 500) -> AsyncIterator[tuple[Entry, ...]]:
        yield tuple(reversed(await self.entries(since=since, limit=0)))

    async def count_entries(self, since: datetime | None = None) -> int:
        return len(await self.entries(since=since, limit=0))

    async def search(
        self,
        words: Sequence[Sequence[str]],
        *,
        since: datetime | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> tuple[Entry, ...]:
        found = []
        for entry in await self.entries(since=since, limit=0):
            text = f"{entry.title} {entry.summary} {entry.content}".casefold()
            if all(any(w.rstrip("*").casefold() in text for w in group) for group in words):
                found.append(entry)
        return tuple(e for e in found if before is None or (e.id or 0) < before)[: limit or None]

    def _fits(self, told: Told, wanted: HitFilter) -> bool:
        hit = told.hit
        pairs = ((wanted.rule, hit.rule), (wanted.feed, hit.feed), (wanted.story, hit.story), (wanted.mark, hit.mark))
        return (
            all(want in (None, have) for want, have in pairs)
            and (wanted.since is None or hit.created_at >= wanted.since)
            and (wanted.until is None or hit.created_at <= wanted.until)
            and (wanted.before is None or (hit.created_at, hit.id) < wanted.before)
        )

    async def hits(self, wanted: HitFilter, *, limit: int = 50) -> tuple[Told, ...]:
        found = [told for told in self.tellings.values() if self._fits(told, wanted)]
        return tuple(sorted(found, key=lambda t: (t.hit.created_at, t.hit.id), reverse=True)[: limit or None])

    async def hit(self, hit_id: str) -> Told:
        if hit_id not in self.tellings:
            raise NotFound("hit", hit_id)
        return self.tellings[hit_id]

    async def hit_days(self, wanted: HitFilter, now: datetime) -> tuple[tuple[str, int], ...]:
        return day_list(now, [told.hit.created_at for told in self.tellings.values() if self._fits(told, wanted)])

    async def mark(self, hit_id: str, mark: str | None) -> None:
        told = await self.hit(hit_id)
        self.tellings[hit_id] = replace(told, hit=replace(told.hit, mark=mark))

    async def story(self, story_id: str) -> tuple[Story, tuple[Told, ...]]:
        if story_id not in self.stories:
            raise NotFound("story", story_id)
        return self.stories[story_id], await self.hits(HitFilter(story=story_id), limit=0)

    async def rules(self, now: datetime) -> tuple[RuleFigures, ...]:
        by_rule: dict[str, list[Hit]] = {}
        for told in self.tellings.values():
            by_rule.setdefault(told.hit.rule, []).append(told.hit)
        return tuple(
            RuleFigures(
                rule=rule,
                hits=len(hits),
                alerts=sum(hit.state is HitState.ALERTED for hit in hits),
                relevant=sum(hit.mark == "relevant" for hit in hits),
                irrelevant=sum(hit.mark == "irrelevant" for hit in hits),
                last_hit_at=max(hit.created_at for hit in hits),
                days=day_list(now, [hit.created_at for hit in hits]),
            )
            for rule, hits in by_rule.items()
        )

    async def deliveries(self, *, states: Sequence[DeliveryState] = (), limit: int = 50) -> tuple[Delivery, ...]:
        found = [d for d in self.out.values() if not states or d.state in states]
        return tuple(sorted(found, key=lambda d: (d.created_at, d.id), reverse=True)[: limit or None])

    async def delivery(self, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...], tuple[Told, ...]]:
        if delivery_id not in self.out:
            raise NotFound("delivery", delivery_id)
        found = self.out[delivery_id]
        told = tuple(self.tellings[h] for h in found.hits if h in self.tellings)
        return found, tuple(self.tries.get(delivery_id, ())), told

    async def outbox(self) -> Mapping[DeliveryState, int]:
        return Counter(d.state for d in self.out.values())

    async def retry(self, ids: Sequence[str], now: datetime) -> int:
        mine = [d for d in self.out.values() if d.id in ids and d.state in ("dead", "held", "retry")]
        for one in mine:
            self.out[one.id] = replace(one, state=DeliveryState.PENDING, due_at=now, reason="")
        return len(mine)

    async def cancel(self, ids: Sequence[str]) -> int:
        mine = [d for d in self.out.values() if d.id in ids and d.state in ("pending", "held", "retry")]
        for one in mine:
            self.out[one.id] = replace(one, state=DeliveryState.SUPPRESSED, reason="cancelled by a person")
        return len(mine)

    async def pause(self, feed: str, paused: bool, now: datetime) -> None:
        one = self.summaries[feed]
        health = Health.PAUSED if paused else Health.OK
        self.summaries[feed] = replace(one, state=replace(one.state, health=health, health_since=now))

    async def poll_soon(self, feed: str, now: datetime) -> None:
        one = self.summaries[feed]
        self.summaries[feed] = replace(one, state=replace(one.state, next_poll_at=now))

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        return tuple(s for s in self.quiet.values() if s.until_at > now)

    async def add_silence(self, silence: Silence) -> Silence:
        made = replace(silence, id=max(self.quiet, default=0) + 1)
        self.quiet[made.id or 0] = made
        return made

    async def remove_silence(self, silence_id: int) -> None:
        if self.quiet.pop(silence_id, None) is None:
            raise NotFound("silence", str(silence_id))

    async def stats(self) -> Stats:
        return Stats(
            feeds=len(self.summaries),
            entries=len(self.stored),
            hits=len(self.tellings),
            deliveries=len(self.out),
            bytes=48_300_000,
        )


@dataclass
class Loaded:
    """The configuration that runs."""

    config: Config
    warnings: tuple[ConfigError, ...] = ()


@dataclass
class MemoryDesk:
    """A Desk over a MemoryCatalog; rules are one text whose check is a toy (a line with `bad` is wrong)."""

    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)
    clock: FixedClock = field(default_factory=lambda: FixedClock(datetime(2026, 3, 5, tzinfo=UTC)))
    loaded: Loaded = field(default_factory=lambda: Loaded(Config()))
    text: str = RULES_TEXT
    late: frozenset[str] = frozenset()
    reloads: int = 0
    candidates: dict[str, tuple[Candidate, ...]] = field(default_factory=dict)

    def current(self) -> Loaded:
        return self.loaded

    def web(self, **settings: Any) -> "MemoryDesk":
        """Change settings.web of the running configuration."""
        config = self.loaded.config.model_dump(exclude={"channels"})
        web = config["settings"]["web"] | settings
        changed = self.loaded.config.settings.model_copy(
            update={"web": type(self.loaded.config.settings.web).model_validate(web)}
        )
        self.loaded = Loaded(self.loaded.config.model_copy(update={"settings": changed}), self.loaded.warnings)
        return self

    def beats(self) -> Sequence[Beat]:
        now = self.clock.now()
        return tuple(
            Beat(name=name, last_at=now - timedelta(seconds=age), patience_s=30, late=name in self.late)
            for name, age in (("poll", 2), ("deliver", 1), ("configuration", 2), ("upkeep", 400))
        )

    async def status(self) -> Status:
        now = self.clock.now()
        healths = Counter(s.state.health.value for s in self.catalog.summaries.values())
        return Status(
            version="0.1.0",
            now_at=now,
            started_at=now - timedelta(days=6, hours=3),
            beats=tuple(self.beats()),
            feeds=tuple(healths.items()),
            lag_s=4.0,
            outbox=tuple((state.value, n) for state, n in (await self.catalog.outbox()).items()),
            last_alert_at=max((d.sent_at for d in self.catalog.out.values() if d.sent_at), default=None),
            stats=await self.catalog.stats(),
            disk_free_bytes=81_400_000_000,
            versions=(("Python", "3.11.9"), ("SQLite", "3.46.1")),
        )

    def metrics(self) -> tuple[bytes, str]:
        return b"aggregator_up 1\n", "text/plain; version=0.0.4; charset=utf-8"

    async def reload(self) -> Verdict:
        self.reloads += 1
        return await self.check_rules("rules.yaml", self.text)

    def _file(self) -> RulesFile:
        return RulesFile(name="rules.yaml", text=self.text, digest=hashlib.sha256(self.text.encode()).hexdigest())

    async def rules_files(self) -> tuple[RulesFile, ...]:
        return (self._file(),)

    async def check_rules(self, name: str, text: str) -> Verdict:
        if name != "rules.yaml":
            raise NotFound("file of rules", name, ["rules.yaml"])
        problems = tuple(
            ConfigError(
                file=name,
                line=number,
                column=line.index("bad") + 1,
                message=f"unknown key {line.strip()[:40]!r}",
                hint="did you mean 'any'?",
            )
            for number, line in enumerate(text.splitlines(), 1)
            if "bad" in line
        )
        ids = tuple(line.split("id:")[1].split("#")[0].strip() for line in text.splitlines() if "- id:" in line)
        return Verdict(problems=problems, rules=ids)

    async def save_rules(self, name: str, text: str, expected_digest: str) -> RulesFile:
        verdict = await self.check_rules(name, text)
        if not verdict.ok:
            raise ConfigErrors(verdict.problems)
        if expected_digest != self._file().digest:
            raise Conflict("rules.yaml was changed on disk since you began to edit it; nothing was written")
        self.text = text
        return self._file()

    async def preview(self, name: str, text: str, since: datetime) -> Preview:
        verdict = await self.check_rules(name, text)
        if not verdict.ok:
            raise ConfigErrors(verdict.problems)
        entries = await self.catalog.entries(since=since, limit=0)
        if text == self.text or not entries:
            return Preview(since=since, entries=len(entries))
        samples = tuple(Found(entry=entry, feed_title=entry.feed) for entry in entries[:5])
        change = Change(
            rule="s400-turkey",
            before=22,
            after=33,
            added=14,
            removed=3,
            added_samples=samples[:3],
            removed_samples=samples[3:],
        )
        return Preview(since=since, entries=len(entries), changes=(change,))

    async def explain(self, told: Told) -> tuple[Clause, ...]:
        found = ", ".join(dict.fromkeys(span.text for span in told.hit.spans))
        return (
            Clause(depth=0, text="all of", found=True),
            Clause(depth=1, text="any: S-400, SA-21 Growler", found=True, note=f"found {found}"),
            Clause(depth=1, text="all: $turkey", found=True, note="found Ankara in the summary"),
            Clause(depth=1, text="none: cricket", found=True, note="not there"),
            Clause(depth=1, text="sanctions", found=False, note="found 'sanction': write sanction*"),
        )

    async def search(
        self, query: str, *, since: datetime | None = None, limit: int = 50, before: int | None = None
    ) -> tuple[Found, ...]:
        if query.count('"') % 2:
            problem = Problem(
                path=("query",), message="the phrase that begins here has no closing quote", offset=query.index('"')
            )
            raise InvalidRule("query", [problem])
        words = [w.strip('"*') for w in query.split() if w.isalnum() or "-" in w or w.endswith("*")]
        found = await self.catalog.search([[w] for w in words], since=since, limit=limit, before=before)
        return tuple(
            Found(
                entry=e,
                feed_title=e.feed,
                spans=spans_of(e.title, "title", words) + spans_of(e.summary, "summary", words),
                snippet=e.summary,
            )
            for e in found
        )

    async def discover(self, url: str) -> tuple[Candidate, ...]:
        if "unreachable" in url:
            raise Unreachable(f"{url}: there is no such host", url=url)
        return self.candidates.get(url, ())

    async def add_feed(self, url: str, *, title: str = "", tags: Sequence[str] = ()) -> str:
        feed_id = "added"
        state = FeedState(id=feed_id, url=url, configured_url=url, title=title, next_poll_at=self.clock.now())
        self.catalog.summaries[feed_id] = FeedSummary(state=state)
        return feed_id

    async def import_opml(self, document: bytes) -> Imported:
        return Imported(added=("one", "two"), known=("three",), problems=("https://: this is not an address",))

    async def export_opml(self) -> str:
        return '<?xml version="1.0"?><opml version="2.0"><head/><body/></opml>'
