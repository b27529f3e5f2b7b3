"""New entries: none lost, at most one alert each, whatever a feed does to its guids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from aggregator.core.model import Entry, FeedState, ParsedEntry, ParsedFeed, ParseLevel, Reason, StoredKey
from aggregator.core.polling.new_entries import NewEntries, find_new_entries, names
from aggregator.core.values import FirstPoll

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
URL = "https://feeds.example/f"
NEVER_POLLED = FeedState(id="f", url=URL, configured_url=URL)


@dataclass
class Memory:
    """A store's memory of one feed, and the state that a poll leaves behind."""

    state: FeedState = NEVER_POLLED
    entries: dict[str, Entry] = field(default_factory=dict)
    aliases: set[str] = field(default_factory=set)
    alerts: list[str] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    now: datetime = NOW
    first_poll: FirstPoll = "silent"
    flood_limit: int = 20

    def poll(self, *entries: ParsedEntry, items: int | None = None, partial: bool = False) -> NewEntries:
        """One poll: what is news is stored, and what may alert is counted."""
        parsed = ParsedFeed(
            parse_level=ParseLevel.FULL, entries=entries, items=len(entries) if items is None else items
        )
        named = names(entries, self.state)
        wanted = set(named.keys)
        known = {
            key: StoredKey(key=key, content_hash=entry.content_hash, version=entry.version)
            for key, entry in self.entries.items()
            if key in wanted
        }
        known_aliases = frozenset(named.aliases) & (self.aliases | set(self.entries))
        found = find_new_entries(
            parsed,
            named,
            known,
            known_aliases,
            state=self.state,
            first_poll=self.first_poll,
            flood_limit=self.flood_limit,
            now=self.now,
            partial=partial,
        )
        for entry in found.entries:
            self.entries[entry.key] = entry
            self.aliases |= set(entry.aliases)
            self.texts.add(entry.title)
            if entry.reason is Reason.NEW:
                self.alerts.append(entry.title)
        self.now += timedelta(minutes=15)
        self.state = replace(
            self.state,
            last_ok_at=self.now,
            items=parsed.items,
            distrust_guid=found.distrust_guid,
            volatile=found.volatile,
        )
        return found


def entry(name: str, **given: object) -> ParsedEntry:
    """A well-behaved entry; dates follow the name."""
    fields: dict[str, object] = {
        "guid": f"id-{name}",
        "link": f"https://feeds.example/{name}",
        "title": f"Title {name}",
        "summary": f"Text {name}",
        "published_at": NOW - timedelta(hours=30) + timedelta(minutes=sum(map(ord, name))),
    }
    return ParsedEntry(**(fields | given))  # type: ignore[arg-type]


def reasons(found: NewEntries) -> list[Reason]:
    """Why each entry was kept."""
    return [kept.reason for kept in found.entries]


def test_the_first_poll_is_silent() -> None:
    """A baseline is stored and not alerted; the next new entry is."""
    feed = Memory()
    assert reasons(feed.poll(entry("a"), entry("b"))) == [Reason.BASELINE] * 2
    assert reasons(feed.poll(entry("c"), entry("a"), entry("b"))) == [Reason.NEW]


def test_the_first_poll_may_alert() -> None:
    """If the operator says so: on everything, or on what is young enough."""
    assert reasons(Memory(first_poll="alert").poll(entry("a"))) == [Reason.NEW]
    young, old, undated = (
        entry("a", published_at=NOW - timedelta(hours=1)),
        entry("b", published_at=NOW - timedelta(hours=25)),
        entry("c", published_at=None),
    )
    assert reasons(Memory(first_poll=86400.0).poll(young, old, undated)) == [
        Reason.NEW,
        Reason.BASELINE,
        Reason.BASELINE,
    ]


def test_a_feed_that_began_empty_has_had_its_baseline() -> None:
    """The first entry of a new feed is news."""
    feed = Memory()
    feed.poll()
    assert reasons(feed.poll(entry("a"))) == [Reason.NEW]


def test_an_edit_is_a_new_version() -> None:
    """Changed text, next version, no alert by itself."""
    feed = Memory()
    feed.poll(entry("a"), entry("b"))
    found = feed.poll(entry("a", summary="Corrected"), entry("b"))
    assert reasons(found) == [Reason.CHANGED]
    assert found.entries[0].version == 2
    assert feed.poll(entry("a", summary="Corrected"), entry("b")).entries == ()


