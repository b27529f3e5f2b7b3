"""A backend for the pages: the store in memory, simple stand-ins for the loader and the network."""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, Literal

from pydantic import ValidationError

from aggregator import config
from aggregator.core.edits import edit_between, edit_of_undo, undone
from aggregator.core.errors import (
    ConfigError,
    ConfigErrors,
    Conflict,
    DatabaseFault,
    InvalidRule,
    NotFound,
    Problem,
    Unreachable,
)
from aggregator.core.findings import findings
from aggregator.core.model import (
    ChannelAnswer,
    ChannelTest,
    Delivery,
    Entry,
    FeedState,
    Finding,
    HitDetail,
    HitFilter,
    LoopStatus,
    SearchOrder,
    Span,
    Status,
    Undo,
)
from aggregator.core.results import (
    BaselineSent,
    Discovery,
    EditedRules,
    EntryMatch,
    Exclusion,
    FeedAdded,
    FeedCandidate,
    ImportResult,
    PollOutcome,
    Preview,
    RuleChange,
    RuleEdit,
    RuleItem,
    RulesCheck,
    RulesFile,
    SearchResult,
    StoryChange,
)
from aggregator.core.rules import ExplainedClause, Explanation, Rule, compile_rule
from aggregator.core.settings import Config, Feed
from tests.support.memory_store import FeedRow, MemoryCatalog, Tables

