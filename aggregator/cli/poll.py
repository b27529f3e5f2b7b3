"""`aggregator poll`: one pass by hand, or from cron."""

import sys
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import click

from aggregator.cli.context import config_path, load, with_app
from aggregator.cli.output import echo, emit, json_option, plural, progress, secho
from aggregator.cli.program import config_option
from aggregator.core.errors import NotFound
from aggregator.core.model import Json

if TYPE_CHECKING:
    from aggregator.app.application import Application
    from aggregator.pipeline.delivery_batch import DeliveryCounts
    from aggregator.pipeline.ingest import PolledFeed


@click.command(
    epilog="""\b
Examples:
  aggregator poll                  the feeds that are due
  aggregator poll --force          all feeds (Retry-After is still honoured)
  aggregator poll bbc-world --force --json"""
)
@click.argument("feeds", nargs=-1, metavar="[FEED…]")
@click.option("--force", is_flag=True, help="Poll even if not due.")
@config_option
@json_option
def poll(feeds: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Poll once: fetch due feeds, match, send due alerts, print a summary. Exit 1 if any feed failed."""
    from aggregator.app.usable import require_usable

    loaded = load()
    require_usable(loaded)
    known = [feed.id for feed in loaded.config.feeds]
    for feed in feeds:
        if feed not in known:
            raise NotFound("feed", feed, known)

    async def work(app: "Application") -> None:
        began = perf_counter()
        await app.store.maintenance.repair_future_dates(app.clock.now())  # the service does so at its start
        if loaded.fetched:
            from aggregator.app.list_updates import ListUpdates

            await ListUpdates(app).tick()
            await app.reload(config_path())
        tally = PassSummary()
        if not force and not await app.has_work():
            _report(tally, None, perf_counter() - began, as_json=as_json)
            return
        runtime = await app.runtime()
        with progress("polling", len(feeds) or len(known)) as step:

            def done(polled: "PolledFeed") -> None:
                tally.add(polled)
                step()

            await runtime.poller().once(feeds or None, force=force, done=done)
        counts = await runtime.deliver_due()
        if await runtime.article_fetcher().once():
            counts.add(await runtime.deliver_due())
        _report(tally, counts, perf_counter() - began, as_json=as_json)

    with_app(work, loaded, pushing=True, console=sys.stderr if as_json else None)


@dataclass(slots=True)
class PassSummary:
    """Counts of a pass so far; entries are counted, not kept."""

    polled: int = 0
    changed: int = 0
    new: int = 0
    updated: int = 0
    hits: int = 0
    errors: list[str] = field(default_factory=list)

    def add(self, polled: "PolledFeed") -> None:
        """Count one poll."""
        self.polled += 1
        self.changed += bool(polled.entries)
        self.new += polled.new
        self.updated += polled.updated
        self.hits += polled.hits
        if polled.error:
            self.errors.append(f"{polled.feed}: {polled.error}")


def _report(tally: PassSummary, counts: "DeliveryCounts | None", seconds: float, *, as_json: bool) -> None:
    shape = summary(tally, counts, seconds)
    if as_json:
        emit(shape)
    else:
        _say(tally, shape)
    if shape["feeds"]["failed"]:
        raise SystemExit(1)


def summary(tally: PassSummary, counts: "DeliveryCounts | None", seconds: float) -> Json:
    """Return the JSON shape of a pass; `counts`: None if nothing had to be delivered."""
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
        "deliveries": {name: getattr(counts, name) if counts else 0 for name in ("sent", "retry", "dead", "held")},
        "seconds": round(seconds, 3),
    }


def _say(tally: PassSummary, shape: Json) -> None:
    for error in tally.errors:
        secho(error, fg="red", err=True)
    feeds, entries, sent = shape["feeds"], shape["entries"], shape["deliveries"]
    failed = f", {feeds['failed']} failed" if feeds["failed"] else ""
    words = {"sent": "sent", "retry": "to retry", "held": "held", "dead": "given up"}
    alerts = ", ".join(f"{sent[name]} {word}" for name, word in words.items() if sent[name])
    echo(
        f"{plural(feeds['polled'], 'feed')} polled in {shape['seconds']:.1f} s: {feeds['changed']} changed{failed}\n"
        f"{plural(entries['new'], 'new entry', 'new entries')}, {entries['updated']} updated, "
        f"{plural(shape['hits'], 'hit')}; alerts: {alerts or 'none'}"
    )
