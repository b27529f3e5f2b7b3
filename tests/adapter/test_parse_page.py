"""List pages read by selectors, given or guessed."""

from pathlib import Path

import pytest

from aggregator.parse.html import selector_problem
from aggregator.parse.workers.protocol import How
from tests.support.read import PUBLISHED, SUMMARY, first, links, reading, refusal, titles

PAGES = Path(__file__).parents[1] / "data" / "pages"


def by(**select: str) -> How:
    return How("page", tuple(select.items()))


@pytest.mark.parametrize(
    ("name", "selector", "count", "title", "link", "published"),
    [
        ("news_list", "article", 8, "India gets fourth S-400 squadron",
         "https://site.example/news/india-gets-fourth-s-400-squadron", 1773993600.0),
        ("blog", "div.post", 5, "India gets fourth S-400 squadron",
         "https://blog.example/2026/0/india-gets-fourth-s-400-squadron.html", 1773964800.0),
        ("ministry_table", "tbody > tr", 5, "Nye luftvernsystemer til Forsvaret",
         "https://site.example/news/dokumenter/nye-luftvernsystemer-til-forsvaret/id3000/", 1773273600.0),
        ("press_archive", "ul.releases > li", 8, "India gets fourth S-400 squadron",
         "https://site.example/press/sb400", 1773964800.0),
        ("mail_list", "ul > li", 9, "[ subject ]", "https://site.example/news/subject.html#start", None),
    ],
)  # fmt: skip
def test_the_list_of_a_page_is_guessed(
    name: str, selector: str, count: int, title: str, link: str, published: float | None
) -> None:
    """Without a selector: the list that repeats, not the navigation; with it the same entries are found again."""
    body = (PAGES / f"{name}.html").read_bytes()
    found = reading(body, How("page"))
    assert found.select == (("entry", selector),)
    assert (len(found.entries), titles(found)[0], links(found)[0]) == (count, title, link)
    assert first(found)[PUBLISHED] == published
    assert reading(body, by(entry=selector)).entries == found.entries


def test_a_page_built_by_javascript_says_so() -> None:
    """There is nothing in it for a program; with a selector, the reason stands beside what it does not find."""
    body = (PAGES / "javascript_only.html").read_bytes()
    assert refusal(body, How("page")).message.startswith("The page is built by JavaScript")
    nothing = reading(body, by(entry="article"))
    assert (nothing.items, nothing.nothing) == (
        0,
        "The page answers, but `article` finds nothing: its text is put there by JavaScript.",
    )


def test_a_selector_that_finds_nothing_is_no_failure() -> None:
    """The page answers; its health says what is missing."""
    found = reading((PAGES / "news_list.html").read_bytes(), by(entry="li.gone"))
    assert (found.entries, found.items, found.nothing) == ((), 0, "The page answers, but `li.gone` finds nothing.")


def test_a_challenge_in_place_of_the_page_is_refused() -> None:
    """It is no empty list."""
    page = "<html><title>Just a moment...</title><body><script>window._cf_chl_opt={}</script></body></html>"
    assert refusal(page, by(entry="article")).found == "challenge"
    login = "<html><title>Log in</title><form><input type=password></form></html>"
    assert refusal(login, by(entry="article")).found == "login page"


def test_each_part_may_be_selected() -> None:
    """Text or attribute, of the entry itself too; what is selected and not there is empty, not guessed."""
    page = """<ul><li data-id="/a"><b>One</b><i>Long headline of the first</i><u title="2026-03-01">y</u><s>Teaser</s>
              <li data-id="/b"><i>Long headline of the second</i></ul>"""
    found = reading(page, by(entry="li", title="i", link="@data-id", date="u@title", summary="s"))
    assert titles(found) == ["Long headline of the first", "Long headline of the second"]
    assert links(found) == ["https://site.example/a", "https://site.example/b"]
    assert [entry[PUBLISHED] for entry in found.entries] == [1772323200.0, None]
    assert [entry[SUMMARY] for entry in found.entries] == ["Teaser", ""]


def test_entries_with_one_link_are_one() -> None:
    """A picture and a headline that lead to the same page; the longest title stays, and an entry without link, too."""
    page = """<div class=x><a href="/a"><img></a></div><div class=x><a href="/a">Read</a></div>
              <div class=x><a href="/a">The whole headline</a></div><div class=x>Notice without a link</div>
              <div class=x> </div>"""
    found = reading(page, by(entry="div.x"))
    assert links(found) == ["https://site.example/a", None]
    assert titles(found)[0] == "The whole headline"
    assert first(found)[TITLE_PLACE] == "The whole headline"
    assert found.entries[1][4] == "Notice without a link"


TITLE_PLACE = 2


def test_links_never_lead_elsewhere_than_to_the_web() -> None:
    """Schemes of scripts and files, a base that is none, and text that pretends to be markup."""
    page = """<base href="javascript:1//"><p class=e><a href="javascript:alert(1)">First headline here</a>
              <p class=e><a href="file:///etc/passwd">Second headline here</a>
              <p class=e><a href="../up?x=1#part">&lt;b&gt;Third headline here</a>"""
    found = reading(page, by(entry="p.e"))
    assert links(found) == [None, None, "https://site.example/up?x=1#part"]
    assert titles(found)[2] == "<b>Third headline here"


def test_a_match_inside_a_match_is_no_entry() -> None:
    """The outermost ones are the entries."""
    page = "<div>Outer text of the first<div>inner</div></div><div>Outer text of the second</div>"
    assert reading(page, by(entry="div")).items == 2


@pytest.mark.parametrize(
    ("page", "selector"),
    [
        (b"<div>" * 100_000, "div"),
        (b"<ul><li>" * 50_000, "li li li a"),
        (b"<x-y>" * 100_000 + b"</z>" * 100_000, "*"),
        (b"<a href=x>long headline here</a>" * 500_000, "a"),
    ],
    ids=["divs", "lists", "unmatched", "many"],
)
def test_hostile_pages_are_refused_before_they_are_parsed(page: bytes, selector: str) -> None:
    """Depth takes a tree builder quadratic time, so it is counted first."""
    assert refusal(page, by(entry=selector)).found == "hostile"


def test_many_nested_matches_take_linear_work() -> None:
    """As deep as a page may be, each element a match: one entry, within the time of the whole test."""
    page = b"<div>" * 1900 + b"text" + b"<i>x</i>" * 10_000
    assert reading(page, by(entry="div")).items == 1
    assert reading(b"<div class=a>" * 1900 + b"text", How("page", (("entry", "div div div, .a .a .a .a"),))).items == 1


def test_a_selector_is_judged_like_the_reader_does() -> None:
    """For the loader's errors."""
    assert selector_problem("h2 > a@href") is None
    assert selector_problem("@href") is None
    assert selector_problem("a[") == "'a[' is not a CSS selector"
