"""What a letter says: one story is an alert however many rules found it; digests are grouped and counted."""

from dataclasses import replace

import pytest

from aggregator.core.model import Alert, Kind, Span
from aggregator.notify.render import text, write
from aggregator.notify.render.sanitize import Run, cut, mark, plain, shorten
from benchmarks.alert_samples import NOW, alerts, told


def test_two_rules_on_one_entry_are_one_alert() -> None:
    """The story is told once, names both rules, and marks the terms of both."""
    first = told(0)
    one = replace(first, hit=replace(first.hit, spans=tuple(s for s in first.hit.spans if s.term != "CAATSA")))
    caatsa = tuple(s for s in first.hit.spans if s.term == "CAATSA")
    two = replace(first, rule_title="CAATSA", hit=replace(first.hit, id="h2", rule="caatsa", spans=caatsa))
    letter = write(replace(alerts()["instant"], told=(one, two)))
    (piece,) = letter.pieces
    assert not letter.is_digest
    assert piece.rules == ("S-400 and Turkey", "CAATSA")
    assert [run.text for run in piece.title if run.marked] == ["S-400", "CAATSA"]
    assert piece.others == 0


def test_a_digest_leads_with_the_busiest_rule_and_counts() -> None:
    """Groups by rule, stories within, copies counted, what was folded away named."""
    letter = write(alerts()["digest"])
    assert (letter.groups[0].rule, letter.groups[0].hits) == ("S-400 and Turkey", 3)
    assert [piece.others for piece in letter.groups[0].pieces] == [0, 1]
    assert (letter.more, letter.hits, letter.sources[0]) == (37, 43, ("TASS", 2))


def test_times_are_those_of_the_channel() -> None:
    """08:14 UTC is 09:14 in Oslo and 11:14 in Istanbul."""
    for zone, when in (("Europe/Oslo", "Mon 2 Mar 09:14"), ("Europe/Istanbul", "Mon 2 Mar 11:14")):
        assert write(replace(alerts()["instant"], time_zone=zone)).pieces[0].when == when


def test_a_huge_digest_says_what_it_left_out() -> None:
    """Of 500 stories sixty are shown and the rest is counted."""
    many = tuple(
        replace(told(0), hit=replace(told(0).hit, id=f"h{i}", story=f"s{i}", entry_key=str(i))) for i in range(500)
    )
    letter = write(Alert(id="x" * 20, kind=Kind.DIGEST, title="500 alerts", told=many, created_at=NOW))
    assert (len(letter.pieces), letter.more) == (60, 440)
    assert "… and 440 more" in text.render(letter)


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
    runs = shorten(mark(sentence, 0, [span]), 120)
    assert len(plain(runs)) <= 120
    assert Run("S-400", marked=True) in [Run(run.text.strip(), run.marked) for run in runs]


def test_overlapping_spans_are_marked_once() -> None:
    """Spans that overlap or repeat give no text twice."""
    spans = [Span(field="t", start=a, end=b, text="", term="") for a, b in ((0, 5), (2, 7), (0, 5), (8, 9))]
    runs = mark("abcdefghij", 0, spans)
    assert plain(runs) == "abcdefghij"
    assert [run.text for run in runs if run.marked] == ["abcde", "i"]
