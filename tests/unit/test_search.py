"""Search through the rule language: what it finds, where it stops, and how it goes on."""

from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest

from aggregator.app.finding import PAGE, search
from aggregator.core.model import Entry
from aggregator.core.rules import index_text
from aggregator.core.settings import Config
from aggregator.pipeline.setup import prepare
from tests.contract.samples import MINUTE, NOW, entry
from tests.fakes.store import MemoryCatalog, Tables

pytestmark = pytest.mark.anyio
SETUP = prepare(Config(), ())
COUNT = 3 * PAGE + 7


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def catalog() -> MemoryCatalog:
    """One entry a minute; the first, which is the oldest, tells of a zebra."""
    tables = Tables(index_text=index_text)
    for number in range(1, COUNT + 1):
        title = "A zebra in town" if number == 1 else f"Talks, day {number}"
        made: Entry = replace(entry(f"k{number}", title=title), id=number, seen_at=NOW + number * MINUTE)
        tables.entries[number] = made
    return MemoryCatalog(tables)


async def test_search_ends_with_what_was_asked_for(catalog: MemoryCatalog) -> None:
    """So many, newest first, and where they go on."""
    answer = await search(catalog, SETUP, "talks", limit=3)
    assert [one.entry.id for one in answer.found] == [COUNT, COUNT - 1, COUNT - 2]
    assert (answer.more, answer.looked_to) == (COUNT - 2, None)
    rest = await search(catalog, SETUP, "talks", limit=0, before=answer.more)
    assert (len(rest.found), rest.more) == (COUNT - 4, None)


async def test_search_that_no_index_helps_says_how_far_it_looked(catalog: MemoryCatalog) -> None:
    """Time over: the end of the batch, its date, and a way on that misses nothing."""
    seen, before = 0, None
    while True:
        answer = await search(catalog, SETUP, "/ze+bra/", before=before, within_s=-1)
        if answer.looked_to is None:
            break
        seen, before = seen + PAGE, answer.more
        assert not answer.found
        assert before == COUNT - seen + 1
        assert answer.looked_to == NOW + timedelta(minutes=before)
    assert [one.entry.id for one in answer.found] == [1]
    whole = await search(catalog, SETUP, "/ze+bra/", within_s=inf)
    assert (whole.found, whole.more) == (answer.found, None)
