"""`aggregator poll`: one pass by hand, or from cron."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import click

from aggregator.cli.completion import argument
from aggregator.cli.context import config_path, load, with_app
from aggregator.cli.errors import print_problems
from aggregator.cli.output import echo, emit, json_option, plural, progress, secho, wrapped
from aggregator.cli.program import config_option
from aggregator.core.errors import NotFound
from aggregator.pipeline.first_look import FirstLook

if TYPE_CHECKING:
    from aggregator.app.application import Application
    from aggregator.app.known import KnownConfig
    from aggregator.config import Loaded
    from aggregator.core.model import Json
    from aggregator.pipeline.delivery_counts import DeliveryCounts
    from aggregator.pipeline.polled import PolledFeed


@click.command(
    epilog="""\b
Examples:
  aggregator poll                  the feeds that are due
  aggregator poll --force          all feeds (Retry-After is still honoured)
  aggregator poll bbc-world --force --json"""
)
@argument("feeds", "feed", nargs=-1, metavar="[FEED…]")
@click.option("--force", is_flag=True, help="Poll even if not due.")
@config_option
@json_option
def poll(feeds: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Poll once: fetch due feeds, match, send due alerts, print a summary. Exit 1 if any feed failed."""
    from aggregator.app.idle import known_pass, note_pass, note_postings

    began = perf_counter()
    loaded: Loaded | KnownConfig
    if known := known_pass(config_path()):
        print_problems(known.warnings)
        if known.why_idle and not feeds and not force:
            _report(summary(PassSummary(), None, perf_counter() - began), known.why_idle, errors=(), as_json=as_json)
            return
        loaded, rules = known.config(), known.rules
        ids = list(loaded.feeds)
    else:
        from aggregator.app.usable import require_usable

        loaded = load()
        require_usable(loaded)
        ids, rules = [feed.id for feed in loaded.config.feeds], sum(rule.enabled for rule in loaded.config.rules)
    for feed in feeds:
        if feed not in ids:
            raise NotFound("feed", feed, ids)

    async def work(app: "Application") -> None:
        began = perf_counter()
        await app.store.maintenance.repair_future_dates(app.clock.now())  # the service does so at its start
        if app.loaded.fetched:
            from aggregator.app.list_updates import ListUpdates

            await ListUpdates(app).tick()
            await app.reload(config_path())
        tally, counts = PassSummary(), None
        if force or await app.has_work():
            counts = await _pass(app, feeds, force, tally, len(feeds) or len(ids))
        shape = summary(tally, counts, perf_counter() - began)
        why = tally.why(counts, rules=rules) if counts and tally.polled else await _nothing_due(app, feeds)
        if not known:
            note_pass(app.loaded, config_path())
        note_postings(app.loaded, app.current.index.postings, config_path())
        _report(shape, why, errors=[*map(app.redact, tally.errors)], as_json=as_json)  # a server may repeat a secret
        if shape["feeds"]["failed"]:
            raise SystemExit(1)

    with_app(work, loaded, pushing=True, console=sys.stderr if as_json else None)


async def _pass(
    app: "Application", feeds: tuple[str, ...], force: bool, tally: "PassSummary", expected: int
) -> "DeliveryCounts":
    """Poll, deliver what is due, read articles; return what became of the alerts."""
    runtime = await app.runtime()
    with progress("polling", expected) as step:

        def done(polled: "PolledFeed") -> None:
            tally.add(polled)
            step()

        await runtime.poller().once(feeds or None, force=force, done=done)
    tally.decide(await runtime.route_waiting())
    counts = await runtime.deliver_due()
    if await runtime.read_articles():
        await runtime.route_waiting()  # where hits are routed after their commit, those of articles too
        counts.add(await runtime.deliver_due())
    return counts


