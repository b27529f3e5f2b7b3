"""Theme and density: chosen on any page, remembered by the browser, with and without scripts."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opener, Site


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
