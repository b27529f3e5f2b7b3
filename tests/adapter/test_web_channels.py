"""Channels and silences on the pages and in the API."""

from datetime import timedelta

import pytest

from aggregator.core.model import Silence
from aggregator.web import create_app
from aggregator.web.pages.channels import quiet_minutes
from tests.support.http_client import HttpClient
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import sample_tables


@pytest.fixture
def backend() -> MemoryBackend:
    return sample_tables()


@pytest.fixture
def client(backend: MemoryBackend) -> HttpClient:
    return HttpClient(create_app(backend))


def state_of(client: HttpClient, name: str) -> str:
    return str(next(one["state"] for one in client.get("/api/v1/channels").json() if one["name"] == name))


def test_a_broken_channel_is_red_until_a_test_goes_through(client: HttpClient, backend: MemoryBackend) -> None:
    """The dot is that of the last attempt, tests included; each recipient's answer is shown."""
    name = next(iter(backend.loaded.config.channels))
    backend.broken[name] = "401 Unauthorized"
    assert client.post(f"/channels/{name}/test", form={}).status == 303
    assert state_of(client, name) == "dead"
    page = client.get("/channels").text
    assert "401 Unauthorized" in page
    assert "#2" in page
    backend.broken.clear()
    backend.clock.at += timedelta(seconds=1)
    answer = client.ask("POST", f"/api/v1/channels/{name}/test")
    assert [one["ok"] for one in answer.json()["results"]] == [True, True]
    assert state_of(client, name) == "sent"
    assert client.post("/channels/nosuch/test", form={}).status == 404


def test_no_address_of_a_channel_is_shown(client: HttpClient) -> None:
    """Only the kind of service."""
    for path in ("/channels", "/api/v1/channels"):
        assert "example.org" not in client.get(path).text


@pytest.mark.parametrize(
    ("hours", "minutes"),
    [(None, ()), ("09:00-17:30", ((540, 1050),)), ("22:00-07:00", ((1320, 1440), (0, 420)))],
)
def test_quiet_hours_are_drawn(hours: str | None, minutes: tuple[tuple[int, int], ...]) -> None:
    """In two pieces where they pass midnight."""
    assert quiet_minutes(hours) == minutes


def test_a_silence_says_what_it_would_hold_back(client: HttpClient, backend: MemoryBackend) -> None:
    """For a rule, a feed, a story, or all three of a hit; what does not exist is named."""
    page = client.get("/silences/add?hit=00001389").text
    assert page.count('name="what"') == 4, "both rules of the entry, its feed, its story"
    assert "would have held back" in page
    assert client.get("/silences/add?rule=caatsa").status == 200
    assert client.get("/silences/add?feed=tass").status == 200
    assert client.get("/silences/add").status == 303
    for wrong in ("rule=nosuch", "feed=nosuch", "story=nosuch", "hit=nosuch"):
        assert client.get(f"/silences/add?{wrong}").status == 404


def test_a_count_that_went_no_further_says_so(
    client: HttpClient, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of very many hits the newest are counted, whatever became of them: what is said is the least that was held."""
    assert client.post("/api/v1/silences", data={"rule": "caatsa"}).status == 201
    backend.clock.at -= timedelta(days=20)
    assert client.post("/api/v1/silences", data={"rule": "caatsa", "for": "90d"}).status == 201
    backend.clock.at += timedelta(days=20)
    paths = ("/silences", "/silences/add?rule=caatsa")
    assert ["or more" in client.get(path).text for path in paths] == [False, False]
    monkeypatch.setattr("aggregator.web.pages.silences.PREVIEWED", 2)
    assert ["or more" in client.get(path).text for path in paths] == [True, True]


def test_silences_are_listed_and_ended(client: HttpClient, backend: MemoryBackend) -> None:
    """With their end, their reason, and a chip wherever they act."""
    now = backend.clock.now()
    backend.tables.silences[7] = Silence(
        id=7, rule="caatsa", until_at=now + timedelta(hours=2), reason="travelling", created_at=now
    )
    page = client.get("/silences").text
    assert 'id="silence-7"' in page
    assert "travelling" in page
    for path in ("/rules", "/rules/caatsa"):
        assert "/silences#silence-7" in client.get(path).text
    assert client.post("/silences/7/remove", form={"next": "/silences"}).status == 303
    assert 'id="silence-7"' not in client.get("/silences").text
