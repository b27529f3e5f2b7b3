"""Rows to values and back. What each column means is said in schema.py."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from aggregator.core.model import (
    Attempt,
    Delivery,
    DeliveryState,
    Entry,
    FeedHints,
    FeedState,
    Fingerprint,
    Health,
    Hit,
    HitState,
    HostLimit,
    Kind,
    Notice,
    Reason,
    Silence,
    Span,
    Story,
    Validators,
)
from aggregator.core.polling.hosts import host_key
from aggregator.store.columns import instant, micros
from aggregator.store.schema import ALWAYS, NEVER

Values = dict[str, Any]

UNSETTLED = frozenset({DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.RETRY})


# --- feeds ---------------------------------------------------------------------------------------


def next_poll(state: FeedState) -> int:
    """A feed that was never polled is due at once; one that is gone, never."""
    if state.next_poll_at is not None:
        return micros(state.next_poll_at)
    return NEVER if state.health is Health.GONE else ALWAYS


def feed_values(state: FeedState) -> Values:
    """The columns that a poll changes (not id, not what the configuration or a person says)."""
    seen = state.validators
    return {
        "url": state.url,
        "host": host_key(state.url),
        "title": state.title,
        "health": state.health.value,
        "health_since": state.health_since,
        "validators_url": seen.url if seen else None,
        "etag": seen.etag if seen else None,
        "last_modified": seen.last_modified if seen else None,
        "body_hash": state.body_hash,
        "hints": hints_list(state.hints),
        "first_polled_at": state.first_polled_at,
        "last_polled_at": state.last_polled_at,
        "last_ok_at": state.last_ok_at,
        "last_new_at": state.last_new_at,
        "newest_at": state.newest_at,
        "next_poll_at": next_poll(state),
        "last_status": state.last_status,
        "failures": state.failures,
        "failing_since": state.failing_since,
        "last_error": state.last_error,
        "interval_s": state.interval_s,
        "gap_s": state.gap_s,
        "items": state.items,
        "move_url": state.move_url,
        "move_count": state.move_count,
        "move_since": state.move_since,
        "distrust_guid": state.distrust_guid,
        "hub": state.hub,
        "self_url": state.self_url,
        "rungs": ",".join(map(str, state.rungs)),
    }


def feed_state(row: Row[Any]) -> FeedState:
    """A feed's row as a value; a pause covers whatever health lies under it."""
    paused = row.paused_at is not None
    return FeedState(
        id=row.id,
        url=row.url,
        configured_url=row.configured_url,
        title=row.configured_title or row.title,
        health=Health.PAUSED if paused else Health(row.health),
        health_since=row.paused_at if paused else row.health_since,
        validators=_validators(row),
        body_hash=row.body_hash,
        hints=_hints(row.hints),
        first_polled_at=row.first_polled_at,
        last_polled_at=row.last_polled_at,
        last_ok_at=row.last_ok_at,
        last_new_at=row.last_new_at,
        newest_at=row.newest_at,
        next_poll_at=None if row.next_poll_at in (ALWAYS, NEVER) else instant(row.next_poll_at),
        last_status=row.last_status,
        failures=row.failures,
        failing_since=row.failing_since,
        last_error=row.last_error,
        interval_s=row.interval_s,
        gap_s=row.gap_s,
        items=row.items,
        move_url=row.move_url,
        move_count=row.move_count,
        move_since=row.move_since,
        distrust_guid=row.distrust_guid,
        hub=row.hub,
        self_url=row.self_url,
        rungs=_five(row.rungs),
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
    )


def hints_list(hints: FeedHints) -> list[Any] | None:
    if hints == FeedHints():
        return None
    return [hints.ttl_s, hints.update_period_s, sorted(hints.skip_hours), sorted(hints.skip_days)]


def _hints(given: list[Any] | None) -> FeedHints:
    if given is None:
        return FeedHints()
    ttl_s, period_s, hours, days = given
    return FeedHints(ttl_s=ttl_s, update_period_s=period_s, skip_hours=frozenset(hours), skip_days=frozenset(days))


def _validators(row: Row[Any]) -> Validators | None:
    if row.validators_url is None:
        return None
    return Validators(url=row.validators_url, etag=row.etag, last_modified=row.last_modified)


def _five(counts: str) -> tuple[int, int, int, int, int]:
    first, second, third, fourth, fifth = map(int, counts.split(","))
    return first, second, third, fourth, fifth


def host_values(limit: HostLimit) -> Values:
    return {"host": limit.host, "not_before": limit.not_before, "reason": limit.reason}


def host_limit(row: Row[Any]) -> HostLimit:
    return HostLimit(host=row.host, not_before=row.not_before, reason=row.reason)


# --- entries -------------------------------------------------------------------------------------


def entry_values(entry: Entry) -> Values:
    """All columns of an entry but its id."""
    return {
        "feed": entry.feed,
        "key": entry.key,
        "aliases": entry.aliases,
        "guid": entry.guid,
        "link": entry.link,
        "title": entry.title,
        "summary": entry.summary,
        "content": entry.content,
        "author": entry.author,
        "categories": entry.categories,
        "enclosures": entry.enclosures,
        "lang": entry.lang,
        "published_at": entry.published_at,
        "updated_at": entry.updated_at,
        "seen_at": entry.seen_at,
        "content_hash": entry.content_hash,
        "version": entry.version,
        "reason": entry.reason.value,
        "has_text": True,
    }


def key_values(entry: Entry) -> list[Values]:
    """What is remembered of an entry for ever: its key, then its aliases."""
    own = {
        "feed": entry.feed,
        "key": entry.key,
        "alias": False,
        "content_hash": entry.content_hash,
        "version": entry.version,
        "seen_at": entry.seen_at,
    }
    other = {"alias": True, "content_hash": b"", "version": 0}
    return [own, *({**own, "key": alias, **other} for alias in entry.aliases)]


