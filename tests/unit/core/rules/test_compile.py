"""Compilation of rules: what they mean, and what is refused."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from aggregator.core.errors import InvalidRule
from aggregator.core.model import Entry
from aggregator.core.rules import (
    Document,
    Rule,
    RuleIndex,
    compile_later,
    compile_rule,
    index_text,
    recompile,
    rule_for_query,
    run_tests,
    spellings,
)
from aggregator.core.rules.atoms import BadTerm, atom, respelled
from aggregator.core.rules.items import renumbered, spelled_out
from aggregator.core.rules.prefilter import prefilter
from aggregator.core.rules.transliteration import code_spellings
from aggregator.core.settings import RuleConfig

LISTS: Mapping[str, tuple[str, ...]] = {
    "turkey": ("Turkey", "Türkiye", "Ankara"),
    "loop": ("$loop",),
    "all": ("$turkey", "Kıbrıs"),
}


def config(**keys: Any) -> RuleConfig:
    """A rule's configuration as YAML would give it."""
    return RuleConfig.model_validate({"id": "r", **keys})


def made(**keys: Any) -> Rule:
    """A compiled rule."""
    return compile_rule(config(**keys), LISTS)


def matches(rule: Rule, **fields: Any) -> bool:
    """Whether an index of this one rule finds it."""
    return bool(RuleIndex([rule]).match(Document(**fields)))


