"""Syntax of other tools: it works as meant, or the error says what to write."""

from typing import Any

import pytest

from aggregator.core.errors import InvalidRule, Problem
from aggregator.core.rules import Document, Rule, RuleIndex, compile_rule, lint_term, rule_for_query
from aggregator.core.rules.match_term import match_term
from aggregator.core.settings import RuleConfig

LISTS = {"turkey": ("Turkey", "Ankara"), "odd": ("fine", "title:foo", "wom*n")}


def answers(query: str) -> list[Problem]:
    """Everything that is said about a query, errors and warnings."""
    try:
        return list(rule_for_query(query, LISTS).warnings)
    except InvalidRule as error:
        return list(error.problems)


def made(**keys: Any) -> Rule:
    """A compiled rule."""
    return compile_rule(RuleConfig.model_validate({"id": "r", **keys}), LISTS)


@pytest.mark.parametrize(
    ("query", "place", "remedy"),
    [
        ("S-400 AROUND(5) Turkey", "AROUND", "write NEAR/5"),  # Google
        ("S-400 AROUND 5 Turkey", "AROUND", "write NEAR/5"),
        ("allintitle: S-400 Turkey", "allintitle", "write title:"),
        ("S-400 source:bbc", "source", "write feed:bbc"),
        ("site:bbc.co.uk S-400", "site", "write link:bbc.co.uk"),
        ("S-400 after:2024-01-01", "after", "max_age: 7d"),
        ('"air * defence"', '"', '"air defence"~1'),
        ("S-400, Turkey", "S-400", "write OR between them"),
        ("S-400;Turkey", "S-400", "write OR if either"),
        ("S-400,Turkey", "S-400", "write OR if either"),
        ("“air defence”", "“", 'write "air defence"'),
        ("S-400 WITHIN/5 Turkey", "WITHIN", "write NEAR/5"),  # Talkwalker, Meltwater, Factiva, Westlaw, Ovid
        ("S-400 within 5 Turkey", "S-400", ""),
        ("S-400 w/5 Turkey", "w/5", "write NEAR/5"),
        ("S-400 W5 Turkey", "W5", "write NEAR/5"),
        ("S-400 ADJ5 Turkey", "ADJ5", "write NEAR/5"),
        ("S-400 PRE/3 Turkey", "PRE", "write ONEAR/3"),
        ("S-400 /5 Turkey", "/5", "write a NEAR/5 b"),
        ("S-400 NEAR/s Turkey", "NEAR", "write NEAR/15"),
        ("S-400 NEAR(5) Turkey", "NEAR", "write NEAR/5"),
        ("NEAR(S-400 Turkey, 5)", "NEAR", "write a NEAR/5 b"),
        ("S-400 ~5 Turkey", "~5", "write a NEAR/5 b"),
        ('"air defence"@5', "@", 'write "air defence"~5'),
        ("S-400 NOT NEAR/5 Turkey", "NEAR", "write a NOT (a NEAR/5 b)"),
        ("(S-400 AND deal) NEAR/5 Turkey", "(", "write a NEAR/5 c AND b NEAR/5 c"),
        ("S-400 ANDNOT Turkey", "ANDNOT", "write NOT"),
        ("S-400 BUT NOT Turkey", "BUT", "write NOT"),
        ("S-400 ODER S-500", "ODER", "write OR"),
        ("S-400 lang:english", "english", "write en"),
        ("S-400 lang:(en OR turkish)", "turkish", "write tr"),
        ("S-400 lang:xx", "xx", "two letters"),
        ("S-400 sourcecountry:TR", "sourcecountry", "feeds: {tags:"),
        ("S-400 author=smith", "author", "write author:"),
        ("S-400&&Turkey", "&&", "write AND"),  # programmers, Inoreader, FreshRSS
        ("S-400||Turkey", "||", "write OR"),
        ("S-400 f:12", "f:", "write feed:12"),
        ("S-400 /turk/i", "/turk", "write /turk/"),
        ("S-400 re:turk", "re:", "/C[AB]ATSA/"),
        ("S-400 turkye~2", "turkye", "list the spellings"),  # Lucene, Elasticsearch
        ("S-400 turkey~0.8", "turkey", "list the spellings"),
        ("S-400 turkey^2", "^2", "write turkey"),
        ('"air defence"^4', "^4", "remove it"),
        ("S-400 [2020 TO 2024]", "[", "ranges"),
        ("published:[2020 TO 2024]", "published", "max_age: 7d"),
        ("S-400 >100", ">", "quote it"),
        ("S-400 t?rkey", "?", r"/\bt.rkey\b/"),
        ("S-400 *key", "*", "write the beginning"),
        ("S-400 *", "*", "at least 3 letters"),
        ('"air* defence"', '"', "air* ONEAR/1 defence"),
        (r"S\-400", "\\", '"S-400"'),
        ("_exists_:title", "_exists_", "remove it"),
        ("kind:news S-400", "kind", 'quote it: "kind:news"'),
        ("S-400 ${turkey}", "${", "write $turkey"),
        ("S-400 $turkey*", "$", "write $turkey"),
        ("S-400 --museum", "--", "write one -"),
        ("S-400 –—museum", "–—", "write one -"),
        ("S-400 ¬museum", "¬", "write NOT museum"),
        ("S-400 $country/turkey", "$", "write lists: {name: {use: country/turkey}}, and $name here"),
        ('"US"c sanctions', "c", "write 'US'c"),
        ("'air defence'", "'", 'write "air defence"'),
        ('"S-400 OR S-500"', '"', "remove the quotes"),
        ("https://example.org/a", "https", "write link:example.org/a"),
    ],
)
def test_a_habit_in_a_query_is_answered(query: str, place: str, remedy: str) -> None:
    """Each is pointed at where it begins, with what to write; a small `within 5` may be meant."""
    said = answers(query)
    if not remedy:
        assert said == []
        return
    (problem,) = said
    assert problem.offset == query.index(place)
    assert remedy in f"{problem.message} ({problem.hint})"


