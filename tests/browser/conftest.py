"""A site on loopback and the system's Chromium; loudly skipped where there is none, an error where CI demands it."""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from aggregator.web import create_app
from aggregator.web.server import bind, serve
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import sample_tables

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ARTEFACTS = Path(os.environ.get("AGGREGATOR_ARTEFACTS", "artefacts"))
PATIENCE_MS = 45_000  # on a busy machine; what comes at all comes long before


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what stands here, and skip it where it cannot run."""
    missing = pytest.mark.skip(reason="no Chromium on this machine: the pages were NOT tried in a browser")
    for item in items:
        if "tests/browser" in str(item.path).replace("\\", "/"):
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None and not os.environ.get("CI"):
                item.add_marker(missing)


@dataclass
class Site:
    """A running site, its desk, and what its pages complained of or asked for."""

    address: str
    backend: MemoryBackend
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def run(backend: MemoryBackend) -> Iterator[Site]:
    """Serve a backend on a free port, in a thread of its own."""
    bound = bind("127.0.0.1:0")
    loop = asyncio.new_event_loop()
    task: list[asyncio.Task[None]] = []

    def serving() -> None:
        asyncio.set_event_loop(loop)
        task.append(loop.create_task(serve(create_app(backend), bound=bound)))
        try:
            loop.run_until_complete(asyncio.wait(task))
        finally:
            loop.close()

    port = bound.getsockname()[1]
    thread = threading.Thread(target=serving, daemon=True)
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{port}", backend)
    finally:
        loop.call_soon_threadsafe(lambda: task[0].cancel())
        thread.join(10)


@pytest.fixture
def site() -> Iterator[Site]:
    """A site with a morning of news, fresh for each test."""
    yield from run(sample_tables())


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=120_000)
        yield chromium
        chromium.close()


Opener = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Opener]:
    """Open pages of the site: width, scheme and whether scripts run are up to the test.

    Every complaint on the console, every error and every request is written down in the site.
    """
    contexts: list[BrowserContext] = []

    def opened(path: str = "/", *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=scripts,
            reduced_motion="reduce",
            timezone_id="Europe/Oslo",
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda m: site.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: site.complaints.append(str(error)))
        page.on("request", lambda request: site.asked.append(request.url))
        page.goto(site.address + path)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Keep a screenshot as an artefact."""

    def kept(page: Page, name: str) -> None:
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(ARTEFACTS / f"{name}.png"))

    return kept
