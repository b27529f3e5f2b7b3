"""Databases of any age for `benchmarks.growth`: made by statements over sets, in SQLite and PostgreSQL alike.

The stream is the same at every size, 13,700 entries a day from 1,000 feeds, so that 10⁷ entries are two years of it
and 10⁵ a week: what grows is the age of the installation. Rows have the lengths that real ones have: titles of 60
characters, summaries of 190, texts of 240 for 90 days and for what has hits (the default of `retention`), three
identities to an entry, a hit to every twentieth entry, a story to three hits, with its report, its keys and its alert.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine, text

from aggregator.core.model import NO_FREQUENCIES, Entry, Hit, HitState, Span
from aggregator.core.routing import describe
from aggregator.core.routing.story_index import lookup
from aggregator.core.rules import index_text
from aggregator.core.settings import Stories
from aggregator.store import mappers
from aggregator.store.column_types import Blob, JsonList, micros
from aggregator.store.counts import add_up
from benchmarks.archive import WORDS, feed_id

STEP = 6_307_200  # microseconds between entries: 10⁷ of them in 730 days
TEXTS = 90 * 86_400_000_000 // STEP  # the newest entries, which have their texts still
PER_HIT, PER_STORY = 20, 60  # entries to a hit, and to a story
RARE = 20  # entries that have the rare word, at every size
BATCH = 500_000
VARIETY = 2_003
NAMES = 20_000
SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvwxzy" for vowel in "aeiou"]

_made = MetaData()
samples = Table(
    "samples",
    _made,
    Column("n", Integer, primary_key=True),
    Column("title", Text),
    Column("summary", Text),
    Column("content", Text),
    Column("hash", Blob),
    Column("headline", Text),
    Column("folded", Text),
    Column("spans", JsonList),
    Column("fingerprint", JsonList),
    Column("features", JsonList),
    prefixes=["TEMPORARY"],
)
sample_keys = Table("sample_keys", _made, Column("n", Integer, index=True), Column("key", Text), prefixes=["TEMPORARY"])
names = Table("names", _made, Column("n", Integer, primary_key=True), Column("id", Text), prefixes=["TEMPORARY"])

NUMBERS = {
    "sqlite": (
        "WITH RECURSIVE numbers (i) AS (SELECT :first UNION ALL SELECT i + :by FROM numbers WHERE i + :by < :end)"
    ),
    "postgresql": "WITH numbers AS (SELECT i FROM generate_series(CAST(:first AS bigint), :end - 1, :by) AS i)",
}
# The place of an entry in the order of its random draws: 48271 and 16807 generate all numbers below 2³¹ - 1.
DRAWN = """
FROM numbers JOIN samples AS s ON s.n = (i * 16807 % 2147483647) % :variety
JOIN names AS f ON f.n = (i * 48271 % 2147483647) % :feeds
"""
AT = ":now - (:entries - i) * :step"
KEY = "(10000000000 + i * 48271 % 2147483647) || 'abcdefghijk'"
ALIASES = "'u' || (10000000000 + i * 16807 % 2147483647)", "'t' || (10000000000 + i * 69621 % 2147483647)"
WHOLE = f"(i > :entries - {TEXTS} OR i % {PER_HIT} = 0)"
ZANZIBAR = "CASE WHEN i % :gap = 0 THEN '{}' ELSE '' END"
RULE = f"'rule' || substr(CAST(1000 + i / {PER_HIT} % 40 AS text), 2)"
STORY = f"'story' || (100000000000000 + i / {PER_STORY})"
TITLE = f"s.title || {ZANZIBAR.format(' Zanzibar')}"

ENTRIES = f"""
INSERT INTO entries (id, feed, key, aliases, guid, link, title, summary, content, author, categories, enclosures, lang,
  published_at, updated_at, seen_at, content_hash, version, reason, has_text)