def entry(row: Any) -> Entry:
    """An entry's row, or the entry's half of a joined one, as a value."""
    return Entry(
        id=row.id,
        feed=row.feed,
        key=row.key,
        aliases=tuple(row.aliases),
        guid=row.guid,
        link=row.link,
        title=row.title,
        summary=row.summary,
        content=row.content,
        author=row.author,
        categories=tuple(row.categories),
        enclosures=tuple(row.enclosures),
        lang=row.lang,
        published_at=row.published_at,
        updated_at=row.updated_at,
        seen_at=row.seen_at,
        content_hash=row.content_hash,
        version=row.version,
        reason=Reason(row.reason),
    )


# --- hits and stories ----------------------------------------------------------------------------


def hit_values(hit: Hit, entry_id: int) -> Values:
    return {
        "id": hit.id,
        "rule": hit.rule,
        "feed": hit.feed,
        "entry": entry_id,
        "entry_key": hit.entry_key,
        "entry_version": hit.entry_version,
        "spans": [(span.field, span.start, span.end, span.text, span.term) for span in hit.spans],
        "snippet": hit.snippet,
        "story": hit.story,
        "state": hit.state.value,
        "reason": hit.reason,
        "mark": hit.mark,
        "created_at": hit.created_at,
    }


def hit(row: Row[Any]) -> Hit:
    return Hit(
        id=row.id,
        rule=row.rule,
        feed=row.feed,
        entry_key=row.entry_key,
        entry_id=row.entry,
        entry_version=row.entry_version,
        spans=tuple(Span(field=f, start=s, end=e, text=t, term=term) for f, s, e, t, term in row.spans),
        snippet=row.snippet,
        story=row.story,
        state=HitState(row.state),
        reason=row.reason,
        mark=row.mark,
        created_at=row.created_at,
    )


def story_values(story: Story) -> Values:
    known = story.fingerprint
    return {
        "id": story.id,
        "title": story.title,
        "fingerprint": [
            known.url_key,
            known.title_key,
            known.signature.hex(),
            known.bands,
            sorted(known.facts),
            known.lang,
        ],
        "feeds": story.feeds,
        "told": story.told,
        "first_at": story.first_at,
        "last_at": story.last_at,
    }


def story(row: Row[Any]) -> Story:
    url_key, title_key, signature, bands, facts, lang = row.fingerprint
    fingerprint = Fingerprint(
        url_key=url_key,
        title_key=title_key,
        signature=bytes.fromhex(signature),
        bands=tuple(bands),
        facts=frozenset(facts),
        lang=lang,
    )
    return Story(
        id=row.id,
        title=row.title,
        fingerprint=fingerprint,
        feeds=tuple(row.feeds),
        told=tuple(row.told),
        first_at=row.first_at,
        last_at=row.last_at,
    )


def fingerprint_keys(fingerprint: Fingerprint) -> list[str]:
    """The keys under which a telling is looked up; a letter says of which kind each is."""
    url = [f"u:{fingerprint.url_key}"] if fingerprint.url_key else []
    title = [f"t:{fingerprint.title_key}"] if fingerprint.title_key else []
    return [*url, *title, *(f"b:{band}" for band in fingerprint.bands)]


# --- the outbox ----------------------------------------------------------------------------------


def wake_at(state: DeliveryState, due_at: datetime, lease_until: datetime | None) -> datetime | None:
    """When a delivery may be taken next; None: it is settled."""
    if state is DeliveryState.SENDING:
        return lease_until or due_at
    return due_at if state in UNSETTLED else None


def delivery_values(delivery: Delivery) -> Values:
    notice = delivery.notice
    return {
        "id": delivery.id,
        "kind": delivery.kind.value,
        "channel": delivery.channel,
        "recipient": delivery.recipient,
        "rules": delivery.rules,
        "hits": delivery.hits,
        "story": delivery.story,
        "title": delivery.title,
        "notice": (notice.title, notice.body, notice.link) if notice else None,
        "priority": delivery.priority,
        "state": delivery.state.value,
        "reason": delivery.reason,
        "created_at": delivery.created_at,
        "due_at": delivery.due_at,
        "attempts": delivery.attempts,
        "tried_at": delivery.tried_at,
        "sent_at": delivery.sent_at,
        "last_error": delivery.last_error,
        "repeat": delivery.repeat,
        "lease_owner": delivery.lease_owner,
        "lease_until": delivery.lease_until,
        "wake_at": wake_at(delivery.state, delivery.due_at, delivery.lease_until),
    }


def delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        kind=Kind(row.kind),
        channel=row.channel,
        recipient=row.recipient,
        rules=tuple(row.rules),
        hits=tuple(row.hits),
        story=row.story,
        title=row.title,
        notice=_notice(row.notice),
        priority=row.priority,
        state=DeliveryState(row.state),
        reason=row.reason,
        created_at=row.created_at,
        due_at=row.due_at,
        attempts=row.attempts,
        tried_at=row.tried_at,
        sent_at=row.sent_at,
        last_error=row.last_error,
        repeat=row.repeat,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
    )


def _notice(given: list[Any] | None) -> Notice | None:
    if given is None:
        return None
    title, body, link = given
    return Notice(title=title, body=body, link=link)


def attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        delivery=row.delivery,
        number=row.number,
        started_at=row.started_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
        detail=row.detail,
    )


def silence(row: Row[Any]) -> Silence:
    return Silence(
        id=row.id,
        rule=row.rule,
        feed=row.feed,
        story=row.story,
        until_at=row.until_at,
        reason=row.reason,
        created_at=row.created_at,
    )
