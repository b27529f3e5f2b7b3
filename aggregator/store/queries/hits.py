"""Hits for people: listings, marks, stories, and the statistics of each rule."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Text,
    Tuple,
    UnaryExpression,
    and_,
    case,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)

from aggregator.core.errors import NotFound
from aggregator.core.model import (
    KNOWN_STORY,
    STORY_HITS,
    UPDATE_TO,
    Facets,
    HitDetail,
    HitFilter,
    HitState,
    RuleStats,
    Story,
    StoryEdit,
    StorySummary,
    Undo,
)
from aggregator.store.column_types import Instant
from aggregator.store.counts import count_hits
from aggregator.store.dialect import ROUTING_LOCK
from aggregator.store.hit_details import HIT_DETAILS, details_of, stories_by_id, with_deliveries
from aggregator.store.queries.base import Days, QueryBase, day_of, days, earlier, first_day, limited, within
from aggregator.store.routing import write_deliveries
from aggregator.store.schema import entries, hits, labels, stories
from aggregator.store.stories import edit_stories, load_stories, of_stories
from aggregator.store.undo import undoable

TIMES = {"published": "dated_at", "recorded": "created_at"}
TREATED = select(
    hits.c.story,
    func.count().label("hits"),
    func.count(case((hits.c.state == HitState.FOLDED.value, 1))).label("folded"),
    func.count(case((hits.c.reason.like(f"{UPDATE_TO}%"), 1))).label("updates"),
).group_by(hits.c.story)


class HitQueries(QueryBase):
    """The catalog's hits."""

    async def hits(self, wanted: HitFilter, *, limit: int = 50) -> tuple[HitDetail, ...]:
        query = limited(HIT_DETAILS.where(*_conditions(wanted)).order_by(*_newest(wanted)), limit)
        return await self._reader.read(lambda connection: self._details(connection, query))

    async def hit_states(self, wanted: HitFilter, *, limit: int) -> tuple[tuple[str, HitState], ...]:
        newest = select(hits.c.id, hits.c.state).where(*_conditions(wanted)).order_by(*_newest(wanted))
        found = await self._reader.read(lambda connection: connection.execute(limited(newest, limit)).all())
        return tuple((row.id, HitState(row.state)) for row in found)

    def _details(self, connection: Connection, query: Select[Any]) -> tuple[HitDetail, ...]:
        found = details_of(connection, self._dialect, connection.execute(query).all())
        return with_deliveries(connection, self._dialect, found)

    async def stories_of_hits(self, wanted: HitFilter, *, limit: int = 50) -> tuple[tuple[HitDetail, ...], ...]:
        firsts = limited(select(hits.c.story, hits.c.entry).where(*_conditions(wanted), *_first(wanted)), limit)

        def read(connection: Connection) -> tuple[tuple[HitDetail, ...], ...]:
            found = connection.execute(firsts.order_by(*_newest(wanted))).all()
            stories: dict[str | int, list[HitDetail]] = {row.story or row.entry: [] for row in found}
            for one in self._details(connection, _members(wanted, stories)):
                stories[one.hit.story or one.entry.id or 0].append(one)
            return tuple(map(tuple, stories.values()))

        return await self._reader.read(read)

    async def hit(self, hit_id: str) -> HitDetail:
        found = await self._reader.read(
            lambda connection: self._details(connection, HIT_DETAILS.where(hits.c.id == hit_id))
        )
        if not found:
            raise NotFound("hit", hit_id)
        return found[0]

    async def hit_days(self, wanted: HitFilter, now: datetime) -> Days:
        query = (
            select(day_of(_at(wanted), now), func.count())
            .where(*_conditions(wanted), _at(wanted) >= first_day(now))
            .group_by(day_of(_at(wanted), now))
        )
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return days([(day, count) for day, count in found], now)

    async def count_cards(self, wanted: HitFilter, *, limit: int = 1000) -> int:
        newest = (
            select(hits.c.story, hits.c.entry).where(*_conditions(wanted)).order_by(*_newest(wanted)).limit(2 * limit)
        )
        found = await self._reader.read(lambda connection: connection.execute(newest).all())
        return min(len({row.story or row.entry for row in found}), limit)

    async def facets(self, wanted: HitFilter, *, limit: int = 2000) -> Facets:
        query = (
            select(hits.c.rule, hits.c.feed, hits.c.story, hits.c.entry, entries.c.lang)
            .join(entries, entries.c.id == hits.c.entry)
            .where(*_conditions(wanted))
            .order_by(*_newest(wanted))
            .limit(limit)
        )
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        cards: dict[str, dict[str, set[str]]] = {"rule": {}, "feed": {}, "lang": {}}
        for row in found:
            for name, values in cards.items():
                values.setdefault(getattr(row, name) or "", set()).add(row.story or str(row.entry))
        counted = {
            name: tuple(sorted(((value, len(of)) for value, of in values.items()), key=lambda one: (-one[1], one[0])))
            for name, values in cards.items()
        }
        return Facets(rules=counted["rule"], feeds=counted["feed"], languages=counted["lang"], hits=len(found))

    async def story(self, story_id: str) -> tuple[Story, tuple[HitDetail, ...]]:
        def read(connection: Connection) -> tuple[Story, tuple[HitDetail, ...]]:
            wanted: str | None = story_id
            while wanted is not None:  # one that was joined to another leads to that
                story = next(iter(stories_by_id(connection, self._dialect, [wanted])), None)
                if story is None:
                    break
                if (wanted := story.joined) is None:
                    members = HitFilter(story=story.id)
                    query = HIT_DETAILS.where(*_conditions(members)).order_by(*_newest(members))
                    for whole in load_stories(connection, self._dialect, [story.id], None):
                        return whole, self._details(connection, query)
            raise NotFound("story", story_id)

        return await self._reader.read(read)

    async def stories(
        self,
        *,
        rule: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> tuple[StorySummary, ...]:
        listed = (
            select(stories).where(stories.c.joined.is_(None)).order_by(stories.c.last_at.desc(), stories.c.id.desc())
        )
        listed = listed.where(*within(stories.c.last_at, since, until))
        if before is not None:
            listed = listed.where(earlier(stories.c.last_at, stories.c.id, before))
        if rule is not None:
            listed = listed.where(exists().where(hits.c.story == stories.c.id, hits.c.rule == rule))

        treated = TREATED.where(self._dialect.is_in(hits.c.story, "ids"))

        def read(connection: Connection) -> tuple[StorySummary, ...]:
            found = connection.execute(limited(listed, limit)).all()
            bound = {"ids": self._dialect.list_param([row.id for row in found])}
            counted = {row.story: row for row in connection.execute(treated, bound)}
            return tuple(_summary(row, counted.get(row.id)) for row in found)

        return await self._reader.read(read)

    async def edit_stories(self, edit: StoryEdit, *, undo: Undo | None = None) -> None:
        def write(connection: Connection) -> None:
            self._dialect.advisory_lock(connection, ROUTING_LOCK)
            with undoable(connection, undo, of_stories(edit.link.story, edit.link.other)):
                edit_stories(connection, self._dialect, edit)
                write_deliveries(connection, self._dialect, edit.deliveries)

        await self._routing.execute(write)  # polls of this process do not wait with it

    async def rules(self, now: datetime, ids: Sequence[str] | None = None) -> tuple[RuleStats, ...]:
        asked = self._dialect.listed("names")
        newest = select(func.max(hits.c.dated_at, type_=Instant)).where(hits.c.rule == asked.c.value)
        latest = select(asked.c.value, newest.scalar_subquery())  # one index look-up for each

        def read(connection: Connection) -> tuple[RuleStats, ...]:
            totals = count_hits(connection, ids)
            wanted = hits.c.rule.in_([one.rule for one in totals])
            by_day: dict[str, list[tuple[int, int]]] = {}
            daily = (
                select(hits.c.rule, day_of(hits.c.dated_at, now), func.count())
                .where(wanted, hits.c.dated_at >= first_day(now))
                .group_by(hits.c.rule, day_of(hits.c.dated_at, now))
            )
            for rule, day, count in connection.execute(daily):
                by_day.setdefault(rule, []).append((day, count))
            names = {"names": self._dialect.list_param([one.rule for one in totals])}
            last = {rule: at for rule, at in connection.execute(latest, names)}  # noqa: C416 - rows, to the type checker
            return tuple(
                replace(one, last_hit_at=last[one.rule], days=days(by_day.get(one.rule, []), now)) for one in totals
            )

        return await self._reader.read(read)


def _summary(story: Row[Any], counted: Row[Any] | None) -> StorySummary:
    return StorySummary(
        id=story.id,
        title=story.title,
        feeds=tuple(story.feeds),
        first_at=story.first_at,
        last_at=story.last_at,
        alerted_at=story.alerted_at,
        hits=counted.hits if counted else 0,
        folded=counted.folded if counted else 0,
        updates=counted.updates if counted else 0,
    )


def _first(wanted: HitFilter) -> tuple[ColumnElement[bool], ...]:
    """Tell whether no earlier hit of the listing has the same story (or entry, if there is none)."""
    other = hits.alias()
    among = (*_conditions(replace(wanted, before=None), other, few=True), _place(wanted, other) < _place(wanted))
    alone = and_(other.c.story.is_(None), other.c.entry == hits.c.entry)
    return (
        ~exists().where(other.c.story == hits.c.story, *among),
        or_(hits.c.story.is_not(None), ~exists().where(alone, *among)),
    )


def _members(wanted: HitFilter, keys: Iterable[str | int]) -> Select[Any]:
    """Select the hits of these stories and entries that the listing has, the first STORY_HITS of each."""
    stories, alone = [key for key in keys if isinstance(key, str)], [key for key in keys if isinstance(key, int)]
    story_hits = func.coalesce(hits.c.story, cast(hits.c.entry, Text))
    numbered = (
        select(
            hits.c.id,
            func.row_number().over(partition_by=story_hits, order_by=_place(wanted).clauses).label("number"),
        )
        .where(*_conditions(replace(wanted, before=None, todo=False), few=True))
        .where(or_(hits.c.story.in_(stories), and_(hits.c.story.is_(None), hits.c.entry.in_(alone))))
        .subquery()
    )
    few = select(numbered.c.id).where(numbered.c.number <= STORY_HITS)
    return HIT_DETAILS.where(hits.c.id.in_(few)).order_by(*_newest(wanted))


def _at(wanted: HitFilter, table: FromClause = hits) -> ColumnElement[datetime]:
    """Return the time that a listing goes by."""
    return table.c[TIMES[wanted.by]]


def _place(wanted: HitFilter, table: FromClause = hits) -> Tuple:
    return tuple_(_at(wanted, table), table.c.id)


def _newest(wanted: HitFilter) -> tuple[UnaryExpression[Any], ...]:
    return _at(wanted).desc(), hits.c.id.desc()


def _conditions(wanted: HitFilter, table: FromClause = hits, *, few: bool = False) -> list[ColumnElement[bool]]:
    """Return what a listing asks of a hit. `few`: of those of a story or two, for which no other index is better.

    SQLite keeps no statistics, and would rather read years of a rule or a feed than the hits of a story; what is no
    plain column has no index.
    """
    exact = {"rule": wanted.rule, "feed": wanted.feed, "story": wanted.story, "mark": wanted.mark}
    asked = {name: value for name, value in exact.items() if value}
    conditions: list[ColumnElement[bool]] = [
        (table.c[name] + literal_column("''") if few and name in ("rule", "feed") else table.c[name]) == value
        for name, value in asked.items()
    ]
    conditions += within(_at(wanted, table), wanted.since, wanted.until)
    if wanted.ids:
        conditions.append(table.c.id.in_(wanted.ids))
    if wanted.todo:
        conditions += [table.c.mark.is_(None), table.c.state.not_in(KNOWN_STORY)]
    if wanted.lang is not None:
        in_language = select(entries.c.id).where(entries.c.id == table.c.entry, entries.c.lang == wanted.lang)
        conditions.append(exists(in_language.correlate(table)))
    if wanted.label is not None:
        labelled = select(labels.c.story).where(labels.c.story == table.c.story, labels.c.label == wanted.label)
        conditions.append(exists(labelled.correlate(table)))
    if wanted.before is not None:
        conditions.append(earlier(_at(wanted), hits.c.id, wanted.before))
    return conditions
