"""Every page in both widths and both colour schemes."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener, Site
from tests.browser.page_list import PAGES
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import first_day, long_names

SIZES = [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")]
WRONG = {"results-wrong": 422, "nothing": 404}  # pages that answer with an error, which the console tells
BYTES = 100_000


def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA and its own best practice."""
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(page, options={"runOnly": rules}).response["violations"]
    return [f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}" for one in found]


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_every_page_stands(
    site: Site, open_page: Opener, keep: Callable[[Page, str], None], width: int, scheme: str
) -> None:
    """No complaint, nothing wider than the window, nothing asked of others, WCAG AA by axe-core."""
    page = open_page("/", width=width, scheme=scheme)
    wrong = []
    for name, path in PAGES.items():
        page.goto(site.address + path)
        page.wait_for_load_state("load")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            wrong.append(f"{name}: {wide} px too wide")
        if page.locator("h1").count() != 1:
            wrong.append(f"{name}: {page.locator('h1').count()} first headings")
        wrong += [f"{name}: {violation}" for violation in violations(page)]
        keep(page, f"{name}-{width}-{scheme}")
    assert wrong == []
    assert len(site.complaints) == len(WRONG)
    assert all(f"status of {code} " in said for code, said in zip(WRONG.values(), site.complaints, strict=True))
    assert [url for url in site.asked if not url.startswith((site.address, "data:"))] == []


def test_an_effect_that_is_awaited_is_readable(open_page: Opener) -> None:
    """Its old text keeps its contrast in both schemes until the new one is there."""
    for scheme in ("light", "dark"):
        page = open_page("/rules/new", width=360, scheme=scheme)
        page.locator("[data-preview]").evaluate("(preview) => preview.classList.add('busy')")
        assert violations(page) == [], scheme


def test_a_row_that_is_done_is_readable(open_page: Opener) -> None:
    """Rows that were just marked are set apart without fading."""
    for scheme in ("light", "dark"):
        page = open_page("/?since=24h", scheme=scheme)
        page.locator("[data-row]").evaluate_all("(rows) => rows.forEach((row) => row.classList.add('handled'))")
        assert violations(page) == [], scheme


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_the_guide_stands(
    site: Site, open_page: Opener, keep: Callable[[Page, str], None], width: int, scheme: str
) -> None:
    """With hits that nobody was alerted about, and without anything: WCAG AA, nothing too wide."""
    for backend, paths in ((first_day(), ("/?since=24h", "/start")), (MemoryBackend(), ("/",))):
        site.backend.tables, site.backend.loaded = backend.tables, backend.loaded
        for path in paths:
            page = open_page(path, width=width, scheme=scheme)
            assert page.locator("h1").count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert violations(page) == [], path
            keep(page, f"guide{paths.index(path)}-{len(backend.tables.hits)}-{width}-{scheme}")
    assert site.complaints == []


def test_nothing_is_too_long_for_a_phone(site: Site, open_page: Opener) -> None:
    """Ids of a hundred characters, words without an end, a host of eighty: they are cut or broken, never wider."""
    site.backend.tables = long_names().tables
    for path in ("/", "/hits/00001389", "/stories/story-1", "/alerts", "/alerts/d3", "/status", "/channels"):
        page = open_page(path, width=360)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_tables_fit_a_narrow_window_in_every_language(site: Site, open_page: Opener) -> None:
    """Beside the navigation they are narrowest, and German and French headings longest; no word is broken."""
    page = open_page("/", width=1024)
    for language in ("en", "de", "fr", "nb"):
        page.context.add_cookies([{"name": "aggregator_language", "value": language, "url": site.address}])
        for path in ("/rules", "/feeds"):
            page.goto(site.address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 1024, (language, path)


def test_login_page_stands(browser: object, site: Site, open_page: Opener, keep: Callable[[Page, str], None]) -> None:
    """The login form, wrong and right."""
    site.backend.web(password="secret words")
    page = open_page("/rules", width=360)
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    assert "Wrong password" in page.get_by_role("alert").inner_text()
    assert violations(page) == []
    keep(page, "login-360-light")
    page.get_by_label("Password").fill("secret words")
    page.keyboard.press("Enter")
    page.wait_for_url("**/rules")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")


def test_an_action_after_the_session_has_ended_leads_back(site: Site, open_page: Opener) -> None:
    """A form of a page that was open when its session ended: nothing is changed, and the login leads back to it."""
    site.backend.web(password="secret words")
    before, page = repr(site.backend.tables), open_page("/login?next=/feeds/tass")
    for button in ("Pause", "Relevant"):
        page.get_by_label("Password").fill("secret words")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("TASS")
        page.context.clear_cookies()
        page.get_by_role("button", name=button, exact=True).first.evaluate("button => button.click()")
        expect(page.locator("h1")).to_have_text("You are logged out; nothing was changed.")
        page.get_by_role("link", name="Log in").click()
    assert repr(site.backend.tables) == before


def test_every_page_reads_without_scripts(site: Site, open_page: Opener) -> None:
    """What a page says is in its HTML, and the HTML is small."""
    page = open_page("/", scripts=False)
    for name, path in PAGES.items():
        page.goto(site.address + path)
        assert page.locator("main").inner_text().strip(), name
        assert len(page.content().encode()) < BYTES, name


def test_empty_installation(site: Site, open_page: Opener, keep: Callable[[Page, str], None]) -> None:
    """Pages without anything to show say what to do."""
    for name in ("feeds", "entries", "hits", "stories", "deliveries", "silences"):
        getattr(site.backend.tables, name).clear()
    page = open_page("/")
    assert "No hits yet" in page.locator("main").inner_text()
    page.goto(site.address + "/feeds")
    assert "Add one" in page.locator("main").inner_text()
    page.goto(site.address + "/alerts")
    assert "No alerts yet" in page.locator("main").inner_text()
    assert site.complaints == []
