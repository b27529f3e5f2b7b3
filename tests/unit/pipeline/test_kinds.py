"""Polls of sources that are no feeds: the same pipeline behind another reader."""

import pytest

from aggregator.core.errors import StoreError
from aggregator.core.model import Health, ParseLevel, Reason
from tests.support.fake_fetcher import FakePage
from tests.unit.pipeline.builders import URL, PollFixture, poll_fixture


def watched(*lines: str) -> FakePage:
    text = "".join(f"<p>{line}</p>" for line in lines)
    return FakePage(body=f"<html><title>List</title><main>{text}</main></html>".encode(), content_type="text/html")


def listed(*titles: str) -> FakePage:
    rows = "".join(f"<li><a href='/{title.replace(' ', '-')}'>{title}</a></li>" for title in titles)
    return FakePage(body=f"<html><title>List</title><ul>{rows}</ul></html>".encode(), content_type="text/html")


pytestmark = pytest.mark.anyio
RULE = {"id": "sanctions", "any": ["CAATSA"]}


async def page_fixture() -> PollFixture:
    return await poll_fixture(RULE, feed={"kind": "page", "select": {"entry": "li"}})


async def test_a_list_page_alerts_on_what_is_new() -> None:
    """The first poll is the baseline; a new entry alerts once, wherever it stands."""
    poll = await page_fixture()
    await poll.poll(listed("CAATSA waiver discussed", "Something else happened"))
    assert poll.alerted() == []
    await poll.poll(listed("Something else happened", "CAATSA sanctions imposed", "CAATSA waiver discussed"))
    assert poll.alerted() == ["CAATSA sanctions imposed"]
    await poll.poll(listed("CAATSA sanctions imposed", "Something else happened"))
    assert poll.alerted() == ["CAATSA sanctions imposed"]


async def test_a_list_page_that_empties_is_emptied_and_comes_back_without_alerts() -> None:
    """Its entries are remembered."""
    poll = await page_fixture()
    await poll.poll(listed("CAATSA waiver discussed"))
    await poll.poll(FakePage(body=b"<html><p>New design</p></html>", content_type="text/html"))
    assert (poll.state.health, poll.state.last_error) == (
        Health.EMPTIED,
        "The page answers, but `li` finds nothing.",
    )
    await poll.poll(listed("CAATSA waiver discussed"))
    assert (poll.state.health, poll.state.last_error, poll.alerted()) == (Health.OK, None, [])


async def test_a_watched_page_alerts_on_what_was_added_and_on_what_was_removed() -> None:
    """Each change is an entry of its own, with the address of the page and the time at which it was seen."""
    poll = await poll_fixture(RULE, feed={"kind": "watch"})
    await poll.poll(watched("Intro", "Footer"))
    await poll.poll(watched("Intro", "CAATSA designations", "Footer"))
    first = poll.clock.now()
    await poll.poll(watched("Intro", "CAATSA designations", "Footer"))
    assert poll.titles() == ["List: CAATSA designations"]
    await poll.poll(watched("Intro", "Footer"))
    assert poll.alerted() == ["List: CAATSA designations", "List: removed: CAATSA designations"]
    entry = poll.entry("List: CAATSA designations")
    assert (entry.link, entry.published_at, entry.reason) == (URL, first, Reason.NEW)
    assert poll.entry("List: removed: CAATSA designations").content == "− CAATSA designations"


async def test_the_alert_of_a_watched_page_shows_the_difference() -> None:
    """What was added and what it replaces, marked, in the line that the alert quotes."""
    poll = await poll_fixture(RULE, feed={"kind": "watch"})
    await poll.poll(watched("Intro", "Rosoboronexport: exempt", "Footer"))
    await poll.poll(watched("Intro", "Rosoboronexport: sanctioned under CAATSA", "Footer"))
    (hit,) = poll.store.tables.hits.values()
    assert hit.snippet == "+ Rosoboronexport: sanctioned under CAATSA − Rosoboronexport: exempt"


async def test_a_change_that_could_not_be_stored_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page was is written together with the entry, or not at all."""
    poll = await poll_fixture(RULE, feed={"kind": "watch"})
    await poll.poll(watched("Intro"))
    with monkeypatch.context() as patch:
        patch.setattr(type(poll.store.feeds), "commit", _refuse)
        await poll.poll(watched("Intro", "CAATSA designations"))
    assert poll.titles() == []
    await poll.poll(watched("Intro", "CAATSA designations"))
    assert poll.alerted() == ["List: CAATSA designations"]


async def _refuse(*_: object, **__: object) -> None:
    raise StoreError("the disk is full")


async def test_an_unchanged_page_is_not_read() -> None:
    """Its bytes are those that were read."""
    poll = await page_fixture()
    await poll.poll(listed("CAATSA waiver discussed"))
    polled = await poll.poll(listed("CAATSA waiver discussed"))
    assert polled.parse_level is ParseLevel.SAME_BODY
