"""Polls that wait for their routing: of their entries only what routing asks."""

from typing import Any

from sqlalchemy import Row

from aggregator.core.model import Entry, Hit, Reason, Report, UnroutedPoll
from aggregator.store.column_types import Values, instant, micros
from aggregator.store.mappers.stories import features, features_list, fingerprint_list, fingerprint_of


def unrouted_values(poll: UnroutedPoll) -> Values:
    return {
        "feed": poll.feed,
        "at": poll.at,
        "part": poll.part,
        "config": poll.config,
        "hits": [hit.id for hit in poll.hits],
        "entries": [_entry_list(entry) for entry in poll.entries],
        "reports": [[key, *_report_list(report)] for (_, key), report in poll.reports.items()],
        "due_at": poll.at,
    }


def unrouted_poll(row: Row[Any], hits: tuple[Hit, ...]) -> UnroutedPoll:
    """Return a row as a value, with those of its hits that are still there, and their entries."""
    asked = {hit.entry_key for hit in hits}
    return UnroutedPoll(
        feed=row.feed,
        at=row.at,
        part=row.part,
        config=row.config,
        hits=hits,
        entries=tuple(_entry(row.feed, given) for given in row.entries if given[0] in asked),
        reports={(row.feed, key): _report(given) for key, *given in row.reports if key in asked},
    )


def _entry_list(entry: Entry) -> list[Any]:
    published = None if entry.published_at is None else micros(entry.published_at)
    return [entry.key, entry.title, published, micros(entry.seen_at), entry.version, entry.reason.value]


def _entry(feed: str, given: list[Any]) -> Entry:
    key, title, published, seen, version, reason = given
    return Entry(
        feed=feed,
        key=key,
        title=title,
        published_at=None if published is None else instant(published),
        seen_at=instant(seen),
        version=version,
        reason=Reason(reason),
    )


def _report_list(report: Report) -> list[Any]:
    traits = (fingerprint_list(report.fingerprint), features_list(report.features))
    return [report.id, report.feed, report.title, micros(report.at), *traits, report.origin]


def _report(given: list[Any]) -> Report:
    name, feed, title, at, fingerprint, traits, origin = given
    return Report(
        id=name,
        feed=feed,
        title=title,
        at=instant(at),
        fingerprint=fingerprint_of(fingerprint),
        features=features(traits),
        origin=origin,
    )
