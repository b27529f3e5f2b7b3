"""The pages without a mouse: each action by a key, all of them listed, and the focus where it was left."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener, Site
from tests.browser.page_list import PAGES

UNREACHED = """
() => [...document.querySelectorAll("button, a[href], input:not([type=hidden]), select, textarea, summary")]
  .filter((one) => one.checkVisibility() && !one.dataset.day && (one.tabIndex < 0 || one.disabled))
  .map((one) => one.outerHTML)
"""
MODIFIERS = {"Enter", "Ctrl"}


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_everything_is_reached_by_tab(site: Site, open_page: Opener) -> None:
    """No control of any page is left out of the order of the tab key; the days of a chart are reached by arrows."""
    page = open_page("/")
    for path in PAGES.values():
        page.goto(site.address + path)
        assert page.evaluate(UNREACHED) == [], path


def test_keys_are_listed(site: Site, open_page: Opener) -> None:
    """A question mark lists every key that a button or link names; Escape gives the focus back."""
    page = open_page("/")
    press(page, "j", "?")
    listed = page.get_by_role("dialog", name="Shortcuts")
    expect(listed).to_be_visible()
    known = set(listed.locator("kbd").all_inner_texts()) - MODIFIERS
    press(page, "Escape")
    expect(listed).to_be_hidden()
    expect(page.locator("[data-row]").first).to_be_focused()
    for path in PAGES.values():
        page.goto(site.address + path)
        named = page.locator("[aria-keyshortcuts]").evaluate_all("all => all.map(e => e.ariaKeyShortcuts)")
        assert set(named) - {"?", "Control+s"} <= known, path  # the list says Ctrl and s


def test_keys_can_be_switched_off(open_page: Opener) -> None:
    """Who talks to the computer does not want single letters to act (WCAG 2.1.4); the button still lists them."""
    page = open_page("/")
    page.get_by_role("button", name="Shortcuts").click()
    page.get_by_role("checkbox", name="Enable shortcuts").uncheck()
    page.get_by_role("button", name="Close").click()
    page.reload()
    press(page, "j", "?")
    expect(page.locator("[data-row]").first).not_to_be_focused()
    expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize(
    ("start", "keys", "end"),
    [
        ("/", "jw", r"/hits/00001389$"),
        ("/", "jt", r"/stories/story-1$"),
        ("/", "js", r"/silences/add\?hit=00001389"),
        ("/alerts", ["j", "Enter"], r"/alerts/d\d$"),
        ("/feeds", "jo", r"/feeds/\w+$"),
        ("/rules", "je", r"/rules/[\w-]+/edit$"),
        ("/hits/00001389", "t", r"/stories/story-1$"),
        ("/", "gr", r"/rules$"),
        ("/rules", "gf", r"/feeds$"),
        ("/rules", "ga", r"/alerts$"),
        ("/rules", "gs", r"/status$"),
        ("/rules", "gh", r"/$"),
        ("/status", "/", r"/search$"),
    ],
)
def test_keys_lead(open_page: Opener, start: str, keys: list[str], end: str) -> None:
    """Each key leads to what it names."""
    page = open_page(start)
    press(page, *keys)
    page.wait_for_url(re.compile(end))


def test_the_dot_leads_to_the_other_actions(site: Site, open_page: Opener) -> None:
    """Of a row, of what is ticked, of the page; on a story a key leads to the note and to the labels."""
    page = open_page("/rules")
    press(page, "j", ".")
    expect(page.locator("#rule-s400-turkey").get_by_role("link", name="Edit")).to_be_focused()
    press(page, "Tab", "Enter")
    expect(page.get_by_role("status")).to_contain_text("Rule paused")
    page.goto(site.address + "/feeds")
    press(page, "j", "x", ".")
    expect(page.locator("[data-bulk]").get_by_role("button", name="Poll")).to_be_focused()
    page.goto(site.address + "/stories/story-1")
    press(page, "l")
    expect(page.get_by_label("Labels")).to_be_focused()
    page.locator("main").focus()
    press(page, "n")
    expect(page.get_by_label("Note", exact=True)).to_be_focused()


def test_slash_finds_on_a_page_that_has_a_field(open_page: Opener) -> None:
    """On the feeds a slash leads to the field, and what is typed narrows the list."""
    page = open_page("/feeds")
    press(page, "/")
    page.keyboard.type("defense")
    press(page, "Enter")
    page.wait_for_url("**/feeds?find=defense")
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page.get_by_role("link", name="Defense News")).to_be_visible()


def test_the_focus_comes_back_after_an_action(site: Site, open_page: Opener) -> None:
    """Whoever acknowledges, cancels or silences goes on from the same place of the list."""
    page = open_page("/alerts")
    press(page, "j", "j", "a")
    page.wait_for_url("**/alerts?done=acknowledged*")
    expect(page.locator("[data-row]").nth(1)).to_be_focused()
    page.goto(site.address + "/alerts?state=held")
    press(page, "j", "c")
    page.wait_for_url("**done=cancelled*")
    expect(page.get_by_text("No alerts in this state.")).to_be_visible()
    page.goto(site.address + "/?rule=f35")
    press(page, "j", "j", "s")
    page.get_by_label("Reason").fill("air show")
    press(page, "Enter")
    page.wait_for_url("**/?rule=f35&done=silenced*")
    expect(page.locator("[data-row]").nth(1)).to_be_focused()


def test_a_mark_advances(open_page: Opener) -> None:
    """Marking by key goes on with the next hit at once."""
    page = open_page("/")
    press(page, "j", "i", "r")
    rows = page.locator("[data-row]")
    expect(rows.nth(2)).to_be_focused()
    expect(rows.nth(0).get_by_role("button", name="Irrelevant")).to_have_attribute("aria-pressed", "true")
    expect(rows.nth(1).get_by_role("button", name="Relevant", exact=True)).to_have_attribute("aria-pressed", "true")