@pytest.mark.parametrize(
    ("item", "remedy"),
    [
        ("title:foo", "write query: 'title:foo', or in: [title]"),
        ("site:example.org", "query: 'link:example.org'"),
        ("lang:en", "lang: [en]"),
        ("feed:bbc", "feeds: {ids: [bbc]}"),
        ("(a OR b)", "query:"),
        ("a OR b", "query:"),
        ("a near/5 b", "query:"),
        ("a && b", "query:"),
        ("a or b", "as a separate item"),
        ("S-400, S-500, Triumf", "as a separate item"),
        ("-foo", "none:"),
        ("NOT foo", "none:"),
        ("+foo", "write foo"),
        ("/x/", "regex: 'x'"),
        (r"\bfoo\b", r"regex: '\bfoo\b'"),
        ("C[AB]ATSA", "regex: 'C[AB]ATSA'"),
        ("foo|bar", "regex: 'foo|bar'"),
        ("wom?n", r"regex: '\bwom.n\b'"),
        ("foo~2", "list the spellings"),
        ("foo^2", "write foo"),
        ('"air defence"~2', "query: '\"air defence\"~2'"),
        ("$turkey sanctions", "query: '$turkey sanctions'"),
        ("S-400 oder CAATSA", "as a separate item"),
        ("С-400 или Пэтриот", "as a separate item"),
        ("S-400 / CAATSA", "as a separate item"),
        ("S-400 + CAATSA", "as a separate item"),
        ("⁃foo", "none:"),
        ("sanctions $turkey", "a list must stand alone"),
        ("$ turkey", "write $turkey without a space"),
        ("$country/turkey", "write lists: {name: {use: country/turkey}}, and $name here"),
        ("‘US’c", "'US'c"),
        ("Tom &amp; Jerry", "the character"),
    ],
)
def test_a_habit_in_a_list_is_a_term_with_a_warning(item: str, remedy: str) -> None:
    """A list's items are terms whatever they look like; quoted twice, nobody is warned."""
    (warning,) = made(any=["S-400", item]).warnings
    assert (warning.path, warning.severity) == (("any", 1), "warning")
    assert remedy in f"{warning.message} ({warning.hint})"
    if '"' not in item:
        assert made(any=[f'"{item}"']).warnings == ()


@pytest.mark.parametrize(
    "term",
    ["AC/DC", "C++", ".NET", "AT&T", "Yahoo!", "24/7", "Re: foo", "COVID-19", "+972", "U.S.A.", "O'Reilly", "12:30",
     "P5+1", "N/A", "$100", "50%", "#MeToo", "@NATO", "[sic]", "Washington, D.C.", "Star Wars: A New Hope", "🚀",
     "“air defence”", "WITHIN", "NEXT plc", "f*** off", "US", "COVID (Delta)",
     "buy $TSLA", "A$ 100"],
)  # fmt: skip
def test_terms_that_are_merely_odd_pass(term: str) -> None:
    """Signs that belong to a name are no habit."""
    assert made(any=[term]).warnings == ()
    assert lint_term(term) == ()
    match_term(term, "nothing of the kind")


@pytest.mark.parametrize(
    ("query", "ours", "theirs"),
    [
        ("S-400 OR CAATSA -museum", "S-400 OR (CAATSA AND NOT museum)", "(S-400 OR CAATSA) AND NOT museum"),
        ("Turkey S-400 OR CAATSA", "(Turkey AND S-400) OR CAATSA", "Turkey AND (S-400 OR CAATSA)"),
        ("a AND b OR c", "(a AND b) OR c", "a AND (b OR c)"),
        ("x (a OR b c)", "a OR (b AND c)", "(a OR b) AND c"),
    ],
)
def test_or_beside_and_is_warned_of_with_both_readings(query: str, ours: str, theirs: str) -> None:
    """Google binds OR tighter than a blank, most others do not; both readings can be taken as they stand."""
    (warning,) = answers(query)
    assert warning.severity == "warning"
    assert warning.offset == query.index("OR")
    assert warning.message.endswith(f"is read as {ours}")
    assert warning.hint is not None
    assert warning.hint.endswith(theirs)
    assert answers(ours) == answers(theirs) == []


