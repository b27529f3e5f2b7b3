"""The JSON document of `service: webhook`; its shape is a promise, written down in docs/channels.md."""

from collections.abc import Mapping
from typing import Any

from aggregator.core.model import Alert, HitDetail
from aggregator.core.titles import reasons
from aggregator.notify.render.content import AlertContent
from aggregator.notify.render.sanitize import web_address

# Apprise's json service has fields of its own; an empty replacement takes one away.
RESERVED_KEYS = {"version": "", "attachments": "", "type": "", "title": "", "message": ""}


def document(alert: Alert, content: AlertContent, text: str) -> Mapping[str, Any]:
    """Return everything about an alert, as plain JSON values; texts are as the feed had them."""
    return {
        "id": alert.id,
        "kind": alert.kind.value,
        "subject": content.subject,
        "text": text,
        "priority": alert.priority,
        "possible_repeat": alert.repeat,
        "why": alert.why,
        "more": alert.more,
        "created_at": alert.created_at.isoformat(),
        "page": content.page,
        "thread": alert.thread or None,
        "update": alert.update,
        "hits": [_hit(detail) for detail in alert.hits],
    }


def headers(alert: Alert) -> dict[str, str]:
    """Return the same key for each attempt at one delivery (draft-ietf-httpapi-idempotency-key-header)."""
    return {"Idempotency-Key": alert.id}


def _hit(detail: HitDetail) -> dict[str, Any]:
    hit, entry = detail.hit, detail.entry
    return {
        "id": hit.id,
        "rule": hit.rule,
        "rule_title": detail.rule_title,
        "feed": hit.feed,
        "feed_title": detail.feed_title,
        "story": hit.story,
        "event": hit.event,
        "because": list(reasons(hit.because)),
        "title": entry.title,
        "link": web_address(entry.link),
        "published_at": entry.published_at.isoformat() if entry.published_at else None,
        "snippet": hit.snippet,
        "spans": [
            {"field": s.field, "start": s.start, "end": s.end, "text": s.text, "term": s.term} for s in hit.spans
        ],
        "also_in": list(detail.also_in),
    }