SELECT i, f.id, {KEY}, {ALIASES[0]} || ' ' || {ALIASES[1]}, 'https://' || f.id || '.example/' || i,
  'https://' || f.id || '.example/' || i, {TITLE}, CASE WHEN {WHOLE} THEN s.summary ELSE '' END,
  CASE WHEN {WHOLE} THEN s.content ELSE '' END, 'A. Writer', '["news"]', '[]', 'en', {AT} - 600000000, NULL, {AT},
  s.hash, 1, 'new', {WHOLE}
{DRAWN}
"""
KEYS = f"""
INSERT INTO keys (feed, key, content_hash, version, seen_at) SELECT f.id, {KEY}, s.hash, 1, {AT} {DRAWN} ORDER BY 1, 2
"""
ALIAS = f"INSERT INTO aliases (feed, key, seen_at) SELECT f.id, {{}}, {AT} {DRAWN} ORDER BY 1, 2"
FOLDED = f"CASE WHEN {WHOLE} THEN s.folded ELSE s.headline END || {ZANZIBAR.format(' zanzibar')}"
WORDS_OF = (
    f"CASE WHEN {WHOLE} THEN s.words ELSE s.title_words END"
    " || array_to_tsvector(CASE WHEN i % :gap = 0 THEN ARRAY['zanzibar'] ELSE CAST(ARRAY[] AS text[]) END)"
)
INDEX = {
    "sqlite": f"INSERT INTO entry_text (rowid, folded) SELECT i, {FOLDED} {DRAWN} ORDER BY i",
    "postgresql": f"INSERT INTO entry_text (entry, folded, words) SELECT i, ' ' || {FOLDED} || ' ', {WORDS_OF} {DRAWN}",
}
HITS = f"""
INSERT INTO hits (id, rule, feed, entry, entry_key, entry_version, spans, snippet, story, state, reason, mark,
  created_at, dated_at)
SELECT '000000000' || (10000000000 + i), {RULE}, f.id, i, {KEY}, 1, s.spans, {TITLE},
  {STORY}, CASE WHEN i % {PER_STORY} = 0 THEN '{HitState.ALERTED}' ELSE '{HitState.COLLAPSED}' END, '',
  CASE i / {PER_HIT} % 5 WHEN 0 THEN 'relevant' WHEN 1 THEN 'irrelevant' END, {AT}, {AT} - 600000000
{DRAWN}
"""
STORIES = f"""
INSERT INTO stories (id, title, fingerprint, feeds, told, first_at, last_at, alerted_at)
SELECT {STORY}, {TITLE}, s.fingerprint, '["' || f.id || '"]', '["' || {RULE} || '"]',
  {AT}, {AT} + {2 * PER_HIT} * :step, {AT}
{DRAWN}
"""
REPORTS = f"""
INSERT INTO reports (id, story, origin, feed, title, at, fingerprint, features)
SELECT {STORY}, {STORY}, {STORY}, f.id, {TITLE}, {AT}, s.fingerprint, s.features {DRAWN}
"""
STORY_KEYS = f"""
INSERT INTO story_keys (key, at, story) SELECT k.key, {AT}, {STORY} {DRAWN} JOIN sample_keys k ON k.n = s.n ORDER BY 1
"""
DELIVERIES = f"""
INSERT INTO deliveries (id, kind, channel, recipient, rules, hits, story, title, priority, state, reason, created_at,
  due_at, attempts, sent_at, repeat)
SELECT '000000000' || (10000000000 + i), 'hit', 'desk', '', '["' || {RULE} || '"]',
  '["000000000' || (10000000000 + i) || '"]', {STORY}, {TITLE}, 'normal', 'sent', '', {AT}, {AT}, 1, {AT}, 1 = 0
{DRAWN}
"""
DELIVERY_HITS = f"""
INSERT INTO delivery_hits (hit, delivery)
SELECT '000000000' || (10000000000 + i), '000000000' || (10000000000 + i) {DRAWN}
"""
ATTEMPTS = f"""
INSERT INTO attempts (delivery, number, started_at, ended_at, outcome, detail)
SELECT '000000000' || (10000000000 + i), 1, {AT}, {AT}, 'sent', 'accepted (200)' {DRAWN}
"""
POLLED = """
UPDATE feeds SET health = 'ok', health_since = :now, first_polled_at = :now, last_polled_at = :now, last_ok_at = :now,
  newest_at = :now, last_new_at = :now, interval_s = 900.0, gap_s = 900.0, items = 20, next_poll_at = :now + 900000000
