"""Sample data on a backend: feeds, hits, stories, an outbox with every state, and thirty days of history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from aggregator.core.errors import ConfigError
from aggregator.core.model import (
    AlertKind,
    Attempt,
    Delivery,
    DeliveryState,
    Entry,
    FeedState,
    Fingerprint,
    Health,
    Hit,
    HitDetail,
    HitState,
    HostLimit,
    Notice,
    Reason,
    Silence,
    Story,
)
from aggregator.core.results import FeedCandidate
from aggregator.core.settings import Config
from tests.support.memory_backend import FixedClock, Loaded, MemoryBackend, plain_text, spans_of
from tests.support.memory_store import FeedRow, Tables

NOW = datetime(2026, 3, 5, 14, 20, tzinfo=UTC)

FEEDS = (
    ("tass", "TASS", "https://tass.example/rss.xml", Health.OK, 900.0),
    ("defense-news", "Defense News", "https://defensenews.example/arc/rss/", Health.OK, 1800.0),
    ("anadolu", "Anadolu Ajansı", "https://aa.example/tr/rss", Health.OK, 600.0),
    ("ofac", "OFAC Recent Actions", "https://ofac.example/rss", Health.OK, 3600.0),
    ("csis", "CSIS Analysis", "https://csis.example/analysis/feed", Health.SILENT, 21600.0),
    ("janes", "Janes", "https://janes.example/feeds/news", Health.BLOCKED, 7200.0),
    ("norsk", "Forsvarets forum", "https://forum.example/rss", Health.OK, 3600.0),
    ("cisa", "CISA Advisories", "https://cisa.example/advisories.xml", Health.OK, 1800.0),
    (
        "bloomquist",
        "Bloomquist on Arms Control",
        "https://bloomquist.example/feeds/posts/default",
        Health.FAILING,
        14400.0,
    ),
    ("oryx", "Oryx", "https://oryx.example/feeds/posts/default", Health.PAUSED, 3600.0),
)
ERRORS = {
    "janes": "403: a challenge of Cloudflare instead of the feed",
    "bloomquist": "connection refused; 7 tries in a row",
    "csis": None,
}
LEAD = "Putin and Erdogan discuss S-400 cooperation under threat of CAATSA sanctions"
NEWS_ITEMS = (
    (
        "tass",
        LEAD,
        (
            "The presidents of Russia and Türkiye spoke by telephone on Thursday about further S-400 deliveries to "
            "Ankara, the Kremlin said, hours after Washington renewed its warning of sanctions under CAATSA."
        ),
        12,
        "s400-turkey",
        "story-1",
    ),
    (
        "defense-news",
        "Erdogan, Putin talk S-400s as US weighs new CAATSA action",
        (
            "The presidents of Russia and Türkiye spoke by telephone about more S-400 deliveries to Ankara. US "
            "officials, who asked not to be named, said a decision under CAATSA could come within weeks."
        ),
        9,
        "s400-turkey",
        "story-1",
    ),
    (
        "norsk",
        "Putin og Erdogan drøfter S-400 under trussel om sanksjoner",
        "Presidentene snakket torsdag om flere S-400-leveranser til Ankara, opplyser Kreml.",
        4,
        "s400-turkey",
        "story-1",
    ),
    (
        "defense-news",
        "Lockheed delivers 100th F-35 under Lot 18 as sustainment costs climb",
        (
            "The company handed over the F-35 on Wednesday; the auditors' report due next week is expected to "
            "put the cost of sustainment above $1.6 trillion."
        ),
        71,
        "f35",
        None,
    ),
    (
        "cisa",
        "CVE-2026-21413: Ivanti Connect Secure stack overflow exploited in the wild",
        "A remote attacker can run code. Ivanti has released updates; agencies must apply them by 9 March.",
        133,
        "cve-edge",
        None,
    ),
    (
        "ofac",
        "Counter Russia-related designations; issuance of CAATSA section 231 determination",
        "The Department of State today added three entities to the list of specified persons under CAATSA section 231.",
        205,
        "caatsa",
        None,
    ),
    (
        "anadolu",
        "Ankara: S-400 sistemleri için yeni sözleşme yok",
        "Savunma Bakanlığı sözcüsü, Ankara'nın yeni bir S-400 sözleşmesi imzalamadığını söyledi.",
        1180,
        "s400-turkey",
        "story-2",
    ),
    (
        "tass",
        "Ankara denies signing a new contract for S-400 systems",
        "A spokesman of the ministry of defence said that Ankara has not signed a further contract for S-400 systems.",
        1165,
        "s400-turkey",
        "story-2",
    ),
    (
        "defense-news",
        "Greece clears purchase of 20 F-35 jets",
        "The parliament's committee voted 14 to 6. The first F-35 is to arrive in 2028.",
        1460,
        "f35",
        None,
    ),
)
TERMS = {
    "s400-turkey": ("S-400", "Ankara"),
    "caatsa": ("CAATSA",),
    "f35": ("F-35",),
    "cve-edge": ("CVE-2026-21413", "Ivanti"),
}
TITLES = {
    "s400-turkey": "S-400 and Turkey",
    "caatsa": "CAATSA sanctions",
    "f35": "F-35 programme",
    "cve-edge": "cve-edge",
}


def configuration(**web: Any) -> Config:
    """A small configuration that fits the news."""
    return Config.model_validate(
        {
            "feeds": [{"id": i, "url": u, "title": t, "tags": ["defence"]} for i, t, u, _, _ in FEEDS],
            "channels": {
                "console": {"service": "console"},
                "desk-email": {"url": ["mailtos://user:secret@smtp.example.org"], "quiet_hours": "22:00-07:00"},
            },
            "rules": [
                {
                    "id": "s400-turkey",
                    "title": "S-400 and Turkey",
                    "any": ["S-400", "SA-21 Growler"],
                    "all": ["$turkey"],
                    "none": ["cricket"],
                    "priority": "high",
                    "near": [{"terms": ["S-400", "$turkey"], "within": 12}],
                    "tests": {"match": ["Ankara takes delivery of S-400s"], "no_match": ["IBM AS-400 in Ankara"]},
                },
                {"id": "caatsa", "title": "CAATSA sanctions", "any": ["CAATSA"]},
                {"id": "f35", "title": "F-35 programme", "any": ["F-35"], "feeds": {"tags": ["defence"]}},
                {"id": "cve-edge", "query": "title:CVE-2026* AND (Fortinet OR Ivanti)", "deliver": "hourly"},
                {"id": "hypersonic", "title": "Hypersonic weapons", "any": ["hypersonic"], "enabled": False},
            ],
            "lists": {"turkey": ["Turkey", "Türkiye", "Ankara"]},
            "settings": {"web": web},
        }
    )


def detail_of(
    number: int, feed: str, title: str, summary: str, at: datetime, rule: str, story: str | None = None, **hit: Any
) -> HitDetail:
    """One telling with its evidence."""
    names = {feed_id: name for feed_id, name, *_ in FEEDS}
    terms = TERMS.get(rule, ())
    entry = Entry(
        id=number,
        feed=feed,
        key=f"key-{number}",
        title=title,
        summary=summary,
        seen_at=at,
        link=f"https://{feed}.example/2026/03/{number}",
        published_at=at - timedelta(minutes=3),
        reason=Reason.NEW,
    )
    made = Hit(
        id=f"{number:08x}",
        rule=rule,
        feed=feed,
        entry_key=entry.key,
        entry_id=number,
        story=story,
        created_at=at,
        spans=spans_of(title, "title", terms) + spans_of(summary, "summary", terms),
        snippet=summary,
        **hit,
    )
    return HitDetail(hit=made, entry=entry, feed_title=names.get(feed, feed), rule_title=TITLES.get(rule, rule))


def _add(tables: Tables, detail: HitDetail) -> None:
    tables.hits[detail.hit.id] = detail.hit
    tables.entries[detail.entry.id or 0] = detail.entry


def _news(tables: Tables, now: datetime) -> None:
    number = 5000
    for feed, title, summary, minutes, rule, story in NEWS_ITEMS:
        number += 1
        first = story is None or not any(hit.story == story for hit in tables.hits.values())
        state = HitState.ALERTED if first else HitState.COLLAPSED
        _add(
            tables, detail_of(number, feed, title, summary, now - timedelta(minutes=minutes), rule, story, state=state)
        )
    second = detail_of(5001, "tass", LEAD, NEWS_ITEMS[0][2], now - timedelta(minutes=12), "caatsa", "story-1")
    _add(tables, structs.replace(second, hit=structs.replace(second.hit, id="caatsa-5001", state=HitState.COLLAPSED)))
    held = detail_of(
        5020,
        "csis",
        "How the S-400 changed Ankara's options",
        "A retrospective from 2019 on the S-400 purchase by Ankara.",
        now - timedelta(hours=26),
        "s400-turkey",
        state=HitState.HELD,
        reason="older than 7 d",
    )
    _add(tables, held)
    for story, title in (("story-1", LEAD), ("story-2", NEWS_ITEMS[6][1])):
        mine = [hit for hit in tables.hits.values() if hit.story == story]
        at = [hit.created_at for hit in mine]
        tables.stories[story] = Story(
            id=story,
            title=title,
            fingerprint=Fingerprint(),
            feeds=tuple(dict.fromkeys(hit.feed for hit in mine)),
            alerted_rules=("s400-turkey",),
            first_at=min(at),
            last_at=max(at),
        )


def _past(tables: Tables, now: datetime) -> None:
    """Thirty days of older hits and entries, by a small recurrence instead of chance."""
    seed, number = 7, 100
    for back in range(2, 30):
        for index, (feed, *_) in enumerate(FEEDS):
            seed = (seed * 1103515245 + 12345) % 2**31
            for copy in range((seed >> 8) % 4):
                number += 1
                at = now - timedelta(days=back, hours=index, minutes=17 * copy)
                rule = ("s400-turkey", "f35", "caatsa", "cve-edge")[(seed >> 4) % 4]
                detail = detail_of(
                    number,
                    feed,
                    f"Earlier report {number} on {TITLES[rule]}",
                    f"What {feed} wrote that day about {TERMS[rule][0]}.",
                    at,
                    rule,
                )
                tables.entries[number] = detail.entry
                if (seed >> 12) % 3 == 0:
                    mark = (None, "relevant", "relevant", "irrelevant")[(seed >> 16) % 4]
                    _add(tables, structs.replace(detail, hit=structs.replace(detail.hit, mark=mark)))


def _feeds(tables: Tables, now: datetime) -> None:
    for index, (feed, title, url, health, interval) in enumerate(FEEDS):
        bad = health in (Health.FAILING, Health.BLOCKED)
        state = FeedState(
            id=feed,
            url=url,
            configured_url=url,
            title=title,
            health=health,
            health_since=now - timedelta(hours=3 + 9 * index),
            failing_since=now - timedelta(hours=31) if bad else None,
            last_polled_at=now - timedelta(minutes=2 + 3 * index),
            last_ok_at=now - timedelta(minutes=2 + 3 * index),
            last_new_at=now - timedelta(minutes=12 + 40 * index),
            next_poll_at=now + timedelta(minutes=13 - 2 * index),
            last_status=403 if feed == "janes" else 200,
            failures=7 if bad else 0,
            last_error=ERRORS.get(feed),
            interval_s=interval,
            gap_s=interval * 4,
            parse_levels=(912 - index, 40, 12, 0, 66 + index),
        )
        tables.feeds[feed] = FeedRow(state, title=title)
    tables.hosts["janes.example"] = HostLimit(
        host="janes.example", not_before=now + timedelta(minutes=48), reason="429, Retry-After"
    )


def _outbox(tables: Tables, now: datetime) -> None:
    rows: tuple[tuple[str, str, DeliveryState, dict[str, Any]], ...] = (
        ("00001389", "console", DeliveryState.SENT, {"attempts": 1}),
        (
            "00001389",
            "desk-email",
            DeliveryState.RETRY,
            {
                "attempts": 3,
                "last_error": "421: too many connections from your address",
                "due_at": now + timedelta(minutes=4),
            },
        ),
        (
            "0000138c",
            "desk-email",
            DeliveryState.HELD,
            {"reason": "quiet hours until 07:00", "due_at": now + timedelta(hours=5)},
        ),
        (
            "0000138d",
            "ops-chat",
            DeliveryState.DEAD,
            {"attempts": 11, "last_error": "404: this webhook was deleted; write its new address to channels.yaml"},
        ),
        (
            "0000138e",
            "desk-email",
            DeliveryState.PENDING,
            {"due_at": now + timedelta(minutes=40), "reason": "digest, hourly"},
        ),
        ("0000138f", "console", DeliveryState.SUPPRESSED, {"reason": "silenced: travelling"}),
    )
    for index, (hit, channel, state, more) in enumerate(rows):
        detail = tables.hits[hit]
        at = detail.created_at
        values: dict[str, Any] = {"due_at": at, "sent_at": at if state is DeliveryState.SENT else None} | more
        made = Delivery(
            id=f"d{index}",
            channel=channel,
            rules=(detail.rule,),
            hits=(hit,),
            title=tables.entries[detail.entry_id or 0].title,
            story=detail.story,
            state=state,
            created_at=at,
            **values,
        )
        tables.deliveries[made.id] = made
        for n in range(min(made.attempts, 3)):
            tables.attempts[made.id, n + 1] = Attempt(
                delivery=made.id,
                number=n + 1,
                started_at=at + timedelta(minutes=n),
                ended_at=at + timedelta(minutes=n),
                outcome="sent" if state is DeliveryState.SENT else "retry",
                detail=made.last_error or "accepted",
            )
    notice = Notice(
        title="Janes blocks us", body="403: a challenge of Cloudflare instead of the feed, since 5 March 07:20."
    )
    tables.deliveries["d9"] = Delivery(
        id="d9",
        kind=AlertKind.HEALTH,
        channel="console",
        title=notice.title,
        notice=notice,
        state=DeliveryState.SENT,
        attempts=1,
        created_at=now - timedelta(hours=7),
        due_at=now - timedelta(hours=7),
        sent_at=now - timedelta(hours=7),
    )


def sample_tables(now: datetime = NOW, **web: Any) -> MemoryBackend:
    """A desk with feeds, hits, stories, an outbox with every state, and thirty days behind it."""
    tables = Tables(index_text=plain_text)
    _past(tables, now)
    _news(tables, now)
    _feeds(tables, now)
    _outbox(tables, now)
    tables.silences[1] = Silence(
        id=1, rule="f35", until_at=now + timedelta(hours=5), reason="air show week", created_at=now
    )
    warning = ConfigError(
        file="rules.yaml",
        line=26,
        column=5,
        severity="warning",
        message="rule hypersonic is off",
        hint="enabled: true turns it on",
    )
    site = "https://bloomquist.example"
    titles = ("Treaty verification by satellite", "Three numbers from the budget", "What a test ban would need")
    found = FeedCandidate(
        url=f"{site}/feeds/posts/default",
        title="Bloomquist on Arms Control",
        entries=25,
        newest_at=now - timedelta(days=2),
        titles=titles,
    )
    return MemoryBackend(
        tables=tables,
        clock=FixedClock(now),
        loaded=Loaded(configuration(**web), (warning,)),
        candidates={site: (found, replace(found, url=FEEDS[0][2], title="TASS", existing_id="tass"))},
    )


def long_names() -> MemoryBackend:
    """The same with what is as long as it may be: a word without an end, a host, forty rules with ids of a hundred."""
    backend = sample_tables()
    tables, word = backend.tables, "Donaudampfschiff" * 20
    hit = tables.hits["00001389"]
    host = f"https://{'a-long-label-' * 4}x.{'another-' * 6}x.example/"
    entry = tables.entries[hit.entry_id or 0]
    tables.entries[hit.entry_id or 0] = structs.replace(entry, title=word, summary=word, link=host)
    for number in range(40):
        tables.hits[f"many-{number}"] = structs.replace(hit, id=f"many-{number}", rule="r" * 96 + f"-{number}")
    tables.stories["story-1"] = structs.replace(tables.stories["story-1"], title=word)
    tables.deliveries["d3"] = structs.replace(tables.deliveries["d3"], title=word, channel="c" * 100, last_error=word)
    return backend


def first_day() -> MemoryBackend:
    """The same after the first polls: every hit was already there, and nobody was alerted yet."""
    backend = sample_tables()
    tables = backend.tables
    tables.deliveries = {name: one for name, one in tables.deliveries.items() if not one.sent_at}
    tables.hits = {
        name: structs.replace(hit, state=HitState.HELD, reason="baseline") for name, hit in tables.hits.items()
    }
    return backend