def test_every_key_is_joined_with_and() -> None:
    """any, all, near, query and regex must all hold, none must not."""
    rule = made(
        any=["S-400", "SA-21"], all=["$turkey"], none=["cricket"], near={"terms": ["S-400", "deliver*"], "within": 5},
        query="title:Ankara OR title:Turkey", regex=["C[AB]ATSA"],
    )  # fmt: skip
    assert matches(rule, title="Ankara", content="S-400 is delivered under CAATSA")
    assert not matches(rule, title="Ankara", content="S-400 is delivered under CAATSA, not cricket")
    assert not matches(rule, title="Ankara", content="S-400 is delivered")
    assert not matches(rule, content="Ankara: S-400 is delivered under CAATSA")


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        ({}, (), "the rule has no terms"),
        ({"none": ["x"]}, ("none",), "only excludes"),
        ({"query": "a OR NOT b"}, ("query",), "only excludes"),
        ({"query": "NOT a"}, ("query",), "only excludes"),
        ({"any": ["ok", "..."]}, ("any", 1), "no letter or digit"),
        ({"any": ["ab*"]}, ("any", 0), "at least 3"),
        ({"any": ["sanc*tion"]}, ("any", 0), "end of a word"),
        ({"all": ["$turky"]}, ("all", 0), "no list named $turky"),
        ({"all": ["$loop"]}, ("all", 0), "contains itself"),
        ({"query": "a b $turky"}, ("query",), "no list named $turky"),
        ({"near": {"terms": ["a"]}}, ("near", 0), "two terms"),
        ({"query": "(a b) NEAR c"}, ("query",), "cannot be an operand of NEAR"),
        ({"regex": ["ok", "(?=x)"]}, ("regex", 1), "look-around"),
        ({"regex": ["(?>x)"]}, ("regex", 0), "atomic group"),
        ({"regex": ["(?#x)y"]}, ("regex", 0), "a comment"),
        ({"regex": ["(a)\\1"]}, ("regex", 0), "back-reference"),
        ({"regex": ["\bS-400"]}, ("regex", 0), "backspace"),
        ({"regex": ["x*"]}, ("regex", 0), "empty text"),
        ({"any": ["x" * 501]}, ("any", 0), "500"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(
    keys: dict[str, Any], path: tuple[str | int, ...], message: str
) -> None:
    """A rule that excludes only, is empty or cannot be looked for never loads."""
    with pytest.raises(InvalidRule) as caught:
        made(**keys)
    problem = caught.value.problems[0]
    assert problem.path == path
    assert message in problem.message


def test_problems_in_a_query_name_the_character() -> None:
    """Errors that are found after parsing know their place in the line, too."""
    with pytest.raises(InvalidRule) as caught:
        made(query="deal AND $turky OR NOT b")
    assert caught.value.problems[0].offset == len("deal AND ")
    with pytest.raises(InvalidRule) as caught:
        made(query="deal OR NOT b")
    assert caught.value.problems[0].offset == len("deal OR ")


def test_all_problems_come_at_once() -> None:
    """Two mistakes, two messages."""
    with pytest.raises(InvalidRule) as caught:
        made(any=["ab*"], all=["$turky"], regex=["("])
    assert len(caught.value.problems) == 3


def test_operators_in_a_list_are_words_with_a_warning() -> None:
    """`any: [a OR b]` looks for the phrase, and says so."""
    assert "one phrase" in made(any=["x OR y"]).warnings[0].message


def test_version_follows_what_is_matched() -> None:
    """Title, channels and rhythm do not change it; terms, fields and the content of lists do."""
    rule = made(any=["$turkey"])
    assert rule.version == made(any=["$turkey"], title="Other", notify=["x"], deliver="hourly", priority="high").version
    assert rule.version != made(any=["$turkey"], none=["x"]).version
    assert rule.version != made(any=["$turkey"], **{"in": ["title"]}).version
    assert rule.version != compile_rule(config(any=["$turkey"]), {"turkey": ("Turkey",)}).version


def test_filters_on_feed_tag_and_language() -> None:
    """A rule looks only at its feeds and languages."""
    rule = made(any=["deal"], feeds={"tags": ["defence"], "not_ids": ["noise"]}, lang=["en", "nb"])
    assert matches(rule, title="deal", feed="a", feed_tags=("defence",), lang="en-GB")
    assert matches(rule, title="deal", feed="a", feed_tags=("defence",), lang="nn")
    assert not matches(rule, title="deal", feed="a", feed_tags=("other",), lang="en")
    assert not matches(rule, title="deal", feed="noise", feed_tags=("defence",), lang="en")
    assert not matches(rule, title="deal", feed="a", feed_tags=("defence",), lang="tr")


def test_language_is_guessed_if_undeclared() -> None:
    """Without a language on the entry, the text tells."""
    text = "Türkiye, Rusya'dan aldığı hava savunma sistemlerini bugün teslim aldı ve anlaşmayı duyurdu"
    assert matches(made(any=["sistemlerini"], lang=["tr"]), title=text)
    assert not matches(made(any=["sistemlerini"], lang=["ja"]), title=text)


def test_fields_and_exact_case() -> None:
    """in: limits fields, field: in a query overrides it, case: exact and 'US'c ask for capitals."""
    assert not matches(made(any=["deal"], **{"in": ["title"]}), content="deal")
    assert matches(
        made(query="author:Smith link:example.org feed:wire"),
        author="J. Smith",
        link="https://example.org/a",
        feed="wire",
    )
    assert matches(made(query="'US'c"), title="the US says")
    assert not matches(made(query="'US'c"), title="tell us")
    assert not matches(made(any=["WHO"], case="exact"), title="who says")
    assert matches(made(any=["WHO", "'IT'c"]), title="who says")


def test_an_unknown_language_excludes_nothing() -> None:
    """By the key and in a query, wanted or not; what the entry says, or enough words, decides."""
    turkish = "Ankara'dan S-400 açıklaması: füzeler geri gönderilmeyecek, görüşmeler sürüyor"
    wanted = (made(any=["S-400", "NATO"], lang=["en"]), made(query="(S-400 OR NATO) lang:en"))
    for rule in (*wanted, made(query="(S-400 OR NATO) NOT lang:tr")):
        for title in ("NATO", "S-400 in Libya?", "NATO, S-400, CAATSA"):
            assert matches(rule, title=title)
            assert matches(rule, title=title, lang="en")
            assert not matches(rule, title=title, lang="tr")
        assert not matches(rule, title=turkish)
    for rule in wanted:
        assert not matches(rule, title="НАТО и S-400")  # few words, but no English letters


def test_stems_of_short_headlines_are_tried_in_every_likely_language() -> None:
    """A wrong guess does not hide an inflected word."""
    rule = made(any=["sanction"], stem=True)
    assert matches(rule, title="NATO: sanctions")
    assert not matches(rule, title="NATO: sanctuary")


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"any": ["sanction"], "lang": ["uk", "en"]}, "uk"),
        ({"any": ["санкція"]}, "'санкція'"),
        ({"any": ["sanction", "制裁"]}, "'制裁'"),
    ],
)
def test_unknown_stems_are_warned_of(keys: dict[str, Any], named: str) -> None:
    """A language without a stemmer finds only the words themselves, and the rule's author hears of it."""
    (warning,) = made(stem=True, **keys).warnings
    assert (warning.path, warning.severity) == (("stem",), "warning")
    assert named in warning.message
    assert made(stem=True, any=["sanction", "система"], lang=["en", "ru"]).warnings == ()


