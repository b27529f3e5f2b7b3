"""Database queries and writes of routing, inside the transaction of a commit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, exists, func, or_, select, update

from aggregator.core.errors import StoreError
from aggregator.core.model import (
    Delivery,
    Hit,
    HitState,
    RoutingContext,
    RoutingQuery,
    RoutingResult,
    RuleHistory,
    Silence,
    Undelivered,
)
from aggregator.store import mappers
from aggregator.store.bulk import BulkStatement
from aggregator.store.column_types import EPOCH, Instant
from aggregator.store.dialect import Dialect
from aggregator.store.schema import (
    deliveries,
    delivery_hits,
    entries,
    hits,
    silences,
    stories,
    story_links,
    undelivered,
)
from aggregator.store.stories import find_related, find_unfolding, write_reasons, write_stories

DATE_OF_ENTRY = select(entries.c.dated_at).where(entries.c.id == bindparam("of_entry")).scalar_subquery()
Ids = Mapping[tuple[str, str], int]
REACHED = delete(undelivered).where(*(undelivered.c[name] == bindparam(f"lost_{name}") for name in Undelivered._fields))

HISTORY = (
    select(hits.c.created_at, hits.c.feed, hits.c.id)
    .where(
        hits.c.rule == bindparam("rule"),
        hits.c.created_at >= bindparam("since", type_=Instant),
        hits.c.state != HitState.NEW.value,  # those count when they are routed
    )
    .order_by(hits.c.created_at, hits.c.id)
)
SILENCES = select(silences).where(silences.c.until_at > bindparam("now", type_=Instant)).order_by(silences.c.id)
LAST_ALERT = select(func.max(hits.c.created_at, type_=Instant)).where(
    hits.c.rule == bindparam("rule"), hits.c.state == HitState.ALERTED.value
)


# Most databases have none of these: what nobody has is not looked for, in one statement instead of four.
UNUSUAL = select(
    exists(select(story_links.c.story)).label("linked"),
    exists(select(undelivered.c.story)).label("undelivered"),
    exists(select(silences.c.id).where(silences.c.until_at > bindparam("now", type_=Instant))).label("silenced"),
)


def answer(connection: Connection, dialect: Dialect, question: RoutingQuery, now: datetime | None) -> RoutingContext:
    """Return everything that `question` asks, as this transaction sees it."""
    has = connection.execute(UNUSUAL, {"now": now or EPOCH}).one()
    homes = _homes(connection, dialect, question.entries)
    related, shared, nearest = find_related(connection, dialect, question, homes.values(), linked=has.linked)
    return RoutingContext(
        known=known_hits(connection, dialect, question.hits),
        stories=related,
        homes=homes,
        keys=shared,
        nearest=nearest,
        unfolding=find_unfolding(connection, now) if has.linked else frozenset(),
        undelivered=_undelivered(connection, dialect, [story.id for story in related]) if has.undelivered else (),
        histories=tuple(_history(connection, rule, since) for rule, since in question.histories),
        silences=live_silences(connection, now) if has.silenced else (),
    )


def known_hits(connection: Connection, dialect: Dialect, asked: Sequence[str]) -> frozenset[str]:
    """Return those of these hits that are stored."""
    if not asked:
        return frozenset()
    found = connection.execute(_hits_named(dialect), {"ids": dialect.list_param(list(asked))})
    return frozenset(found.scalars())


@cache
def _hits_named(dialect: Dialect) -> Select[Any]:
    return select(hits.c.id).where(dialect.is_in(hits.c.id, "ids"))


def _homes(connection: Connection, dialect: Dialect, asked: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """Return the stories that these entries' hits have."""
    if not asked:
        return {}
    found = connection.execute(_homes_of(dialect), dialect.pairs(list(asked)))
    return {(row.feed, row.key): row.story for row in found}


@cache
def _homes_of(dialect: Dialect) -> Select[Any]:
    return (
        select(entries.c.feed, entries.c.key, hits.c.story)
        .join(hits, hits.c.entry == entries.c.id)
        .where(dialect.paired(entries.c.feed, entries.c.key), hits.c.story.is_not(None))
        .order_by(hits.c.created_at, hits.c.id)
    )


def _undelivered(connection: Connection, dialect: Dialect, asked: Sequence[str]) -> tuple[Undelivered, ...]:
    if not asked:
        return ()
    found = connection.execute(_undelivered_of(dialect), {"stories": dialect.list_param(list(asked))})
    return tuple(sorted(Undelivered(row.story, row.channel, row.recipient) for row in found))


@cache
def _undelivered_of(dialect: Dialect) -> Select[Any]:
    return select(undelivered).where(dialect.is_in(undelivered.c.story, "stories"))


def _history(connection: Connection, rule: str, since: datetime) -> RuleHistory:
    found = connection.execute(HISTORY, {"rule": rule, "since": since})
    return RuleHistory(
        rule=rule,
        hits=tuple((row.created_at, row.feed, row.id) for row in found),
        last_alert_at=connection.execute(LAST_ALERT, {"rule": rule}).scalar(),
    )


def live_silences(connection: Connection, now: datetime | None) -> tuple[Silence, ...]:
    """Return the silences that have not ended at `now`."""
    return tuple(mappers.silence(row) for row in connection.execute(SILENCES, {"now": now or EPOCH}))