def test_touched_dates_and_links_are_no_edit() -> None:
    """Nothing that a reader sees has changed."""
    feed = Memory()
    feed.poll(entry("a"))
    assert feed.poll(entry("a", published_at=NOW, link="https://feeds.example/a?session=9")).entries == ()


def test_a_flood_makes_one_digest() -> None:
    """More unseen entries than the limit are stored, none alerts alone."""
    feed = Memory(flood_limit=3)
    feed.poll(entry("a"))
    found = feed.poll(*(entry(f"n{number}") for number in range(4)), entry("a"))
    assert found.flood
    assert reasons(found) == [Reason.FLOOD] * 4
    assert not feed.poll(*(entry(f"m{number}") for number in range(3)), entry("a")).flood


def test_a_window_of_unknown_entries_is_a_gap() -> None:
    """When nothing is known any more, entries were missed; a 226 or one known entry proves otherwise."""
    feed = Memory()
    feed.poll(entry("a"), entry("b"), entry("c"))
    assert feed.poll(entry("d"), entry("e"), entry("f")).gap
    assert not feed.poll(entry("g"), entry("h"), entry("f")).gap
    assert not feed.poll(entry("i"), entry("j"), entry("k"), partial=True).gap
    assert not feed.poll(entry("l"), entry("m"), entry("n"), items=9).gap


def test_a_date_in_the_future_is_kept_and_not_believed() -> None:
    """It stands where it was seen, else it would be on top for years; who asks is told what it says."""
    feed = Memory()
    found = feed.poll(entry("a", published_at=NOW + timedelta(days=400), updated_at=NOW + timedelta(days=1)))
    stored = found.entries[0]
    assert (stored.published_at, stored.updated_at) == (NOW + timedelta(days=400), NOW)
    assert (stored.dated_at, stored.is_from_future) == (NOW, True)
    ahead = feed.poll(entry("b", published_at=NOW + timedelta(hours=3))).entries[0]
    assert (ahead.dated_at, ahead.is_from_future) == (ahead.seen_at, False)


def test_what_was_forgotten_by_the_feed_is_remembered_here() -> None:
    """A feed that empties and returns tells nothing new."""
    feed = Memory()
    feed.poll(entry("a"), entry("b"))
    feed.poll()
    assert feed.poll(entry("a"), entry("b")).entries == ()


def step(*names: str, **given: object) -> list[ParsedEntry]:
    """A document of these entries, all changed in the same way."""
    return [entry(name, **given) for name in names]


def numbered(polls: Sequence[Sequence[str]], make: Callable[[str, int], ParsedEntry]) -> list[list[ParsedEntry]]:
    """Documents in which an entry may look different at each poll."""
    return [[make(name, number) for name in names] for number, names in enumerate(polls)]


WINDOWS = [["a", "b", "c", "d"], ["e", "a", "b", "c"], ["f", "e", "a", "b"], ["f", "e", "a", "b"], ["f", "e", "d", "c"]]
PATHOLOGIES: dict[str, list[list[ParsedEntry]]] = {
    "none": numbered(WINDOWS, lambda name, _: entry(name, guid=None)),
    "none, nor links": numbered(WINDOWS, lambda name, _: entry(name, guid=None, link=None)),
    "none, one link for all": numbered(WINDOWS, lambda name, _: entry(name, guid=None, link="https://feeds.example/")),
    "all equal": numbered(WINDOWS, lambda name, _: entry(name, guid="1")),
    "all equal, links too": numbered(WINDOWS, lambda name, _: entry(name, guid="1", link="https://feeds.example/page")),
    "changing with the headline": numbered(
        WINDOWS, lambda name, n: entry(name, guid=f"{name}-{n}" if name == "a" else name, title=f"Title {name} {n}")
    ),
    "changing with every poll": numbered(WINDOWS, lambda name, n: entry(name, guid=f"{name}-{n}")),
    "changing, and dates are now": numbered(
        WINDOWS, lambda name, n: entry(name, guid=f"{name}-{n}", published_at=NOW + timedelta(minutes=n))
    ),
    "http and https": numbered(
        WINDOWS, lambda name, n: entry(name, guid=f"http{'s' * (n % 2)}://feeds.example/{name}")
    ),
    "http and https, as links": numbered(
        WINDOWS, lambda name, n: entry(name, guid=None, link=f"http{'s' * (n % 2)}://feeds.example/{name}")
    ),
    "with a session number": numbered(
        WINDOWS, lambda name, n: entry(name, guid=None, link=f"https://feeds.example/{name}?sid={n}")
    ),
    "with tracking": numbered(
        WINDOWS, lambda name, n: entry(name, guid=None, link=f"https://feeds.example/{name}?utm_campaign={n}")
    ),
    "repeated in one document": numbered([[*names, *names] for names in WINDOWS], lambda name, _: entry(name)),
    "white space": numbered(WINDOWS, lambda name, n: entry(name, guid=f"{' ' * n}id {' ' * n}{name}\n")),
    "changed scheme for all at once": numbered(
        WINDOWS, lambda name, n: entry(name, guid=f"{'urn:' if n > 1 else 'tag:'}{name}")
    ),
    "top entries that return": numbered(
        [["a", "b", "c"], ["b", "d", "a"], ["c", "e", "b"], ["a", "d", "f"]], lambda name, _: entry(name)
    ),
    "undated": numbered(WINDOWS, lambda name, _: entry(name, published_at=None)),
    "undated and changing": numbered(WINDOWS, lambda name, n: entry(name, guid=f"{name}{n}", published_at=None)),
}


