"""The sentence about first polls, the reason of a pass without alerts, and the line of a running service."""

import io
from collections.abc import Mapping
from datetime import timedelta

import pytest

from aggregator.cli.live import LiveLine
from aggregator.cli.output import wrapped
from aggregator.cli.poll import PassSummary
from aggregator.core.errors import AggregatorError
from aggregator.core.model import Entry, Reason
from aggregator.core.titles import COPY, WAITING
from aggregator.pipeline.delivery_counts import DeliveryCounts
from aggregator.pipeline.first_look import FirstLook
from aggregator.pipeline.polled import PolledFeed
from tests.unit.pipeline.builders import NOW

OLD = "not alerted: already there at first poll"
ENTRY = Entry(feed="a", key="k", seen_at=NOW, reason=Reason.NEW)


def polled(entries: int, outcomes: Mapping[str, int] | None = None, *, matched: int = 0) -> PolledFeed:
    """A first poll that found so many entries."""
    return PolledFeed(feed="a", entries=(ENTRY,) * entries, outcomes=outcomes or {}, matched=matched)


@pytest.mark.parametrize(
    ("outcomes", "rules", "says"),
    [
        (
            {OLD: 118},
            3,
            (
                "First look at 2 feeds: 2,450 entries, 118 matched your rules and were not alerted because they were "
                "already there. See them: http://h/ · have them as one digest: `aggregator hits send --baseline`"
            ),
        ),
        ({OLD: 1}, 3, "1 matched your rules and was not alerted because it was already there."),
        ({OLD: 8, "alerted": 2}, 3, "10 matched your rules and 8 of them were not alerted because"),
        ({"alerted": 2}, 3, "2 matched your rules. See them: http://h/"),
        ({}, 3, "none matched your rules. New entries that do are alerted as they come."),
        ({}, 0, "and no rule to match them. Write one in rules.yaml or at http://h/start, or try `aggregator search`."),
    ],
)
def test_a_first_look_says_what_was_found_and_why_nobody_heard(
    outcomes: Mapping[str, int], rules: int, says: str
) -> None:
    """Feeds, entries, hits; what was old, and how to have it."""
    look = FirstLook()
    look.add(polled(2000))
    look.add(polled(450, outcomes, matched=sum(outcomes.values())))
    assert says in look.sentence("http://h/", rules=rules)
    look.add(PolledFeed(feed="a", error=AggregatorError("no")))
    assert look.sentence("http://h/", rules=rules).endswith("1 could not be read: `aggregator status` says why")


@pytest.mark.parametrize(
    ("entries", "matched", "outcomes", "says"),
    [
        (40, 25, {OLD: 83}, "40 entries, 25 matched your rules and were not alerted because they were already there."),
        (1, 1, {OLD: 3}, "1 entry, 1 matched your rules and was not alerted because it was already there."),
        (9, 4, {OLD: 5, "alerted": 3}, "4 matched your rules and 5 of their 8 hits were not alerted because they were"),
        (9, 4, {OLD: 1, "alerted": 7}, "4 matched your rules and 1 of their 8 hits was not alerted because it was"),
        (9, 4, {"alerted": 8}, "4 matched your rules. See them"),
    ],
)
def test_an_entry_that_several_rules_match_is_one(
    entries: int, matched: int, outcomes: Mapping[str, int], says: str
) -> None:
    """Not more entries match than there are."""
    look = FirstLook()
    look.add(polled(entries, outcomes, matched=matched))
    assert says in look.sentence(None, rules=3)


def test_a_look_at_nothing_says_what_to_do() -> None:
    """Without feeds where to add one; without one that could be read nothing of entries and rules."""
    look = FirstLook()
    assert look.sentence("http://h/", rules=1).startswith("No feeds yet. Add one at http://h/start, or with `aggreg")
    look.add(PolledFeed(feed="a", error=AggregatorError("no")))
    assert look.sentence(None, rules=1) == "First look at 1 feed: it could not be read; `aggregator status` says why"
    look.add(PolledFeed(feed="a", error=AggregatorError("no")))
    assert look.sentence(None, rules=0) == "First look at 2 feeds: none could be read; `aggregator status` says why"


