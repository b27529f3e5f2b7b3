"""What marks propose to exclude, and what that would have removed."""

from datetime import UTC, datetime

import pytest

from aggregator.core.model import Entry, Hit
from aggregator.core.results import Exclusion
from aggregator.core.rules import compile_rule
from aggregator.core.settings import RuleConfig
from aggregator.pipeline.advise import propose_exclusions
from tests.support.memory_store import MemoryCatalog, Tables

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RULE = compile_rule(RuleConfig.model_validate({"id": "s400", "any": ["S-400"]}), {})
GOOD, BAD = "Ankara takes delivery of the S-400, number {}", "Hall {} of the S-400 museum opens"


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


async def proposed(good: int, bad: int, unmarked: int = 0, **frequencies: int) -> tuple[Exclusion, ...]:
    tables = Tables(index_text=lambda entry: entry.title)
    marked = [("relevant", GOOD)] * good + [("irrelevant", BAD)] * bad + [(None, BAD)] * unmarked
    for number, (mark, title) in enumerate(marked, 1):
        entry = Entry(id=number, feed="a", key=f"k{number}", title=title.format(number), seen_at=NOW)
        tables.entries[number] = entry
        tables.hits[f"h{number}"] = Hit(
            id=f"h{number}", rule="s400", feed="a", entry_key=entry.key, entry_id=number, created_at=NOW, mark=mark
        )
    return await propose_exclusions(MemoryCatalog(tables), RULE, frequencies=frequencies, entries=1000)


async def test_a_proposal_says_what_it_would_have_removed() -> None:
    """Hits by their marks, with some of their titles, those without a mark too."""
    found = {one.term: one for one in await proposed(10, 12, 3)}
    museum = found["museum"]
    assert (museum.irrelevant, museum.irrelevant_of) == (12, 12)
    assert (museum.relevant, museum.relevant_of) == (0, 10)
    assert (museum.unmarked, museum.removed) == (3, 15)
    assert museum.titles[0] == "Hall 22 of the S-400 museum opens"
    assert len(museum.titles) == 5
    assert "museum" in museum.query
    assert not {"s", "400", "S", "of", "the"} & set(found)


async def test_few_marks_and_common_words_propose_nothing() -> None:
    """Ten of each kind at least; never a word that many entries have."""
    assert await proposed(9, 30) == await proposed(30, 9) == ()
    assert {one.term.lower() for one in await proposed(10, 10, museum=100, hall=100, opens=100)} == set()
