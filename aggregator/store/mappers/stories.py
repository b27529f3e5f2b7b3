"""Stories, their reports, and why entries joined them."""

from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any

from msgspec.structs import astuple
from sqlalchemy import Row

from aggregator.core.model import Because, Features, Fingerprint, JoinKind, NearMiss, Report, Story
from aggregator.store.column_types import Values, instant, micros

PARTS = ("stems", "counts", "shown", "headline", "anchors", "text_anchors")


def story_values(story: Story) -> Values:
    return {
        "id": story.id,
        "title": story.title,
        "fingerprint": fingerprint_list(story.fingerprint),
        "feeds": story.feeds,
        "told": story.alerted_rules,
        "first_at": story.first_at,
        "last_at": story.last_at,
        "acknowledged_at": story.acknowledged_at,
        "joined": story.joined,
        "alerted_at": story.alerted_at,
    }


def story(row: Row[Any], reports: tuple[Report, ...] = (), apart: frozenset[str] = frozenset()) -> Story:
    return Story(
        id=row.id,
        title=row.title,
        fingerprint=fingerprint_of(row.fingerprint),
        feeds=tuple(row.feeds),
        alerted_rules=tuple(row.told),
        first_at=row.first_at,
        last_at=row.last_at,
        acknowledged_at=row.acknowledged_at,
        joined=row.joined,
        reports=reports,
        alerted_at=row.alerted_at,
        apart=apart,
    )


def report_values(story: str, report: Report) -> Values:
    return {
        "id": report.id,
        "story": story,
        "origin": report.origin or report.id,
        "feed": report.feed,
        "title": report.title,
        "at": report.at,
        "fingerprint": fingerprint_list(report.fingerprint),
        "features": features_list(report.features),
        "alerted_rules": report.alerted_rules,
    }


def report(row: Row[Any]) -> Report:
    return Report(
        id=row.id,
        feed=row.feed,
        title=row.title,
        at=row.at,
        fingerprint=fingerprint_of(row.fingerprint),
        features=features(row.features),
        origin=row.origin,
        alerted_rules=None if row.alerted_rules is None else tuple(row.alerted_rules),
    )


def because_list(because: Because | None) -> list[Any] | None:
    if because is None:
        return None
    return [
        because.kind,
        because.story,
        because.report,
        because.origin,
        because.title,
        because.feed,
        _micros(because.at),
        because.words,
        because.similarity,
        because.hours,
        because.doubt,
        [astuple(miss) for miss in because.misses],
        because.by,
    ]


def because(given: list[Any] | None) -> Because | None:
    if given is None:
        return None
    kind, story, report, origin, title, feed, at, words, similarity, hours, doubt, misses, by = given
    return Because(
        kind=JoinKind(kind) if kind else None,
        story=story,
        report=report,
        origin=origin,
        title=title,
        feed=feed,
        at=None if at is None else instant(at),
        words=tuple(words),
        similarity=similarity,
        hours=hours,
        doubt=doubt,
        misses=tuple(NearMiss(story=s, title=t, feed=f, reason=r) for s, t, f, r in misses),
        by=by,
    )


def _micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def features_list(features: Features) -> list[Any]:
    vector = [b64encode(features.vector).decode()] if features.vector else []
    return [features.lang, *(getattr(features, name) for name in PARTS), *vector]


def features(given: list[Any]) -> Features:
    lang, *parts = given[: 1 + len(PARTS)]
    vector = b64decode(given[-1]) if len(given) > 1 + len(PARTS) else b""
    return Features(lang=lang, vector=vector, **{name: tuple(part) for name, part in zip(PARTS, parts, strict=True)})


def fingerprint_list(known: Fingerprint) -> list[Any]:
    return [
        known.url_key,
        known.title_key,
        known.signature.hex(),
        known.bands,
        sorted(known.facts),
        known.lang,
    ]


def fingerprint_of(given: list[Any]) -> Fingerprint:
    url_key, title_key, signature, bands, facts, lang = given
    return Fingerprint(
        url_key=url_key,
        title_key=title_key,
        signature=bytes.fromhex(signature),
        bands=tuple(bands),
        facts=frozenset(facts),
        lang=lang,
    )
