"""What a person does on the pages, with keys, with scripts and without."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener, Site
from tests.support.harness import wait_for
from tests.support.sample_data import detail_of


def test_keys_move_and_mark(site: Site, open_page: Opener) -> None:
    """j and k move through the hits, r marks, slash leads to the search; in a field a key is a letter."""
    page = open_page("/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    first = page.locator("[data-row]").first
    expect(first).to_be_focused()
    page.keyboard.press("r")
    expect(first.get_by_role("button", name="Relevant", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("status")).to_contain_text("Marked relevant.")
    assert site.backend.tables.hits["00001389"].mark == "relevant"
    page.keyboard.press("/")
    page.wait_for_url("**/search")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    page.keyboard.type("j/k S-400")
    expect(field).to_have_value("j/k S-400")
    assert site.complaints == []


def test_the_focus_is_visible_and_skips_the_frame(open_page: Opener) -> None:
    """The first tab offers to skip to the content, and what is focused has an outline."""
    page = open_page("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_mark_is_kept_and_taken_away(site: Site, open_page: Opener, scripts: bool) -> None:
    """The same button marks and unmarks, with and without scripts."""
    page = open_page("/?show=all", scripts=scripts)
    button = page.locator("#hit-00001389").get_by_role("button", name="Irrelevant")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    hits = site.backend.tables.hits
    wait_for(lambda: hits["00001389"].mark == "irrelevant", what="the mark")  # the page shows it before it is kept
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    wait_for(lambda: hits["00001389"].mark is None, what="the end of the mark")


def test_new_hits_are_announced(site: Site, open_page: Opener, keep: Callable[[Page, str], None]) -> None:
    """A hit that comes while the page is open is counted, and one press shows it."""
    page = open_page("/")
    backend = site.backend
    backend.clock.at += timedelta(seconds=5)
    detail = detail_of(
        7777, "tass", "CAATSA waiver signed", "The CAATSA waiver was signed.", backend.clock.now(), "caatsa"
    )
    backend.tables.hits[detail.hit.id], backend.tables.entries[7777] = detail.hit, detail.entry
    link = page.get_by_role("link", name="1 new")
    link.wait_for()
    keep(page, "hits-new")
    link.click()
    expect(page.locator(f"#hit-{detail.hit.id}")).to_be_visible()


def test_filters_live_in_the_address(open_page: Opener) -> None:
    """A filter is an address that can be sent to a colleague."""
    page = open_page("/")
    page.get_by_label("Rule").select_option("f35")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**/?rule=f35*")
    assert page.locator(".card").count() > 3
    assert page.locator(".card .chip", has_text="CAATSA").count() == 0
    page.get_by_role("link", name="Clear", exact=True).click()
    page.wait_for_url(lambda url: url.endswith("/"))


def test_a_silence_is_made_and_lifted(site: Site, open_page: Opener) -> None:
    """From a hit to a silence and back."""
    page = open_page("/", scripts=False)
    page.locator("#hit-00001389").get_by_role("link", name="Mute…").click()
    page.get_by_label("this story").check()
    page.get_by_label("Reason").fill("told enough")
    page.get_by_role("button", name="Mute").click()
    expect(page.get_by_role("status")).to_contain_text("Silence added.")
    number, made = site.backend.tables.silences.popitem()
    site.backend.tables.silences[number] = made
    assert (made.story, made.rule, made.reason) == ("story-1", None, "told enough")
    page.goto(site.address + "/status")
    page.get_by_role("button", name="Remove").last.click()
    wait_for(lambda: number not in site.backend.tables.silences, what="the end of the silence")


def test_the_editor_checks_while_typing(site: Site, open_page: Opener, keep: Callable[[Page, str], None]) -> None:
    """A problem appears at its line, goes when it is mended, and the effect is shown before saving."""
    page = open_page("/rules/edit")
    area = page.get_by_label("Contents of")
    area.press("Control+Home")
    area.press("End")
    area.press("Enter")
    area.press_sequentially("bad: 1")
    problem = page.locator("[data-verdict] .problems li")
    expect(problem).to_contain_text("rules.yaml:2:1")
    expect(page.locator("[data-gutter] .error")).to_have_text("2")
    keep(page, "editor-problem-1280-light")
    problem.get_by_role("link").click()
    expect(area).to_be_focused()
    area.fill(site.backend.text.replace("[CAATSA]", "[CAATSA, sanction*]"))
    expect(page.locator("[data-verdict] .fine")).to_contain_text("4 rules")
    expect(page.locator("[data-preview] .plus").first).to_have_text("+14")
    expect(page.locator("[data-preview] .minus").first).to_have_text("−3")
    keep(page, "editor-preview-1280-light")
    page.get_by_role("button", name="Save and apply").click()
    page.wait_for_url(re.compile(r"/rules\b.*done=saved"))
    assert "[CAATSA, sanction*]" in site.backend.text


def test_the_editor_works_without_scripts(site: Site, open_page: Opener) -> None:
    """Check, preview and save are buttons of a form; what was typed comes back with the problems."""
    page = open_page("/rules/edit", scripts=False)
    area = page.get_by_label("Contents of")
    area.fill(site.backend.text + "bad: 1\n")
    page.get_by_role("button", name="Save and apply").click()
    expect(page.locator(".problems li")).to_contain_text("unknown key")
    expect(page.get_by_label("Contents of")).to_have_value(site.backend.text + "bad: 1\n")
    page.get_by_label("Contents of").fill(site.backend.text + "# more\n")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".changes .plus").first).to_have_text("+14")
    page.get_by_role("button", name="Save and apply").click()
    page.wait_for_url(re.compile(r"/rules\b.*done=saved"))
    assert site.backend.text.endswith("# more\n")


def test_an_edit_elsewhere_is_not_overwritten(site: Site, open_page: Opener) -> None:
    """Where the file changed on disk, nothing is written and nothing that was typed is lost."""
    page = open_page("/rules/edit")
    page.get_by_label("Contents of").fill(site.backend.text + "# mine\n")
    site.backend.text += "# theirs\n"
    page.get_by_role("button", name="Save and apply").click()
    expect(page.get_by_role("alert")).to_contain_text("changed on disk")
    expect(page.get_by_label("Contents of")).to_have_value(site.backend.text.replace("# theirs", "# mine"))
    assert site.backend.text.endswith("# theirs\n")


def test_a_feed_is_looked_at_and_added(site: Site, open_page: Opener) -> None:
    """An address leads to candidates; one press adds; one that is known says so; a dead one says why."""
    page = open_page("/feeds/add")
    page.get_by_label("URL").fill("https://unreachable.example")
    page.get_by_role("button", name="Find feeds").click()
    expect(page.get_by_role("alert")).to_contain_text("there is no such host")
    page.get_by_label("URL").fill("https://bloomquist.example")
    page.get_by_role("button", name="Find feeds").click()
    expect(page.get_by_role("heading", name="Bloomquist on Arms Control")).to_be_visible()
    expect(page.get_by_text("Already watched as")).to_be_visible()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_contain_text("Feed added")


def test_a_list_of_feeds_is_imported(site: Site, open_page: Opener) -> None:
    """An OPML file is uploaded, and the report says what became of it."""
    page = open_page("/feeds/add")
    file = {"name": "feeds.opml", "mimeType": "text/x-opml", "buffer": b"<opml/>"}
    page.get_by_label("OPML file").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Import").click()
    expect(page.locator("main").get_by_role("status")).to_contain_text("2 added, 1 already watched, 0 listed")


def test_a_feed_is_paused_polled_and_resumed(site: Site, open_page: Opener) -> None:
    """The buttons of a feed do what they say."""
    page = open_page("/feeds/tass")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".byline")).to_contain_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("Resumed")
    page.get_by_role("button", name="Poll now").click()
    expect(page.locator("[data-toast]")).not_to_be_empty()


def test_alerts_are_retried_and_cancelled(site: Site, open_page: Opener) -> None:
    """A dead letter is tried again, a waiting one cancelled."""
    page = open_page("/alerts?state=dead")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("No alerts in this state.")).to_be_visible()
    page.goto(site.address + "/alerts?state=held")
    page.get_by_role("button", name="Cancel").click()
    wait_for(lambda: site.backend.tables.deliveries["d2"].state.value == "suppressed", what="the end of the alert")


def test_alerts_are_acknowledged(site: Site, open_page: Opener) -> None:
    """The button notes that a person knows, goes away, and leaves a word on the alert."""
    page = open_page("/alerts/d0")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status")).to_contain_text("Acknowledged")
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    assert site.backend.tables.deliveries["d0"].acknowledged_at == site.backend.clock.now()
    page.goto(site.address + "/alerts?state=sent")
    expect(page.get_by_text("acknowledged", exact=True)).to_have_count(1)


def test_what_is_wrong_with_a_query_is_said(open_page: Opener) -> None:
    """A query that cannot be read is answered beside the field."""
    page = open_page('/search?q="open phrase')
    expect(page.get_by_role("alert")).to_contain_text("no closing quote")


def test_a_late_loop_is_seen_on_every_page(site: Site, open_page: Opener, keep: Callable[[Page, str], None]) -> None:
    """The pulse beside Status turns, and the status page names the loop."""
    site.backend.late = frozenset({"deliver"})
    page = open_page("/")
    expect(page.locator("[data-pulse]")).to_have_class("pulse late")
    page.goto(site.address + "/status")
    expect(page.locator(".verdict")).to_contain_text("deliver is not responding")
    keep(page, "status-late-1280-light")


def test_a_broken_reload_is_reported(site: Site, open_page: Opener) -> None:
    """Reading the configuration again says what is wrong, with the place, and what keeps running."""
    page = open_page("/status")
    page.get_by_role("button", name="Reload configuration").click()
    expect(page.get_by_role("status")).to_contain_text("Configuration reloaded")
    site.backend.text += "bad: 1\n"
    page.get_by_role("button", name="Reload configuration").click()
    expect(page.get_by_role("alert")).to_contain_text("The running configuration stays active")


def test_long_listings_are_continued(site: Site, open_page: Opener) -> None:
    """Older hits follow page by page, each once."""
    page = open_page("/?show=all")
    seen: list[str] = []
    while True:
        seen += page.locator("article.card").evaluate_all("all => all.map(e => e.id)")
        older = page.get_by_role("link", name="Older")
        if not older.count():
            break
        older.click()
        page.wait_for_load_state("load")
    assert len(seen) == len(set(seen))
    shown = {hit.story or hit.entry_key for hit in site.backend.tables.hits.values()}
    assert len(seen) == len(shown)


def test_very_long_words_do_not_widen_the_page(site: Site, open_page: Opener) -> None:
    """A title without a blank, and right-to-left text, stay inside their card."""
    tables = site.backend.tables
    tables.entries[5001] = replace(tables.entries[5001], title="W" * 4000, summary="صفقة إس-400 " * 200)
    tables.hits["00001389"] = replace(tables.hits["00001389"], snippet="x" * 3000, spans=())
    tables.feeds["tass"].title = "F" * 300
    page = open_page("/", width=360)
    for path in ("/", "/hits/00001389", "/stories/story-1", "/silences/add?hit=00001389"):
        page.goto(site.address + path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, path


def test_each_text_has_its_own_direction(site: Site, open_page: Opener) -> None:
    """An Arabic hit stands right-to-left, its title at the edge of its text, among others that do not."""
    tables, now = site.backend.tables, site.backend.clock.now()
    detail = detail_of(
        7778, "tass", "تركيا تتسلم منظومة S-400", "أعلنت أنقرة تسليم S-400 هذا العام", now, "s400-turkey"
    )
    tables.hits[detail.hit.id], tables.entries[7778] = detail.hit, detail.entry
    page = open_page("/")
    page.get_by_text("Display").click()
    page.get_by_role("button", name="Cards").click()
    page.keyboard.press("Escape")
    ways = "(all) => all.map((one) => getComputedStyle(one).direction)"
    card = page.locator(f"#hit-{detail.hit.id}")
    assert card.locator("h3, .snippet").evaluate_all(ways) == ["rtl", "rtl"]
    assert set(page.locator(".card h3").evaluate_all(ways)) == {"rtl", "ltr"}
    edges = [box["x"] + box["width"] for part in card.locator("h3, .snippet").all() if (box := part.bounding_box())]
    assert edges[0] == pytest.approx(edges[1], abs=1)


def test_days_of_the_chart_are_links_and_can_be_drawn(site: Site, open_page: Opener) -> None:
    """A bar leads to its day, arrows move between bars, a drag selects days; the listing keeps its other filters."""
    page = open_page("/?rule=s400-turkey")
    chart = page.locator("[data-days]")
    bars = chart.get_by_role("link")
    expect(bars).to_have_count(30)
    bars.last.focus()
    page.keyboard.press("ArrowLeft")
    expect(bars.nth(28)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/?rule=s400-turkey&since=2026-03-04..2026-03-04")
    expect(chart.locator("[aria-current]")).to_have_count(1)
    expect(page.get_by_role("heading", level=2)).to_have_text(["Yesterday"])
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.82, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + 20, steps=4)
    expect(chart.locator(".drawn")).to_have_count(6)
    page.mouse.up()
    page.wait_for_url("**/?rule=s400-turkey&since=2026-02-28..2026-03-05")
    expect(page.get_by_role("heading", level=2).first).to_have_text("Today")
    assert site.complaints == []
