"""Takes the screenshots of the README from the pages over the backend with sample data.

python -m tests.browser.screenshots [DIRECTORY]    (docs/images without one; needs Chromium)
"""

import sys
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from msgspec.structs import replace
from playwright.sync_api import Browser, Page, sync_playwright

from aggregator.core.delivery import delivery_id
from aggregator.core.model import DeliveryState
from aggregator.core.results import EntryMatch, Preview, RuleChange
from benchmarks.story_stream import stream
from tests.browser.conftest import CHROMIUM, FLAGS, run
from tests.support.memory_backend import MemoryBackend
from tests.support.memory_store import Tables
from tests.support.sample_data import detail_of, sample_tables

MAX_BYTES = 200_000
OLD = "    any: [CAATSA]\n"
EDITED = '    any: [CAATSA, "secondary sanctions"]\n    none: [museum]\n'
ADDED = (
    ("ofac", "Treasury warns banks in Ankara of secondary sanctions"),
    ("defense-news", "India asks to be spared secondary sanctions over two S-400 regiments"),
    ("tass", "Moscow calls secondary sanctions on its buyers a tariff by another name"),
)
HEADLINE = "Turkey receives second S-400 battery at Murted air base"
TEXT = """\
ANKARA - Turkey received the second battery of Russian S-400 air defence missiles at Murted air base on Monday,
the defence ministry said, defying threats of sanctions by the United States. Crews begin to train in May."""
TRAINING = """\
Turkish crews began to train on the second S-400 battery at Murted air base, the defence ministry said.
The United States repeated its threats of sanctions over the Russian air defence missiles."""
NORSK = "Forsvarsdepartementet opplyser at nok et russisk S-400-batteri kom til flybasen Murted mandag."
POLSKI = "Ministerstwo obrony poinformowało w poniedziałek, że do bazy Murted dotarła kolejna rosyjska bateria S-400."
EVENT = (  # source, title, text, hours since the first, language
    ("anadolu", HEADLINE, TEXT, 0.0, "en"),
    ("defense-news", HEADLINE, TEXT, 0.4, "en"),
    ("csis", f"{HEADLINE} | Dispatch", f"{TEXT} Read more on our site.", 0.9, "en"),
    ("norsk", "Tyrkia har fått nytt S-400-batteri på Murted", NORSK, 1.5, "no"),
    ("janes", "Turcja odebrała drugą baterię S-400 w bazie Murted", POLSKI, 2.1, "pl"),
    ("defense-news", "Crews train on S-400 battery at Murted air base in Turkey", TRAINING, 16.0, "en"),
)
REMOVED = (("csis", "Ten years of CAATSA: a museum of good intentions"),)


class Desk(MemoryBackend):
    """A desk whose preview fits the edit that the picture shows."""

    async def preview(self, name: str, text: str, since: datetime, until: datetime | None = None) -> Preview:
        added, removed = (
            tuple(
                EntryMatch(entry=detail_of(n, feed, title, "", self.clock.now(), "caatsa").entry, feed_title=feed)
                for n, (feed, title) in enumerate(rows)
            )
            for rows in (ADDED, REMOVED)
        )
        change = RuleChange(
            rule="caatsa", before=33, after=35, added=len(added), removed=len(removed),
            added_samples=added, removed_samples=removed,
        )  # fmt: skip
        return Preview(since=since, entries=4212, changes=(change,))


def desk() -> Desk:
    """A morning on which somebody has begun to mark."""
    base = sample_tables()
    for hit, mark in (("0000138d", "relevant"), ("00001390", "irrelevant")):
        base.tables.hits[hit] = replace(base.tables.hits[hit], mark=mark)
    add_event(base.tables, base.clock.now())
    return Desk(tables=base.tables, clock=base.clock, loaded=base.loaded, candidates=base.candidates)


def add_event(tables: Tables, now: datetime) -> None:
    """One event in six reports; the router decides what becomes of them, and why."""
    routed = stream()
    for number, (feed, title, text, hours, lang) in enumerate(EVENT, 7001):
        made = detail_of(number, feed, title, text, now - timedelta(hours=60 - hours), "s400-turkey")
        entry = replace(made.entry, lang=lang)
        result = routed.add(entry)
        (hit,) = result.hits
        tables.hits[made.hit.id] = replace(
            made.hit, story=hit.story, state=hit.state, reason=hit.reason, because=hit.because
        )
        tables.entries[number] = entry
        for alert in result.deliveries:
            sent = {"state": DeliveryState.SENT, "hits": (made.hit.id,), "created_at": made.hit.created_at}
            for channel in ("chat", "mail"):
                name, sent_at = delivery_id(alert.id, channel), made.hit.created_at + timedelta(seconds=4)
                tables.deliveries[name] = replace(alert, id=name, channel=channel, sent_at=sent_at, **sent)
    tables.stories |= {name: replace(story, reports=(), apart=frozenset()) for name, story in routed.stories.items()}


def edit(page: Page) -> None:
    """Change a rule and wait for what it does."""
    area = page.get_by_label("Contents of")
    area.fill(area.input_value().replace(OLD, EDITED))
    page.locator(".changes .minus").first.wait_for()
    page.mouse.click(1240, 740)


def unfold(page: Page) -> None:
    """Show what is identical, too."""
    page.locator("details.fold summary").first.click()


def still(page: Page) -> None:
    """A page that is ready when it is loaded."""


PICTURES = (
    ("hits", "/", 1280, 752, "light", 1.15, still),
    ("hits-phone-dark", "/", 360, 752, "dark", 2, still),
    ("feeds-dark", "/feeds", 1280, 780, "dark", 1.25, still),
    ("story", f"/stories/{delivery_id('story', 'anadolu', 'key-7001')}", 1200, 1340, "light", 0.72, unfold),
    ("rules-editor", "/rules/edit", 1280, 780, "light", 1.25, edit),
)


def take(browser: Browser, address: str, folder: Path) -> None:
    """Every picture; an error where one is too heavy for a README."""
    for name, path, width, height, scheme, scale, prepare in PICTURES:
        page = browser.new_page(
            viewport={"width": width, "height": height}, device_scale_factor=scale,
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce", timezone_id="Europe/Oslo",
        )  # fmt: skip
        for _ in range(2):  # the first visit leaves the reader's zone, the second shows it
            page.goto(address + path)
            page.locator("[data-pulse]:is(.ok, .late)").wait_for()
        prepare(page)
        target = folder / f"{name}.png"
        page.screenshot(path=str(target))
        page.close()
        size = target.stat().st_size
        print(f"{target}: {size:,} bytes")
        if size > MAX_BYTES:
            raise SystemExit(f"{target} is larger than {MAX_BYTES:,} bytes")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    with contextmanager(run)(desk()) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        take(browser, site.address, folder)
        browser.close()


if __name__ == "__main__":
    main()