@pytest.mark.parametrize(
    ("latin", "other"),
    [
        ("Zelensky", "Зеленський"), ("Zelenskyy", "Зеленський"), ("Kyiv", "Київ"), ("Kharkiv", "Харків"),
        ("Lviv", "Львів"), ("Chernihiv", "Чернігів"), ("Zaporizhzhia", "Запоріжжя"), ("Donetsk", "Донецьк"),
        ("Zaluzhny", "Залужний"), ("Yermak", "Єрмак"), ("Honcharenko", "Гончаренко"), ("Igor", "Игорь"),
        ("Sevastopol", "Севастополь"), ("Erdogan", "Эрдоган"), ("Krasukha", "Красуха"), ("Pantsir", "Панцирь"),
    ],
)  # fmt: skip
def test_names_are_found_in_russian_and_ukrainian(latin: str, other: str) -> None:
    """In both directions, and only where a rule asks for it."""
    assert matches(made(any=[latin], translit=True), title=other)
    assert matches(made(any=[other], translit=True), title=latin)
    assert not matches(made(any=[latin]), title=other)


@pytest.mark.parametrize("form", ["füze", "füzeler", "Füzeleri"])
def test_a_word_that_looks_inflected_is_found_in_its_forms(form: str) -> None:
    """Snowball's Turkish stemmer makes füz of füze, and füze of füzeler."""
    rule = made(any=["rus füze"], stem=True)
    assert matches(rule, title=f"Rus {form} dün Ankara'ya teslim edildi", lang="tr")
    assert not matches(rule, title="Rus füzyon deneyi dün Ankara'da başladı", lang="tr")


def test_stemming_and_transliteration_only_where_asked() -> None:
    """stem: and translit: widen a rule; without them nothing is guessed."""
    assert matches(made(any=["sanction"], stem=True), title="they sanctioned it", lang="en")
    assert matches(made(any=["система"], stem=True), title="поставки системы", lang="ru")
    assert not matches(made(any=["sanction"]), title="they sanctioned it", lang="en")
    assert matches(made(any=["Erdogan"], translit=True), title="Эрдоган заявил")
    assert matches(made(any=["Зеленский"], translit=True), title="Zelensky said")
    assert not matches(made(any=["Erdogan"]), title="Эрдоган заявил")


def test_near_slop_and_order() -> None:
    """NEAR counts words between neighbours, ONEAR keeps the order, ~n allows words inside a phrase."""
    near = made(query="deal NEAR/2 missile")
    assert matches(near, title="missile one two deal")
    assert not matches(near, title="missile one two three deal")
    assert not matches(near, title="missile", content="deal")
    ordered = made(query="deal ONEAR/2 missile")
    assert matches(ordered, title="deal x missile")
    assert not matches(ordered, title="missile x deal")
    loose = made(query='"air defence deal"~1')
    assert matches(loose, title="air defence big deal")
    assert not matches(loose, title="air big defence big deal")
    three = made(query="a NEAR/1 b NEAR/1 c")
    assert matches(three, title="c x a x b")
    assert not matches(three, title="c x x a x b")


