"""A newcomer's first day: from an installation without anything to the first alert, on the real program."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from aggregator.app.clock import SystemClock
from tests.browser.conftest import Opener, Site
from tests.browser.test_pages import violations
from tests.support.harness import Publisher, Receiver, Service, closing_all, wait_for
from tests.support.receivers import free_port
from tests.support.sample_data import first_day

SETTINGS = """\
settings:
  database: "sqlite:///{folder}/news.db"
  polling: {{every: 1s, min_interval: 1s, per_host: 8}}
  http: {{allow: ["{host}"]}}
  web: {{listen: "127.0.0.1:{port}"}}
"""
CHANNEL = """\
channels:
  desk: {{service: webhook, url: "http://{host}/desk"}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Publisher, Receiver, Service, str]]:
    """A publisher with two entries, a receiver of alerts, and the program with neither feed, rule nor channel."""
    publisher, receiver, service, port = Publisher(), Receiver(), Service(tmp_path), free_port()
    publisher.dated_at = SystemClock().now()
    publisher.publish("wire", "1", "Ankara takes delivery of S‑400s")
    publisher.publish("wire", "2", "IBM AS-400 museum opens")
    service.write("settings.yaml", SETTINGS.format(folder=tmp_path, host=publisher.host, port=port))
    with closing_all(publisher, receiver):
        service.start()
        wait_for(lambda: answers(port), what="the page")
        yield publisher, receiver, service, f"http://127.0.0.1:{port}"
        service.kill()


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_from_nothing_to_the_first_alert(browser: Browser, world: tuple[Publisher, Receiver, Service, str]) -> None:
    """The guide leads through feeds, a rule with a preview, a channel with a test, and what would have come."""
    publisher, receiver, service, address = world
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.goto(address)
    expect(page.locator("[aria-current=step]")).to_contain_text("What do you want to watch?")

    page.get_by_label("URL of a feed or site").fill(f"{publisher.url}/wire")
    page.get_by_role("button", name="Find feeds").click()
    expect(page.get_by_text("Ankara takes delivery of S‑400s")).to_be_visible()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#step-feeds")).to_contain_text("1 feed has been read")  # without a reload

    page.get_by_label("Any of these terms").fill("S-400")
    page.get_by_role("button", name="Preview over what is stored").click()
    expect(page.locator("[data-preview]")).to_contain_text("Ankara takes delivery of S‑400s")
    page.get_by_role("button", name="Save and apply").click()
    expect(page.locator("#step-rule")).to_contain_text("Running: s-400")

    outcome = page.locator("#step-outcome")
    expect(outcome).to_contain_text("your rules match 1")
    expect(outcome).to_contain_text("Ankara takes delivery of S‑400s")
    assert receiver.accepted == []

    service.write("channels.yaml", CHANNEL.format(host=receiver.host) + "settings: {default_channels: [desk]}\n")
    step = page.locator("#step-channel")

    def is_shown() -> bool:
        step.get_by_text("Alerts by mail, on a phone or in a chat").click()
        step.get_by_role("link", name="Check again").click()
        return step.get_by_text("desk", exact=True).is_visible()

    assert str(service.config / "channels.yaml") in (step.text_content() or "")  # folded
    wait_for(is_shown, what="the channel in the guide")
    step.locator(".tried", has_text="desk").get_by_role("button", name="Send test").click()
    expect(step).to_contain_text("accepted")
    assert len(receiver.accepted) == 1
    assert violations(page) == []

    publisher.publish("wire", "3", "Second S-400 regiment: talks go on")
    wait_for(lambda: len(receiver.accepted) == 2, what="the first alert")
    assert "Second S-400 regiment" in receiver.texts()[1]
    page.goto(address)
    expect(page.get_by_role("heading", name="Second S-400 regiment")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("First steps")
    page.get_by_role("link", name="First steps").click()
    expect(page.locator("main")).to_contain_text("All is set up.")
    assert complaints == []


def test_what_was_already_there_is_sent_by_its_key(site: Site, open_page: Opener) -> None:
    """The digest is announced with an undo of its own, not that of what was before it; then it is offered again."""
    site.backend.tables = first_day().tables
    page = open_page("/")
    count = len(site.backend.tables.hits)
    for key in ("j", "r", "d"):
        page.keyboard.press(key)
    expect(page.get_by_role("status")).to_contain_text(f"{count} hits are on their way as one digest.")
    expect(page.get_by_role("button", name="Send them as one digest")).to_have_count(0)
    page.keyboard.press("u")
    expect(page.get_by_role("status")).to_contain_text("Undone.")
    expect(page.get_by_role("button", name="Send them as one digest")).to_have_count(1)
    assert "relevant" in {hit.mark for hit in site.backend.tables.hits.values()}, "what was done before stays"
    assert site.complaints == []