@pytest.mark.parametrize("query", ["S-400 OR CAATSA", "(a OR b) -c", "a OR (b c)", "a b -c", "a NEAR/3 b OR c"])
def test_brackets_and_single_operators_are_clear(query: str) -> None:
    """Nothing is said where there is one reading."""
    assert answers(query) == []


@pytest.mark.parametrize(
    "item",
    [
        "S-400, CAATSA",
        "Ankara,Moscow",
        "S-400,CAATSA,F-35",
        "S-400；CAATSA",
        "北朝鮮、韓国",
        "قطر، مصر",
        "S-400，CAATSA",
        "Putin,",
        "S-400 · CAATSA",
    ],
)
def test_a_list_in_one_item_is_warned_of(item: str) -> None:
    """A comma or semicolon of any script makes one phrase of several terms; quoted twice it is meant."""
    (warning,) = made(any=[item]).warnings
    assert "one phrase" in warning.message
    assert made(any=[f'"{item}"']).warnings == ()


@pytest.mark.parametrize(
    "item", ["Alphabet, Inc.", "Sony Group Corp", "1,000 troops", "3,5 Prozent", "Martin Luther King, Jr."]
)
def test_a_comma_of_a_name_or_number_passes(item: str) -> None:
    """Companies and numbers have commas of their own."""
    assert made(any=[item]).warnings == ()


@pytest.mark.parametrize(
    ("pattern", "remedy"),
    [
        ("/promocje/i", "write 'promocje'"),
        ("m/promocje/", "write 'promocje'"),
        ("#promocje#i", "write 'promocje'"),
        ("~promocje~", "write 'promocje'"),
        ("(i?)promocje", "remove it"),
        ("(i)promocje", "remove it"),
        (r"\<S-400\>", r"write \b"),
        ("s/S-400/x/g", "write 'S-400'"),
        ("r'S-400'", "without it: S-400"),
        ('re.compile("S-400")', "without it: S-400"),
        ("“S-400”", "without it: S-400"),
        ("^S-400$", r"write \bS-400\b"),
        ("S‑400", "write [-"),
        ("S\u00a0400", r"write \s"),
    ],
)
def test_patterns_of_other_tools_are_warned_of(pattern: str, remedy: str) -> None:
    """They are legal, and would look for their slashes and brackets."""
    (warning,) = made(regex=[pattern]).warnings
    assert (warning.path, warning.severity) == (("regex", 0), "warning")
    assert remedy in (warning.hint or "")


@pytest.mark.parametrize(
    "pattern",
    ["C[AB]ATSA", "(?i)caatsa", "a/b", "(is|was) here", "/dev/null", r"\bS-400\b", "S[-‑–]400", "^S-400",
     "(?m)^S-400$", "CIA's 'deal'", "s/he"],
)  # fmt: skip
def test_patterns_that_are_meant_pass(pattern: str) -> None:
    """Slashes and groups may be what is looked for."""
    assert made(regex=[pattern]).warnings == ()


def test_a_problem_of_a_named_list_stands_in_the_list() -> None:
    """The item is pointed at, not the rule that uses it."""
    with pytest.raises(InvalidRule) as caught:
        made(any=["S-400", "$odd"])
    assert [(p.path, p.severity) for p in caught.value.problems] == [
        (("lists", "odd", 1), "warning"),
        (("lists", "odd", 2), "error"),
    ]


@pytest.mark.parametrize(("code", "proposal"), [("english", "en"), ("jp", "ja"), ("Türkçe", "tr"), ("eng", "en")])
def test_a_language_that_does_not_exist_is_refused(code: str, proposal: str) -> None:
    """`lang: [english]` would never match; the code is proposed."""
    with pytest.raises(InvalidRule) as caught:
        made(any=["deal"], lang=["de", code])
    (problem,) = caught.value.problems
    assert problem.path == ("lang", 1)
    assert problem.hint == f"write {proposal}"


def test_a_language_in_a_query_is_judged_like_the_key() -> None:
    """lang:en-GB is en, and where the feed does not say, the text tells."""
    rule = rule_for_query("deal lang:en-GB")
    text = "The ministers signed the deal in the capital yesterday, officials told reporters"
    assert RuleIndex([rule]).match(Document(title=text))
    assert RuleIndex([rule]).match(Document(title="deal", lang="en-US"))
    assert not RuleIndex([rule]).match(Document(title=text, lang="tr"))


@pytest.mark.parametrize(
    ("term", "said"), [("S-400 && x", "query:"), ("$turkey", "configuration"), ("a OR b", "single")]
)
def test_a_term_by_itself_is_doubted_like_an_item(term: str, said: str) -> None:
    """`aggregator match --term` takes one term, and says so."""
    (problem,) = lint_term(term)
    assert said in f"{problem.message} ({problem.hint})"
