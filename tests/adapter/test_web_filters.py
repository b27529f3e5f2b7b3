"""What pages say in words: times, periods, changes, places."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from aggregator.core.highlight import Run, differences, spellings_by_field
from aggregator.core.model import AlertKind, DeliveryState, Health, HitState, Span
from aggregator.web.filters import (
    DISPLAY_NAMES,
    attempt_name,
    capitalize,
    display_name,
    full,
    outcome,
    period,
    reason,
    stamp,
)
from aggregator.web.language import language, speaking
from aggregator.web.templating import keep_together
from tests.support.records import hit

NOON = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")
WORDS = st.lists(st.sampled_from(["radar", "Kiel", "S-400", "and", "ships."]), max_size=12).map(" ".join)


def test_an_hour_of_another_day_says_the_day() -> None:
    """Only what is of the reader's own day stands without a date."""
    assert stamp(NOON, NOON, OSLO) == "13:00"
    assert stamp(NOON - timedelta(hours=13, minutes=30), NOON, OSLO) == "4 Mar 23:30"
    assert stamp(NOON - timedelta(hours=12, minutes=30), NOON, OSLO) == "00:30"
    assert stamp(NOON - timedelta(days=365), NOON, OSLO) == "5 Mar 2025 13:00"


def test_a_period_says_its_day_once() -> None:
    """Two hours of one day share it; an instant is no period."""
    assert period(NOON, NOON + timedelta(minutes=8), UTC) == "5 Mar 2026 12:00–12:08 UTC"
    assert period(NOON, NOON, UTC) == "5 Mar 2026 12:00 UTC"
    assert period(NOON, NOON + timedelta(days=1), UTC) == "5 Mar 2026 12:00 UTC – 6 Mar 2026 12:00 UTC"


def test_every_stored_state_has_a_name_for_people() -> None:
    """Engine's words (ok, dead, suppressed) are on no page; the outcome of an attempt is not the state of its alert."""
    stored = {*map(str, Health), *map(str, DeliveryState), *map(str, AlertKind), "low", "normal", "high", "unknown"}
    assert stored == set(DISPLAY_NAMES)
    assert [display_name(word) for word in ("ok", "silent", "dead", "suppressed", "retry")] == [
        "healthy", "unusually quiet", "given up", "not sent", "retrying",
    ]  # fmt: skip
    assert [attempt_name(word) for word in ("sent", "retry", "dead")] == ["sent", "failed", "failed for good"]


def test_reasons_are_in_the_language_of_the_page_up_to_what_a_person_wrote() -> None:
    """The engine's words are translated, a colleague's are not."""
    with speaking(language("de")):
        assert reason("quiet hours") == "Ruhezeit"
        assert reason("silenced: air show") == "stummgeschaltet: air show"
        assert outcome(hit(state=HitState.SUPPRESSED, reason="silenced: air show")).endswith(
            "stummgeschaltet: air show"
        )


def test_a_sentence_begins_and_names_keep_their_letters() -> None:
    """Only the first letter is raised."""
    assert capitalize("digest of the S-400 rule") == "Digest of the S-400 rule"
    assert capitalize("") == ""


@given(WORDS, WORDS)
def test_differences_hold_both_texts(old: str, new: str) -> None:
    """Without what is gone stands the new text, without what is new the old one; no change ends in a blank."""
    pieces = differences(old, new)
    assert _text(pieces, "gone") == new.split()
    assert [word.casefold() for word in _text(pieces, "new")] == [word.casefold() for word in old.split()]
    assert all(piece.text == piece.text.strip() for piece in pieces if piece.mark)


def _text(pieces: tuple[Run, ...], without: str) -> list[str]:
    return "".join(piece.text for piece in pieces if piece.mark != without).split()


def test_a_designation_is_not_broken_and_nothing_is_let_in() -> None:
    """Only the hyphen of S-400 is kept together; what stands around it and in it is escaped."""
    assert keep_together("S-400 <b>") == '<span class="whole">S-400</span> &lt;b&gt;'
    assert keep_together("well-known & CVE-2026-21413") == 'well-known &amp; <span class="whole">CVE-2026-21413</span>'


@given(st.text())
def test_a_text_is_whole_without_its_marks(text: str) -> None:
    """Whatever the text, the reader sees all of it."""
    assert keep_together(text).striptags().split() == Markup.escape(text).striptags().split()


def test_a_spelling_is_named_once() -> None:
    """With every field in which it stands; another spelling of the same term stands by itself."""
    spans = [
        Span(field=field, start=0, end=5, text=text, term="S-400")
        for field, text in (("title", "S-400"), ("summary", "S400"), ("summary", "S-400"), ("summary", "S-400"))
    ]
    assert spellings_by_field(spans) == (("S-400", "S-400", ("title", "summary")), ("S400", "S-400", ("summary",)))


def test_the_end_of_time_is_shown_everywhere() -> None:
    """As older releases stored it; in most zones, no clock shows it."""
    for name in ("Asia/Tokyo", "America/New_York"):
        assert "9999" in full(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), ZoneInfo(name))
