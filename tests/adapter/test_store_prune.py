"""Pruning costs what there is to remove: what stays is looked through a little at a time."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, func, insert, select

from aggregator.store import Store, open_store, prune
from aggregator.store.schema import story_keys
from tests.support.records import DAY, HOUR, NOW, entry, hit, stored

pytestmark = pytest.mark.anyio

QUARTER = timedelta(days=90)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps a pruning, of three rows each."""
    monkeypatch.setattr(prune, "STEPS", 2)
    monkeypatch.setattr(prune, "TEXTS_STEP", 3)
    monkeypatch.setattr(prune, "KEYS_STEP", 3)
    monkeypatch.setattr(prune, "WORTHWHILE", 2)


def counting(store: Store, words: str) -> list[str]:
    """Return a list that grows with each statement that has these words, after the first parameters are bound."""
    seen = list[str]()

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if words in statement:
            seen.append(statement)

    database = store.feeds._reader._database  # type: ignore[attr-defined]
    for engine in (database._writing, database._reading):
        event.listen(engine, "before_cursor_execute", note)
    return seen


async def test_texts_that_stay_are_looked_through_in_turns(tmp_path: Path) -> None:
    """Of twenty old texts with hits, each pruning but the first reads six; new ones are emptied at once."""
    async with open_store(f"sqlite:///{tmp_path / 'aggregator.db'}", index_text=lambda e: e.title) as store:
        await store.maintenance.upgrade()
        matched = [entry(f"m{n}", seen_at=NOW + n * HOUR) for n in range(20)]
        await stored(store, *matched, hits=tuple(hit(f"h{n}", f"m{n}") for n in range(20)))
        await stored(store, entry("late", seen_at=NOW + 2 * DAY))
        looks = counting(store, "SELECT entries.id, entries.seen_at")

        async def pruned(now_days: float) -> tuple[int, int]:
            looks.clear()
            now = NOW + now_days * DAY + QUARTER
            _, emptied = await store.maintenance.prune(now, entries_s=400 * 86400, content_s=QUARTER.total_seconds())
            return emptied, len(looks)

        assert await pruned(1) == (0, 7 + 1)  # all, and none of before
        assert await pruned(1.1) == (0, 1 + 2)
        assert await pruned(3) == (1, 1 + 2)
        await stored(store, entry("late", seen_at=NOW + 2 * DAY, version=2, content="edited"))
        emptied = [(await pruned(3 + n / 10))[0] for n in range(5)]
        assert sum(emptied) == 1, "a text that came back by an edit is found within a few prunings"


async def test_keys_are_looked_through_in_turns(tmp_path: Path) -> None:
    """Each pruning reads a few thousand keys further, and as many more as it is worth; in the end all old ones go."""
    async with open_store(f"sqlite:///{tmp_path / 'aggregator.db'}", index_text=lambda e: e.title) as store:
        await store.maintenance.upgrade()
        young = [{"key": f"k{n:03}", "at": NOW, "story": "s"} for n in range(30)]
        old = [{"key": f"k{n:03}", "at": NOW - 400 * DAY, "story": "s"} for n in range(12, 24)]
        writer = store.maintenance._writer  # type: ignore[attr-defined]
        await writer.execute(lambda connection: connection.execute(insert(story_keys), [*young, *old]))
        steps = counting(store, "DELETE FROM story_keys")

        async def pruned() -> tuple[int, int]:
            steps.clear()
            await store.maintenance.prune(NOW, entries_s=365 * 86400, content_s=QUARTER.total_seconds())
            count = select(func.count()).select_from(story_keys)
            left = await writer.execute(lambda connection: connection.execute(count).scalar_one())
            return len(steps), left

        assert await pruned() == (2, 42)
        assert await pruned() == (8, 30), "where half of a step was to go, it goes on"
        assert await pruned() == (1, 30), "to the end, and then from the beginning again"
        assert await pruned() == (2, 30)