def test_a_command_is_not_broken() -> None:
    """It can be copied from the terminal; everything else is folded at blanks, and nothing in a pipe."""
    said = "48 hits · have them as one digest: `aggregator hits send --baseline` · or not at all, in the end"
    assert wrapped(said, columns=40).split("\n") == [
        "48 hits · have them as one digest:",
        "`aggregator hits send --baseline` · or",
        "not at all, in the end",
    ]
    assert wrapped(said) == said


@pytest.mark.parametrize(
    ("polled", "counts", "why"),
    [
        ({}, {}, "No alerts: nothing is new."),
        ({"entries": (ENTRY,)}, {}, "No alerts: of 1 new or changed entry none matched any of 2 rules."),
        ({"hits": 1, "outcomes": {"alerted": 1}}, {"sent": 1}, ""),
        ({"hits": 1, "outcomes": {"alerted": 1}}, {"held": 1}, "Alerts are held for quiet hours, a digest"),
        ({"hits": 1, "outcomes": {"alerted": 1}}, {}, "Alerts are queued for their digests"),
        (
            {"hits": 3, "outcomes": {"not alerted: silenced": 2, "duplicate of an alerted story": 1}},
            {"sent": 0},
            "Not every hit is an alert: 2 not alerted: silenced, 1 duplicate of an alerted story.",
        ),
        ({"error": AggregatorError("no")}, {}, ""),
        ({"first": True, "entries": (ENTRY,), "outcomes": {OLD: 1}}, {}, "First look at 1 feed: 1 entry"),
    ],
)
def test_a_pass_gives_the_reason_where_it_alerts_nothing(
    polled: Mapping[str, object], counts: Mapping[str, int], why: str
) -> None:
    """Nothing new, no match, held, queued, known before: each in its own words."""
    tally = PassSummary()
    tally.add(PolledFeed(feed="a", **polled))  # type: ignore[arg-type]
    said = tally.why(DeliveryCounts(**counts), rules=2)  # type: ignore[arg-type]
    assert said.startswith(why) if why else not said


def test_what_waited_for_its_routing_is_told_as_it_was_decided() -> None:
    """In a cluster hits are routed after their polls; what is still not decided stays so, what was known is known."""
    tally = PassSummary()
    tally.add(PolledFeed(feed="a", hits=4, outcomes={WAITING: 4}))
    tally.add(PolledFeed(feed="b", first=True, entries=(ENTRY,), hits=3, outcomes={OLD: 2, WAITING: 1}))
    tally.decide({"alerted": 2, COPY: 1, OLD: 2})
    assert (tally.outcomes, tally.first.outcomes) == ({"alerted": 2, COPY: 1, WAITING: 1}, {OLD: 2, WAITING: 1})


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_the_line_stays_below_what_is_printed() -> None:
    """It is taken away for each text and drawn again behind its end; hostile text in it steers nothing."""
    screen = Screen()
    line = LiveLine(screen, screen)
    line.polled(PolledFeed(feed="a", entries=(ENTRY,), hits=1))
    line.polled(PolledFeed(feed="b", error=AggregatorError("no")))
    line.delivered(DeliveryCounts(sent=2))
    line.due(NOW + timedelta(seconds=40), NOW)
    assert line.text() == "2 polls, 1 failed · 1 new · 1 hit · 2 alerts · next poll in 40 s"
    line.stderr.write("a log ")
    line.stderr.write("line\n")
    assert screen.getvalue().count("\r\x1b[Ka log \r\x1b[Kline\n\r\x1b[K") == 1
    line.say("First look at \x1b[2J feeds")
    assert "\x1b[2J" not in screen.getvalue()
    line.close()
    assert screen.getvalue().endswith("\r\x1b[K")