def write_routed(connection: Connection, dialect: Dialect, routed: RoutingResult, ids: Ids) -> None:
    """Write what routing decided: existing hits and deliveries are left alone; stories are made or grow."""
    write_stories(connection, dialect, routed)
    write_reasons(connection, routed.reasons)
    write_hits(connection, dialect, routed.hits, ids)
    write_deliveries(connection, dialect, routed.deliveries)
    if routed.redelivered:
        reached = [{f"lost_{name}": value for name, value in one._asdict().items()} for one in routed.redelivered]
        connection.execute(REACHED, reached)


def write_deliveries(connection: Connection, dialect: Dialect, written: Sequence[Delivery]) -> None:
    """Write deliveries that are not there yet, with the hits that they are about."""
    _insert_deliveries(dialect).run(connection, [mappers.delivery_values(one) for one in written])
    write_delivery_hits(connection, dialect, written)


@cache
def _insert_deliveries(dialect: Dialect) -> BulkStatement:
    return BulkStatement(dialect.insert_ignore(deliveries))


def write_delivery_hits(connection: Connection, dialect: Dialect, written: Sequence[Delivery]) -> None:
    """Write down which hits new deliveries report."""
    rows = [{"hit": hit, "delivery": one.id} for one in written for hit in dict.fromkeys(one.hits)]
    _insert_delivery_hits(dialect).run(connection, rows)


@cache
def _insert_delivery_hits(dialect: Dialect) -> BulkStatement:
    return BulkStatement(dialect.insert_ignore(delivery_hits))


def note_undelivered(connection: Connection, dialect: Dialect, lost: Delivery) -> None:
    """Record that an alert does not go out: its recipient knows none of its stories except from other alerts.

    Nor does anybody else, of those of which no other alert was sent or waits on any channel.
    """
    other, of_story = deliveries.alias("other"), stories.c.id.in_(_stories_of(dialect))
    goes_out = or_(other.c.wake_at.is_not(None), other.c.sent_at >= stories.c.first_at)
    named = exists().where(
        other.c.channel == lost.channel,
        other.c.recipient == lost.recipient,
        other.c.story == stories.c.id,
        other.c.id != lost.id,
        goes_out,
    )
    reported = delivery_hits.join(hits, hits.c.id == delivery_hits.c.hit).join(
        other, other.c.id == delivery_hits.c.delivery
    )
    somewhere = (
        select(other.c.id)
        .select_from(reported)
        .where(hits.c.story == stories.c.id, other.c.id != lost.id, goes_out)
        .exists()
    )
    bound, added = {"hits": dialect.list_param(list(lost.hits))}, list[dict[str, str]]()
    for known, channel, recipient in ((named, lost.channel, lost.recipient), (somewhere, "", "")):
        unknown = connection.execute(select(stories.c.id).where(of_story, ~known), bound).scalars()
        added += [{"story": story, "channel": channel, "recipient": recipient} for story in unknown]
    if added:
        connection.execute(dialect.insert_ignore(undelivered), added)


def note_suppressed(connection: Connection, dialect: Dialect, withdrawn: Delivery) -> None:
    """Write why hits alert nobody whose alert was silenced or cancelled, unless another alert reports them."""
    other = delivery_hits.join(deliveries, deliveries.c.id == delivery_hits.c.delivery)
    reported = (
        select(deliveries.c.id)
        .select_from(other)
        .where(
            delivery_hits.c.hit == hits.c.id,
            deliveries.c.id != withdrawn.id,
            deliveries.c.wake_at.is_not(None) | deliveries.c.sent_at.is_not(None),
        )
        .exists()
    )
    promised = hits.c.state.in_([HitState.ALERTED.value, HitState.HELD.value])
    change = update(hits).where(dialect.is_in(hits.c.id, "ids"), promised, ~reported)
    values = {"state": HitState.SUPPRESSED.value, "reason": withdrawn.reason}
    connection.execute(change.values(**values), {"ids": dialect.list_param(list(withdrawn.hits))})


def forget_undelivered(connection: Connection, dialect: Dialect, again: Delivery) -> None:
    """Remove that record when the alert is tried again: no copy needs to report its stories meanwhile."""
    forget = delete(undelivered).where(
        undelivered.c.story.in_(_stories_of(dialect)),
        or_(
            undelivered.c.channel == "",
            (undelivered.c.channel == again.channel) & (undelivered.c.recipient == again.recipient),
        ),
    )
    connection.execute(forget, {"hits": dialect.list_param(list(again.hits))})


def _stories_of(dialect: Dialect) -> Select[tuple[str]]:
    return select(hits.c.story).where(dialect.is_in(hits.c.id, "hits"), hits.c.story.is_not(None))


def write_hits(connection: Connection, dialect: Dialect, written: Sequence[Hit], ids: Ids) -> None:
    numbered = [(hit, _entry_id(connection, hit, ids)) for hit in written]
    values = [mappers.hit_values(hit, entry_id) | {"of_entry": entry_id} for hit, entry_id in numbered]
    _insert_hits(dialect).run(connection, values)


@cache
def _insert_hits(dialect: Dialect) -> BulkStatement:
    return BulkStatement(dialect.insert_ignore(hits).values(dated_at=DATE_OF_ENTRY))


def _entry_id(connection: Connection, hit: Hit, ids: Ids) -> int:
    """Return the entry of a hit: of this poll, or one that was stored before. Raises StoreError."""
    known = hit.entry_id if hit.entry_id is not None else ids.get((hit.feed, hit.entry_key))
    if known is None:
        query = select(entries.c.id).where(entries.c.feed == hit.feed, entries.c.key == hit.entry_key)
        known = connection.execute(query).scalar()
    if known is None:
        raise StoreError(f"hit {hit.id} of rule {hit.rule} refers to an entry of feed {hit.feed} that is not stored")
    return known
