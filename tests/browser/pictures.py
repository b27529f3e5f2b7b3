"""Takes a picture of every page, in both widths and both schemes: what a change of the look is judged by.

python -m tests.browser.pictures [DIRECTORY]    (docs/images/pages without one; needs Chromium)
"""

import sys
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, run
from tests.browser.page_list import PAGES
from tests.support.sample_data import sample_tables

WINDOWS = ((360, 780, 0.75), (1280, 900, 0.5))  # width, height, scale: small enough to be kept
QUALITY = 50


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/pages")
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    with contextmanager(run)(sample_tables()) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for scheme in ("light", "dark"):
            for width, height, scale in WINDOWS:
                context = browser.new_context(
                    viewport={"width": width, "height": height}, device_scale_factor=scale,
                    color_scheme=scheme,
                    reduced_motion="reduce", timezone_id="Europe/Oslo",
                )  # fmt: skip
                page = context.new_page()
                page.goto(site.address)  # the first visit leaves the reader's zone
                for name, path in PAGES.items():
                    page.goto(site.address + path)
                    target = folder / f"{name}-{width}-{scheme}.jpg"
                    page.screenshot(path=str(target), type="jpeg", quality=QUALITY)
                    total += target.stat().st_size
                context.close()
        browser.close()
    print(f"{folder}: {4 * len(PAGES)} pictures, {total:,} bytes")


if __name__ == "__main__":
    main()
