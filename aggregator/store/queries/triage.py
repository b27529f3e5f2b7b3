"""What people do with hits and stories: marks, labels, notes, saved views, and taking any of it back."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, or_, select, update

from aggregator.core.errors import NotFound
from aggregator.core.model import Note, Undo, View
from aggregator.store.queries.base import QueryBase
from aggregator.store.schema import hits, labels, notes, stories, views
from aggregator.store.undo import take_back, undoable


class TriageQueries(QueryBase):
    """The catalog's marks, labels, notes, views and undo log."""

    async def mark(self, ids: Sequence[str], mark: str | None, *, cards: bool = False, undo: Undo | None = None) -> int:
        bound = {"ids": self._dialect.list_param(ids)}
        named = self._dialect.is_in(hits.c.id, "ids")
        known = select(hits.c.id, hits.c.story, hits.c.entry).where(named)

        def apply(connection: Connection) -> int:
            found = connection.execute(known, bound).all()
            if missing := sorted(set(ids) - {row.id for row in found}):
                raise NotFound("hit", missing[0])
            chosen: ColumnElement[bool] = hits.c.id.in_([row.id for row in found])
            if cards:
                chosen = or_(
                    hits.c.story.in_({row.story for row in found if row.story}),
                    hits.c.entry.in_({row.entry for row in found}),
                )
            other = hits.c.mark.is_distinct_from(mark)
            with undoable(connection, undo, [(hits, chosen & other)]):
                return connection.execute(update(hits).where(chosen, other).values(mark=mark)).rowcount

        return await self._writer.execute(apply)

    async def undo(self, undo_id: str, now: datetime) -> Undo:
        return await self._routing.execute(lambda connection: take_back(connection, self._dialect, undo_id, now))

    async def labels(self, story_ids: Sequence[str] | None = None) -> Mapping[str, tuple[str, ...]]:
        query = select(labels).order_by(labels.c.story, labels.c.label)
        bound = {}
        if story_ids is not None:
            query = query.where(self._dialect.is_in(labels.c.story, "stories"))
            bound = {"stories": self._dialect.list_param(story_ids)}
        found: dict[str, tuple[str, ...]] = {}
        for row in await self._reader.read(lambda connection: connection.execute(query, bound).all()):
            found[row.story] = (*found.get(row.story, ()), row.label)
        return found

    async def label_counts(self) -> Mapping[str, int]:
        query = select(labels.c.label, func.count()).group_by(labels.c.label).order_by(labels.c.label)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return {row[0]: row[1] for row in found}

    async def set_labels(self, story: str, wanted: Sequence[str], *, undo: Undo | None = None) -> None:
        def apply(connection: Connection) -> None:
            _require_story(connection, story)
            with undoable(connection, undo, [(labels, labels.c.story == story)]):
                connection.execute(delete(labels).where(labels.c.story == story, labels.c.label.not_in(wanted)))
                there = set(connection.execute(select(labels.c.label).where(labels.c.story == story)).scalars())
                added = [{"story": story, "label": label} for label in dict.fromkeys(wanted) if label not in there]
                if added:
                    connection.execute(insert(labels), added)

        await self._writer.execute(apply)

    async def notes(self, story: str) -> tuple[Note, ...]:
        query = select(notes).where(notes.c.story == story).order_by(notes.c.created_at, notes.c.id)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(Note(**row._asdict()) for row in found)

    async def add_note(self, note: Note, *, undo: Undo | None = None) -> Note:
        values = {"story": note.story, "text": note.text, "created_at": note.created_at}
        add = insert(notes).values(values).returning(notes.c.id)

        def apply(connection: Connection) -> int:
            _require_story(connection, note.story)
            with undoable(connection, undo, [(notes, notes.c.story == note.story)]):
                added: int = connection.execute(add).scalar_one()
            return added

        return replace(note, id=await self._writer.execute(apply))

    async def remove_note(self, note_id: int, *, undo: Undo | None = None) -> None:
        chosen = notes.c.id == note_id

        def apply(connection: Connection) -> None:
            with undoable(connection, undo, [(notes, chosen)]):
                if not connection.execute(delete(notes).where(chosen)).rowcount:
                    raise NotFound("note", str(note_id))

        await self._writer.execute(apply)

    async def views(self) -> tuple[View, ...]:
        query = select(views).order_by(func.lower(views.c.name), views.c.id)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(
            View(
                id=row.id, name=row.name, query=tuple((name, value) for name, value in row.query),
                created_at=row.created_at,
            )
            for row in found
        )  # fmt: skip

    async def save_view(self, view: View, *, undo: Undo | None = None) -> None:
        values = {"id": view.id, "name": view.name, "query": view.query, "created_at": view.created_at}
        save = self._dialect.upsert(views, keep=["created_at"])

        def apply(connection: Connection) -> None:
            with undoable(connection, undo, [(views, views.c.id == view.id)]):
                connection.execute(save, [values])

        await self._writer.execute(apply)

    async def remove_view(self, view_id: str, *, undo: Undo | None = None) -> None:
        chosen = views.c.id == view_id

        def apply(connection: Connection) -> None:
            with undoable(connection, undo, [(views, chosen)]):
                if not connection.execute(delete(views).where(chosen)).rowcount:
                    known = connection.execute(select(views.c.id)).scalars()
                    raise NotFound("view", view_id, list(known))

        await self._writer.execute(apply)


def _require_story(connection: Connection, story: str) -> None:
    if not connection.execute(select(exists().where(stories.c.id == story))).scalar():
        raise NotFound("story", story)
