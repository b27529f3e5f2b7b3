"""Theme and density: chosen on any page, remembered by the browser, with and without scripts."""

import pytest
from playwright.sync_api import Browser, expect

from aggregator.core.model import HitState
from tests.browser.conftest import Opener, Site
from tests.support.harness import wait_for
from tests.support.sample_data import detail_of


@pytest.mark.parametrize("scripts", [True, False])
def test_the_display_is_remembered(site: Site, open_page: Opener, scripts: bool) -> None:
    """A choice holds at once and on the next page; a word that is none in the cookie is the default."""
    page = open_page("/alerts", scripts=scripts)
    expect(page.locator("html")).to_have_attribute("data-density", "compact")
    for button in ("Dark", "Cards"):
        page.get_by_text("Display").click()
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("button", name=button, include_hidden=True)).to_have_attribute("aria-pressed", "true")
        if scripts:
            page.keyboard.press("Escape")
    page.goto(site.address + "/status")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("html")).to_have_attribute("data-density", "comfortable")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.context.add_cookies([{"name": "aggregator_theme", "value": "'\"><b>", "url": site.address}])
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "auto")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    assert [url for url in site.asked if not url.startswith((site.address, "data:"))] == []


RECORDING = """
Object.defineProperty(document, "hidden", { get: () => window.away ?? false });
window.shown = [];
window.Notification = class extends EventTarget {
  static permission = "default";
  static async requestPermission() { return (this.permission = window.answer ?? "granted"); }
  constructor(title, about) { super(); window.shown.push([title, about.tag]); }
};
"""


def test_notifications_are_a_wish_of_the_reader(site: Site, browser: Browser) -> None:
    """Off until somebody wants them and the browser allows it; then alerts are said while the page is not in view."""
    page = browser.new_context().new_page()
    page.add_init_script(RECORDING)
    page.goto(site.address + "/status")
    box = page.get_by_label("Notifications of new alerts")
    page.get_by_text("Display").click()
    expect(box).not_to_be_checked()
    page.evaluate("window.answer = 'denied'")
    box.click()
    expect(box).not_to_be_checked()
    expect(page.locator("[data-toast]")).to_contain_text("does not allow notifications")
    page.evaluate("window.answer = 'granted'")
    box.click()
    expect(box).to_be_checked()
    page.evaluate("window.away = true")
    for number, state in ((7001, HitState.HELD), (7002, HitState.ALERTED)):
        detail = detail_of(
            number, "tass", f"Breaking {number}", "S-400", site.backend.clock.now(), "caatsa", state=state
        )
        site.backend.tables.entries[number] = detail.entry
        site.backend.tables.hits[detail.hit.id] = detail.hit
    wait_for(lambda: page.evaluate("window.shown.length"), what="the notification")
    assert page.evaluate("window.shown") == [["Breaking 7002", f"{7002:08x}"]]
    page.context.close()


@pytest.mark.parametrize(
    ("language", "first", "later"), [("en", "12 min ago", "22 min ago"), ("de", "vor 12 min", "vor 22 min")]
)
def test_times_in_words_stay_true(site: Site, open_page: Opener, language: str, first: str, later: str) -> None:
    """They move on while a page is open, in the words of its language."""
    page = open_page("/alerts/d1")
    page.context.add_cookies([{"name": "aggregator_language", "value": language, "url": site.address}])
    page.clock.install()
    page.goto(site.address + "/alerts/d1")
    shown = page.locator("article time").first
    expect(shown).to_have_text(first)
    page.clock.fast_forward("10:00")
    expect(shown).to_have_text(later)
