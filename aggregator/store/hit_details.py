"""Hits with their details: each with its entry, the feed's title, and the other sources of the story."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Row, Select, select

from aggregator.core.model import WAITING, DeliveryState, HitDelivery, HitDetail, Story
from aggregator.store import mappers
from aggregator.store.dialect import Dialect
from aggregator.store.schema import deliveries, delivery_hits, entries, feeds, hits, stories

# Both tables have columns of the same names; those of the entry are distinguished by their label.
LABELS = tuple((column.name, f"entry__{column.name}") for column in entries.columns)
HIT_DETAILS: Select[Any] = (
    select(
        *hits.columns,
        *(entries.c[name].label(label) for name, label in LABELS),
        feeds.c.configured_title,
        feeds.c.title,
    )
    .join_from(hits, entries, hits.c.entry == entries.c.id)
    .join(feeds, feeds.c.id == hits.c.feed)
)
# A digest that another one took in is that one.
ALERTS: Select[Any] = (
    select(*(deliveries.c[name] for name in ("id", "channel", "state", "created_at", "due_at", "sent_at")))
    .join_from(delivery_hits, deliveries, deliveries.c.id == delivery_hits.c.delivery)
    .where(deliveries.c.reason.not_like("folded into %"))
    .order_by(deliveries.c.created_at, deliveries.c.id)
)
NEWEST = (hits.c.created_at.desc(), hits.c.id.desc())


def get_details(connection: Connection, dialect: Dialect, ids: Sequence[str]) -> tuple[HitDetail, ...]:
    """Return the hits with these ids, newest first; those that were pruned are left out."""
    if not ids:
        return ()
    query = HIT_DETAILS.where(dialect.is_in(hits.c.id, "ids")).order_by(*NEWEST)
    return details_of(connection, dialect, connection.execute(query, {"ids": dialect.list_param(ids)}).all())


def with_deliveries(connection: Connection, dialect: Dialect, details: Sequence[HitDetail]) -> tuple[HitDetail, ...]:
    """Add the alerts that report each hit, oldest first; those that were folded into a digest are that digest."""
    query = ALERTS.add_columns(delivery_hits.c.hit).where(dialect.is_in(delivery_hits.c.hit, "hits"))
    found: dict[str, list[HitDelivery]] = {}
    bound = {"hits": dialect.list_param([detail.hit.id for detail in details])}
    for row in connection.execute(query, bound) if details else ():
        found.setdefault(row.hit, []).append(_alert(row))
    before = _alerts_of_stories(
        connection, dialect, {one.hit.story for one in details if _joined(one) and one.hit.story}
    )
    return tuple(
        replace(
            detail,
            deliveries=tuple(found.get(detail.hit.id, ())),
            earlier_alerts=_earlier(detail, before, found.get(detail.hit.id, ())) if _joined(detail) else (),
        )
        for detail in details
    )


def _joined(detail: HitDetail) -> bool:
    """Tell whether a hit belongs to a story that it did not begin."""
    return detail.hit.because is not None and detail.hit.because.kind is not None


def _alerts_of_stories(
    connection: Connection, dialect: Dialect, wanted: Iterable[str]
) -> Mapping[tuple[str, str], Mapping[str, tuple[datetime, HitDelivery]]]:
    """Return the alerts about each story by each rule: by their ids, with when they were made."""
    names = sorted(wanted)
    query = (
        ALERTS.add_columns(hits.c.story, hits.c.rule)
        .join(hits, hits.c.id == delivery_hits.c.hit)
        .where(dialect.is_in(hits.c.story, "stories"))
    )
    found: dict[tuple[str, str], dict[str, tuple[datetime, HitDelivery]]] = {}
    for row in connection.execute(query, {"stories": dialect.list_param(names)}) if names else ():
        found.setdefault((row.story, row.rule), {})[row.id] = row.created_at, _alert(row)
    return found


def _earlier(
    detail: HitDetail,
    of_stories: Mapping[tuple[str, str], Mapping[str, tuple[datetime, HitDelivery]]],
    own: Sequence[HitDelivery],
) -> tuple[HitDelivery, ...]:
    alerts = of_stories.get((detail.hit.story or "", detail.hit.rule), {})
    mine = {one.id for one in own}
    return tuple(one for at, one in alerts.values() if at <= detail.hit.created_at and one.id not in mine)


def _alert(row: Row[Any]) -> HitDelivery:
    state = DeliveryState(row.state)
    at = row.sent_at or (row.due_at if state in (*WAITING, DeliveryState.SENDING) else None)
    return HitDelivery(id=row.id, channel=row.channel, state=state, at=at)


def details_of(connection: Connection, dialect: Dialect, found: Sequence[Row[Any]]) -> tuple[HitDetail, ...]:
    """Convert rows of HIT_DETAILS to values; a rule's title is for the caller to know, here it is its id."""
    carriers = _carriers(connection, dialect, {row.story for row in found if row.story})
    titles = feed_titles(connection, dialect, {feed for feeds_of in carriers.values() for feed in feeds_of})
    return tuple(_detail(row, carriers, titles) for row in found)


def _detail(row: Row[Any], carriers: Mapping[str, Sequence[str]], titles: Mapping[str, str]) -> HitDetail:
    found = row._asdict()
    return HitDetail(
        hit=mappers.hit_of(found),
        entry=mappers.entry_of({name: found[label] for name, label in LABELS}),
        feed_title=row.configured_title or row.title or row.feed,
        rule_title=row.rule,
        also_in=tuple(titles.get(feed, feed) for feed in carriers.get(row.story, ()) if feed != row.feed),
    )


def _carriers(connection: Connection, dialect: Dialect, wanted: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    found = stories_by_id(connection, dialect, wanted)
    return {story.id: story.feeds for story in found}


def stories_by_id(connection: Connection, dialect: Dialect, wanted: Iterable[str]) -> tuple[Story, ...]:
    ids = sorted(wanted)
    if not ids:
        return ()
    query = select(stories).where(dialect.is_in(stories.c.id, "ids"))
    return tuple(mappers.story(row) for row in connection.execute(query, {"ids": dialect.list_param(ids)}))


def feed_titles(connection: Connection, dialect: Dialect, wanted: Iterable[str]) -> Mapping[str, str]:
    """Return the names of feeds as people see them, by id."""
    ids = sorted(wanted)
    if not ids:
        return {}
    query = select(feeds.c.id, feeds.c.configured_title, feeds.c.title).where(dialect.is_in(feeds.c.id, "ids"))
    found = connection.execute(query, {"ids": dialect.list_param(ids)})
    return {row.id: row.configured_title or row.title or row.id for row in found}