@pytest.mark.parametrize("case", PATHOLOGIES)
def test_no_entry_is_lost_and_none_alerts_twice(case: str) -> None:
    """Every entry after the baseline alerts once, whatever happens to its guid."""
    feed, documents = Memory(), PATHOLOGIES[case]
    for document in documents:
        feed.poll(*document)
    baseline = {found.summary for found in documents[0]}
    later = {found.summary for document in documents for found in document} - baseline
    stored = {found.summary for found in feed.entries.values()}
    assert stored == baseline | later
    alerted = [found.split()[1] for found in feed.alerts]
    assert sorted(alerted) == sorted(text.split()[1] for text in later)


def test_a_guid_that_is_used_again_is_another_entry() -> None:
    """After deletion, a new entry took the old one's guid; an edit of it is an edit, not news."""
    feed = Memory()
    feed.poll(entry("a"), entry("b"))
    feed.poll(entry("b"))
    assert reasons(feed.poll(entry("z", guid="id-a"), entry("b"))) == [Reason.NEW]
    assert feed.poll(entry("z", guid="id-a"), entry("b")).entries == ()
    assert feed.alerts == ["Title z"]
    assert {kept.title for kept in feed.entries.values()} == {"Title a", "Title b", "Title z"}


def test_a_new_headline_and_address_under_the_same_guid_is_an_edit() -> None:
    """Editors rename things; the date stays."""
    feed = Memory()
    feed.poll(entry("a"), entry("b"))
    renamed = entry("a", title="Better headline", link="https://feeds.example/better")
    assert reasons(feed.poll(renamed, entry("b"))) == [Reason.CHANGED]


def test_recurring_titles_are_news_every_time() -> None:
    """A briefing a day keeps its title, not its date or address."""
    feed = Memory()
    for day in range(4):
        feed.poll(entry(str(day), title="Morning briefing", published_at=NOW + timedelta(days=day)))
    assert feed.alerts == ["Morning briefing"] * 3


def test_updates_of_a_live_page_are_news() -> None:
    """One address, a new guid, title and date each."""
    feed = Memory()
    for number in range(4):
        feed.poll(
            *(entry(str(n), link="https://feeds.example/live") for n in reversed(range(number + 1))),
        )
    assert feed.alerts == ["Title 1", "Title 2", "Title 3"]


def test_a_report_that_keeps_page_and_headline_is_news_each_day() -> None:
    """A new guid, date and text; a copy of one of them under another guid is not."""
    feed = Memory()
    for day in range(4):
        when = NOW + timedelta(days=day)
        report = entry(str(day), title="Situation report", link="https://feeds.example/sitrep", published_at=when)
        feed.poll(report)
    assert feed.alerts == ["Situation report"] * 3
    copied = replace(report, guid="copied", published_at=NOW + timedelta(days=9))
    assert reasons(feed.poll(copied)) == [Reason.ALIAS]


