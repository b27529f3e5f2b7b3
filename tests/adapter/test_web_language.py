"""The language of the pages: which one a reader gets, what it changes, and that a choice is remembered."""

from datetime import UTC, date, datetime, timedelta

import pytest

from aggregator.web import create_app, filters
from aggregator.web.language import LANGUAGE_COOKIE, codes, language, languages, negotiate, speaking
from tests.support.http_client import HttpClient
from tests.support.sample_data import sample_tables


@pytest.fixture(scope="module")
def client() -> HttpClient:
    return HttpClient(create_app(sample_tables()))


@pytest.mark.parametrize(
    ("chosen", "accepted", "code"),
    [
        ("", "", "en"),
        ("", "de-AT,de;q=0.9,en;q=0.5", "de"),
        ("", "en;q=0.4, fr;q=0.8", "fr"),
        ("", "no", "nb"),
        ("", "nn-NO", "nb"),
        ("", "ja, xx;q=0.9", "en"),
        ("", "de;q=0", "en"),
        ("", "fr;q=high,nb;q=0.1", "nb"),
        ("nb", "de", "nb"),
        ("../de", "de", "de"),
        ("", "de," * 100_000, "de"),
    ],
)
def test_a_reader_gets_what_was_chosen_else_what_is_accepted(chosen: str, accepted: str, code: str) -> None:
    """A choice comes first, then the header by its weights; English is what remains."""
    assert negotiate(chosen, accepted).code == code


def test_a_page_is_in_the_language_of_the_browser(client: HttpClient) -> None:
    """The page says which language it is in, in its markup and in its head."""
    answer = client.get("/status", headers={"accept-language": "de"})
    assert answer.header("content-language") == "de"
    assert '<html lang="de" ' in answer.text
    assert '<html lang="en" ' in client.get("/status").text


def test_a_choice_is_remembered(client: HttpClient) -> None:
    """The choice goes into a cookie, which outweighs the browser's wish; the way back is a path of this site."""
    answer = client.post("/language", form={"language": "fr", "next": "/rules"})
    assert (answer.status, answer.header("location")) == (303, "/rules")
    (cookie,) = answer.cookies()
    assert cookie.startswith(f"{LANGUAGE_COOKIE}=fr;")
    chosen = client.get("/rules", headers={"cookie": f"{LANGUAGE_COOKIE}=fr", "accept-language": "de"})
    assert '<html lang="fr" ' in chosen.text
    assert client.post("/language", form={"language": "fr", "next": "//evil.example/"}).header("location") == "/"


def test_an_unknown_language_is_refused(client: HttpClient) -> None:
    """The refusal names what there is."""
    answer = client.post("/language", form={"language": "tlh"})
    assert answer.status == 422
    assert "de, fr, nb" in answer.text


def test_each_language_names_itself() -> None:
    """A reader finds the own language by its own name."""
    assert codes()[0] == "en"
    assert dict(languages()).items() >= {"en": "English", "de": "Deutsch", "fr": "Français"}.items()


def test_dates_and_numbers_are_those_of_the_language() -> None:
    """CLDR says how a language writes a day and groups digits; English keeps its shapes."""
    day, now = date(2026, 2, 27), datetime(2026, 2, 27, 14, 5, tzinfo=UTC)
    shown = {}
    for code in codes():
        with speaking(language(code)):
            shown[code] = (
                filters.day_title(day, day + timedelta(days=9)),
                filters.full(now, UTC),
                filters.count(12345),
            )
    assert shown["en"] == ("Friday 27 February", "27 Feb 2026 14:05 UTC", "12,345")
    assert shown["de"] == ("Freitag, 27. Februar", "27. Feb. 2026 14:05 UTC", "12.345")
    assert shown["fr"] == ("vendredi 27 février", "27 févr. 2026 14:05 UTC", "12\u202f345")
    assert shown["nb"] == ("fredag 27. februar", "27. feb. 2026 14:05 UTC", "12\xa0345")


def test_the_api_speaks_english(client: HttpClient) -> None:
    """What programs read does not depend on a person's language."""
    german = client.get("/api/v1/hits", headers={"accept-language": "de"})
    assert german.body == client.get("/api/v1/hits").body
