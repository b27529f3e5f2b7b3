"""The query line: the round trip, and advice on the syntax of other tools."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.core.errors import InvalidRule, Problem
from aggregator.core.rules import Node, parse_query, print_query
from aggregator.core.rules.syntax_tree import (
    FIELDS,
    And,
    FieldScope,
    ListRef,
    Near,
    Not,
    Or,
    Regex,
    SloppyPhrase,
    Term,
)

TEXTS = st.text(alphabet="abS-400 \"'\\$/():+*~ünicode,.ANDORNEAR/5", min_size=1, max_size=12).filter(str.strip)
LEAVES = st.one_of(
    st.builds(Term, TEXTS, st.booleans()),
    st.builds(SloppyPhrase, TEXTS, st.integers(0, 1000)),
    st.builds(ListRef, st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)),
    st.builds(Regex, st.from_regex(r"[a-z/. |+]{1,8}", fullmatch=True)),
)


def _branches(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(And, several),
        st.builds(Or, several),
        st.builds(Not, children),
        st.builds(Near, several, st.integers(1, 1000), st.booleans()),
        st.builds(FieldScope, st.sampled_from(FIELDS), children),
    )


@example(FieldScope("title", Regex(" ")))
@example(And((Term("title:/"), Term("/"))))
@example(And((Term("/"), Term("x"), Term("-/"))))
@given(st.recursive(LEAVES, _branches, max_leaves=12))
def test_printing_and_parsing_are_inverse(tree: Node) -> None:
    """parse(print(tree)) == tree, whatever the terms contain."""
    assert parse_query(print_query(tree)) == tree


@given(st.text(alphabet="ab \"'()-$/:~*ANDORNTE\\&|+!5", max_size=30))
def test_any_text_is_parsed_or_answered(text: str) -> None:
    """A query is a tree or an error with a place inside the text; never another exception."""
    try:
        tree = parse_query(text)
    except InvalidRule as error:
        (problem,) = error.problems
        assert problem.offset is not None
        assert 0 <= problem.offset <= len(text)
    else:
        assert parse_query(print_query(tree)) == tree


@pytest.mark.parametrize(
    ("query", "printed"),
    [
        ("a b c", "a AND b AND c"),
        ("a OR b c", "a OR (b AND c)"),
        ("(a OR b) -c", "(a OR b) AND NOT c"),
        ('title:"S-400" AND ($turkey NEAR/12 sanction*)', "title:S-400 AND $turkey NEAR/12 sanction*"),
        ("a ONEAR b ONEAR/3 c", "(a ONEAR/10 b) ONEAR/3 c"),
        ("'US'c \"air defence\"~2 /C[AB]/", "'US'c AND \"air defence\"~2 AND /C[AB]/"),
        ("C++ AT&T .NET 12:30 A2/AD O'Reilly $100", "C++ AND AT&T AND .NET AND 12:30 AND A2/AD AND O'Reilly AND $100"),
        ("lang:en NOT link:example.org", "lang:en AND NOT link:example.org"),
    ],
)
def test_queries_mean_what_they_print(query: str, printed: str) -> None:
    """AND binds tighter than OR, NEAR tighter than AND; words with symbols stay words."""
    assert print_query(parse_query(query)) == printed


@pytest.mark.parametrize(
    ("query", "offset", "answer"),
    [
        ("a && b", 2, "write AND"),
        ("a ||b", 2, "write OR"),
        ("+word", 0, "write word"),
        ("!word", 0, "write NOT word"),
        ("a NEAR 5 b", 2, "write NEAR/5"),
        ("a near/5 b", 2, "write NEAR/5"),
        ("a W/3 b", 2, "write NEAR/3"),
        ("intitle:x", 0, "write title:"),
        ("a tilte:x", 2, "write title:"),
        ("title: x", 6, "write title: directly before"),
        ("site:example.org", 0, "write link:"),
        ("(a OR b", 0, "add )"),
        ("a)", 1, "remove it"),
        ('say "x', 4, 'add "'),
        ("a AND", 5, "write a word"),
        ("AND a", 0, 'write "AND"'),
        ("wom*n", 3, "write the beginning"),
        ("wom?n", 3, r"write /\bwom.n\b/"),
        ("'US'", 0, "'US'c"),
        ("color~", 0, "write color*"),
        ("a - b", 2, "directly before"),
        ("()", 0, "put terms"),
        ("", 0, "write a word"),
        ('""', 0, "write words"),
    ],
)
def test_habits_of_other_tools_are_answered(query: str, offset: int, answer: str) -> None:
    """The character that is wrong, and what to write instead."""
    with pytest.raises(InvalidRule) as caught:
        parse_query(query)
    (problem,) = caught.value.problems
    assert problem.offset == offset
    assert answer in (problem.hint or "")


def test_small_operators_are_words_with_a_warning() -> None:
    """A lower-case or is legal, and surely not meant."""
    warnings: list[Problem] = []
    assert parse_query("a or b", warnings) == And((Term("a"), Term("or"), Term("b")))
    assert len(warnings) == 1


def test_nesting_is_bounded() -> None:
    """Ten thousand parentheses are refused, not a crash."""
    with pytest.raises(InvalidRule):
        parse_query("(" * 9000 + "a" + ")" * 9000)
    with pytest.raises(InvalidRule):
        parse_query("NOT " * 4000 + "a")
    with pytest.raises(InvalidRule):
        parse_query("title:" * 3000 + "a")
