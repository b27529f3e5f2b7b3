"""Stories over HTTP: the API of what `stories list/show/split/join` do, and why a report is on a story's page."""

import html
import re

import pytest
from msgspec.structs import replace
from pydantic import BaseModel

from aggregator.core.model import Because, HitState, JoinKind, NearMiss
from aggregator.core.schemas import models
from aggregator.web import create_app
from tests.support.http_client import HttpAnswer, HttpClient
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import NOW, sample_tables


@pytest.fixture(scope="module")
def backend() -> MemoryBackend:
    """A desk with two stories, of the first of which one hit was folded."""
    made = sample_tables()
    folded = max((h for h in made.tables.hits.values() if h.story == "story-1"), key=lambda h: h.created_at)
    made.tables.hits[folded.id] = replace(folded, state=HitState.FOLDED, because=because(JoinKind.RETELLING))
    return made


@pytest.fixture(scope="module")
def client(backend: MemoryBackend) -> HttpClient:
    return HttpClient(create_app(backend))


def because(kind: JoinKind | None, **given: object) -> Because:
    joined = {
        "story": "story-1",
        "title": "Murted <b>",
        "feed": "wire",
        "at": NOW,
        "words": ("S-400", "Murted", "base"),
    }
    return replace(Because(kind=kind, hours=2.04, **joined), **given)  # type: ignore[arg-type]


def has_shape(found: object, model: type[BaseModel]) -> None:
    """Every documented key, and no other."""
    assert isinstance(found, dict)
    model.model_validate(found, extra="forbid")
    assert set(found) == set(model.model_fields)


def test_stories_are_listed_the_latest_first_and_paged(client: HttpClient) -> None:
    """Each with how much of it was folded; `Link` leads on; filters are those of the command."""
    answer = client.get("/api/v1/stories")
    found = answer.json()
    for one in found:
        has_shape(one, models.StorySummary)
    assert sorted(found, key=lambda one: one["last_at"], reverse=True) == found
    assert {one["id"]: one["folded"] for one in found} == {"story-1": 1, "story-2": 0}
    first = client.get("/api/v1/stories?limit=1")
    (link,) = re.findall(r"<([^>]+)>", dict(first.headers)["link"])
    assert [*first.json(), *client.get(link).json()] == found
    assert client.get("/api/v1/stories?rule=nothing").json() == []
    assert client.get("/api/v1/stories?since=never").status == 422


def test_a_story_comes_with_its_hits_and_their_reasons(client: HttpClient) -> None:
    """The folded one says of what it is a retelling, in which words, and how far apart they are."""
    story = client.get("/api/v1/stories/story-1").json()
    has_shape(story, models.Story)
    (folded,) = [hit for hit in story["hits"] if hit["state"] == "folded"]
    reason = folded["because"]
    assert (reason["kind"], reason["words"], reason["hours"]) == ("retelling", ["S-400", "Murted", "base"], 2.04)
    assert {hit["story"] for hit in story["hits"]} == {"story-1"}


def test_a_split_and_a_join_say_what_they_did(client: HttpClient, backend: MemoryBackend) -> None:
    """Four keys: the stories, how many hits went, and how many alerts are queued."""
    (folded,) = [hit.id for hit in backend.tables.hits.values() if hit.state is HitState.FOLDED]
    split = client.post(f"/api/v1/hits/{folded}/split").json()
    joined = client.post("/api/v1/stories/story-1/join", data={"other": "story-2"}).json()
    for change in (split, joined):
        has_shape(change, models.StoryChange)
    assert (split["story"], split["queued"]) == ("story-1", 1)
    assert (joined["story"], joined["other"]) == ("story-1", "story-2")


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [
        ("GET", "/api/v1/stories/nothing", None, 404),
        ("GET", "/api/v1/stories/..%2F..%2Fetc", None, 404),
        ("GET", f"/api/v1/stories/{'s' * 201}", None, 422),
        ("GET", "/api/v1/stories?limit=0", None, 422),
        ("GET", "/api/v1/stories?before=x", None, 404),
        ("POST", "/api/v1/hits/nothing/split", None, 404),
        ("POST", "/api/v1/stories/nothing/join", {"other": "story-1"}, 404),
        ("POST", "/api/v1/stories/story-1/join", {"other": "nothing"}, 404),
        ("POST", "/api/v1/stories/story-1/join", {}, 422),
        ("POST", "/api/v1/stories/story-1/join", {"other": 1}, 422),
        ("POST", "/api/v1/stories/story-1/join", {"other": "story-2", "more": 1}, 422),
    ],
)
def test_what_is_not_there_is_refused_in_one_sentence(
    client: HttpClient, method: str, path: str, data: dict[str, object] | None, status: int
) -> None:
    """An id that nothing has, a body that says something else."""
    more = {} if data is None else {"data": data}
    answer: HttpAnswer = client.ask(method, path, **more)
    assert answer.status == status
    assert answer.json().keys() == {"detail"}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (JoinKind.COPY, "Copy of “Murted <b>” (wire, 14:20): S-400, Murted, base · 2.0 h apart"),
        (JoinKind.RETELLING, "Same event as “Murted <b>” (wire, 14:20): S-400, Murted, base · 2.0 h apart"),
        (
            JoinKind.FOLLOW_UP,
            "Update to “Murted <b>” (wire, 14:20): S-400, Murted, base · 2.0 h apart · from the same source",
        ),
        (JoinKind.TRANSLATION, "In another language: “Murted <b>” (wire, 14:20): S-400, Murted, base · 2.0 h apart"),
        (JoinKind.PERSON, "Joined with “Murted <b>” (wire, 14:20) by anna"),
    ],
)
def test_a_storys_page_says_how_each_report_belongs_to_it(kind: JoinKind, said: str) -> None:
    """Of which kind it is, by which words, and how many hours apart; what it nearly joined; all as text."""
    backend = sample_tables()
    doubt = "from the same source" if kind is JoinKind.FOLLOW_UP else ""
    miss = NearMiss(story="story-2", title="Other", feed="wire", reason="numbers differ (5 / 8)")
    reason = because(kind, doubt=doubt, by="anna", misses=(miss,))
    for hit in [hit for hit in backend.tables.hits.values() if hit.story == "story-1"]:
        backend.tables.hits[hit.id] = replace(hit, because=reason)
    page = HttpClient(create_app(backend)).get("/stories/story-1").text
    assert "Murted <b>" not in page
    lines = [html.unescape(line) for line in re.findall(r'<p class="also">(.*?)</p>', page)]
    assert said in lines
    assert any("not joined: numbers differ (5 / 8)" in line for line in lines)
    if kind is not JoinKind.PERSON:
        assert any(line.startswith(said) and "alerted on console" in line for line in lines)
    shown = next(hit.id for hit in backend.tables.hits.values() if hit.story == "story-1")
    assert said in html.unescape(HttpClient(create_app(backend)).get(f"/hits/{shown}").text)
