"""Takes a picture of every page, in both widths and both schemes: what a change of the look is judged by.

python -m tests.browser.pictures [DIRECTORY]    (docs/images/pages without one; needs Chromium)
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, run
from tests.browser.page_list import PAGES
from tests.support.memory_backend import MemoryBackend
from tests.support.sample_data import first_day, long_names, sample_tables

WINDOWS = ((360, 780, 0.75), (1280, 900, 0.5))  # width, height, scale: small enough to be kept
QUALITY = 50
# An installation that is full, one after its first polls, one without anything, and one of very long names.
EMPTY = ("feeds", "rules", "alerts", "channels", "silences", "views", "status")
SCENES = (
    (sample_tables, PAGES),
    (first_day, {"first-day": "/", "first-day-start": "/start"}),
    (MemoryBackend, {"nothing-yet": "/"} | {f"nothing-yet-{name}": f"/{name}" for name in EMPTY}),
    (
        long_names,
        {"long": "/", "long-hit": "/hits/00001389", "long-story": "/stories/story-1", "long-alert": "/alerts/d3"},
    ),
)


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/pages")
    folder.mkdir(parents=True, exist_ok=True)
    total = count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for made, pages in SCENES:
            with contextmanager(run)(made()) as site:
                for target in take(browser, site.address, pages, folder):
                    total, count = total + target.stat().st_size, count + 1
        browser.close()
    print(f"{folder}: {count} pictures, {total:,} bytes")


def take(browser: Browser, address: str, pages: Mapping[str, str], folder: Path) -> Iterator[Path]:
    """Take each page in every window and scheme."""
    for scheme in ("light", "dark"):
        for width, height, scale in WINDOWS:
            context = browser.new_context(
                viewport={"width": width, "height": height}, device_scale_factor=scale,
                color_scheme=scheme,
                reduced_motion="reduce", timezone_id="Europe/Oslo",
            )  # fmt: skip
            page = context.new_page()
            page.goto(address)  # the first visit leaves the reader's zone
            for name, path in pages.items():
                page.goto(address + path)
                target = folder / f"{name}-{width}-{scheme}.jpg"
                page.screenshot(path=str(target), type="jpeg", quality=QUALITY)
                yield target
            context.close()


if __name__ == "__main__":
    main()
