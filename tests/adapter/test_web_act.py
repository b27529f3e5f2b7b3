"""Links in alerts: a stranger with one may act on that alert and see nothing else; asking changes nothing."""

import asyncio
from datetime import timedelta

from aggregator.core.delivery import action_token
from aggregator.core.delivery.links import LIFE
from aggregator.core.model import DeliveryState
from aggregator.web import create_app
from tests.support.http_client import HttpClient
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import sample_tables

PASSWORD = "correct horse battery staple"


def site() -> tuple[MemoryBackend, HttpClient, str]:
    """A site with a password, a stranger, and the address of a link in the alert d1."""
    backend = sample_tables(password=PASSWORD)
    key = asyncio.run(backend.catalog.signing_key(b"k" * 32))
    return backend, HttpClient(create_app(backend)), f"/act/{action_token(key, 'd1', backend.clock.now())}"


def test_a_link_asks_first() -> None:
    """A mail scanner that follows it changes nothing."""
    backend, stranger, address = site()
    before = repr(backend.tables)
    for do in ("", "?do=irrelevant", "?do=mute"):
        page = stranger.get(address + do)
        assert page.status == 200
        assert 'name="do"' in page.text
        assert "Log out" not in page.text
    assert stranger.ask("HEAD", address).status == 200
    assert repr(backend.tables) == before


def test_the_button_acts() -> None:
    """The alert's hits are marked, its story is muted, it is acknowledged."""
    backend, stranger, address = site()
    delivery = backend.tables.deliveries["d1"]
    assert stranger.post(address, form={"do": "irrelevant"}).status == 200
    assert {backend.tables.hits[hit].mark for hit in delivery.hits} == {"irrelevant"}
    marked = stranger.post(address, form={"do": "relevant"})
    undo = marked.text.partition('name="undo" value="')[2].partition('"')[0]
    assert "Undone." in stranger.post(address, form={"do": "undo", "undo": undo}).text
    assert {backend.tables.hits[hit].mark for hit in delivery.hits} == {"irrelevant"}
    assert "Nothing left to undo" in stranger.post(address, form={"do": "undo", "undo": undo}).text
    assert stranger.post(address, form={"do": "mute"}).status == 200
    assert "by a link in an alert" in {one.reason for one in backend.tables.silences.values()}
    sent = next(one for one in backend.tables.deliveries.values() if one.state is DeliveryState.SENT)
    other = f"/act/{action_token(b'k' * 32, sent.id, backend.clock.now())}"
    assert stranger.post(other, form={"do": "acknowledge"}).status == 200
    assert backend.tables.deliveries[sent.id].acknowledged_at
    assert stranger.post(address, form={"do": "delete"}).status == 422


def test_no_other_link_opens_anything() -> None:
    """One that ended, one that was changed, one that another site posts to."""
    backend, stranger, address = site()
    assert stranger.get(address[:-1] + ("A" if address[-1] != "A" else "B")).status == 403
    assert stranger.get("/act/d1").status == 403
    assert stranger.post(address, form={"do": "mute"}, headers={"origin": "https://evil.example"}).status == 403
    backend.clock.at += LIFE + timedelta(seconds=1)
    assert stranger.get(address).status == 403
    assert stranger.post(address, form={"do": "mute"}).status == 403
