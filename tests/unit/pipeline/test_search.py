"""Search through the rule language: what it finds, where it stops, and how it goes on."""

import asyncio
from datetime import timedelta
from math import inf
from random import Random
from threading import get_ident
from typing import Any

import pytest
from msgspec.structs import replace

from aggregator.app.turns import Turns
from aggregator.core.errors import Busy
from aggregator.core.model import Entry
from aggregator.core.rules import index_text, rule_for_query
from aggregator.core.settings import Config
from aggregator.pipeline import backtest as backtest_module
from aggregator.pipeline import search as search_module
from aggregator.pipeline.backtest import backtest
from aggregator.pipeline.context import activate
from aggregator.pipeline.search import PAGE, search
from tests.support.memory_store import MemoryCatalog, Tables
from tests.support.records import MINUTE, NOW, entry

pytestmark = pytest.mark.anyio
SETUP = activate(Config(), ())
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
    assert (answer.more, answer.searched_back_to) == (COUNT - 2, None)
    rest = await search(catalog, SETUP, "talks", limit=0, before=answer.more)
    assert (len(rest.found), rest.more) == (COUNT - 4, None)


async def test_search_that_no_index_helps_says_how_far_it_looked(catalog: MemoryCatalog) -> None:
    """Time over: the entry at which it was, its date, and a way on that misses nothing."""
    seen, before = 0, None
    while True:
        answer = await search(catalog, SETUP, "/ze+bra/", before=before, within_s=-1)
        if answer.found:
            break
        seen, before = seen + 1, answer.more
        assert not answer.found
        assert before == COUNT - seen + 1
        assert answer.searched_back_to == NOW + timedelta(minutes=before)
    assert ([one.entry.id for one in answer.found], seen) == ([1], COUNT - 1)
    whole = await search(catalog, SETUP, "/ze+bra/", within_s=inf)
    assert (whole.found, whole.more) == (answer.found, None)


async def test_an_index_that_answers_late_costs_no_results(catalog: MemoryCatalog) -> None:
    """A disk that sleeps, or a busy machine: the time is that of the matching."""

    class Late(MemoryCatalog):
        async def search(self, *asked: Any, **how: Any) -> tuple[Entry, ...]:
            await asyncio.sleep(0.05)
            return await super().search(*asked, **how)

    answer = await search(Late(catalog._tables), SETUP, "talks", limit=3, within_s=0.04)
    assert (len(answer.found), answer.searched_back_to) == (3, None)


@pytest.fixture(scope="module")
def long_texts() -> MemoryCatalog:
    """Entries of 90 kB in which hundreds of words occur."""
    tables, dice = Tables(index_text=index_text), Random(11)
    words = ["".join(dice.choices("abcdefghijklmnop", k=6)) for _ in range(3000)]
    for number in range(1, 16):
        made = entry(f"k{number}", title="Long", content=" ".join(dice.choices(words, k=13_000)))
        tables.entries[number] = replace(made, id=number, seen_at=NOW)
    return MemoryCatalog(tables)


async def test_the_loop_has_its_turn_while_long_texts_are_matched(
    long_texts: MemoryCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search for 180 words and a backtest: not one text is matched in the thread of the event loop."""
    dice, threads, turns = Random(11), list[int](), 0
    words = ["".join(dice.choices("abcdefghijklmnop", k=6)) for _ in range(180)]
    query = " OR ".join([*words, "/zz+top/"])  # which no index helps: all are looked at
    seen = search_module.matches_in

    def noted(*given: Any) -> Any:
        threads.append(get_ident())
        return seen(*given)

    for module in (search_module, backtest_module):
        monkeypatch.setattr(module, "matches_in", noted)
    work = asyncio.gather(
        search(long_texts, SETUP, query, limit=0),
        backtest(long_texts, SETUP, [], [rule_for_query(query, {})], since=None),
    )
    while not work.done():
        turns += 1
        await asyncio.sleep(0.001)
    found, tested = await work
    assert (len(found.found), tested.entries, len(threads)) == (15, 15, 45)
    assert get_ident() not in threads
    assert turns > 3


async def test_a_backtest_ends_in_time(long_texts: MemoryCatalog) -> None:
    """With the entry in which it is over, not with the batch."""
    done = await backtest(long_texts, SETUP, [], [rule_for_query("long", {})], since=None, within_s=-1)
    assert (done.entries, done.complete) == (1, False)


async def test_costly_work_takes_turns() -> None:
    """Two at once, four wait, and who comes then is told so."""
    turns, at_work, most = Turns("searches", at_once=2), 0, 0
    end = asyncio.Event()

    async def work() -> None:
        nonlocal at_work, most
        async with turns.turn():
            at_work += 1
            most = max(most, at_work)
            await end.wait()
            at_work -= 1

    tasks = [asyncio.create_task(work()) for _ in range(6)]
    await asyncio.sleep(0)
    with pytest.raises(Busy, match=r"^4 searches are already waiting; try again in a moment$"):
        await work()
    end.set()
    await asyncio.gather(*tasks)
    assert most == 2
    await work()
