"""A full database for benchmarks: years of news, written straight into the store's tables.

Left out, because no page reads them: the memory of identities (`keys`, `aliases`).
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import yaml
from msgspec.structs import replace
from sqlalchemy import Connection, Table, create_engine, text

from aggregator.core.model import Delivery, DeliveryState, Entry, Fingerprint, Health, Hit, HitState, Span, Story
from aggregator.core.rules import index_text
from aggregator.store import mappers
from aggregator.store.column_types import Values
from aggregator.store.schema import attempts, deliveries, entries, feeds, hits, stories

BATCH = 20_000
VARIETY = 5_000
WORDS = re.findall(
    r"\w+",
    "minister talks border trade energy court vote army treaty harbour election budget strike pipeline missile "
    "summit sanctions embassy protest inflation drought railway satellite reactor convoy ceasefire tariff fleet "
    "parliament coalition verdict airport refinery corridor drone brigade export grain ferry senate deposit",
)
CHANNELS = ("desk", "night")
STATES = (DeliveryState.SENT,) * 94 + (DeliveryState.DEAD,) * 4 + (DeliveryState.SUPPRESSED,) * 2
WAITING = 40
SPREAD = 3  # hits to a story


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is written."""

    entries: int = 1_000_000
    feeds: int = 1_000
    hits: int = 50_000
    deliveries: int = 20_000
    rules: int = 40


def feed_id(number: int) -> str:
    return f"feed{number:05}"


def write_config(folder: Path, size: Size) -> None:
    """Feeds, rules and channels that fit what `fill` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = {
        "settings": {"settings": {"database": f"sqlite:///{folder}/full.db", "default_channels": ["desk"]}},
        "channels": {"channels": {name: {"service": "console"} for name in CHANNELS}},
        "feeds": {
            "feeds": [
                {"id": feed_id(n), "url": f"https://{feed_id(n)}.example/rss", "title": f"Outlet number {n}"}
                for n in range(size.feeds)
            ]
        },
        "rules": {"rules": [{"id": f"rule{n:03}", "any": [WORDS[n % len(WORDS)]]} for n in range(size.rules)]},
    }
    for name, document in documents.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def fill(path: Path, size: Size, now: datetime) -> None:
    """Fill a database that has its tables and its feeds. `now` is the instant of the newest entry."""
    engine = create_engine(f"sqlite:///{path}")
    draw = random.Random(1)
    with engine.begin() as connection:
        connection.execute(
            feeds.update().values(health=Health.OK.value, last_polled_at=now, last_ok_at=now, interval_s=900.0)
        )
        write_entries(connection, size, now, draw)
        write_hits(connection, size, now, draw)
        connection.execute(text("ANALYZE"))
    engine.dispose()


def write_entries(connection: Connection, size: Size, now: datetime, draw: random.Random) -> None:
    """Entries over two years, oldest first, with their full text."""
    samples = [_sample(draw, now) for _ in range(VARIETY)]
    folded = [index_text(entry) for entry in samples]
    plain = [mappers.entry_values(entry) for entry in samples]
    step = timedelta(days=730) / size.entries

    def made() -> Iterator[Values]:
        for number in range(size.entries):
            at = now - (size.entries - 1 - number) * step
            yield {
                **plain[number % VARIETY],
                "id": number + 1,
                "feed": feed_id(draw.randrange(size.feeds)),
                "key": f"{number:020x}",
                "link": f"https://example.org/{number}",
                "published_at": at,
                "seen_at": at,
            }

    _insert(connection, entries, made())
    words = [(number + 1, folded[number % VARIETY]) for number in range(size.entries)]
    cursor = connection.connection.cursor()
    cursor.executemany("INSERT INTO entry_text (rowid, folded) VALUES (?, ?)", words)


def write_hits(connection: Connection, size: Size, now: datetime, draw: random.Random) -> None:
    """Hits over the same time, their stories, and alerts of some of them."""
    every = size.entries // size.hits
    detail: list[tuple[Hit, str]] = []
    for row in connection.execute(
        entries.select().where(entries.c.id % every == 0).order_by(entries.c.id).limit(size.hits)
    ):
        detail.append((_hit(mappers.entry(row), len(detail), size, draw), row.title))
    _insert(
        connection,
        stories,
        (mappers.story_values(_story(detail[n : n + SPREAD])) for n in range(0, len(detail), SPREAD)),
    )
    _insert(connection, hits, (mappers.hit_values(hit, hit.entry_id or 0) for hit, _ in detail))
    alerted = detail[-size.deliveries :]
    sent = [_delivery(hit, title, len(alerted) - n, draw) for n, (hit, title) in enumerate(alerted)]
    _insert(connection, deliveries, map(mappers.delivery_values, sent))
    tries = ({"delivery": one.id, "number": 1, "started_at": one.due_at, "outcome": one.state.value} for one in sent)
    _insert(connection, attempts, ({**row, "ended_at": now, "detail": "accepted (200)"} for row in tries))


def _sample(draw: random.Random, now: datetime) -> Entry:
    def said(count: int) -> str:
        return " ".join(draw.choices(WORDS, k=count)).capitalize()

    return Entry(
        feed="", key="", title=said(8), summary=f"{said(24)}.", content=f"{said(30)}. Case {draw.randrange(10**6)}.",
        author="A. Writer", categories=("news",), seen_at=now, content_hash=draw.randbytes(16),
    )  # fmt: skip


def _hit(entry: Entry, number: int, size: Size, draw: random.Random) -> Hit:
    word = entry.title.split()[0]
    return Hit(
        id=f"{number:020x}",
        rule=f"rule{draw.randrange(size.rules):03}",
        feed=entry.feed,
        entry_key=entry.key,
        entry_id=entry.id,
        spans=(Span(field="title", start=0, end=len(word), text=word, term=word.lower()),),
        snippet=entry.title,
        story=f"story{number // SPREAD:08}",
        state=HitState.ALERTED if number % SPREAD == 0 else HitState.COLLAPSED,
        mark=draw.choice(("relevant", "irrelevant", None, None, None)),
        created_at=entry.seen_at,
    )


def _story(detail: list[tuple[Hit, str]]) -> Story:
    return Story(
        id=detail[0][0].story or "",
        title=detail[0][1],
        fingerprint=Fingerprint(title_key=detail[0][0].id),
        feeds=tuple(dict.fromkeys(hit.feed for hit, _ in detail)),
        alerted_rules=(detail[0][0].rule,),
        first_at=detail[0][0].created_at,
        last_at=detail[-1][0].created_at,
    )


def _delivery(hit: Hit, title: str, age: int, draw: random.Random) -> Delivery:
    """The newest ones wait still."""
    made = Delivery(
        id=hit.id, channel=draw.choice(CHANNELS), rules=(hit.rule,), hits=(hit.id,), story=hit.story, title=title,
        created_at=hit.created_at, due_at=hit.created_at, attempts=1,
    )  # fmt: skip
    if age <= WAITING:
        return replace(made, state=DeliveryState.HELD, reason="quiet hours", attempts=0)
    state = draw.choice(STATES)
    return replace(made, state=state, sent_at=hit.created_at if state is DeliveryState.SENT else None)


def _insert(connection: Connection, table: Table, made: Iterable[Values]) -> None:
    source = iter(made)
    while batch := list(islice(source, BATCH)):
        connection.execute(table.insert(), batch)