"""


@dataclass(frozen=True, slots=True)
class Growth:
    """How much is written, and how it ends: `now` is the instant of the newest entry."""

    entries: int
    feeds: int
    now: datetime

    @property
    def bound(self) -> dict[str, Any]:
        """Return what the statements ask for."""
        gap = self.entries // RARE
        numbers = {"entries": self.entries, "feeds": self.feeds, "step": STEP, "variety": VARIETY, "gap": gap}
        return {"now": micros(self.now), **numbers}


def grow(url: str, size: Growth) -> None:
    """Fill a database that has its tables and its feeds, and nothing else."""
    engine = create_engine(url)
    kind = engine.dialect.name
    whole = [(statement, 1) for statement in (ENTRIES, KEYS, *map(ALIAS.format, ALIASES), INDEX[kind])]
    of_stories = (STORIES, REPORTS, STORY_KEYS, DELIVERIES, DELIVERY_HITS, ATTEMPTS)
    rest = [(HITS, PER_HIT), *((statement, PER_STORY) for statement in of_stories)]
    with engine.connect() as connection, _hurried(connection):
        _draw(connection, size)
        for statement, by in (*whole, *rest):
            first = 1 if by == 1 else PER_STORY
            for start in range(first, size.entries + 1, BATCH // PER_STORY * PER_STORY * by):
                end = min(size.entries + 1, start + BATCH // PER_STORY * PER_STORY * by)
                bound = size.bound | {"first": start, "by": by, "end": end}
                connection.execute(text(f"{_insert(statement, kind)}"), _asked(statement, bound))
                connection.commit()
        connection.execute(text(POLLED), {"now": micros(size.now)})
        if kind == "postgresql":
            add_up(connection)  # as the first upkeep does
            connection.execute(text("SELECT setval(pg_get_serial_sequence('entries', 'id'), max(id)) FROM entries"))
        connection.commit()
    engine.dispose()


def _insert(statement: str, kind: str) -> str:
    head, select, rest = statement.partition("SELECT")
    return f"{head} {NUMBERS[kind]} {select}{rest}"


def _asked(statement: str, bound: dict[str, Any]) -> dict[str, Any]:
    """Return what a statement names: drivers refuse more."""
    return {name: value for name, value in bound.items() if f":{name}" in statement or name in ("first", "by", "end")}


@contextmanager
def _hurried(connection: Connection) -> Iterator[None]:
    """Sync nothing meanwhile: a database that is not finished is thrown away."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SET synchronous_commit = off"))
        yield
        connection.execute(text("ANALYZE"))  # as autovacuum would, sooner or later
        connection.commit()
        return
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1500000", "temp_store = MEMORY"):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    made = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"
    indexes = connection.exec_driver_sql(made).all()
    for index in indexes:
        connection.exec_driver_sql(f"DROP INDEX {index.name}")
    yield
    for index in indexes:  # made at once, which takes a fraction of the time
        connection.exec_driver_sql(index.sql)
    connection.commit()
    connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def _draw(connection: Connection, size: Growth) -> None:
    """Make what all rows are drawn from."""
    draw = random.Random(1)
    invented = [*map(word, range(NAMES))]
    rows, keys = [], list[dict[str, Any]]()
    for n in range(VARIETY):
        entry = sample(draw, invented, size.now)
        first = entry.title.split()[0]
        spans = (Span(field="title", start=0, end=len(first), text=first, term=first.lower()),)
        hit = Hit(id="", rule="", feed="", entry_key="", spans=spans, snippet="", created_at=size.now)
        (report,) = describe([entry], [hit], size.now).values()
        rows.append(
            {
                "n": n,
                "title": entry.title,
                "summary": entry.summary,
                "content": entry.content,
                "hash": entry.content_hash,
                "headline": index_text(Entry(feed="", key="", title=entry.title, seen_at=size.now)),
                "folded": index_text(entry),
                "spans": mappers.hit_values(hit, 0)["spans"],
                "fingerprint": mappers.stories.fingerprint_list(report.fingerprint),
                "features": mappers.stories.features_list(report.features),
            }
        )
        keys += [{"n": n, "key": key} for key in set(lookup(report, NO_FREQUENCIES, Stories()))]
    _made.create_all(connection)
    connection.execute(samples.insert(), rows)
    connection.execute(sample_keys.insert(), keys)
    connection.execute(names.insert(), [{"n": n, "id": feed_id(n)} for n in range(size.feeds)])
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE samples ADD words tsvector, ADD title_words tsvector"))
        words = "array_to_tsvector(array_remove(string_to_array({}, ' '), ''))"
        cut = f"words = {words.format('folded')}, title_words = {words.format('headline')}"
        connection.execute(text(f"UPDATE samples SET {cut}"))
    connection.commit()


def word(number: int) -> str:
    """Return a word of its own for each number below a million."""
    return "".join(SYLLABLES[number // 100**place % 100] for place in range(3))


def sample(draw: random.Random, invented: list[str], now: datetime) -> Entry:
    """Draw an entry: common words, and names of which each is in a few only."""

    def said(common: int, rare: int) -> str:
        words = draw.choices(WORDS, k=common) + draw.choices(invented, k=rare)
        draw.shuffle(words)
        return " ".join(words).capitalize()

    return Entry(
        feed="", key="", title=said(4, 4), summary=f"{said(16, 8)}.", content=f"{said(24, 8)}.", author="A. Writer",
        categories=("news",), seen_at=now, content_hash=draw.randbytes(16), link="https://example.org/", lang="en",
    )  # fmt: skip
