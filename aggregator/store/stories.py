"""Stories in the database: found by their keys, loaded with their reports, written, and made one."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import repeat
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    union,
    update,
)

from aggregator.core.events import MAX_REPORTS
from aggregator.core.model import (
    Because,
    Hit,
    HitState,
    RoutingQuery,
    RoutingResult,
    Story,
    StoryEdit,
    StoryMerge,
    UndescribedStory,
)
from aggregator.core.routing.batches import chosen_ids
from aggregator.core.stories import DISTRUSTED, EVENT_KEYS, LATEST, UNDONE_WITHIN, shortlist, unfolding
from aggregator.store import mappers
from aggregator.store.bulk import BulkStatement
from aggregator.store.column_types import EPOCH, Instant, micros
from aggregator.store.dialect import Dialect
from aggregator.store.schema import (
    SPLIT_OUT,
    deliveries,
    entries,
    hits,
    labels,
    notes,
    reports,
    silences,
    stories,
    story_keys,
    story_links,
    undelivered,
)
from aggregator.store.undo import Watched

Keys = dict[str, dict[str, datetime]]
Nearest = dict[tuple[str, ...], tuple[list[str], list[str]]]
REASON = update(hits).where(hits.c.id == bindparam("hit_id"))
UNDONE = (
    select(hits.c.rule, story_links.c.at)
    .join(story_links, story_links.c.story == hits.c.story)
    .where(story_links.c.at >= bindparam("since", type_=Instant), story_links.c.apart, SPLIT_OUT)
)


def find_related(
    connection: Connection, dialect: Dialect, question: RoutingQuery, homes: Collection[str], *, linked: bool
) -> tuple[tuple[Story, ...], Keys, Nearest]:
    """Return `homes` and the stories nearest to each lookup, oldest first; who shares which key; which are nearest.

    `linked`: people have joined stories or set them apart.
    """
    found = _latest(connection, dialect, question)
    while True:
        nearest = {lookup: shortlist(lookup, found) for lookup in question.lookups}
        near = {name for lists in nearest.values() for names in lists for name in names}
        rows = _rows(connection, dialect, near.union(homes))
        joined = {row.id: row.joined for row in rows if row.joined is not None and row.id in near}
        if not joined:
            return _with_reports(connection, dialect, rows, MAX_REPORTS, linked=linked), found, nearest
        found = {key: _renamed(having, joined) for key, having in found.items()}


def _renamed(having: Mapping[str, datetime], joined: Mapping[str, str]) -> dict[str, datetime]:
    """Return the stories that have a key by the ids that they have now, oldest first."""
    renamed: dict[str, datetime] = {}
    for story, at in having.items():
        name = joined.get(story, story)
        renamed.pop(name, None)
        renamed[name] = at
    return renamed


def _latest(connection: Connection, dialect: Dialect, question: RoutingQuery) -> Keys:
    wanted = sorted({key for lookup in question.lookups for key in lookup})
    if not wanted:
        return {}
    found: dict[str, dict[str, datetime]] = {}
    bound = {
        "keys": dialect.list_param(wanted),
        "stories_since": question.stories_since or EPOCH,
        "events_since": question.events_since or EPOCH,
    }
    for key, story, at in connection.execute(_latest_keys(dialect), bound):
        having = found.setdefault(key, {})
        having.pop(story, None)  # an earlier report of it has the key, too
        having[story] = at
    return found


# Statements are made once: of a poll with one hit, making them costs more than running them.
@cache
def _latest_keys(dialect: Dialect) -> Select[Any]:
    asked, of_key = dialect.listed("keys"), story_keys.alias("of_key")
    of_events = or_(*(asked.c.value.startswith(kind) for kind in EVENT_KEYS))
    stories_since, events_since = (bindparam(f"{kind}_since", type_=Instant) for kind in ("stories", "events"))
    start = case((of_events, events_since), else_=stories_since)
    # One bound of the index: with two, SQLite reads all rows since the start, and works out the floor for each.
    floor = _nth_latest(of_key.c.at, and_(of_key.c.key == asked.c.value, of_key.c.at >= start), LATEST)
    return (
        select(story_keys.c.key, story_keys.c.story, story_keys.c.at)
        .join_from(asked, story_keys, story_keys.c.key == asked.c.value)
        .where(story_keys.c.at >= func.coalesce(floor, start))
        .order_by(story_keys.c.key, story_keys.c.at, story_keys.c.story)
    )


def _nth_latest(at: Column[Any], same: ColumnElement[bool], number: int) -> ScalarSelect[Any]:
    return select(at).where(same).order_by(at.desc()).limit(1).offset(number - 1).scalar_subquery()


@cache
def _stories_named(dialect: Dialect) -> Select[Any]:
    return select(stories).where(dialect.is_in(stories.c.id, "ids")).order_by(stories.c.first_at, stories.c.id)


@cache
def _report_names(dialect: Dialect, most: int | None) -> Select[Any]:
    """Ask for the first report and the latest, with all that came as late (None: every one), in their order."""
    columns = reports.c.id, reports.c.story, reports.c.at
    if most is None:
        found = select(*columns).where(dialect.is_in(reports.c.story, "ids")).subquery()
        return select(found.c.id, found.c.story).order_by(found.c.at, found.c.id)
    asked, of_story = dialect.listed("ids"), reports.alias("of_story")
    floor = _nth_latest(of_story.c.at, of_story.c.story == asked.c.value, most)
    late = select(*columns).join_from(asked, reports, reports.c.story == asked.c.value)
    first = select(*columns).join_from(asked, reports, reports.c.id == asked.c.value)
    found = union(late.where(reports.c.at >= func.coalesce(floor, literal(EPOCH, Instant))), first).subquery()
    return select(found.c.id, found.c.story).order_by(found.c.at, found.c.id)


@cache
def _reports_named(dialect: Dialect) -> Select[Any]:
    return select(reports).where(dialect.is_in(reports.c.id, "ids"))


@cache
def _set_apart(dialect: Dialect) -> Select[Any]:
    links = select(story_links.c.story, story_links.c.other)
    return links.where(dialect.is_in(story_links.c.story, "ids"), story_links.c.apart)


def load_stories(
    connection: Connection, dialect: Dialect, wanted: Collection[str], most: int | None = MAX_REPORTS
) -> tuple[Story, ...]:
    """Return stories by id with their reports, the first and the latest of `most` (None: all), oldest story first."""
    return _with_reports(connection, dialect, _rows(connection, dialect, wanted), most)


def _rows(connection: Connection, dialect: Dialect, wanted: Collection[str]) -> Sequence[Row[Any]]:
    if not wanted:
        return ()
    return connection.execute(_stories_named(dialect), {"ids": dialect.list_param(sorted(wanted))}).all()


def _with_reports(
    connection: Connection, dialect: Dialect, rows: Sequence[Row[Any]], most: int | None, *, linked: bool = True
) -> tuple[Story, ...]:
    if not rows:
        return ()
    bound = {"ids": dialect.list_param(sorted(row.id for row in rows))}
    # The chosen ones alone are read: an event that goes on for days has hundreds, with a page of traits each.
    came: dict[str, list[str]] = {}
    for name, story in connection.execute(_report_names(dialect, most), bound):
        came.setdefault(story, []).append(name)
    chosen = {story: chosen_ids(story, ids, most) for story, ids in came.items()}
    asked = {"ids": dialect.list_param(sorted(name for names in chosen.values() for name in names))}
    found = {row.id: mappers.report(row) for row in connection.execute(_reports_named(dialect), asked)} if came else {}
    # On PostgreSQL a report may be pruned between the two.
    known = {story: tuple(found[name] for name in names if name in found) for story, names in chosen.items()}
    apart: dict[str, set[str]] = {}
    for story, other in connection.execute(_set_apart(dialect), bound) if linked else ():
        apart.setdefault(story, set()).add(other)
    return tuple(mappers.story(row, known.get(row.id, ()), frozenset(apart.get(row.id, ()))) for row in rows)


def find_undescribed(
    connection: Connection, dialect: Dialect, since: datetime, limit: int
) -> tuple[UndescribedStory, ...]:
    """Return stories without reports that began since then, each with the first of its entries that is left."""
    first = select(func.min(hits.c.entry)).where(hits.c.story == stories.c.id).scalar_subquery()
    query = (
        select(stories.c.id, first.label("entry"))
        .where(
            stories.c.last_at >= since,  # which it is indexed by
            stories.c.first_at >= since,
            stories.c.joined.is_(None),
            ~exists().where(reports.c.story == stories.c.id),
            first.is_not(None),
        )
        .order_by(stories.c.last_at.desc(), stories.c.id)
        .limit(limit)
    )
    entry_of: dict[str, int] = {row.id: row.entry for row in connection.execute(query)}
    numbers = sorted(set(entry_of.values()))
    found = {row.id: mappers.entry(row) for row in connection.execute(select(entries).where(entries.c.id.in_(numbers)))}
    of_entry: dict[int, list[Hit]] = {}
    for row in connection.execute(select(hits).where(hits.c.entry.in_(numbers)).order_by(hits.c.id)):
        of_entry.setdefault(row.entry, []).append(mappers.hit_of(row._asdict()))
    known = {story.id: story for story in load_stories(connection, dialect, entry_of)}
    return tuple(
        UndescribedStory(known[name], found[number], tuple(of_entry[number]))
        for name, number in entry_of.items()
        if name in known and number in found and number in of_entry
    )


def edit_stories(connection: Connection, dialect: Dialect, edit: StoryEdit) -> None:
    """Write a person's change: the hits that it names belong to the story that they name now."""
    write_stories(connection, dialect, edit)
    rewrite_hits(connection, edit.hits)
    one, other = edit.link.story, edit.link.other
    both = [edit.link._asdict(), edit.link._replace(story=other, other=one)._asdict()]
    connection.execute(dialect.upsert(story_links), both)


