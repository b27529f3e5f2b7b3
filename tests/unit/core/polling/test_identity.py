"""Keys and aliases: one entry keeps its key, two entries never share one."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aggregator.core.model import ParsedEntry
from aggregator.core.polling.identity import (
    content_hash,
    guid_is_repeated,
    identify,
    is_elsewhere,
    same_text,
    spellings,
    undecided,
)

MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ENTRY = ParsedEntry(guid="g", link="https://a.example/1", title="Title", summary="Text", published_at=MONDAY)


def key(entry: ParsedEntry, distrust_guid: bool = False) -> str:
    """The key of an entry that is alone in its document."""
    return identify([entry], distrust_guid)[0][0]


def aliases(entry: ParsedEntry) -> set[str]:
    """Its aliases."""
    return set(identify([entry], False)[0][1])


def test_a_key_is_short_and_opaque() -> None:
    """Sixteen bytes in the letters that a URL allows."""
    assert len(key(ENTRY)) == 22
    assert key(ENTRY).replace("-", "").replace("_", "").isalnum()


def test_the_guid_comes_first() -> None:
    """Nothing else matters while there is one; white space around it does not."""
    other = ParsedEntry(guid=" g\n", link="https://b.example/", title="Other")
    assert key(ENTRY) == key(other)


def test_the_link_comes_second() -> None:
    """Tracking, scheme and trailing slash are no difference, another page is."""
    entry = replace(ENTRY, guid=None)
    for same in ("http://a.example/1", "https://a.example/1/?utm_source=rss"):
        assert key(entry) == key(replace(entry, link=same, title="Other"))
    assert key(entry) != key(replace(entry, link="https://a.example/2"))


def test_fragments_name_entries_of_live_pages() -> None:
    """One address, many entries."""
    entry = replace(ENTRY, guid=None)
    assert key(replace(entry, link="https://a.example/live#1")) != key(replace(entry, link="https://a.example/live#2"))


def test_the_text_comes_last() -> None:
    """An entry without guid and link, or with the front page for a link, is what it says."""
    entry = replace(ENTRY, guid=None, link=None)
    assert key(entry) == key(replace(entry, published_at=None))
    assert key(entry) != key(replace(entry, summary="Other"))
    home = replace(entry, link="https://a.example/")
    assert key(home) != key(replace(home, title="Other"))


def test_distrusted_guids_are_not_asked() -> None:
    """Then link and title together are the key."""
    assert key(ENTRY, True) == key(replace(ENTRY, guid="other"), True)
    assert key(ENTRY, True) != key(replace(ENTRY, title="Other"), True)
    assert key(ENTRY, True) != key(replace(ENTRY, link="https://a.example/2"), True)


def test_a_repeated_guid_is_made_longer_by_what_differs() -> None:
    """Link, then date, then title; the order in the document says nothing."""
    twins = [
        ENTRY,
        replace(ENTRY, link="https://a.example/2"),
        replace(ENTRY, published_at=None),
        replace(ENTRY, title="Other"),
    ]
    keys = [found for found, _ in identify(twins, False)]
    assert len(set(keys)) == 4
    assert [found for found, _ in identify(twins[::-1], False)] == keys[::-1]


def test_verbatim_copies_are_one_entry() -> None:
    """And they keep the key that the entry has when it stands alone."""
    assert {found for found, _ in identify([ENTRY, ENTRY], False)} == {key(ENTRY)}


def test_aliases_outlive_a_new_guid() -> None:
    """Link and date, link and title, title and date: each pair is enough."""
    changes: list[dict[str, Any]] = [
        {"link": "https://a.example/1?session=2"},
        {"title": "Other"},
        {"published_at": None},
    ]
    for change in changes:
        assert aliases(ENTRY) & aliases(replace(ENTRY, guid="new", **change))


def test_a_title_alone_is_no_alias() -> None:
    """Every morning has its briefing."""
    tomorrow = replace(ENTRY, guid="h", link="https://a.example/2", published_at=MONDAY.replace(day=3))
    assert not aliases(ENTRY) & aliases(tomorrow)


def test_a_shared_link_alone_is_no_alias() -> None:
    """Undated entries that lead to one page are told apart by their titles."""
    one = replace(ENTRY, published_at=None)
    two = replace(one, guid="h", title="Other", summary="Else")
    (_, first), (_, second) = identify([one, two], False)
    assert not set(first) & set(second)


def test_repeated_guids_are_noticed() -> None:
    """Bad guids stand for different links; a copy is no proof."""
    assert guid_is_repeated([ENTRY, replace(ENTRY, link="https://a.example/2")])
    assert guid_is_repeated([replace(ENTRY, link=None), replace(ENTRY, link=None, title="Other")])
    assert not guid_is_repeated([ENTRY, replace(ENTRY, summary="Other"), replace(ENTRY, guid=None, link=None)])


def test_an_edit_is_an_edit_of_the_text() -> None:
    """Dates, links and tokens of files change without any."""
    before = content_hash(ENTRY)
    around: list[dict[str, Any]] = [{"published_at": None}, {"link": None}, {"guid": None}, {"updated_at": MONDAY}]
    for change in (*around, {"raw_hash": "x"}):
        assert same_text(before, content_hash(replace(ENTRY, **change)))
    inside: list[dict[str, Any]] = [{"title": "t"}, {"summary": "s"}, {"content": "c"}, {"author": "a"}]
    for change in (*inside, {"categories": ("c",)}):
        assert not same_text(before, content_hash(replace(ENTRY, **change)))
    file = replace(ENTRY, enclosures=("https://cdn.example/a.mp3?token=1",))
    assert same_text(content_hash(file), content_hash(replace(file, enclosures=("https://cdn.example/a.mp3?token=2",))))


def test_elsewhere_is_another_link_and_another_date() -> None:
    """A new address with the old date is the same entry."""
    moved = replace(ENTRY, link="https://a.example/2")
    later = replace(moved, published_at=MONDAY.replace(day=3))
    assert not is_elsewhere(content_hash(ENTRY), content_hash(moved))
    assert is_elsewhere(content_hash(ENTRY), content_hash(later))
    assert not is_elsewhere(content_hash(ENTRY), content_hash(replace(later, link=None)))


fields: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "guid": st.sampled_from([None, "a", "b"]),
        "link": st.sampled_from([None, "https://a.example/", "https://a.example/1", "https://a.example/2#x"]),
        "title": st.sampled_from(["", "one", "two"]),
        "summary": st.sampled_from(["", "text"]),
        "published_at": st.sampled_from([None, MONDAY]),
    }
)


def made_entry(given: dict[str, Any]) -> ParsedEntry:
    return ParsedEntry(**given)


@given(st.lists(fields.map(made_entry), max_size=6), st.booleans())
def test_entries_share_a_key_only_if_indistinguishable(entries: list[ParsedEntry], distrust_guid: bool) -> None:
    """In any document, whatever is missing."""
    found: dict[str, ParsedEntry] = {}
    for entry, (name, _) in zip(entries, identify(entries, distrust_guid), strict=True):
        other = found.setdefault(name, entry)
        assert (other.link, other.title, other.published_at) == (entry.link, entry.title, entry.published_at)
        assert distrust_guid or other.guid == entry.guid


@pytest.mark.parametrize("guid", ["https://a.example/1", "http://www.a.example/1", "https://www.a.example/1"])
def test_an_address_as_guid_has_other_spellings(guid: str) -> None:
    """A site that moves to https or to another of its names keeps its entries."""
    before = replace(ENTRY, guid="http://a.example/1")
    assert key(before) in spellings(replace(ENTRY, guid=guid), "https://a.example/feed")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("https://site.example/MyReport.pdf", "https://site.example/My%20Report.pdf"),
        ("https://site.example/a|b", "https://site.example/a%7Cb"),
        ("https://feeds.example/2026/first?x=1", "https://site.example/2026/first?x=1"),
    ],
)
def test_links_that_we_wrote_otherwise_before(before: str, now: str) -> None:
    """Entries named by their links are known again by what an older release made of them."""
    was = key(replace(ENTRY, guid=None, link=before))
    assert was in spellings(replace(ENTRY, guid=None, link=now), "https://feeds.example/feed")


def test_guids_that_we_resolved_before() -> None:
    """An older release took a guid for an address relative to the feed, unless it was said to be none."""
    was = key(replace(ENTRY, guid="https://feeds.example/dir/ep-1"))
    assert was in spellings(replace(ENTRY, guid="ep-1"), "https://feeds.example/dir/feed?key=1")
    assert spellings(replace(ENTRY, guid="//["), "https://feeds.example/") == ()


def test_nothing_else_has_another_spelling() -> None:
    """Other guids are what they are, and links of entries with guids do not matter."""
    assert spellings(replace(ENTRY, guid="tag:a.example,2026:1"), "https://feeds.example/feed") == ()
    assert spellings(replace(ENTRY, guid="urn:1", link="https://a.example/a%20b"), "https://f.example/") == ()


def test_keys_without_parameters_are_those_that_the_links_would_have() -> None:
    """One parameter or two of them, as far as the rest still names the entry in its document."""
    one = replace(ENTRY, guid=None, link="https://a.example/n;jsessionid=1?id=1&sid=x")
    two = replace(ENTRY, guid=None, link="https://a.example/n;jsessionid=2?id=2&sid=x")
    named = undecided([one, two], distrust_guid=False)[0]
    assert named[frozenset({"sid"})] == key(replace(one, link="https://a.example/n;jsessionid=1?id=1"))
    assert named[frozenset({"sid", ";jsessionid"})] == key(replace(one, link="https://a.example/n?id=1"))
    assert frozenset({"id", ";jsessionid"}) not in named
    assert identify([one], False, ["sid", ";jsessionid"])[0][0] == key(replace(one, link="https://a.example/n?id=1"))
    assert undecided([ENTRY], distrust_guid=False) == ({},)
