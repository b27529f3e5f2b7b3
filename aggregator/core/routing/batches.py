"""Several polls that are routed with one question to the database, and written at once.

What comes out is what routing them one after the other would give: each is answered as if it had asked alone, after
the earlier ones were written. One whose answer that cannot tell begins the next batch.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from aggregator.core.events import MAX_REPORTS
from aggregator.core.model import Report, RoutingContext, RoutingQuery, RoutingResult, RuleHistory, Undelivered
from aggregator.core.stories import EVENT_KEYS, LATEST, shortlist


def united(questions: Iterable[RoutingQuery]) -> RoutingQuery:
    """Return the question that asks for everything that these ask."""
    asked = tuple(questions)
    histories: dict[str, datetime] = {}
    for question in asked:
        for rule, since in question.histories:
            histories[rule] = min(since, histories.get(rule, since))
    return RoutingQuery(
        hits=tuple(dict.fromkeys(hit for question in asked for hit in question.hits)),
        entries=tuple(dict.fromkeys(entry for question in asked for entry in question.entries)),
        lookups=tuple(lookup for question in asked for lookup in question.lookups),
        stories_since=min((q.stories_since for q in asked if q.stories_since), default=None),
        events_since=min((q.events_since for q in asked if q.events_since), default=None),
        histories=tuple(histories.items()),
    )


def chosen_reports(story: str, known: Sequence[Report], most: int | None) -> tuple[Report, ...]:
    """Return the first report of a story and the latest, `most` in all (None: every one)."""
    by_id = {report.id: report for report in known}
    return tuple(by_id[name] for name in chosen_ids(story, [*by_id], most))


def chosen_ids(story: str, ids: Sequence[str], most: int | None) -> Sequence[str]:
    """Return which of a story's reports those are; `ids` are in the order in which they came."""
    ordered = sorted(ids, key=lambda name: name != story)
    return ordered if most is None or len(ordered) <= most else [ordered[0], *ordered[1 - most :]]


class Batch:
    """Polls that are routed after one answer of the database, each of which sees what the earlier ones did."""

    def __init__(self, context: RoutingContext) -> None:
        """`context` answers the questions of all of them, `united`."""
        self._context = context
        self._stories = {story.id: story for story in context.stories}
        self._keys = {key: dict(found) for key, found in context.keys.items()}
        self._undelivered: dict[str, list[Undelivered]] = {}
        for one in context.undelivered:
            self._undelivered.setdefault(one.story, []).append(one)
        self._results: list[RoutingResult] = []
        self._closed = False

    def admits(self, question: RoutingQuery) -> bool:
        """Tell whether the answer to this question is known without asking the database again."""
        asks_for_hits = question.hits or question.entries or question.histories  # which the others have changed
        return not self._results or not (self._closed or asks_for_hits)

    def answer(self, question: RoutingQuery, unrouted: Collection[str]) -> RoutingContext:
        """Return what the database would answer to one of the questions alone.

        `unrouted`: ids of hits that are stored and were not routed yet, of which routing knows nothing.
        """
        keys = {
            key: found
            for key in {key for lookup in question.lookups for key in lookup}
            if (found := self._having(key, question))
        }
        homes = {entry: story for entry, story in self._context.homes.items() if entry in question.entries}
        nearest = {lookup: shortlist(lookup, keys) for lookup in question.lookups}
        near = {name for found in nearest.values() for names in found for name in names}
        stories = [self._stories[name] for name in near.union(homes.values()) if name in self._stories]
        return replace(
            self._context,
            known=self._context.known.intersection(question.hits).difference(unrouted),
            stories=tuple(sorted(stories, key=lambda story: (story.first_at, story.id))),
            homes=homes,
            keys=keys,
            nearest=nearest,
            undelivered=tuple(sorted(one for story in stories for one in self._undelivered.get(story.id, ()))),
            histories=tuple(self._history(rule, since) for rule, since in question.histories),
        )

    def _having(self, key: str, question: RoutingQuery) -> dict[str, datetime]:
        since = question.events_since if key.startswith(EVENT_KEYS) else question.stories_since
        return {story: at for story, at in self._keys.get(key, {}).items() if since is None or at >= since}

    def _history(self, rule: str, since: datetime) -> RuleHistory:
        known = next((one for one in self._context.histories if one.rule == rule), RuleHistory(rule=rule))
        return replace(known, hits=tuple(hit for hit in known.hits if hit[0] >= since))

    def add(self, result: RoutingResult) -> None:
        """Add what was decided about the next poll."""
        self._results.append(result)
        self._closed = self._closed or bool(result.merged)
        for story in result.stories:
            self._stories[story.id] = replace(story, reports=chosen_reports(story.id, story.reports, MAX_REPORTS))
        for name, at, keys in result.keys:
            for key in keys:
                found = sorted({**self._keys.get(key, {}), name: at}.items(), key=lambda one: (one[1], one[0]))
                self._keys[key] = dict(found[-LATEST:])
        for one in result.redelivered:
            self._undelivered[one.story].remove(one)

    def whole(self) -> RoutingResult:
        """Return everything that was decided, to be written at once: of a story its last form."""
        results = self._results
        return RoutingResult(
            hits=tuple(one for result in results for one in result.hits),
            stories=tuple({story.id: story for result in results for story in result.stories}.values()),
            reports=tuple({report.id: (story, report) for r in results for story, report in r.reports}.values()),
            keys=tuple(one for result in results for one in result.keys),
            reasons=tuple(one for result in results for one in result.reasons),
            merged=tuple(one for result in results for one in result.merged),
            deliveries=tuple(one for result in results for one in result.deliveries),
            redelivered=tuple(one for result in results for one in result.redelivered),
        )
