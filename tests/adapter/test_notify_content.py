"""The content of an alert: one story is an alert however many rules found it; digests are grouped and counted."""

from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console

from aggregator.core.model import Alert, AlertKind, Span
from aggregator.notify.console import print_alert
from aggregator.notify.render import build_content, text
from aggregator.notify.render.sanitize import TextRun, cut, mark_spans, plain, shorten
from benchmarks.alert_samples import NOW, alerts, detail


def test_two_rules_on_one_entry_are_one_alert() -> None:
    """The story is told once, names both rules, and marks the terms of both."""
    first = detail(0)
    one = replace(first, hit=replace(first.hit, spans=tuple(s for s in first.hit.spans if s.term != "CAATSA")))
    caatsa = tuple(s for s in first.hit.spans if s.term == "CAATSA")
    two = replace(first, rule_title="CAATSA", hit=replace(first.hit, id="h2", rule="caatsa", spans=caatsa))
    content = build_content(replace(alerts()["instant"], hits=(one, two)))
    (piece,) = content.pieces
    assert not content.is_digest
    assert piece.rules == ("S-400 and Turkey", "CAATSA")
    assert [run.text for run in piece.title if run.marked] == ["S-400", "CAATSA"]
    assert piece.others == 0


def test_a_digest_leads_with_the_busiest_rule_and_counts() -> None:
    """Groups by rule, stories within, copies counted, what was folded away named."""
    content = build_content(alerts()["digest"])
    assert (content.groups[0].rule, content.groups[0].hits) == ("S-400 and Turkey", 3)
    assert [piece.others for piece in content.groups[0].pieces] == [0, 1]
    assert (content.more, content.hits, content.sources[0]) == (37, 43, ("TASS", 2))


def test_stories_of_the_same_rules_are_in_one_group() -> None:
    """Whichever of the rules found a story first: each entry brings its hits in any order."""
    rows = [("a", "s1"), ("b", "s1"), ("b", "s2"), ("a", "s2"), ("b", "s3"), ("c", "s4")]
    hit = detail(0).hit
    hits = tuple(
        replace(detail(0), rule_title=rule.upper(), hit=replace(hit, id=rule + story, rule=rule, story=story))
        for rule, story in rows
    )
    groups = build_content(replace(alerts()["digest"], hits=hits)).groups
    assert [(group.rule, group.hits, len(group.pieces)) for group in groups] == [("B", 5, 3), ("C", 1, 1)]


def test_a_terminal_shows_the_reason_below_its_alert() -> None:
    """Above it, among several alerts, it would seem to be of the one before."""
    stream = StringIO()
    content = build_content(replace(alerts()["instant"], why="update to an earlier alert"))
    print_alert(Console(file=stream, width=200, highlight=False), content)
    shown = stream.getvalue()
    assert shown.index("ALERT") < shown.index("update to an earlier alert")


def test_times_are_those_of_the_channel() -> None:
    """08:14 UTC is 09:14 in Oslo and 11:14 in Istanbul."""
    for zone, when in (("Europe/Oslo", "Mon 2 Mar 09:14"), ("Europe/Istanbul", "Mon 2 Mar 11:14")):
        assert build_content(replace(alerts()["instant"], time_zone=zone)).pieces[0].when == when


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("12 alerts", "12 alerts: Sanctions"),
        ("Sanctions: matches in stored entries", "Sanctions: matches in stored entries"),
        ("Sanctions: 5 hits in 6 h", "Sanctions: 5 hits in 6 h"),
        ("Sanctions", "Sanctions: Sanctions"),
    ],
)
def test_a_rule_is_named_once_in_a_subject(title: str, subject: str) -> None:
    """Where the title begins with it, it is not added."""
    hit = replace(detail(0), rule_title="Sanctions")
    content = build_content(Alert(id="x" * 20, kind=AlertKind.DIGEST, title=title, hits=(hit,), created_at=NOW))
    assert content.subject == subject


def test_a_huge_digest_says_what_it_left_out() -> None:
    """Of 500 stories 300 are shown and the rest is counted."""
    hits = (replace(detail(0).hit, id=f"h{i}", story=f"s{i}", entry_key=str(i)) for i in range(500))
    many = tuple(replace(detail(0), hit=hit, feed_title=f"Feed {i % 20}") for i, hit in enumerate(hits))
    content = build_content(Alert(id="x" * 20, kind=AlertKind.DIGEST, title="500 alerts", hits=many, created_at=NOW))
    assert (len(content.pieces), content.more) == (300, 200)
    assert "… and 200 more" in text.render(content)
    assert "500 hits in 500 stories from 20 feeds" in text.render(content), "also where fewer are shown or drawn"


@pytest.mark.parametrize(
    ("given", "length", "expected"),
    [
        ("short", 10, "short"),
        ("one two three", 9, "one two…"),
        ("abcdefghij", 5, "abcd…"),
        ("x", 0, ""),
        ("e\u0301e\u0301", 3, "e\u0301…"),
    ],
)
def test_cut(given: str, length: int, expected: str) -> None:
    """Cuts fall between words where they can, and never between a letter and its accent."""
    assert cut(given, length) == expected


def test_a_long_sentence_keeps_the_term_in_sight() -> None:
    """Shortening leaves out what stands far from the marked word."""
    sentence = "word " * 100 + "S-400 " + "more " * 100
    span = Span(field="summary", start=500, end=505, text="S-400", term="S-400")
    runs = shorten(mark_spans(sentence, 0, [span]), 120)
    assert len(plain(runs)) <= 120
    assert TextRun("S-400", marked=True) in [TextRun(run.text.strip(), run.marked) for run in runs]


def test_overlapping_spans_are_marked_once() -> None:
    """Spans that overlap or repeat give no text twice."""
    spans = [Span(field="t", start=a, end=b, text="", term="") for a, b in ((0, 5), (2, 7), (0, 5), (8, 9))]
    runs = mark_spans("abcdefghij", 0, spans)
    assert plain(runs) == "abcdefghij"
    assert [run.text for run in runs if run.marked] == ["abcdefg", "i"]
