"""Watched pages: what changed, what is boilerplate, what is ignored."""

from aggregator.parse.watch import LEARNT, difference
from aggregator.parse.workers.protocol import How
from tests.support.read import SUMMARY, contents, first, reading, refusal, titles

WATCH = How("watch", (("content", "main"),))


def page(*lines: str, aside: str = "") -> str:
    text = "".join(f"<p>{line}</p>" for line in lines)
    return f"<html><title>Sanctions list</title><body><nav>{aside}</nav><main>{text}</main></body></html>"


class Visits:
    """Visits of one page, each with what the one before remembered."""

    def __init__(self, how: How = WATCH) -> None:
        self.how = how
        self.memory: bytes | None = None
        self.quiet = 0

    def __call__(self, *lines: str, aside: str = "") -> list[str]:
        """What is new at this visit: the content of its entry, or nothing."""
        how = How(self.how.kind, self.how.select, self.how.ignore, (), self.quiet)
        found = reading(page(*lines, aside=aside), how, memory=self.memory)
        self.memory = found.memory or self.memory
        self.found = found
        return contents(found)

    def unchanged(self) -> None:
        """A poll that found the same bytes: nobody reads them."""
        self.quiet += 1


def test_the_first_visit_is_what_others_are_compared_with() -> None:
    """It is no news; the lines are counted."""
    visit = Visits()
    assert visit("Person A", "Person B") == []
    assert (visit.found.items, visit.found.title) == (2, "Sanctions list")


def test_an_entry_says_what_was_added_and_what_was_removed() -> None:
    """Marked, so that a person sees the difference; the headline names the page and the news."""
    visit = Visits()
    visit("Person A", "Person B", "Person C")
    assert visit("Person A", "Person B", "Rosoboronexport", "Person C") == ["+ Rosoboronexport"]
    assert titles(visit.found) == ["Sanctions list: Rosoboronexport"]
    assert visit("Person A", "Rosoboronexport", "Person C, corrected") == [
        "+ Person C, corrected\n− Person B\n− Person C"
    ]
    assert first(visit.found)[SUMMARY] == "+ Person C, corrected − Person B − Person C", "what an alert quotes"
    assert visit("Rosoboronexport", "Person C, corrected") == ["− Person A"]
    assert titles(visit.found) == ["Sanctions list: removed: Person A"]


def test_what_moves_or_stands_elsewhere_is_no_change() -> None:
    """Lines in another order, and everything outside of the selected part."""
    visit = Visits()
    visit("Person A", "Person B", "Person C", aside="12 visitors")
    assert visit("Person C", "Person A", "Person B", aside="13 visitors") == []


def test_a_change_and_its_return_are_two_entries() -> None:
    """Each visit has a number, so that the same difference twice is not taken for known."""
    visit = Visits()
    visit("Person A")
    seen = set()
    for _ in range(3):
        visit("Person A", "Person B")
        seen.add(first(visit.found)[0])
        visit("Person A")
        seen.add(first(visit.found)[0])
    assert len(seen) == 6


def test_boilerplate_is_learnt_away_after_three_visits() -> None:
    """A counter, and a text that is another one each time; news beside it is seen all the same."""
    visit = Visits()
    visit("Heading", "Seen 1 times", "Person A", "Quote: alpha", "Footer")
    quotes = ("beta", "gamma", "delta", "epsilon", "zeta")
    said = [visit("Heading", f"Seen {n} times", "Person A", f"Quote: {q}", "Footer") for n, q in enumerate(quotes, 2)]
    assert [len(one) for one in said] == [1] * (LEARNT - 1) + [0] * (len(quotes) - LEARNT + 1)
    assert visit("Heading", "Seen 9 times", "Person A", "Person B", "Quote: eta", "Footer") == [
        "+ Person B\n+ Quote: eta\n− Quote: zeta"  # what stands right beside it is shown with it
    ]


def test_news_is_never_learnt_away() -> None:
    """Text that changes now and then, with visits between at which it has not: the count starts anew each time."""
    visit = Visits()
    visit("Latest:", "Person 0", "Footer")
    for name in "ABCDEFGH":
        visit.unchanged()
        assert visit("Latest:", f"Person {name}", "Footer"), name
    assert visit("Latest:", "Person I", "Footer", "a") != []


def test_what_keeps_still_again_is_watched_again() -> None:
    """After as many visits as it took to learn it."""
    visit = Visits()
    visit("Heading", "now 1", "Footer")
    for n in range(2, 6):
        last = visit("Heading", f"now {n}", "Footer")
    assert last == []
    for _ in range(LEARNT):
        visit.unchanged()
    visit("Heading", "now 5", "Footer", "Person A")
    assert visit("Heading", "now 6", "Footer", "Person A") == ["+ now 6\n− now 5"]


def test_a_growing_or_rolling_list_is_no_boilerplate() -> None:
    """Something new at the top at each visit, with the oldest leaving at the end."""
    visit = Visits()
    names = [f"Ship {chr(65 + n)}" for n in range(12)]
    visit("Latest ships", *names[:3][::-1], "Footer")
    for n in range(1, 9):
        assert visit("Latest ships", *names[n : n + 3][::-1], "Footer") == [f"+ {names[n + 2]}\n− {names[n - 1]}"]


def test_patterns_are_ignored() -> None:
    """Where a line differs only in what they match, or is nothing else."""
    visit = Visits(How("watch", (("content", "main"),), (r"\d+ views", "Updated .*")))
    visit("Person A, 5 views", "Updated today")
    assert visit("Person A, 6 views", "Updated tomorrow", "Updated twice") == []
    assert visit("Person A, 7 views", "Person B, 1 views") == ["+ Person B, 1 views"]


def test_a_page_without_the_part_is_no_change() -> None:
    """Neither is everything removed, nor added again when it is back."""
    visit = Visits()
    visit("Person A")
    gone = reading("<html><body>Maintenance</body></html>", WATCH, memory=visit.memory)
    assert (gone.entries, gone.items, gone.memory) == ((), 0, None)
    assert gone.nothing == "The page answers, but `main` finds nothing."
    assert visit("Person A") == []
    assert refusal("<html><title>Just a moment...</title></html>", WATCH).found == "challenge"


def test_damaged_memory_starts_over() -> None:
    """Without an entry, and without an error."""
    for memory in (b"x", b"", b"\x78\x9c" + bytes(20)):
        assert reading(page("A"), WATCH, memory=memory).entries == ()


def test_the_difference_of_long_texts_takes_linear_work() -> None:
    """Twice the lines, all different: twice the work, counted in lines that are returned."""
    for size in (5_000, 10_000):
        change = difference([f"old {n} x" for n in range(size)], [f"new {n} y" for n in range(size)])
        assert (len(change.added), len(change.removed)) == (size, size)