RULES_TEXT = """\
# What the team watches.
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


def plain_text(entry: Entry) -> str:
    """What the fake store searches."""
    return f"{entry.title} {entry.summary} {entry.content}".casefold()


@dataclass
class Loaded:
    """The configuration that runs."""

    config: Config
    warnings: tuple[ConfigError, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(compile_rule(rule, self.config.lists) for rule in self.config.rules)

    @property
    def places(self) -> dict[tuple[str, str], tuple[str, int, int]]:
        return {("rule", rule.id): ("rules.yaml", line, 5) for line, rule in enumerate(self.config.rules, 2)}


@dataclass
class MemoryBackend:
    """A backend over a MemoryCatalog; rules are one text whose check is a toy (a line with `bad` is wrong)."""

    tables: Tables = field(default_factory=lambda: Tables(index_text=plain_text))
    clock: FixedClock = field(default_factory=lambda: FixedClock(datetime(2026, 3, 5, tzinfo=UTC)))
    loaded: Loaded = field(default_factory=lambda: Loaded(Config()))
    text: str = RULES_TEXT
    late: frozenset[str] = frozenset()
    fault: DatabaseFault | None = None
    refused: tuple[str, ...] = ()
    disk_free_bytes: int = 81_400_000_000
    asked_keys: dict[str, Any] = field(default_factory=dict)
    reloads: int = 0
    polls: dict[str, PollOutcome] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    candidates: dict[str, tuple[FeedCandidate, ...]] = field(default_factory=dict)

    @property
    def catalog(self) -> MemoryCatalog:
        return MemoryCatalog(self.tables)

    def current(self) -> Loaded:
        return self.loaded

    def web(self, **settings: Any) -> "MemoryBackend":
        """Change settings.web of the running configuration."""
        config = self.loaded.config.model_dump(exclude={"channels"})
        web = config["settings"]["web"] | settings
        changed = self.loaded.config.settings.model_copy(
            update={"web": type(self.loaded.config.settings.web).model_validate(web)}
        )
        self.loaded = Loaded(self.loaded.config.model_copy(update={"settings": changed}), self.loaded.warnings)
        return self

    def loop_statuses(self) -> Sequence[LoopStatus]:
        now = self.clock.now()
        return tuple(
            LoopStatus(name=name, last_at=now - timedelta(seconds=age), timeout_s=30, late=name in self.late)
            for name, age in (("poll", 2), ("deliver", 1), ("configuration", 2), ("upkeep", 400))
        )

    async def test_channel(self, name: str) -> ChannelTest:
        if name not in self.loaded.config.channels:
            raise NotFound("channel", name, list(self.loaded.config.channels))
        wrong = self.broken.get(name, "")
        answers = (
            ChannelAnswer(recipient="#1", ok=True, detail="accepted"),
            ChannelAnswer(recipient="#2", ok=not wrong, detail=wrong),
        )
        test = ChannelTest(channel=name, at=self.clock.now(), answers=answers)
        await self.catalog.keep_channel_test(test)
        return test

    async def verify_subscription(self, callback: str, query: Mapping[str, str]) -> str | None:
        return query.get("hub.challenge") if callback == "known" else None

    async def receive_push(
        self,
        callback: str,
        content_type: str,
        signature: str,
        read: Callable[[], Awaitable[bytes]],
        size_bytes: int | None = None,
    ) -> Literal["taken", "ignored", "unknown"]:
        if callback != "known":
            return "unknown"
        return "taken" if signature == f"length={len(await read())}" else "ignored"

    def config_errors(self) -> tuple[str, ...]:
        return self.refused

    def database_fault(self) -> DatabaseFault | None:
        return self.fault

    async def findings(self) -> tuple[Finding, ...]:
        now = self.clock.now()
        backlog = await self.catalog.backlog(now)
        loops, fault = tuple(self.loop_statuses()), str(self.fault or "")
        refused = self.config_errors()
        return findings(
            Status(
                version="0.1.0",
                now_at=now,
                loops=loops,
                backlog=backlog,
                database_fault=fault,
                config_errors=refused,
                disk_free_bytes=self.disk_free_bytes,
                channels=frozenset(self.loaded.config.channels),
            )
        )

    async def status(self) -> Status:
        now = self.clock.now()
        healths = Counter(row.seen().health.value for row in self.tables.feeds.values())
        return Status(
            version="0.1.0",
            now_at=now,
            started_at=now - timedelta(days=6, hours=3),
            loops=tuple(self.loop_statuses()),
            feeds=tuple(healths.items()),
            lag_s=4.0,
            outbox=tuple((state.value, n) for state, n in (await self.catalog.outbox()).items()),
            last_alert_at=max((d.sent_at for d in self.tables.deliveries.values() if d.sent_at), default=None),
            stats=await self.catalog.stats(),
            disk_free_bytes=self.disk_free_bytes,
            database_fault=str(self.fault or ""),
            config_errors=self.config_errors(),
            channels=frozenset(self.loaded.config.channels),
            backlog=await self.catalog.backlog(now),
            versions=(("Python", "3.11.9"), ("SQLite", "3.46.1")),
        )

    def metrics(self) -> tuple[bytes, str]:
        return b"aggregator_up 1\n", "text/plain; version=0.0.4; charset=utf-8"

    async def reload(self) -> RulesCheck:
        self.reloads += 1
        return await self.check_rules("rules.yaml", self.text)

    def _file(self) -> RulesFile:
        return RulesFile(name="rules.yaml", text=self.text, digest=hashlib.sha256(self.text.encode()).hexdigest())

    async def rules_files(self) -> tuple[RulesFile, ...]:
        return (self._file(),)

    def file_for(self, name: str) -> str:
        return name

    async def check_rules(self, name: str, text: str) -> RulesCheck:
        if name != "rules.yaml":
            raise NotFound("file of rules", name, ["rules.yaml"])
        if "channels:" in text:
            raise Conflict("only rules and lists can be changed here, but line 1 (channels) is not as in rules.yaml")
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
        return RulesCheck(problems=problems, rules=ids)

    async def rule_item(self, rule_id: str) -> RuleItem:
        return config.item_of(await self.rules_files(), rule_id)

    def fill_rule(self, item: str, form: Mapping[str, str]) -> RuleItem:
        return config.filled(item, form, tuple(rule.id for rule in self.loaded.config.rules))

    async def edit_rule(self, edit: RuleEdit) -> EditedRules:
        return config.apply_edit(await self.rules_files(), edit)

    async def undo(self, undo_id: str) -> Undo:
        number = edit_of_undo(undo_id)
        if number is None:
            return await self.catalog.undo(undo_id, self.clock.now())
        try:
            edit = await self.catalog.edit(number)
        except NotFound:
            raise NotFound("change", undo_id, why="it was made too long ago, or never") from None
        await self.undo_edit(number)
        return Undo(id=undo_id, kind=f"edit of {edit.about or edit.file}", made_at=edit.at, count=1)

    async def undo_edit(self, edit_id: int) -> RulesFile:
        edit = await self.catalog.edit(edit_id)
        return await self._save(undone(self.text, edit), about=edit.about, undoes=edit.id)

    async def save_rules(self, name: str, text: str, expected_digest: str, *, about: str = "") -> RulesFile:
        verdict = await self.check_rules(name, text)
        if not verdict.ok:
            raise ConfigErrors(verdict.problems)
        if expected_digest != self._file().digest:
            raise Conflict("rules.yaml was changed on disk since you began to edit it; nothing was written")
        return await self._save(text, about=about)

    async def _save(self, text: str, *, about: str, undoes: int | None = None) -> RulesFile:
        edit = edit_between("rules.yaml", self.text, text, about=about, at=self.clock.now(), undoes=undoes)
        self.text = text
        if edit.removed or edit.added:
            edit = await self.catalog.add_edit(edit)
        return replace(self._file(), edit=edit.id)

    async def proposals(self, rule_id: str) -> tuple[Exclusion, ...]:
        found = await self.catalog.hits(HitFilter(rule=rule_id), limit=0)
        marks = Counter(detail.hit.mark for detail in found)
        if min(marks["relevant"], marks["irrelevant"]) < 10:
            return ()
        titles = tuple(detail.entry.title for detail in found if detail.hit.mark == "irrelevant")
        return (
            Exclusion(
                term="museum", irrelevant=len(titles), irrelevant_of=len(titles), relevant=0,
                relevant_of=marks["relevant"], unmarked=2, titles=titles[:3], query="S-400 NOT (museum NEAR/10 S-400)",
            ),
        )  # fmt: skip

    async def preview(self, name: str, text: str, since: datetime, until: datetime | None = None) -> Preview:
        verdict = await self.check_rules(name, text)
        if not verdict.ok:
            raise ConfigErrors(verdict.problems)
        entries = await self.catalog.entries(since=since, limit=0)
        if text == self.text or not entries:
            return Preview(since=since, entries=len(entries))
        samples = tuple(EntryMatch(entry=entry, feed_title=entry.feed) for entry in entries[:5])
        change = RuleChange(
            rule="s400-turkey",
            before=22,
            after=33,
            added=14,
            removed=3,
            added_samples=samples[:3],
            removed_samples=samples[3:],
        )
        return Preview(since=since, entries=len(entries), changes=(change,))

    async def matches(self, since: datetime) -> Preview:
        entries = {entry.id: entry for entry in await self.catalog.entries(since=since, limit=0)}
        changes = []
        for rule in self.loaded.config.rules:
            hits = [hit for hit in self.tables.hits.values() if hit.rule == rule.id and hit.entry_id in entries]
            samples = tuple(EntryMatch(entry=entries[hit.entry_id], feed_title=hit.feed) for hit in hits[:5])
            changes.append(
                RuleChange(rule=rule.id, before=0, after=len(hits), added=len(hits), removed=0, added_samples=samples)
            )
        return Preview(since=since, entries=len(entries), changes=tuple(changes))

    async def explain(self, detail: HitDetail) -> Explanation | None:
        clauses = (
            ExplainedClause(kind="any", text="S-400, SA-21 Growler", satisfied=True, spans=detail.hit.spans[:3]),
            ExplainedClause(kind="list", text="$turkey", satisfied=True, hint="found Ankara in the summary"),
            ExplainedClause(kind="not", text="none: cricket", satisfied=True, hint="not there"),
            ExplainedClause(kind="term", text="sanctions", satisfied=False, hint="found 'sanction': write sanction*"),
        )
        tree = ExplainedClause(kind="all", text="all of", satisfied=True, children=clauses)
        return Explanation(rule=detail.hit.rule, matched=True, excluded_by="", tree=tree, snippet=detail.hit.snippet)

    async def send_baseline(
        self, rule: str | None = None, *, wait_s: float = 0.0, undo: Undo | None = None
    ) -> BaselineSent:
        if rule and rule not in (names := [one.id for one in self.current().config.rules]):
            raise NotFound("rule", rule, names)
        names = [detail.hit.id for detail in await self.catalog.baseline(rule)]
        if not names:
            return BaselineSent(hits=0)
        now = self.clock.now()
        name, due_at = f"baseline-{now:%H%M%S%f}", now + timedelta(seconds=wait_s)
        made = Delivery(id=name, channel="console", hits=tuple(names), created_at=now, due_at=due_at)
        await self.catalog.report_baseline(names, [made], undo=undo)
        return BaselineSent(hits=len(names), deliveries=(made,))

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
        if query.count('"') % 2:
            problem = Problem(
                path=("query",), message="the phrase that begins here has no closing quote", offset=query.index('"')
            )
            raise InvalidRule("query", [problem])
        words = [w.strip('"*') for w in query.split() if w.isalnum() or "-" in w or w.endswith("*")]
        found = await self.catalog.search(
            [[w.casefold()] for w in words], since=since, until=until, by=by, limit=0, before=before
        )
        found = tuple(e for e in found if feed in ("", e.feed) and lang in ("", e.lang))[: limit or None]
        shown = tuple(
            EntryMatch(
                entry=e,
                feed_title=self.tables.feed_title(e.feed),
                spans=spans_of(e.title, "title", words) + spans_of(e.summary, "summary", words),
                snippet=e.summary,
            )
            for e in found
        )
        return SearchResult(found=shown, more=found[-1].id if len(found) == limit else None)

    async def split_hit(self, hit_id: str, *, wait_s: float = 0.0, undo: Undo | None = None) -> StoryChange:
        detail = await self.catalog.hit(hit_id)
        if detail.hit.story is None:
            raise Conflict(f"hit {hit_id} has no story")
        return StoryChange(story=detail.hit.story, other=f"{hit_id}-apart", hits=1, queued=1)

    async def join_stories(self, story_id: str, other_id: str, *, undo: Undo | None = None) -> StoryChange:
        (one, _), (other, details) = await self.catalog.story(story_id), await self.catalog.story(other_id)
        return StoryChange(story=one.id, other=other.id, hits=len(details))

    async def discover(self, url: str, keys: Mapping[str, Any] | None = None) -> Discovery:
        if "unreachable" in url:
            raise Unreachable(f"{url}: there is no such host", url=url)
        return Discovery(candidates=self.candidates.get(url, ()))

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
        self.asked_keys = dict(keys or {})
        feed_id = feed_id or "added"
        state = FeedState(id=feed_id, url=url, configured_url=url, title=title, next_poll_at=self.clock.now())
        self.tables.feeds[feed_id] = FeedRow(state)
        return FeedAdded(feed_id)

    async def change_feeds(self, changes: Mapping[str, Mapping[str, object] | None], *, about: str) -> int | None:
        known = {feed.id: feed for feed in self.loaded.config.feeds}
        for name, values in changes.items():
            if name not in known:
                raise NotFound("feed", name, list(known))
            if values is None:
                del known[name]
            else:
                row = known[name].model_dump(by_alias=True, exclude_defaults=True) | dict(values)
                try:
                    known[name] = Feed.model_validate({key: value for key, value in row.items() if value is not None})
                except ValidationError as error:
                    raise ConfigErrors(
                        [ConfigError(file="feeds.yaml", line=1, column=1, message=str(error.errors()[0]["msg"]))]
                    ) from None
        self.loaded = Loaded(self.loaded.config.model_copy(update={"feeds": tuple(known.values())}))
        return None

    async def poll_now(self, feed_id: str) -> PollOutcome | None:
        if feed_id not in self.tables.feeds:
            raise NotFound("feed", feed_id, list(self.tables.feeds))
        return self.polls.get(feed_id)

    async def import_opml(self, document: bytes) -> ImportResult:
        return ImportResult(added=("one", "two"), known=("three",), problems=("https://: this is not an address",))

    async def export_opml(self) -> str:
        return '<?xml version="1.0"?><opml version="2.0"><head/><body/></opml>'
