"""`aggregator poll`: one pass by hand, or from cron."""

import sys
from time import perf_counter
from typing import TYPE_CHECKING

import click

from aggregator.cli.output import emit, json_option, progress
from aggregator.cli.program import config_option
from aggregator.cli.session import in_house, load
from aggregator.core.errors import NotFound
from aggregator.core.model import Json

if TYPE_CHECKING:
    from aggregator.app.house import House
    from aggregator.pipeline.intake import Polled
    from aggregator.pipeline.outgoing import Counts


@click.command(
    epilog="""\b
Examples:
  aggregator poll                  what is due now
  aggregator poll --force          all feeds (servers' requests for quiet still hold)
  aggregator poll bbc-world --force --json"""
)
@click.argument("feeds", nargs=-1, metavar="[FEED…]")
@click.option("--force", is_flag=True, help="Due or not.")
@config_option
@json_option
def poll(feeds: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Make one pass: poll, match, deliver what is due, print a summary. Exit 1 if any feed failed."""
    loaded = load()
    known = [feed.id for feed in loaded.config.feeds]
    for feed in feeds:
        if feed not in known:
            raise NotFound("feed", feed, known)

    async def work(house: "House") -> None:
        began = perf_counter()
        works = await house.works()
        with progress("polling", len(feeds) or len(known)) as step:
            polled = await works.poller().once(feeds or None, force=force, done=lambda _: step())
        counts = await works.deliver_due()
        if await works.full_texts().once():
            counts.add(await works.deliver_due())
        shape = summary(polled, counts, perf_counter() - began)
        if as_json:
            emit(shape)
        else:
            _say(polled, shape)
        if shape["feeds"]["failed"]:
            raise SystemExit(1)

    in_house(work, loaded, console=sys.stderr if as_json else None)


def summary(polled: "tuple[Polled, ...]", counts: "Counts", seconds: float) -> Json:
    """The contract's shape of a pass."""
    failed = sum(p.error is not None for p in polled)
    changed = sum(bool(p.entries) for p in polled)
    return {
        "feeds": {
            "polled": len(polled),
            "changed": changed,
            "unchanged": len(polled) - changed - failed,
            "failed": failed,
        },
        "entries": {"new": sum(p.new for p in polled), "updated": sum(p.updated for p in polled)},
        "hits": sum(p.hits for p in polled),
        "deliveries": {"sent": counts.sent, "retry": counts.retry, "dead": counts.dead, "held": counts.held},
        "seconds": round(seconds, 3),
    }


def _say(polled: "tuple[Polled, ...]", shape: Json) -> None:
    for p in polled:
        if p.error:
            click.secho(f"{p.feed}: {p.error}", fg="red", err=True)
    feeds, entries, sent = shape["feeds"], shape["entries"], shape["deliveries"]
    click.echo(
        f"{feeds['polled']} feeds polled ({feeds['changed']} changed, {feeds['failed']} failed): "
        f"{entries['new']} new entries, {entries['updated']} updated, {shape['hits']} hits; "
        f"alerts: {sent['sent']} sent, {sent['retry']} to retry, {sent['held']} held, {sent['dead']} dead "
        f"in {shape['seconds']:.1f} s"
    )