@dataclass(slots=True)
class PassSummary:
    """Counts of a pass so far; entries are counted, not kept."""

    polled: int = 0
    changed: int = 0
    new: int = 0
    updated: int = 0
    hits: int = 0
    errors: list[str] = field(default_factory=list)
    first: FirstLook = field(default_factory=FirstLook)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, polled: "PolledFeed") -> None:
        """Count one poll."""
        self.polled += 1
        if polled.entries:
            self.changed += 1
            self.new += polled.new
            self.updated += polled.updated
        self.hits += polled.hits
        if polled.first:
            self.first.add(polled)
        elif polled.outcomes:
            self.outcomes.update(polled.outcomes)
        if polled.error:
            self.errors.append(f"{polled.feed}: {polled.error}")

    def decide(self, outcomes: Mapping[str, int]) -> None:
        """Count what became of hits that waited for their routing; of some that was known before."""
        if not outcomes:
            return
        from aggregator.core.titles import WAITING  # which a pass without hits does without

        foreseen = (self.outcomes | self.first.outcomes).keys() - {WAITING}
        decided = Counter({said: count for said, count in outcomes.items() if said not in foreseen})
        routed = decided.total()
        for counted in (self.outcomes, self.first.outcomes):
            here = min(routed, counted[WAITING])
            counted[WAITING] -= here
            routed -= here
            if not counted[WAITING]:
                del counted[WAITING]
        self.outcomes.update(decided)

    def why(self, counts: "DeliveryCounts", *, rules: int) -> str:
        """Say why the pass sent no alert, or not all of its hits; empty where there is nothing to explain."""
        if self.first.feeds and self.first.entries:
            return self.first.sentence(None, rules=rules)
        unalerted = Counter({said: count for said, count in self.outcomes.items() if not said.startswith("alerted")})
        if unalerted:
            return f"Not every hit is an alert: {', '.join(f'{n:,} {said}' for said, n in unalerted.most_common())}."
        if counts.sent or counts.retry or counts.dead:
            return ""
        if counts.held:
            return "Alerts are held for quiet hours, a digest or an hourly limit: `aggregator deliveries list`."
        if self.hits:
            return "Alerts are queued for their digests: `aggregator deliveries list`."
        if self.new or self.updated:
            matched = "there is no rule to match them" if not rules else f"none matched {_of_rules(rules)}"
            entries = plural(self.new + self.updated, "new or changed entry", "new or changed entries")
            return f"No alerts: of {entries} {matched}."
        return "No alerts: nothing is new." if self.polled > len(self.errors) else ""


def _of_rules(count: int) -> str:
    return "your rule" if count == 1 else f"any of {count:,} rules"


async def _nothing_due(app: "Application", feeds: tuple[str, ...]) -> str:
    """Say why no feed was polled."""
    from aggregator.app.idle import why_idle

    due_at = None if feeds else await app.store.feeds.next_due_at()
    return why_idle(any_feeds=bool(app.current.feeds), due_at=due_at, now=app.clock.now())


def summary(tally: PassSummary, counts: "DeliveryCounts | None", seconds: float) -> "Json":
    """Return the JSON shape of a pass; `counts`: None if there was nothing to do."""
    failed = len(tally.errors)
    return {
        "feeds": {
            "polled": tally.polled,
            "changed": tally.changed,
            "unchanged": tally.polled - tally.changed - failed,
            "failed": failed,
        },
        "entries": {"new": tally.new, "updated": tally.updated},
        "hits": tally.hits,
        "outcomes": dict(tally.outcomes + tally.first.outcomes),
        "deliveries": {name: getattr(counts, name) if counts else 0 for name in ("sent", "retry", "dead", "held")},
        "seconds": round(seconds, 3),
    }


def _report(shape: "Json", why: str, *, errors: Sequence[str], as_json: bool) -> None:
    for error in errors:
        secho(error, fg="red", err=True)
    if as_json:
        emit(shape | {"why": why})
        return
    feeds, entries, sent = shape["feeds"], shape["entries"], shape["deliveries"]
    failed = f", {feeds['failed']} failed" if feeds["failed"] else ""
    words = {"sent": "sent", "retry": "to retry", "held": "held", "dead": "given up"}
    alerts = ", ".join(f"{sent[name]} {word}" for name, word in words.items() if sent[name])
    echo(
        f"{plural(feeds['polled'], 'feed')} polled in {shape['seconds']:.1f} s: {feeds['changed']} changed{failed}\n"
        f"{plural(entries['new'], 'new entry', 'new entries')}, {entries['updated']} updated, "
        f"{plural(shape['hits'], 'hit')}; alerts: {alerts or 'none'}"
    )
    if why:
        echo(wrapped(why))
