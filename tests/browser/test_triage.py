"""An analyst's morning: fifty hits by keys alone, marks of cards, undo, mute, several at once."""

from msgspec.structs import replace
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener, Site
from tests.support.harness import wait_for

KEYS_FOR_FIFTY = 60


def left(page: Page) -> int:
    return int(page.locator("[data-todo]").inner_text())


def test_fifty_hits_take_sixty_keys(site: Site, open_page: Opener) -> None:
    """No mouse: a key marks and goes on, a page of the list ends at the next one."""
    page = open_page("/")
    before, pressed, marked = left(page), 0, 0
    hits = site.backend.tables.hits.values()
    kept = len({hit.story or hit.entry_key for hit in hits if hit.mark})

    def press(key: str) -> None:
        nonlocal pressed
        pressed += 1
        page.keyboard.press(key)

    press("j")
    while marked < 50:
        if page.locator("[data-row]:focus").count() == 0:
            with page.expect_navigation():
                press("Enter")
            press("j")
        press("r" if marked % 3 == 0 else "i")
        marked += 1
    assert pressed <= KEYS_FOR_FIFTY
    expect(page.get_by_role("status")).to_contain_text("Marked")
    wait_for(lambda: len({hit.story or hit.entry_key for hit in hits if hit.mark}) == kept + 50, what="fifty marks")
    page.goto(site.address + "/")
    assert left(page) == before - 50
    assert page.title().startswith(f"({before - 50}) ")


def test_a_mark_is_the_cards_and_is_undone(site: Site, open_page: Opener) -> None:
    """All rules and copies of a card get the mark; u takes it back, and again what was before; m mutes."""
    hits = site.backend.tables.hits
    card = [name for name, hit in hits.items() if hit.story == "story-1"]
    assert len({hits[name].rule for name in card}) > 1
    page = open_page("/")
    page.keyboard.press("j")
    page.keyboard.press("i")
    expect(page.get_by_role("status")).to_contain_text("Marked irrelevant.")
    assert {hits[name].mark for name in card} == {"irrelevant"}
    page.keyboard.press("u")
    expect(page.get_by_role("status")).to_contain_text("Undone.")
    assert {hits[name].mark for name in card} == {None}
    page.locator("#hit-00001389").focus()
    page.keyboard.press("m")
    expect(page.get_by_role("status")).to_contain_text("Story muted")
    assert "story-1" in {one.story for one in site.backend.tables.silences.values()}
    page.keyboard.press("u")
    expect(page.get_by_role("status")).to_contain_text("Undone.")
    assert "story-1" not in {one.story for one in site.backend.tables.silences.values()}


def test_several_are_ticked_and_marked(site: Site, open_page: Opener) -> None:
    """x and Shift with j tick rows; the bar acts on them all; without scripts the same form does."""
    page = open_page("/")
    before = left(page)
    for key in ("j", "x", "J", "J", "e"):
        page.keyboard.press(key)
    expect(page.get_by_role("status")).to_contain_text("3 seen")
    assert left(page) == before - 3
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-todo]")).to_have_text(str(before))
    plain = open_page("/", scripts=False)
    plain.locator(".pick").nth(0).check()
    plain.locator(".bulk").get_by_role("button", name="Irrelevant").click()
    expect(plain.locator("[data-todo]")).to_have_text(str(before - 1))


def test_fifteen_rows_fit_a_screen(site: Site, open_page: Opener) -> None:
    """Compact rows of one day: at least fifteen stand on 1280 x 900."""
    now = site.backend.clock.now()
    for number, (name, entry) in enumerate(list(site.backend.tables.entries.items())[:40]):
        site.backend.tables.entries[name] = replace(entry, published_at=now, seen_at=now, title=f"Report {number}")
    page = open_page("/?show=all")
    page.set_viewport_size({"width": 1280, "height": 900})
    boxes = [box for row in page.locator("[data-row]").all() if (box := row.bounding_box())]
    assert sum(box["y"] + box["height"] <= 900 for box in boxes) >= 15