def rewrite_hits(connection: Connection, changed: Sequence[Hit], only: HitState | None = None) -> None:
    """Write again what routing decided about stored hits (`only`: those that are still in this state)."""
    if changed:
        names = ("story", "state", "reason", "because")
        rows = [mappers.hit_values(hit, hit.entry_id or 0) for hit in changed]
        change = REASON.values({name: bindparam(f"new_{name}", type_=hits.c[name].type) for name in names})
        if only is not None:
            change = change.where(hits.c.state == only.value)
        connection.execute(
            change, [{"hit_id": row["id"], **{f"new_{name}": row[name] for name in names}} for row in rows]
        )


def write_stories(connection: Connection, dialect: Dialect, routed: RoutingResult | StoryEdit) -> None:
    """Write stories that were made, grew or became one, with their reports and the keys by which they are found."""
    _upsert_stories(dialect).run(connection, [mappers.story_values(story) for story in routed.stories])
    _upsert_reports(dialect).run(connection, [mappers.report_values(story, report) for story, report in routed.reports])
    if routed.keys:
        # A poll's reports come at one instant: their order makes them distinct, so that the latest can be counted.
        # Sorted, as neighbours in the table are written together.
        rows: list[tuple[str, int, str]] = []
        for story, at, keys in routed.keys:
            first = micros(at) + len(rows)
            rows += zip(keys, range(first, first + len(keys)), repeat(story))
        dialect.insert_plain(connection, story_keys, sorted(rows, key=itemgetter(0)))
    for merged in routed.merged:
        merge_stories(connection, dialect, merged)