def test_regex_is_unicode_and_counts_in_code_points() -> None:
    r"""\w, \d and \b know every script; spans are code points."""
    rule = made(regex=[r"\bтур\w+\b", r"\d{3}\s*ракет"])
    (match,) = RuleIndex([rule]).match(Document(title="🚀 в Турции ٤٠٠ ракет, натурции"))
    assert [span.text for span in match.spans] == ["Турции", "٤٠٠ ракет"]


def test_spans_are_sorted_and_without_doubles() -> None:
    """By field, then by place; a place is told once."""
    rule = made(any=["deal", "DEAL", "missile"], all=["deal"])
    (match,) = RuleIndex([rule]).match(Document(title="deal", content="missile deal"))
    assert [(span.field, span.start) for span in match.spans] == [("title", 0), ("content", 0), ("content", 8)]


def test_disabled_rules_are_not_matched() -> None:
    """enabled: false keeps a rule out of the index."""
    assert len(RuleIndex([made(any=["x"], enabled=False)])) == 0


def test_replacing_rules_makes_a_new_index() -> None:
    """An edit leaves the old index as it was, and shares what did not change."""
    one, two = made(any=["deal"]), compile_rule(config(any=["missile"]).model_copy(update={"id": "two"}), {})
    old = RuleIndex([one, two])
    new = old.replace([made(any=["treaty"]), two])
    assert [m.rule for m in old.match(Document(title="deal missile"))] == ["r", "two"]
    assert [m.rule for m in new.match(Document(title="deal missile treaty"))] == ["r", "two"]
    assert new.match(Document(title="deal")) == ()
    assert old.replace([two]).match(Document(title="deal")) == ()


def test_recompiling_keeps_what_did_not_change() -> None:
    """Rules are compiled again only where they or their lists were edited."""
    before = {"r": made(any=["$turkey"])}
    rules, failures = recompile([config(any=["$turkey"])], LISTS, before)
    assert rules[0] is before["r"]
    assert not failures
    rules, failures = recompile([config(any=["$turkey"])], {"turkey": ("Turkey",)}, before)
    assert rules[0] is not before["r"]
    assert recompile([config()], LISTS, before)[1]


def test_inline_tests_say_what_is_missing() -> None:
    """A failing test names its text and the reason."""
    rule = made(
        any=["S-400"],
        all=["sanctions"],
        tests={"match": ["S-400 sanctions", "S-400 sanction"], "no_match": ["S-400", "S-400 sanctions"]},
    )
    failing = run_tests(rule)
    assert [problem.path for problem in failing] == [("tests", "match", 1), ("tests", "no_match", 1)]
    assert "write sanction*" in (failing[0].hint or "")


def test_prefilter_is_necessary() -> None:
    """Groups joined by AND, alternatives inside; nothing for what an index cannot know."""
    assert prefilter(made(any=["air defence", "sanction*"], all=["Türkiye"], none=["x"])) == (
        ("air defence", "sanction*"),
        ("turkiye",),
    )
    assert prefilter(made(regex=["x+"])) == ()
    assert prefilter(made(query="zebra OR lang:en")) == ()
    assert prefilter(made(query="zebra OR link:example.org")) == (("zebra", "example org"),)


def test_index_holds_the_words_of_links() -> None:
    """A line of a search looks at links too, so the index that narrows it down must know them."""
    link = "https://www.example.org/2026/drones-over-harbour?x=%D0%B4%D1%80%D0%BE%D0%BD"
    text = index_text(Entry(feed="f", key="k", title="News", link=link, seen_at=datetime(2026, 3, 1, tzinfo=UTC)))
    for query in ("drones", '"over harbour"', "link:example.org", "link:(www.example.org/2026)"):
        rule = rule_for_query(query, LISTS)
        assert RuleIndex([rule]).match(Document(title="News", link=link))
        assert all(any(f" {word} " in f" {text} " for word in group) for group in prefilter(rule))


