"""The first day on the pages: the guide, and the digest of what was already there."""

import pytest
from msgspec.structs import replace

from aggregator.core.model import Health
from aggregator.core.settings import Config
from aggregator.web import create_app
from tests.support.http_client import HttpClient
from tests.support.memory_backend import Loaded, MemoryBackend
from tests.support.sample_data import first_day, sample_tables

GUIDE = "First steps</a>\n<ol>"  # of the line on the Hits page; the foot of each page has the link alone
STEPS = ("feeds", "rule", "channel", "outcome")


def done(text: str) -> list[str]:
    return [step for step in STEPS if f'id="step-{step}" class="step done"' in text]


@pytest.mark.parametrize("missing", ["feeds", "rules", "channels"])
def test_the_guide_is_where_a_newcomer_lands(missing: str) -> None:
    """Without feeds, rules or channels the first page leads to it; its link is on every page."""
    backend = sample_tables()
    nothing: object = {} if missing == "channels" else ()
    backend.loaded = Loaded(backend.loaded.config.model_copy(update={missing: nothing}))
    client = HttpClient(create_app(backend))
    assert GUIDE in client.get("/").text
    assert '<a href="/start">First steps</a>' in client.get("/rules").text


def test_an_empty_installation_is_the_guide() -> None:
    """Its first page has the forms themselves, the first of them marked."""
    backend = MemoryBackend(loaded=Loaded(Config()))
    for path in ("/", "/start"):
        text = HttpClient(create_app(backend)).get(path).text
        assert done(text) == []
        assert text.count('aria-current="step"') == 1
        assert all(f'action="{form}"' in text for form in ("/feeds/discover", "/rules/new", "/start/leave"))


def test_what_is_done_is_ticked() -> None:
    """Feeds that were read and a rule that runs; a channel once it accepted something; the rest once it was alerted."""
    backend = first_day()
    client = HttpClient(create_app(backend))
    assert done(client.get("/start").text) == ["feeds", "rule"]
    client.post("/channels/console/test", form={"next": "/start"})
    text = client.get("/start").text
    assert done(text) == ["feeds", "rule", "channel"]
    assert "your rules match" in text
    assert done(HttpClient(create_app(sample_tables())).get("/start").text) == list(STEPS)


def test_feeds_that_cannot_be_read_are_no_step() -> None:
    """The reason stands there; one that was not polled yet is waited for."""
    backend = first_day()
    for row in backend.tables.feeds.values():
        row.state = replace(row.state, health=Health.NEW, last_polled_at=None, failures=0)
    client = HttpClient(create_app(backend))
    assert "data-waiting" in client.get("/start").text
    for row in backend.tables.feeds.values():
        row.state = replace(row.state, health=Health.NEW, failures=1, last_error="no.example: host not found (DNS)")
    text = client.get("/start").text
    assert "data-waiting" not in text
    assert "no.example: host not found (DNS)" in text
    assert done(text) == ["rule"]


def test_the_guide_can_be_left_and_stands_in_nobodys_way() -> None:
    """Who left it is not shown it again, and neither is who was alerted once; its own page stays."""
    client = HttpClient(create_app(first_day()))
    assert GUIDE in client.get("/").text
    left = client.post("/start/leave", form={"next": "/"})
    assert "done=guide-left" in (left.header("location") or "")
    cookie = (left.header("set-cookie") or "").partition(";")[0]
    assert GUIDE not in client.get("/", headers={"cookie": cookie}).text
    assert client.get("/start", headers={"cookie": cookie}).status == 200
    full = HttpClient(create_app(sample_tables())).get("/").text
    assert GUIDE not in full
    assert "first look" not in full


def test_forms_lead_back_to_the_guide() -> None:
    """A feed and a rule that were begun there end there; another site is no place to go back to."""
    client = HttpClient(create_app(sample_tables()))
    for wanted, back in (("/start", "/start"), ("https://evil.example/", "/"), ("//evil.example", "/")):
        added = client.post("/feeds/add", form={"url": f"https://new{len(wanted)}.example/feed", "next": wanted})
        assert (added.header("location") or "").startswith(f"{back}?done=added")
        found = client.post("/feeds/discover", form={"url": "https://none.example", "next": wanted}).text
        assert f'name="next" value="{back}"' in found
        rule = {"fields": "any,title", "any": f"term{len(wanted)}", "title": f"T{len(wanted)}", "next": wanted}
        assert f'name="next" value="{back}"' in client.post("/rules/new", form={**rule, "do": "preview"}).text
        saved = client.post("/rules/new", form={**rule, "do": "save"})
        assert (saved.header("location") or "").startswith(f"{back}?done=saved"), saved.text
    asked = client.get("/feeds/add?next=https://evil.example").text
    assert '<a href="/">Back</a>' in asked
    assert 'href="https://evil' not in asked


def test_what_was_already_there_is_sent_once() -> None:
    """The Hits page says why nobody was alerted; its button sends one digest, the second time says so; until it leaves
    it can be taken back, and the offer with it."""
    backend = first_day()
    count = len(backend.tables.hits)
    client = HttpClient(create_app(backend))
    text = client.get("/").text
    assert f"{count} hits were already there at the first look and were not alerted." in text
    sent = client.post("/hits/baseline", form={"do": "send", "next": "/?show=all"})
    location, _, undo = (sent.header("location") or "").partition("&undo=")
    assert location == f"/?show=all&done=baseline-sent&n={count}"
    after = client.get(sent.header("location") or "").text
    assert f"{count} hits are on their way as one digest." in after
    assert "first look" not in after
    assert len([one for one in backend.tables.deliveries.values() if len(one.hits) == count]) == 1
    again = client.post("/hits/baseline", form={"do": "send"})
    assert "they were sent already" in client.get(again.header("location") or "").text
    assert client.post(f"/undo/{undo}", form={"next": "/"}).status == 303
    assert not [one for one in backend.tables.deliveries.values() if len(one.hits) == count]
    assert f"{count} hits were already there" in client.get("/").text


def test_the_offer_of_a_digest_is_of_the_list_on_show() -> None:
    """One rule's where that is chosen, none in other lists; who hid it is asked again when feeds bring more."""
    backend = first_day()
    client = HttpClient(create_app(backend))
    of_rule = sum(hit.rule == "caatsa" for hit in backend.tables.hits.values())
    assert f"{of_rule} hits were already there" in client.get("/?rule=caatsa").text
    for path in ("/?feed=tass", "/?show=relevant", "/?since=7d"):
        assert "were already there" not in client.get(path).text, path
    hidden = client.post("/hits/baseline", form={"do": "hide", "held": str(len(backend.tables.hits))})
    cookie = (hidden.header("set-cookie") or "").partition(";")[0]
    assert "were already there" not in client.get("/", headers={"cookie": cookie}).text
    hit = next(iter(backend.tables.hits.values()))
    backend.tables.hits["more"] = replace(hit, id="more", rule="f35")
    assert "were already there" in client.get("/", headers={"cookie": cookie}).text