@cache
def _upsert_stories(dialect: Dialect) -> BulkStatement:
    return BulkStatement(dialect.upsert(stories, keep=["first_at", "acknowledged_at"]))


@cache
def _upsert_reports(dialect: Dialect) -> BulkStatement:
    return BulkStatement(dialect.upsert(reports))


def find_unfolding(connection: Connection, now: datetime | None) -> frozenset[str]:
    """Return the rules whose retellings are not folded now, because people undid their folds."""
    if now is None:
        return frozenset()
    undone = connection.execute(UNDONE, {"since": now - DISTRUSTED - UNDONE_WITHIN})
    return unfolding([(rule, at) for rule, at in undone], now)


def write_reasons(connection: Connection, reasons: Sequence[tuple[str, Because]]) -> None:
    """Write again why stored hits belong to their stories."""
    for hit, because in reasons:
        connection.execute(REASON.values(because=mappers.because_list(because)), {"hit_id": hit})


def of_stories(*names: str) -> Watched:
    """Return the rows that a person's change of these stories may change; stories first: the others refer to them."""
    tables = (hits, deliveries, silences, reports, notes, undelivered, labels)
    of_links = or_(story_links.c.story.in_(names), story_links.c.other.in_(names))
    return [
        (stories, stories.c.id.in_(names)),
        *((table, table.c.story.in_(names)) for table in tables),
        (story_links, of_links),
    ]


def merge_stories(connection: Connection, dialect: Dialect, merged: StoryMerge) -> None:
    """Give everything that refers to a story to the one that it is part of now; its row stays, as a signpost."""
    story, into = merged
    for table in (hits, deliveries, silences, reports, notes):
        connection.execute(update(table).where(table.c.story == story).values(story=into))
    between = delete(story_links).where(story_links.c.story.in_(merged), story_links.c.other.in_(merged))
    connection.execute(between)
    for column in (undelivered.c.story, labels.c.story, story_links.c.story, story_links.c.other):
        table = column.table
        rows = select(*(literal(into) if c is column else c for c in table.columns)).where(column == story)
        connection.execute(
            dialect.insert(table).from_select([c.name for c in table.columns], rows).on_conflict_do_nothing()
        )
        connection.execute(delete(table).where(column == story))