def test_spellings_in_other_scripts_are_listed() -> None:
    """Designators are respelled silently, so people can see how."""
    ((term, others),) = spellings(made(any=["S-400", "deal"]))
    assert term == "S-400"
    assert {"С-400", "إس-400", "Σ-400"} <= set(others)


@pytest.mark.parametrize("term", ["AB-12", "BT900", "XYZ-7-2", "AB-1*"])
def test_names_of_letters_are_spelled_as_if_a_person_had_written_them(term: str) -> None:
    """A designator whose letters become several words is found as the term would be that says them."""
    named = [spelled for spelled in code_spellings(term) if spelled.count(" ") > term.count(" ")]
    assert named
    assert [respelled(atom(term), spelled).key for spelled in named] == [atom(spelled).key for spelled in named]


def test_a_prefix_behind_an_affixed_word_is_found() -> None:
    """A phrase of two words is found by its first one if the second is only the beginning of a word."""
    assert matches(made(any=["الدفاع الجو*"]), title="قال والدفاع الجوي")


@given(
    st.lists(
        st.tuples(
            st.text(st.sampled_from("SKhuxABwСуКАΣσ中ㄱبﾃéI"), min_size=1, max_size=8),
            st.sampled_from(["-", "", " ", "/", ". "]),
            st.integers(0, 99_999).map(str) | st.sampled_from(["007", "٣٠٠", "400²", "0⁰", "30-2"]),
        ).map("".join),
        min_size=1,
        max_size=2,
    ),
    st.sampled_from([" ", "/", "-", ", "]),
    st.sampled_from(["", "M", "Б", "*", " Block"]),
)
@example(["S-400"], " ", "")
@example(["zxq17", "watchword 170"], " ", "")
def test_designators_with_other_numbers_are_spelled_alike(codes: list[str], between: str, end: str) -> None:
    """What is known of a designator with 0 for its numbers gives the spellings that reading it would give."""
    try:
        written = atom(between.join(codes) + end)
        spelled = spelled_out(written)
    except BadTerm:
        assume(False)
    shortcut = renumbered(written)
    if written.term in ("S-400", "zxq17 watchword 170"):
        assert len(shortcut) > 3
    assert not shortcut or [(one.term, one.key) for one in shortcut] == [(one.term, one.key) for one in spelled]


@given(st.from_regex(r"[A-Za-z]{1,6}-[0-9]{1,6}", fullmatch=True), st.booleans())
def test_a_designator_is_read_alike_whatever_its_hyphen(written: str, exact: bool) -> None:
    """Most are read by a shortcut, which U+2011 does not take."""
    short, long = atom(written, exact), atom(written.replace("-", "\u2011"), exact)
    assert short.key == long.key
    assert short.term == written


def test_a_rule_that_is_compiled_later_is_the_same() -> None:
    """Nothing is compiled to list rules; whatever is asked of one is what it would be if compiled at once."""
    written = config(any=["S-400", "$all"], stem=True, lang=["tr"], feeds={"tags": ["arms"]}, title="Arms", none=["x"])
    for part in ("tree", "plan", "warnings", "fields", "terms", "lists", "version"):
        later = compile_later(written, LISTS)
        assert (later.id, later.title, later.langs, later.is_filtered) == ("r", "Arms", frozenset(["tr"]), True)
        assert getattr(later, part) == getattr(compile_rule(written, LISTS), part)
    assert compile_later(written, LISTS) == compile_rule(written, LISTS)
    unsound = compile_later(config(any=["$none"]), LISTS)
    assert unsound.config.any == ("$none",)
    with pytest.raises(InvalidRule):
        _ = unsound.plan
