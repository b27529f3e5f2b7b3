"""Marks, labels, notes, views and the undo log in memory: a part of MemoryCatalog."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from aggregator.core.errors import Conflict, NotFound
from aggregator.core.model import Facets, HitDetail, HitFilter, HitState, Note, Undo, View

if TYPE_CHECKING:
    from tests.support.memory_store import Tables

WATCHED = (
    *("hits", "silences", "deliveries", "stories", "story_keys", "reports", "apart", "undelivered"),
    *("feeds", "feed_links", "labels", "notes", "views"),
)
Images = dict[str, dict[Any, tuple[Any, Any]]]


@dataclass
class Triage:
    """What people keep beside hits and stories."""

    labels: dict[tuple[str, str], bool] = field(default_factory=dict)
    notes: dict[int, Note] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    log: dict[str, tuple[Undo, Images]] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)


def _rows(tables: "Tables") -> dict[str, dict[Any, Any]]:
    own = ("labels", "notes", "views")
    return {name: getattr(tables.triage if name in own else tables, name) for name in WATCHED}


@contextmanager
def undoable(tables: "Tables", undo: Undo | None) -> Iterator[None]:
    """Record what the block changes."""
    before = {name: {key: copy(row) for key, row in rows.items()} for name, rows in _rows(tables).items()}
    yield
    images: Images = {}
    for name, rows in _rows(tables).items():
        for key in {**before[name], **rows}:
            was, now = before[name].get(key), rows.get(key)
            if was != now:
                images.setdefault(name, {})[key] = was, copy(now)
    if undo is not None and images:
        earlier = tables.triage.log.get(undo.id, (undo, {}))[1]
        merged = {name: {**earlier.get(name, {}), **images.get(name, {})} for name in {**earlier, **images}}
        tables.triage.log[undo.id] = undo, merged


class MemoryTriage:
    """The part of `ports.Catalog` that people write through."""

    _tables: "Tables"
    hits: Callable[..., Any]

    async def mark(self, ids: Sequence[str], mark: str | None, *, cards: bool = False, undo: Undo | None = None) -> int:
        there = self._tables.hits
        if missing := sorted(set(ids) - there.keys()):
            raise NotFound("hit", missing[0])
        named = [there[hit] for hit in ids]
        stories, entries = {hit.story for hit in named if hit.story}, {hit.entry_id for hit in named}
        chosen = [
            hit
            for hit in there.values()
            if (hit.id in ids or (cards and (hit.story in stories or hit.entry_id in entries))) and hit.mark != mark
        ]
        with undoable(self._tables, undo):
            for hit in chosen:
                there[hit.id] = replace(hit, mark=mark)
        return len(chosen)

    async def undo(self, undo_id: str, now: datetime) -> Undo:
        triage = self._tables.triage
        if undo_id not in triage.log:
            raise NotFound("change", undo_id, why="it was made too long ago, or never")
        if undo_id in triage.undone:
            raise Conflict("this was undone already")
        undo, images = triage.log[undo_id]
        made = {key: now_there for key, (was, now_there) in images.get("deliveries", {}).items() if was is None}
        if any(self._tables.deliveries.get(key) != now_there for key, now_there in made.items()):
            raise Conflict("it cannot be undone: the alert was sent, or is being sent")
        count = 0
        for name, changed in images.items():
            rows = _rows(self._tables)[name]
            for key, (was, now_there) in changed.items():
                if rows.get(key) == now_there:
                    count += 1
                    if was is None:
                        del rows[key]
                    else:
                        rows[key] = copy(was)
        if not count:
            raise Conflict("nothing is left to undo: what was changed has changed again since")
        triage.undone.add(undo_id)
        return replace(undo, count=count)

    async def labels(self, story_ids: Sequence[str] | None = None) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for story, label in sorted(self._tables.triage.labels):
            if story_ids is None or story in story_ids:
                found[story] = (*found.get(story, ()), label)
        return found

    async def label_counts(self) -> Mapping[str, int]:
        return Counter(label for _, label in sorted(self._tables.triage.labels, key=lambda one: one[1]))

    async def set_labels(self, story: str, wanted: Sequence[str], *, undo: Undo | None = None) -> None:
        self._require_story(story)
        labels = self._tables.triage.labels
        with undoable(self._tables, undo):
            for key in [key for key in labels if key[0] == story and key[1] not in wanted]:
                del labels[key]
            labels.update(dict.fromkeys(((story, label) for label in wanted), True))

    def _require_story(self, story: str) -> None:
        if story not in self._tables.stories:
            raise NotFound("story", story)

    async def notes(self, story: str) -> tuple[Note, ...]:
        found = [note for note in self._tables.triage.notes.values() if note.story == story]
        return tuple(sorted(found, key=lambda note: (note.created_at, note.id)))

    async def add_note(self, note: Note, *, undo: Undo | None = None) -> Note:
        self._require_story(note.story)
        added = replace(note, id=self._tables.number())
        assert added.id is not None
        with undoable(self._tables, undo):
            self._tables.triage.notes[added.id] = added
        return added

    async def remove_note(self, note_id: int, *, undo: Undo | None = None) -> None:
        with undoable(self._tables, undo):
            if self._tables.triage.notes.pop(note_id, None) is None:
                raise NotFound("note", str(note_id))

    async def views(self) -> tuple[View, ...]:
        return tuple(sorted(self._tables.triage.views.values(), key=lambda view: (view.name.lower(), view.id)))

    async def save_view(self, view: View, *, undo: Undo | None = None) -> None:
        views = self._tables.triage.views
        with undoable(self._tables, undo):
            created_at = views[view.id].created_at if view.id in views else view.created_at
            views[view.id] = replace(view, created_at=created_at)

    async def remove_view(self, view_id: str, *, undo: Undo | None = None) -> None:
        with undoable(self._tables, undo):
            if self._tables.triage.views.pop(view_id, None) is None:
                raise NotFound("view", view_id, list(self._tables.triage.views))

    async def hit_states(self, wanted: HitFilter, *, limit: int) -> tuple[tuple[str, HitState], ...]:
        found: tuple[HitDetail, ...] = await self.hits(wanted, limit=limit)
        return tuple((one.hit.id, one.hit.state) for one in found)

    async def count_cards(self, wanted: HitFilter, *, limit: int = 1000) -> int:
        found: tuple[HitDetail, ...] = await self.hits(wanted, limit=2 * limit)
        return min(len({one.hit.story or one.hit.entry_id for one in found}), limit)

    async def facets(self, wanted: HitFilter, *, limit: int = 2000) -> Facets:
        found: tuple[HitDetail, ...] = await self.hits(wanted, limit=limit)

        def counted(value: Callable[[HitDetail], str]) -> tuple[tuple[str, int], ...]:
            cards = {(value(one), one.hit.story or one.hit.entry_id) for one in found}
            return tuple(sorted(Counter(name for name, _ in cards).items(), key=lambda one: (-one[1], one[0])))

        return Facets(
            rules=counted(lambda one: one.hit.rule),
            feeds=counted(lambda one: one.hit.feed),
            languages=counted(lambda one: one.entry.lang or ""),
            hits=len(found),
        )
