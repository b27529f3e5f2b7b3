"""A rule from nothing in a real browser, a broken channel that is mended, and another language."""

from playwright.sync_api import expect

from tests.browser.conftest import Opener, Site
from tests.support.memory_backend import RULES_TEXT


def test_a_newcomer_writes_a_rule(site: Site, open_page: Opener) -> None:
    """Form and YAML follow each other, the effect is shown, a draft survives, an undo takes it back."""
    page = open_page("/rules")
    page.keyboard.press("c")
    page.wait_for_url("**/rules/new")
    yaml = page.locator("[data-yaml]")
    page.get_by_label("Title", exact=True).fill("Patriot")
    page.get_by_label("Any of these terms").fill("Patriot\nMIM-104")
    expect(yaml).to_have_value("id: patriot\ntitle: Patriot\nany: [Patriot, MIM-104]\n")
    expect(page.locator("[data-preview]")).to_contain_text("+14")
    yaml.press("Control+End")
    yaml.type("lang: en  # only\n")
    yaml.evaluate("(area) => { area.scrollTop = 7; }")
    expect(page.locator("[data-verdict]")).to_contain_text("No errors")
    expect(page.get_by_label("Title", exact=True)).to_have_value("Patriot")
    assert yaml.evaluate("(area) => area.selectionStart === area.value.length")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("[data-draft]")).to_be_visible()
    expect(yaml).to_have_value("id: patriot\ntitle: Patriot\nany: [Patriot, MIM-104]\nlang: en  # only\n")
    page.get_by_role("button", name="Save and apply").click()
    page.wait_for_url("**/rules/patriot*")
    assert site.backend.text.endswith(
        "  - id: patriot\n    title: Patriot\n    any: [Patriot, MIM-104]\n    lang: en  # only\n"
    )
    page.goto(site.address + "/rules/new")
    expect(page.locator("[data-draft]")).to_be_hidden()
    page.goto(site.address + "/rules/history")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".history")).to_contain_text("undone")
    assert site.backend.text == RULES_TEXT
    assert [one for one in site.complaints if "404" not in one] == []


def test_an_operator_mends_a_channel(site: Site, open_page: Opener) -> None:
    """The test shows each recipient's answer; the dot is red, and green once the channel works again."""
    name = next(iter(site.backend.loaded.config.channels))
    site.backend.broken[name] = "401 Unauthorized"
    page = open_page("/channels")
    channel = page.locator(f"#channel-{name}")
    channel.get_by_role("button", name="Send test").click()
    expect(channel).to_contain_text("401 Unauthorized")
    expect(channel.locator("h2 .dot")).to_have_class("dot dead")
    site.backend.broken.clear()
    channel.get_by_role("button", name="Send test").click()
    expect(channel.locator("h2 .dot")).to_have_class("dot sent")
    assert site.complaints == []


def test_a_page_speaks_the_language_that_was_chosen(open_page: Opener) -> None:
    """Chosen in the foot, remembered on the next page, in scripts too."""
    page = open_page("/rules")
    page.get_by_label("Language").select_option("de")
    page.locator("form.language button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Regeln")
    page.get_by_role("link", name="Neue Regel").click()
    page.get_by_label("Titel", exact=True).fill("x")
    expect(page.locator("[data-verdict]")).to_contain_text("Prüfen")
