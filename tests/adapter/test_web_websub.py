"""Callbacks for hubs: open without a credential, and for nothing else."""

import pytest

from aggregator.web import create_app
from aggregator.web.middleware import MAX_BODY_BYTES
from tests.support.http_client import HttpClient
from tests.support.sample_data import sample_tables

PUBLIC = "public.example"


@pytest.fixture
def hub() -> HttpClient:
    """A stranger from elsewhere who calls a closed site by its public name."""
    backend = sample_tables(password="correct horse", token="battery staple", public_url=f"https://{PUBLIC}")
    return HttpClient(create_app(backend), host=PUBLIC)


def test_a_question_is_answered_in_plain_text(hub: HttpClient) -> None:
    """The challenge comes back as it was, as text that no browser takes for a page."""
    answer = hub.get("/websub/known?hub.mode=subscribe&hub.challenge=%3Cscript%3E1")
    assert (answer.status, answer.text) == (200, "<script>1")
    assert (answer.header("content-type") or "").startswith("text/plain")
    assert answer.header("x-content-type-options") == "nosniff"
    assert hub.get("/websub/guessed?hub.challenge=x").status == 404
    assert hub.get(f"/websub/known?hub.challenge={'x' * 9000}").status == 404


@pytest.mark.parametrize(("callback", "signature", "status"), [("known", "length=4", 202), ("known", "sha256=0", 202)])
def test_a_push_is_acknowledged(hub: HttpClient, callback: str, signature: str, status: int) -> None:
    """Whether its signature fits or not; from wherever it comes."""
    headers: dict[str, str | None] = {"x-hub-signature": signature, "origin": "https://hub.example"}
    assert hub.ask("POST", f"/websub/{callback}", headers=headers, body=b"feed").status == status


def test_a_push_without_a_subscription_is_gone(hub: HttpClient) -> None:
    """410 tells the hub to stop."""
    assert hub.ask("POST", "/websub/guessed", headers={"origin": None}, body=b"feed").status == 410


def test_a_push_is_bounded(hub: HttpClient) -> None:
    """More than the site takes is refused."""
    sent = hub.ask("POST", "/websub/known", headers={"origin": None}, body=b"x" * (MAX_BODY_BYTES + 1))
    assert sent.status == 413


@pytest.mark.parametrize("path", ["/websub", "/websub/", "/websub/../feeds", "/websub/known/more", "/websubs"])
def test_nothing_else_is_open(hub: HttpClient, path: str) -> None:
    """Neighbouring addresses are closed or not there."""
    assert hub.get(path).status in (303, 404)
    assert hub.ask("DELETE", path, headers={"origin": None}).status in (401, 405)
    assert hub.ask("DELETE", "/websub/known", headers={"origin": None}).status in (401, 405)


def test_a_foreign_name_reaches_nothing() -> None:
    """The callback lives under our names only."""
    client = HttpClient(create_app(sample_tables(public_url=f"https://{PUBLIC}")), host="evil.example")
    assert client.get("/websub/known?hub.challenge=x").status == 421