@pytest.mark.parametrize("updated", [True, False])
def test_a_report_without_a_date_of_publication_is_news_each_day(updated: bool) -> None:
    """An Atom entry needs only the date of its last change, a simple feed has none at all."""
    feed = Memory()
    for day in range(4):
        when = NOW + timedelta(days=day) if updated else None
        report = entry(str(day), title="Daily", link="https://feeds.example/d", published_at=None, updated_at=when)
        feed.poll(report)
    assert feed.alerts == ["Daily"] * 3
    assert reasons(feed.poll(replace(report, guid="copied"))) == [Reason.ALIAS]


def test_bad_guids_of_undated_entries_are_learnt_although_their_texts_change() -> None:
    """Most of a document has links and titles that are known."""
    feed = Memory()
    for number in range(4):
        feed.poll(
            *(
                entry(name, guid=f"{name}{number}", published_at=None, summary=f"{number} comments on {name}")
                for name in "abcd"
            )
        )
    assert feed.state.distrust_guid
    assert feed.alerts == []


@pytest.mark.parametrize("moved", ["https://feeds.example/{}", "https://www.feeds.example/{}"])
def test_guids_of_a_site_that_moved_are_those_of_known_entries(moved: str) -> None:
    """Nothing is stored again, and an edit is an edit of the entry that was there."""
    feed = Memory()
    feed.poll(*(entry(name, guid=f"http://feeds.example/{name}") for name in "ab"))
    assert feed.poll(*(entry(name, guid=moved.format(name)) for name in "ab")).entries == ()
    edited = feed.poll(entry("a", guid=moved.format("a"), summary="Other text"))
    assert [(kept.reason, kept.version) for kept in edited.entries] == [(Reason.CHANGED, 2)]
    assert len(feed.entries) == 2


@pytest.mark.parametrize(
    "link",
    [
        "https://feeds.example/n?id={name}&PHPSESSID={poll}",
        "https://feeds.example/n?id={name}&a={poll}&b={poll}",
        "https://feeds.example/{name};jsessionid={poll}?x=1",
        "https://feeds.example/{name}?t={poll}",
        "https://feeds.example/(S(lit{poll}py55))/{name}.aspx",
        "https://feeds.example/{name}?f3a9{poll}",
    ],
)
@pytest.mark.parametrize("dated", [True, False])
def test_sessions_in_links_make_nothing_new(link: str, dated: bool) -> None:
    """The parameter is learnt at the second poll; what comes afterwards is news once."""
    feed = Memory()
    for poll, window in enumerate(["abcd", "abcd", "eabc", "feab"]):
        made = [entry(name, guid=None, link=link.format(name=name, poll=poll)) for name in window]
        feed.poll(*(made if dated else [replace(one, published_at=None) for one in made]))
    assert len(feed.entries) == 6
    assert feed.alerts == ["Title e", "Title f"]


def test_a_feed_of_one_entry_needs_a_parameter_that_is_called_a_session() -> None:
    """Too little to learn from, but for the names that sessions have."""
    for name, stored in (("PHPSESSID", 1), ("page", 3)):
        feed = Memory()
        for poll in range(3):
            feed.poll(entry("a", guid=None, link=f"https://feeds.example/n?{name}={poll}"))
        assert len(feed.entries) == stored


def test_a_page_for_each_day_is_no_session() -> None:
    """All links changed in one parameter, and so did dates and texts: these are other entries."""
    feed = Memory()
    for day in range(3):
        feed.poll(
            *(
                entry(
                    f"{town} {day}", title=f"Weather in {town}", guid=None, link=f"https://w.example/?t={town}&d={day}"
                )
                for town in ("Oslo", "Rome", "Riga", "Bern")
            )
        )
    assert feed.state.volatile == ()
    assert len(feed.alerts) == 8


def test_a_post_without_a_title_gets_its_first_words() -> None:
    """What identifies it is still what the feed said."""
    feed = Memory()
    post = entry("a", title="", summary="Ankara keeps the systems, says the ministry. Washington answers.")
    found = feed.poll(post)
    assert found.entries[0].title == "Ankara keeps the systems, says the ministry"
    assert feed.poll(post).entries == ()


def test_an_update_alone_dates_an_entry() -> None:
    """Atom asks for nothing else, and Dublin Core has one date."""
    found = Memory().poll(entry("a", published_at=None, updated_at=NOW - timedelta(days=1)))
    assert found.entries[0].published_at == NOW - timedelta(days=1)
